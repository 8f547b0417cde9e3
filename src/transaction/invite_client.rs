//! The INVITE client transaction: RFC 3261 §17.1.1 with RFC 6026's Accepted state.
//!
//! Owns the INVITE's copies, the ACK of a failure and their timers. Timer C and CANCEL are the proxy core's.
//!
//! ```text
//! input ╲ state   Calling               Proceeding        Completed         Accepted
//! 1xx             pass up → Proceeding  pass up           –                 –
//! 2xx             pass up → Accepted    pass up → Accept. –                 pass up
//! 300–699         ACK, up → Completed   ACK, up → Compl.  ACK again         –
//! Timer A         INVITE again
//! Timer B         timed out → Termin.
//! Timer D                                                 → Terminated
//! Timer M                                                                   → Terminated
//! transport error tell → Terminated*    –                 tell → Terminated –
//! abandon         → Terminated          → Terminated      –                 –
//! ```
//!
//! *) Unless another copy has left.
//!
//! A from T1, doubling without end; B and M 64·T1; D at least 32 s. Over a reliable transport there is no A and D is
//! zero. B stops with the first provisional: from there on a proxy's Timer C watches (RFC 3261 §16.6 item 11).

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
    /// Send these bytes to where the INVITE went (RFC 3261 §17.1.1.3: the ACK too).
    Send(Bytes),
    /// The response just given goes to the transaction's user.
    PassUp,
    /// Timer B: nobody answered. To its user as if a 408 had come (RFC 3261 §8.1.3.1).
    TimedOut,
    /// The transport could not send. To a proxy as if a 503 had come (RFC 3261 §16.9).
    TransportError,
    /// The transaction has ended.
    Terminated,
}

/// An INVITE on its way out.
#[derive(Clone, Debug)]
pub struct InviteClient {
    timing: Timing,
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// `left` counts the copies that have left, as far as is known.
    Calling {
        request: Bytes,
        copies: Option<Copies>,
        timer_b: Instant,
        left: u32,
    },
    Proceeding,
    Completed {
        ack: Bytes,
        timer_d: Instant,
    },
    Accepted {
        timer_m: Instant,
    },
    Terminated,
}

impl InviteClient {
    /// Sends the INVITE.
    pub fn new(now: Instant, timing: Timing, reliability: Reliability, request: Bytes) -> (InviteClient, Effects) {
        let effects = smallvec![Effect::Send(request.clone())];
        let copies = Copies::armed(now, timing, reliability, None);
        let state = State::Calling { request, copies, timer_b: now + timing.patience(), left: 1 };
        (InviteClient { timing, reliability, state }, effects)
    }

    /// A 1xx came.
    pub fn on_provisional(&mut self, _now: Instant) -> Effects {
        match self.state {
            State::Calling { .. } => {
                self.state = State::Proceeding;
                smallvec![Effect::PassUp]
            }
            State::Proceeding => smallvec![Effect::PassUp],
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => Effects::new(),
        }
    }

    /// A 2xx came: the first, a copy, or one of another branch downstream. Every one goes up; its ACK is not ours.
    pub fn on_success(&mut self, now: Instant) -> Effects {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                // RFC 6026 §7.2: the first 2xx leads to Accepted and starts Timer M.
                self.state = State::Accepted { timer_m: now + self.timing.patience() };
                smallvec![Effect::PassUp]
            }
            State::Accepted { .. } => smallvec![Effect::PassUp],
            State::Completed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// A 300–699 came. `ack` builds its ACK (RFC 3261 §17.1.1.3); it is asked for once, and kept for the copies.
    pub fn on_failure(&mut self, now: Instant, ack: impl FnOnce() -> Bytes) -> Effects {
        match &self.state {
            State::Calling { .. } | State::Proceeding => {
                let ack = ack();
                let timer_d = now + self.reliability.linger(self.timing.timer_d());
                self.state = State::Completed { ack: ack.clone(), timer_d };
                smallvec![Effect::Send(ack), Effect::PassUp]
            }
            // RFC 3261 §17.1.1.2: a copy of the final response is acknowledged again and goes no further.
            State::Completed { ack, .. } => smallvec![Effect::Send(ack.clone())],
            State::Accepted { .. } | State::Terminated => Effects::new(),
        }
    }

    /// Does what is due at `now`; nothing where nothing is.
    pub fn on_timer(&mut self, now: Instant) -> Effects {
        match &mut self.state {
            State::Calling { timer_b, .. } if *timer_b <= now => {
                self.state = State::Terminated;
                smallvec![Effect::TimedOut, Effect::Terminated]
            }
            State::Calling { request, copies: Some(copies), left, .. } if copies.next() <= now => {
                *copies = copies.after_copy(now);
                *left += 1;
                smallvec![Effect::Send(request.clone())]
            }
            State::Completed { timer_d: end, .. } | State::Accepted { timer_m: end } if *end <= now => {
                self.state = State::Terminated;
                smallvec![Effect::Terminated]
            }
            State::Calling { .. }
            | State::Proceeding
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => Effects::new(),
        }
    }

    /// What was to be sent could not be sent, or was refused on its way (ICMP).
    pub fn on_transport_error(&mut self, _now: Instant) -> Effects {
        match &mut self.state {
            // Of several copies that one is lost. A phone may have had another, and ring: who is held for it is let go by its
            // answer or by Timer B (R-7.1).
            State::Calling { left, .. } if *left > 1 => {
                *left -= 1;
                Effects::new()
            }
            // RFC 3261 §17.1.4: the user is told, and the transaction ends.
            State::Calling { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                smallvec![Effect::TransportError, Effect::Terminated]
            }
            // In Proceeding and Accepted nothing of ours is under way, and the peer has shown that it is there.
            State::Proceeding | State::Accepted { .. } | State::Terminated => Effects::new(),
        }
    }

    /// Ends a branch whose CANCEL was not honoured within 64·T1 (RFC 3261 §9.1). Nothing once a final response came.
    pub fn abandon(&mut self, _now: Instant) -> Effects {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                self.state = State::Terminated;
                smallvec![Effect::Terminated]
            }
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => Effects::new(),
        }
    }

    /// When `on_timer` is next wanted.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { copies, timer_b, .. } => {
                Some(copies.map_or(*timer_b, |copies| copies.next().min(*timer_b)))
            }
            State::Completed { timer_d: end, .. } | State::Accepted { timer_m: end } => Some(*end),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// Whether it has a provisional and no final response: only then may a CANCEL leave (RFC 3261 §9.1).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }

    /// Whether no response has come yet: a CANCEL is held back.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// Whether it has ended.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Input, Machine, START, at, first_word, run_out, said, table};
    use super::*;

    impl Machine for InviteClient {
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

    fn calling(reliability: Reliability) -> InviteClient {
        let (machine, effects) =
            InviteClient::new(START, Timing::default(), reliability, Bytes::from_static(b"INVITE"));
        assert_eq!(effects.as_slice(), [Effect::Send(Bytes::from_static(b"INVITE"))]);
        machine
    }

    fn after(machine: &InviteClient, input: impl FnOnce(&mut InviteClient)) -> InviteClient {
        let mut machine = machine.clone();
        input(&mut machine);
        machine
    }

    fn ack() -> Bytes {
        Bytes::from_static(b"ACK")
    }

    fn says(effects: Effects) -> Vec<String> {
        effects.iter().map(said).collect()
    }

    fn every_state(reliability: Reliability) -> Vec<InviteClient> {
        let calling = calling(reliability);
        vec![
            calling.clone(),
            after(&calling, |machine| drop(machine.on_provisional(START))),
            after(&calling, |machine| drop(machine.on_failure(START, ack))),
            after(&calling, |machine| drop(machine.on_success(START))),
            after(&calling, |machine| drop(machine.abandon(START))),
        ]
    }

    /// RFC 3261 §9.1: a CANCEL waits for a provisional response, and comes too late after a final one.
    #[test]
    fn it_says_whether_a_cancel_may_leave() {
        for machine in every_state(Reliability::Unreliable) {
            assert_eq!(machine.is_calling(), machine.state() == "Calling");
            assert_eq!(machine.is_proceeding(), machine.state() == "Proceeding");
        }
    }

    const INPUTS: &[Input<InviteClient>] = &[
        ("1xx", |machine, now| says(machine.on_provisional(now))),
        ("2xx", |machine, now| says(machine.on_success(now))),
        ("300-699", |machine, now| says(machine.on_failure(now, ack))),
        ("transport error", |machine, now| says(machine.on_transport_error(now))),
        ("abandon", |machine, now| says(machine.abandon(now))),
        ("timer early", |machine, now| says(machine.on_timer(now))),
    ];

    #[test]
    fn every_state_meets_every_input() {
        let written = "\
Calling
  1xx: PassUp -> Proceeding
  2xx: PassUp -> Accepted
  300-699: send ACK, PassUp -> Completed
  transport error: TransportError, Terminated -> Terminated
  abandon: Terminated -> Terminated
  timer early: -
  timer: +500 ms send INVITE
Proceeding
  1xx: PassUp
  2xx: PassUp -> Accepted
  300-699: send ACK, PassUp -> Completed
  transport error: -
  abandon: Terminated -> Terminated
  timer early: -
  timer: none
Completed
  1xx: -
  2xx: -
  300-699: send ACK
  transport error: TransportError, Terminated -> Terminated
  abandon: -
  timer early: -
  timer: +32000 ms Terminated -> Terminated
Accepted
  1xx: -
  2xx: PassUp
  300-699: -
  transport error: -
  abandon: -
  timer early: -
  timer: +32000 ms Terminated -> Terminated
Terminated
  1xx: -
  2xx: -
  300-699: -
  transport error: -
  abandon: -
  timer early: -
  timer: none
";
        assert_eq!(table(START, &every_state(Reliability::Unreliable), INPUTS), written);
    }

    /// Corner cases 1 and 2. RFC 3261 §17.1.1.2: A doubles, and by 64·T1 seven INVITEs have left.
    #[test]
    fn seven_invites_leave_by_64_t1_and_a_doubles_without_a_cap() {
        let sent = |millis| (millis, "send INVITE".to_owned());
        let mut log: Vec<_> = [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(sent).into();
        log.extend([(32_000, "TimedOut".to_owned()), (32_000, "Terminated".to_owned())]);
        assert_eq!(run_out(&mut calling(Reliability::Unreliable)), log);
    }

    /// Corner case 3. RFC 3261 §17.1.1.2 for A; B runs in Calling only, and Timer C is the proxy core's (§16.6 item 11).
    #[test]
    fn the_first_provisional_stops_a_and_leaves_the_waiting_to_timer_c() {
        let mut machine = calling(Reliability::Unreliable);
        assert!(machine.is_calling());
        machine.on_provisional(at(100));
        assert!(machine.is_proceeding());
        assert_eq!(machine.deadline(), None);
        assert!(machine.on_timer(at(600_000)).is_empty());
    }

    /// Corner case 4. RFC 3261 §17.1.1.2: Timer D is at least 32 s.
    #[test]
    fn timer_d_is_at_least_32_seconds_however_short_t1_is() {
        for (t1, least) in [(10, 32), (500, 32), (1_000, 64)] {
            let timing = Timing { t1: Duration::from_millis(t1), ..Timing::default() };
            let (mut machine, _) = InviteClient::new(START, timing, Reliability::Unreliable, Bytes::new());
            machine.on_failure(START, ack);
            assert_eq!(machine.deadline(), Some(START + Duration::from_secs(least)));
        }
    }

    /// Corner case 10. RFC 6026 §7.2: M is 64·T1 from the first 2xx, and every 2xx goes up.
    #[test]
    fn every_2xx_goes_up_until_timer_m_which_copies_do_not_move() {
        let mut machine = calling(Reliability::Unreliable);
        machine.on_success(at(1_000));
        for millis in [1_500, 10_000, 32_999] {
            assert_eq!(machine.on_success(at(millis)).as_slice(), [Effect::PassUp]);
        }
        assert_eq!(run_out(&mut machine), [(33_000, "Terminated".to_owned())]);
        assert!(machine.on_success(at(33_001)).is_empty());
    }

    /// Corner case 12, the client's half. RFC 6026 §7.2: Accepted ends by Timer M only.
    #[test]
    fn a_transport_error_in_accepted_does_not_end_it() {
        let mut machine = calling(Reliability::Unreliable);
        machine.on_success(START);
        assert!(machine.on_transport_error(at(10)).is_empty());
        assert!(!machine.is_terminated());
    }

    #[test]
    fn a_copy_that_cannot_be_sent_is_lost_and_ends_nothing() {
        let mut machine = calling(Reliability::Unreliable);
        for due in [500, 1_500] {
            assert_eq!(says(machine.on_timer(at(due))), ["send INVITE"]);
            assert!(machine.on_transport_error(at(due)).is_empty());
            assert!(machine.is_calling());
        }
        assert_eq!(says(machine.on_timer(at(32_000))), ["TimedOut", "Terminated"]);
        let mut first = calling(Reliability::Unreliable);
        assert_eq!(says(first.on_transport_error(at(0))), ["TransportError", "Terminated"]);
    }

    /// Corner case 18. RFC 3261 §17.1.1.2: over a reliable transport no A, and D zero. B and M as ever.
    #[test]
    fn a_reliable_transport_has_no_copies_and_no_timer_d() {
        let mut machine = calling(Reliability::Reliable);
        let timed_out = [(32_000, "TimedOut".to_owned()), (32_000, "Terminated".to_owned())];
        assert_eq!(run_out(&mut machine), timed_out);

        let mut failed = calling(Reliability::Reliable);
        failed.on_failure(at(20), ack);
        assert_eq!(run_out(&mut failed), [(20, "Terminated".to_owned())]);

        let mut accepted = calling(Reliability::Reliable);
        accepted.on_success(at(20));
        assert_eq!(accepted.deadline(), Some(at(32_020)));
    }

    #[test]
    fn the_ack_is_built_once_and_the_copies_get_the_same() {
        let mut machine = calling(Reliability::Unreliable);
        let effects = machine.on_failure(at(50), || Bytes::from_static(b"ACK 1"));
        assert_eq!(effects.as_slice(), [Effect::Send(Bytes::from_static(b"ACK 1")), Effect::PassUp]);
        let again = machine.on_failure(at(550), || panic!("it has one"));
        assert_eq!(again.as_slice(), [Effect::Send(Bytes::from_static(b"ACK 1"))]);
        assert_eq!(machine.deadline(), Some(at(32_050)), "copies do not move Timer D");
    }

    #[test]
    fn a_late_timer_sends_one_copy_and_keeps_to_the_schedule() {
        let mut machine = calling(Reliability::Unreliable);
        assert_eq!(says(machine.on_timer(at(10_000))), ["send INVITE"]);
        assert!(machine.on_timer(at(10_000)).is_empty(), "the same instant twice");
        assert_eq!(machine.deadline(), Some(at(15_500)));
        assert_eq!(says(machine.on_timer(at(15_503))), ["send INVITE"]);
        assert_eq!(machine.deadline(), Some(at(31_500)), "lateness does not add up");
    }

    #[test]
    fn after_a_pause_beyond_b_it_times_out_without_another_copy() {
        let mut machine = calling(Reliability::Unreliable);
        assert_eq!(says(machine.on_timer(at(600_000))), ["TimedOut", "Terminated"]);
    }
}
