//! A REGISTER read into values (RFC 3261 §10.3 items 4 to 7, RFC 3327 §5.3): everything that can be refused without
//! looking at what is stored is refused here.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::auth::UserProof;
use crate::flow::Flow;
use crate::sip::{Name, NameAddr, Params, Request, Scheme, Uri};
use crate::time::{Instant, Now, WallTime};

use super::{AddressOfRecord, Binding, Preference, RegisterRefusal};

/// The longest Contact value that is kept, in bytes.
const CONTACT: usize = 1024;

/// The longest set of Path values that is kept, in bytes.
const PATHS: usize = 2048;

/// The longest User-Agent that listings show, in characters.
const USER_AGENT: usize = 80;

/// RFC 3261 §20.19: an expiry that cannot be read counts as this one.
const UNREADABLE: Duration = Duration::from_secs(3600);

/// How long registrations last (R-8, `[sip] registration-…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiries {
    /// Where the request names none.
    pub default: Duration,
    /// Longer ones are shortened to it.
    pub max: Duration,
    /// Shorter ones are refused with 423.
    pub min: Duration,
}

impl Expiries {
    /// What is granted; zero removes.
    fn grant(self, asked: Option<Duration>) -> Result<Duration, RegisterRefusal> {
        let asked = asked.unwrap_or(self.default);
        if !asked.is_zero() && asked < self.min {
            let shortest = self.min.as_secs() + u64::from(self.min.subsec_nanos() > 0);
            return Err(RegisterRefusal::TooBrief { shortest: u32::try_from(shortest).unwrap_or(u32::MAX) });
        }
        Ok(asked.min(self.max))
    }
}

/// What a REGISTER asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) call_id: Bytes,
    pub(super) cseq: u32,
    pub(super) contacts: Contacts,
    pub(super) path: Vec<Bytes>,
    pub(super) flow: Flow,
    pub(super) user_agent: Option<String>,
    pub(super) at: WallTime,
}

/// Which devices it is about.
#[derive(Clone, Debug)]
pub(super) enum Contacts {
    /// None: it asks what is stored.
    Fetch,
    /// `*`: remove all.
    Every,
    /// These; at least one.
    These(Vec<NewContact>),
}

impl Contacts {
    /// Whether a device is to go.
    pub(super) fn say_goodbye(&self) -> bool {
        match self {
            Contacts::Fetch => false,
            Contacts::Every => true,
            Contacts::These(contacts) => contacts.iter().any(|contact| contact.lifetime.is_zero()),
        }
    }
}

/// One Contact value.
#[derive(Clone, Debug)]
pub(super) struct NewContact {
    pub(super) uri: Bytes,
    pub(super) request_uri_length: usize,
    pub(super) parameters: Bytes,
    pub(super) q: Preference,
    /// Zero: remove it.
    pub(super) lifetime: Duration,
    pub(super) instance: Option<Bytes>,
    pub(super) reg_id: Option<u32>,
    pub(super) target: SocketAddr,
}

impl Asked {
    pub(super) fn read(
        now: Now,
        limits: Expiries,
        proof: &UserProof,
        request: &Request,
        flow: Flow,
    ) -> Result<Asked, RegisterRefusal> {
        // RFC 3261 §10.3 item 4: nobody registers for another. From is who registers, To is for whom.
        let is_theirs = |who: NameAddr<'_>| AddressOfRecord::of(&who.uri).is_some_and(|address| address.is_of(proof));
        if !is_theirs(request.to()) || !is_theirs(request.from()) {
            return Err(RegisterRefusal::ThirdParty);
        }
        Ok(Asked {
            contacts: contacts(limits, request, flow)?,
            path: path(request)?,
            call_id: Bytes::copy_from_slice(request.call_id()),
            cseq: request.cseq().number,
            flow,
            user_agent: request.value(Name::UserAgent).and_then(printable),
            at: now.wall,
        })
    }
}

impl NewContact {
    /// The binding it asks for; its place in the table's order is still to be given.
    pub(super) fn bind(&self, now: Instant, asked: &Asked) -> Binding {
        Binding {
            contact: self.uri.clone(),
            q: self.q,
            expires_at: now + self.lifetime,
            call_id: asked.call_id.clone(),
            cseq: asked.cseq,
            instance: self.instance.clone(),
            reg_id: self.reg_id,
            path: asked.path.clone(),
            flow: asked.flow,
            target: self.target,
            user_agent: asked.user_agent.clone(),
            registered_at: asked.at,
            parameters: self.parameters.clone(),
            request_uri_length: self.request_uri_length,
            serial: 0,
        }
    }

    fn read(
        limits: Expiries,
        expires: Option<Duration>,
        request: &Request,
        flow: Flow,
        text: &[u8],
    ) -> Result<NewContact, RegisterRefusal> {
        let contact = NameAddr::parse(text).map_err(|_| RegisterRefusal::BadContact)?;
        let uri = contact.uri;
        match uri.scheme {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel | Scheme::Other(_) => return Err(RegisterRefusal::ContactScheme),
        }
        if text.len() > CONTACT || !uri.text.iter().all(|byte| may_be_bracketed(*byte)) {
            return Err(RegisterRefusal::BadContact);
        }
        // RFC 3261 §10.3 item 7: the parameter, else the header field, else the default.
        let own = contact.params.find("expires").map(|value| seconds(value.unwrap_or_default()).unwrap_or(UNREADABLE));
        let headers = uri.headers.map_or(0, |headers| headers.len() + 1);
        Ok(NewContact {
            uri: Bytes::copy_from_slice(uri.text),
            request_uri_length: uri.text.len().saturating_sub(headers),
            parameters: parameters(contact.params),
            q: contact.params.value("q").and_then(Preference::parse).unwrap_or(Preference::HIGHEST),
            lifetime: limits.grant(own.or(expires))?,
            instance: contact.params.value("+sip.instance").and_then(instance),
            reg_id: contact.params.value("reg-id").and_then(number).filter(|id| *id > 0),
            target: target(flow, request.top_via().rport(), &uri),
        })
    }
}

fn contacts(limits: Expiries, request: &Request, flow: Flow) -> Result<Contacts, RegisterRefusal> {
    let expires = request.value(Name::Expires).map(|value| seconds(value).unwrap_or(UNREADABLE));
    let values: Vec<&[u8]> = request.list(Name::Contact).collect();
    if values.is_empty() {
        return Ok(Contacts::Fetch);
    }
    // RFC 3261 §10.2.2, §10.3 item 6: "*" stands alone, and the Expires header field is there and 0.
    if values.iter().any(|value| *value == b"*") {
        let is_right = values.len() == 1 && expires == Some(Duration::ZERO);
        return if is_right { Ok(Contacts::Every) } else { Err(RegisterRefusal::Wildcard) };
    }
    let contacts = values.into_iter().map(|value| NewContact::read(limits, expires, request, flow, value));
    contacts.collect::<Result<Vec<_>, _>>().map(Contacts::These)
}

/// RFC 3327 §5.3: kept only for a device that says it understands Path; else the answer could surprise it.
fn path(request: &Request) -> Result<Vec<Bytes>, RegisterRefusal> {
    if !request.has_token(Name::Supported, "path") {
        return Ok(Vec::new());
    }
    let mut room = PATHS;
    let values = request.list(Name::Path).map(|value| {
        room = room.checked_sub(value.len()).ok_or(RegisterRefusal::BadPath)?;
        let hop = NameAddr::parse(value).map_err(|_| RegisterRefusal::BadPath)?;
        match hop.uri.scheme {
            Scheme::Sip | Scheme::Sips => Ok(Bytes::from(unfolded(value))),
            Scheme::Tel | Scheme::Other(_) => Err(RegisterRefusal::BadPath),
        }
    });
    values.collect()
}

/// Where requests go: see [`Binding::target`].
fn target(flow: Flow, rport: Option<Option<u16>>, contact: &Uri<'_>) -> SocketAddr {
    let source = flow.remote.ip().to_canonical();
    let is_there = contact.host.and_then(|host| host.ip()).is_some_and(|ip| ip.to_canonical() == source);
    match (rport, is_there) {
        (None, true) => {
            let mut target = flow.remote; // keeps the form of the address, and the scope of a link-local one
            target.set_port(contact.port.filter(|port| *port != 0).unwrap_or(5060));
            target
        }
        (None, false) | (Some(_), _) => flow.remote,
    }
}

/// `;name=value` of every parameter but `expires`, which each answer writes anew.
fn parameters(params: Params<'_>) -> Bytes {
    let mut text = Vec::new();
    for (name, value) in params.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"expires")) {
        text.push(b';');
        text.extend_from_slice(name);
        if let Some(value) = value {
            text.push(b'=');
            text.extend_from_slice(value);
        }
    }
    Bytes::from(unfolded(&text))
}

/// RFC 5626 §4.1: `"<urn:uuid:…>"`, the quotes left out; empty counts as absent.
fn instance(value: &[u8]) -> Option<Bytes> {
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    (!value.is_empty()).then(|| Bytes::from(unfolded(value)))
}

/// A number of seconds; one too large to hold is as good as endless. `None` where it is not a number.
fn seconds(text: &[u8]) -> Option<Duration> {
    number(text).map(|seconds| Duration::from_secs(u64::from(seconds)))
}

/// A decimal number, saturated.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0_u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0'))))
}

/// Whether a byte can stand between `<` and `>` without ending the URI or the line.
fn may_be_bracketed(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"')
}

/// Text that stays on one line (RFC 3261 §7.3.1: a fold means a space), without other control characters.
fn unfolded(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect()
}

/// Text that a terminal, a log or a page can show: no control characters, nothing that reverses the direction of what
/// follows; `None` where nothing is left.
fn printable(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let is_hostile = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown: String = text.chars().filter(|character| !is_hostile(*character)).take(USER_AGENT).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3261 §25.1. The wire reads no such URI, and nothing that we write into brackets is to depend on that.
    #[test]
    fn nothing_that_could_end_a_uri_or_its_line_may_be_bracketed() {
        let uri = b"sip:2-2_1%20+~!*'()&=$,;?/:@[2001:db8::1]:5062;x=y?z=#{}|^`\\";
        assert!(uri.iter().all(|byte| may_be_bracketed(*byte)));
        for byte in b"<>\" \t\r\n\0\x7f\x80\xe9" {
            assert!(!may_be_bracketed(*byte), "{byte:#x}");
        }
    }
}
