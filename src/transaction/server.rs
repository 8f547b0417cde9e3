//! The non-INVITE server transaction: RFC 3261 §17.2.2 under the rules of RFC 4320.
//!
//! Owns the response that copies of the request are answered with, and the law of when a 100 may leave.
//!
//! ```text
//! input ╲ state   Trying                Proceeding          Completed
//! request again   –                     100 again           response again
//! user: 100       send → Proceeding *   send                –
//! user: 200–699   send → Completed      send → Completed    –
//! E would be T2   trying due (once)
//! Timer J                                                   → Terminated
//! transport error tell                  tell                tell
//! abandon         → Terminated          → Terminated        –
//!
//! * over an unreliable transport not before a client's Timer E would be reset to T2; discarded until then.
//! ```
//!
//! J is 64·T1, and zero over a reliable transport. There is no other provisional than 100 and no 408 (RFC 4320 §4.1,
//! §4.2): where a proxy's own request timed out, it abandons the transaction, and the other side finds out by itself.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::{Reliability, Timing};
use crate::time::Instant;

/// What is to be done, in order.
pub type Effects = SmallVec<[Effect; 2]>;

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send these bytes to where responses to this request go (RFC 3261 §18.2.2, RFC 3581).
    Send(Bytes),
    /// The user has said nothing for so long that it owes a 100 (RFC 4320 §4.1), by `respond_trying`.
    TryingDue,
    /// A response could not be sent.
    TransportError,
    /// The transaction has ended.
    Terminated,
}

/// A request other than INVITE and ACK that came in.
#[derive(Clone, Debug)]
pub struct Server {
    timing: Timing,
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// `trying` is when a 100 may leave over an unreliable transport; `due` while the user has not been told.
    Trying {
        trying: Instant,
        due: bool,
    },
    Proceeding {
        last: Bytes,
    },
    Completed {
        response: Bytes,
        timer_j: Instant,
    },
    Terminated,
}

impl Server {
    /// A request that matched no transaction came.
    pub fn new(now: Instant, timing: Timing, reliability: Reliability) -> Server {
        let state = State::Trying { trying: now + timing.until_trying(), due: true };
        Server { timing, reliability, state }
    }

    /// The request came again.
    pub fn on_copy(&mut self, _now: Instant) -> Effects {
        match &self.state {
            State::Proceeding { last } => smallvec![Effect::Send(last.clone())],
            State::Completed { response, .. } => smallvec![Effect::Send(response.clone())],
            State::Trying { .. } | State::Terminated => Effects::new(),
        }
    }

    /// The user sends a 100. Discarded while it [may not](Server::may_try).
    pub fn respond_trying(&mut self, now: Instant, response: Bytes) -> Effects {
        if !self.may_try(now) {
            return Effects::new();
        }
        self.state = State::Proceeding { last: response.clone() };
        smallvec![Effect::Send(response)]
    }

    /// The user sends a 200–699 (never 408). Only the first counts; another is discarded (RFC 3261 §17.2.2).
    pub fn respond_final(&mut self, now: Instant, response: Bytes) -> Effects {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                let timer_j = now + self.reliability.linger(self.timing.patience());
                self.state = State::Completed { response: response.clone(), timer_j };
                smallvec![Effect::Send(response)]
            }
            State::Completed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// Does what is due at `now`; nothing where nothing is.
    pub fn on_timer(&mut self, now: Instant) -> Effects {
        match &mut self.state {
            State::Trying { trying, due } if *due && *trying <= now => {
                *due = false;
                smallvec![Effect::TryingDue]
            }
            State::Completed { timer_j, .. } if *timer_j <= now => {
                self.state = State::Terminated;
                smallvec![Effect::Terminated]
            }
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {
                Effects::new()
            }
        }
    }

    /// A response could not be sent. The user is told; the transaction stays, for a copy of the request may reach it and
    /// its answer the peer.
    pub fn on_transport_error(&mut self, _now: Instant) -> Effects {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } => {
                smallvec![Effect::TransportError]
            }
            State::Terminated => Effects::new(),
        }
    }

    /// Ends it without an answer. Nothing once a final response left.
    pub fn abandon(&mut self, _now: Instant) -> Effects {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                smallvec![Effect::Terminated]
            }
            State::Completed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// Whether a 100 may leave at `now` (RFC 4320 §4.1).
    pub fn may_try(&self, now: Instant) -> bool {
        match &self.state {
            State::Trying { trying, .. } => match self.reliability {
                Reliability::Reliable => true,
                Reliability::Unreliable => *trying <= now,
            },
            State::Proceeding { .. } => true,
            State::Completed { .. } | State::Terminated => false,
        }
    }

    /// When `on_timer` is next wanted.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Trying { trying, due } => due.then_some(*trying),
            State::Completed { timer_j, .. } => Some(*timer_j),
            State::Proceeding { .. } | State::Terminated => None,
        }
    }

    /// Whether it has ended.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Input, Machine, START, at, first_word, run_out, said, table};
    use super::*;

    impl Machine for Server {
        type Effect = Effect;

        fn fire(&mut self, now: Instant) -> Vec<Effect> {
            self.on_timer(now).into_vec()
        }

        fn due(&self) -> Option<Instant> {
            self.deadline()
        }

        fn state(&self) -> String {
            first_word(&self.state)
        }

        fn has_ended(&self) -> bool {
            self.is_terminated()
        }
    }

    fn trying(reliability: Reliability) -> Server {
        Server::new(START, Timing::default(), reliability)
    }

    fn after(machine: &Server, input: impl FnOnce(&mut Server)) -> Server {
        let mut machine = machine.clone();
        input(&mut machine);
        machine
    }

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn says(effects: Effects) -> Vec<String> {
        effects.iter().map(said).collect()
    }

    const INPUTS: &[Input<Server>] = &[
        ("request again", |machine, now| says(machine.on_copy(now))),
        ("user 100", |machine, now| says(machine.respond_trying(now, bytes("100 again")))),
        ("user 200-699", |machine, now| says(machine.respond_final(now, bytes("404")))),
        ("transport error", |machine, now| says(machine.on_transport_error(now))),
        ("abandon", |machine, now| says(machine.abandon(now))),
        ("timer early", |machine, now| says(machine.on_timer(now))),
    ];

    #[test]
    fn every_state_meets_every_input() {
        let trying = trying(Reliability::Unreliable);
        let states = [
            trying.clone(),
            after(&trying, |machine| drop(machine.respond_trying(at(3_500), bytes("100")))),
            after(&trying, |machine| drop(machine.respond_final(START, bytes("200")))),
            after(&trying, |machine| drop(machine.abandon(START))),
        ];
        let written = "\
Trying
  request again: -
  user 100: -
  user 200-699: send 404 -> Completed
  transport error: TransportError
  abandon: Terminated -> Terminated
  timer early: -
  timer: +3500 ms TryingDue
Proceeding
  request again: send 100
  user 100: send 100 again
  user 200-699: send 404 -> Completed
  transport error: TransportError
  abandon: Terminated -> Terminated
  timer early: -
  timer: none
Completed
  request again: send 200
  user 100: -
  user 200-699: -
  transport error: TransportError
  abandon: -
  timer early: -
  timer: +32000 ms Terminated -> Terminated
Terminated
  request again: -
  user 100: -
  user 200-699: -
  transport error: -
  abandon: -
  timer early: -
  timer: none
";
        assert_eq!(table(START, &states, INPUTS), written);
    }

    /// Corner case 16. RFC 4320 §4.1: over UDP no 100 before a client's E would be reset to T2, and one then.
    #[test]
    fn a_100_leaves_over_udp_only_once_e_would_reach_t2_and_is_owed_then() {
        let mut machine = trying(Reliability::Unreliable);
        assert!(machine.respond_trying(at(3_499), bytes("100")).is_empty());
        assert!(machine.on_copy(at(3_499)).is_empty(), "a 100 that did not leave is not repeated either");
        assert_eq!(run_out(&mut machine.clone()), [(3_500, "TryingDue".to_owned())]);
        assert!(machine.may_try(at(3_500)));
        assert_eq!(says(machine.respond_trying(at(3_500), bytes("100"))), ["send 100"]);
        assert_eq!(machine.deadline(), None);

        let mut answered = trying(Reliability::Unreliable);
        answered.respond_final(at(10), bytes("200"));
        assert!(answered.respond_trying(at(4_000), bytes("100")).is_empty());
    }

    /// Corner case 16. RFC 4320 §4.1: over a reliable transport a 100 may leave at any time, and is owed no sooner.
    #[test]
    fn a_100_leaves_at_once_over_a_reliable_transport() {
        let mut machine = trying(Reliability::Reliable);
        assert_eq!(machine.deadline(), Some(at(3_500)));
        assert_eq!(says(machine.respond_trying(START, bytes("100"))), ["send 100"]);
    }

    /// Corner case 18. RFC 3261 §17.2.2: J is 64·T1, and zero over a reliable transport.
    #[test]
    fn a_reliable_transport_has_no_timer_j() {
        for (reliability, ends) in [(Reliability::Unreliable, 32_010), (Reliability::Reliable, 10)] {
            let mut machine = trying(reliability);
            machine.respond_final(at(10), bytes("200"));
            assert_eq!(run_out(&mut machine), [(ends, "Terminated".to_owned())]);
        }
    }

    #[test]
    fn copies_get_the_final_response_and_do_not_move_timer_j() {
        let mut machine = trying(Reliability::Unreliable);
        machine.respond_final(START, bytes("200"));
        for millis in [500, 1_500, 31_999] {
            assert_eq!(machine.on_copy(at(millis)).as_slice(), [Effect::Send(bytes("200"))]);
        }
        assert_eq!(machine.deadline(), Some(at(32_000)));
    }

    /// Corner case 16. RFC 4320 §4.2: where there is no answer, nothing is sent in its place.
    #[test]
    fn abandoned_it_ends_without_a_response() {
        let mut machine = trying(Reliability::Unreliable);
        assert_eq!(machine.abandon(at(32_000)).as_slice(), [Effect::Terminated]);
        assert!(machine.is_terminated());
    }
}
