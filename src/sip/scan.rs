//! The small change of the grammar (RFC 3261 §25.1): white space with folds, tokens, quoted strings, comma lists.
//!
//! Everything here works on borrowed bytes, allocates nothing and takes any input. Nothing here knows a header field.

/// White space as it can stand inside a header field value: space, tab, and the CR and LF of a fold. Whoever cut the
/// value out of the message has made sure that a CRLF in it is followed by a space or a tab.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A byte of a `token`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether all of `text` is one `token`; an empty text is none.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// `text` without white space and folds at either end.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// `text` without white space and folds in front.
pub(super) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_space(*first) {
            break;
        }
        text = rest;
    }
    text
}

/// `text` without white space and folds behind.
pub(super) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text {
        if !is_space(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// The bytes in front of the first one for which `stop` holds, and the rest from that one on.
pub(super) fn take_until(text: &[u8], stop: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| stop(byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// The bytes in front of the first `separator` and those behind it; `None` where there is no separator.
pub(super) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, text)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

/// Cuts the quoted string that `text` begins with off it: `(with its quotes, rest)`. `None` where `text` does not
/// begin with a quote, or where the string does not end.
pub(super) fn take_quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut bytes = text.iter().enumerate();
    if bytes.next()?.1 != &b'"' {
        return None;
    }
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return text.split_at_checked(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether all of `text` is one quoted string.
pub(super) fn is_quoted(text: &[u8]) -> bool {
    take_quoted(text).is_some_and(|(_, rest)| rest.is_empty())
}

/// What is between the quotes of a quoted string, escapes kept; `text` itself where it is not one.
pub(super) fn unquote(text: &[u8]) -> &[u8] {
    if !is_quoted(text) {
        return text;
    }
    match text {
        [_, inside @ .., _] => inside,
        _ => text,
    }
}

/// The bytes in front of the first `separator` that is neither in a quoted string nor between `<` and `>`, and what is
/// behind it; `None` behind where there is no such separator. A quote or `<` that is never closed hides all the rest.
pub(super) fn split_outside(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(step) = memchr::memchr3(separator, b'"', b'<', rest) else { break };
        at += step;
        let Some(rest) = text.get(at..) else { break };
        match rest.first() {
            Some(&byte) if byte == separator => {
                return (text.get(..at).unwrap_or(text), rest.get(1..));
            }
            Some(b'"') => match take_quoted(rest) {
                Some((quoted, _)) => at += quoted.len(),
                None => break,
            },
            _ => match memchr::memchr(b'>', rest) {
                Some(end) => at += end + 1,
                None => break,
            },
        }
    }
    (text, None)
}

/// The values of a comma list in order, each without surrounding white space. Commas in quoted strings and between `<`
/// and `>` do not separate. Values may be empty (`a,,b` has three); a blank text has one, empty.
pub(super) fn split_list(text: &[u8]) -> List<'_> {
    List { rest: Some(text) }
}

/// See [`split_list`].
#[derive(Clone, Debug)]
pub(super) struct List<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (value, rest) = split_outside(self.rest?, b',');
        self.rest = rest;
        Some(trim(value))
    }
}

/// A number of decimal digits and nothing else; `None` where it is none or does not fit.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> Vec<&str> {
        split_list(text.as_bytes()).map(|value| std::str::from_utf8(value).expect("ASCII in, ASCII out")).collect()
    }

    #[test]
    fn white_space_and_folds_go_at_both_ends() {
        assert_eq!(trim(b" \t\r\n a b \r\n\t"), b"a b");
        assert_eq!(trim(b" \t"), b"");
    }

    #[test]
    fn commas_separate_values() {
        assert_eq!(list("a, b\r\n ,c"), ["a", "b", "c"]);
    }

    #[test]
    fn empty_values_are_kept() {
        assert_eq!(list("a,,b,"), ["a", "", "b", ""]);
        assert_eq!(list("  "), [""]);
    }

    #[test]
    fn commas_in_quotes_and_angles_do_not_separate() {
        assert_eq!(
            list(r#""a, \", b" <sip:u,v@h>;x="1,2", <sip:c@d>"#),
            [r#""a, \", b" <sip:u,v@h>;x="1,2""#, "<sip:c@d>"]
        );
    }

    #[test]
    fn an_open_quote_or_angle_hides_the_rest() {
        assert_eq!(list(r#"a, "b, c"#), ["a", r#""b, c"#]);
        assert_eq!(list("a, <b, c"), ["a", "<b, c"]);
        assert_eq!(list(r#""a\", b"#), [r#""a\", b"#]);
    }

    #[test]
    fn a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() {
        assert_eq!(take_quoted(br#""a\"b\\" c"#), Some((&br#""a\"b\\""#[..], &b" c"[..])));
        assert_eq!(take_quoted(br#""a\""#), None);
        assert_eq!(take_quoted(b"a"), None);
        assert_eq!(unquote(br#""a b""#), b"a b");
        assert_eq!(unquote(br#"""#), br#"""#);
    }

    #[test]
    fn numbers_are_digits_only_and_fit() {
        assert_eq!(decimal(b"0070"), Some(70));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(decimal(b""), None);
        assert_eq!(decimal(b"+1"), None);
    }

    proptest! {
        #[test]
        fn list_values_never_outgrow_the_text(text in prop::collection::vec(prop::sample::select(&b"a,\"\\<> \r\n;"[..]), 0..40)) {
            let length: usize = split_list(&text).map(|value| value.len() + 1).sum();
            prop_assert!(length <= text.len() + 1);
        }
    }
}
