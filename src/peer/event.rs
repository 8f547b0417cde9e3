//! What a peer tells its owner.

/// One call of one peer. Never used twice by that peer; counts up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// What happened to one call, seen from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// An INVITE came: it rings here (even where the behaviour is to stay silent).
    Ringing {
        /// Call-ID.
        call_id: String,
        /// The URI in From.
        from: String,
        /// The Request-URI.
        request_uri: String,
        /// P-Asserted-Identity as written, if there was one.
        asserted: Option<String>,
    },
    /// Our call got a provisional response.
    Progress {
        /// 100–199.
        status: u16,
        /// The To tag, if it had one.
        to_tag: Option<String>,
    },
    /// The call was answered: by a 2xx to our INVITE (already acknowledged), or by our 200.
    Answered {
        /// The To tag of the dialog.
        to_tag: String,
    },
    /// A second phone answered the same INVITE of ours: a dialog of its own (RFC 3261 §13.2.2.4).
    Forked {
        /// The To tag of that dialog.
        to_tag: String,
    },
    /// The ACK for our 200 came (to an INVITE, or to a re-INVITE).
    AckReceived,
    /// The caller gave up before we answered.
    Cancelled {
        /// The CANCEL's Reason field.
        reason: Option<String>,
    },
    /// We refused the call.
    Declined {
        /// 300–699.
        status: u16,
    },
    /// Our call was refused.
    Refused {
        /// 300–699.
        status: u16,
        /// The first Reason field.
        reason: Option<String>,
        /// Retry-After, in seconds.
        retry_after: Option<u32>,
    },
    /// Nobody answered our INVITE at all within 64·T1, or nothing final came within 64·T1 of our CANCEL.
    TimedOut,
    /// Our re-INVITE got its final answer.
    Reinvited {
        /// 200–699; 408 where none came.
        status: u16,
    },
    /// The other side sent a re-INVITE, answered 200.
    ReinviteReceived,
    /// A dialog of this call is over.
    Ended {
        /// Who ended it.
        by: EndedBy,
    },
}

/// Who ended a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Our BYE was answered.
    Us,
    /// A BYE came.
    Remote,
    /// Nobody acknowledged our 200 within 64·T1; a BYE was sent.
    NoAck,
    /// Our BYE was not answered within 64·T1, or was answered 408 or 481.
    NoAnswerToBye,
}

/// What a phone tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneEvent {
    /// The registrar took the registration.
    Registered {
        /// Seconds granted to this phone's contact.
        expires: u32,
    },
    /// The registrar removed the registration.
    Unregistered,
    /// The registrar refused; 408 where it did not answer.
    RegistrationFailed {
        /// 300–699.
        status: u16,
    },
    /// Something happened to a call.
    Call(CallKey, CallEvent),
}
