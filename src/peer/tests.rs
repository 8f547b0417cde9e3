//! Phones and trunks against each other, in memory, on a clock of our own.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::time::Instant;

const PHONE: &str = "192.0.2.21:5060";
const TRUNK: &str = "192.0.2.1:5060";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A wire between one phone and one trunk, 10 ms long.
struct Wire {
    now: Instant,
    phone: Phone,
    trunk: Trunk,
    in_flight: Vec<(Instant, SocketAddr, Datagram)>,
    /// Datagrams to lose: how many sent ones of that first word are still to vanish.
    lose: Vec<(&'static str, u32)>,
    sent: Vec<String>,
    phone_events: Vec<CallEvent>,
    trunk_events: Vec<CallEvent>,
}

impl Wire {
    fn new(behaviour: Behaviour) -> Wire {
        let phone = Phone::new(PhoneSettings {
            extension: "221".into(),
            domain: "acme.example".into(),
            password: "secret".into(),
            address: address(PHONE),
            registrar: address(TRUNK),
            behaviour,
            seed: 1,
        });
        let trunk = Trunk::new(TrunkSettings::new(address(TRUNK), address(PHONE), 2));
        Wire {
            now: Instant::ORIGIN,
            phone,
            trunk,
            in_flight: vec![],
            lose: vec![],
            sent: vec![],
            phone_events: vec![],
            trunk_events: vec![],
        }
    }

    fn drain(&mut self) {
        while let Some(datagram) = self.phone.poll_output() {
            self.put(address(PHONE), datagram);
        }
        while let Some(datagram) = self.trunk.poll_output() {
            self.put(address(TRUNK), datagram);
        }
        while let Some(event) = self.phone.poll_event() {
            if let PhoneEvent::Call(_, event) = event {
                self.phone_events.push(event);
            }
        }
        while let Some((_, event)) = self.trunk.poll_event() {
            self.trunk_events.push(event);
        }
    }

    fn put(&mut self, from: SocketAddr, datagram: Datagram) {
        let line = String::from_utf8_lossy(&datagram.bytes).lines().next().unwrap_or_default().to_owned();
        let word = line.trim_start_matches("SIP/2.0 ").split(' ').next().unwrap_or_default().to_owned();
        self.sent.push(word.clone());
        if let Some((_, left)) = self.lose.iter_mut().find(|(lost, left)| *lost == word && *left > 0) {
            *left -= 1;
            return;
        }
        self.in_flight.push((self.now + Duration::from_millis(10), from, datagram));
    }

    fn run(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            self.drain();
            let arrival = self.in_flight.iter().map(|(at, ..)| *at).min();
            let timers = self.phone.deadline().into_iter().chain(self.trunk.deadline());
            let Some(next) = arrival.into_iter().chain(timers).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            while let Some(index) = self.in_flight.iter().position(|(at, ..)| *at <= self.now) {
                let (_, from, datagram) = self.in_flight.remove(index);
                if datagram.to == address(PHONE) {
                    self.phone.receive(self.now, from, &datagram.bytes);
                } else {
                    assert_eq!(datagram.to, address(TRUNK));
                    self.trunk.receive(self.now, from, &datagram.bytes);
                }
            }
            self.phone.on_timeout(self.now);
            self.trunk.on_timeout(self.now);
        }
        self.now = end;
        assert_eq!((self.phone.unreadable(), self.trunk.unreadable()), (0, 0));
    }

    fn count(&self, word: &str) -> usize {
        self.sent.iter().filter(|sent| *sent == word).count()
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn answering() -> Behaviour {
    Behaviour::answer_after(SECOND)
}

#[test]
fn a_call_is_answered_and_ended_by_the_caller() {
    let mut wire = Wire::new(answering());
    let call = wire.trunk.call(wire.now, "221", "+919811112222");
    wire.run(SECOND / 2);
    assert!(wire.phone.is_ringing() && !wire.phone.is_talking());
    wire.run(SECOND);
    assert!(wire.phone.is_talking() && wire.trunk.is_talking(call));
    wire.trunk.hang_up(wire.now, call);
    wire.run(SECOND);
    assert_eq!(wire.sent, ["INVITE", "180", "200", "ACK", "BYE", "200"]);
    assert_eq!(wire.phone_events.last(), Some(&CallEvent::Ended { by: EndedBy::Remote }));
    assert_eq!(wire.trunk_events.last(), Some(&CallEvent::Ended { by: EndedBy::Us }));
    assert_eq!((wire.trunk.calls_alive(), wire.phone.times_rung(), wire.phone.most_calls_at_once()), (0, 1, 1));
}

#[test]
fn a_phone_hangs_up_by_itself_after_talking() {
    let behaviour = answering().with_progress(Progress::EarlyMediaThenRinging).hang_up_after(SECOND * 3);
    let mut wire = Wire::new(behaviour);
    wire.trunk.call(wire.now, "221", "x");
    wire.run(SECOND * 6);
    assert_eq!(wire.sent, ["INVITE", "183", "180", "200", "ACK", "BYE", "200"]);
    assert_eq!(wire.trunk_events.last(), Some(&CallEvent::Ended { by: EndedBy::Remote }));
    assert!(wire.phone_events.contains(&CallEvent::AckReceived));
}

#[test]
fn a_cancelled_call_gets_200_and_487() {
    let mut wire = Wire::new(Behaviour::ring_only());
    let call = wire.trunk.call(wire.now, "221", "x");
    // Before any provisional response: the CANCEL waits for the 180.
    wire.trunk.cancel(wire.now, call);
    wire.run(SECOND);
    assert_eq!(wire.sent, ["INVITE", "180", "CANCEL", "200", "487", "ACK"]);
    assert_eq!(wire.phone_events.last(), Some(&CallEvent::Cancelled { reason: None }));
    let refused = CallEvent::Refused { status: 487, reason: None, retry_after: None };
    assert_eq!(wire.trunk_events.last(), Some(&refused));
    assert!(!wire.phone.is_ringing());
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut wire = Wire::new(Behaviour::answer_despite_cancel());
    let call = wire.trunk.call(wire.now, "221", "x");
    wire.run(SECOND);
    wire.trunk.cancel(wire.now, call);
    wire.run(SECOND);
    assert_eq!(wire.sent, ["INVITE", "180", "CANCEL", "200", "200", "ACK", "BYE", "200"]);
    assert_eq!(wire.trunk_events.last(), Some(&CallEvent::Ended { by: EndedBy::Us }));
    assert_eq!(wire.trunk.calls_alive(), 0);
}

#[test]
fn a_refusal_and_a_redirect_are_acknowledged() {
    for (behaviour, status) in [(Behaviour::refuse(486, SECOND), 486), (Behaviour::redirect("sip:9@192.0.2.99"), 302)] {
        let mut wire = Wire::new(behaviour);
        wire.trunk.call(wire.now, "221", "x");
        wire.run(SECOND * 40);
        assert_eq!(wire.count(&status.to_string()), 1);
        assert_eq!(wire.count("ACK"), 1);
        let refused = CallEvent::Refused { status, reason: None, retry_after: None };
        assert_eq!(wire.trunk_events.last(), Some(&refused));
        assert_eq!(wire.phone_events.last(), Some(&CallEvent::Declined { status }));
    }
}

#[test]
fn a_silent_phone_lets_the_caller_time_out_after_seven_invites() {
    let mut wire = Wire::new(Behaviour::silent());
    wire.trunk.call(wire.now, "221", "x");
    wire.run(SECOND * 31);
    assert!(wire.trunk_events.is_empty());
    wire.run(SECOND * 2);
    assert_eq!(wire.trunk_events, [CallEvent::TimedOut]);
    assert_eq!(wire.sent, ["INVITE"; 7]);
    assert_eq!(wire.phone.times_rung(), 1);
}

#[test]
fn any_lost_datagram_is_made_good() {
    for lost in ["INVITE", "180", "200", "ACK", "BYE"] {
        for times in [1, 2] {
            let mut wire = Wire::new(answering());
            wire.lose = vec![(lost, times)];
            let call = wire.trunk.call(wire.now, "221", "x");
            wire.run(SECOND * 10);
            assert!(wire.phone.is_talking() && wire.trunk.is_talking(call), "{lost} lost {times} times");
            assert!(wire.phone_events.contains(&CallEvent::AckReceived));
            wire.trunk.hang_up(wire.now, call);
            wire.run(SECOND * 10);
            assert_eq!(wire.trunk_events.last(), Some(&CallEvent::Ended { by: EndedBy::Us }), "{lost}");
            assert_eq!(wire.phone_events.last(), Some(&CallEvent::Ended { by: EndedBy::Remote }), "{lost}");
            assert_eq!(wire.phone.times_rung(), 1);
        }
    }
}

#[test]
fn a_200_that_is_never_acknowledged_ends_with_a_bye() {
    let mut wire = Wire::new(answering());
    wire.lose = vec![("ACK", 1000)];
    wire.trunk.call(wire.now, "221", "x");
    wire.run(SECOND * 60);
    assert_eq!(wire.phone_events.last(), Some(&CallEvent::Ended { by: EndedBy::NoAck }));
    assert_eq!(wire.trunk_events.last(), Some(&CallEvent::Ended { by: EndedBy::Remote }));
    // 0.5, 1.5, 3.5, 7.5, then every 4 s up to 32 s (11 copies), and the answer to the BYE.
    assert_eq!(wire.count("200"), 12);
}

#[test]
fn a_phone_calls_holds_and_both_sides_may_reinvite() {
    let mut wire = Wire::new(Behaviour::ring_only());
    wire.phone.call(wire.now, "sip:305@acme.example");
    wire.run(SECOND);
    assert!(wire.phone.is_talking());
    assert!(wire.phone.reinvite(wire.now).is_some());
    wire.run(SECOND);
    assert_eq!(wire.phone_events.last(), Some(&CallEvent::Reinvited { status: 200 }));
    let incoming = CallKey(1);
    wire.trunk.reinvite(wire.now, incoming);
    wire.run(SECOND);
    assert!(wire.phone_events.ends_with(&[CallEvent::ReinviteReceived, CallEvent::AckReceived]));
    wire.phone.hang_up(wire.now);
    wire.run(SECOND);
    assert_eq!(wire.trunk_events.last(), Some(&CallEvent::Ended { by: EndedBy::Remote }));
    assert_eq!(wire.count("ACK"), 3);
}

#[test]
fn a_bye_for_an_unknown_dialog_gets_481_and_options_200() {
    let mut wire = Wire::new(answering());
    let bye = "BYE sip:221@192.0.2.21 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\n\
               Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:221@192.0.2.21>;tag=2\r\nCall-ID: q\r\n\
               CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n";
    wire.phone.receive(wire.now, address(TRUNK), bye.as_bytes());
    let answer = String::from_utf8(wire.phone.poll_output().unwrap().bytes).unwrap();
    assert!(answer.starts_with("SIP/2.0 481 "), "{answer}");
    assert!(answer.contains("branch=z9hG4bKx;rport=5060;received=192.0.2.1\r\n"), "{answer}");
    wire.trunk.ping(wire.now);
    wire.run(SECOND);
    assert_eq!(wire.trunk.pongs(), 1);
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    let run = || {
        let mut wire = Wire::new(answering());
        wire.trunk.call(wire.now, "221", "x");
        wire.drain();
        wire.in_flight
    };
    let (first, second) = (run(), run());
    assert!(!first.is_empty());
    assert_eq!(first, second);
}

mod registrar {
    use super::*;

    /// The value of a field of the phone's next datagram, and the datagram.
    fn next_request(phone: &mut Phone) -> String {
        String::from_utf8(phone.poll_output().unwrap().bytes).unwrap()
    }

    fn field(message: &str, name: &str) -> String {
        let start = format!("{name}: ");
        message
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_else(|| panic!("no {name}: {message}"))
            .into()
    }

    fn answer(request: &str, status: &str, fields: &str) -> Vec<u8> {
        let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", field(request, name)))
            .concat();
        format!("SIP/2.0 {status}\r\n{copied}{fields}Content-Length: 0\r\n\r\n").into_bytes()
    }

    fn phone() -> Phone {
        Wire::new(answering()).phone
    }

    const CHALLENGES: &str = "WWW-Authenticate: Digest realm=\"acme.example\", nonce=\"m\", algorithm=MD5, qop=\"auth\"\r\n\
         WWW-Authenticate: Digest realm=\"acme.example\", nonce=\"s\", algorithm=SHA-256, qop=\"auth\"\r\n";

    #[test]
    fn of_two_challenges_sha_256_is_answered_and_the_nonce_used_again_for_the_refresh() {
        let (mut phone, mut now) = (phone(), Instant::ORIGIN);
        phone.register(now, 3600);
        let first = next_request(&mut phone);
        assert!(first.starts_with("REGISTER sip:acme.example SIP/2.0\r\n"));
        phone.receive(now, address(TRUNK), &answer(&first, "401 Unauthorized", CHALLENGES));
        let second = next_request(&mut phone);
        let credentials = field(&second, "Authorization");
        assert!(credentials.contains("nonce=\"s\"") && credentials.contains("algorithm=SHA-256"), "{credentials}");
        assert!(credentials.contains("nc=00000001"));
        assert_eq!(field(&second, "CSeq"), "2 REGISTER");
        assert_ne!(field(&second, "Via"), field(&first, "Via"));
        let contacts = "Contact: <sip:221@192.0.2.99:5060>;expires=7, <sip:221@192.0.2.21:5060>;expires=600\r\n";
        phone.receive(now, address(TRUNK), &answer(&second, "200 OK", contacts));
        assert_eq!(phone.poll_event(), Some(PhoneEvent::Registered { expires: 600 }));
        assert!(phone.is_registered());
        now += SECOND * 299;
        phone.on_timeout(now);
        assert_eq!(phone.poll_output(), None);
        now += SECOND;
        phone.on_timeout(now);
        let refresh = next_request(&mut phone);
        assert!(field(&refresh, "Authorization").contains("nc=00000002"));
        let stale = CHALLENGES.replace("nonce=\"s\"", "nonce=\"t\", stale=true");
        phone.receive(now, address(TRUNK), &answer(&refresh, "401 Unauthorized", &stale));
        assert!(field(&next_request(&mut phone), "Authorization").contains("nonce=\"t\""));
    }

    #[test]
    fn refused_credentials_are_not_tried_again() {
        let (mut phone, now) = (phone(), Instant::ORIGIN);
        phone.register(now, 3600);
        for _ in 0..2 {
            let request = next_request(&mut phone);
            phone.receive(now, address(TRUNK), &answer(&request, "401 Unauthorized", CHALLENGES));
        }
        assert_eq!(phone.poll_output(), None);
        assert_eq!(phone.poll_event(), Some(PhoneEvent::RegistrationFailed { status: 401 }));
    }

    #[test]
    fn a_challenged_invite_is_acknowledged_and_sent_again_with_credentials() {
        let (mut phone, now) = (phone(), Instant::ORIGIN);
        let call = phone.call(now, "sip:305@acme.example");
        let invite = next_request(&mut phone);
        let challenge = CHALLENGES.replace("WWW-Authenticate", "Proxy-Authenticate");
        phone.receive(now, address(TRUNK), &answer(&invite, "407 Proxy Authentication Required", &challenge));
        let ack = next_request(&mut phone);
        assert!(ack.starts_with("ACK sip:305@acme.example SIP/2.0\r\n"));
        assert_eq!(field(&ack, "Via"), field(&invite, "Via"));
        let again = next_request(&mut phone);
        assert!(field(&again, "Proxy-Authorization").contains("nonce=\"s\""));
        assert_eq!(
            (field(&again, "From"), field(&again, "Call-ID")),
            (field(&invite, "From"), field(&invite, "Call-ID"))
        );
        phone.receive(now, address(TRUNK), &answer(&again, "180 Ringing", ""));
        let progress = CallEvent::Progress { status: 180, to_tag: None };
        assert_eq!(phone.poll_event(), Some(PhoneEvent::Call(call, progress)));
        assert_eq!(phone.cancel(now), Some(call));
        let cancel = next_request(&mut phone);
        assert!(cancel.starts_with("CANCEL "));
        assert_eq!(field(&cancel, "CSeq"), "2 CANCEL");
        assert_eq!(field(&cancel, "Via"), field(&again, "Via"));
    }

    #[test]
    fn a_423_is_obeyed_once_and_silence_is_a_408() {
        let (mut phone, mut now) = (phone(), Instant::ORIGIN);
        phone.register(now, 5);
        let first = next_request(&mut phone);
        phone.receive(now, address(TRUNK), &answer(&first, "423 Interval Too Brief", "Min-Expires: 60\r\n"));
        assert_eq!(field(&next_request(&mut phone), "Expires"), "60");
        let mut copies = 0;
        while let Some(at) = phone.deadline() {
            now = at;
            phone.on_timeout(now);
            copies += usize::from(phone.poll_output().is_some());
        }
        // RFC 3261 §17.1.2.2: after 0.5, 1.5, 3.5, 7.5 s and then every 4 s, up to 32 s.
        assert_eq!(copies, 10);
        assert_eq!(phone.poll_event(), Some(PhoneEvent::RegistrationFailed { status: 408 }));
        assert_eq!(now.since(Instant::ORIGIN), SECOND * 32);
    }
}

mod forks_and_routes {
    use super::*;

    /// A 2xx to the trunk's INVITE, through a proxy that stays on the path.
    fn accepted(invite: &str, tag: &str, target: &str) -> Vec<u8> {
        let field = |name: &str| {
            let line = invite.lines().find(|line| line.starts_with(name)).unwrap();
            format!("{line}\r\n")
        };
        format!(
            "SIP/2.0 200 OK\r\n{}Record-Route: <sip:192.0.2.51:5060;lr>,<sip:192.0.2.50:5070;lr>\r\n{}{};tag={tag}\r\n{}{}\
             Contact: <sip:{target}>\r\nContent-Length: 0\r\n\r\n",
            field("Via"),
            field("From"),
            field("To").trim_end(),
            field("Call-ID"),
            field("CSeq")
        )
        .into_bytes()
    }

    fn sent(trunk: &mut Trunk) -> Vec<(SocketAddr, String)> {
        std::iter::from_fn(|| trunk.poll_output())
            .map(|datagram| (datagram.to, String::from_utf8(datagram.bytes).unwrap()))
            .collect()
    }

    fn trunk(forks: Forks) -> Trunk {
        Trunk::new(TrunkSettings { forks, ..TrunkSettings::new(address(TRUNK), address(PHONE), 3) })
    }

    #[test]
    fn every_2xx_is_acknowledged_along_its_route_and_the_second_dialog_ended() {
        let (mut trunk, now) = (trunk(Forks::HangUp), Instant::ORIGIN);
        let call = trunk.call(now, "+918041234567", "x");
        let (_, invite) = sent(&mut trunk).remove(0);
        trunk.receive(now, address(PHONE), &accepted(&invite, "one", "a@192.0.2.21:5060"));
        let first = sent(&mut trunk);
        assert_eq!(first.len(), 1);
        let (to, ack) = &first[0];
        assert_eq!(*to, address("192.0.2.50:5070"));
        assert!(ack.starts_with("ACK sip:a@192.0.2.21:5060 SIP/2.0\r\n"), "{ack}");
        assert!(ack.contains("Route: <sip:192.0.2.50:5070;lr>\r\nRoute: <sip:192.0.2.51:5060;lr>\r\n"), "{ack}");
        // The same 2xx again: the same ACK again.
        trunk.receive(now, address(PHONE), &accepted(&invite, "one", "a@192.0.2.21:5060"));
        assert_eq!(sent(&mut trunk), first);
        trunk.receive(now, address(PHONE), &accepted(&invite, "two", "b@192.0.2.22:5060"));
        let second = sent(&mut trunk);
        assert!(second[0].1.starts_with("ACK sip:b@192.0.2.22:5060 "));
        assert!(second[1].1.starts_with("BYE sip:b@192.0.2.22:5060 "));
        assert!(trunk.is_talking(call));
        let events: Vec<CallEvent> = std::iter::from_fn(|| trunk.poll_event()).map(|(_, event)| event).collect();
        let expected = [CallEvent::Answered { to_tag: "one".into() }, CallEvent::Forked { to_tag: "two".into() }];
        assert_eq!(events, expected);
    }

    #[test]
    fn a_kept_fork_is_ended_with_the_call() {
        let (mut trunk, now) = (trunk(Forks::Keep), Instant::ORIGIN);
        let call = trunk.call(now, "1", "x");
        let (_, invite) = sent(&mut trunk).remove(0);
        for tag in ["one", "two"] {
            trunk.receive(now, address(PHONE), &accepted(&invite, tag, "a@192.0.2.21"));
        }
        assert_eq!(sent(&mut trunk).len(), 2);
        trunk.hang_up(now, call);
        let byes = sent(&mut trunk);
        assert_eq!(byes.iter().filter(|(_, text)| text.starts_with("BYE ")).count(), 2);
    }

    #[test]
    fn an_odd_request_uri_and_an_identity_are_written_as_told() {
        let mut trunk = trunk(Forks::Keep);
        let number = "+918041234567".to_owned();
        trunk.place(
            Instant::ORIGIN,
            OutgoingCall {
                number,
                caller: "anonymous".into(),
                asserted_identity: Some("<sip:+919811112222@192.0.2.1>".into()),
                request_uri: Some("tel:+91-80-4123-4567".into()),
                ..OutgoingCall::default()
            },
        );
        let (to, invite) = sent(&mut trunk).remove(0);
        assert_eq!(to, address(PHONE));
        assert!(invite.starts_with("INVITE tel:+91-80-4123-4567 SIP/2.0\r\n"));
        assert!(invite.contains("\r\nP-Asserted-Identity: <sip:+919811112222@192.0.2.1>\r\n"));
    }
}
