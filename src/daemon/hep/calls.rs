//! Which call of ours a datagram belongs to, by its Call-ID: all legs of a call share the caller's. Pure, and bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::id::CallRef;

/// The most calls known at a time; the oldest is forgotten first.
const CALLS: usize = 100_000;

/// How long a call that is over is known, in microseconds: longer than the last copy of its last message may take
/// (64·T1, twice: a BYE and then its answer).
const LINGER: u64 = 64_000_000;

/// The calls by Call-ID. (Two calls may have one Call-ID, when a call comes back to us by a detour: its datagrams go by the younger.)
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_call_id: HashMap<Arc<[u8]>, CallRef>,
    known: HashMap<CallRef, Known>,
    /// In the order of arrival. Calls that are forgotten already may stand in it.
    arrived: VecDeque<CallRef>,
    /// When calls that are over may be forgotten, in the order of time.
    leaving: VecDeque<(u64, CallRef)>,
}

#[derive(Debug)]
struct Known {
    call_id: Arc<[u8]>,
    /// When it may be forgotten, once it is over.
    until: Option<u64>,
}

impl Calls {
    /// A call began.
    pub(super) fn on_arrived(&mut self, call: CallRef, call_id: &[u8]) {
        if call_id.is_empty() {
            return;
        }
        while self.known.len() >= CALLS {
            let Some(oldest) = self.arrived.pop_front() else { break };
            self.forget(oldest);
        }
        let call_id: Arc<[u8]> = call_id.into();
        self.by_call_id.insert(Arc::clone(&call_id), call);
        self.known.insert(call, Known { call_id, until: None });
        self.arrived.push_back(call);
    }

    /// It was answered: also where it was cancelled just before.
    pub(super) fn on_answered(&mut self, call: CallRef) {
        if let Some(known) = self.known.get_mut(&call) {
            known.until = None;
        }
    }

    /// It is over: copies of its last messages may still come.
    pub(super) fn on_over(&mut self, call: CallRef, at: u64) {
        if let Some(known) = self.known.get_mut(&call) {
            let until = at.saturating_add(LINGER);
            known.until = Some(until);
            self.leaving.push_back((until, call));
        }
    }

    /// The call that messages with this Call-ID belong to.
    pub(super) fn call_of(&self, call_id: &[u8]) -> Option<CallRef> {
        self.by_call_id.get(call_id).copied()
    }

    /// Forgets what has been over for long.
    pub(super) fn on_time(&mut self, now: u64) {
        while let Some((until, call)) = self.leaving.front().copied().filter(|(until, _)| *until <= now) {
            self.leaving.pop_front();
            // Answered after all, or over again later: then it leaves later.
            if self.known.get(&call).is_some_and(|known| known.until == Some(until)) {
                self.forget(call);
            }
        }
        // What is left of calls that are forgotten is dropped where it stands in front, and where it is most of the line.
        while self.arrived.front().is_some_and(|call| !self.known.contains_key(call)) {
            self.arrived.pop_front();
        }
        if self.arrived.len() > 2 * self.known.len() + 64 {
            self.arrived.retain(|call| self.known.contains_key(call));
        }
    }

    fn forget(&mut self, call: CallRef) {
        if let Some(known) = self.known.remove(&call)
            && self.by_call_id.get(&known.call_id) == Some(&call)
        {
            self.by_call_id.remove(&known.call_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: CallRef = CallRef(1);
    const TWO: CallRef = CallRef(2);

    #[test]
    fn a_call_is_known_until_a_while_after_its_end() {
        let mut calls = Calls::default();
        assert_eq!(calls.call_of(b"a"), None);
        calls.on_arrived(ONE, b"a");
        calls.on_over(ONE, 1_000_000);
        calls.on_time(1_000_000 + LINGER - 1);
        assert_eq!(calls.call_of(b"a"), Some(ONE));
        calls.on_time(1_000_000 + LINGER);
        assert_eq!(calls.call_of(b"a"), None);
        assert!(calls.known.is_empty() && calls.arrived.is_empty() && calls.leaving.is_empty(), "{calls:?}");
    }

    #[test]
    fn an_answer_that_crosses_the_cancel_keeps_the_call() {
        let mut calls = Calls::default();
        calls.on_arrived(ONE, b"a");
        calls.on_over(ONE, 0);
        calls.on_answered(ONE);
        calls.on_time(LINGER);
        assert_eq!(calls.call_of(b"a"), Some(ONE));
        calls.on_over(ONE, LINGER);
        calls.on_time(3 * LINGER);
        assert_eq!(calls.call_of(b"a"), None);
    }

    #[test]
    fn of_two_calls_with_one_call_id_the_younger_has_it_and_keeps_it() {
        let mut calls = Calls::default();
        calls.on_arrived(ONE, b"a");
        calls.on_arrived(TWO, b"a");
        assert_eq!(calls.call_of(b"a"), Some(TWO));
        calls.on_over(ONE, 0);
        calls.on_time(LINGER);
        assert_eq!(calls.call_of(b"a"), Some(TWO));
    }

    #[test]
    fn however_many_calls_never_end_the_table_stays_bounded() {
        let mut calls = Calls::default();
        for call in 0..CALLS as u64 + 10 {
            calls.on_arrived(CallRef(call), &call.to_be_bytes());
        }
        assert_eq!((calls.known.len(), calls.by_call_id.len()), (CALLS, CALLS));
        assert_eq!(calls.call_of(&9_u64.to_be_bytes()), None);
        assert_eq!(calls.call_of(&10_u64.to_be_bytes()), Some(CallRef(10)));
    }

    #[test]
    fn one_long_call_does_not_keep_the_line_of_a_million_short_ones() {
        let mut calls = Calls::default();
        calls.on_arrived(CallRef(0), b"long");
        for call in 1..10_000 {
            calls.on_arrived(CallRef(call), &call.to_be_bytes());
            calls.on_over(CallRef(call), 0);
            calls.on_time(LINGER);
        }
        assert_eq!(calls.call_of(b"long"), Some(CallRef(0)));
        assert!(calls.arrived.len() < 100, "{}", calls.arrived.len());
    }
}
