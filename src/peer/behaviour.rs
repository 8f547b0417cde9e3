//! What a peer does of its own accord when somebody calls it.

use std::time::Duration;

/// What a peer does when it is rung, and how long it talks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// The final answer, if it gives one by itself.
    pub when_rung: WhenRung,
    /// The provisional responses before it.
    pub progress: Progress,
    /// Hangs up this long after the call was acknowledged; `None` talks until told otherwise.
    pub hang_up_after: Option<Duration>,
}

/// The final answer to an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhenRung {
    /// 200 after this long; at once if zero.
    Answer(Duration),
    /// Rings and never answers by itself; `answer` and `reject` still work.
    RingOnly,
    /// Refuses with this status after this long.
    Refuse(u16, Duration),
    /// Sends nothing at all, as a phone whose cable was pulled.
    Silent,
    /// Rings; when a CANCEL comes, answers 200 to the INVITE all the same, as when the two cross on the wire.
    AnswerDespiteCancel,
    /// 302 to this URI, after this long.
    Redirect(String, Duration),
}

/// The provisional responses a ringing peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// None: straight to the final answer.
    Nothing,
    /// 100 only, so that the caller stops retransmitting but never hears it ring.
    Trying,
    /// 180.
    Ringing,
    /// 183 with a session description, then 180.
    EarlyMediaThenRinging,
}

impl Behaviour {
    /// Rings (180), answers after `delay`, and talks until told otherwise.
    pub fn answer_after(delay: Duration) -> Behaviour {
        Behaviour::new(WhenRung::Answer(delay))
    }

    /// Rings and never answers by itself.
    pub fn ring_only() -> Behaviour {
        Behaviour::new(WhenRung::RingOnly)
    }

    /// Rings, and refuses with `status` after `delay`.
    pub fn refuse(status: u16, delay: Duration) -> Behaviour {
        Behaviour::new(WhenRung::Refuse(status, delay))
    }

    /// Never sends a byte about any INVITE or CANCEL.
    pub fn silent() -> Behaviour {
        Behaviour { progress: Progress::Nothing, ..Behaviour::new(WhenRung::Silent) }
    }

    /// Rings until a CANCEL comes, and then answers 200.
    pub fn answer_despite_cancel() -> Behaviour {
        Behaviour::new(WhenRung::AnswerDespiteCancel)
    }

    /// Redirects every call to `uri` at once.
    pub fn redirect(uri: impl Into<String>) -> Behaviour {
        Behaviour { progress: Progress::Nothing, ..Behaviour::new(WhenRung::Redirect(uri.into(), Duration::ZERO)) }
    }

    /// The same with these provisional responses.
    pub fn with_progress(self, progress: Progress) -> Behaviour {
        Behaviour { progress, ..self }
    }

    /// The same, hanging up after `talk` of talking.
    pub fn hang_up_after(self, talk: Duration) -> Behaviour {
        Behaviour { hang_up_after: Some(talk), ..self }
    }

    fn new(when_rung: WhenRung) -> Behaviour {
        Behaviour { when_rung, progress: Progress::Ringing, hang_up_after: None }
    }
}
