//! The INVITE server transaction: RFC 3261 §17.2.1 with RFC 6026's Accepted state.
//!
//! Owns the copies of the response and their timers. Which response, and what an ACK of a 2xx means, is its user's.
//!
//! ```text
//! input ╲ state   Proceeding           Completed         Confirmed     Accepted
//! INVITE again    last response again  response again    –             –
//! ACK             absorb               absorb → Confirm. absorb        pass up
//! user: 1xx       send                 –                 –             –
//! user: 300–699   send → Completed     –                 –             –
//! user: 2xx       send → Accepted      –                 –             send
//! 200 ms          trying due (once)
//! Timer G                              response again
//! Timer H                              tell → Terminated
//! Timer I                                                → Terminated
//! Timer L                                                              → Terminated
//! transport error tell                 tell              –             tell
//! ```
//!
//! G from T1, doubling to T2; H and L 64·T1; I T4. Over a reliable transport there is no G and I is zero.

use std::time::Duration;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::timing::Copies;
use super::{Reliability, Timing};
use crate::time::Instant;

/// What is to be done, in order.
pub type Effects = SmallVec<[Effect; 2]>;

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send these bytes to where responses to this INVITE go (RFC 3261 §18.2.2, RFC 3581).
    Send(Bytes),
    /// 200 ms passed and the user has said nothing: it owes a 100, by `respond_provisional`.
    TryingDue,
    /// Timer H: the failure was never acknowledged.
    Expired,
    /// A response could not be sent.
    TransportError,
    /// The transaction has ended.
    Terminated,
}

/// What becomes of an ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckFate {
    /// It was for a failure of ours, or for nothing: it goes no further.
    Absorbed,
    /// It is for a 2xx: it goes to the user (RFC 6026 §7.1).
    PassUp,
}

/// How long the user may leave an INVITE without any response (RFC 3261 §17.2.1).
const TRYING_AFTER: Duration = Duration::from_millis(200);

/// An INVITE that came in.
#[derive(Clone, Debug)]
pub struct InviteServer {
    timing: Timing,
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// `trying` is when a 100 is due, until any response has left.
    Proceeding {
        last: Option<Bytes>,
        trying: Option<Instant>,
    },
    Completed {
        response: Bytes,
        copies: Option<Copies>,
        timer_h: Instant,
    },
    Confirmed {
        timer_i: Instant,
    },
    Accepted {
        timer_l: Instant,
    },
    Terminated,
}

impl InviteServer {
    /// An INVITE that matched no transaction came.
    pub fn new(now: Instant, timing: Timing, reliability: Reliability) -> InviteServer {
        InviteServer { timing, reliability, state: State::Proceeding { last: None, trying: Some(now + TRYING_AFTER) } }
    }

    /// The INVITE came again.
    pub fn on_copy(&mut self, _now: Instant) -> Effects {
        match &self.state {
            State::Proceeding { last, .. } => last.iter().cloned().map(Effect::Send).collect(),
            State::Completed { response, .. } => smallvec![Effect::Send(response.clone())],
            // RFC 6026 §7.1: in Accepted it is absorbed; the user sends the copies of a 2xx.
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => Effects::new(),
        }
    }

    /// An ACK came that matches.
    pub fn on_ack(&mut self, now: Instant) -> AckFate {
        match self.state {
            State::Completed { .. } => {
                self.state = State::Confirmed { timer_i: now + self.reliability.linger(self.timing.t4) };
                AckFate::Absorbed
            }
            State::Accepted { .. } => AckFate::PassUp,
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => AckFate::Absorbed,
        }
    }

    /// The user sends a 1xx.
    pub fn respond_provisional(&mut self, _now: Instant, response: Bytes) -> Effects {
        match &mut self.state {
            State::Proceeding { last, trying } => {
                *last = Some(response.clone());
                *trying = None;
                smallvec![Effect::Send(response)]
            }
            State::Completed { .. } | State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => {
                Effects::new()
            }
        }
    }

    /// The user sends a 300–699. Only the first final response counts; another is discarded (RFC 3261 §17.2.1).
    pub fn respond_failure(&mut self, now: Instant, response: Bytes) -> Effects {
        match self.state {
            State::Proceeding { .. } => {
                self.state = State::Completed {
                    response: response.clone(),
                    copies: Copies::armed(now, self.timing, self.reliability, Some(self.timing.t2)),
                    timer_h: now + self.timing.patience(),
                };
                smallvec![Effect::Send(response)]
            }
            State::Completed { .. } | State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => {
                Effects::new()
            }
        }
    }

    /// The user sends a 2xx: the first, a copy, or one of another branch. After a failure it is discarded (RFC 3261
    /// §17.2.1). It is never sent again by the transaction: whoever made it does that.
    pub fn respond_success(&mut self, now: Instant, response: Bytes) -> Effects {
        match self.state {
            State::Proceeding { .. } => {
                self.state = State::Accepted { timer_l: now + self.timing.patience() };
                smallvec![Effect::Send(response)]
            }
            State::Accepted { .. } => smallvec![Effect::Send(response)],
            State::Completed { .. } | State::Confirmed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// Does what is due at `now`; nothing where nothing is.
    pub fn on_timer(&mut self, now: Instant) -> Effects {
        match &mut self.state {
            State::Proceeding { trying, .. } if trying.is_some_and(|due| due <= now) => {
                *trying = None;
                smallvec![Effect::TryingDue]
            }
            State::Completed { timer_h, .. } if *timer_h <= now => {
                self.state = State::Terminated;
                smallvec![Effect::Expired, Effect::Terminated]
            }
            State::Completed { response, copies: Some(copies), .. } if copies.next() <= now => {
                *copies = copies.after_copy(now);
                smallvec![Effect::Send(response.clone())]
            }
            State::Confirmed { timer_i: end } | State::Accepted { timer_l: end } if *end <= now => {
                self.state = State::Terminated;
                smallvec![Effect::Terminated]
            }
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => Effects::new(),
        }
    }

    /// A response could not be sent. The user is told; the transaction stays as it is.
    ///
    /// RFC 6026 §7.1 wants that in Accepted. RFC 3261's figure ends the transaction in Proceeding and Completed; it is kept
    /// there too, for over UDP an error is one datagram's, a copy may get through, and Timer H ends it anyway.
    pub fn on_transport_error(&mut self, _now: Instant) -> Effects {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } | State::Accepted { .. } => {
                smallvec![Effect::TransportError]
            }
            State::Confirmed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// When `on_timer` is next wanted.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding { trying, .. } => *trying,
            State::Completed { copies, timer_h, .. } => {
                Some(copies.map_or(*timer_h, |copies| copies.next().min(*timer_h)))
            }
            State::Confirmed { timer_i: end } | State::Accepted { timer_l: end } => Some(*end),
            State::Terminated => None,
        }
    }

    /// Whether no final response has been sent: only then has a CANCEL an effect (RFC 3261 §9.2).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
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

    impl Machine for InviteServer {
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

    fn proceeding(reliability: Reliability) -> InviteServer {
        InviteServer::new(START, Timing::default(), reliability)
    }

    fn after(machine: &InviteServer, input: impl FnOnce(&mut InviteServer)) -> InviteServer {
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

    fn every_state() -> Vec<InviteServer> {
        let fresh = proceeding(Reliability::Unreliable);
        let completed = after(&fresh, |machine| drop(machine.respond_failure(START, bytes("486"))));
        let confirmed = after(&completed, |machine| assert_eq!(machine.on_ack(START), AckFate::Absorbed));
        vec![
            fresh.clone(),
            after(&fresh, |machine| drop(machine.respond_provisional(START, bytes("180")))),
            completed,
            confirmed.clone(),
            after(&fresh, |machine| drop(machine.respond_success(START, bytes("200")))),
            after(&confirmed, |machine| drop(machine.on_timer(at(5_000)))),
        ]
    }

    const INPUTS: &[Input<InviteServer>] = &[
        ("INVITE again", |machine, now| says(machine.on_copy(now))),
        ("ACK", |machine, now| vec![format!("{:?}", machine.on_ack(now))]),
        ("user 1xx", |machine, now| says(machine.respond_provisional(now, bytes("183")))),
        ("user 300-699", |machine, now| says(machine.respond_failure(now, bytes("603")))),
        ("user 2xx", |machine, now| says(machine.respond_success(now, bytes("200 again")))),
        ("transport error", |machine, now| says(machine.on_transport_error(now))),
        ("timer early", |machine, now| says(machine.on_timer(now))),
    ];

    /// RFC 3261 §9.2: a CANCEL has an effect while no final response has been sent.
    #[test]
    fn it_says_whether_a_cancel_has_an_effect() {
        for machine in every_state() {
            assert_eq!(machine.is_proceeding(), machine.state() == "Proceeding");
        }
    }

    #[test]
    fn every_state_meets_every_input() {
        let written = "\
Proceeding
  INVITE again: -
  ACK: Absorbed
  user 1xx: send 183
  user 300-699: send 603 -> Completed
  user 2xx: send 200 again -> Accepted
  transport error: TransportError
  timer early: -
  timer: +200 ms TryingDue
Proceeding
  INVITE again: send 180
  ACK: Absorbed
  user 1xx: send 183
  user 300-699: send 603 -> Completed
  user 2xx: send 200 again -> Accepted
  transport error: TransportError
  timer early: -
  timer: none
Completed
  INVITE again: send 486
  ACK: Absorbed -> Confirmed
  user 1xx: -
  user 300-699: -
  user 2xx: -
  transport error: TransportError
  timer early: -
  timer: +500 ms send 486
Confirmed
  INVITE again: -
  ACK: Absorbed
  user 1xx: -
  user 300-699: -
  user 2xx: -
  transport error: -
  timer early: -
  timer: +5000 ms Terminated -> Terminated
Accepted
  INVITE again: -
  ACK: PassUp
  user 1xx: -
  user 300-699: -
  user 2xx: send 200 again
  transport error: TransportError
  timer early: -
  timer: +32000 ms Terminated -> Terminated
Terminated
  INVITE again: -
  ACK: Absorbed
  user 1xx: -
  user 300-699: -
  user 2xx: -
  transport error: -
  timer early: -
  timer: none
";
        assert_eq!(table(START, &every_state(), INPUTS), written);
    }

    /// Corner case 5. RFC 3261 §17.2.1: a 100 unless the user says something within 200 ms.
    #[test]
    fn a_100_is_owed_after_200_ms_of_silence_and_asked_for_once() {
        let mut silent = proceeding(Reliability::Unreliable);
        assert_eq!(run_out(&mut silent), [(200, "TryingDue".to_owned())]);

        let mut rung = proceeding(Reliability::Unreliable);
        rung.respond_provisional(at(150), bytes("180"));
        assert_eq!(rung.deadline(), None);
    }

    /// Corner case 6. RFC 3261 §17.2.1.
    #[test]
    fn a_retransmitted_invite_in_proceeding_gets_the_last_provisional() {
        let mut machine = proceeding(Reliability::Unreliable);
        assert!(machine.on_copy(at(1)).is_empty(), "nothing was said yet");
        for response in ["100", "180", "183"] {
            machine.respond_provisional(at(10), bytes(response));
            assert_eq!(machine.on_copy(at(20)).as_slice(), [Effect::Send(bytes(response))]);
        }
    }

    /// Corner case 7. RFC 3261 §17.2.1: G is min(2·G, T2) after each firing, H 64·T1.
    #[test]
    fn a_failure_is_sent_again_ever_slower_up_to_t2_until_h() {
        let mut machine = proceeding(Reliability::Unreliable);
        machine.respond_failure(START, bytes("486"));
        let sent = |millis| (millis, "send 486".to_owned());
        let mut log: Vec<_> =
            [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map(sent).into();
        log.extend([(32_000, "Expired".to_owned()), (32_000, "Terminated".to_owned())]);
        assert_eq!(run_out(&mut machine), log);
    }

    /// Corner case 8. RFC 3261 §17.2.1: the ACK stops G and H; I is T4 from the first ACK.
    #[test]
    fn the_ack_of_a_failure_is_absorbed_for_t4() {
        let mut machine = proceeding(Reliability::Unreliable);
        machine.respond_failure(START, bytes("486"));
        assert_eq!(machine.on_ack(at(700)), AckFate::Absorbed);
        assert_eq!(machine.on_ack(at(900)), AckFate::Absorbed);
        assert!(machine.on_copy(at(1_000)).is_empty());
        assert_eq!(run_out(&mut machine), [(5_700, "Terminated".to_owned())]);
    }

    /// Corner case 9. RFC 6026 §7.1: Accepted for L = 64·T1 from the first 2xx.
    #[test]
    fn in_accepted_copies_are_absorbed_more_2xx_pass_and_acks_go_up() {
        let mut machine = proceeding(Reliability::Unreliable);
        machine.respond_success(at(1_000), bytes("200"));
        assert!(machine.on_copy(at(1_100)).is_empty());
        assert_eq!(machine.on_ack(at(1_200)), AckFate::PassUp);
        let other = bytes("200 of another branch");
        assert_eq!(machine.respond_success(at(20_000), other.clone()).as_slice(), [Effect::Send(other)]);
        assert_eq!(run_out(&mut machine), [(33_000, "Terminated".to_owned())]);
    }

    /// Corner case 12, the server's half. RFC 6026 §7.1.
    #[test]
    fn a_transport_error_in_accepted_is_told_and_does_not_end_it() {
        let mut machine = proceeding(Reliability::Unreliable);
        machine.respond_success(START, bytes("200"));
        assert_eq!(machine.on_transport_error(at(1)).as_slice(), [Effect::TransportError]);
        assert_eq!(machine.on_ack(at(2)), AckFate::PassUp);
    }

    /// Corner case 18. RFC 3261 §17.2.1: over a reliable transport no G, I zero; H and L as ever.
    #[test]
    fn a_reliable_transport_has_no_copies_and_no_timer_i() {
        let mut machine = proceeding(Reliability::Reliable);
        machine.respond_failure(START, bytes("486"));
        let mut unacknowledged = machine.clone();
        let expired = [(32_000, "Expired".to_owned()), (32_000, "Terminated".to_owned())];
        assert_eq!(run_out(&mut unacknowledged), expired);

        machine.on_ack(at(40));
        assert_eq!(run_out(&mut machine), [(40, "Terminated".to_owned())]);

        let mut accepted = proceeding(Reliability::Reliable);
        accepted.respond_success(START, bytes("200"));
        assert_eq!(accepted.deadline(), Some(at(32_000)));
    }

    #[test]
    fn only_the_first_final_response_leaves() {
        let mut machine = proceeding(Reliability::Unreliable);
        machine.respond_failure(START, bytes("486"));
        assert!(machine.respond_success(at(1), bytes("200")).is_empty());
        assert!(machine.respond_failure(at(2), bytes("603")).is_empty());
        assert_eq!(machine.on_copy(at(3)).as_slice(), [Effect::Send(bytes("486"))]);
    }

    #[test]
    fn a_late_timer_sends_one_copy() {
        let mut machine = proceeding(Reliability::Unreliable);
        machine.respond_failure(START, bytes("486"));
        assert_eq!(says(machine.on_timer(at(20_000))), ["send 486"]);
        assert!(machine.on_timer(at(20_000)).is_empty());
        assert_eq!(machine.deadline(), Some(at(23_500)));
    }
}
