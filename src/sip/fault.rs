//! Every way a message can be wrong, by name: a closed set, countable and greppable.
//!
//! Owns the names, the statuses and the words. What makes a message wrong is decided where it is read.

/// Declares the set once, so that a fault cannot be without its status, words, name and place in `ALL`.
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident $status:literal $name:literal $reason:literal)*) => {
        /// Why a message was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* $fault,)*
        }

        impl Fault {
            /// The whole set, in the order of declaration.
            pub const ALL: &'static [Fault] = &[$(Fault::$fault,)*];

            /// The status a request with this fault is answered with: 400 but for 505 and 513 (RFC 3261 §21.5.6, §21.5.7).
            pub fn status(self) -> u16 {
                match self {
                    $(Fault::$fault => $status,)*
                }
            }

            /// The reason phrase: what is wrong, in words (ASCII, at most 60 characters).
            pub fn reason(self) -> &'static str {
                match self {
                    $(Fault::$fault => $reason,)*
                }
            }

            /// A stable name for counters: `kebab-case`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    /// The start line is neither a Request-Line nor a Status-Line, or is folded (RFC 3261 §7.1, §7.2).
    BadStartLine 400 "bad-start-line" "Malformed start line"
    /// A version of SIP other than 2.0.
    BadVersion 505 "bad-version" "Version Not Supported"
    /// The method is not a token.
    BadMethod 400 "bad-method" "Malformed method"
    /// The Request-URI cannot be read, or has what none may have there: white space, `<>`, headers.
    BadRequestUri 400 "bad-request-uri" "Malformed Request-URI"
    /// A header field name is not a token.
    BadHeaderName 400 "bad-header-name" "Malformed header field name"
    /// A header line without a colon.
    BadHeaderLine 400 "bad-header-line" "Header line without a colon"
    /// CR or LF alone in front of the body.
    BareLineBreak 400 "bare-line-break" "CR or LF alone in the header"
    /// A NUL that is not escaped in front of the body.
    NullByte 400 "null-byte" "NUL in the header"
    /// More bytes than a message may have.
    TooLarge 513 "too-large" "Message Too Large"
    /// More header lines than a message may have.
    TooManyHeaders 400 "too-many-headers" "Too many header fields"
    /// A header field longer than one may be.
    HeaderTooLong 400 "header-too-long" "Header field too long"
    /// More values in a list than there may be.
    TooManyValues 400 "too-many-values" "Too many values in a header field"
    /// No Via.
    MissingVia 400 "missing-via" "Missing Via"
    /// No From.
    MissingFrom 400 "missing-from" "Missing From"
    /// No To.
    MissingTo 400 "missing-to" "Missing To"
    /// No Call-ID.
    MissingCallId 400 "missing-call-id" "Missing Call-ID"
    /// No CSeq.
    MissingCseq 400 "missing-cseq" "Missing CSeq"
    /// A field that may be there once is there twice.
    DuplicateField 400 "duplicate-field" "Header field that may be there only once is repeated"
    /// The topmost Via cannot be read, or a lower one is empty.
    BadVia 400 "bad-via" "Malformed Via"
    /// A URI cannot be read.
    BadUri 400 "bad-uri" "Malformed URI"
    /// A value of the form `"Display" <uri>;params` cannot be read.
    BadNameAddr 400 "bad-name-addr" "Malformed name and address"
    /// From cannot be read.
    BadFrom 400 "bad-from" "Malformed From"
    /// To cannot be read.
    BadTo 400 "bad-to" "Malformed To"
    /// Call-ID is empty or has white space or control characters in it.
    BadCallId 400 "bad-call-id" "Malformed Call-ID"
    /// CSeq is not a number below 2^31 and a method.
    BadCseq 400 "bad-cseq" "Malformed CSeq"
    /// The method in CSeq is not that of the start line.
    CseqMethodMismatch 400 "cseq-method-mismatch" "CSeq method is not the request method"
    /// Max-Forwards is not a number from 0 to 255.
    BadMaxForwards 400 "bad-max-forwards" "Malformed Max-Forwards"
    /// Content-Length is not a number.
    BadContentLength 400 "bad-content-length" "Malformed Content-Length"
    /// Content-Length says more than the datagram holds.
    ContentLengthTooLong 400 "content-length-too-long" "Content-Length exceeds the message"
    /// A Contact cannot be read, or expires in more than 2^32-1 seconds.
    BadContact 400 "bad-contact" "Malformed Contact"
    /// A Route or Path cannot be read.
    BadRoute 400 "bad-route" "Malformed Route or Path"
    /// A Record-Route cannot be read.
    BadRecordRoute 400 "bad-record-route" "Malformed Record-Route"
    /// Expires is more than 2^32-1.
    BadExpires 400 "bad-expires" "Malformed Expires"
    /// Date cannot be read.
    BadDate 400 "bad-date" "Malformed Date"
    /// The status code is not a number from 100 to 699.
    BadStatus 400 "bad-status" "Malformed status code"
    /// Nothing that looks like SIP.
    NotSip 400 "not-sip" "Not SIP"
    /// The message ends before its header does.
    Truncated 400 "truncated" "Message ends in its header"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn reasons_fit_a_status_line() {
        for fault in Fault::ALL {
            let reason = fault.reason();
            assert!((1..=60).contains(&reason.len()), "{fault:?}");
            assert!(reason.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{fault:?}");
        }
    }

    #[test]
    fn names_are_kebab_case_and_distinct() {
        let names: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        for name in names {
            assert!(name.split('-').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase())));
        }
    }

    #[test]
    fn only_version_and_size_have_a_status_of_their_own() {
        let own: Vec<_> = Fault::ALL.iter().filter(|fault| fault.status() != 400).map(|fault| fault.status()).collect();
        assert_eq!(own, [505, 513]);
    }
}
