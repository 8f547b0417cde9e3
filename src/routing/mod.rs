//! Who should pick up, right now (R-2, R-4 … R-6). Knows no SIP.
//!
//! A decision is a pure function of the plan, the moment and what is known about persons; the history of one call is
//! the [`Hunt`]: a state machine that offers, waits, overflows and ends in an answer. [`explain`] runs the same
//! machine against copies of what is known, so that it cannot say anything else than a call would do.

mod answer;
mod door;
mod early;
mod eligibility;
mod explain;
mod hunt;
mod line;
mod memory;
mod order;
mod plan;
mod presence;
mod reach;
mod record;
mod step;
mod verdict;
mod words;

pub use answer::{Answer, AnswerCause};
pub use early::{caller_is_busy, refused_early};
pub use eligibility::standing;
pub use explain::explain;
pub use hunt::{Arrival, Called, Effect, Hunt, OfferEnd, Target, Unreachable, World};
pub use line::{Line, Since, Ticket};
pub use memory::Memories;
pub use plan::*;
pub use presence::Presence;
pub use reach::Reach;
pub use record::{
    AnsweredRecord, DecisionRecord, DoorRecord, MemberRecord, Mobile, OfferOutcome, OfferRecord, PassedRouteRecord,
    RouteRecord, SkipReason, StepRecord, UserVerdict, Verdict,
};
pub use verdict::verdict;
