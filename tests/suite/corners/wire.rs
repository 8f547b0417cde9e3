//! Corner 59: datagrams that are shorter or longer than they say (RFC 3261 §18.3).

use switchboard::engine::Event;

use super::super::raw::{Ask, only, tell};
use super::super::script::{ASHA, BODY, TRUNK, from_trunk, respond};
use super::{phones, refuse, ring, sales};

/// RFC 3261 §18.3: a datagram shorter than its Content-Length is an error: 400 to a request, and a response is
/// discarded.
#[test]
fn corner_59_a_datagram_shorter_than_its_content_length_is_400_or_dropped() {
    let mut world = phones(sales(), 1);
    let ping = Ask::new("OPTIONS", "sip:203.0.113.10", "ping@192.0.2.1", "203.0.113.10").text();
    let answers = tell(&mut world, TRUNK, &ping.replace("Content-Length: 0", "Content-Length: 1"));
    assert_eq!(only(&answers).1, 400);
    let mut caller = from_trunk("short");
    let rung = ring(&mut world, &mut caller, "");
    world.heard(TRUNK);
    let ringing = respond(&rung, "180 Ringing", "t", "", BODY);
    let said = format!("Content-Length: {}", BODY.len());
    world.say(ASHA, &ringing.replace(&said, &format!("Content-Length: {}", BODY.len() + 1)));
    assert!(world.lines(TRUNK).is_empty(), "dropped");
    world.say(ASHA, &ringing);
    world.expect(TRUNK, "SIP/2.0 180");
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 3261 §18.3: what a datagram holds beyond its Content-Length is discarded; the log says so.
#[test]
fn corner_59_trailing_bytes_are_ignored_and_told() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("long");
    let invite = caller.request("INVITE", "", BODY);
    world.say(TRUNK, &format!("{invite}BYE sip:x SIP/2.0\r\n"));
    let rung = world.expect(ASHA, "INVITE");
    assert!(rung.text().ends_with(&format!("\r\n\r\n{BODY}")), "not forwarded");
    world.say(ASHA, &format!("{}junk", respond(&rung, "180 Ringing", "t", "", BODY)));
    assert!(world.expect(TRUNK, "SIP/2.0 180").text().ends_with(BODY));
    let told: Vec<usize> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::TrailingBytes { count, .. } => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(told, [19, 4]);
    refuse(&mut world, &mut caller, &rung);
    // Without a Content-Length all of the datagram is the message.
    let mut caller = from_trunk("open");
    let invite = caller.request("INVITE", "", BODY);
    world.say(TRUNK, &invite.replace(&format!("Content-Length: {}\r\n", BODY.len()), ""));
    let rung = world.expect(ASHA, "INVITE");
    assert!(rung.text().ends_with(&format!("\r\n\r\n{BODY}")));
    refuse(&mut world, &mut caller, &rung);
    world.end();
}
