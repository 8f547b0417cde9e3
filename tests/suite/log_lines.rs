//! What no line of the log may hold from `info` on: a number, a name or an address of anybody. Every event of every story goes
//! through here.

use switchboard::engine::Event;
use tracing::Level;

/// Panics where the line of an event gives somebody away.
pub fn hold_nobody(event: &Event) {
    // `Level` orders by how much is said: debug is more than info.
    if event.level() <= Level::INFO {
        let line = event.to_string();
        assert!(!gives_away(&line), "a line of the log gives somebody away: {line}");
    }
}

/// Whether there is a telephone number, an IP address, or the name or mail address of a person of these stories in it.
fn gives_away(line: &str) -> bool {
    // The longest extension or status of these stories has fewer digits, the shortest number more.
    let number = line.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 6);
    let address = line.split(|c: char| !(c.is_ascii_hexdigit() || ".:".contains(c))).any(|word| {
        let word = word.trim_matches(['.', ':']);
        word.parse::<std::net::IpAddr>().is_ok() || word.parse::<std::net::SocketAddr>().is_ok()
    });
    let person =
        ["Asha", "Ravi", "Meera", "Tom Hill", ".example", "tel:", "sip:"].iter().any(|name| line.contains(name));
    number || address || person
}

#[test]
fn it_is_seen_when_a_line_gives_somebody_away() {
    for line in [
        "offered to +919810000001",
        "offered to 9810000001 call=c1",
        "stranger 198.51.100.7:5060 answered 403",
        "stranger [2001:db8::9]:5060 ignored",
        "answered by Asha Rao",
        "offered to asha@bpo.example",
        "offered to sip:221@phone",
    ] {
        assert!(gives_away(line), "{line}");
    }
    for line in [
        "call arrived by trunk airtel for acme",
        "offered to 221",
        "offered to the mobile of 223",
        "223@acme registered, 1 device",
        "refused: 480 no-answer",
        "waiting, place 10",
    ] {
        assert!(!gives_away(line), "{line}");
    }
}
