//! Series of REGISTERs whose devices are gone, remembered while an older one of them may still come.
//!
//! RFC 3261 §10.3 item 7 orders the REGISTERs of a Call-ID by the binding that is stored. Where none is, a late one would be new: the
//! device that has just left would ring again. A client repeats a REGISTER for 64·T1 (Timer F), and the later one came after it: nothing
//! needs to be remembered much longer. It should not be, for some devices begin to count anew when they boot, under the Call-ID they had.
//! No start of the daemon takes a nonce of the one before, so nothing is saved.

use std::time::Duration;

use bytes::Bytes;

use crate::id::{Map, UserId};
use crate::time::Instant;

use super::CONTACTS_PER_USER;

/// 64·T1 and T4, the longest that the network holds a datagram (RFC 3261 §17).
pub(super) const MEMORY: Duration = Duration::from_secs(37);

/// By user, at most [`CONTACTS_PER_USER`] series each, the latest last.
#[derive(Clone, Debug)]
pub(super) struct Departed {
    users: Map<UserId, Vec<Series>>,
}

#[derive(Clone, Debug)]
struct Series {
    call_id: Bytes,
    /// The last of it that said anything of a device that is gone.
    cseq: u32,
    until: Instant,
}

impl Departed {
    pub(super) fn new(hashing: ahash::RandomState) -> Departed {
        Departed { users: Map::with_hasher(hashing) }
    }

    /// Whether a REGISTER was overtaken by what ended its device.
    pub(super) fn is_late(&self, now: Instant, user: &UserId, call_id: &Bytes, cseq: u32) -> bool {
        let known = self.users.get(user).map_or(&[][..], Vec::as_slice);
        known.iter().any(|series| series.until > now && series.call_id == *call_id && cseq <= series.cseq)
    }

    pub(super) fn note(&mut self, now: Instant, user: &UserId, call_id: &Bytes, cseq: u32) {
        let known = self.users.entry(user.clone()).or_default();
        known.retain(|series| series.until > now);
        let same = known.iter().position(|series| series.call_id == *call_id);
        let before = same.map(|place| known.remove(place).cseq);
        if known.len() == CONTACTS_PER_USER {
            known.remove(0);
        }
        let cseq = before.map_or(cseq, |before| before.max(cseq));
        known.push(Series { call_id: call_id.clone(), cseq, until: now + MEMORY });
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&UserId) -> bool) {
        self.users.retain(|user, _| keep(user));
    }
}
