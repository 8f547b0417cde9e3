//! `;name=value` lists (RFC 3261 §25.1 generic-param).
//!
//! Reading is lenient and never fails: what is not there is not found. Whether a list is well formed is asked apart,
//! by whoever reads the value it belongs to.

use super::scan;

/// Parameters as written. Names match in any case; a value is a token, a host, or a quoted string (quotes kept).
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'a>(pub(super) &'a [u8]);

impl<'a> Params<'a> {
    /// All parameters in order: name, and value where there is one. Empty places (`;;`) are passed over.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.written().filter(|(name, value)| !name.is_empty() || value.is_some())
    }

    /// The first parameter with that name: `Some(None)` where it has no value.
    pub fn find(self, name: &str) -> Option<Option<&'a [u8]>> {
        self.written().find(|(written, _)| written.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The first parameter's value with that name.
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        self.find(name).flatten()
    }

    /// Whether this is a list of header parameters as RFC 3261 §25.1 has it: nothing at all, or a `;` before each, a
    /// token for a name, and a value that is a quoted string or holds none of the separators that would end it.
    pub(super) fn is_well_formed(self) -> bool {
        let text = scan::trim(self.0);
        (text.is_empty() || text.starts_with(b";"))
            && self.written().all(|(name, value)| scan::is_token(name) && value.is_none_or(is_header_value))
    }

    /// Every place between the `;`, empty ones too.
    fn written(self) -> Written<'a> {
        let text = scan::trim(self.0);
        Written { rest: if text.is_empty() { None } else { Some(text.strip_prefix(b";").unwrap_or(text)) } }
    }
}

/// A value that is no token may still be a host (`[2001:db8::1]`, and bare by RFC 5118 §4.5) or UTF-8 from a phone
/// that forgot the quotes: only what would make its end doubtful is refused.
fn is_header_value(value: &[u8]) -> bool {
    if value.starts_with(b"\"") {
        return scan::is_quoted(value);
    }
    !value.is_empty()
        && !value.iter().any(|&byte| byte <= b' ' || byte == 0x7f || matches!(byte, b'"' | b'<' | b'>' | b',' | b'='))
}

struct Written<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Written<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (place, rest) = cut(self.rest?);
        self.rest = rest;
        Some(match scan::split_once(place, b'=') {
            Some((name, value)) => (scan::trim(name), Some(scan::trim(value))),
            None => (scan::trim(place), None),
        })
    }
}

/// Cuts at the first `;` outside quotes. Unlike in a comma list, `<` hides nothing here.
fn cut(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(step) = memchr::memchr2(b';', b'"', rest) else { break };
        at += step;
        match text.get(at..).and_then(scan::take_quoted) {
            Some((quoted, _)) => at += quoted.len(),
            None if text.get(at) == Some(&b';') => return (text.get(..at).unwrap_or(text), text.get(at + 1..)),
            None => break,
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_come_in_order_with_and_without_values() {
        let params = Params(b";lr;a=1;B=[2001:db8::1];c=\"x;y\\\"z\"");
        let all: Vec<_> = params.iter().collect();
        assert_eq!(
            all,
            [
                (&b"lr"[..], None),
                (b"a", Some(&b"1"[..])),
                (b"B", Some(b"[2001:db8::1]")),
                (b"c", Some(b"\"x;y\\\"z\"")),
            ]
        );
        assert!(params.is_well_formed());
    }

    #[test]
    fn white_space_and_folds_around_the_separators_do_not_count() {
        let params = Params(b" ;\r\n  tag\t= 98asjd8 ; q = \r\n 0.33");
        assert_eq!(params.value("tag"), Some(&b"98asjd8"[..]));
        assert_eq!(params.value("q"), Some(&b"0.33"[..]));
        assert!(params.is_well_formed());
    }

    #[test]
    fn names_match_in_any_case_and_the_first_one_counts() {
        let params = Params(b";TAG=a;tag=b;lr");
        assert_eq!(params.find("tag"), Some(Some(&b"a"[..])));
        assert_eq!(params.find("LR"), Some(None));
        assert_eq!(params.value("lr"), None);
        assert_eq!(params.find("maddr"), None);
    }

    #[test]
    fn no_parameters_are_well_formed_and_stray_separators_are_not() {
        assert!(Params(b"").is_well_formed());
        assert!(Params(b" \t").is_well_formed());
        for text in [";", ";;a", ";a;", "a", ";a=", ";=b", ";a=b c", ";a b", ";a=\"b", ";a=\"b\"c", ";a=<b>", ";a,b"] {
            assert!(!Params(text.as_bytes()).is_well_formed(), "{text}");
        }
    }

    #[test]
    fn empty_places_are_passed_over_in_reading() {
        assert_eq!(Params(b";;a;;").iter().count(), 1);
        assert_eq!(Params(b"").iter().count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let params = Params(&text);
            prop_assert!(params.iter().count() <= text.len());
            prop_assert!(params.find("tag").is_none() || params.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"tag")));
            let _ = params.is_well_formed();
        }
    }
}
