//! Texts that stand for values: durations, names, numbers, addresses, destinations. Each function reads one and says, where it
//! cannot, what is wrong and what would be right.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::suggest::nearest;
use super::tree::Wrong;
use crate::id::{DepartmentId, Extension};
use crate::number::{CallerPattern, E164, NumberError};
use crate::routing::{Cause, Destination, Proxy, Rejection, Source, Strategy};

/// The shortest and the longest a duration may be, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) least: u64,
    pub(super) most: u64,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Bounds {
    /// A phone rings at least a second and not for ever.
    pub(super) const RING: Bounds = Bounds { least: 1, most: 10 * MINUTE };
    /// Waiting in line, or wrapping up: none is allowed.
    pub(super) const PAUSE: Bounds = Bounds { least: 0, most: 4 * HOUR };
    /// A whole call.
    pub(super) const CALL: Bounds = Bounds { least: 1, most: 7 * DAY };
    /// The shortest a registration may be asked for.
    pub(super) const SHORTEST_REGISTRATION: Bounds = Bounds { least: 1, most: HOUR };
    /// A registration.
    pub(super) const REGISTRATION: Bounds = Bounds { least: 1, most: 7 * DAY };
    /// How long call records are kept.
    pub(super) const RECORDS: Bounds = Bounds { least: DAY, most: 3660 * DAY };
    /// What sticky remembers.
    pub(super) const MEMORY: Bounds = Bounds { least: 1, most: 366 * DAY };
}

/// `"25s"`, `"10m"`, `"4h"`, `"2d"`.
pub(super) fn duration(text: &str, bounds: Bounds) -> Result<Duration, Wrong> {
    let wrong = |message: String| {
        let help = format!(
            "a whole number and one unit (s, m, h or d), like \"25s\", \"10m\" or \"4h\"; here from {} to {}",
            duration_words(Duration::from_secs(bounds.least)),
            duration_words(Duration::from_secs(bounds.most))
        );
        Wrong::new(message, help)
    };
    let unit = text.chars().next_back().and_then(|unit| match unit {
        's' => Some(1),
        'm' => Some(MINUTE),
        'h' => Some(HOUR),
        'd' => Some(DAY),
        _ => None,
    });
    let digits = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    let (Some(unit), true) = (unit, is_digits(digits)) else {
        return Err(wrong(format!("`{text}` is not a duration")));
    };
    // More digits than a number holds is longer than any bound.
    let seconds = u64::from_str(digits).ok().and_then(|count| count.checked_mul(unit)).unwrap_or(u64::MAX);
    if seconds < bounds.least {
        return Err(wrong(format!("`{text}` is too short")));
    }
    if seconds > bounds.most {
        return Err(wrong(format!("`{text}` is too long")));
    }
    Ok(Duration::from_secs(seconds))
}

/// As an admin would write it: `25s`, `10m`, `4h`.
pub(super) fn duration_words(duration: Duration) -> String {
    match duration.as_secs() {
        0 => "0s".to_owned(),
        seconds if seconds % DAY == 0 && seconds > DAY => format!("{}d", seconds / DAY),
        seconds if seconds % HOUR == 0 => format!("{}h", seconds / HOUR),
        seconds if seconds % MINUTE == 0 => format!("{}m", seconds / MINUTE),
        seconds => format!("{seconds}s"),
    }
}

/// An extension: 1–32 letters, digits, `.`, `_`, `-`.
pub(super) fn extension(text: &str) -> Result<Extension, Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=32).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(Extension::new(text));
    }
    Err(Wrong::new(format!("`{text}` is not an extension"), "1 to 32 letters, digits, `.`, `_` or `-`, like 221"))
}

/// The name of a company, department, schedule or trunk: letters, digits, `-`, `_`.
pub(super) fn identifier(text: &str, what: &str) -> Result<(), Wrong> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(());
    }
    Err(Wrong::new(format!("`{text}` cannot name a {what}"), "1 to 64 letters, digits, `-` or `_`"))
}

/// A number in E.164 form; visual separators may stand in it.
pub(super) fn number(text: &str) -> Result<E164, Wrong> {
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    E164::parse(&bare).map_err(|error| number_wrong(text, error))
}

fn number_wrong(text: &str, error: NumberError) -> Wrong {
    let why = match error {
        NumberError::NoPlus => "it does not begin with `+`",
        NumberError::Empty => "there are no digits",
        NumberError::NotDigits => "there is something in it that is no digit",
        NumberError::TooLong => "it has more than 15 digits",
        NumberError::LeadingZero => "no country code begins with 0",
    };
    Wrong::new(
        format!("`{text}` is not a number in E.164 form: {why}"),
        "write `+`, the country code and the number without its leading zero, like \"+918041234567\"",
    )
}

/// An entry of `blocked-callers` or `callers`.
pub(super) fn caller(text: &str) -> Result<CallerPattern, Wrong> {
    CallerPattern::parse(text).map_err(|error| {
        let why = match error {
            NumberError::NoPlus => "it does not begin with `+`",
            NumberError::Empty => "there are no digits",
            NumberError::NotDigits => "there is something in it that is neither a digit nor a `*` at its end",
            NumberError::TooLong => "it has more than 15 digits",
            NumberError::LeadingZero => "no country code begins with 0",
        };
        Wrong::new(
            format!("`{text}` does not say which callers: {why}"),
            "a number (\"+919811112222\"), the beginning of numbers (\"+9114012*\") or \"anonymous\"",
        )
    })
}

/// A mail address: something, one `@`, something. No more is checked, for nothing is sent by it here.
pub(super) fn email(text: &str) -> Result<String, Wrong> {
    let sane = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && host_name(domain).is_ok() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
    });
    if sane && text.len() <= 254 {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("`{text}` is not an e-mail address"), "one `@` with a name before it and a domain after it"))
}

/// A name of a host, in lower case.
pub(super) fn host_name(text: &str) -> Result<String, Wrong> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Wrong::new(
        format!("`{text}` is not a domain"),
        "letters, digits and `-`, in parts joined by dots, like \"acme.example\"",
    ))
}

/// A company's SIP domain, in lower case: a name, never an address.
pub(super) fn domain(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if IpAddr::from_str(bare).is_ok() || (text.contains('.') && looks_like_address(text)) {
        return Err(Wrong::new(
            format!("`{text}` is an address, not a domain: phones could never register"),
            "a name of the company's own, which need not be in the DNS, like \"acme.example\": companies are told apart by it, and an address is every company's",
        ));
    }
    host_name(text)
}

/// A name or an address; an IPv6 address may stand in brackets. The brackets are taken off.
pub(super) fn host(text: &str) -> Result<String, Wrong> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match (inner, IpAddr::from_str(inner.unwrap_or(text))) {
        (Some(_), Ok(IpAddr::V6(address))) => Ok(address.to_string()),
        (None, Ok(address)) => Ok(address.to_string()),
        (None, Err(_)) if !looks_like_address(text) => host_name(text),
        _ => Err(Wrong::new(
            format!("`{text}` is neither a host's name nor its address"),
            "like \"sip.example\", \"203.0.113.10\" or \"2001:db8::1\"",
        )),
    }
}

/// Only digits and dots: meant as an address, whatever it is.
fn looks_like_address(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// An IANA zone.
pub(super) fn zone(text: &str) -> Result<chrono_tz::Tz, Wrong> {
    chrono_tz::Tz::from_str(text).map_err(|_| {
        let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let city = || names().find(|name| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(text)));
        let help = match nearest(text, names()).or_else(city) {
            Some(name) => format!("did you mean `{name}`? a zone of the IANA database is meant"),
            None => "a zone of the IANA database, like \"Asia/Kolkata\", \"Europe/Berlin\" or \"UTC\"".to_owned(),
        };
        Wrong::new(format!("`{text}` is not a time zone"), help)
    })
}

/// `udp:0.0.0.0:5060`, `udp:[::]:5060`.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    let help = "like \"udp:0.0.0.0:5060\" or \"udp:[::]:5060\"";
    let Some(address) = text.strip_prefix("udp:") else {
        let message = match text.split_once(':').map(|(transport, _)| transport) {
            Some(transport @ ("tcp" | "tls" | "ws" | "wss")) => {
                format!("`{text}` is not a place to listen: {transport} is not spoken yet, only udp")
            }
            _ => format!("`{text}` is not a place to listen: it does not begin with `udp:`"),
        };
        return Err(Wrong::new(message, help));
    };
    SocketAddr::from_str(address).map_err(|_| {
        Wrong::new(format!("`{text}` is not a place to listen: `{address}` is not an address and a port"), help)
    })
}

/// `127.0.0.1:8060`
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    SocketAddr::from_str(text).map_err(|_| {
        Wrong::new(format!("`{text}` is not an address and a port"), "like \"127.0.0.1:8060\" or \"[::1]:8060\"")
    })
}

/// `192.0.2.0/28`, `192.0.2.5`, `192.0.2.5:5080`, `[2001:db8::1]:5060`, `2001:db8::/32`.
pub(super) fn source(text: &str) -> Result<Source, Wrong> {
    let help =
        "an address (\"192.0.2.5\"), a network (\"192.0.2.0/28\"), or an address and a port (\"192.0.2.5:5080\")";
    if let Ok(address) = SocketAddr::from_str(text) {
        if address.port() == 0 {
            return Err(Wrong::new(
                format!("`{text}` is not where a trunk can send from: nobody sends from port 0"),
                help,
            ));
        }
        return usable(text, Source { net: IpNet::from(address.ip()), port: Some(address.port()) });
    }
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed.and_then(|inner| Ipv6Addr::from_str(inner).ok()) {
        return usable(text, Source { net: IpNet::from(IpAddr::V6(address)), port: None });
    }
    if let Ok(address) = IpAddr::from_str(text) {
        return usable(text, Source { net: IpNet::from(address), port: None });
    }
    match IpNet::from_str(text) {
        Ok(net) => usable(text, Source { net, port: None }),
        Err(_) => Err(Wrong::new(format!("`{text}` is neither an address nor a network"), help)),
    }
}

/// Refuses networks that say something else than they seem to.
fn usable(text: &str, source: Source) -> Result<Source, Wrong> {
    if source.net.prefix_len() == 0 {
        return Err(Wrong::new(
            format!("`{text}` is every address there is: everybody would be taken for this trunk"),
            "name the addresses or networks that the trunk sends from",
        ));
    }
    if source.net.trunc() != source.net {
        return Err(Wrong::new(
            format!("`{text}` is an address inside a network"),
            format!("write the network (\"{}\") or the address (\"{}\")", source.net.trunc(), source.net.addr()),
        ));
    }
    if source.net.addr().is_unspecified() {
        return Err(Wrong::new(
            format!("`{text}` is nobody's address"),
            "name the addresses or networks that the trunk sends from",
        ));
    }
    Ok(source)
}

/// `sip:host`, `sip:host:port`.
pub(super) fn proxy(text: &str) -> Result<Proxy, Wrong> {
    let help = "like \"sip:192.0.2.1:5060\", \"sip:proxy.example\" or \"sip:[2001:db8::1]:5060\"";
    let wrong = |why: &str| Wrong::new(format!("`{text}` is not a trunk's proxy: {why}"), help);
    let Some(rest) = text.strip_prefix("sip:") else { return Err(wrong("it does not begin with `sip:`")) };
    if rest.contains('@') {
        return Err(wrong("there is a user in it"));
    }
    if rest.contains([';', '?']) {
        return Err(wrong("there are parameters in it"));
    }
    let (host_text, port_text) = match rest.rfind(':') {
        Some(colon) if !rest.ends_with(']') => (rest.get(..colon).unwrap_or_default(), rest.get(colon + 1..)),
        _ => (rest, None),
    };
    let port = match port_text.map(|port| (is_digits(port), u16::from_str(port))) {
        None => None,
        Some((true, Ok(port))) if port != 0 => Some(port),
        Some(_) => return Err(wrong("its port is not a number from 1 to 65535")),
    };
    // Without brackets the last part of an IPv6 address would be read as its port.
    if host_text.contains(':') && !host_text.starts_with('[') {
        return Err(wrong("an IPv6 address stands in brackets"));
    }
    let host = host(host_text).map_err(|_| wrong("its host is neither a name nor an address"))?;
    Ok(Proxy { host, port })
}

/// Digits of a prefix or country code.
pub(super) fn digits(text: &str, most: usize, what: &str, example: &str) -> Result<String, Wrong> {
    if is_digits(text) && text.len() <= most {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("`{text}` is not {what}"), format!("1 to {most} digits without `+`, like \"{example}\"")))
}

/// A country code: 1–3 digits, the first not 0.
pub(super) fn country_code(text: &str) -> Result<String, Wrong> {
    let code = digits(text, 3, "a country code", "91")?;
    if code.starts_with('0') {
        return Err(Wrong::new(
            format!("`{text}` is not a country code"),
            "no country code begins with 0; like \"91\"",
        ));
    }
    Ok(code)
}

/// `department:ID`, `user:EXTENSION`, `external:+NUMBER`, `reject:busy|unavailable|decline`.
pub(super) fn destination(text: &str) -> Result<Destination, Wrong> {
    let help = "department:ID, user:EXTENSION, external:+NUMBER, reject:busy, reject:unavailable or reject:decline";
    let Some((kind, name)) = text.split_once(':') else {
        return Err(Wrong::new(format!("`{text}` is not a destination"), help));
    };
    match kind {
        "department" => {
            identifier(name, "department")?;
            Ok(Destination::Department(DepartmentId::new(name)))
        }
        "user" => Ok(Destination::User(extension(name)?)),
        "external" => Ok(Destination::External(number(name)?)),
        "reject" => match name {
            "busy" => Ok(Destination::Reject(Rejection::Busy)),
            "unavailable" => Ok(Destination::Reject(Rejection::Unavailable)),
            "decline" => Ok(Destination::Reject(Rejection::Decline)),
            _ => Err(choice(name, "way to reject", &["busy", "unavailable", "decline"])),
        },
        _ => {
            let help = match nearest(kind, ["department", "user", "external", "reject"]) {
                Some(near) => format!("did you mean `{near}:{name}`? {help}"),
                None => help.to_owned(),
            };
            Err(Wrong::new(format!("`{text}` is not a destination"), help))
        }
    }
}

/// The strategies of by name.
pub(super) const STRATEGIES: [(&str, Strategy); 6] = [
    ("serial", Strategy::Serial),
    ("simultaneous", Strategy::Simultaneous),
    ("round-robin", Strategy::RoundRobin),
    ("longest-idle", Strategy::LongestIdle),
    ("fewest-calls", Strategy::FewestCalls),
    ("random", Strategy::Random),
];

/// The causes of by name.
pub(super) const CAUSES: [(&str, Cause); 6] = [
    ("closed", Cause::Closed),
    ("unavailable", Cause::Unavailable),
    ("busy", Cause::Busy),
    ("full", Cause::Full),
    ("timeout", Cause::Timeout),
    ("no-answer", Cause::NoAnswer),
];

/// One of a few words.
pub(super) fn one<T: Copy>(text: &str, what: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| choice(text, what, &words.iter().map(|(word, _)| *word).collect::<Vec<_>>()))
}

fn choice(text: &str, what: &str, words: &[&str]) -> Wrong {
    let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let help = match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? one of {all}"),
        None => format!("one of {all}"),
    };
    Wrong::new(format!("`{text}` is not a {what}"), help)
}

/// At least one ASCII digit and nothing else.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit_and_bounds() {
        let any = Bounds { least: 0, most: 7 * DAY };
        assert_eq!(duration("25s", any), Ok(Duration::from_secs(25)));
        assert_eq!(duration("10m", any), Ok(Duration::from_secs(600)));
        assert_eq!(duration("4h", any), Ok(Duration::from_secs(14_400)));
        assert_eq!(duration("0s", any), Ok(Duration::ZERO));
        for text in ["", "s", "25", "1h30m", "25 s", "-1s", "1.5h", "25S", "25sec", "٣s", "+5s", "5é"] {
            assert!(duration(text, any).unwrap_err().message.contains("not a duration"), "{text}");
        }
        assert!(duration("0s", Bounds::RING).unwrap_err().message.contains("too short"));
        assert!(duration("99999999999999999999999d", any).unwrap_err().message.contains("too long"));
        assert_eq!(duration_words(Duration::from_secs(90)), "90s");
        assert_eq!(duration_words(Duration::from_secs(86_400)), "24h");
    }

    #[test]
    fn sources_are_addresses_networks_and_ports() {
        let read = |text| source(text).map(|source| (source.net.to_string(), source.port));
        assert_eq!(read("192.0.2.0/28"), Ok(("192.0.2.0/28".into(), None)));
        assert_eq!(read("192.0.2.5"), Ok(("192.0.2.5/32".into(), None)));
        assert_eq!(read("192.0.2.5:5080"), Ok(("192.0.2.5/32".into(), Some(5080))));
        assert_eq!(read("[2001:db8::1]:5060"), Ok(("2001:db8::1/128".into(), Some(5060))));
        assert_eq!(read("2001:db8::/32"), Ok(("2001:db8::/32".into(), None)));
        assert_eq!(read("[2001:db8::1]"), Ok(("2001:db8::1/128".into(), None)));
        assert!(read("192.0.2.5/28").unwrap_err().help.contains("192.0.2.0/28"));
        assert!(read("0.0.0.0/0").unwrap_err().message.contains("everybody"));
        assert!(read("::/0").unwrap_err().message.contains("everybody"));
        for text in ["", "trunk.example", "192.0.2.5:0", "192.0.2.5:99999", "192.0.2.0/33", "300.1.1.1", "0.0.0.0"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_is_a_host_and_perhaps_a_port() {
        let read = |text| proxy(text).map(|proxy| (proxy.host, proxy.port));
        assert_eq!(read("sip:192.0.2.1:5060"), Ok(("192.0.2.1".into(), Some(5060))));
        assert_eq!(read("sip:Proxy.Example"), Ok(("proxy.example".into(), None)));
        assert_eq!(read("sip:[2001:db8::1]"), Ok(("2001:db8::1".into(), None)));
        assert_eq!(read("sip:[2001:db8::1]:5070"), Ok(("2001:db8::1".into(), Some(5070))));
        for text in [
            "192.0.2.1",
            "sips:a",
            "sip:",
            "sip:a@b",
            "sip:a;transport=tcp",
            "sip:a:0",
            "sip:a:b",
            "sip:2001:db8::1",
            "sip:[::1",
            "sip:300.1.1.1",
            "sip:a:65536",
            "sip:-a",
            "sip:a:",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_that_does_not_exist_suggests_one_that_does() {
        assert_eq!(zone("Asia/Kolkata"), Ok(chrono_tz::Asia::Kolkata));
        assert!(zone("Asia/Kolkatta").unwrap_err().help.contains("`Asia/Kolkata`"));
        assert!(zone("berlin").unwrap_err().help.contains("`Europe/Berlin`"));
        assert!(zone("").is_err());
    }

    #[test]
    fn domains_and_mail_addresses_are_checked() {
        assert_eq!(host_name("Acme.Example").as_deref(), Ok("acme.example"));
        for text in ["", "a..b", "-a.b", "a_b", "a b", "acme.example.", "ü.example", "a:5060"] {
            assert!(host_name(text).is_err(), "{text}");
        }
        assert!(email("asha@bpo.example").is_ok());
        for text in ["", "asha", "@bpo", "asha@", "a@b@c", "a b@c"] {
            assert!(email(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listening_places_are_udp_addresses() {
        assert_eq!(listen("udp:[::]:5060"), Ok("[::]:5060".parse().unwrap()));
        assert!(listen("tcp:0.0.0.0:5060").unwrap_err().message.contains("only udp"));
        for text in ["0.0.0.0:5060", "udp:5060", "udp:localhost:5060", "udp:0.0.0.0", "udp:::1:5060"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }
}
