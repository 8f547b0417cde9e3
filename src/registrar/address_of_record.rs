//! An address-of-record as RFC 3261 §10.3 item 5 compares it: escapes undone, no parameters, no port.

use crate::auth::UserProof;
use crate::sip::{Host, Scheme, Uri};

/// The public address of a user: `sip:EXTENSION@DOMAIN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressOfRecord {
    /// In lower case; an IPv6 address in its brackets.
    pub domain: String,
    /// As written, with its escapes undone. Upper and lower case differ (RFC 3261 §19.1.4).
    pub extension: String,
}

impl AddressOfRecord {
    /// The address a URI names; `None` where it names nobody at a SIP domain.
    pub fn of(uri: &Uri<'_>) -> Option<AddressOfRecord> {
        match uri.scheme {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel | Scheme::Other(_) => return None,
        }
        let domain = match uri.host? {
            Host::Name(name) => std::str::from_utf8(name).ok()?.to_ascii_lowercase(),
            Host::V4(address) => address.to_string(),
            Host::V6(address) => format!("[{address}]"),
        };
        let extension = uri.user_text()?.into_owned();
        Some(AddressOfRecord { domain, extension })
    }

    /// Whether it is the address of the user who was proven to ask: nobody may speak, or register, for another.
    pub fn is_of(&self, proof: &UserProof) -> bool {
        self.domain == proof.company().domain && self.extension == proof.user().id.extension.as_str()
    }
}
