//! Dialogs through a proxy, message by message.

use super::*;
use crate::flow::ListenerId;
use crate::sip::{self, Parsed};

const NOW: Instant = Instant::from_nanos(9_000_000_000);
const PATIENCE: Duration = Duration::from_secs(32);
const LONGEST: Duration = Duration::from_secs(3600);

fn parsed(text: String) -> Parsed {
    sip::parse(Bytes::from(text), &sip::Limits::default()).expect("the test's message is right")
}

/// A request of the caller's, with those lines more.
fn request(method: &str, cseq: u32, lines: &str) -> Request {
    let text = format!(
        "{method} sip:221@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:caller@t.example>;tag=caller\r\nTo: <sip:221@acme.example>\r\nCall-ID: c\r\nCSeq: {cseq} {method}\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    );
    let Parsed::Request(request) = parsed(text) else { panic!("no request") };
    request
}

/// A response of the callee's to the INVITE.
fn response(status: u16, lines: &str) -> Response {
    let text = format!(
        "SIP/2.0 {status} Said\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\nFrom: <sip:caller@t.example>;tag=caller\r\n\
         To: <sip:221@acme.example>;tag=callee\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    let Parsed::Response(response) = parsed(text) else { panic!("no response") };
    response
}

fn flow(address: &str) -> Flow {
    Flow { local: ListenerId(0), remote: address.parse().unwrap() }
}

fn is_own(uri: &Uri<'_>) -> bool {
    uri.host.and_then(sip::Host::ip) == "192.0.2.9".parse().ok()
}

fn early(lines: &str) -> Dialog {
    let invite = request("INVITE", 1, "Contact: <sip:caller@198.51.100.1>\r\nRecord-Route: <sip:up.example;lr>\r\n");
    Dialog::new(&invite, flow("198.51.100.1:5060"), &response(180, lines), flow("198.51.100.7:5060"), is_own)
}

/// RFC 3261 §12.1.1, §12.1.2: what stands behind us in the response's Record-Route, nearest first; what stands before us in
/// the INVITE's.
#[test]
fn each_end_is_reached_through_the_proxies_on_its_side() {
    let routes =
        "Record-Route: <sip:far.example;lr>, <sip:near.example;lr>, <sip:192.0.2.9;lr>, <sip:up.example;lr>\r\n";
    let mut dialog = early("Contact: <sip:221@198.51.100.7>\r\n");
    assert!(dialog.callee.route_set.is_empty());
    assert_eq!(dialog.next_uri(Toward::Callee), "sip:221@198.51.100.7");
    // §13.2.2.4: the 2xx counts, whatever the provisional response said.
    dialog.on_answer(NOW, &response(200, routes), PATIENCE, LONGEST, is_own);
    assert_eq!(dialog.callee.route_set.as_slice(), ["<sip:near.example;lr>", "<sip:far.example;lr>"]);
    assert_eq!(dialog.next_uri(Toward::Callee), "sip:near.example;lr");
    assert_eq!(dialog.next_uri(Toward::Caller), "sip:up.example;lr");
    let bye = String::from_utf8(dialog.bye(Toward::Callee, "192.0.2.9", "z9hG4bK2").to_vec()).unwrap();
    assert!(bye.starts_with("BYE sip:221@198.51.100.7 SIP/2.0\r\n"), "{bye}");
    assert!(bye.contains("\r\nRoute: <sip:near.example;lr>\r\nRoute: <sip:far.example;lr>\r\n"), "{bye}");
    assert!(
        bye.contains("\r\nFrom: <sip:caller@t.example>;tag=caller\r\n") && bye.contains("\r\nCSeq: 2 BYE\r\n"),
        "{bye}"
    );
}

/// RFC 3261 §22.2: a BYE that is challenged has ended nothing; the dialog goes on, its deadlines with it.
#[test]
fn a_challenged_bye_has_ended_nothing() {
    let mut dialog = early("");
    dialog.on_request(Toward::Caller, &request("BYE", 2, ""));
    assert!(dialog.phase == Phase::Ending { before: Before::Early } && dialog.phase.is_early());
    dialog.on_bye_challenged();
    assert_eq!(dialog.phase, Phase::Early);

    dialog.on_answer(NOW, &response(200, ""), PATIENCE, LONGEST, is_own);
    assert_eq!(dialog.deadline(), Some((NOW + PATIENCE, End::Unacknowledged)));
    dialog.on_bye_challenged();
    assert_eq!(dialog.deadline(), Some((NOW + PATIENCE, End::Unacknowledged)), "no BYE was under way");
    dialog.on_request(Toward::Caller, &request("BYE", 3, ""));
    assert_eq!(dialog.deadline(), None, "while a BYE is on its way, nobody else ends it");
    dialog.on_bye_challenged();
    assert_eq!(dialog.phase, Phase::Confirmed { unacknowledged_until: None }, "who hangs up has the 2xx");
    assert_eq!(dialog.deadline(), Some((NOW + LONGEST, End::TooLong)));
}

/// RFC 4028 §8.2, §4.
#[test]
fn a_session_that_nobody_refreshes_ends_but_never_before_90_seconds() {
    for (written, seconds) in [("1800", 1800), ("90", 90), ("5", 90)] {
        let mut dialog = early("");
        let answer = response(200, &format!("Session-Expires: {written};refresher=uas\r\n"));
        dialog.on_answer(NOW, &answer, PATIENCE, LONGEST, is_own);
        dialog.on_ack();
        assert_eq!(dialog.deadline(), Some((NOW + Duration::from_secs(seconds), End::SessionExpired)), "{written}");
    }
}
