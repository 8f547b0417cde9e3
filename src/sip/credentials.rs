//! Authorization and Proxy-Authorization (RFC 3261 §20.7, RFC 7616 §3.4).
//!
//! Reads what was written; whether it proves anything is not asked here.

use std::borrow::Cow;

use super::scan;

/// `qop` of the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// `auth`
    Auth,
    /// Anything else that was written.
    Other,
}

/// Digest credentials, unquoted and unescaped where needed. Values that RFC 7616 wants and are missing are empty.
#[derive(Clone, Debug)]
pub struct DigestCredentials<'a> {
    /// `username`, unescaped.
    pub username: Cow<'a, [u8]>,
    /// `realm`, unescaped.
    pub realm: Cow<'a, [u8]>,
    /// `nonce`.
    pub nonce: &'a [u8],
    /// `uri`, as written between its quotes.
    pub uri: &'a [u8],
    /// `response`.
    pub response: &'a [u8],
    /// `algorithm`, as written.
    pub algorithm: Option<&'a [u8]>,
    /// `cnonce`, as written between its quotes.
    pub cnonce: Option<&'a [u8]>,
    /// `opaque`.
    pub opaque: Option<&'a [u8]>,
    /// `qop`.
    pub qop: Option<Qop>,
    /// `nc` as its 8 hexadecimal digits were written.
    pub nc: Option<&'a [u8]>,
}

impl<'a> DigestCredentials<'a> {
    /// Reads the value of an Authorization or Proxy-Authorization field; `None` for another scheme, or one that cannot
    /// be read (which counts as no credentials, RFC 4475 §3.3.7).
    pub fn parse(value: &'a [u8]) -> Option<DigestCredentials<'a>> {
        let (scheme, list) = scan::take_until(scan::trim(value), scan::is_space);
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return None;
        }
        let mut written = Written::default();
        for param in scan::split_list(list).filter(|param| !param.is_empty()) {
            let (name, value) = scan::split_once(param, b'=')?;
            let name = scan::trim_end(name);
            let value = scan::trim_start(value);
            if !scan::is_token(name) || !is_value(value) {
                return None;
            }
            if let Some(place) = written.place(name) {
                // A value that is there twice could be read one way here and another way elsewhere.
                if place.replace(scan::unquote(value)).is_some() {
                    return None;
                }
            }
        }
        Some(DigestCredentials {
            username: unescape(written.username.unwrap_or_default()),
            realm: unescape(written.realm.unwrap_or_default()),
            nonce: written.nonce.unwrap_or_default(),
            uri: written.uri.unwrap_or_default(),
            response: written.response.unwrap_or_default(),
            algorithm: written.algorithm,
            cnonce: written.cnonce,
            opaque: written.opaque,
            qop: written.qop.map(|qop| if qop.eq_ignore_ascii_case(b"auth") { Qop::Auth } else { Qop::Other }),
            nc: written.nc,
        })
    }
}

/// The values of the parameters that are known, without quotes.
#[derive(Default)]
struct Written<'a> {
    username: Option<&'a [u8]>,
    realm: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    uri: Option<&'a [u8]>,
    response: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
    cnonce: Option<&'a [u8]>,
    opaque: Option<&'a [u8]>,
    qop: Option<&'a [u8]>,
    nc: Option<&'a [u8]>,
}

impl<'a> Written<'a> {
    /// Where the value of the parameter with that name goes; `None` for one that is not known.
    fn place(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let places: [(&str, &mut Option<&'a [u8]>); 10] = [
            ("username", &mut self.username),
            ("realm", &mut self.realm),
            ("nonce", &mut self.nonce),
            ("uri", &mut self.uri),
            ("response", &mut self.response),
            ("algorithm", &mut self.algorithm),
            ("cnonce", &mut self.cnonce),
            ("opaque", &mut self.opaque),
            ("qop", &mut self.qop),
            ("nc", &mut self.nc),
        ];
        places.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, place)| place)
    }
}

/// A quoted string, or bytes without white space and quotes.
fn is_value(value: &[u8]) -> bool {
    if value.starts_with(b"\"") {
        return scan::is_quoted(value);
    }
    !value.is_empty() && !value.iter().any(|&byte| scan::is_space(byte) || byte == b'"')
}

/// Undoes `\x` inside a quoted string (§25.1 quoted-pair).
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.iter().copied();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credentials(text: &str) -> DigestCredentials<'_> {
        DigestCredentials::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is read"))
    }

    #[test]
    fn every_value_is_where_it_is() {
        let read = credentials(
            "Digest username=\"bob\", realm=\"biloxi.com\",\r\n nonce=\"dcd98b\", uri=\"sip:bob,x@biloxi.com\", \
             qop=auth, nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae4\", opaque=\"5ccc\", algorithm=SHA-256",
        );
        assert_eq!(read.username.as_ref(), b"bob");
        assert_eq!(read.realm.as_ref(), b"biloxi.com");
        assert_eq!(read.nonce, b"dcd98b");
        assert_eq!(read.uri, b"sip:bob,x@biloxi.com");
        assert_eq!(read.response, b"6629fae4");
        assert_eq!(read.algorithm, Some(&b"SHA-256"[..]));
        assert_eq!(read.cnonce, Some(&b"0a4f113b"[..]));
        assert_eq!(read.opaque, Some(&b"5ccc"[..]));
        assert_eq!(read.qop, Some(Qop::Auth));
        assert_eq!(read.nc, Some(&b"00000001"[..]));
    }

    #[test]
    fn order_case_quotes_and_strangers_do_not_matter() {
        let read =
            credentials("dIGEST NC=00000002 , x=\"y\", QOP = \"auth\",Algorithm=\"MD5\", nonce=abc, userName=bob,");
        assert_eq!(read.nc, Some(&b"00000002"[..]));
        assert_eq!(read.qop, Some(Qop::Auth));
        assert_eq!(read.algorithm, Some(&b"MD5"[..]));
        assert_eq!(read.nonce, b"abc");
        assert_eq!(read.username.as_ref(), b"bob");
    }

    #[test]
    fn user_name_and_realm_are_unescaped() {
        let read = credentials(r#"Digest username="a\"b\\c", realm="x\y""#);
        assert_eq!(read.username.as_ref(), br#"a"b\c"#);
        assert_eq!(read.realm.as_ref(), b"xy");
    }

    #[test]
    fn what_is_missing_is_empty() {
        let read = credentials("Digest username=\"bob\"");
        assert!(read.realm.is_empty() && read.nonce.is_empty() && read.uri.is_empty() && read.response.is_empty());
        assert_eq!((read.algorithm, read.cnonce, read.opaque, read.qop, read.nc), (None, None, None, None, None));
    }

    #[test]
    fn another_qop_is_told_apart() {
        assert_eq!(credentials("Digest qop=auth-int").qop, Some(Qop::Other));
    }

    #[test]
    fn what_cannot_be_read_is_no_credentials() {
        for text in [
            "",
            "NoOneKnowsThisScheme opaque-data=here", // RFC 4475 §3.3.7
            "Basic Zm9vOmJhcg==",
            "Digestusername=\"a\"",
            "Digest username",
            "Digest username=",
            "Digest =\"a\"",
            "Digest username=\"a",
            "Digest username=\"a\"b",
            "Digest username=a b",
            "Digest username=\"a\" realm=\"b\"",
            "Digest username=\"a\", USERNAME=\"a\"",
            "Digest nc=00000001, nc=00000002",
        ] {
            assert!(DigestCredentials::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = DigestCredentials::parse(&text);
            let _ = DigestCredentials::parse(&[b"Digest ", &text[..]].concat());
        }

        #[test]
        fn any_user_name_survives_its_escapes(name in "[ -~]{0,20}") {
            let text = format!("Digest username=\"{}\"", name.replace('\\', r"\\").replace('"', "\\\""));
            let read = credentials(&text);
            prop_assert_eq!(read.username.as_ref(), name.as_bytes());
        }
    }
}
