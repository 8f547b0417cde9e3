//! Who may be rung: the first reason that holds against it, and what shows it.

use std::sync::Arc;

use chrono_tz::Tz;

use super::{Company, Presence, SkipReason, Target, User, UserStatus, words};
use crate::claim::{Claim, Claims, Hold};
use crate::id::CallRef;
use crate::time::Now;

/// Why a user could not be rung now, whoever called, and what shows it; `None`: it could. The reason is the first of R-6's
/// that holds, read where a call would read it.
pub fn standing(
    now: Now,
    company: &Company,
    user: &Arc<User>,
    claims: &Claims,
    presence: &dyn Presence,
) -> Option<(SkipReason, Option<String>)> {
    target(now, company, user, None, claims, presence).err().map(|skip| (skip.reason, Some(skip.evidence)))
}

/// Why somebody is skipped.
pub(super) struct Skip {
    pub(super) reason: SkipReason,
    pub(super) evidence: String,
}

/// What would ring, or the first of R-6's reasons (but the last two, which are the hunt's to know) against it.
pub(super) fn target(
    now: Now,
    company: &Company,
    user: &Arc<User>,
    call: Option<CallRef>,
    claims: &Claims,
    presence: &dyn Presence,
) -> Result<Target, Skip> {
    let skip = |reason, evidence: &str| Err(Skip { reason, evidence: evidence.to_owned() });
    match user.status {
        UserStatus::Active => {}
        UserStatus::Pending => return skip(SkipReason::Disabled, "status is pending"),
        UserStatus::Disabled => return skip(SkipReason::Disabled, "status is disabled"),
    }
    // A pause by an admin outranks the user's own switch.
    if presence.is_paused(&user.id) {
        return skip(SkipReason::Paused, "by an admin");
    }
    match presence.takes_calls(&user.id) {
        Some(true) => {}
        Some(false) => return skip(SkipReason::Away, "switched off by the user"),
        None if user.take_calls => {}
        None => return skip(SkipReason::Away, "take-calls is off in the configuration"),
    }
    if let Some(hours) = &user.hours
        && !hours.schedule.is_open(now.wall)
    {
        return skip(SkipReason::OffHours, &words::outside(hours, now.wall));
    }
    let devices = user.ring_on.devices() && presence.is_registered(&user.id);
    let mobile = user.mobile.clone().zip(company.outbound_trunk.clone()).filter(|_| user.ring_on.mobile());
    if !devices && mobile.is_none() {
        let what = if user.ring_on.devices() { "no device is registered" } else { "no mobile to ring" };
        return skip(SkipReason::NotRegistered, what);
    }
    if let Some(claim) = claims.in_the_way(now.mono, &user.person, &user.id) {
        return Err(held(claim, now, call, company.timezone));
    }
    Ok(Target::User { user: Arc::clone(user), devices, mobile })
}

/// names the company the person is busy for and since when, never the caller.
pub(super) fn held(claim: &Claim, now: Now, call: Option<CallRef>, zone: Tz) -> Skip {
    let elsewhere = || format!("at {} since {}", claim.user.company, words::clock(claim.since, now.wall, zone));
    let (reason, evidence) = match claim.hold {
        Hold::OnCall => (SkipReason::OnCall, elsewhere()),
        Hold::Ringing if Some(claim.call) == call => {
            (SkipReason::Ringing, format!("as {} by this call", claim.user.extension))
        }
        Hold::Ringing => (SkipReason::Ringing, elsewhere()),
        Hold::WrapUp { until_wall, .. } => {
            let until = words::clock_to_the_second(until_wall, zone);
            (SkipReason::WrapUp, format!("at {} until {until}", claim.user.company))
        }
    };
    Skip { reason, evidence }
}
