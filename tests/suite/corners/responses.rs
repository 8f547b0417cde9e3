//! Corners 44–46: responses that are nobody's, copies that cannot be sent, and what two ends agree on over our heads.

use switchboard::engine::Input;

use super::super::script::{ASHA, BODY, Party, RAVI, TRUNK, from_trunk, hang_up, respond};
use super::super::world::{SWITCHBOARD, Seen};
use super::{acknowledge, over, phones, pick_up, refuse, ring, sales, talking};

const STRANGER: &str = "198.51.100.66:5060";

/// A response with that instead of its second Via line.
fn with_second_via(response: &str, instead: &str) -> String {
    let mut vias = 0;
    let line = |line: &str| {
        if line.starts_with("Via:") {
            vias += 1;
            if vias == 2 {
                return instead.to_owned();
            }
        }
        format!("{line}\r\n")
    };
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let head: String = head.split("\r\n").map(line).collect();
    format!("{head}\r\n{body}")
}

/// RFC 3261 §16.7 item 3, §18.1.2: a response whose topmost Via is not ours is dropped, and so is one with nobody
/// behind us. Where a response goes is known from its request: a second Via that names a stranger sends nothing
/// there.
#[test]
fn corner_44_a_response_for_nobody_is_dropped_and_no_via_sends_one_to_a_stranger() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("via");
    let rung = ring(&mut world, &mut caller, "");
    world.heard(TRUNK);
    let ringing = respond(&rung, "180 Ringing", "a", "", "");
    let ok = respond(&rung, "200 OK", "a", &format!("Contact: <sip:a@{ASHA}>\r\n"), "");
    for response in [&ringing, &ok] {
        world.say(ASHA, &response.replacen(SWITCHBOARD, STRANGER, 1));
        world.say(ASHA, &with_second_via(response, ""));
        assert!(world.lines(TRUNK).is_empty());
    }
    assert_eq!(world.busy(), ["221@acme ringing"]);
    let forged = format!("Via: SIP/2.0/UDP {STRANGER};branch=z9hG4bK-forged;rport=5060;received=198.51.100.66\r\n");
    world.say(ASHA, &with_second_via(&ringing, &forged));
    assert!(world.sent_to(STRANGER).is_empty());
    world.heard(TRUNK);
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// Tells Switchboard that what it sent could not be sent.
fn undeliverable(sent: &Seen) -> Input {
    Input::Undeliverable { bytes: sent.bytes.clone() }
}

/// RFC 3261 §16.9: a transport error on a copy counts as a 503 of that branch: the others ring on. Inside a dialog
/// there is no other, and a 503 goes up as 500 (§16.7 item 6).
#[test]
fn corner_45_a_transport_error_is_a_503_of_that_branch() {
    let mut world = phones(sales(), 2);
    let mut caller = from_trunk("icmp");
    let asha = ring(&mut world, &mut caller, "");
    let ravi = world.expect(RAVI, "INVITE");
    world.heard(TRUNK);
    world.happen(undeliverable(&asha));
    assert_eq!(world.busy(), ["222@acme ringing"], "freed at once");
    assert!(world.lines(TRUNK).is_empty());
    pick_up(&mut world, RAVI, &ravi, "r");
    let mut caller = acknowledge(&mut world, &caller, RAVI);
    hang_up(&mut world, &mut caller, RAVI);
    world.end();

    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "info");
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let info = world.expect(ASHA, "INFO");
    world.happen(undeliverable(&info));
    world.expect(TRUNK, "SIP/2.0 500");
    over(world, caller);
}

/// RFC 3262, RFC 3311 and RFC 4028 are between the two ends: Require, RSeq, RAck, Session-Expires and Min-SE pass,
/// and so do PRACK and UPDATE inside an early dialog, both ways.
#[test]
fn corner_46_reliable_provisionals_session_timers_and_updates_pass() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("early");
    let extra = "Supported: 100rel, timer\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n";
    let rung = ring(&mut world, &mut caller, extra);
    for (name, value) in [("Supported", "100rel, timer"), ("Session-Expires", "1800;refresher=uac"), ("Min-SE", "90")] {
        assert_eq!(rung.headers(name), [value]);
    }
    let mut callee = Party::callee(ASHA, &rung, "e");
    let contact = format!("Contact: <sip:phone@{ASHA}>\r\n");
    let extra = format!("Require: 100rel\r\nRSeq: 7\r\n{contact}");
    world.say(ASHA, &respond(&rung, "183 Session Progress", "e", &extra, BODY));
    let progress = world.expect(TRUNK, "SIP/2.0 183");
    assert_eq!((progress.headers("RSeq"), progress.headers("Require")), (vec!["7".into()], vec!["100rel".into()]));
    assert!(progress.text().ends_with(BODY));
    caller.learn(&progress);
    world.say(TRUNK, &caller.request("PRACK", "RAck: 7 1 INVITE\r\n", ""));
    let prack = world.expect(ASHA, "PRACK");
    assert_eq!(prack.headers("RAck"), ["7 1 INVITE"]);
    world.say(ASHA, &respond(&prack, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    for (from, to, party) in [(TRUNK, ASHA, &mut caller), (ASHA, TRUNK, &mut callee)] {
        world.say(from, &party.request("UPDATE", "", BODY));
        let seen = world.expect(to, "UPDATE");
        world.say(to, &respond(&seen, "200 OK", "", "Session-Expires: 1800;refresher=uac\r\n", ""));
        assert_eq!(world.expect(from, "SIP/2.0 200").headers("Session-Expires"), ["1800;refresher=uac"]);
    }
    caller.cseq = 1;
    world.say(ASHA, &respond(&rung, "422 Session Interval Too Small", "e", "Min-SE: 3600\r\n", ""));
    world.expect(ASHA, "ACK");
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    let mut invite = from_trunk("early");
    let _ = invite.request("INVITE", "", "");
    world.say(TRUNK, &invite.ack_failure(&failure));
    world.end();
}
