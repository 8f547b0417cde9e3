//! What becomes of each message of RFC 4475 and RFC 5118: one row a message, in the order of their lists.

use switchboard::sip::Fault;

/// What the wire does with a message, and what is left to others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    /// Read, and written again byte for byte.
    Forwarded,
    /// Read, and written again byte for byte; the proxy core, the authentication or the registrar refuses it with this
    /// status.
    Core(u16),
    /// Answered with this status for this fault.
    Refused(u16, Fault),
    /// Refused for this fault without an answer: it is a response.
    Dropped(Fault),
}

use Verdict::{Core, Dropped, Forwarded, Refused};

/// A message's file name without `.dat`, and its verdict.
pub(crate) type Row = (&'static str, Verdict);

pub(crate) const RFC4475: &[Row] = &[
    ("wsinv", Forwarded),
    ("intmeth", Forwarded),
    ("esc01", Forwarded),
    ("escnull", Forwarded),
    ("esc02", Forwarded),
    ("lwsdisp", Forwarded),
    ("longreq", Forwarded),
    ("dblreq", Forwarded),
    ("semiuri", Forwarded),
    ("transports", Forwarded),
    ("mpart01", Forwarded),
    ("unreason", Forwarded),
    ("noreason", Forwarded),
    ("badinv01", Refused(400, Fault::BadVia)),
    ("clerr", Refused(400, Fault::ContentLengthTooLong)),
    ("ncl", Refused(400, Fault::BadContentLength)),
    // The first of its four faults; each alone is in tests below.
    ("scalar02", Refused(400, Fault::BadCseq)),
    ("scalarlg", Dropped(Fault::BadCseq)),
    ("quotbal", Refused(400, Fault::BadTo)),
    ("ltgtruri", Refused(400, Fault::BadRequestUri)),
    ("lwsruri", Refused(400, Fault::BadRequestUri)),
    // Choice: "may be liberal" is not; two readers of one start line must not disagree about where its parts are.
    ("lwsstart", Refused(400, Fault::BadStartLine)),
    ("trws", Refused(400, Fault::BadStartLine)),
    // Choice: refused rather than the headers ignored.
    ("escruri", Refused(400, Fault::BadRequestUri)),
    // Choice: Date is ignored. Nobody here reads it, and it is not for a proxy to refuse a call over it.
    ("baddate", Forwarded),
    ("regbadct", Refused(400, Fault::BadContact)),
    // Choice: not liberal.
    ("badaspec", Refused(400, Fault::BadTo)),
    // The archive's file ends before the empty line; with the line put back it is refused for its names (a test below).
    ("baddn", Refused(400, Fault::Truncated)),
    ("badvers", Refused(505, Fault::BadVersion)),
    ("mismatch01", Refused(400, Fault::CseqMethodMismatch)),
    ("mismatch02", Refused(400, Fault::CseqMethodMismatch)),
    ("bigcode", Dropped(Fault::BadStatus)),
    // The branch is the cookie alone: for the transaction layer it counts as none (RFC 2543 matching).
    ("badbranch", Forwarded),
    ("insuf", Refused(400, Fault::MissingFrom)),
    ("unkscm", Core(416)),
    ("novelsc", Core(416)),
    // RFC 3261 §10.2: the To of a REGISTER is a SIP or SIPS URI; elsewhere the schemes alone are no fault.
    ("unksm2", Core(400)),
    ("bext01", Core(420)),
    ("invut", Forwarded),
    ("regaut01", Core(401)),
    ("multi01", Refused(400, Fault::DuplicateField)),
    ("mcl01", Refused(400, Fault::DuplicateField)),
    // Read; the transaction layer has no transaction for it and drops it, so that it never reaches 255.255.255.255.
    ("bcast", Forwarded),
    ("zeromf", Core(483)),
    ("cparam01", Forwarded),
    ("cparam02", Forwarded),
    ("regescrt", Forwarded),
    ("sdp01", Forwarded),
    ("inv2543", Forwarded),
];

pub(crate) const RFC5118: &[Row] = &[
    ("ipv6-good", Forwarded),
    ("ipv6-bad", Refused(400, Fault::BadRequestUri)),
    ("port-ambiguous", Forwarded),
    ("port-unambiguous", Forwarded),
    ("via-received-param-with-delim", Forwarded),
    ("via-received-param-no-delim", Forwarded),
    ("ipv6-in-sdp", Forwarded),
    ("mult-ip-in-header", Forwarded),
    ("mult-ip-in-sdp", Forwarded),
    ("ipv4-mapped-ipv6", Forwarded),
    // Choice: three colons count as two, as the RFC recommends.
    ("ipv6-bug-abnf-3-colons", Forwarded),
    ("ipv6-correct-abnf-2-colons", Forwarded),
];
