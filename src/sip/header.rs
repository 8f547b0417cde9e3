//! Header field names (RFC 3261 §7.3, §20): compact and long forms, any case, one value.

use std::ops::Range;

/// The header fields that somebody here reads or writes; all others are `Other`.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    Accept,
    Allow,
    Authorization,
    CallId,
    Contact,
    ContentLength,
    ContentType,
    Cseq,
    Date,
    Expires,
    From,
    MaxBreadth,
    MaxForwards,
    MinExpires,
    PAssertedIdentity,
    PPreferredIdentity,
    Path,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    Reason,
    RecordRoute,
    Replaces,
    Require,
    RetryAfter,
    Route,
    SessionExpires,
    Supported,
    To,
    Unsupported,
    UserAgent,
    Via,
    WwwAuthenticate,
    Other,
}

impl Name {
    /// The name, long or compact, in any case.
    pub fn from_bytes(name: &[u8]) -> Name {
        let Some(first) = name.first().map(u8::to_ascii_lowercase) else { return Name::Other };
        // Length and first letter leave two candidates at most.
        let candidates: &[Name] = match (name.len(), first) {
            (1, _) => return Name::from_compact(first),
            (2, b't') => &[Name::To],
            (3, b'v') => &[Name::Via],
            (4, b'c') => &[Name::Cseq],
            (4, b'd') => &[Name::Date],
            (4, b'f') => &[Name::From],
            (4, b'p') => &[Name::Path],
            (5, b'a') => &[Name::Allow],
            (5, b'r') => &[Name::Route],
            (6, b'a') => &[Name::Accept],
            (6, b'r') => &[Name::Reason],
            (7, b'c') => &[Name::CallId, Name::Contact],
            (7, b'e') => &[Name::Expires],
            (7, b'p') => &[Name::Privacy],
            (7, b'r') => &[Name::Require],
            (8, b'r') => &[Name::Replaces],
            (9, b's') => &[Name::Supported],
            (10, b'u') => &[Name::UserAgent],
            (11, b'm') => &[Name::MaxBreadth, Name::MinExpires],
            (11, b'r') => &[Name::RetryAfter],
            (11, b'u') => &[Name::Unsupported],
            (12, b'c') => &[Name::ContentType],
            (12, b'm') => &[Name::MaxForwards],
            (12, b'r') => &[Name::RecordRoute],
            (13, b'a') => &[Name::Authorization],
            (13, b'p') => &[Name::ProxyRequire],
            (14, b'c') => &[Name::ContentLength],
            (15, b's') => &[Name::SessionExpires],
            (16, b'w') => &[Name::WwwAuthenticate],
            (18, b'p') => &[Name::ProxyAuthenticate],
            (19, b'p') => &[Name::PAssertedIdentity, Name::ProxyAuthorization],
            (20, b'p') => &[Name::PPreferredIdentity],
            _ => &[],
        };
        let found = candidates.iter().find(|candidate| name.eq_ignore_ascii_case(candidate.as_str().as_bytes()));
        found.copied().unwrap_or(Name::Other)
    }

    /// The name a compact form (in lower case) stands for. Those of names that nobody here reads are `Other`.
    fn from_compact(letter: u8) -> Name {
        match letter {
            b'c' => Name::ContentType,
            b'f' => Name::From,
            b'i' => Name::CallId,
            b'k' => Name::Supported,
            b'l' => Name::ContentLength,
            b'm' => Name::Contact,
            b't' => Name::To,
            b'v' => Name::Via,
            b'x' => Name::SessionExpires, // RFC 4028 §4
            _ => Name::Other,
        }
    }

    /// The long form as RFC 3261 writes it; `""` for `Other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Accept => "Accept",
            Name::Allow => "Allow",
            Name::Authorization => "Authorization",
            Name::CallId => "Call-ID",
            Name::Contact => "Contact",
            Name::ContentLength => "Content-Length",
            Name::ContentType => "Content-Type",
            Name::Cseq => "CSeq",
            Name::Date => "Date",
            Name::Expires => "Expires",
            Name::From => "From",
            Name::MaxBreadth => "Max-Breadth",
            Name::MaxForwards => "Max-Forwards",
            Name::MinExpires => "Min-Expires",
            Name::PAssertedIdentity => "P-Asserted-Identity",
            Name::PPreferredIdentity => "P-Preferred-Identity",
            Name::Path => "Path",
            Name::Privacy => "Privacy",
            Name::ProxyAuthenticate => "Proxy-Authenticate",
            Name::ProxyAuthorization => "Proxy-Authorization",
            Name::ProxyRequire => "Proxy-Require",
            Name::Reason => "Reason",
            Name::RecordRoute => "Record-Route",
            Name::Replaces => "Replaces",
            Name::Require => "Require",
            Name::RetryAfter => "Retry-After",
            Name::Route => "Route",
            Name::SessionExpires => "Session-Expires",
            Name::Supported => "Supported",
            Name::To => "To",
            Name::Unsupported => "Unsupported",
            Name::UserAgent => "User-Agent",
            Name::Via => "Via",
            Name::WwwAuthenticate => "WWW-Authenticate",
            Name::Other => "",
        }
    }
}

/// One header field line (with its continuation lines) in a message: spans into the message's bytes.
#[derive(Clone, Debug)]
pub struct Header {
    /// Which field.
    pub name: Name,
    /// The whole line with its CRLF.
    pub line: Range<u32>,
    /// The name as written.
    pub written: Range<u32>,
    /// The value, without surrounding white space. May hold folds (CRLF + white space).
    pub value: Range<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Name; 34] = [
        Name::Accept,
        Name::Allow,
        Name::Authorization,
        Name::CallId,
        Name::Contact,
        Name::ContentLength,
        Name::ContentType,
        Name::Cseq,
        Name::Date,
        Name::Expires,
        Name::From,
        Name::MaxBreadth,
        Name::MaxForwards,
        Name::MinExpires,
        Name::PAssertedIdentity,
        Name::PPreferredIdentity,
        Name::Path,
        Name::Privacy,
        Name::ProxyAuthenticate,
        Name::ProxyAuthorization,
        Name::ProxyRequire,
        Name::Reason,
        Name::RecordRoute,
        Name::Replaces,
        Name::Require,
        Name::RetryAfter,
        Name::Route,
        Name::SessionExpires,
        Name::Supported,
        Name::To,
        Name::Unsupported,
        Name::UserAgent,
        Name::Via,
        Name::WwwAuthenticate,
    ];

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for name in KNOWN {
            let written = name.as_str();
            assert_eq!(Name::from_bytes(written.as_bytes()), name, "{written}");
            assert_eq!(Name::from_bytes(written.to_ascii_lowercase().as_bytes()), name, "{written}");
            assert_eq!(Name::from_bytes(written.to_ascii_uppercase().as_bytes()), name, "{written}");
        }
    }

    #[test]
    fn a_longer_name_is_another() {
        for name in KNOWN {
            let longer = format!("{}x", name.as_str());
            assert_eq!(Name::from_bytes(longer.as_bytes()), Name::Other, "{longer}");
        }
    }

    #[test]
    fn compact_forms_stand_for_their_long_ones() {
        let forms = [
            ("c", Name::ContentType),
            ("F", Name::From),
            ("i", Name::CallId),
            ("k", Name::Supported),
            ("L", Name::ContentLength),
            ("m", Name::Contact),
            ("t", Name::To),
            ("V", Name::Via),
            ("x", Name::SessionExpires),
        ];
        for (form, name) in forms {
            assert_eq!(Name::from_bytes(form.as_bytes()), name, "{form}");
        }
    }

    #[test]
    fn other_compact_forms_and_names_are_other() {
        // r is Refer-To, not Route or Require; a is Accept-Contact, not Accept; d is Request-Disposition, not Date.
        for name in ["a", "b", "d", "e", "j", "n", "o", "r", "s", "u", "y", "p", "", "-", "X-Other"] {
            assert_eq!(Name::from_bytes(name.as_bytes()), Name::Other, "{name}");
        }
    }
}
