//! One binding: a device of a user, and how it is reached.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::flow::Flow;
use crate::state::{SavedBinding, SavedFlow};
use crate::time::{Instant, Now, WallTime};

/// A Contact's `q`, in thousandths (RFC 3261 §20.10): 0 to 1000. Absent or unreadable is 1000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Preference(u16);

impl Preference {
    /// `q=1`
    pub const HIGHEST: Preference = Preference(1000);

    /// Thousandths.
    pub fn thousandths(self) -> u16 {
        self.0
    }

    /// Reads `0`, `0.5`, `0.725`, `1`, `1.0`; `None` for anything that is not a qvalue.
    pub(super) fn parse(text: &[u8]) -> Option<Preference> {
        let (whole, fraction) = match text.split_first()? {
            (whole @ (b'0' | b'1'), []) => (whole, &[][..]),
            (whole @ (b'0' | b'1'), [b'.', fraction @ ..]) => (whole, fraction),
            _ => return None,
        };
        if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let place = [100, 10, 1];
        let value: u16 = fraction.iter().zip(place).map(|(digit, place)| u16::from(digit - b'0') * place).sum();
        let value = value + 1000 * u16::from(whole - b'0');
        (value <= 1000).then_some(Preference(value))
    }
}

impl fmt::Debug for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "q={}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A device of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The Contact's URI exactly as it was registered, its escaped header fields too.
    pub contact: Bytes,
    /// Its place among the user's devices.
    pub q: Preference,
    /// From this moment on it is gone.
    pub expires_at: Instant,
    /// The REGISTER's Call-ID: one per boot of the device (RFC 3261 §10.2).
    pub call_id: Bytes,
    /// The REGISTER's CSeq number.
    pub cseq: u32,
    /// `+sip.instance`, without its quotes (RFC 5626 §4.1): one per device.
    pub instance: Option<Bytes>,
    /// `reg-id` (RFC 5626 §4.2): one per flow of a device.
    pub reg_id: Option<u32>,
    /// Path values (RFC 3327), topmost first: the Route set of requests to the device.
    pub path: Vec<Bytes>,
    /// Where the REGISTER came from, and on which of our sockets.
    pub flow: Flow,
    /// Where requests for the device go, from `flow.local`: to `flow.remote`. There is one exception, for a device
    /// without NAT that sends from another port than it listens on: its topmost Via asks for no `rport` (RFC 3581) and
    /// its Contact has the very IP address the REGISTER came from; then to the Contact's port. So a registrant can
    /// never aim us at an IP address it has not sent from, whatever its Contact says.
    pub target: SocketAddr,
    /// User-Agent for listings: printable, at most 80 characters.
    pub user_agent: Option<String>,
    /// When it was last registered or refreshed.
    pub registered_at: WallTime,
    /// The Contact's parameters but `expires`, as written: `;q=0.5;+sip.instance="<urn:…>"`.
    pub(super) parameters: Bytes,
    /// How much of `contact` may stand in a Request-URI.
    pub(super) request_uri_length: usize,
    /// Grows with every update in the table: names this state of this binding, and orders equals.
    pub(super) serial: u64,
}

impl Binding {
    /// The URI as requests to the device carry it: the contact without the header fields behind its `?` (RFC 3261
    /// §19.1.1: a Request-URI has none). Those could name a Route, and a registrant does not route our requests.
    pub fn request_uri(&self) -> &[u8] {
        self.contact.get(..self.request_uri_length).unwrap_or(&self.contact)
    }

    /// Whether requests may still go to it.
    pub fn is_live(&self, now: Instant) -> bool {
        self.expires_at > now
    }

    /// As it is to survive a restart; `flow` is its own, by the socket's address.
    pub fn saved(&self, now: Now, flow: SavedFlow) -> SavedBinding {
        SavedBinding {
            contact: self.contact.clone(),
            q: self.q.0,
            expires_at: now.wall + self.expires_at.since(now.mono),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            instance: self.instance.clone(),
            reg_id: self.reg_id,
            path: self.path.clone(),
            flow,
            target: self.target,
            user_agent: self.user_agent.clone(),
            registered_at: self.registered_at,
            parameters: self.parameters.clone(),
            request_uri_length: self.request_uri_length,
        }
    }

    /// As it was saved; `None` if it has run out since. `flow` leads to it now.
    pub(super) fn restored(now: Now, saved: &SavedBinding, flow: Flow) -> Option<Binding> {
        let left = saved.expires_at.since(now.wall);
        (!left.is_zero()).then(|| Binding {
            contact: saved.contact.clone(),
            q: Preference(saved.q.min(1000)),
            expires_at: now.mono + left,
            call_id: saved.call_id.clone(),
            cseq: saved.cseq,
            instance: saved.instance.clone(),
            reg_id: saved.reg_id,
            path: saved.path.clone(),
            flow,
            target: saved.target,
            user_agent: saved.user_agent.clone(),
            registered_at: saved.registered_at,
            parameters: saved.parameters.clone(),
            request_uri_length: saved.request_uri_length,
            serial: 0,
        })
    }

    /// The value of the Contact field that lists it in a 200 to REGISTER: `<contact>;parameters;expires=seconds`.
    pub(super) fn contact_value(&self, now: Instant) -> Vec<u8> {
        // Rounded down, so that the device refreshes in time; but not to 0, which would say that it is gone.
        let seconds = self.expires_at.since(now).as_secs().max(1);
        [b"<", &*self.contact, b">", &*self.parameters, b";expires=", seconds.to_string().as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qvalues_are_read_to_the_thousandth() {
        let read = |text: &str| Preference::parse(text.as_bytes()).map(Preference::thousandths);
        for (text, value) in
            [("0", 0), ("0.", 0), ("0.5", 500), ("0.05", 50), ("0.725", 725), ("1", 1000), ("1.000", 1000)]
        {
            assert_eq!(read(text), Some(value), "{text}");
        }
        for text in ["", ".5", "2", "1.001", "0.1234", "-0.5", "0,5", "0.5x", "00.5"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(format!("{:?}", Preference(50)), "q=0.050", "as it is written");
    }
}
