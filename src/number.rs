//! Numbers: one canonical form, and reading the forms that trunks write. Knows no SIP.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number in canonical form: `+` and 1–15 digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct E164(std::sync::Arc<str>);

/// Why a text is not E.164.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It does not begin with `+`.
    NoPlus,
    /// Nothing behind the `+`.
    Empty,
    /// Something other than digits behind the `+`.
    NotDigits,
    /// More than 15 digits.
    TooLong,
    /// It begins with `+0`: no country code does.
    LeadingZero,
}

impl E164 {
    /// Reads the canonical form exactly (no separators).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<E164, NumberError> {
        check(text)?;
        Ok(E164(text.into()))
    }

    /// `+918041234567`
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `918041234567`
    pub fn digits(&self) -> &str {
        self.0.strip_prefix('+').unwrap_or(&self.0)
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            NumberError::NoPlus => "it does not begin with +",
            NumberError::Empty => "there is nothing behind the +",
            NumberError::NotDigits => "there is something other than digits behind the +",
            NumberError::TooLong => "it has more than 15 digits",
            NumberError::LeadingZero => "no country code begins with 0",
        })
    }
}

impl std::error::Error for NumberError {}

/// How a trunk writes numbers. Digits only, without `+`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialRules {
    /// `91`
    pub country_code: Option<String>,
    /// `0`
    pub national_prefix: Option<String>,
    /// `00`
    pub international_prefix: Option<String>,
}

/// Which form of a called number was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `+…`
    Plus,
    /// International prefix.
    International,
    /// National prefix.
    National,
    /// Digits with their country code.
    BareInternational,
    /// Digits without.
    BareNational,
}

/// Reads a called number: separators (`-`, `.`, `(`, `)`, space) removed, then the forms in order. `configured`
/// says whether a number exists. Of the two bare forms the configured one is taken (the first, where neither is
/// configured and it is well-formed). `None`: not a number at all.
pub fn read_called(text: &str, rules: &DialRules, configured: impl Fn(&E164) -> bool) -> Option<(E164, Form)> {
    match written_form(text, rules)? {
        Written::Whole(number, form) => Some((number, form)),
        Written::Bare { international, national } => match (international, national) {
            (Some(number), _) if configured(&number) => Some((number, Form::BareInternational)),
            (_, Some(number)) if configured(&number) => Some((number, Form::BareNational)),
            (Some(number), _) => Some((number, Form::BareInternational)),
            (None, Some(number)) => Some((number, Form::BareNational)),
            (None, None) => None,
        },
    }
}

/// Who is calling.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// A number.
    Number(E164),
    /// A user part that is no number, as it was written (at most 64 characters; an extension, a name).
    Name(std::sync::Arc<str>),
    /// Nobody says.
    Anonymous,
}

impl Caller {
    /// Reads a caller's user part by the same rules; bare digits: national (country code + digits) where
    /// they do not begin with the country code, else international. `anonymous` and an empty user are [`Caller::Anonymous`].
    pub fn read(user: &str, rules: &DialRules) -> Caller {
        if user.is_empty() || user.eq_ignore_ascii_case("anonymous") {
            return Caller::Anonymous;
        }
        let number = match written_form(user, rules) {
            Some(Written::Whole(number, _)) => Some(number),
            Some(Written::Bare { international, national }) => {
                let code = rules.country_code.as_deref();
                let has_code =
                    international.as_ref().zip(code).is_some_and(|(number, code)| number.digits().starts_with(code));
                if has_code { international.or(national) } else { national.or(international) }
            }
            None => None,
        };
        number.map_or_else(|| Caller::Name(user.chars().take(NAME_LENGTH).collect::<String>().into()), Caller::Number)
    }
}

impl Caller {
    /// Reads what `Display` writes.
    pub fn from_record(text: &str) -> Caller {
        match E164::parse(text) {
            Ok(number) => Caller::Number(number),
            Err(_) if text == "anonymous" => Caller::Anonymous,
            Err(_) => Caller::Name(text.into()),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Number(number) => f.pad(number.as_str()),
            Caller::Name(name) => f.pad(name),
            Caller::Anonymous => f.pad("anonymous"),
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One entry of `blocked-callers` or a route's `callers`: `"+919811112222"`, `"+9114012*"`, `"anonymous"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerPattern {
    /// Exactly this number.
    Exact(E164),
    /// Every number that begins so (`+` and digits).
    Prefix(String),
    /// Callers without a number or name.
    Anonymous,
}

impl CallerPattern {
    /// Reads an entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<CallerPattern, NumberError> {
        if text == "anonymous" {
            return Ok(CallerPattern::Anonymous);
        }
        match text.strip_suffix('*') {
            Some(prefix) => {
                check(prefix)?;
                Ok(CallerPattern::Prefix(prefix.to_owned()))
            }
            None => E164::parse(text).map(CallerPattern::Exact),
        }
    }

    /// Whether the caller is meant.
    pub fn matches(&self, caller: &Caller) -> bool {
        match (self, caller) {
            (CallerPattern::Exact(wanted), Caller::Number(number)) => wanted == number,
            (CallerPattern::Prefix(prefix), Caller::Number(number)) => number.as_str().starts_with(prefix.as_str()),
            (CallerPattern::Anonymous, Caller::Anonymous) => true,
            (CallerPattern::Exact(_) | CallerPattern::Prefix(_), Caller::Name(_) | Caller::Anonymous)
            | (CallerPattern::Anonymous, Caller::Number(_) | Caller::Name(_)) => false,
        }
    }
}

impl fmt::Display for CallerPattern {
    /// As it is written in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallerPattern::Exact(number) => f.pad(number.as_str()),
            CallerPattern::Prefix(prefix) => write!(f, "{prefix}*"),
            CallerPattern::Anonymous => f.pad("anonymous"),
        }
    }
}

/// How much of a caller's name is kept: it is a stranger's text.
const NAME_LENGTH: usize = 64;

/// ITU-T E.164 §6.2: at most 15 digits.
const DIGITS: usize = 15;

/// A called number or caller without its separators, as far as its form can be told without knowing what exists.
enum Written {
    /// Written with a `+` or a prefix: there is one reading.
    Whole(E164, Form),
    /// Bare digits: with their country code, or without.
    Bare { international: Option<E164>, national: Option<E164> },
}

/// Reads the forms of; `None` where the text is no number in any of them.
fn written_form(text: &str, rules: &DialRules) -> Option<Written> {
    let mut digits = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '-' | '.' | '(' | ')' | ' ' => {}
            '+' if digits.is_empty() => digits.push('+'),
            '0'..='9' => digits.push(letter),
            _ => return None,
        }
    }
    let plus = |code: &str, rest: &str| E164::parse(&format!("+{code}{rest}")).ok();
    let code = rules.country_code.as_deref();

    if digits.starts_with('+') {
        return Some(Written::Whole(E164::parse(&digits).ok()?, Form::Plus));
    }
    if let Some(rest) = after(&digits, rules.international_prefix.as_deref()) {
        return Some(Written::Whole(plus("", rest)?, Form::International));
    }
    if let (Some(code), Some(rest)) = (code, after(&digits, rules.national_prefix.as_deref())) {
        let number = if rest.is_empty() { None } else { plus(code, rest) };
        return Some(Written::Whole(number?, Form::National));
    }
    let national = code.filter(|_| !digits.is_empty()).and_then(|code| plus(code, &digits));
    Some(Written::Bare { international: plus("", &digits), national })
}

/// What stands behind a prefix. An empty prefix is none.
fn after<'a>(digits: &'a str, prefix: Option<&str>) -> Option<&'a str> {
    digits.strip_prefix(prefix.filter(|prefix| !prefix.is_empty())?)
}

/// Whether the text is `+` and 1–15 digits, the first of them not 0.
fn check(text: &str) -> Result<(), NumberError> {
    let digits = text.strip_prefix('+').ok_or(NumberError::NoPlus)?;
    if digits.is_empty() {
        return Err(NumberError::Empty);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::NotDigits);
    }
    if digits.len() > DIGITS {
        return Err(NumberError::TooLong);
    }
    if digits.starts_with('0') {
        return Err(NumberError::LeadingZero);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn india() -> DialRules {
        DialRules {
            country_code: Some("91".into()),
            national_prefix: Some("0".into()),
            international_prefix: Some("00".into()),
        }
    }

    fn number(text: &str) -> E164 {
        E164::parse(text).unwrap()
    }

    #[test]
    fn every_form_of_a_number_is_the_same_number() {
        let ours = number("+918041234567");
        for (text, form) in [
            ("+918041234567", Form::Plus),
            ("00918041234567", Form::International),
            ("918041234567", Form::BareInternational),
            ("08041234567", Form::National),
            ("8041234567", Form::BareNational),
            ("+91 (80) 4123-45.67", Form::Plus),
            ("(080) 4123 4567", Form::National),
        ] {
            assert_eq!(read_called(text, &india(), |read| *read == ours), Some((ours.clone(), form)), "{text}");
        }
    }

    #[test]
    fn of_two_bare_forms_the_configured_one_is_taken_and_else_the_first() {
        let read = |text, configured: &str| read_called(text, &india(), |read| read.as_str() == configured).unwrap().0;
        assert_eq!(read("4420", "+4420").as_str(), "+4420");
        assert_eq!(read("4420", "+914420").as_str(), "+914420");
        assert_eq!(read("4420", "+1").as_str(), "+4420");
        // "+80…" with 16 digits is not a number, and neither is a second reading without a country code.
        assert_eq!(read_called("8041234567890123", &DialRules::default(), |_| false), None);
    }

    #[test]
    fn a_prefix_that_the_trunk_does_not_use_is_no_prefix() {
        let none = DialRules::default();
        assert_eq!(read_called("08041234567", &none, |_| true), None, "no country code begins with 0");
        assert_eq!(read_called("918041234567", &none, |_| false).unwrap().1, Form::BareInternational);
        let empty = DialRules { national_prefix: Some(String::new()), ..india() };
        assert_eq!(read_called("918041234567", &empty, |_| false).unwrap().1, Form::BareInternational);
    }

    #[test]
    fn texts_that_are_no_numbers_are_told() {
        for text in ["", "+", "sales", "+91a", "91+80", "++91", "00", "0", "-", "+1234567890123456", "٣٤٥", "+0123"]
        {
            assert_eq!(read_called(text, &india(), |_| true), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_number_has_a_name() {
        assert_eq!(E164::parse("91"), Err(NumberError::NoPlus));
        assert_eq!(E164::parse("+"), Err(NumberError::Empty));
        assert_eq!(E164::parse("+91-80"), Err(NumberError::NotDigits));
        assert_eq!(E164::parse("+1234567890123456"), Err(NumberError::TooLong));
        assert_eq!(E164::parse("+091"), Err(NumberError::LeadingZero));
        assert_eq!(E164::parse("+123456789012345").unwrap().as_str(), "+123456789012345");
    }

    #[test]
    fn callers_are_read_by_the_same_rules() {
        let read = |user| Caller::read(user, &india());
        assert_eq!(read("+919811112222"), Caller::Number(number("+919811112222")));
        assert_eq!(read("00442071234567"), Caller::Number(number("+442071234567")));
        assert_eq!(read("09811112222"), Caller::Number(number("+919811112222")));
        assert_eq!(read("9811112222"), Caller::Number(number("+919811112222")), "national");
        assert_eq!(read("919811112222"), Caller::Number(number("+919811112222")), "begins with the country code");
        assert_eq!(Caller::read("442071234567", &DialRules::default()), Caller::Number(number("+442071234567")));
    }

    #[test]
    fn callers_without_a_number_have_a_name_or_nothing() {
        let read = |user| Caller::read(user, &india());
        assert_eq!(read(""), Caller::Anonymous);
        assert_eq!(read("Anonymous"), Caller::Anonymous);
        assert_eq!(read("front.desk"), Caller::Name("front.desk".into()));
        assert_eq!(read("+"), Caller::Name("+".into()));
        assert_eq!(read(&"ü".repeat(100)), Caller::Name("ü".repeat(64).into()));
    }

    #[test]
    fn patterns_match_a_number_its_beginning_or_nobody() {
        let pattern = |text| CallerPattern::parse(text).unwrap();
        let caller = Caller::Number(number("+911401234567"));
        assert!(pattern("+9114012*").matches(&caller));
        assert!(!pattern("+9114013*").matches(&caller));
        assert!(pattern("+911401234567").matches(&caller));
        assert!(!pattern("+91140123456").matches(&caller));
        assert!(!pattern("anonymous").matches(&caller));
        assert!(pattern("anonymous").matches(&Caller::Anonymous));
        assert!(!pattern("+91*").matches(&Caller::Name("+91".into())));
        assert!(!pattern("+91*").matches(&Caller::Anonymous));
        assert_eq!(CallerPattern::parse("+*"), Err(NumberError::Empty));
        assert_eq!(CallerPattern::parse("91*"), Err(NumberError::NoPlus));
        assert_eq!(CallerPattern::parse("+9*1*"), Err(NumberError::NotDigits));
        assert_eq!(pattern("+9114012*").to_string(), "+9114012*");
    }
}
