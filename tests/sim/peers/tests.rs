//! Peers against a counterpart of a few strings.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use sha2::Digest as _;

use super::super::faults::{PhoneFaults, TrunkFaults};
use super::super::history::{Datagram, MILLISECOND, Nanos, SECOND};
use super::super::text::{Message, Name};
use super::call::Outcome;
use super::phone::{Phone, PhoneSettings};
use super::trunk::{Trunk, TrunkSettings};
use super::wire;
use super::{Caller, PlannedCall, Post};

const DAEMON: &str = "203.0.113.10:5060";
const ALWAYS: u64 = 1000;

trait Peer {
    fn due(&self) -> Option<Nanos>;
    fn work(&mut self, now: Nanos, post: &mut Post);
    fn hear(&mut self, now: Nanos, datagram: &Datagram, post: &mut Post);
}

impl Peer for Phone {
    fn due(&self) -> Option<Nanos> {
        self.deadline()
    }
    fn work(&mut self, now: Nanos, post: &mut Post) {
        self.on_time(now, post);
    }
    fn hear(&mut self, now: Nanos, datagram: &Datagram, post: &mut Post) {
        self.receive(now, datagram, post);
    }
}

impl Peer for Trunk {
    fn due(&self) -> Option<Nanos> {
        self.deadline()
    }
    fn work(&mut self, now: Nanos, post: &mut Post) {
        self.on_time(now, post);
    }
    fn hear(&mut self, now: Nanos, datagram: &Datagram, post: &mut Post) {
        self.receive(now, datagram, post);
    }
}

/// A peer, the time, and what it has sent.
struct Stage<P> {
    peer: P,
    now: Nanos,
    sent: VecDeque<(Nanos, Message)>,
}

impl<P: Peer> Stage<P> {
    fn new(peer: P) -> Stage<P> {
        Stage { peer, now: SECOND, sent: VecDeque::new() }
    }

    fn with(&mut self, act: impl FnOnce(&mut P, Nanos, &mut Post)) {
        let mut post = Post::default();
        act(&mut self.peer, self.now, &mut post);
        for (_, to, bytes) in post.letters {
            assert_eq!(to, DAEMON.parse().unwrap(), "{}", String::from_utf8_lossy(&bytes));
            let message = Message::read(&Bytes::from(bytes)).expect("peers write plainly");
            let length: usize = message.first(Name::ContentLength).unwrap().parse().unwrap();
            assert_eq!(length, message.body().len());
            self.sent.push_back((self.now, message));
        }
    }

    fn say(&mut self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let message = Message::read(&bytes);
        assert!(message.is_some(), "{text}");
        let (from, to) = (DAEMON.parse().unwrap(), "198.51.100.1:5060".parse().unwrap());
        let datagram = Datagram { id: 0, from, to, bytes, message };
        self.with(|peer, now, post| peer.hear(now, &datagram, post));
    }

    fn pass(&mut self, length: Nanos) {
        let end = self.now + length;
        while let Some(due) = self.peer.due().filter(|due| *due <= end) {
            assert!(due >= self.now, "what is due at {due} was left undone at {}", self.now);
            self.now = due;
            self.with(P::work);
            assert!(self.peer.due().is_none_or(|next| next > due), "still due at {due}");
        }
        self.now = end;
    }

    /// The next message, which has to be that.
    fn next(&mut self, label: &str) -> Message {
        let (_, message) = self.sent.pop_front().unwrap_or_else(|| panic!("nothing sent, and not {label}"));
        assert!(message.label().starts_with(label), "{} and not {label}", message.label());
        message
    }

    fn nothing(&self) {
        let labels: Vec<String> = self.sent.iter().map(|(_, message)| message.label()).collect();
        assert!(labels.is_empty(), "{labels:?}");
    }

    /// Passes time until a message with that label was sent, and leaves what is behind it.
    fn until(&mut self, label: &str) -> Message {
        for _ in 0..20_000 {
            while let Some((_, message)) = self.sent.pop_front() {
                if message.label().starts_with(label) {
                    return message;
                }
            }
            self.pass(10 * MILLISECOND);
        }
        panic!("never sent {label}");
    }

    /// When messages with that label were sent, in milliseconds from `began`, in all of a length of time.
    fn times(&mut self, label: &str, began: Nanos, length: Nanos) -> Vec<u64> {
        self.pass(length);
        let sent = self.sent.drain(..).filter(|(_, message)| message.label().starts_with(label));
        sent.map(|(at, _)| (at - began) / MILLISECOND).collect()
    }
}

fn phone(seed: u64, faults: PhoneFaults) -> Stage<Phone> {
    Stage::new(Phone::new(PhoneSettings {
        index: 0,
        address: "198.51.100.1:5060".parse().unwrap(),
        registrar: DAEMON.parse().unwrap(),
        domain: "acme.example".into(),
        extension: "221".into(),
        password: "secret".into(),
        seed,
        faults,
        link_rebind: 0,
    }))
}

fn trunk(seed: u64, faults: TrunkFaults) -> Stage<Trunk> {
    Stage::new(Trunk::new(TrunkSettings {
        index: 0,
        address: "192.0.2.1:5060".parse().unwrap(),
        registrar: DAEMON.parse().unwrap(),
        seed,
        faults,
        phone_faults: PhoneFaults::default(),
    }))
}

fn planned(caller: Caller, dialled: &str) -> PlannedCall {
    let (talk, patience) = (20 * SECOND, 30 * SECOND);
    PlannedCall { number: 7, at: 0, caller, dialled: dialled.into(), shown: "+919811112222".into(), talk, patience }
}

/// An answer to a request: its fields, and more lines.
fn answer(request: &Message, status: u16, tag: &str, lines: &str) -> String {
    let field = |name| request.first(name).unwrap();
    let tag = if request.to_tag().is_some() || tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "SIP/2.0 {status} Words\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{lines}Content-Length: 0\r\n\r\n",
        field(Name::Via),
        field(Name::From),
        field(Name::To),
        field(Name::CallId),
        field(Name::CSeq)
    )
}

/// A request as the daemon forwards it.
fn request(method: &str, cseq: u32, branch: &str, to_tag: &str) -> String {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "{method} sip:221@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP {DAEMON};branch=z9hG4bK{branch};rport\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKfar;received=192.0.2.1\r\n\
         Record-Route: <sip:203.0.113.10:5060;lr;call=9>\r\nMax-Forwards: 69\r\nFrom: <sip:+91@192.0.2.1>;tag=far\r\n\
         To: <sip:+92@203.0.113.10>{tag}\r\nCall-ID: call-1\r\nCSeq: {cseq} {method}\r\nContact: <sip:192.0.2.1:5060>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// A seed under which a phone without faults answers what `request` calls.
fn answering() -> u64 {
    (1..)
        .find(|seed| {
            let mut stage = phone(*seed, PhoneFaults::default());
            stage.say(&request("INVITE", 1, "a", ""));
            stage.pass(10 * SECOND);
            stage.sent.iter().any(|(_, message)| message.status() == Some(200))
        })
        .unwrap()
}

// ---- registration ---------------------------------------------------------------------------------------------------

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A parameter of an Authorization value.
fn proof<'a>(value: &'a str, name: &str) -> &'a str {
    let (_, rest) = value.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {value}"));
    rest.split(',').next().unwrap().trim_matches('"')
}

fn assert_proves(register: &Message, nonce: &str, count: u32) {
    let value = register.first(Name::Authorization).expect("credentials");
    let hash = |text: String| match proof(value, "algorithm") {
        "MD5" => hex(&md5::Md5::digest(text)),
        "SHA-256" => hex(&sha2::Sha256::digest(text)),
        other => panic!("{other}"),
    };
    let (secret, asked) = (hash("221:acme.example:secret".into()), hash("REGISTER:sip:acme.example".into()));
    let cnonce = proof(value, "cnonce");
    let right = hash(format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{asked}"));
    assert_eq!(proof(value, "response"), right, "{value}");
    assert_eq!((proof(value, "nonce"), proof(value, "nc")), (nonce, format!("{count:08x}").as_str()));
}

fn challenge(nonce: &str, stale: &str) -> String {
    ["SHA-256", "MD5"].map(|algorithm| {
        format!("WWW-Authenticate: Digest realm=\"acme.example\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}\r\n")
    })
    .concat()
}

#[test]
fn a_phone_registers_proves_itself_and_stays_registered() {
    for seed in 0..20 {
        let mut stage = phone(seed, PhoneFaults::default());
        stage.with(Phone::register);
        let first = stage.next("REGISTER sip:acme.example");
        assert_eq!(first.first(Name::Authorization), None);
        stage.say(&answer(&first, 401, "x", &challenge("one", "")));
        let second = stage.next("REGISTER");
        assert_proves(&second, "one", 1);
        assert_eq!(first.call_id(), second.call_id());
        assert_eq!(first.cseq().unwrap().0 + 1, second.cseq().unwrap().0);
        stage.say(&answer(&second, 401, "x", &challenge("two", ", stale=true")));
        let third = stage.next("REGISTER");
        assert_proves(&third, "two", 1);
        let contact = wire::contact(&third).unwrap();
        let granted = format!(
            "Contact: <sip:221@192.0.2.9>;expires=5, <{contact}>;expires=100;+sip.instance=\"<urn:uuid:1>\"\r\n"
        );
        stage.say(&answer(&third, 200, "x", &granted));
        stage.nothing();
        assert!(stage.peer.registered(stage.now + 99 * SECOND) && !stage.peer.registered(stage.now + 101 * SECOND));
        let began = stage.now;
        let refresh = stage.until("REGISTER");
        assert!((45..75).contains(&((stage.now - began) / SECOND)), "{}", (stage.now - began) / SECOND);
        assert_eq!(refresh.call_id(), third.call_id());
        if refresh.first(Name::Authorization).is_some() {
            assert_proves(&refresh, "two", 2);
        }
        stage.say(&answer(&refresh, 200, "x", &granted));
        stage.sent.clear();
        stage.with(Phone::unregister);
        let last = stage.next("REGISTER");
        assert!(last.first(Name::Expires) == Some("0") || last.first(Name::Contact).unwrap().contains("expires=0"));
        stage.say(&answer(&last, 200, "x", ""));
        assert!(!stage.peer.registered(stage.now));
        stage.pass(7_200 * SECOND);
        stage.nothing();
    }
}

#[test]
fn a_wrong_password_is_tried_again_only_after_a_while() {
    let mut stage = phone(3, PhoneFaults::default());
    stage.with(Phone::register);
    for _ in 0..2 {
        let register = stage.next("REGISTER");
        stage.say(&answer(&register, 401, "x", &challenge("n", "")));
    }
    stage.nothing();
    let began = stage.now;
    stage.until("REGISTER");
    assert!(stage.now - began >= 2 * SECOND);
}

#[test]
fn a_refused_expiry_is_raised() {
    let mut stage = phone(3, PhoneFaults::default());
    stage.with(Phone::register);
    let register = stage.next("REGISTER");
    stage.say(&answer(&register, 423, "x", "Min-Expires: 7000\r\n"));
    let again = stage.until("REGISTER");
    assert!(again.first(Name::Expires) == Some("7000") || again.first(Name::Contact).unwrap().contains("expires=7000"));
}

/// RFC 3261 §17.1.2.2 and corner case 2: 11 copies by 64·T1.
#[test]
fn a_register_nobody_answers_leaves_eleven_times_and_then_again_later() {
    let mut stage = phone(1, PhoneFaults::default());
    let began = stage.now;
    stage.with(Phone::register);
    let times = stage.times("REGISTER", began, 32 * SECOND);
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    stage.until("REGISTER");
}

#[test]
fn a_phone_that_boots_again_is_the_same_device_under_another_call_id() {
    let mut stage = phone(1, PhoneFaults { reboots: 1, ..PhoneFaults::default() });
    let instance = |message: &Message| {
        let contact = message.first(Name::Contact).unwrap();
        contact.split("urn:uuid:").nth(1).unwrap()[..36].to_owned()
    };
    stage.with(Phone::register);
    let before = stage.next("REGISTER");
    let moved: SocketAddr = "198.51.100.1:6001".parse().unwrap();
    stage.with(|phone, now, post| phone.reboot(now, moved, post));
    let after = stage.next("REGISTER");
    assert_eq!(instance(&before), instance(&after));
    assert_ne!(before.call_id(), after.call_id());
    assert_ne!(wire::contact(&before), wire::contact(&after));
    assert_eq!(stage.peer.address(), moved);
}

// ---- calls that come in ---------------------------------------------------------------------------------------------

#[test]
fn a_phone_rings_answers_and_repeats_its_answer_until_the_ack() {
    let mut stage = phone(answering(), PhoneFaults::default());
    let began = stage.now;
    stage.say(&request("INVITE", 1, "a", ""));
    let ringing = stage.until("18");
    assert!((10..=210).contains(&((stage.now - began) / MILLISECOND)));
    assert_eq!(ringing.all(Name::Via).count(), 2);
    assert!(ringing.first(Name::RecordRoute).is_some());
    // A copy of the INVITE gets the latest response again.
    stage.say(&request("INVITE", 1, "a", ""));
    stage.next("18");
    let answered = stage.until("200 (INVITE)");
    assert_eq!(answered.to_tag(), ringing.to_tag());
    assert!(stage.peer.is_talking() && !stage.peer.is_ringing());
    let at = stage.now;
    stage.say(&request("INVITE", 1, "a", ""));
    stage.nothing();
    assert_eq!(stage.times("200 (INVITE)", at, 4 * SECOND).len(), 3);
    let tag = answered.to_tag().unwrap();
    stage.say(&request("ACK", 1, "b", tag));
    stage.pass(40 * SECOND);
    stage.nothing();
    stage.say(&request("OPTIONS", 2, "c", tag));
    stage.next("200 (OPTIONS)");
    stage.say(&request("BYE", 2, "d", tag));
    // RFC 3261 §12.2.2: not with a number that has been.
    stage.next("500 (BYE)");
    stage.say(&request("BYE", 3, "e", tag));
    stage.next("200 (BYE)");
    stage.say(&request("BYE", 3, "e", tag));
    stage.next("200 (BYE)");
    assert!(!stage.peer.is_talking());
    stage.pass(60 * SECOND);
    stage.nothing();
    assert!(stage.peer.is_at_rest());
    stage.say(&request("BYE", 4, "f", tag));
    stage.next("481 (BYE)");
}

/// RFC 3261 §13.3.1.4.
#[test]
fn an_answer_nobody_acknowledges_ends_with_bye() {
    let mut stage = phone(answering(), PhoneFaults::default());
    stage.say(&request("INVITE", 1, "a", ""));
    stage.until("200 (INVITE)");
    let began = stage.now;
    assert_eq!(stage.times("200", began, 31 * SECOND).len(), 9);
    let bye = stage.until("BYE sip:192.0.2.1:5060");
    assert_eq!((stage.now - began) / SECOND, 32);
    assert_eq!(bye.first(Name::Route), Some("<sip:203.0.113.10:5060;lr;call=9>"));
    assert_eq!((bye.to_tag(), bye.call_id()), (Some("far"), "call-1"));
    stage.say(&answer(&bye, 200, "", ""));
    stage.pass(60 * SECOND);
    assert!(stage.peer.is_at_rest());
}

#[test]
fn a_cancelled_phone_says_200_and_487_and_the_ack_silences_it() {
    let mut stage = phone(answering(), PhoneFaults::default());
    stage.say(&request("CANCEL", 1, "a", ""));
    stage.next("481 (CANCEL)");
    stage.say(&request("INVITE", 1, "b", ""));
    stage.until("18");
    assert!(stage.peer.is_ringing());
    stage.say(&request("CANCEL", 1, "b", ""));
    stage.next("200 (CANCEL)");
    let refused = stage.next("487 (INVITE)");
    assert!(!stage.peer.is_ringing());
    let began = stage.now;
    assert_eq!(stage.times("487", began, 4 * SECOND), [500, 1_500, 3_500]);
    stage.say(&request("ACK", 1, "b", refused.to_tag().unwrap()));
    stage.pass(40 * SECOND);
    stage.nothing();
    assert!(stage.peer.is_at_rest());
}

#[test]
fn a_phone_may_answer_although_it_was_cancelled() {
    let faults = PhoneFaults { answer_despite_cancel: ALWAYS, ..PhoneFaults::default() };
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let mut stage = phone(seed, faults.clone());
        stage.say(&request("INVITE", 1, "b", ""));
        stage.until("18");
        stage.say(&request("CANCEL", 1, "b", ""));
        stage.pass(3 * SECOND);
        let labels: Vec<String> = stage.sent.iter().map(|(_, message)| message.label()).collect();
        let place = |label: &str| labels.iter().position(|one| one == label);
        orders.insert(place("200 (INVITE)").unwrap() < place("200 (CANCEL)").unwrap());
        assert_eq!(place("487 (INVITE)"), None);
    }
    assert_eq!(orders.len(), 2, "both orders occur");
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut statuses = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let mut stage = phone(seed, PhoneFaults { refuse: ALWAYS, ..PhoneFaults::default() });
        stage.say(&request("INVITE", 1, "a", ""));
        stage.pass(6 * SECOND);
        let finals: Vec<u16> =
            stage.sent.iter().filter_map(|(_, message)| message.status()).filter(|one| *one >= 300).collect();
        assert!(finals.len() >= 2 && finals.iter().all(|one| *one == finals[0]), "{finals:?}");
        statuses.insert(finals[0]);
    }
    assert_eq!(Vec::from_iter(statuses), [302, 480, 486, 500, 503, 603]);
}

#[test]
fn a_phone_may_answer_twice() {
    let faults = PhoneFaults { two_answers: ALWAYS, at_once: ALWAYS, ..PhoneFaults::default() };
    let mut stage = phone(5, faults);
    stage.say(&request("INVITE", 1, "a", ""));
    stage.pass(4 * SECOND);
    let tags: std::collections::BTreeSet<String> =
        stage.sent.drain(..).map(|(_, message)| message.to_tag().unwrap_or_default().to_owned()).collect();
    let tags: Vec<String> = tags.into_iter().filter(|tag| !tag.is_empty()).collect();
    assert_eq!(tags.len(), 2);
    for (place, tag) in tags.iter().enumerate() {
        stage.say(&request("ACK", 1, &format!("k{place}"), tag));
    }
    stage.pass(20 * SECOND);
    stage.nothing();
    for (place, tag) in tags.iter().enumerate() {
        stage.say(&request("BYE", 2, &format!("b{place}"), tag));
        stage.next("200 (BYE)");
    }
    assert!(!stage.peer.is_talking());
}

#[test]
fn a_dead_phone_and_a_silent_one_say_nothing_more() {
    let dies = PhoneFaults { dies: ALWAYS, at_once: ALWAYS, ..PhoneFaults::default() };
    let mut stage = phone(5, dies);
    stage.say(&request("INVITE", 1, "a", ""));
    let answered = stage.until("200 (INVITE)");
    stage.say(&request("ACK", 1, "k", answered.to_tag().unwrap()));
    stage.pass(20 * SECOND);
    stage.sent.clear();
    stage.say(&request("BYE", 2, "b", answered.to_tag().unwrap()));
    stage.pass(4_000 * SECOND);
    stage.nothing();
    let mut stage = phone(5, PhoneFaults { silent: ALWAYS, ..PhoneFaults::default() });
    for _ in 0..3 {
        stage.say(&request("INVITE", 1, "a", ""));
        stage.pass(10 * SECOND);
    }
    stage.nothing();
    stage.pass(60 * SECOND);
    assert!(stage.peer.is_at_rest());
}

#[test]
fn a_phone_that_is_well_again_answers() {
    for seed in 0..30 {
        let faults = PhoneFaults { refuse: ALWAYS, ring_only: ALWAYS, silent: 500, ..PhoneFaults::default() };
        let mut stage = phone(seed, faults);
        stage.peer.well();
        let began = stage.now;
        stage.say(&request("INVITE", 1, "a", ""));
        stage.until("180 (INVITE)");
        stage.until("200 (INVITE)");
        assert!((1_000..2_300).contains(&((stage.now - began) / MILLISECOND)));
    }
}

/// RFC 3261 §14.2: of two re-INVITEs that cross, each gets 491.
#[test]
fn a_reinvite_that_crosses_another_gets_491() {
    let faults = PhoneFaults { reinvite: ALWAYS, at_once: ALWAYS, ..PhoneFaults::default() };
    let mut stage = phone(5, faults);
    stage.say(&request("INVITE", 1, "a", ""));
    let tag = stage.until("200 (INVITE)").to_tag().unwrap().to_owned();
    stage.say(&request("ACK", 1, "k", &tag));
    let own = stage.until("INVITE sip:192.0.2.1:5060");
    stage.say(&request("INVITE", 2, "r", &tag));
    stage.next("491 (INVITE)");
    stage.say(&request("ACK", 2, "r", &tag));
    stage.say(&answer(&own, 491, "", ""));
    stage.next("ACK");
    let again = stage.until("INVITE sip:192.0.2.1:5060");
    assert!(again.cseq().unwrap().0 > own.cseq().unwrap().0);
    stage.say(&answer(&again, 200, "", "Contact: <sip:192.0.2.1:5060>\r\n"));
    let ack = stage.next("ACK");
    assert_eq!(ack.cseq().unwrap().0, again.cseq().unwrap().0);
    stage.say(&request("INVITE", 3, "s", &tag));
    stage.next("200 (INVITE)");
    stage.say(&request("ACK", 3, "t", &tag));
    stage.pass(10 * SECOND);
    stage.nothing();
}

// ---- calls that go out ----------------------------------------------------------------------------------------------

#[test]
fn a_phone_calls_with_credentials_and_hangs_up_along_the_routes() {
    let mut stage = phone(2, PhoneFaults::default());
    stage.with(|phone, now, post| phone.call(now, &planned(Caller::Phone(0), "222"), post));
    let first = stage.next("INVITE sip:222@acme.example");
    let challenge = challenge("n", "").replace("WWW-Authenticate", "Proxy-Authenticate");
    stage.say(&answer(&first, 407, "x", &challenge));
    let ack = stage.next("ACK sip:222@acme.example");
    assert_eq!((ack.branch(), ack.to_tag()), (first.branch(), Some("x")));
    let invite = stage.next("INVITE sip:222@acme.example");
    assert!(wire::all(&invite, "Proxy-Authorization", "").next().unwrap().contains("nc=00000001"));
    assert_eq!((invite.call_id(), invite.from_tag()), (first.call_id(), first.from_tag()));
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Calling));
    stage.say(&answer(&invite, 180, "t", ""));
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Ringing));
    let route = "Record-Route: <sip:203.0.113.10:5060;lr;call=9>\r\nContact: <sip:222@10.0.0.1:5070>\r\n";
    stage.say(&answer(&invite, 200, "t", route));
    let ack = stage.next("ACK sip:222@10.0.0.1:5070");
    assert_eq!(ack.first(Name::Route), Some("<sip:203.0.113.10:5060;lr;call=9>"));
    let bye = stage.until("BYE sip:222@10.0.0.1:5070");
    // A phone whose address changed is asked who it is inside the dialog too.
    stage.say(&answer(&bye, 407, "t", &challenge));
    let again = stage.next("BYE");
    assert!(wire::all(&again, "Proxy-Authorization", "").next().is_some());
    assert_eq!(again.cseq().unwrap().0, bye.cseq().unwrap().0 + 1);
    stage.say(&answer(&again, 200, "t", ""));
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Ended));
    stage.pass(60 * SECOND);
    assert!(stage.peer.is_at_rest());
}

#[test]
fn a_trunk_calls_acknowledges_every_copy_and_hangs_up() {
    let mut stage = trunk(2, TrunkFaults::default());
    stage.with(|trunk, now, post| trunk.place(now, &planned(Caller::Trunk(0), "+9180"), post));
    let invite = stage.next("INVITE sip:+9180@203.0.113.10:5060");
    assert_eq!(invite.first(Name::From).map(super::super::text::uri), Some("sip:+919811112222@192.0.2.1"));
    stage.say(&answer(&invite, 100, "", ""));
    let routes = "Record-Route: <sip:198.51.100.77;lr>, <sip:203.0.113.10:5060;lr;call=9>\r\n";
    let answered = answer(&invite, 200, "t", &format!("{routes}Contact: <sip:222@10.0.0.1:5070>\r\n"));
    stage.say(&answered);
    let ack = stage.next("ACK sip:222@10.0.0.1:5070");
    let followed: Vec<&str> = ack.all(Name::Route).collect();
    assert_eq!(followed, ["<sip:203.0.113.10:5060;lr;call=9>", "<sip:198.51.100.77;lr>"]);
    assert_eq!(ack.cseq().unwrap().0, invite.cseq().unwrap().0);
    assert_ne!(ack.branch(), invite.branch());
    stage.say(&answered);
    assert_eq!(stage.next("ACK").bytes, ack.bytes);
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Answered));
    stage.pass(19 * SECOND);
    let other: Vec<String> = stage.sent.drain(..).map(|(_, message)| message.label()).collect();
    assert!(other.is_empty(), "{other:?}");
    let bye = stage.until("BYE sip:222@10.0.0.1:5070");
    assert_eq!(bye.cseq().unwrap().0, invite.cseq().unwrap().0 + 1);
    assert_eq!(bye.all(Name::Route).count(), 2);
    stage.say(&answer(&bye, 200, "", ""));
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Ended));
    stage.pass(60 * SECOND);
    assert!(stage.peer.is_at_rest());
}

/// RFC 3261 §17.1.1.2 and corner cases 1 and 2.
#[test]
fn an_invite_nobody_answers_leaves_seven_times() {
    let mut stage = trunk(2, TrunkFaults::default());
    let began = stage.now;
    stage.with(|trunk, now, post| trunk.place(now, &planned(Caller::Trunk(0), "+9180"), post));
    let times = stage.times("INVITE", began, 60 * SECOND);
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    // Its patience ran out with nothing provisional heard: it could not cancel (RFC 3261 §9.1).
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Cancelled));
    assert!(stage.peer.is_at_rest());
}

#[test]
fn an_impatient_caller_cancels_and_acknowledges_the_487() {
    let mut stage = trunk(2, TrunkFaults::default());
    stage.with(|trunk, now, post| trunk.place(now, &planned(Caller::Trunk(0), "+9180"), post));
    let invite = stage.next("INVITE");
    stage.say(&answer(&invite, 180, "t", ""));
    stage.pass(29 * SECOND);
    stage.nothing();
    let cancel = stage.until("CANCEL sip:+9180@203.0.113.10:5060");
    assert_eq!((cancel.branch(), cancel.cseq().unwrap().0), (invite.branch(), invite.cseq().unwrap().0));
    assert_eq!(cancel.first(Name::Via), invite.first(Name::Via));
    stage.say(&answer(&cancel, 200, "t", ""));
    stage.say(&answer(&invite, 487, "t", ""));
    let ack = stage.next("ACK");
    assert_eq!((ack.branch(), ack.to_tag()), (invite.branch(), Some("t")));
    stage.say(&answer(&invite, 487, "t", ""));
    assert_eq!(stage.next("ACK").bytes, ack.bytes);
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Cancelled));
    stage.pass(60 * SECOND);
    stage.nothing();
    assert!(stage.peer.is_at_rest());
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut stage = trunk(2, TrunkFaults::default());
    stage.with(|trunk, now, post| trunk.place(now, &planned(Caller::Trunk(0), "+9180"), post));
    let invite = stage.next("INVITE");
    stage.say(&answer(&invite, 180, "t", ""));
    stage.until("CANCEL");
    stage.say(&answer(&invite, 200, "t", "Contact: <sip:203.0.113.10:5060>\r\n"));
    stage.next("ACK");
    stage.next("BYE");
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Ended));
}

/// RFC 3261 §13.2.2.4.
#[test]
fn a_second_answer_is_acknowledged_and_ended() {
    let mut stage = trunk(2, TrunkFaults::default());
    stage.with(|trunk, now, post| trunk.place(now, &planned(Caller::Trunk(0), "+9180"), post));
    let invite = stage.next("INVITE");
    for tag in ["one", "two"] {
        stage.say(&answer(&invite, 200, tag, "Contact: <sip:203.0.113.10:5060>\r\n"));
        assert_eq!(stage.next("ACK").to_tag(), Some(tag));
    }
    let bye = stage.next("BYE");
    assert_eq!(bye.to_tag(), Some("two"));
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Answered));
}

#[test]
fn a_refused_caller_acknowledges_and_says_so() {
    let mut stage = trunk(2, TrunkFaults::default());
    stage.with(|trunk, now, post| trunk.place(now, &planned(Caller::Trunk(0), "+9180"), post));
    let invite = stage.next("INVITE");
    stage.say(&answer(&invite, 486, "t", ""));
    assert_eq!(stage.next("ACK").branch(), invite.branch());
    assert_eq!(stage.peer.outcome(7), Some(Outcome::Refused(486)));
    stage.pass(60 * SECOND);
    stage.nothing();
    assert!(stage.peer.is_at_rest());
}

/// Every fault of a trunk's calls, in what it sends.
#[test]
fn a_trunk_misbehaves_as_told() {
    let placed = |faults: TrunkFaults, seed: u64| {
        let mut stage = trunk(seed, faults);
        stage.with(|trunk, now, post| trunk.place(now, &planned(Caller::Trunk(0), "+9180"), post));
        let invite = stage.next("INVITE");
        (stage, invite)
    };
    let contact = "Contact: <sip:203.0.113.10:5060>\r\n";

    let (mut stage, invite) = placed(TrunkFaults { no_ack: ALWAYS, ..TrunkFaults::default() }, 2);
    stage.say(&answer(&invite, 200, "t", contact));
    stage.pass(19 * SECOND);
    stage.nothing();
    stage.until("BYE");

    let (mut stage, invite) = placed(TrunkFaults { repeats_invite: ALWAYS, ..TrunkFaults::default() }, 2);
    stage.say(&answer(&invite, 486, "t", ""));
    stage.next("ACK");
    stage.pass(5 * SECOND);
    assert_eq!(stage.next("INVITE").bytes, invite.bytes);

    let (mut stage, invite) = placed(TrunkFaults { double_bye: ALWAYS, ..TrunkFaults::default() }, 2);
    stage.say(&answer(&invite, 200, "t", contact));
    let (first, second) = (stage.until("BYE"), stage.until("BYE"));
    assert!(first.branch() != second.branch() || first.bytes == second.bytes);

    let merged = (0..20).any(|seed| {
        let faults = TrunkFaults { same_call_id: ALWAYS, ..TrunkFaults::default() };
        let (mut stage, invite) = placed(faults, seed);
        stage.say(&answer(&invite, 100, "", ""));
        stage.pass(2 * SECOND);
        let copy = stage.sent.iter().find(|(_, message)| message.is("INVITE"));
        copy.is_some_and(|(_, copy)| {
            let same =
                (copy.call_id(), copy.from_tag(), copy.cseq()) == (invite.call_id(), invite.from_tag(), invite.cseq());
            same && copy.branch() != invite.branch()
        })
    });
    assert!(merged, "no merged INVITE in twenty seeds");
}

#[test]
fn a_trunk_turns_requests_back() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut stage = trunk(seed, TrunkFaults { loops: ALWAYS, ..TrunkFaults::default() });
        let text = request("INVITE", 1, "a", "");
        stage.say(&text);
        let back = stage.next("INVITE");
        if back.all(Name::Via).count() == 3 {
            assert_eq!(back.first(Name::MaxForwards), Some("68"));
            // The refusal goes back through the loop, without the Via on top.
            stage.say(&String::from_utf8_lossy(&stage_answer(&back, 482)));
            let refused = stage.next("482 (INVITE)");
            assert_eq!((refused.all(Name::Via).count(), refused.branch()), (2, Some("z9hG4bKa")));
            kinds.insert("forwarded");
        } else {
            assert_eq!(&back.bytes[..], text.as_bytes());
            kinds.insert("reflected");
        }
    }
    assert_eq!(kinds.len(), 2);
}

/// A response with all Vias of a request.
fn stage_answer(request: &Message, status: u16) -> Vec<u8> {
    let vias: String = request.all(Name::Via).map(|via| format!("Via: {via}\r\n")).collect();
    let text = answer(request, status, "l", "");
    let (first, rest) = text.split_once("\r\n").unwrap();
    let (_, rest) = rest.split_once("\r\n").unwrap();
    format!("{first}\r\n{vias}{rest}").into_bytes()
}
