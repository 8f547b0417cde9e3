//! `"Display" <uri>;params` (RFC 3261 §20.10, §20.20, §20.31, §20.34, §20.39).

use super::{Fault, Params, Uri, scan};

/// One value of From, To, Contact, Route, Record-Route, Path or P-Asserted-Identity.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The whole value as written, without surrounding white space.
    pub text: &'a [u8],
    /// Display name as written, with its quotes.
    pub display: Option<&'a [u8]>,
    /// The URI.
    pub uri: Uri<'a>,
    /// The header parameters behind the URI (for an addr-spec without `<>`, every `;` parameter is one: §20.10).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value that is the whole of `text`.
    ///
    /// # Errors
    /// The fault that says what is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<NameAddr<'a>, Fault> {
        let text = scan::trim(text);
        if text.starts_with(b"\"") {
            let (display, rest) = scan::take_quoted(text).ok_or(Fault::BadNameAddr)?;
            return read_angled(text, Some(display), scan::trim_start(rest));
        }
        // A quote in front of the first `<` makes that a part of a parameter's value: `sip:a@b;note="<c>"`.
        let (before, rest) = scan::take_until(text, |byte| matches!(byte, b'<' | b'"'));
        if !rest.starts_with(b"<") {
            return read_bare(text);
        }
        let display = scan::trim_end(before);
        // RFC 4475 §3.1.2.15: without quotes a display name is tokens.
        if !display.iter().all(|&byte| scan::is_token_byte(byte) || scan::is_space(byte)) {
            return Err(Fault::BadNameAddr);
        }
        read_angled(text, Some(display).filter(|display| !display.is_empty()), rest)
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value("tag")
    }
}

/// `<uri>;params`. White space beside the URI is refused (RFC 4475 §3.1.2.14).
fn read_angled<'a>(text: &'a [u8], display: Option<&'a [u8]>, rest: &'a [u8]) -> Result<NameAddr<'a>, Fault> {
    let inside = rest.strip_prefix(b"<").ok_or(Fault::BadNameAddr)?;
    let (uri, behind) = scan::split_once(inside, b'>').ok_or(Fault::BadNameAddr)?;
    let params = Params(scan::trim_start(behind));
    if !params.is_well_formed() {
        return Err(Fault::BadNameAddr);
    }
    Ok(NameAddr { text, display, uri: Uri::parse(uri)?, params })
}

/// `uri;params`: without angle brackets the URI ends at its first `;`, and may hold neither `?` nor `,` (§20.10). No
/// parameter's value has an `@` then, unless in quotes: others would take all in front of it for the URI's user.
fn read_bare(text: &[u8]) -> Result<NameAddr<'_>, Fault> {
    let (uri, rest) = scan::take_until(text, |byte| byte == b';');
    let uri = scan::trim_end(uri);
    let params = Params(rest);
    let is_user = |value: &[u8]| !value.starts_with(b"\"") && memchr::memchr(b'@', value).is_some();
    let has_user = params.iter().any(|(_, value)| value.is_some_and(is_user));
    if memchr::memchr2(b'?', b',', uri).is_some() || has_user || !params.is_well_formed() {
        return Err(Fault::BadNameAddr);
    }
    Ok(NameAddr { text, display: None, uri: Uri::parse(uri)?, params })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::Scheme;

    fn name_addr(text: &str) -> NameAddr<'_> {
        NameAddr::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn every_part_is_where_it_is() {
        let address = name_addr(" \"Bob, \\\"B\\\" <x>\" <sip:bob@example.com;lr>;tag=a6c85cf ");
        assert_eq!(address.text, b"\"Bob, \\\"B\\\" <x>\" <sip:bob@example.com;lr>;tag=a6c85cf");
        assert_eq!(address.display, Some(&b"\"Bob, \\\"B\\\" <x>\""[..]));
        assert_eq!(address.uri.text, b"sip:bob@example.com;lr");
        assert_eq!(address.uri.params.find("lr"), Some(None));
        assert_eq!(address.tag(), Some(&b"a6c85cf"[..]));
        assert_eq!(address.params.find("lr"), None);
    }

    #[test]
    fn a_display_name_may_be_tokens_or_nothing() {
        let tokens = name_addr(
            "token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.",
        );
        assert_eq!(tokens.display, Some(&b"token1~` token2'+_ token3*%!.-"[..]));
        assert_eq!(tokens.tag(), Some(&b"_token~1'+`*%!-."[..]));
        // RFC 4475 §3.1.1.6
        assert_eq!(name_addr("caller<sip:caller@example.com>;tag=323").display, Some(&b"caller"[..]));
        assert_eq!(name_addr("\"a\"<sip:caller@example.com>").display, Some(&b"\"a\""[..]));
        assert_eq!(name_addr("<sip:caller@example.com>").display, None);
        assert_eq!(name_addr("\r\n <sip:caller@example.com>").display, None);
    }

    #[test]
    fn without_angle_brackets_the_parameters_are_the_header_s() {
        let address = name_addr("sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n");
        assert_eq!(address.uri.text, b"sip:vivekg@chair-dnrc.example.com");
        assert_eq!(address.uri.params.iter().count(), 0);
        assert_eq!(address.tag(), Some(&b"1918181833n"[..]));
        let quoted = name_addr("sip:a@example.com;note=\"<sip:b@c>\"");
        assert_eq!(quoted.uri.text, b"sip:a@example.com");
        assert_eq!(quoted.params.value("note"), Some(&b"\"<sip:b@c>\""[..]));
    }

    #[test]
    fn parameters_may_be_folded() {
        // RFC 4475 §3.1.1.1
        let from = name_addr("\"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8");
        assert_eq!(from.display, Some(&b"\"J Rosenberg \\\\\\\"\""[..]));
        assert_eq!(from.tag(), Some(&b"98asjd8"[..]));
    }

    #[test]
    fn headers_and_unknown_schemes_stand_between_angle_brackets() {
        // RFC 4475 §3.3.14 and §3.3.4
        let headers = name_addr("<sip:user@example.com?Route=%3Csip:sip.example.com%3E>");
        assert_eq!(headers.uri.headers, Some(&b"Route=%3Csip:sip.example.com%3E"[..]));
        assert_eq!(name_addr("<name:John_Smith>").uri.scheme, Scheme::Other(b"name"));
        assert_eq!(name_addr("isbn:2983792873").uri.scheme, Scheme::Other(b"isbn"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "*",
            "<>",
            "\"Mr. J. User <sip:j.user@example.com>", // RFC 4475 §3.1.2.6
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E", // §3.1.2.13
            "sip:a,b@example.com",
            "\"Watson, Thomas\" < sip:t.watson@example.org >", // §3.1.2.14
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43", // §3.1.2.15
            "\"Joe\" <sip:joe@example.org>;;;;",               // §3.1.2.1
            "\"Joe\" sip:joe@example.org",
            "\"Joe\" x <sip:joe@example.org>",
            "<sip:joe@example.org",
            "<sip:joe@example.org> x",
            "<sip:joe@example.org>, <sip:jim@example.org>",
            "<<sip:joe@example.org>>",
            "<sip:joe@example.org>;tag=\"x",
            "sip:joe;x=ann@example.org", // a user `joe;x=ann` to whoever looks for the @ first
            "sip:joe@example.org;tag=",
        ] {
            assert!(matches!(NameAddr::parse(text.as_bytes()), Err(Fault::BadNameAddr | Fault::BadUri)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = NameAddr::parse(&text);
        }

        #[test]
        fn a_likely_text_is_read_without_panic(text in "[a\"\\\\ ]{0,6}<?(sip:)?[a@;=\"\\\\ ]{0,8}>?[;a=\"\\\\ ]{0,8}") {
            if let Ok(address) = NameAddr::parse(text.as_bytes()) {
                prop_assert!(address.text.len() >= address.uri.text.len());
            }
        }
    }
}
