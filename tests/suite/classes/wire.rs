//! Classes 1, 2, 5, 22 and 24: what a message may hold, how it is read, and where its words end up.

use std::fmt::Write as _;

use switchboard::engine::{Command, Reply};
use switchboard::sip::{self, Limits, Parsed};

use super::super::companies::one_company;
use super::super::raw::{Ask, tell};
use super::{ASHA, DESK, Dice, OTHER_DESK, SALES, STRANGER, USUAL, heard, proven, still_serves, world};

/// A request with every header that anything here reads, and a body.
fn full(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:+918041234567@203.0.113.10;transport=udp SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch={branch}\r\nMax-Forwards: 70\r\nMax-Breadth: 60\r\n\
         Record-Route: <sip:192.0.2.9;lr>\r\nRoute: <sip:203.0.113.10:5060;lr>\r\n\
         From: \"A \\\" B\" <sip:+919811112222@192.0.2.9>;tag=f{branch}\r\nTo: <sip:+918041234567@203.0.113.10>\r\n\
         Call-ID: {branch}@192.0.2.9\r\nCSeq: 7 {method}\r\nContact: <sip:me@192.0.2.9:5060>;expires=60;q=0.5\r\n\
         P-Asserted-Identity: <sip:+919811112222@192.0.2.9>\r\nExpires: 60\r\nSession-Expires: 1800;refresher=uac\r\n\
         Min-SE: 90\r\nSupported: timer, path\r\nRequire: timer\r\nProxy-Require: \r\nPath: <sip:192.0.2.9;lr>\r\n\
         Authorization: Digest username=\"221\", realm=\"acme.example\", nonce=\"0\", uri=\"sip:acme.example\", \
         response=\"0\", algorithm=MD5, cnonce=\"1\", qop=auth, nc=00000001\r\nUser-Agent: x\r\n\
         Content-Type: multipart/mixed;boundary=b\r\nAccept: application/sdp\r\nReason: Q.850;cause=16\r\n\
         Content-Length: 14\r\n\r\n--b\r\nv=0\r\n--b--"
    )
}

#[test]
fn class_01_no_value_of_any_header_corrupts_anything() {
    let long = "a".repeat(9_000);
    let deep = format!("{}x{}", "<".repeat(500), ">".repeat(500));
    let many = "sip:a@b,".repeat(800);
    let parameters = ";a=b".repeat(1_500);
    let values = [
        "",
        " ",
        ",",
        ";",
        ";;;=;",
        "\"",
        "\"\\",
        "<",
        "<>",
        "@",
        "sip:",
        "sip:@",
        ":",
        "-1",
        "4294967296",
        "99999999999999999999999999",
        "1 1 1",
        "%",
        "%00",
        "%zz",
        "\u{0}",
        "\u{1}\u{7f}",
        "\u{fffd}\u{202e}",
        "*",
        "(((((",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP [",
        "SIP/2.0/UDP a;branch=",
        "Digest",
        "Digest a=\"",
        "\t\r\n \r\n x",
        "multipart/;boundary=\"",
        &long,
        &deep,
        &many,
        &parameters,
    ];
    let mut world = world();
    let mut number = 0;
    for method in ["INVITE", "REGISTER", "BYE", "FROBNICATE"] {
        let lines = full(method, "x").split("\r\n\r\n").next().unwrap().lines().count();
        for line in 0..lines {
            for value in values {
                number += 1;
                let whole = full(method, &format!("z9hG4bK{number}"));
                let (head, body) = whole.split_once("\r\n\r\n").unwrap();
                let mut head: Vec<String> = head.lines().map(str::to_owned).collect();
                head[line] = match head[line].split_once(": ") {
                    Some((name, _)) => format!("{name}: {value}"),
                    None => format!("{method} {value} SIP/2.0"),
                };
                let text = format!("{}\r\n\r\n{body}", head.join("\r\n"));
                tell(&mut world, if number % 2 == 0 { "192.0.2.9:5060" } else { STRANGER }, &text);
            }
        }
    }
    assert!(number > 3_000);
    world.seen.clear();
    world.settle();
    still_serves(world);
}

#[test]
fn class_02_no_damaged_message_stops_the_service() {
    let mut world = world();
    // What is echoed of damage is not for a phone to read.
    world.take_over(DESK);
    let mut dice = Dice(2);
    let originals = ["INVITE", "REGISTER", "ACK", "CANCEL"].map(|method| full(method, "z9hG4bKdamaged"));
    for original in &originals {
        // Cut at every byte, and without each line.
        for end in 0..original.len() {
            world.inject(if end % 2 == 0 { "192.0.2.9:5060" } else { STRANGER }, &original.as_bytes()[..end]);
        }
        let lines: Vec<&str> = original.split("\r\n").collect();
        for missing in 0..lines.len() {
            let left: Vec<&str> =
                lines.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, line)| *line).collect();
            world.inject("192.0.2.9:5060", left.join("\r\n").as_bytes());
        }
        world.pass(std::time::Duration::from_millis(5));
        // And with bytes changed, added and taken away.
        for _ in 0..1_000 {
            let mut bytes = original.clone().into_bytes();
            for _ in 0..1 + dice.below(8) {
                let at = dice.below(bytes.len());
                match dice.below(3) {
                    0 => bytes[at] = dice.roll() as u8,
                    1 => bytes.insert(at, dice.roll() as u8),
                    _ => drop(bytes.remove(at)),
                }
            }
            world.inject(["192.0.2.9:5060", STRANGER, DESK][dice.below(3)], &bytes);
        }
        world.pass(std::time::Duration::from_millis(5));
    }
    world.seen.clear();
    world.settle();
    still_serves(world);
}

#[test]
fn class_05_a_header_is_read_by_its_name_or_the_message_is_refused() {
    // The forms of ES2020-01 and GHSA-4h4c-qgxg-p3qv, of a header that must not pass, in a request that may.
    let spellings = [
        "P-Asserted-Identity: <sip:ceo@acme.example>",
        "P-Asserted-Identity : <sip:ceo@acme.example>",
        "P-Asserted-Identity\t \t: <sip:ceo@acme.example>",
        "P-Asserted-Identity:\r\n <sip:ceo@acme.example>",
        "P-Asserted-Identity \r\n : <sip:ceo@acme.example>",
        "p-aSSERTED-iDENTITY:<sip:ceo@acme.example>",
        "P-Asserted-Identity: <sip:x@acme.example>, <sip:ceo@acme.example>",
        "P-Asserted-Identity: <sip:x@acme.example>\r\nP-Asserted-Identity: <sip:ceo@acme.example>",
        "Subject: x\rP-Asserted-Identity: <sip:ceo@acme.example>",
        "Subject: x\nP-Asserted-Identity: <sip:ceo@acme.example>",
        "Subject: x\u{0}\r\nP-Asserted-Identity: <sip:ceo@acme.example>",
        "P-Asserted-Identity\u{1}: <sip:ceo@acme.example>",
        "\u{1}P-Asserted-Identity: <sip:ceo@acme.example>",
        "P-Asserted\u{0}-Identity: <sip:ceo@acme.example>",
        "P-Asserted-Identity\u{b}: <sip:ceo@acme.example>",
        "P-Asserted-Identity\u{a0}: <sip:ceo@acme.example>",
    ];
    for spelling in spellings {
        let mut world = world();
        let ask = Ask::new("INVITE", "sip:222@acme.example", "221@acme.example", "222@acme.example");
        let ask = ask.line("Contact: <sip:221@198.51.100.1:5060>").line(USUAL);
        let challenged = tell(&mut world, DESK, &ask.text());
        let challenge = super::super::raw::challenges(&challenged[0]).remove(0);
        let sent = tell(&mut world, DESK, &ask.next().line(spelling).proven(&ASHA, &challenge, 1).text());
        let onward: Vec<_> = sent.iter().filter(|seen| seen.to.to_string() == OTHER_DESK).collect();
        assert!(onward.len() <= 1, "{spelling:?}");
        for seen in &onward {
            // By any reader's idea of a line.
            let read: Vec<String> = seen.text().split(['\r', '\n']).map(str::to_owned).collect();
            assert!(!read.iter().any(|line| line.contains("ceo")), "{spelling:?} went on:\n{}", seen.text());
        }
        if onward.is_empty() {
            assert!(matches!(heard(&sent, DESK), Some(400) | None), "{spelling:?}: {sent:?}");
            assert!(world.engine.audit().is_empty(), "{spelling:?}");
        }
        world.settle();
    }
}

#[test]
fn class_05_what_could_be_read_in_two_ways_is_refused() {
    let whole = full("INVITE", "z9hG4bKsmuggled");
    let cases = [
        whole.replace("To: <sip:", "To\u{1}: <sip:a@b>;tag=in-dialog\r\nTo: <sip:"),
        whole.replace("To: <sip:", "To: <sip:a@b>;tag=in-dialog\r\nTo: <sip:"),
        whole.replace("To: <sip:", "t: <sip:a@b>;tag=in-dialog\r\nTo: <sip:"),
        whole.replace("Call-ID: ", "i: other\r\nCall-ID: "),
        whole.replace("CSeq: ", "CSeq: 8 BYE\r\nCSeq: "),
        whole.replace("From: ", "From: <sip:b@c>;tag=2\r\nFrom: "),
        whole.replace("Content-Length: 14", "Content-Length: 14\r\nl: 0"),
        whole.replace("Max-Forwards: 70", "Max-Forwards: 70\r\nMax-Forwards: 0"),
        whole.replacen(" SIP/2.0\r\n", "\r\n SIP/2.0\r\n", 1),
        whole.replacen("INVITE sip:", "INVITE  sip:", 1),
        whole.replacen("INVITE sip:", "INVITE\tsip:", 1),
        whole.replacen("Call-ID: ", "Call-ID: a\rb", 1),
        whole.replacen("Call-ID: ", "Call-ID: a\nb", 1),
        whole.replacen("Call-ID: ", "Call-ID: a\u{0}b", 1),
    ];
    for text in cases {
        assert_ne!(text, whole);
        let mut world = world();
        let sent = tell(&mut world, "192.0.2.9:5060", &text);
        let last = heard(&sent, "192.0.2.9:5060");
        assert!(matches!(last, Some(400) | None), "{last:?} for\n{text:?}");
        assert!(world.engine.audit().is_empty(), "{text:?}");
        assert_eq!(world.phone_mut("ravi").times_rung(), 0, "{text:?}");
    }
}

/// What two readers must agree on.
fn fields_here(bytes: &[u8]) -> Option<[String; 5]> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match sip::parse(bytes::Bytes::copy_from_slice(bytes), &Limits::default()) {
        Ok(Parsed::Request(message)) => Some([
            text(message.method_bytes()),
            text(message.call_id()),
            message.cseq().number.to_string(),
            text(message.from_tag()),
            text(message.to_tag()),
        ]),
        Ok(Parsed::Response(_) | Parsed::KeepAlive) | Err(_) => None,
    }
}

fn fields_there(bytes: &[u8]) -> Option<[String; 5]> {
    use rsip::headers::{ToTypedHeader as _, UntypedHeader as _};
    use rsip::message::HeadersExt as _;
    let message = rsip::Request::try_from(bytes).ok()?;
    let tag = |tag: Option<&rsip::param::Tag>| tag.map(|tag| tag.value().to_owned()).unwrap_or_default();
    Some([
        message.method.to_string(),
        message.call_id_header().ok()?.value().to_owned(),
        message.cseq_header().ok()?.typed().ok()?.seq.to_string(),
        tag(message.from_header().ok()?.typed().ok()?.tag()),
        tag(message.to_header().ok()?.typed().ok()?.tag()),
    ])
}

#[test]
fn class_05_another_reader_finds_in_what_leaves_what_was_meant() {
    // Every INVITE that goes on to a phone, whatever came in, is read alike by a reader that shares no code with ours.
    let mut world = world();
    let mut dice = Dice(5);
    for number in 0..400 {
        let mut text = full("INVITE", &format!("z9hG4bK-{number}"));
        for _ in 0..dice.below(3) {
            let odd = [
                "X-A : b\r\n",
                "x-long:\r\n y\r\n",
                "Subject: <a>;b=\"c\"\r\n",
                "To\u{1}: z\r\n",
                "Via: x\r\n",
                "k:\r\n",
            ];
            let places: Vec<usize> = text.match_indices("\r\n").map(|(at, _)| at + 2).collect();
            let heads = places.len().saturating_sub(6);
            text.insert_str(places[dice.below(heads.max(1))], odd[dice.below(odd.len())]);
        }
        tell(&mut world, "192.0.2.9:5060", &text);
        world.pass(std::time::Duration::from_secs(22));
    }
    let onward: Vec<_> =
        world.sent_to(OTHER_DESK).into_iter().filter(|seen| seen.bytes.starts_with(b"INVITE")).collect();
    assert!(onward.len() > 50, "{} of 400 went on", onward.len());
    let mut read = 0;
    for seen in &onward {
        let ours = fields_here(&seen.bytes);
        assert!(
            ours.is_some(),
            "we read what we wrote:
{}",
            seen.text()
        );
        // It reads no folded lines, and no values with ends of their own.
        if let Some(theirs) = fields_there(&seen.bytes) {
            read += 1;
            assert_eq!(ours, Some(theirs), "{}", seen.text());
        }
    }
    assert!(read > 100, "it read {read} of {}", onward.len());
}

#[test]
fn class_22_words_of_callers_are_text_in_every_line_record_and_listing() {
    let payloads = [
        "<script>alert(1)</script>",
        "\u{1b}[2J\u{1b}]0;x\u{7}",
        "a%0d%0aSet-Cookie: x",
        "\u{202e}evil",
        "'; DROP TABLE calls;--",
    ];
    for payload in payloads {
        let mut world = world();
        let contact = "Contact: <sip:222@198.51.100.2:5060>";
        let register = Ask::register("222").line(contact).line(format!("User-Agent: {payload}"));
        // The phone's own words, in the listing of registrations. (A message with bare controls in it is refused whole.)
        let text = register.text();
        tell(&mut world, OTHER_DESK, &text);
        let invite = full("INVITE", "z9hG4bKwords")
            .replace("+919811112222", payload)
            .replace("\"A \\\" B\"", &format!("\"{payload}\""));
        let invite = invite.replace("User-Agent: x", &format!("User-Agent: {payload}\r\nSubject: {payload}"));
        tell(&mut world, "192.0.2.9:5060", &invite);
        let mut shown = String::new();
        for command in [Command::Calls, Command::Registrations, Command::Agents, Command::Status] {
            let reply = world.command(command);
            assert!(!matches!(reply, Reply::Refused(_)));
            writeln!(shown, "{}", serde_json::to_string(&reply).unwrap()).unwrap();
        }
        world.settle();
        for record in &world.records {
            let json = serde_json::to_string(record).unwrap();
            let back: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert!(back.is_object());
            writeln!(shown, "{json}").unwrap();
        }
        for event in &world.events {
            let line = event.to_string();
            assert!(!line.contains(payload), "{line}");
            writeln!(shown, "{line}").unwrap();
        }
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{payload:?} in {shown}");
        world.end();
    }
}

#[test]
fn class_24_no_debug_output_holds_a_secret() {
    let config = one_company(SALES, &[("221", ""), ("222", "")]);
    let shown = format!("{config:?}");
    let mut world = world();
    let ask = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>");
    let (_, sent) = proven(&mut world, DESK, &ASHA, ask);
    assert_eq!(heard(&sent, DESK), Some(200));
    let engine = format!("{:?}", world.engine);
    assert!(engine.len() > 1_000 && shown.len() > 1_000, "something is shown");
    use sha2::Digest as _;
    let sha = sha2::Sha256::digest(b"221:acme.example:secret-221");
    let md5 = md5::Md5::digest(b"221:acme.example:secret-221");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let decimal = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    for secret in ["secret-221".to_owned(), hex(&sha), hex(&md5), decimal(&sha), decimal(&md5)] {
        for text in [&shown, &engine] {
            assert!(!text.to_lowercase().contains(&secret), "{secret}");
        }
    }
    world.end();
}
