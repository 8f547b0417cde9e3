//! URIs (RFC 3261 §19.1, RFC 3966, RFC 5118): spans over their text, comparison by §19.1.4.
//!
//! Hosts and ports are read here for Via too. Whether a scheme is one that can be served is not asked here.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Fault, Params, scan};

/// A URI's scheme, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, as written.
    Other(&'a [u8]),
}

/// A host as written, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A name.
    Name(&'a [u8]),
    /// `192.0.2.1`
    V4(Ipv4Addr),
    /// `[2001:db8::1]`
    V6(Ipv6Addr),
}

impl Host<'_> {
    /// The address, where it is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(address)),
            Host::V6(address) => Some(IpAddr::V6(address)),
        }
    }

    /// Whether both are the same host: names without regard to case or to the dot of the root, addresses by value.
    pub fn same_as(self, other: Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(other)) => rootless(one).eq_ignore_ascii_case(rootless(other)),
            (Host::V4(one), Host::V4(other)) => one == other,
            (Host::V6(one), Host::V6(other)) => one == other,
            (Host::Name(_) | Host::V4(_) | Host::V6(_), _) => false,
        }
    }

    /// Cuts the host that `text` begins with off it: `(as written, what it is, rest)`; `None` where it begins with none.
    pub(super) fn take(text: &[u8]) -> Option<(&[u8], Host<'_>, &[u8])> {
        if let Some(inside) = text.strip_prefix(b"[") {
            let (address, _) = scan::split_once(inside, b']')?;
            let (written, rest) = text.split_at_checked(address.len() + 2)?;
            return Some((written, Host::V6(read_v6(address)?), rest));
        }
        let (written, rest) = scan::take_until(text, |byte| !is_name_byte(byte));
        Some((written, read_name(written)?, rest))
    }
}

/// An address as a `received` or `maddr` value has it: IPv6 with or without its brackets (RFC 5118 §4.5).
pub(super) fn read_ip(text: &[u8]) -> Option<IpAddr> {
    let bare = text.strip_prefix(b"[").and_then(|inside| inside.strip_suffix(b"]")).unwrap_or(text);
    if memchr::memchr(b':', bare).is_some() {
        return read_v6(bare).map(IpAddr::V6);
    }
    if bare.len() != text.len() {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok().map(IpAddr::V4)
}

/// A port: one to five digits, 1 to 65535.
pub(super) fn read_port(text: &[u8]) -> Option<u16> {
    if text.len() > 5 {
        return None;
    }
    scan::decimal(text).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0)
}

fn rootless(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

/// RFC 3261 knows letters, digits, `-` and `.`; `_` is in many a company's names.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// A name or an IPv4 address. The last label of a name is no number, so that `192.0.2.256` is neither.
fn read_name(text: &[u8]) -> Option<Host<'_>> {
    let name = rootless(text);
    let mut last_is_number = false;
    for label in name.split(|&byte| byte == b'.') {
        if label.is_empty() {
            return None;
        }
        last_is_number = label.iter().all(u8::is_ascii_digit);
    }
    if !last_is_number {
        return Some(Host::Name(text));
    }
    std::str::from_utf8(text).ok()?.parse().ok().map(Host::V4)
}

/// An IPv6 address without brackets. Three colons count as two: the grammar of RFC 3261 has phones write them in front
/// of an embedded IPv4 address (RFC 5118 §4.10).
fn read_v6(text: &[u8]) -> Option<Ipv6Addr> {
    let written = std::str::from_utf8(text).ok()?;
    if let Ok(address) = written.parse() {
        return Some(address);
    }
    let (before, after) = written.split_once(":::")?;
    let mut repaired = [0u8; 46]; // the longest text of an address has 45
    let bytes = before.bytes().chain(*b"::").chain(after.bytes());
    let length = before.len() + 2 + after.len();
    if length > repaired.len() {
        return None;
    }
    repaired.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    std::str::from_utf8(repaired.get(..length)?).ok()?.parse().ok()
}

/// A URI in parts. For `tel:` the number is `user`, and `host` is `None`; for an unknown scheme both are `None`.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The whole URI as written.
    pub text: &'a [u8],
    /// Its scheme.
    pub scheme: Scheme<'a>,
    /// User part as written (escapes kept), without password; for `tel:` the number with its separators.
    pub user: Option<&'a [u8]>,
    /// Password, as written.
    pub password: Option<&'a [u8]>,
    /// Host.
    pub host: Option<Host<'a>>,
    /// Port, where written.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Params<'a>,
    /// What follows `?`, as written.
    pub headers: Option<&'a [u8]>,
}

impl<'a> Uri<'a> {
    /// Reads one URI that is the whole of `text`.
    ///
    /// # Errors
    /// The fault that says what is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, Fault> {
        read(text).ok_or(Fault::BadUri)
    }

    /// The user part with its escapes undone (`%61` → `a`); `None` without a user part or where it is not UTF-8 then.
    pub fn user_text(&self) -> Option<Cow<'a, str>> {
        let user = self.user?;
        if memchr::memchr(b'%', user).is_none() {
            return std::str::from_utf8(user).ok().map(Cow::Borrowed);
        }
        let bytes = Unescaped(user).map(|character| character.byte).collect();
        String::from_utf8(bytes).ok().map(Cow::Owned)
    }

    /// RFC 3261 §19.1.4 (`tel:`: RFC 3966 §4): whether both name the same resource.
    ///
    /// A URI with more than 32 parameters or headers is compared as written, so that nobody can make this slow.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        // Also one that has a parameter twice is itself: else its binding could be neither refreshed nor removed.
        if self.text == other.text {
            return true;
        }
        if self.is_oversized() || other.is_oversized() {
            return false;
        }
        match (self.scheme, other.scheme) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => {
                same_escaped(self.user, other.user, Case::Kept)
                    && same_escaped(self.password, other.password, Case::Kept)
                    && same_host(self.host, other.host)
                    // §19.1.4: the port left out is not the default port written.
                    && self.port == other.port
                    && same_sip_params(self.params, other.params)
                    && same_headers(self.headers, other.headers)
            }
            (Scheme::Tel, Scheme::Tel) => {
                same_number(self.user.unwrap_or_default(), other.user.unwrap_or_default())
                    && tel_params_in(self.params, other.params)
                    && tel_params_in(other.params, self.params)
            }
            (Scheme::Other(one), Scheme::Other(another)) => {
                one.eq_ignore_ascii_case(another) && self.text.get(one.len()..) == other.text.get(another.len()..)
            }
            (Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Other(_), _) => false,
        }
    }

    fn is_oversized(&self) -> bool {
        const MOST: usize = 32;
        self.params.iter().nth(MOST).is_some() || headers(self.headers).nth(MOST).is_some()
    }
}

fn read(text: &[u8]) -> Option<Uri<'_>> {
    // §25.1: no URI holds white space, control characters, angle brackets, quotes or anything but ASCII.
    if !text.iter().all(|&byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"')) {
        return None;
    }
    let (scheme, rest) = scan::split_once(text, b':')?;
    if scheme.eq_ignore_ascii_case(b"sip") {
        read_sip(text, Scheme::Sip, rest)
    } else if scheme.eq_ignore_ascii_case(b"sips") {
        read_sip(text, Scheme::Sips, rest)
    } else if scheme.eq_ignore_ascii_case(b"tel") {
        read_tel(text, rest)
    } else {
        let begins_with_letter = scheme.first().is_some_and(u8::is_ascii_alphabetic);
        let is_scheme = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        (begins_with_letter && is_scheme && !rest.is_empty()).then(|| bare(text, Scheme::Other(scheme)))
    }
}

fn bare<'a>(text: &'a [u8], scheme: Scheme<'a>) -> Uri<'a> {
    Uri { text, scheme, user: None, password: None, host: None, port: None, params: Params(&[]), headers: None }
}

fn read_sip<'a>(text: &'a [u8], scheme: Scheme<'a>, rest: &'a [u8]) -> Option<Uri<'a>> {
    if !escapes_are_whole(rest) {
        return None;
    }
    // An `@` stands only behind the user part, which may hold `;` and `?` (RFC 4475 §3.1.1.9): it is looked for first.
    let (userinfo, hostport) = match scan::split_once(rest, b'@') {
        Some((userinfo, hostport)) => (Some(userinfo), hostport),
        None => (None, rest),
    };
    if memchr::memchr(b'@', hostport).is_some() {
        return None;
    }
    let (user, password) = match userinfo.map(|userinfo| (userinfo, scan::split_once(userinfo, b':'))) {
        Some((_, Some((user, password)))) => (Some(user), Some(password)),
        Some((user, None)) => (Some(user), None),
        None => (None, None),
    };
    if user.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    let (_, host, mut rest) = Host::take(hostport)?;
    let mut port = None;
    if let Some(behind) = rest.strip_prefix(b":") {
        let (digits, behind) = scan::take_until(behind, |byte| matches!(byte, b';' | b'?'));
        port = Some(read_port(digits)?);
        rest = behind;
    }
    let (params, headers) = match scan::split_once(rest, b'?') {
        Some((params, headers)) => (params, Some(headers)),
        None => (rest, None),
    };
    if !uri_params_are_well_formed(params) || headers.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    Some(Uri { text, scheme, user, password, host: Some(host), port, params: Params(params), headers })
}

fn read_tel<'a>(text: &'a [u8], rest: &'a [u8]) -> Option<Uri<'a>> {
    let (number, params) = scan::take_until(rest, |byte| byte == b';');
    let digits = number.strip_prefix(b"+").unwrap_or(number);
    let is_number = digits.iter().all(|&byte| is_phone_digit(byte) || is_visual_separator(byte))
        && digits.iter().any(|&byte| is_phone_digit(byte));
    let well_formed =
        escapes_are_whole(params) && memchr::memchr(b'?', params).is_none() && uri_params_are_well_formed(params);
    (is_number && well_formed).then(|| Uri { user: Some(number), params: Params(params), ..bare(text, Scheme::Tel) })
}

/// RFC 3966 §3: phonedigit-hex, without the separators.
fn is_phone_digit(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#')
}

fn is_visual_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')')
}

/// Nothing, or a `;` before each and a name in each. What may stand in a name or value of a URI is left to its reader.
fn uri_params_are_well_formed(params: &[u8]) -> bool {
    match params.strip_prefix(b";") {
        Some(list) => list.split(|&byte| byte == b';').all(|param| !param.is_empty() && !param.starts_with(b"=")),
        None => params.is_empty(),
    }
}

/// Whether two hexadecimal digits follow every `%`.
fn escapes_are_whole(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).all(|at| {
        let digits = text.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// One character of a URI component.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Character {
    byte: u8,
    /// Written as an escape, and reserved: then it is not the same as the byte written plainly (§19.1.4).
    is_escaped_reserved: bool,
}

/// The characters of a URI component with their escapes undone. A `%` that begins no escape stands for itself.
struct Unescaped<'a>(&'a [u8]);

impl Iterator for Unescaped<'_> {
    type Item = Character;

    fn next(&mut self) -> Option<Character> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = rest;
            let byte = (high << 4) | low;
            let is_escaped_reserved =
                matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',');
            return Some(Character { byte, is_escaped_reserved });
        }
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(Character { byte, is_escaped_reserved: false })
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether upper and lower case are told apart.
#[derive(Clone, Copy)]
enum Case {
    Kept,
    Folded,
}

fn same_escaped(one: Option<&[u8]>, other: Option<&[u8]>, case: Case) -> bool {
    let fold = |character: Character| match case {
        Case::Kept => character,
        Case::Folded => Character { byte: character.byte.to_ascii_lowercase(), ..character },
    };
    match (one, other) {
        (Some(one), Some(other)) => Unescaped(one).map(fold).eq(Unescaped(other).map(fold)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn same_host(one: Option<Host<'_>>, other: Option<Host<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.same_as(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// §19.1.4: a parameter in both must match; in one only it is ignored, unless it is one of those that change where or
/// how the request goes.
fn same_sip_params(one: Params<'_>, other: Params<'_>) -> bool {
    let mut both = one.iter().chain(other.iter());
    both.all(|(name, _)| match (find_escaped(one, name), find_escaped(other, name)) {
        (Some(one), Some(other)) => same_escaped(one, other, Case::Folded),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => {
            let must_match: [&[u8]; 5] = [b"transport", b"user", b"ttl", b"method", b"maddr"];
            !must_match.iter().any(|known| same_escaped(Some(known), Some(name), Case::Folded))
        }
    })
}

/// The first parameter whose name is `name`, escapes on either side undone.
fn find_escaped<'a>(params: Params<'a>, name: &[u8]) -> Option<Option<&'a [u8]>> {
    let found = params.iter().find(|(written, _)| same_escaped(Some(written), Some(name), Case::Folded));
    found.map(|(_, value)| value)
}

/// `?name=value&name=value`, each in two.
fn headers(text: Option<&[u8]>) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    text.into_iter().flat_map(|text| text.split(|&byte| byte == b'&')).map(|header| {
        match scan::split_once(header, b'=') {
            Some((name, value)) => (name, Some(value)),
            None => (header, None),
        }
    })
}

/// §19.1.4: headers are never ignored, but their order does not matter.
fn same_headers(one: Option<&[u8]>, other: Option<&[u8]>) -> bool {
    let times = |list: Option<&[u8]>, (name, value): (&[u8], Option<&[u8]>)| {
        headers(list)
            .filter(|(written, theirs)| {
                same_escaped(Some(written), Some(name), Case::Folded) && same_escaped(*theirs, value, Case::Kept)
            })
            .count()
    };
    headers(one).count() == headers(other).count()
        && headers(one).all(|header| times(one, header) == times(other, header))
}

/// RFC 3966 §4: digit by digit, visual separators left out; `+` tells a global number from a local one.
fn same_number(one: &[u8], other: &[u8]) -> bool {
    let digits = |text| Unescaped(text).map(|it| it.byte.to_ascii_lowercase()).filter(|&it| !is_visual_separator(it));
    digits(one).eq(digits(other))
}

/// Whether every parameter of `one` is in `other` too with the same value (RFC 3966 §4).
fn tel_params_in(one: Params<'_>, other: Params<'_>) -> bool {
    one.iter().all(|(name, value)| {
        let Some(theirs) = other.iter().find(|(written, _)| written.eq_ignore_ascii_case(name)).map(|it| it.1) else {
            return false;
        };
        let is_number = name.eq_ignore_ascii_case(b"ext") || value.is_some_and(|value| value.starts_with(b"+"));
        match (value, theirs) {
            (Some(value), Some(theirs)) if is_number => same_number(value, theirs),
            (value, theirs) => same_escaped(value, theirs, Case::Folded),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    fn same(one: &str, other: &str) -> bool {
        let forth = uri(one).equivalent(&uri(other));
        assert_eq!(forth, uri(other).equivalent(&uri(one)), "{one} and {other} compare alike both ways");
        forth
    }

    #[test]
    fn every_part_is_where_it_is() {
        let uri = uri("SIPS:alice:secret@Example.COM:5061;transport=tcp;lr?subject=x&to=y");
        assert_eq!(uri.scheme, Scheme::Sips);
        assert_eq!(uri.user, Some(&b"alice"[..]));
        assert_eq!(uri.password, Some(&b"secret"[..]));
        assert_eq!(uri.host, Some(Host::Name(b"Example.COM")));
        assert_eq!(uri.port, Some(5061));
        assert_eq!(uri.params.value("transport"), Some(&b"tcp"[..]));
        assert_eq!(uri.params.find("lr"), Some(None));
        assert_eq!(uri.headers, Some(&b"subject=x&to=y"[..]));
    }

    #[test]
    fn a_host_alone_is_enough() {
        let uri = uri("sip:example.com.");
        assert_eq!((uri.user, uri.port, uri.headers), (None, None, None));
        assert_eq!(uri.host, Some(Host::Name(b"example.com.")));
    }

    #[test]
    fn the_user_part_may_hold_what_ends_other_parts() {
        // RFC 4475 §3.1.1.9 and §3.1.1.2
        let semi = uri("sip:user;par=u%40example.net@example.com");
        assert_eq!(semi.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(semi.user_text().as_deref(), Some("user;par=u@example.net"));
        assert_eq!(semi.params.iter().count(), 0);
        let wide = uri(
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
        );
        assert_eq!(wide.user, Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
        assert_eq!(wide.password, Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
        assert_eq!(wide.host, Some(Host::Name(b"example.com")));
    }

    #[test]
    fn escapes_are_undone_in_the_user_text_only() {
        // RFC 4475 §3.1.1.3 and §3.1.1.4
        assert_eq!(uri("sip:%75se%72@example.com").user_text().as_deref(), Some("user"));
        assert_eq!(uri("sip:%75se%72@example.com").user, Some(&b"%75se%72"[..]));
        assert_eq!(
            uri("sip:sips%3Auser%40example.com@example.net").user_text().as_deref(),
            Some("sips:user@example.com")
        );
        assert_eq!(uri("sip:null-%00-null@example.com").user_text().as_deref(), Some("null-\0-null"));
        assert_eq!(uri("sip:caf%C3%A9@example.com").user_text().as_deref(), Some("café"));
        assert_eq!(uri("sip:%ff@example.com").user_text(), None);
        assert_eq!(uri("sip:example.com").user_text(), None);
        assert!(matches!(uri("sip:plain@example.com").user_text(), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn addresses_are_read_by_value() {
        assert_eq!(uri("sip:192.0.2.1:5070").host, Some(Host::V4(Ipv4Addr::new(192, 0, 2, 1))));
        let six = uri("sip:user@[2001:DB8::10]:5070;lr");
        assert_eq!(six.host.and_then(Host::ip), "2001:db8::10".parse().ok());
        assert_eq!(six.port, Some(5070));
        // RFC 5118 §4.3: inside the brackets it is the address's.
        let ambiguous = uri("sip:[2001:db8::10:5070]");
        assert_eq!(ambiguous.host.and_then(Host::ip), "2001:db8::10:5070".parse().ok());
        assert_eq!(ambiguous.port, None);
        assert_eq!(uri("sip:[::ffff:192.0.2.10]").host.and_then(Host::ip), "::ffff:192.0.2.10".parse().ok());
        // RFC 5118 §4.10
        assert_eq!(uri("sip:user@[2001:db8:::192.0.2.1]").host.and_then(Host::ip), "2001:db8::192.0.2.1".parse().ok());
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "*",
            "sip",
            "sip:",
            "sip:@example.com",
            "sip:user@",
            "sip:a@b@example.com",
            "sip:user@example.com@x",
            "sip:2001:db8::10", // RFC 5118 §4.2
            "sip:[2001:db8::10",
            "sip:[2001:db8::10]x",
            "sip:[]",
            "sip:[1:::2:::3]",
            "sip:[fe80::1%25eth0]",
            "sip:user@example.com:",
            "sip:user@example.com:0",
            "sip:user@example.com:65536",
            "sip:user@example.com:005060",
            "sip:user@example.com:5060x",
            "sip:user@example..com",
            "sip:user@.",
            "sip:user@192.0.2.256",
            "sip:user@exa$mple.com",
            "sip:user@example.com;",
            "sip:user@example.com;;lr",
            "sip:user@example.com;=x",
            "sip:user@example.com?",
            "sip:user@example.com; lr", // RFC 4475 §3.1.2.8
            "sip:us er@example.com",
            " sip:user@example.com",
            "<sip:user@example.com>", // RFC 4475 §3.1.2.7
            "sip:\"user\"@example.com",
            "sip:us\0er@example.com",
            "sip:us%4@example.com",
            "sip:us%zz@example.com",
            "sip:user@example.com;a=%",
            "sip:usér@example.com",
            "tel:",
            "tel:+",
            "tel:()",
            "tel:alice",
            "tel:+1?x=y",
            "tel:1+2",
            "1a:b",
            "mailto:",
            ":x",
        ] {
            assert_eq!(Uri::parse(text.as_bytes()).err(), Some(Fault::BadUri), "{text}");
        }
    }

    #[test]
    fn tel_has_its_number_for_user() {
        let tel = uri("tel:+1-201-555-0123;ext=12;phone-context=example.com");
        assert_eq!(tel.scheme, Scheme::Tel);
        assert_eq!(tel.user, Some(&b"+1-201-555-0123"[..]));
        assert_eq!(tel.host, None);
        assert_eq!(tel.params.value("ext"), Some(&b"12"[..]));
    }

    #[test]
    fn unknown_schemes_are_kept_whole() {
        for (text, scheme) in [
            ("isbn:2983792873", "isbn"),
            ("http://www.example.com", "http"),
            ("soap.beep://192.0.2.103:3002", "soap.beep"),
        ] {
            let uri = uri(text);
            assert_eq!(uri.scheme, Scheme::Other(scheme.as_bytes()));
            assert_eq!((uri.user, uri.host), (None, None));
            assert_eq!(uri.text, text.as_bytes());
        }
    }

    #[test]
    fn rfc_3261_examples_that_are_equivalent() {
        for (one, other) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(same(one, other), "{one} = {other}");
        }
    }

    #[test]
    fn rfc_3261_examples_that_are_not_equivalent() {
        for (one, other) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ] {
            assert!(!same(one, other), "{one} /= {other}");
        }
    }

    #[test]
    fn what_else_tells_uris_apart() {
        for (one, other) in [
            ("sip:a@example.com", "sips:a@example.com"),
            ("sip:example.com", "sip:a@example.com"),
            ("sip:a:x@example.com", "sip:a:X@example.com"),
            ("sip:a:@example.com", "sip:a@example.com"),
            ("sip:a@example.com;maddr=192.0.2.1", "sip:a@example.com"),
            ("sip:a@example.com;user=ip", "sip:a@example.com"),
            ("sip:a@example.com?a=1&a=1&b=2", "sip:a@example.com?a=1&b=2&b=2"),
            ("sip:a%3Bb@example.com", "sip:a;b@example.com"),
            ("tel:+1201", "tel:1201"),
            ("tel:1201;ext=3", "tel:1201"),
            ("isbn:1", "isbn:2"),
            ("tel:+1201", "sip:+1201@example.com"),
        ] {
            assert!(!same(one, other), "{one} /= {other}");
        }
    }

    #[test]
    fn what_else_is_the_same() {
        for (one, other) in [
            ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0::1]"),
            ("sip:a@example.com", "sip:a@EXAMPLE.com."),
            ("sip:a@example.com;%6C%72;x=%41", "sip:a@example.com;lr;x=a"),
            ("tel:+1-(201).555", "TEL:+1201555"),
            ("tel:1201;ext=1-2;phone-context=+49-30", "tel:1201;phone-context=+4930;ext=12"),
            ("tel:7042;phone-context=A.example", "tel:7042;phone-context=a.example"),
            ("ISBN:1", "isbn:1"),
            ("tel:1201;ext=3;ext=4", "tel:1201;ext=3;ext=4"),
        ] {
            assert!(same(one, other), "{one} = {other}");
        }
    }

    #[test]
    fn very_many_parameters_are_compared_as_written() {
        let many = format!("sip:a@example.com{}", ";x".repeat(33));
        assert!(same(&many, &many));
        assert!(!same(&many, "sip:a@example.com;x"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Uri::parse(&text);
            let _ = read_ip(&text);
            let _ = read_port(&text);
        }

        #[test]
        fn what_is_read_is_equivalent_to_itself(rest in "[a-c0-9%:;=?&@.\\[\\]+-]{0,24}", scheme in "(sip|sips|tel|x):") {
            let text = format!("{scheme}{rest}");
            if let Ok(uri) = Uri::parse(text.as_bytes()) {
                prop_assert!(uri.equivalent(&uri));
                let _ = uri.user_text();
            }
        }
    }
}
