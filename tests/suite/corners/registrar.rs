//! Corners 47–56: REGISTER (RFC 3261 §10, RFC 3327, RFC 3581, RFC 5626), as the wire shows it.

use std::time::Duration;

use switchboard::engine::Event;

use super::super::companies::one_company;
use super::super::raw::{Account, Ask, challenges, daemon, only, status, tell, values};
use super::super::script::{TRUNK, from_trunk, respond};
use super::super::world::{Seen, World};
use super::fail;

/// Where the device of these stories is.
const DEVICE: &str = "198.51.100.77:5060";

const ASHA: Account<'static> = Account { name: "221", password: "secret-221" };

/// As long as every real device's REGISTER, so that it earns both challenges (invariant 20).
const USUAL: &str =
    "Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE, PUBLISH";

/// A device that registers with one Call-ID, and CSeq counting up.
struct Device {
    world: World,
    from: String,
    call_id: String,
    cseq: u32,
    branches: u32,
}

impl Device {
    fn new() -> Device {
        let config =
            one_company("[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n", &[("221", ""), ("222", "")]);
        Device {
            world: World::new(config),
            from: DEVICE.to_owned(),
            call_id: "one-boot@device.example".to_owned(),
            cseq: 0,
            branches: 0,
        }
    }

    fn ask(&mut self, lines: &[&str]) -> Ask {
        self.cseq += 1;
        self.branches += 1;
        let mut ask = Ask::register("221").line(USUAL);
        ask.call_id.clone_from(&self.call_id);
        (ask.cseq, ask.branch) = (self.cseq, format!("z9hG4bK-device-{}", self.branches));
        lines.iter().fold(ask, |ask, line| ask.line(*line))
    }

    /// Registers, with proof, and says how it ended.
    fn register(&mut self, lines: &[&str]) -> (Seen, u16) {
        self.register_by(&ASHA, |_| {}, lines)
    }

    /// Likewise as that account, the request changed before it is proven.
    fn register_by(&mut self, account: &Account<'_>, change: impl Fn(&mut Ask), lines: &[&str]) -> (Seen, u16) {
        let mut first = self.ask(lines);
        change(&mut first);
        let answers = tell(&mut self.world, &self.from, &first.text());
        let (challenge, found) = only(&answers);
        assert_eq!(found, 401);
        let challenge = challenges(challenge).remove(0);
        let mut second = self.ask(lines);
        change(&mut second);
        let answers = tell(&mut self.world, &self.from, &second.proven(account, &challenge, 1).text());
        let (answer, found) = only(&answers);
        (answer.clone(), found)
    }

    /// Registers, which is granted; what is stored then.
    fn registered(&mut self, lines: &[&str]) -> Vec<String> {
        let (answer, found) = self.register(lines);
        assert_eq!(found, 200, "{lines:?}");
        values(&answer, "Contact")
    }

    /// What is stored.
    fn stored(&mut self) -> Vec<String> {
        self.registered(&[])
    }
}

/// RFC 3261 §10.2.2, §10.3 item 6: `*` removes everything, and stands alone, with Expires 0; anything else is 400.
#[test]
fn corner_47_a_star_stands_alone_and_only_with_expires_0() {
    let mut device = Device::new();
    let contact = "Contact: <sip:221@198.51.100.77:5060>";
    assert_eq!(device.registered(&[contact]).len(), 1);
    for wrong in [
        &["Contact: *"][..],
        &["Contact: *", "Expires: 60"],
        &["Contact: *", contact, "Expires: 0"],
        &[contact, "Contact: *", "Expires: 0"],
    ] {
        assert_eq!(device.register(wrong).1, 400, "{wrong:?}");
        assert_eq!(device.stored().len(), 1, "{wrong:?}");
    }
    assert!(device.registered(&["Contact: *", "Expires: 0"]).is_empty());
    device.world.end();
}

/// RFC 3261 §10.3 item 7, §21.4.17: an expiry below the least is 423, and Min-Expires says what would do. 0 is no
/// expiry but a removal.
#[test]
fn corner_48_too_brief_is_423_with_min_expires() {
    let mut device = Device::new();
    for brief in
        [&["Contact: <sip:221@198.51.100.77>;expires=59"][..], &["Contact: <sip:221@198.51.100.77>", "Expires: 1"]]
    {
        let (answer, found) = device.register(brief);
        assert_eq!((found, values(&answer, "Min-Expires")), (423, vec!["60".to_owned()]));
        assert!(device.stored().is_empty());
    }
    assert_eq!(device.registered(&["Contact: <sip:221@198.51.100.77>;expires=60"]).len(), 1);
    assert!(device.registered(&["Contact: <sip:221@198.51.100.77>;expires=0"]).is_empty());
    device.world.end();
}

/// RFC 3261 §10.3 item 7: under one Call-ID only a higher CSeq changes a binding; else the whole request fails and
/// nothing changed. Another Call-ID is another order.
#[test]
fn corner_49_an_older_cseq_of_the_same_call_id_is_500_and_changes_nothing() {
    let mut device = Device::new();
    device.cseq = 50;
    device.registered(&["Contact: <sip:221@198.51.100.77>;expires=600"]);
    for cseq in [20, 50] {
        device.cseq = cseq;
        let (_, found) = device.register(&["Contact: <sip:221@198.51.100.77>;expires=0"]);
        assert_eq!(found, 500, "after {}", device.cseq);
        assert_eq!(device.stored(), ["<sip:221@198.51.100.77>;expires=600"]);
    }
    device.call_id = "next-boot@device.example".to_owned();
    device.cseq = 0;
    assert!(device.registered(&["Contact: <sip:221@198.51.100.77>;expires=0"]).is_empty());
    device.world.end();
}

/// RFC 3261 §10.3 item 7: either every Contact of a REGISTER is taken or none is.
#[test]
fn corner_50_all_contacts_or_none() {
    let mut device = Device::new();
    let good = "Contact: <sip:221@198.51.100.77:5070>";
    for (bad, expected) in
        [("Contact: <tel:+919810000001>", 400), ("Contact: <sip:221@198.51.100.77:5071>;expires=10", 423)]
    {
        for both in [[good, bad], [bad, good]] {
            assert_eq!(device.register(&both).1, expected);
            assert!(device.stored().is_empty(), "{both:?}");
        }
    }
    assert_eq!(device.registered(&[good, "Contact: <sip:221@198.51.100.77:5071>"]).len(), 2);
    device.world.end();
}

/// RFC 3261 §10.3 item 7 with §19.1.4: bindings are compared as URIs: hosts and parameter names without case, escapes
/// undone, users with case, and a port written differs from none.
#[test]
fn corner_51_contacts_are_compared_as_uris() {
    let mut device = Device::new();
    device.registered(&["Contact: <sip:Desk@Phone.Example:5061;transport=udp;x=1>;expires=600"]);
    for same in [
        "sip:Desk@phone.EXAMPLE:5061;Transport=UDP;x=1",
        "sip:%44esk@phone.example:5061;transport=udp",
        "SIP:Desk@phone.example:5061;x=1;transport=udp",
    ] {
        assert_eq!(device.registered(&[&format!("Contact: <{same}>;expires=700")]), [format!("<{same}>;expires=700")]);
    }
    for other in ["sip:desk@phone.example:5061;transport=udp", "sip:Desk@phone.example;transport=udp"] {
        let count = device.stored().len();
        assert_eq!(device.registered(&[&format!("Contact: <{other}>")]).len(), count + 1, "{other}");
    }
    device.world.end();
}

/// RFC 3261 §10.2.1.1, §10.3 items 7 and 8, §20.10: a Contact's own expiry goes before the Expires field, that before
/// the default (R-8: 3600 s, at most 7200); what is stored is listed by q.
#[test]
fn corner_52_the_contacts_own_expiry_then_the_fields_then_the_default_and_the_highest_q_first() {
    let mut device = Device::new();
    let listed = device.registered(&[
        "Contact: <sip:low@198.51.100.77>;q=0.1;expires=100",
        "Contact: <sip:high@198.51.100.77>;q=0.9",
        "Contact: <sip:best@198.51.100.77>",
        "Expires: 200",
    ]);
    let expected = [
        "<sip:best@198.51.100.77>;expires=200",
        "<sip:high@198.51.100.77>;q=0.9;expires=200",
        "<sip:low@198.51.100.77>;q=0.1;expires=100",
    ];
    assert_eq!(listed, expected);
    for (written, granted) in [("", 3600), (";expires=100000", 7200)] {
        let listed = device.registered(&[&format!("Contact: <sip:only@198.51.100.77>{written}")]);
        assert!(listed.contains(&format!("<sip:only@198.51.100.77>;expires={granted}")), "{listed:?}");
    }
    device.world.pass(Duration::from_secs(101));
    assert!(!device.stored().iter().any(|contact| contact.contains("sip:low@")), "its time is over");
    device.world.pass(Duration::from_secs(100));
    assert_eq!(device.stored().len(), 1);
    device.world.end();
}

/// RFC 3261 §10.3 items 3 and 4: who registers for an address-of-record needs the right to, and nobody but its own
/// user has it (403).
#[test]
fn corner_53_nobody_registers_for_another() {
    let mut device = Device::new();
    let ravi = Account { name: "222", password: "secret-222" };
    let contact = &["Contact: <sip:222@198.51.100.77>"];
    assert_eq!(device.register_by(&ravi, |_| {}, contact).1, 403, "222's password, 221's address-of-record");
    let says_so = |ask: &mut Ask| ask.from = "222@acme.example".to_owned();
    assert_eq!(device.register_by(&ravi, says_so, contact).1, 403, "222 for 221, openly");
    assert_eq!(device.register_by(&ASHA, says_so, contact).1, 403, "221 in 222's name");
    assert!(device.stored().is_empty());
    device.world.end();
}

/// RFC 5626 §4.2, §6: a binding of the same +sip.instance and reg-id takes the old one's place, whatever its URI;
/// another reg-id, or another instance, is another. (Flow tokens and 430: `docs/corners.md`.)
#[test]
fn corner_54_an_instance_with_its_reg_id_takes_its_old_bindings_place() {
    let mut device = Device::new();
    let line = |port: u16, instance: &str, reg_id: u32| {
        format!("Contact: <sip:221@198.51.100.77:{port}>;+sip.instance=\"<urn:uuid:{instance}>\";reg-id={reg_id}")
    };
    assert_eq!(device.registered(&[&line(5060, "a", 1)]).len(), 1);
    let listed = device.registered(&[&line(5062, "a", 1)]);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(listed[0].starts_with("<sip:221@198.51.100.77:5062>") && listed[0].contains("reg-id=1"), "{listed:?}");
    assert_eq!(device.registered(&[&line(5064, "a", 2)]).len(), 2, "another flow");
    assert_eq!(device.registered(&[&line(5062, "b", 1)]).len(), 3, "another device, whatever URI it writes");
    device.world.end();
}

/// Calls sales, and gives what the device is sent.
fn called(device: &mut Device, name: &str) -> Seen {
    let mut caller = from_trunk(name);
    device.world.heard(&device.from.clone());
    device.world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = device.world.expect(&device.from.clone(), "INVITE");
    device.world.say(&device.from.clone(), &respond(&rung, "486 Busy Here", "no", "", ""));
    fail(&mut device.world, &mut caller);
    rung
}

/// RFC 3327 §5.3: Path is kept with the binding, given back in the 200, and is the Route of requests to the device.
#[test]
fn corner_55_a_path_is_kept_returned_and_used() {
    let mut device = Device::new();
    let path = ["Path: <sip:edge.example;lr>, <sip:inner.example;lr>"];
    let lines = ["Contact: <sip:221@198.51.100.77>", path[0], "Supported: path, outbound"];
    let (answer, found) = device.register(&lines);
    assert_eq!(found, 200);
    assert_eq!(values(&answer, "Path").join(", "), "<sip:edge.example;lr>, <sip:inner.example;lr>");
    let rung = called(&mut device, "path");
    assert_eq!(rung.headers("Route").join(", "), "<sip:edge.example;lr>, <sip:inner.example;lr>");
    assert_eq!(rung.first_line(), "INVITE sip:221@198.51.100.77 SIP/2.0");
    // A refresh without it is a device without it.
    assert_eq!(device.registered(&["Contact: <sip:221@198.51.100.77>"]).len(), 1);
    assert!(called(&mut device, "no-path").headers("Route").is_empty());
    device.world.end();
}

/// RFC 3581 §4: the answer to a device behind a NAT goes where its REGISTER came from, and so does every call; RFC
/// 5626 §3.5.1: line ends that keep the NAT's door open are no message.
#[test]
fn corner_56_a_device_behind_a_nat_is_called_where_its_register_came_from_and_may_send_line_ends() {
    let mut device = Device::new();
    device.from = "198.51.100.200:40000".to_owned();
    let (answer, found) = device.register_by(
        &ASHA,
        |ask| ask.sent_by = "10.0.0.5:5062".to_owned(),
        &["Contact: <sip:221@10.0.0.5:5062>"],
    );
    assert_eq!((found, answer.to.to_string()), (200, device.from.clone()));
    let via = answer.header("Via").unwrap();
    assert!(via.contains("received=198.51.100.200") && via.contains("rport=40000"), "{via}");
    assert_eq!(called(&mut device, "nat").first_line(), "INVITE sip:221@10.0.0.5:5062 SIP/2.0");
    assert!(device.world.sent_to("10.0.0.5:5062").is_empty());

    let before = daemon(&mut device.world).counters["keep-alives"];
    for line_ends in ["\r\n\r\n", "\r\n"] {
        assert!(tell(&mut device.world, "198.51.100.200:40000", line_ends).is_empty());
    }
    assert_eq!(daemon(&mut device.world).counters["keep-alives"], before + 2);
    assert!(!device.world.events.iter().any(|event| matches!(event, Event::Malformed { .. })));
    // A message may come behind line ends (RFC 3261 §7.5).
    let text = format!("\r\n\r\n{}", device.ask(&[]).text());
    let answers = tell(&mut device.world, "198.51.100.200:40000", &text);
    assert_eq!(status(&answers[0]), 401);
    device.world.end();
}
