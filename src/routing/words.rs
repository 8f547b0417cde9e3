//! How plans and moments are written in records. No decisions here.

use chrono::{DateTime, SecondsFormat, TimeZone};
use chrono_tz::Tz;

use super::{AnswerCause, Cause, Destination, NamedHours, Rejection, Strategy};
use crate::time::WallTime;

/// As the configuration writes it: `department:sales`.
pub(super) fn destination(to: &Destination) -> String {
    match to {
        Destination::Department(id) => format!("department:{id}"),
        Destination::User(extension) => format!("user:{extension}"),
        Destination::External(number) => format!("external:{number}"),
        Destination::Reject(Rejection::Busy) => "reject:busy".to_owned(),
        Destination::Reject(Rejection::Unavailable) => "reject:unavailable".to_owned(),
        Destination::Reject(Rejection::Decline) => "reject:decline".to_owned(),
    }
}

/// As the configuration writes it.
pub(super) fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Serial => "serial",
        Strategy::Simultaneous => "simultaneous",
        Strategy::RoundRobin => "round-robin",
        Strategy::LongestIdle => "longest-idle",
        Strategy::FewestCalls => "fewest-calls",
        Strategy::Random => "random",
    }
}

/// the row for a step that was left for that cause and leads nowhere else.
pub(super) fn answer_cause(cause: Cause) -> AnswerCause {
    match cause {
        Cause::Closed => AnswerCause::Closed,
        Cause::Unavailable => AnswerCause::Unavailable,
        Cause::Busy => AnswerCause::Busy,
        Cause::Full => AnswerCause::Full,
        Cause::Timeout => AnswerCause::Timeout,
        Cause::NoAnswer => AnswerCause::NoAnswer,
    }
}

/// What the clock on a zone's wall shows. The end of all calendars shows the epoch.
pub(super) fn local(at: WallTime, zone: Tz) -> DateTime<Tz> {
    let utc = DateTime::from_timestamp_millis(at.unix_millis()).unwrap_or_default();
    zone.from_utc_datetime(&utc.naive_utc())
}

/// RFC 3339 with the zone's offset, to the second.
pub(super) fn stamp(at: WallTime, zone: Tz) -> String {
    local(at, zone).to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// `10:31`, with the date where that is not today's.
pub(super) fn clock(at: WallTime, now: WallTime, zone: Tz) -> String {
    let (at, now) = (local(at, zone), local(now, zone));
    if at.date_naive() == now.date_naive() {
        at.format("%H:%M").to_string()
    } else {
        at.format("%Y-%m-%d %H:%M").to_string()
    }
}

/// `outside office until Mon 09:30`, on the clock of the hours.
pub(super) fn outside(hours: &NamedHours, now: WallTime) -> String {
    match hours.schedule.next_change(now) {
        Some(next) => format!("outside {} until {}", hours.id, local(next, hours.schedule.zone).format("%a %H:%M")),
        None => format!("outside {}", hours.id),
    }
}
