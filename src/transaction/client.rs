//! The non-INVITE client transaction: RFC 3261 §17.1.2. (CANCEL and BYE are non-INVITE; ACK is no transaction.)
//!
//! Owns the request's copies and their timers.
//!
//! ```text
//! input ╲ state   Trying                Proceeding            Completed
//! 1xx             pass up → Proceeding  pass up               –
//! 200–699         pass up → Completed   pass up → Completed   –
//! Timer E         request again         request again
//! Timer F         timed out → Termin.   timed out → Termin.
//! Timer K                                                     → Terminated
//! transport error tell → Terminated     tell → Terminated     –
//! abandon         → Terminated          → Terminated          –
//! ```
//!
//! E from T1, doubling to T2, and T2 once there is a provisional; F 64·T1; K T4. Over a reliable transport there is no E
//! and K is zero.

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
    /// Send these bytes to where the request goes.
    Send(Bytes),
    /// The response just given goes to the transaction's user.
    PassUp,
    /// Timer F: nobody answered. No 408 may be made of it (RFC 4320 §4.2).
    TimedOut,
    /// The transport could not send. To a proxy as if a 503 had come (RFC 3261 §16.9).
    TransportError,
    /// The transaction has ended.
    Terminated,
}

/// A request other than INVITE and ACK on its way out.
#[derive(Clone, Debug)]
pub struct Client {
    timing: Timing,
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Trying { request: Bytes, copies: Option<Copies>, timer_f: Instant },
    Proceeding { request: Bytes, copies: Option<Copies>, timer_f: Instant },
    Completed { timer_k: Instant },
    Terminated,
}

impl Client {
    /// Sends the request.
    pub fn new(now: Instant, timing: Timing, reliability: Reliability, request: Bytes) -> (Client, Effects) {
        let effects = smallvec![Effect::Send(request.clone())];
        let copies = Copies::armed(now, timing, reliability, Some(timing.t2));
        let state = State::Trying { request, copies, timer_f: now + timing.patience() };
        (Client { timing, reliability, state }, effects)
    }

    /// A 1xx came.
    pub fn on_provisional(&mut self, _now: Instant) -> Effects {
        match &self.state {
            State::Trying { request, copies, timer_f } => {
                // RFC 3261 §17.1.2.2: Timer E goes on running, and is T2 from its next firing on.
                self.state = State::Proceeding {
                    request: request.clone(),
                    copies: copies.map(|copies| copies.every(self.timing.t2)),
                    timer_f: *timer_f,
                };
                smallvec![Effect::PassUp]
            }
            State::Proceeding { .. } => smallvec![Effect::PassUp],
            State::Completed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// A 200–699 came. Copies of it are absorbed.
    pub fn on_final(&mut self, now: Instant) -> Effects {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Completed { timer_k: now + self.reliability.linger(self.timing.t4) };
                smallvec![Effect::PassUp]
            }
            State::Completed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// Does what is due at `now`; nothing where nothing is.
    pub fn on_timer(&mut self, now: Instant) -> Effects {
        match &mut self.state {
            State::Trying { timer_f, .. } | State::Proceeding { timer_f, .. } if *timer_f <= now => {
                self.state = State::Terminated;
                smallvec![Effect::TimedOut, Effect::Terminated]
            }
            State::Trying { request, copies: Some(copies), .. }
            | State::Proceeding { request, copies: Some(copies), .. }
                if copies.next() <= now =>
            {
                *copies = copies.after_copy(now);
                smallvec![Effect::Send(request.clone())]
            }
            State::Completed { timer_k } if *timer_k <= now => {
                self.state = State::Terminated;
                smallvec![Effect::Terminated]
            }
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {
                Effects::new()
            }
        }
    }

    /// What was to be sent could not be sent, or was refused on its way (ICMP).
    pub fn on_transport_error(&mut self, _now: Instant) -> Effects {
        match self.state {
            // RFC 3261 §17.1.4: the user is told, and the transaction ends.
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                smallvec![Effect::TransportError, Effect::Terminated]
            }
            State::Completed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// Ends it without waiting for an answer. Nothing once a final response came.
    pub fn abandon(&mut self, _now: Instant) -> Effects {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                smallvec![Effect::Terminated]
            }
            State::Completed { .. } | State::Terminated => Effects::new(),
        }
    }

    /// When `on_timer` is next wanted.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Trying { copies, timer_f, .. } | State::Proceeding { copies, timer_f, .. } => {
                Some(copies.map_or(*timer_f, |copies| copies.next().min(*timer_f)))
            }
            State::Completed { timer_k } => Some(*timer_k),
            State::Terminated => None,
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

    impl Machine for Client {
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

    fn trying(reliability: Reliability) -> Client {
        let (machine, effects) = Client::new(START, Timing::default(), reliability, Bytes::from_static(b"BYE"));
        assert_eq!(effects.as_slice(), [Effect::Send(Bytes::from_static(b"BYE"))]);
        machine
    }

    fn after(machine: &Client, input: impl FnOnce(&mut Client)) -> Client {
        let mut machine = machine.clone();
        input(&mut machine);
        machine
    }

    fn says(effects: Effects) -> Vec<String> {
        effects.iter().map(said).collect()
    }

    const INPUTS: &[Input<Client>] = &[
        ("1xx", |machine, now| says(machine.on_provisional(now))),
        ("200-699", |machine, now| says(machine.on_final(now))),
        ("transport error", |machine, now| says(machine.on_transport_error(now))),
        ("abandon", |machine, now| says(machine.abandon(now))),
        ("timer early", |machine, now| says(machine.on_timer(now))),
    ];

    #[test]
    fn every_state_meets_every_input() {
        let trying = trying(Reliability::Unreliable);
        let states = [
            trying.clone(),
            after(&trying, |machine| drop(machine.on_provisional(START))),
            after(&trying, |machine| drop(machine.on_final(START))),
            after(&trying, |machine| drop(machine.abandon(START))),
        ];
        let written = "\
Trying
  1xx: PassUp -> Proceeding
  200-699: PassUp -> Completed
  transport error: TransportError, Terminated -> Terminated
  abandon: Terminated -> Terminated
  timer early: -
  timer: +500 ms send BYE
Proceeding
  1xx: PassUp
  200-699: PassUp -> Completed
  transport error: TransportError, Terminated -> Terminated
  abandon: Terminated -> Terminated
  timer early: -
  timer: +500 ms send BYE
Completed
  1xx: -
  200-699: -
  transport error: -
  abandon: -
  timer early: -
  timer: +5000 ms Terminated -> Terminated
Terminated
  1xx: -
  200-699: -
  transport error: -
  abandon: -
  timer early: -
  timer: none
";
        assert_eq!(table(START, &states, INPUTS), written);
    }

    /// Corner cases 1 and 2. RFC 3261 §17.1.2.2: E is min(2·E, T2), and by 64·T1 eleven requests have left.
    #[test]
    fn eleven_requests_leave_by_64_t1_and_e_is_capped_at_t2() {
        let sent = |millis| (millis, "send BYE".to_owned());
        let mut log: Vec<_> =
            [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map(sent).into();
        log.extend([(32_000, "TimedOut".to_owned()), (32_000, "Terminated".to_owned())]);
        assert_eq!(run_out(&mut trying(Reliability::Unreliable)), log);
    }

    /// RFC 3261 §17.1.2.2: in Proceeding E is reset to T2 when it fires; F goes on.
    #[test]
    fn after_a_provisional_copies_leave_every_t2_and_f_still_ends_it() {
        let mut machine = trying(Reliability::Unreliable);
        machine.on_provisional(at(100));
        let sent = |millis| (millis, "send BYE".to_owned());
        let mut log: Vec<_> = [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500].map(sent).into();
        log.extend([(32_000, "TimedOut".to_owned()), (32_000, "Terminated".to_owned())]);
        assert_eq!(run_out(&mut machine), log);
    }

    /// Corner case 17. RFC 3261 §17.1.2.2: copies of the final response go no further for T4; nor does one after F.
    #[test]
    fn a_late_final_response_is_swallowed() {
        let mut machine = trying(Reliability::Unreliable);
        machine.on_final(at(100));
        assert!(machine.on_final(at(200)).is_empty());
        assert_eq!(run_out(&mut machine), [(5_100, "Terminated".to_owned())]);

        let mut timed_out = trying(Reliability::Unreliable);
        run_out(&mut timed_out);
        assert!(timed_out.on_final(at(32_001)).is_empty());
    }

    /// Corner case 18. RFC 3261 §17.1.2.2: over a reliable transport no E, and K zero.
    #[test]
    fn a_reliable_transport_has_no_copies_and_no_timer_k() {
        let timed_out = [(32_000, "TimedOut".to_owned()), (32_000, "Terminated".to_owned())];
        assert_eq!(run_out(&mut trying(Reliability::Reliable)), timed_out);

        let mut answered = trying(Reliability::Reliable);
        answered.on_provisional(at(10));
        assert_eq!(answered.deadline(), Some(at(32_000)));
        answered.on_final(at(20));
        assert_eq!(run_out(&mut answered), [(20, "Terminated".to_owned())]);
    }

    #[test]
    fn a_late_timer_sends_one_copy_and_skips_what_fell_due_meanwhile() {
        let mut machine = trying(Reliability::Unreliable);
        assert_eq!(says(machine.on_timer(at(20_000))), ["send BYE"]);
        assert!(machine.on_timer(at(20_000)).is_empty());
        assert_eq!(machine.deadline(), Some(at(23_500)));
        assert_eq!(says(machine.on_timer(at(600_000))), ["TimedOut", "Terminated"]);
    }
}
