//! One step of a hunt: a department, a user called directly or an outside number, and the offers made in it.

use std::sync::Arc;
use std::time::Duration;

use super::line::Ticket;
use super::{
    Cause, Company, Department, Destination, MemberRecord, Memories, OfferEnd, OfferOutcome, StepRecord, Sticky,
    StickyMode, Strategy, User, words,
};
use crate::id::{Extension, OfferId, TrunkId};
use crate::number::{Caller, E164};
use crate::time::{Instant, Now};

/// Where a hunt is.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) place: Place,
    /// Its record's position among the steps.
    pub(super) index: usize,
    /// Whom this step offered the call to.
    pub(super) offered: Vec<Extension>,
    /// Whom the caller spoke with (R-5.7), and what that means.
    pub(super) sticky: Option<(Extension, StickyMode)>,
    /// Set once the call had to wait here.
    pub(super) queue: Option<Queue>,
}

/// What is tried.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Department(Arc<Department>),
    /// R-4.3: like a department of one where nobody waits.
    User([Arc<User>; 1]),
    /// An outside number, through that trunk.
    External(TrunkId),
}

/// The call's waiting in one department, kept while an offer made from the line rings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) ticket: Ticket,
    pub(super) since: Now,
    /// The next 182.
    pub(super) notice: Instant,
    /// When the hours of a member open next.
    pub(super) opening: Option<Instant>,
    /// The end of patience.
    pub(super) until: Instant,
}

impl Queue {
    /// When somebody must look again.
    pub(super) fn deadline(&self) -> Instant {
        let deadline = self.until.min(self.notice);
        self.opening.map_or(deadline, |opening| opening.min(deadline))
    }
}

/// An offer and what has become of it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) id: OfferId,
    pub(super) whom: Whom,
    /// Its step's record.
    pub(super) step: usize,
    pub(super) began: Now,
    pub(super) state: OfferState,
}

/// Who was offered the call.
#[derive(Debug)]
pub(super) enum Whom {
    User {
        user: Arc<User>,
        /// As a member of this department, in this position; `None`: called directly.
        member: Option<(Arc<Department>, usize)>,
    },
    External(E164),
}

/// ```text
/// Ringing ──ring is over──▶ RangOut ──┐
///    │ ────taken back─────▶ Withdrawn ┤ every branch ended
///    │ ───────────────────────────────┴──▶ Ended
///    └── an answer, from any of them ────▶ Answered
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferState {
    Ringing,
    /// Its time is up; branches may still be ending.
    RangOut,
    /// Somebody else answered, or the caller hung up; branches may still be ending.
    Withdrawn,
    Ended,
    Answered,
}

impl Step {
    /// A department, as it stands in the record before anybody was looked at.
    pub(super) fn department(
        now: Now,
        company: &Company,
        department: &Arc<Department>,
        caller: &Caller,
        memories: &Memories,
        index: usize,
    ) -> (Step, StepRecord) {
        let sticky = department.sticky.and_then(|sticky| {
            let member = spoke_with(now, company, department, caller, memories, sticky)?;
            Some((member, sticky.mode))
        });
        let record = StepRecord {
            department: Some(department.id.to_string()),
            strategy: Some(words::strategy(department.strategy).to_owned()),
            hours: department
                .hours
                .as_ref()
                .filter(|hours| hours.schedule.is_open(now.wall))
                .map(|hours| words::within(hours, now.wall)),
            sticky: sticky.as_ref().map(|(extension, _)| extension.to_string()),
            members: members_of_record(&department.members),
            ..StepRecord::default()
        };
        (Step::new(Place::Department(Arc::clone(department)), index, sticky), record)
    }

    /// A user called directly.
    pub(super) fn user(user: &Arc<User>, index: usize) -> (Step, StepRecord) {
        let members = [Arc::clone(user)];
        let record = StepRecord {
            user: Some(user.id.extension.to_string()),
            members: members_of_record(&members),
            ..StepRecord::default()
        };
        (Step::new(Place::User(members), index, None), record)
    }

    /// An outside number.
    pub(super) fn external(number: &E164, trunk: &TrunkId, index: usize) -> (Step, StepRecord) {
        let record = StepRecord { external: Some(number.to_string()), ..StepRecord::default() };
        (Step::new(Place::External(trunk.clone()), index, None), record)
    }

    fn new(place: Place, index: usize, sticky: Option<(Extension, StickyMode)>) -> Step {
        Step { place, index, offered: Vec::new(), sticky, queue: None }
    }

    pub(super) fn was_offered(&self, user: &User) -> bool {
        self.offered.contains(&user.id.extension)
    }

    /// Whether `strict` keeps the call from that member.
    pub(super) fn is_barred(&self, user: &User) -> bool {
        self.sticky.as_ref().is_some_and(|(kept, mode)| *mode == StickyMode::Strict && *kept != user.id.extension)
    }

    /// Whether it is this member's caller.
    pub(super) fn belongs_to(&self, user: &User) -> bool {
        self.sticky.as_ref().is_some_and(|(kept, _)| *kept == user.id.extension)
    }

    /// How long the caller may wait here. `strict` waits for nobody: the overflow serves (R-5.7).
    pub(super) fn patience(&self) -> Duration {
        match (&self.place, &self.sticky) {
            (Place::Department(_), Some((_, StickyMode::Strict))) => Duration::ZERO,
            (Place::Department(department), Some((_, StickyMode::Loose)) | None) => department.wait,
            (Place::User(_) | Place::External(_), _) => Duration::ZERO,
        }
    }
}

impl Place {
    /// Everybody who may be offered the call here.
    pub(super) fn members(&self) -> &[Arc<User>] {
        match self {
            Place::Department(department) => &department.members,
            Place::User(user) => user,
            Place::External(_) => &[],
        }
    }

    /// How long an offer lasts (R-5.2).
    pub(super) fn ring(&self) -> Duration {
        match self {
            Place::Department(department) => department.ring,
            Place::User([user]) => user.ring,
            Place::External(_) => EXTERNAL_RING,
        }
    }

    /// The most offers at once.
    pub(super) fn breadth(&self) -> u32 {
        match self {
            Place::Department(department) => match department.strategy {
                Strategy::Simultaneous => department.max_ring.max(1),
                Strategy::Serial
                | Strategy::RoundRobin
                | Strategy::LongestIdle
                | Strategy::FewestCalls
                | Strategy::Random => 1,
            },
            Place::User(_) | Place::External(_) => 1,
        }
    }

    /// Where the call goes when it is left for that cause (R-5.6); `None`: to R-8's answer.
    pub(super) fn overflow(&self, cause: Cause) -> Option<Destination> {
        let overflow = match self {
            Place::Department(department) => &department.overflow,
            Place::User([user]) => &user.overflow,
            Place::External(_) => return None,
        };
        overflow.by_cause.get(&cause).or(overflow.default.as_ref()).cloned()
    }

    /// The key of `overflow` that says so.
    pub(super) fn overflow_key(&self, cause: Cause) -> Option<&'static str> {
        let overflow = match self {
            Place::Department(department) => &department.overflow,
            Place::User([user]) => &user.overflow,
            Place::External(_) => return None,
        };
        let own = overflow.by_cause.contains_key(&cause).then(|| words::cause(cause));
        own.or(overflow.default.is_some().then_some("default"))
    }

    /// The words of R-8's answer when it is left for that cause. An outside number is not told to the caller.
    pub(super) fn words(&self, cause: Cause) -> String {
        match self {
            Place::Department(department) => match (cause, &department.id) {
                (Cause::Closed, id) => format!("{id} is closed"),
                (Cause::Unavailable, id) => format!("nobody in {id} is available"),
                (Cause::Busy, id) => format!("everybody in {id} is busy"),
                (Cause::Full, id) => format!("the line of {id} is full"),
                (Cause::Timeout, id) => format!("waited too long for {id}"),
                (Cause::NoAnswer, id) => format!("nobody in {id} answered"),
            },
            Place::User([user]) => match cause {
                Cause::Closed | Cause::Unavailable => format!("{} is not available", user.id.extension),
                Cause::Busy | Cause::Full => format!("{} is busy", user.id.extension),
                Cause::Timeout | Cause::NoAnswer => format!("{} did not answer", user.id.extension),
            },
            Place::External(_) => match cause {
                Cause::Closed | Cause::Unavailable => "the outside number cannot be reached".to_owned(),
                Cause::Busy | Cause::Full => "the outside number is busy".to_owned(),
                Cause::Timeout | Cause::NoAnswer => "nobody answered at the outside number".to_owned(),
            },
        }
    }
}

/// What an end means for the record.
pub(super) fn outcome(end: OfferEnd) -> (OfferOutcome, Option<u16>) {
    match end {
        OfferEnd::Busy => (OfferOutcome::Busy, None),
        OfferEnd::Declined => (OfferOutcome::Declined, None),
        OfferEnd::NoAnswer => (OfferOutcome::NoAnswer, None),
        OfferEnd::Failed(status) => (OfferOutcome::Failed, Some(status)),
        OfferEnd::Unreachable(_) => (OfferOutcome::Failed, None),
    }
}

/// How long an outside number rings: a minute, since half of it may pass before a mobile is found. No configuration
/// says anything else.
const EXTERNAL_RING: Duration = Duration::from_secs(60);

/// R-5.7: the member who answered the caller within the window and is still a member.
fn spoke_with(
    now: Now,
    company: &Company,
    department: &Department,
    caller: &Caller,
    memories: &Memories,
    sticky: Sticky,
) -> Option<Extension> {
    let (extension, at) = memories.of(&company.id, &department.id)?.spoke_with(caller)?;
    let remembered = now.wall < at + sticky.window;
    let is_member = department.members.iter().any(|user| user.id.extension == *extension);
    (remembered && is_member).then(|| extension.clone())
}

fn members_of_record(members: &[Arc<User>]) -> Vec<MemberRecord> {
    let record = |user: &Arc<User>| MemberRecord {
        extension: user.id.extension.to_string(),
        person: user.person.to_string(),
        ..MemberRecord::default()
    };
    members.iter().map(record).collect()
}
