//! The decision record: what was decided for one call and why. The shape in product.md §4 is a contract:
//! fields may be added, never renamed. Everything is owned text, so that a command can read a record back.

use serde::{Deserialize, Serialize};

use super::{Answer, AnswerCause, words};
use crate::number::Form;
use crate::time::Now;

/// What was decided for one call, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DecisionRecord {
    /// The called number in canonical form; an extension, or what was called as it was written, where it is none.
    pub number: String,
    /// The company that has it; null where nobody does.
    pub company: Option<String>,
    /// The caller: a number in canonical form, a name, or `anonymous`.
    pub caller: String,
    /// When the call arrived, RFC 3339, on the company's clock (UTC where there is none).
    pub at: String,
    /// The trunk it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// The user of ours who called: `221@acme`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_user: Option<String>,
    /// The form the number was written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// The number's name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Why the call was turned away at the company's door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<DoorRecord>,
    /// The number's own hours, where it has some and they are open: `office until Mon 13:00 IST (it is Mon 10:00; mon 09:30-13:00)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_hours: Option<String>,
    /// The routes written before the one taken, and why each was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<PassedRouteRecord>,
    /// The route taken; null when none is open.
    pub route: Option<RouteRecord>,
    /// What was tried, in order.
    pub steps: Vec<StepRecord>,
    /// Who answered first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<AnsweredRecord>,
    /// How the caller was answered; null while that is not decided.
    pub answer: Option<Answer>,
    /// Of an explained call: seconds from its arrival to that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_after: Option<f64>,
    /// Of an explained call: what becomes of the user that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_verdict: Option<UserVerdict>,
}

impl DecisionRecord {
    /// The record of a call that was refused before anything was decided: whose it was was never looked up.
    pub fn refused(now: Now, number: String, caller: String, answer: Answer) -> DecisionRecord {
        DecisionRecord {
            number,
            company: None,
            caller,
            at: words::stamp(now.wall, chrono_tz::Tz::UTC),
            trunk: None,
            from_user: None,
            form: None,
            label: None,
            door: None,
            number_hours: None,
            passed: Vec::new(),
            route: None,
            steps: Vec::new(),
            answered_by: None,
            answer: Some(answer),
            answer_after: None,
            user_verdict: None,
        }
    }
}

/// A refusal at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorRecord {
    /// Which row of R-2.
    pub refused: AnswerCause,
    /// What decided it: `+9114012*`, `30 of 30 calls`.
    pub evidence: String,
}

/// A route that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedRouteRecord {
    /// `department:sales`
    pub to: String,
    /// Why: `outside office until Mon 09:30 IST`, `not for this caller`.
    pub evidence: String,
}

/// The route taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRecord {
    /// `department:sales`
    pub to: String,
    /// The hours that were open; null where the route has none.
    pub hours: Option<String>,
    /// Which line of them, and until when: `office until Mon 13:00 IST (it is Mon 10:00; mon 09:30-13:00)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The caller pattern that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callers: Option<String>,
}

/// One department (or user, or outside number) that was tried: exactly one of the three is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The user called directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The outside number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
    /// The department's strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// The department's hours, where it has some and they are open: `office until Mon 13:00 IST (it is Mon 10:00; mon
    /// 09:30-13:00)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Seconds from the call's arrival to when the step was entered.
    #[serde(default, rename = "entered-after", skip_serializing_if = "Option::is_none")]
    pub entered_after: Option<f64>,
    /// Why the step was left; null while it goes on, and where somebody answered.
    pub cause: Option<AnswerCause>,
    /// What closed it: `outside office until Mon 09:30 IST`; or why the outside number was not to be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Whom the caller spoke with before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
    /// Members in the order written. One with neither `skip` nor `offer` was not reached.
    #[serde(default)]
    pub members: Vec<MemberRecord>,
    /// Seconds spent in the department's line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<f64>,
    /// Where the call went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<String>,
    /// By which key of `overflow`: `busy`, `default` …
    #[serde(default, rename = "overflow-by", skip_serializing_if = "Option::is_none")]
    pub overflow_by: Option<String>,
    /// `overflow` would have led back to where the call had been, and it ended here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub circle: bool,
    /// The offer to the outside number.
    #[serde(flatten)]
    pub offered: Option<OfferRecord>,
}

/// One member of a department, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The extension.
    pub extension: String,
    /// Who is behind it.
    pub person: String,
    /// Why it was skipped, when it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<SkipReason>,
    /// What shows it: `at globex since 10:31 IST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The offer made to it.
    #[serde(flatten)]
    pub offered: Option<OfferRecord>,
}

/// One offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferRecord {
    /// Its number in the call, from 1: the order in which offers were made.
    pub offer: u32,
    /// When it was made, RFC 3339, on the company's clock.
    pub at: String,
    /// Seconds from the call's arrival to then.
    #[serde(default)]
    pub after: f64,
    /// Whether the user's mobile rings, by itself or beside the phones: a call out through a trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mobile: Option<Mobile>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OfferOutcome>,
    /// The SIP status of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Seconds it rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<f64>,
}

/// What part a mobile has in an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mobile {
    /// Nothing else rings.
    Alone,
    /// Registered phones ring too.
    Too,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredRecord {
    /// Which offer.
    pub offer: u32,
    /// The user's extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The outside number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
}

/// Whether a user rings for a call, and why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserVerdict {
    /// `223@acme`
    pub user: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// One sentence for people.
    pub text: String,
    /// The department in which that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Why it is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<SkipReason>,
    /// The number of its first offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<u32>,
    /// Seconds from the call's arrival to that offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
}

/// What becomes of a user when a call comes and nobody else answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is offered the call.
    Rings,
    /// It is a member of what the call comes to, and is skipped.
    Skipped,
    /// It is a member of what the call comes to, and is never looked at: its department is closed, or left before.
    PassedOver,
    /// The call comes to no place that it is in.
    NotReached,
    /// It is in no department, and no route leads to it.
    InNoDepartment,
    /// The number is another company's, or nobody's.
    OtherCompany,
    /// The call is refused at the door, or no route is open.
    Refused,
}

/// Why a member was not offered a call: the first of these that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// The user's status is not active.
    Disabled,
    /// By an admin, at run time.
    Paused,
    /// The user's own switch is off.
    Away,
    /// Outside the user's hours.
    OffHours,
    /// Rung on devices only, and none has a live binding.
    NotRegistered,
    /// The person talks.
    OnCall,
    /// The person is being rung, or is dialling.
    Ringing,
    /// The person is in wrap-up.
    WrapUp,
    /// Offered by this call, in this department: written, beside the offer, where the caller waits for the others.
    AlreadyOffered,
    /// The caller belongs to another member (`strict`).
    NotSticky,
}

impl SkipReason {
    /// Its name in records: `on-call`.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Disabled => "disabled",
            SkipReason::Paused => "paused",
            SkipReason::Away => "away",
            SkipReason::OffHours => "off-hours",
            SkipReason::NotRegistered => "not-registered",
            SkipReason::OnCall => "on-call",
            SkipReason::Ringing => "ringing",
            SkipReason::WrapUp => "wrap-up",
            SkipReason::AlreadyOffered => "already-offered",
            SkipReason::NotSticky => "not-sticky",
        }
    }

    /// Whether the person is busy, and so will become free.
    pub fn is_busy(self) -> bool {
        match self {
            SkipReason::OnCall | SkipReason::Ringing | SkipReason::WrapUp => true,
            SkipReason::Disabled
            | SkipReason::Paused
            | SkipReason::Away
            | SkipReason::OffHours
            | SkipReason::NotRegistered
            | SkipReason::AlreadyOffered
            | SkipReason::NotSticky => false,
        }
    }
}

/// How an offer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfferOutcome {
    /// Somebody picked up.
    Answered,
    /// Refused as busy.
    Busy,
    /// Declined.
    Declined,
    /// It rang in vain.
    NoAnswer,
    /// An error or a redirect.
    Failed,
    /// Taken back: somebody else answered, or the caller hung up.
    Withdrawn,
}

impl OfferOutcome {
    /// Its name in records and metrics: `no-answer`.
    pub fn as_str(self) -> &'static str {
        match self {
            OfferOutcome::Answered => "answered",
            OfferOutcome::Busy => "busy",
            OfferOutcome::Declined => "declined",
            OfferOutcome::NoAnswer => "no-answer",
            OfferOutcome::Failed => "failed",
            OfferOutcome::Withdrawn => "withdrawn",
        }
    }
}
