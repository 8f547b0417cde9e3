//! Every way a REGISTER can be refused.

/// Why a REGISTER changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterRefusal {
    /// To or From is not the address-of-record of the user who proved itself (RFC 3261 §10.3 item 4).
    ThirdParty,
    /// `*` beside another Contact, or without `Expires: 0` (§10.3 item 6).
    Wildcard,
    /// A Contact that cannot be read, or is longer than any device writes.
    BadContact,
    /// A Contact that is neither `sip:` nor `sips:`.
    ContactScheme,
    /// A Path that cannot be read, or is longer than any path.
    BadPath,
    /// The user would have more devices than we keep.
    TooManyContacts,
    /// An expiry shorter than allowed (§10.3 item 7).
    TooBrief {
        /// The shortest allowed, in seconds: for Min-Expires.
        shortest: u32,
    },
    /// Not newer than what is stored under its Call-ID (§10.3 items 6, 7): a late copy, or a replay.
    OutOfOrder,
}

impl RegisterRefusal {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            RegisterRefusal::Wildcard
            | RegisterRefusal::BadContact
            | RegisterRefusal::ContactScheme
            | RegisterRefusal::BadPath => 400,
            RegisterRefusal::ThirdParty | RegisterRefusal::TooManyContacts => 403,
            RegisterRefusal::TooBrief { .. } => 423,
            RegisterRefusal::OutOfOrder => 500,
        }
    }

    /// The reason phrase.
    pub fn reason(self) -> &'static str {
        match self {
            RegisterRefusal::ThirdParty => "Only For Yourself",
            RegisterRefusal::Wildcard => "Contact * Stands Alone With Expires 0",
            RegisterRefusal::BadContact => "Bad Contact",
            RegisterRefusal::ContactScheme => "Contact Must Be A SIP URI",
            RegisterRefusal::BadPath => "Bad Path",
            RegisterRefusal::TooManyContacts => "Too Many Contacts",
            RegisterRefusal::TooBrief { .. } => "Interval Too Brief",
            RegisterRefusal::OutOfOrder => "CSeq Out Of Order",
        }
    }

    /// The value of Min-Expires, which a 423 must carry (§21.4.17).
    pub fn min_expires(self) -> Option<u32> {
        match self {
            RegisterRefusal::TooBrief { shortest } => Some(shortest),
            RegisterRefusal::ThirdParty
            | RegisterRefusal::Wildcard
            | RegisterRefusal::BadContact
            | RegisterRefusal::ContactScheme
            | RegisterRefusal::BadPath
            | RegisterRefusal::TooManyContacts
            | RegisterRefusal::OutOfOrder => None,
        }
    }

    /// A stable name for counters.
    pub fn name(self) -> &'static str {
        match self {
            RegisterRefusal::ThirdParty => "third-party-registration",
            RegisterRefusal::Wildcard => "wildcard-contact",
            RegisterRefusal::BadContact => "bad-contact",
            RegisterRefusal::ContactScheme => "contact-scheme",
            RegisterRefusal::BadPath => "bad-path",
            RegisterRefusal::TooManyContacts => "too-many-contacts",
            RegisterRefusal::TooBrief { .. } => "interval-too-brief",
            RegisterRefusal::OutOfOrder => "register-out-of-order",
        }
    }
}
