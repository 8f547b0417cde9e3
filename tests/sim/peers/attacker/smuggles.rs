//! Messages that two readers may read differently, and messages that no reader should survive by luck alone: after the PROTOS
//! suite, RFC 4475 and what has been found in other servers since (checklists §2 classes 1, 2, 5).

use super::super::super::dice::Dice;
use super::ask::{Ask, word};

/// How many kinds there are.
pub(super) const KINDS: u64 = 34;

/// A request bent in the given way.
pub(super) fn bend(dice: &mut Dice, kind: u64, ask: &Ask) -> Vec<u8> {
    let plain = ask.text();
    let first_line_end = plain.find("\r\n").unwrap_or(0);
    // `Content-Length` is the last line, so that more lines go before it.
    let with = |line: &str| plain.replacen("Content-Length:", &format!("{line}\r\nContent-Length:"), 1);
    let without = |name: &str| {
        let kept: Vec<&str> = plain.split("\r\n").filter(|line| !line.starts_with(name)).collect();
        kept.join("\r\n")
    };
    let text = match kind {
        0 => with("X-Bypass-me : lol"),
        1 => plain.replacen("From:", "From \t :", 1),
        2 => with("Contact\u{1}: <sip:root@127.0.0.1>"),
        3 => with(&format!("To: <sip:elsewhere@example.net>;tag={}", word(dice, 6))),
        4 => with("CSeq: 4294967295 BYE"),
        5 => with(&format!("Call-ID: {}", word(dice, 9))),
        6 => with("From: <sip:other@example.net>;tag=2"),
        // A folded start line.
        7 => plain.replacen(" SIP/2.0\r\n", "\r\n SIP/2.0\r\n", 1),
        8 => plain.replacen("\r\nFrom: ", "\r\nFrom:\r\n ", 1),
        9 => plain.replacen("Content-Length: ", "Content-Length: -", 1),
        10 => plain.replacen("Content-Length: ", "Content-Length: 99999999999999999999", 1),
        11 => plain.replacen("Content-Length: ", "Content-Length: 65000", 1),
        12 => with("Content-Length: 7"),
        13 => plain.replacen("Max-Forwards: 70", "Max-Forwards: 70\0", 1),
        14 => {
            let lines: String = (0..300).map(|n| format!("X-{n}: {}\r\n", word(dice, 3))).collect();
            plain.replacen("Content-Length:", &format!("{lines}Content-Length:"), 1)
        }
        15 => with(&format!("Subject: {}", "A".repeat(9_000))),
        16 => {
            // Broken UTF-8 where a name is.
            let mut bytes = with("User-Agent: @@").into_bytes();
            if let Some(at) = bytes.windows(2).position(|pair| pair == b"@@") {
                bytes[at] = 0xc3;
                bytes[at + 1] = 0x28;
            }
            return bytes;
        }
        // RFC 2543: no branch, no tag.
        17 => {
            let via = ask.via.split(";branch=").next().unwrap_or_default();
            plain.replacen(&ask.via, via, 1).replacen(&ask.from, ask.from.split(";tag=").next().unwrap_or_default(), 1)
        }
        18 => plain.replacen("branch=z9hG4bK", "branch=", 1),
        19 => plain.replacen("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 1),
        20 => without("Call-ID"),
        21 => without("Via"),
        22 => without("CSeq"),
        23 => plain.replacen(&format!("CSeq: {}", ask.cseq), "CSeq: 99999999999", 1),
        24 => plain.replace("\r\n", "\n"),
        25 => plain.replacen("\r\n", "\r", 3),
        26 => plain.replacen("Max-Forwards: 70", "Max-Forwards: 0", 1),
        27 => plain.replacen("Max-Forwards: 70", &format!("Max-Forwards: {}", "9".repeat(40)), 1),
        28 => {
            let routes: Vec<String> = (0..150).map(|n| format!("<sip:r{n}.example;lr>")).collect();
            with(&format!("Route: {}", routes.join(",")))
        }
        29 => plain.replacen("From: <", "From: \"\\\"<\u{7f} ; , <", 1),
        30 => with("Authorization: Digest username=\"x\\\", realm=\"\", nonce=\", uri=, response"),
        31 => with("Proxy-Require: nothing-we-know\r\nRequire: everything"),
        32 => plain.replacen(
            &plain[..first_line_end],
            &format!("{} tel:+1;phone-context={} SIP/2.0", ask.method, "%00".repeat(20)),
            1,
        ),
        _ => {
            let bytes = plain.as_bytes();
            let end = dice.below(bytes.len() as u64) as usize;
            return bytes[..end].to_vec();
        }
    };
    text.into_bytes()
}
