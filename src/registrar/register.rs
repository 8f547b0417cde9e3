//! RFC 3261 §10.3 items 6 to 8 as one pure step: what is stored and what is asked give what will be stored.

use bytes::Bytes;

use crate::time::Instant;

use super::request::{Asked, Contacts, NewContact};
use super::{Binding, CONTACTS_PER_USER, RegisterRefusal};
use crate::sip::Uri;

/// What a REGISTER came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The values of the 200's Contact fields: every current device with its remaining `expires`.
    pub contacts: Vec<Vec<u8>>,
    /// The values of the 200's Path fields (RFC 3327 §5.3).
    pub path: Vec<Vec<u8>>,
    /// What changed.
    pub changes: Vec<Change>,
    /// The bindings, as they were, of devices that say they have restarted: a device registers under one
    /// Call-ID as long as it runs (RFC 3261 §10.2), so the same device under another has begun anew. The same device
    /// is the same `+sip.instance` and `reg-id`; where there is no instance, the same contact; and whatever a `*` under
    /// another Call-ID removes.
    pub restarted: Vec<Binding>,
}

/// What a REGISTER did to one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added {
        /// Its contact.
        contact: Bytes,
    },
    /// It stays longer (or shorter).
    Refreshed {
        /// Its contact.
        contact: Bytes,
    },
    /// It is gone: because it said so, or because the same device is now elsewhere.
    Removed {
        /// Its contact.
        contact: Bytes,
    },
}

/// How a user's bindings change. What is not `gone` is `kept`.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) kept: Vec<Binding>,
    pub(super) gone: Vec<Binding>,
    pub(super) new: Vec<Binding>,
    pub(super) changes: Vec<Change>,
    pub(super) restarted: Vec<Binding>,
}

/// Applies a REGISTER to what is stored. A stored binding that has run out counts as absent, and is kept for
/// `Location::expire` to report.
pub(super) fn apply(now: Instant, stored: &[Binding], asked: Asked) -> Result<Update, RegisterRefusal> {
    let contacts = match &asked.contacts {
        Contacts::Fetch => &[][..],
        Contacts::Every => &[][..],
        Contacts::These(contacts) => contacts,
    };
    let meant = |binding: &Binding| match &asked.contacts {
        Contacts::Fetch => false,
        Contacts::Every => true,
        Contacts::These(contacts) => contacts.iter().any(|contact| is_same(binding, contact, &asked.call_id)),
    };
    let (gone, kept): (Vec<_>, Vec<_>) =
        stored.iter().cloned().partition(|binding| binding.is_live(now) && meant(binding));

    // RFC 3261 §10.3 items 6, 7: under an equal Call-ID only a higher CSeq may change a binding; "if not, the update
    // MUST be aborted and the request fails".
    if gone.iter().any(|binding| binding.call_id == asked.call_id && asked.cseq <= binding.cseq) {
        return Err(RegisterRefusal::OutOfOrder);
    }

    let mut new: Vec<Binding> = Vec::new();
    for contact in contacts {
        // A device written twice in one REGISTER: what was written last is meant.
        new.retain(|binding| !is_same(binding, contact, &asked.call_id));
        if !contact.lifetime.is_zero() {
            new.push(contact.bind(now, &asked));
        }
    }
    let live = kept.iter().filter(|binding| binding.is_live(now)).count();
    if live + new.len() > CONTACTS_PER_USER && !new.is_empty() {
        return Err(RegisterRefusal::TooManyContacts);
    }

    let stays = |binding: &Binding, among: &[Binding]| {
        among.iter().any(|other| is_same_uri(&binding.contact, &other.contact) && binding.instance == other.instance)
    };
    let removed = gone.iter().filter(|binding| !stays(binding, &new));
    let mut changes: Vec<Change> =
        removed.map(|binding| Change::Removed { contact: binding.contact.clone() }).collect();
    changes.extend(new.iter().map(|binding| match stays(binding, &gone) {
        true => Change::Refreshed { contact: binding.contact.clone() },
        false => Change::Added { contact: binding.contact.clone() },
    }));
    let restarted = gone.iter().filter(|binding| binding.call_id != asked.call_id).cloned().collect();
    Ok(Update { kept, gone, new, changes, restarted })
}

/// Whether a Contact under this Call-ID means a binding.
///
/// RFC 3261 §10.3 item 7 compares URIs. An instance says more: two instances are two devices, whatever URI a NAT let
/// both of them write; one instance with one `reg-id` is one flow of one device, whatever its URI (RFC 5626 §6); and
/// one instance without `reg-id` under another Call-ID is the device after a restart, which may have another URI then.
fn is_same(binding: &Binding, contact: &NewContact, call_id: &Bytes) -> bool {
    match (&binding.instance, &contact.instance) {
        (Some(stored), Some(written)) if !stored.eq_ignore_ascii_case(written) => false,
        (Some(_), Some(_)) => match (binding.reg_id, contact.reg_id) {
            (Some(stored), Some(written)) => stored == written,
            (None, None) => binding.call_id != *call_id || is_same_uri(&binding.contact, &contact.uri),
            (Some(_), None) | (None, Some(_)) => is_same_uri(&binding.contact, &contact.uri),
        },
        (Some(_), None) | (None, Some(_)) | (None, None) => is_same_uri(&binding.contact, &contact.uri),
    }
}

/// RFC 3261 §10.3 item 7: compared as §19.1.4 says, not as text.
fn is_same_uri(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    match (Uri::parse(one), Uri::parse(other)) {
        (Ok(one), Ok(other)) => one.equivalent(&other),
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}
