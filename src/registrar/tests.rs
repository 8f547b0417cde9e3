//! REGISTER by REGISTER, as devices write them (checklist 47–56).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::auth::{Secret, UserProof, testing};
use crate::flow::{Flow, ListenerId};
use crate::id::UserId;
use crate::routing::{Company, UserStatus};
use crate::sip::{self, Fault, Parsed, Request};
use crate::state::{SavedBinding, SavedFlow};
use crate::time::{Instant, Now, WallTime};

use super::*;

const LIMITS: Expiries =
    Expiries { default: Duration::from_secs(3600), max: Duration::from_secs(7200), min: Duration::from_secs(60) };

/// The location of acme.example, and one of its phones behind a NAT.
struct Desk {
    location: Location,
    company: Arc<Company>,
    now: Now,
    source: &'static str,
}

/// A REGISTER of 221's phone: Call-ID, CSeq, and the lines that matter.
fn register(call_id: &str, cseq: u32, lines: &[&str]) -> Request {
    register_from("221@acme.example", "221@acme.example", ";rport", call_id, cseq, lines)
}

fn register_from(from: &str, to: &str, via: &str, call_id: &str, cseq: u32, lines: &[&str]) -> Request {
    match read(from, to, via, call_id, cseq, lines) {
        Ok(request) => request,
        Err(fault) => panic!("the test's REGISTER is wrong: {fault:?}: {lines:?}"),
    }
}

/// What the wire refuses of a REGISTER of 221's phone, so that it never gets here: answered 400 one room earlier.
fn refused_by_the_wire(lines: &[&str]) -> Fault {
    let mine = "221@acme.example";
    match read(mine, mine, ";rport", "boot1", 1, lines) {
        Ok(_) => panic!("the wire reads {lines:?}"),
        Err(fault) => {
            assert_eq!(fault.status(), 400, "{lines:?}");
            fault
        }
    }
}

fn read(from: &str, to: &str, via: &str, call_id: &str, cseq: u32, lines: &[&str]) -> Result<Request, Fault> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!(
        "REGISTER sip:acme.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5062{via};branch=z9hG4bK776\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{from}>;tag=49583\r\nTo: <sip:{to}>\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq} REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    match sip::parse(Bytes::from(text), &sip::Limits::default()) {
        Ok(Parsed::Request(request)) => Ok(request),
        Ok(other) => panic!("the test's REGISTER is none: {other:?}"),
        Err(malformed) => Err(malformed.fault),
    }
}

impl Desk {
    fn open() -> Desk {
        let users = ["221", "222"].map(|extension| (extension, UserStatus::Active, Secret::NONE));
        Desk {
            location: Location::new(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            company: testing::company("acme", "acme.example", users.into()),
            now: Now {
                mono: Instant::from_nanos(5_000_000_000_000),
                wall: WallTime::from_unix_millis(1_795_000_000_000),
            },
            source: "203.0.113.7:40000",
        }
    }

    fn proof(&self, extension: &str) -> UserProof {
        testing::proof(&self.company, extension)
    }

    fn flow(&self) -> Flow {
        Flow { local: ListenerId(0), remote: self.source.parse().unwrap() }
    }

    fn hear(&mut self, request: &Request) -> Result<Registered, RegisterRefusal> {
        let (proof, flow) = (self.proof("221"), self.flow());
        self.location.register(self.now, LIMITS, &proof, request, flow)
    }

    fn listed(&mut self, request: &Request) -> Vec<String> {
        let registered = self.hear(request).unwrap();
        registered.contacts.into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
    }

    fn user(&self) -> UserId {
        self.proof("221").user().id.clone()
    }

    fn contacts(&self) -> Vec<String> {
        let bindings = self.location.bindings_of(self.now.mono, &self.proof("221").user().id);
        bindings.map(|binding| String::from_utf8(binding.contact.to_vec()).unwrap()).collect()
    }

    fn binding(&self) -> Binding {
        self.location.bindings_of(self.now.mono, &self.user()).next().unwrap().clone()
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }
}

fn added(contact: &'static str) -> Change {
    Change::Added { contact: Bytes::from_static(contact.as_bytes()) }
}

fn refreshed(contact: &'static str) -> Change {
    Change::Refreshed { contact: Bytes::from_static(contact.as_bytes()) }
}

fn removed(contact: &'static str) -> Change {
    Change::Removed { contact: Bytes::from_static(contact.as_bytes()) }
}

#[test]
fn a_phone_registers_refreshes_fetches_and_leaves() {
    let mut desk = Desk::open();
    let first = desk.hear(&register("boot1", 1, &["Contact: <sip:221@10.0.0.5:5062>", "Expires: 300"])).unwrap();
    assert_eq!(first.contacts, [b"<sip:221@10.0.0.5:5062>;expires=300"]);
    assert_eq!(first.changes, [added("sip:221@10.0.0.5:5062")]);
    assert!(first.restarted.is_empty());
    assert!(desk.location.is_registered(desk.now.mono, &desk.user()));

    desk.pass(200);
    let fetched = desk.hear(&register("elsewhere", 9, &[])).unwrap();
    assert_eq!(fetched.contacts, [b"<sip:221@10.0.0.5:5062>;expires=100"]);
    assert!(fetched.changes.is_empty() && fetched.restarted.is_empty());

    let again = desk.hear(&register("boot1", 2, &["Contact: <sip:221@10.0.0.5:5062>", "Expires: 300"])).unwrap();
    assert_eq!(again.contacts, [b"<sip:221@10.0.0.5:5062>;expires=300"]);
    assert_eq!(again.changes, [refreshed("sip:221@10.0.0.5:5062")]);
    assert!(again.restarted.is_empty(), "the same Call-ID: the same boot");
    assert_eq!(desk.location.len(), 1);

    let last = desk.hear(&register("boot1", 3, &["Contact: <sip:221@10.0.0.5:5062>;expires=0"])).unwrap();
    assert!(last.contacts.is_empty());
    assert_eq!(last.changes, [removed("sip:221@10.0.0.5:5062")]);
    assert!(!desk.location.is_registered(desk.now.mono, &desk.user()));
    assert!(desk.location.is_empty() && desk.location.deadline().is_none());
}

#[test]
fn c47_a_star_stands_alone_with_expires_0() {
    let mut desk = Desk::open();
    let two = ["Contact: <sip:221@10.0.0.5>, <sip:221@10.0.0.6>"];
    desk.hear(&register("boot1", 1, &two)).unwrap();
    let wrong: [&[&str]; 6] = [
        &["Contact: *"],
        &["Contact: *", "Expires: 1"],
        &["Contact: *", "Expires: soon"],
        &["Contact: *, <sip:221@10.0.0.5>", "Expires: 0"],
        &["Contact: *", "Contact: *", "Expires: 0"],
        &["Contact: <sip:221@10.0.0.5>;expires=0", "Contact: *", "Expires: 0"],
    ];
    for lines in wrong {
        assert_eq!(desk.hear(&register("boot1", 2, lines)), Err(RegisterRefusal::Wildcard), "{lines:?}");
    }
    assert_eq!(desk.contacts().len(), 2, "nothing changed");
    let gone = desk.hear(&register("boot1", 2, &["Contact: *", "Expires: 0"])).unwrap();
    assert!(gone.contacts.is_empty() && gone.restarted.is_empty());
    assert_eq!(gone.changes, [removed("sip:221@10.0.0.5"), removed("sip:221@10.0.0.6")]);
    assert!(desk.location.is_empty());
    assert!(desk.hear(&register("boot1", 3, &["m: *", "Expires: 0"])).is_ok(), "nothing to remove is no error");
}

#[test]
fn c47_a_late_star_removes_nothing() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 5, &["Contact: <sip:221@10.0.0.5>"])).unwrap();
    desk.hear(&register("other", 1, &["Contact: <sip:221@10.0.0.6>"])).unwrap();
    for cseq in [4, 5] {
        let late = register("boot1", cseq, &["Contact: *", "Expires: 0"]);
        assert_eq!(desk.hear(&late), Err(RegisterRefusal::OutOfOrder));
    }
    assert_eq!(desk.contacts().len(), 2);
}

#[test]
fn c48_too_brief_an_expiry_is_refused_and_says_what_would_do() {
    let mut desk = Desk::open();
    for lines in
        [["Contact: <sip:221@10.0.0.5>", "Expires: 59"], ["Contact: <sip:221@10.0.0.5>;expires=1", "Expires: 600"]]
    {
        let refusal = desk.hear(&register("boot1", 1, &lines)).unwrap_err();
        assert_eq!((refusal.status(), refusal.min_expires()), (423, Some(60)));
    }
    assert!(desk.location.is_empty());
    assert_eq!(
        desk.listed(&register("boot1", 1, &["Contact: <sip:221@10.0.0.5>", "Expires: 60"])),
        ["<sip:221@10.0.0.5>;expires=60"]
    );
}

/// RFC 3261 §10.3 item 7, §21.4.17: Min-Expires is in whole seconds, and what it names would do.
#[test]
fn c48_a_shortest_expiry_of_broken_seconds_is_told_rounded_up() {
    let desk = Desk::open();
    let asked = |millis, expires| {
        let limits = Expiries { min: Duration::from_millis(millis), ..LIMITS };
        let mut location = desk.location.clone();
        let request = register("boot1", 1, &["Contact: <sip:221@10.0.0.5>", expires]);
        location.register(desk.now, limits, &desk.proof("221"), &request, desk.flow()).map(|_| ())
    };
    assert_eq!(asked(60_500, "Expires: 60"), Err(RegisterRefusal::TooBrief { shortest: 61 }));
    assert_eq!(asked(60_500, "Expires: 61"), Ok(()));
    assert_eq!(asked(60_000, "Expires: 59"), Err(RegisterRefusal::TooBrief { shortest: 60 }));
}

#[test]
fn c49_an_older_or_equal_cseq_of_the_same_call_id_changes_nothing() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 10, &["Contact: <sip:221@10.0.0.5>;expires=600"])).unwrap();
    let before = desk.binding();
    for cseq in [9, 10] {
        for contact in ["Contact: <sip:221@10.0.0.5>;expires=0", "Contact: <sip:221@10.0.0.5>;expires=7000"] {
            let refusal = desk.hear(&register("boot1", cseq, &[contact])).unwrap_err();
            assert_eq!((refusal, refusal.status()), (RegisterRefusal::OutOfOrder, 500));
        }
    }
    assert_eq!(desk.binding(), before);
    assert!(desk.hear(&register("boot2", 1, &["Contact: <sip:221@10.0.0.5>;expires=600"])).is_ok(), "another Call-ID");
}

#[test]
fn c49_a_late_register_brings_no_device_back_that_has_left() {
    let bind = |cseq| register("boot1", cseq, &["Contact: <sip:221@10.0.0.5>;expires=90"]);
    let leave = |call_id, cseq| register(call_id, cseq, &["Contact: <sip:221@10.0.0.5>;expires=0"]);
    let star = |call_id, cseq| register(call_id, cseq, &["Contact: *", "Expires: 0"]);
    for removal in [leave("boot1", 12), star("boot1", 12), leave("boot2", 1), star("boot2", 1)] {
        let mut desk = Desk::open();
        desk.hear(&bind(11)).unwrap();
        desk.hear(&removal).unwrap();
        for late in [10, 11] {
            assert_eq!(desk.hear(&bind(late)).unwrap_err(), RegisterRefusal::OutOfOrder, "{late}");
        }
        assert!(desk.hear(&register("boot1", 10, &[])).is_ok(), "it only asks");
        assert_eq!(desk.contacts(), [""; 0]);
        desk.hear(&bind(13)).unwrap();
        assert_eq!(desk.contacts().len(), 1, "the next is no late one");
    }
}

#[test]
fn c49_a_goodbye_that_overtakes_the_first_register_is_the_last_word() {
    for goodbye in [&["Contact: <sip:221@10.0.0.5>;expires=0"][..], &["Contact: *", "Expires: 0"]] {
        let mut desk = Desk::open();
        desk.hear(&register("boot1", 11, goodbye)).unwrap();
        let late = register("boot1", 10, &["Contact: <sip:221@10.0.0.5>;expires=90"]);
        assert_eq!(desk.hear(&late).unwrap_err(), RegisterRefusal::OutOfOrder);
        assert_eq!(desk.contacts(), [""; 0]);
    }
}

#[test]
fn c49_what_ended_a_device_under_another_call_id_is_not_undone_either() {
    let mut desk = Desk::open();
    let at = |port: u16, expires: u32| {
        format!("Contact: <sip:221@10.0.0.5:{port}>;+sip.instance=\"<urn:uuid:1>\";expires={expires}")
    };
    desk.hear(&register("boot1", 7, &[&at(5060, 90)])).unwrap();
    desk.hear(&register("boot2", 904, &[&at(20_003, 0)])).unwrap();
    let late = register("boot2", 903, &[&at(20_003, 90)]);
    assert_eq!(desk.hear(&late).unwrap_err(), RegisterRefusal::OutOfOrder);
    assert_eq!(desk.hear(&register("boot1", 6, &[&at(5060, 90)])).unwrap_err(), RegisterRefusal::OutOfOrder);
}

#[test]
fn c49_who_left_is_remembered_as_long_as_a_client_repeats_itself_and_within_bounds() {
    let bind = |call_id: &str, cseq| register(call_id, cseq, &["Contact: <sip:221@10.0.0.5>;expires=90"]);
    let mut desk = Desk::open();
    desk.hear(&bind("boot1", 11)).unwrap();
    desk.pass(90);
    desk.location.expire(desk.now.mono);
    assert_eq!(desk.hear(&bind("boot1", 10)).unwrap_err(), RegisterRefusal::OutOfOrder);
    desk.pass(36);
    assert_eq!(desk.hear(&bind("boot1", 10)).unwrap_err(), RegisterRefusal::OutOfOrder);
    desk.pass(1);
    assert!(desk.hear(&bind("boot1", 10)).is_ok(), "a device that counts anew since it booted");
    for boot in 2..=12 {
        desk.hear(&bind(&format!("boot{boot}"), 10)).unwrap();
    }
    assert_eq!(desk.hear(&bind("boot2", 9)).unwrap_err(), RegisterRefusal::OutOfOrder, "one of the last ten");
    assert!(desk.hear(&bind("boot1", 9)).is_ok(), "and one before them");
}

#[test]
fn c50_all_contacts_or_none() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 1, &["Contact: <sip:221@10.0.0.5>"])).unwrap();
    let before = desk.binding();
    let long = format!("Contact: <sip:221@10.0.0.6>, <sip:{}@10.0.0.7>", "a".repeat(1024));
    let cases = [
        ("Contact: <sip:221@10.0.0.6>, <sip:221@10.0.0.7>;expires=5", RegisterRefusal::TooBrief { shortest: 60 }),
        ("Contact: <sip:221@10.0.0.6>, <mailto:asha@bpo.example>", RegisterRefusal::ContactScheme),
        (&long, RegisterRefusal::BadContact),
    ];
    for (contact, refusal) in cases {
        assert_eq!(desk.hear(&register("other", 2, &[contact])), Err(refusal), "{contact}");
    }
    // RFC 3261 §20.10: one that does not end is no Contact, and none of its field's is taken.
    let unclosed = refused_by_the_wire(&["Contact: <sip:221@10.0.0.6>, <sip:221@10.0.0.7"]);
    assert_eq!(unclosed, Fault::BadContact);
    // One contact in order, the other late.
    desk.hear(&register("boot2", 7, &["Contact: <sip:221@10.0.0.8>"])).unwrap();
    let mixed = register("boot2", 7, &["Contact: <sip:221@10.0.0.9>", "Contact: <sip:221@10.0.0.8>;expires=0"]);
    assert_eq!(desk.hear(&mixed), Err(RegisterRefusal::OutOfOrder));
    assert_eq!(desk.contacts(), ["sip:221@10.0.0.8", "sip:221@10.0.0.5"]);
    assert!(desk.location.all().iter().any(|(_, binding)| **binding == before));
}

#[test]
fn c51_contacts_are_compared_as_uris() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 1, &["Contact: <sip:%32%321@Phone.Example;transport=udp>"])).unwrap();
    let same = register("boot1", 2, &["Contact: <SIP:221@phone.example;Transport=UDP>"]);
    let registered = desk.hear(&same).unwrap();
    assert_eq!(registered.contacts, [b"<SIP:221@phone.example;Transport=UDP>;expires=3600"]);
    assert_eq!(registered.changes, [refreshed("SIP:221@phone.example;Transport=UDP")]);
    for other in ["sip:221@phone.example:5060;transport=udp", "sip:221@phone.example", "sips:221@phone.example"] {
        desk.hear(&register("boot1", 3, &[&format!("Contact: <{other}>")])).unwrap();
    }
    assert_eq!(desk.contacts().len(), 4, "a port, a transport or a scheme that differs is another contact");
}

#[test]
fn c52_the_highest_q_comes_first_then_the_latest() {
    let mut desk = Desk::open();
    let lines = ["Contact: <sip:a@h>;q=0.5, <sip:b@h>;q=0.9", "Contact: <sip:c@h>, <sip:d@h>;q=0.5;expires=100"];
    let listed = desk.listed(&register("boot1", 1, &lines));
    assert_eq!(
        listed,
        [
            "<sip:c@h>;expires=3600",
            "<sip:b@h>;q=0.9;expires=3600",
            "<sip:a@h>;q=0.5;expires=3600",
            "<sip:d@h>;q=0.5;expires=100"
        ]
    );
    desk.hear(&register("boot1", 2, &["Contact: <sip:d@h>;q=0.5"])).unwrap();
    assert_eq!(desk.contacts(), ["sip:c@h", "sip:b@h", "sip:d@h", "sip:a@h"]);
}

#[test]
fn c52_expiries_parameter_then_header_then_default_and_never_above_the_maximum() {
    let cases: [(&[&str], &str); 8] = [
        (&["Contact: <sip:a@h>;expires=100", "Expires: 200"], "100"),
        (&["Contact: <sip:a@h>", "Expires: 200"], "200"),
        (&["Contact: <sip:a@h>"], "3600"),
        (&["Contact: <sip:a@h>;expires=99999"], "7200"),
        (&["Contact: <sip:a@h>", "Expires: 4294967295"], "7200"),
        (&["Contact: <sip:a@h>;expires=\"100\"", "Expires: 200"], "3600"),
        (&["Contact: <sip:a@h>;expires=-5", "Expires: 200"], "3600"),
        (&["Contact: <sip:a@h>", "Expires: tomorrow"], "3600"),
    ];
    for (lines, expires) in cases {
        let mut desk = Desk::open();
        assert_eq!(desk.listed(&register("boot1", 1, lines)), [format!("<sip:a@h>;expires={expires}")], "{lines:?}");
    }
    // RFC 3261 §20.19, RFC 4475 §3.1.2.4: more than 2^32-1 is out of range, not merely long.
    assert_eq!(refused_by_the_wire(&["Contact: <sip:a@h>", "Expires: 4294967296"]), Fault::BadExpires);
    assert_eq!(refused_by_the_wire(&["Contact: <sip:a@h>;expires=4294967296"]), Fault::BadContact);
}

#[test]
fn c53_nobody_registers_for_another() {
    let mut desk = Desk::open();
    let contact = ["Contact: <sip:221@10.0.0.5>"];
    let mine = "221@acme.example";
    for (from, to) in [
        ("222@acme.example", mine),
        (mine, "222@acme.example"),
        (mine, "221@globex.example"),
        (mine, "221@acme.example.evil.example"),
        ("acme.example", mine),
        (mine, "acme.example"),
    ] {
        let request = register_from(from, to, ";rport", "boot1", 1, &contact);
        let refusal = desk.hear(&request).unwrap_err();
        assert_eq!((refusal, refusal.status()), (RegisterRefusal::ThirdParty, 403), "{from} for {to}");
    }
    assert!(desk.location.is_empty());
    // The same address-of-record, written otherwise.
    let request = register_from("%3221@ACME.example:5060;x=y", "22%31@acme.Example", ";rport", "boot1", 1, &contact);
    assert!(desk.hear(&request).is_ok());
}

const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"";
const OTHER: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e129>\"";

#[test]
fn c54_an_instance_replaces_its_own_flow_and_no_other() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 1, &[&format!("Contact: <sip:221@10.0.0.5>;{INSTANCE};reg-id=1")])).unwrap();
    desk.hear(&register("boot1", 2, &[&format!("Contact: <sip:221@10.0.0.6>;{INSTANCE};reg-id=2")])).unwrap();
    desk.hear(&register("phone2", 1, &[&format!("Contact: <sip:221@10.0.0.5>;{OTHER};reg-id=1")])).unwrap();
    assert_eq!(desk.contacts().len(), 3, "two flows of one device, and a device with the same private address");

    let upper = INSTANCE.replace("urn:uuid", "URN:UUID");
    let moved = desk.hear(&register("boot1", 3, &[&format!("Contact: <sip:221@10.0.0.9>;{upper};reg-id=1")])).unwrap();
    assert_eq!(moved.changes, [removed("sip:221@10.0.0.5"), added("sip:221@10.0.0.9")]);
    assert!(moved.restarted.is_empty(), "moved, not restarted");
    assert_eq!(desk.contacts(), ["sip:221@10.0.0.9", "sip:221@10.0.0.5", "sip:221@10.0.0.6"]);
    let listed = desk.listed(&register("fetch", 1, &[]));
    assert_eq!(listed[1], format!("<sip:221@10.0.0.5>;{OTHER};reg-id=1;expires=3600"));

    let late = register("boot1", 3, &[&format!("Contact: <sip:221@10.0.0.7>;{INSTANCE};reg-id=1")]);
    assert_eq!(desk.hear(&late), Err(RegisterRefusal::OutOfOrder), "the order holds across URIs");
}

#[test]
fn c54_one_instance_may_have_several_contacts_without_reg_id() {
    let mut desk = Desk::open();
    let both = format!("Contact: <sip:221@10.0.0.5>;{INSTANCE}, <sip:221@[2001:db8::5]>;{INSTANCE}");
    desk.hear(&register("boot1", 1, &[&both])).unwrap();
    let again = desk.hear(&register("boot1", 2, &[&both])).unwrap();
    assert_eq!(again.contacts.len(), 2);
    assert_eq!(again.changes, [refreshed("sip:221@10.0.0.5"), refreshed("sip:221@[2001:db8::5]")]);
    let rebooted = desk.hear(&register("boot2", 1, &[&format!("Contact: <sip:221@10.0.0.77>;{INSTANCE}")])).unwrap();
    assert_eq!(rebooted.contacts.len(), 1);
    assert_eq!(rebooted.restarted.len(), 2);
}

#[test]
fn r7_3_a_phone_under_another_call_id_has_restarted() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 90, &["Contact: <sip:221@10.0.0.5>"])).unwrap();
    desk.hear(&register("other", 1, &["Contact: <sip:221@10.0.0.6>"])).unwrap();
    let before = desk.location.all().into_iter().find(|(_, binding)| *binding.call_id == *b"boot1").unwrap().1.clone();
    let restarted = desk.hear(&register("boot2", 1, &["Contact: <sip:221@10.0.0.5>"])).unwrap().restarted;
    assert_eq!(restarted, [before], "the binding as it was, and not the other phone's");

    let started = desk.hear(&register("boot3", 1, &["Contact: *", "Expires: 0"])).unwrap();
    assert_eq!(started.restarted.len(), 2, "a star under a new Call-ID speaks for all it removes");
    assert!(desk.hear(&register("boot3", 2, &["Contact: <sip:221@10.0.0.5>"])).unwrap().restarted.is_empty());
}

#[test]
fn c55_a_path_is_kept_returned_and_only_for_who_understands_it() {
    let mut desk = Desk::open();
    let path = "Path: <sip:edge1.example;lr>, <sip:edge2.example;lr;ob>";
    let lines = ["Contact: <sip:221@10.0.0.5>", path, "Supported: gruu, path"];
    let registered = desk.hear(&register("boot1", 1, &lines)).unwrap();
    assert_eq!(registered.path, [&b"<sip:edge1.example;lr>"[..], b"<sip:edge2.example;lr;ob>"]);
    assert_eq!(desk.binding().path, registered.path);

    let unsupported = desk.hear(&register("boot1", 2, &["Contact: <sip:221@10.0.0.5>", path])).unwrap();
    assert!(unsupported.path.is_empty() && desk.binding().path.is_empty());

    let lines = ["Contact: <sip:221@10.0.0.5>", "Path: <mailto:a@b.example>", "Supported: path"];
    assert_eq!(desk.hear(&register("boot1", 3, &lines)), Err(RegisterRefusal::BadPath));
    let unclosed = ["Contact: <sip:221@10.0.0.5>", "Path: <sip:edge1.example", "Supported: path"];
    assert_eq!(refused_by_the_wire(&unclosed), Fault::BadRoute);
    let long = format!("Path: <sip:{}.example;lr>", "e".repeat(3000));
    let lines = ["Contact: <sip:221@10.0.0.5>", long.as_str(), "Supported: path"];
    assert_eq!(desk.hear(&register("boot1", 3, &lines)), Err(RegisterRefusal::BadPath));
}

#[test]
fn c56_requests_go_back_where_the_register_came_from() {
    let target = |source: &'static str, via: &str, contact: &str| {
        let mut desk = Desk::open();
        desk.source = source;
        let mine = "221@acme.example";
        let request = register_from(mine, mine, via, "boot1", 1, &[&format!("Contact: <{contact}>")]);
        desk.hear(&request).unwrap();
        let binding = desk.binding();
        assert_eq!(binding.flow, desk.flow());
        binding.target.to_string()
    };
    // Behind a NAT, or claiming to be somebody else: the source, whatever the Contact says.
    for contact in ["sip:221@10.0.0.5:5062", "sip:221@198.51.100.1:5060", "sip:221@trunk.example", "sip:221@127.0.0.1"]
    {
        assert_eq!(target("203.0.113.7:40000", ";rport", contact), "203.0.113.7:40000");
        assert_eq!(target("203.0.113.7:40000", "", contact), "203.0.113.7:40000");
    }
    // Without NAT, listening elsewhere than it sends from: only if it does not ask for rport.
    assert_eq!(target("203.0.113.7:40000", "", "sip:221@203.0.113.7:5070"), "203.0.113.7:5070");
    assert_eq!(target("203.0.113.7:40000", "", "sip:221@203.0.113.7"), "203.0.113.7:5060");
    assert_eq!(target("203.0.113.7:40000", ";rport", "sip:221@203.0.113.7:5070"), "203.0.113.7:40000");
    assert_eq!(target("[2001:db8::7]:40000", "", "sip:221@[2001:DB8:0::7]:5070"), "[2001:db8::7]:5070");
    assert_eq!(target("[::ffff:203.0.113.7]:40000", "", "sip:221@203.0.113.7"), "[::ffff:203.0.113.7]:5060");
}

#[test]
fn nobody_has_more_than_ten_devices() {
    let mut desk = Desk::open();
    for device in 0..10 {
        desk.hear(&register("boot1", device + 1, &[&format!("Contact: <sip:221@10.0.0.{device}>")])).unwrap();
    }
    let eleventh = register("boot1", 20, &["Contact: <sip:221@10.0.1.1>"]);
    assert_eq!(desk.hear(&eleventh), Err(RegisterRefusal::TooManyContacts));
    assert_eq!(desk.contacts().len(), CONTACTS_PER_USER);
    let swap = register("boot1", 20, &["Contact: <sip:221@10.0.1.1>, <sip:221@10.0.0.0>;expires=0"]);
    assert!(desk.hear(&swap).is_ok(), "one comes, one goes");
    assert!(desk.hear(&register("boot1", 21, &["Contact: <sip:221@10.0.1.1>"])).is_ok(), "a refresh needs no room");

    let many: Vec<String> = (0..11).map(|device| format!("<sip:221@10.0.2.{device}>")).collect();
    let request = register("new", 1, &["Contact: *", "Expires: 0"]);
    desk.hear(&request).unwrap();
    let request = register("new", 2, &[&format!("Contact: {}", many.join(","))]);
    assert_eq!(desk.hear(&request), Err(RegisterRefusal::TooManyContacts));
    assert!(desk.location.is_empty());
}

#[test]
fn a_device_written_twice_in_one_register_is_one() {
    let mut desk = Desk::open();
    let twice = register("boot1", 1, &["Contact: <sip:a@h>;expires=100, <sip:a@h>;expires=200"]);
    assert_eq!(desk.listed(&twice), ["<sip:a@h>;expires=200"]);
    let undone = register("boot1", 2, &["Contact: <sip:a@h>;expires=100, <sip:a@h>;expires=0"]);
    assert!(desk.hear(&undone).unwrap().contacts.is_empty());
    assert!(desk.location.is_empty() && desk.location.deadline().is_none());
}

#[test]
fn only_sip_uris_are_contacts() {
    let mut desk = Desk::open();
    let refused = [
        ("<tel:+919810000001>", RegisterRefusal::ContactScheme),
        ("<mailto:asha@bpo.example>", RegisterRefusal::ContactScheme),
        ("<name:John_Smith>", RegisterRefusal::ContactScheme),
        ("<unkscheme:hotel.example>", RegisterRefusal::ContactScheme),
    ];
    for (contact, refusal) in refused {
        let got = desk.hear(&register("boot1", 1, &[&format!("Contact: {contact}")])).unwrap_err();
        assert_eq!((got, got.status()), (refusal, 400), "{contact}");
    }
    // RFC 3261 §20.10: not a URI at all.
    assert_eq!(refused_by_the_wire(&["Contact: nonsense"]), Fault::BadContact);
    let long = format!("Contact: <sip:{}@10.0.0.5>", "a".repeat(2000));
    assert_eq!(desk.hear(&register("boot1", 1, &[&long])), Err(RegisterRefusal::BadContact));
    assert!(desk.hear(&register("boot1", 1, &["Contact: <sips:221@10.0.0.5>"])).is_ok());
}

#[test]
fn a_contact_may_be_as_long_as_a_kilobyte() {
    let contact = |length: usize| format!("<sip:{}@10.0.0.5>", "a".repeat(length - "<sip:@10.0.0.5>".len()));
    for (length, is_kept) in [(1024, true), (1025, false)] {
        let mut desk = Desk::open();
        let heard = desk.hear(&register("boot1", 1, &[&format!("Contact: {}", contact(length))]));
        assert_eq!(heard.is_ok(), is_kept, "{length}: {heard:?}");
    }
}

/// RFC 5626 §4.2: a reg-id is 1 or more; anything else tells no flow from another.
#[test]
fn a_reg_id_of_zero_is_none() {
    for (written, kept) in [("0", None), ("1", Some(1)), ("x", None)] {
        let mut desk = Desk::open();
        let contact = format!("Contact: <sip:221@10.0.0.5>;+sip.instance=\"<urn:uuid:a>\";reg-id={written}");
        desk.hear(&register("boot1", 1, &[&contact])).unwrap();
        assert_eq!(desk.binding().reg_id, kept, "{written}");
    }
}

/// RFC 5626 §6: one flow of one device, which is elsewhere now. What was there is gone, and what is here is new.
#[test]
fn a_device_that_has_moved_is_removed_there_and_added_here() {
    let mut desk = Desk::open();
    let at = |address: &str| format!("Contact: <sip:221@{address}>;+sip.instance=\"<urn:uuid:a>\";reg-id=1");
    let first = desk.hear(&register("boot1", 1, &[&at("10.0.0.5")])).unwrap();
    assert_eq!(first.changes, [added("sip:221@10.0.0.5")]);
    let moved = desk.hear(&register("boot1", 2, &[&at("10.0.0.6")])).unwrap();
    assert_eq!(moved.changes, [removed("sip:221@10.0.0.5"), added("sip:221@10.0.0.6")]);
    let stays = desk.hear(&register("boot1", 3, &[&at("10.0.0.6")])).unwrap();
    assert_eq!(stays.changes, [refreshed("sip:221@10.0.0.6")]);
}

/// What the engine answers with, and what it counts by; each its own.
#[test]
fn every_refusal_has_its_words() {
    for (refusal, status, reason, name) in [
        (RegisterRefusal::ThirdParty, 403, "Only For Yourself", "third-party-registration"),
        (RegisterRefusal::Wildcard, 400, "Contact * Stands Alone With Expires 0", "wildcard-contact"),
        (RegisterRefusal::BadContact, 400, "Bad Contact", "bad-contact"),
        (RegisterRefusal::ContactScheme, 400, "Contact Must Be A SIP URI", "contact-scheme"),
        (RegisterRefusal::BadPath, 400, "Bad Path", "bad-path"),
        (RegisterRefusal::TooManyContacts, 403, "Too Many Contacts", "too-many-contacts"),
        (RegisterRefusal::TooBrief { shortest: 60 }, 423, "Interval Too Brief", "interval-too-brief"),
        (RegisterRefusal::OutOfOrder, 500, "CSeq Out Of Order", "register-out-of-order"),
    ] {
        assert_eq!((refusal.status(), refusal.reason(), refusal.name()), (status, reason, name));
    }
}

/// two devices that were saved to end at one moment both do, each once.
#[test]
fn restored_devices_of_one_moment_end_together() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 1, &["Contact: <sip:a@h>;expires=100, <sip:b@h>;expires=100"])).unwrap();
    let place = SavedFlow { local: "203.0.113.10:5060".parse().unwrap(), remote: desk.flow().remote };
    let (now, flow) = (desk.now, desk.flow());
    let saved: Vec<_> = desk.location.all().iter().map(|(_, binding)| binding.saved(now, place)).collect();
    let mut location = Location::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
    location.restore(now, LIMITS.max, &desk.user(), saved.iter().map(|saved| (saved, flow)));
    assert!(!location.is_empty() && location.len() == 2);
    let rings = |location: &Location| -> Vec<Bytes> {
        location.bindings_of(now.mono, &desk.user()).map(|binding| binding.contact.clone()).collect()
    };
    assert_eq!(rings(&location), rings(&desk.location), "in the order they rang in");
    let expired = location.expire(now.mono + Duration::from_secs(100));
    assert_eq!(expired.len(), 2, "{expired:?}");
    assert!(location.is_empty() && location.all().is_empty());
}

#[test]
fn escaped_header_fields_of_a_contact_are_kept_and_never_routed_by() {
    let mut desk = Desk::open();
    let contact = "<sip:221@10.0.0.5;x=1?Route=%3Csip:sip.example.com%3E>";
    let listed = desk.listed(&register("boot1", 1, &[&format!("Contact: {contact};methods=\"INVITE,BYE\"")]));
    assert_eq!(listed, [format!("{contact};methods=\"INVITE,BYE\";expires=3600")]);
    assert_eq!(desk.binding().request_uri(), b"sip:221@10.0.0.5;x=1");
}

#[test]
fn parameters_behind_a_bare_address_are_the_contacts_own() {
    let mut desk = Desk::open();
    let listed = desk.listed(&register("boot1", 1, &["Contact: sip:221@10.0.0.5;q=0.3;expires=120"]));
    assert_eq!(listed, ["<sip:221@10.0.0.5>;q=0.3;expires=120"]);
    assert_eq!(desk.binding().q.thousandths(), 300);
}

#[test]
fn a_user_agent_is_shown_short_and_harmless() {
    let mut desk = Desk::open();
    let mut cseq = 0;
    let mut shown = |agent: &str| {
        cseq += 1;
        let request = register("boot1", cseq, &["Contact: <sip:221@10.0.0.5>", &format!("User-Agent: {agent}")]);
        desk.hear(&request).unwrap();
        desk.binding().user_agent
    };
    assert_eq!(shown("Yealink SIP-T46S 66.86.0.15").as_deref(), Some("Yealink SIP-T46S 66.86.0.15"));
    assert_eq!(shown(&"é".repeat(200)), Some("é".repeat(80)));
    assert_eq!(shown("a\u{202e}b\u{200b}c").as_deref(), Some("abc"));
}

#[test]
fn bindings_end_on_time_and_are_reported_once() {
    let mut desk = Desk::open();
    let lines = ["Contact: <sip:a@h>;expires=100, <sip:b@h>;expires=60"];
    desk.hear(&register("boot1", 1, &lines)).unwrap();
    let start = desk.now.mono;
    assert_eq!(desk.location.deadline(), Some(start + Duration::from_secs(60)));
    desk.now.wall = WallTime::from_unix_millis(0); // the wall clock has no say (invariant 17)
    assert!(desk.location.expire(start + Duration::from_millis(59_999)).is_empty());
    desk.pass(60);
    assert_eq!(desk.contacts(), ["sip:a@h"], "no request goes to it from this moment on");
    let expired = desk.location.expire(desk.now.mono);
    assert_eq!(expired, [Expired { user: desk.user(), contact: Bytes::from_static(b"sip:b@h") }]);
    assert!(desk.location.expire(desk.now.mono).is_empty());
    desk.pass(40);
    assert!(!desk.location.is_registered(desk.now.mono, &desk.user()), "also where expire() comes later");
    assert_eq!(desk.location.expire(desk.now.mono).len(), 1);
    assert!(desk.location.is_empty() && desk.location.deadline().is_none() && desk.location.all().is_empty());
}

#[test]
fn a_refresh_moves_the_deadline() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 1, &["Contact: <sip:a@h>;expires=100"])).unwrap();
    desk.pass(90);
    desk.hear(&register("boot1", 2, &["Contact: <sip:a@h>;expires=100"])).unwrap();
    assert_eq!(desk.location.deadline(), Some(desk.now.mono + Duration::from_secs(100)));
    desk.pass(99);
    assert!(desk.location.expire(desk.now.mono).is_empty());
    assert_eq!(desk.contacts(), ["sip:a@h"]);
}

#[test]
fn a_binding_that_has_run_out_unseen_is_not_listed_and_orders_as_long_as_one_that_has_left() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 9, &["Contact: <sip:a@h>;expires=60"])).unwrap();
    desk.pass(60);
    let again = register("boot1", 1, &["Contact: <sip:a@h>;expires=60"]);
    assert_eq!(desk.hear(&again).unwrap_err(), RegisterRefusal::OutOfOrder);
    assert_eq!(desk.contacts(), [""; 0]);
    desk.pass(37);
    let registered = desk.hear(&again).unwrap();
    assert_eq!(registered.contacts.len(), 1);
    assert_eq!(registered.changes, [added("sip:a@h")]);
    assert_eq!(desk.location.expire(desk.now.mono).len(), 1, "the old one still ends, once");
    assert_eq!(desk.contacts(), ["sip:a@h"]);
}

#[test]
fn a_reload_keeps_the_registrations_of_users_that_remain() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 1, &["Contact: <sip:a@h>, <sip:b@h>"])).unwrap();
    let theirs = "222@acme.example";
    let request = register_from(theirs, theirs, ";rport", "phone2", 1, &["Contact: <sip:222@h>"]);
    let (proof, flow) = (desk.proof("222"), desk.flow());
    desk.location.register(desk.now, LIMITS, &proof, &request, flow).unwrap();
    let (keep, lose) = (desk.user(), proof.user().id.clone());
    let order: Vec<_> = desk.location.all().iter().map(|(user, _)| user.to_string()).collect();
    assert_eq!(order, ["221@acme", "221@acme", "222@acme"]);

    assert_eq!(desk.location.retain(|user| *user == keep), std::slice::from_ref(&lose));
    assert!(!desk.location.is_registered(desk.now.mono, &lose));
    assert_eq!((desk.contacts().len(), desk.location.len()), (2, 2));
    desk.pass(4000);
    assert!(desk.location.expire(desk.now.mono).iter().all(|expired| expired.user == keep));
}

#[test]
fn whatever_is_registered_in_whatever_order_the_table_stays_whole() {
    use proptest::prelude::*;
    let contact = (0..14_u8, prop_oneof![Just(0_u32), 60..9000_u32]);
    let step = (0..3_u8, 1..8_u32, proptest::collection::vec(contact, 0..4), 0..900_u64);
    proptest!(ProptestConfig::with_cases(64), |(steps in proptest::collection::vec(step, 1..40))| {
        let mut desk = Desk::open();
        for (boot, cseq, contacts, pause) in steps {
            desk.pass(pause);
            if pause % 2 == 0 {
                desk.location.expire(desk.now.mono);
            }
            let lines: Vec<String> =
                contacts.iter().map(|(host, expires)| format!("Contact: <sip:a@h{host}>;expires={expires}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let before = desk.contacts();
            let outcome = desk.hear(&register(&format!("boot{boot}"), cseq, &lines));
            let after = desk.contacts();
            match outcome {
                Err(_) => prop_assert_eq!(&before, &after),
                Ok(registered) => prop_assert_eq!(registered.contacts.len(), after.len()),
            }
            prop_assert!(after.len() <= CONTACTS_PER_USER);
            prop_assert_eq!(desk.location.all().len(), desk.location.len());
            let soonest = desk.location.all().iter().map(|(_, binding)| binding.expires_at).min();
            prop_assert_eq!(desk.location.deadline(), soonest);
        }
        desk.pass(10_000);
        desk.location.expire(desk.now.mono);
        prop_assert!(desk.location.is_empty() && desk.location.all().is_empty());
    });
}

/// Where a request for a binding goes, for a reader who wonders whether a Contact could name it.
#[test]
fn no_contact_makes_an_address_of_its_own() {
    let mut desk = Desk::open();
    let source: SocketAddr = desk.source.parse().unwrap();
    for (cseq, host) in (1..).zip(["127.0.0.1", "0.0.0.0", "[::1]", "224.0.0.1", "169.254.1.1", "[::ffff:127.0.0.1]"]) {
        let mine = "221@acme.example";
        let contact = format!("Contact: <sip:221@{host}:5060;maddr={host};transport=tcp>");
        desk.hear(&register_from(mine, mine, "", "boot1", cseq, &[&contact])).unwrap();
        assert_eq!(desk.binding().target.ip(), source.ip(), "{host}");
    }
}

#[test]
fn a_restored_binding_lives_no_longer_than_was_granted_whatever_the_clock_says() {
    let mut desk = Desk::open();
    desk.hear(&register("boot1", 1, &["Contact: <sip:221@10.0.0.5:5062>", "Expires: 300"])).unwrap();
    let flow = SavedFlow { local: "203.0.113.10:5060".parse().unwrap(), remote: "198.51.100.7:5060".parse().unwrap() };
    let left = |saved: &SavedBinding, now: Now| {
        let restored = Binding::restored(now, saved, desk.binding().flow);
        restored.map_or(Duration::ZERO, |binding| binding.expires_at.since(now.mono))
    };
    let hour = 3_600_000;
    let at = |now: Now, millis: i64| Now { wall: WallTime::from_unix_millis(now.wall.unix_millis() + millis), ..now };
    // A minute later it has four left; a clock that was set back gives it the five that it had at most, not hours.
    let later = desk.now + Duration::from_secs(60);
    let saved = desk.binding().saved(later, flow);
    assert_eq!(left(&saved, later), Duration::from_secs(240));
    assert_eq!(left(&saved, at(later, -hour)), Duration::from_secs(300));
    assert_eq!(left(&saved, at(later, hour)), Duration::ZERO);
    // Set back while the daemon ran, and not since: it has what it had.
    let saved = desk.binding().saved(at(later, -hour), flow);
    assert_eq!(left(&saved, at(later, -hour)), Duration::from_secs(240));
}
