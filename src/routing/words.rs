//! How plans and moments are written in records. No decisions here.

use chrono::{DateTime, SecondsFormat, TimeZone};
use chrono_tz::Tz;

use super::{AnswerCause, Cause, Destination, NamedHours, Rejection, Strategy, Unreachable};
use crate::id::TrunkId;
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

/// As the configuration writes it.
pub(super) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Closed => "closed",
        Cause::Unavailable => "unavailable",
        Cause::Busy => "busy",
        Cause::Full => "full",
        Cause::Timeout => "timeout",
        Cause::NoAnswer => "no-answer",
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

/// `trunk airtel is at its limit of calls`
pub(super) fn unreachable(trunk: &TrunkId, why: Unreachable) -> String {
    match why {
        Unreachable::Gone => format!("trunk {trunk} is no longer configured"),
        Unreachable::AtLimit => format!("trunk {trunk} is at its limit of calls"),
        Unreachable::NoProxy => format!("trunk {trunk} has no proxy"),
        Unreachable::NoAddress => format!("the proxy of trunk {trunk} has no address"),
        Unreachable::Silent => format!("the proxy of trunk {trunk} does not answer"),
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

/// `10:31 IST`, with the date where that is not today's.
pub(super) fn clock(at: WallTime, now: WallTime, zone: Tz) -> String {
    let (at, now) = (local(at, zone), local(now, zone));
    if at.date_naive() == now.date_naive() {
        at.format("%H:%M %Z").to_string()
    } else {
        at.format("%Y-%m-%d %H:%M %Z").to_string()
    }
}

/// `10:31:05 IST`
pub(super) fn clock_to_the_second(at: WallTime, zone: Tz) -> String {
    local(at, zone).format("%H:%M:%S %Z").to_string()
}

/// `outside office until Mon 09:30 IST (it is Sun 10:00; sun closed)`, on the clock of the hours.
pub(super) fn outside(hours: &NamedHours, now: WallTime) -> String {
    format!("outside {}{}", hours.id, why(hours, now))
}

/// `office until Mon 13:00 IST (it is Mon 10:00; mon 09:30-13:00)`, on the clock of the hours, which are open.
pub(super) fn within(hours: &NamedHours, now: WallTime) -> String {
    format!("{}{}", hours.id, why(hours, now))
}

/// Until when it stays so, and by which line; with the date where the weekday alone could be taken for another week's.
fn why(hours: &NamedHours, now: WallTime) -> String {
    let zone = hours.schedule.zone;
    let here = local(now, zone);
    let until = hours.schedule.next_change(now).map_or_else(String::new, |next| {
        let next = local(next, zone);
        let days = next.date_naive().signed_duration_since(here.date_naive()).num_days();
        let form = if days < AMBIGUOUS_DAYS { "%a %H:%M %Z" } else { "%a %Y-%m-%d %H:%M %Z" };
        format!(" until {}", next.format(form))
    });
    format!("{until} (it is {}; {})", here.format("%a %H:%M"), hours.schedule.line_at(now))
}

/// From so many days on, a weekday is written with its date.
const AMBIGUOUS_DAYS: i64 = 6;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hours::{Schedule, Window};
    use crate::id::HoursId;

    fn at(text: &str) -> WallTime {
        WallTime::from_unix_millis(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    /// Mondays from nine to five in London.
    fn mondays() -> NamedHours {
        let mut week: [Vec<Window>; 7] = Default::default();
        week[0] = vec![Window::parse("09:00-17:00").unwrap()];
        let schedule = Arc::new(Schedule::new(Tz::Europe__London, week, vec![]));
        NamedHours { id: HoursId::new("mondays"), schedule }
    }

    #[test]
    fn a_time_in_evidence_names_its_zone() {
        let now = at("2026-11-23T10:00:00+05:30");
        assert_eq!(clock(now, now, Tz::Asia__Kolkata), "10:00 IST");
        assert_eq!(clock(at("2026-11-22T10:00:00Z"), now, Tz::Europe__London), "2026-11-22 10:00 GMT");
        assert_eq!(clock_to_the_second(at("2026-07-01T10:00:05+05:30"), Tz::Europe__London), "05:30:05 BST");
        assert_eq!(
            outside(&mondays(), at("2026-11-22T10:00:00Z")),
            "outside mondays until Mon 09:00 GMT (it is Sun 10:00; sun closed)"
        );
        let open = at("2026-11-23T10:00:00Z");
        assert_eq!(within(&mondays(), open), "mondays until Mon 17:00 GMT (it is Mon 10:00; mon 09:00-17:00)");
    }

    #[test]
    fn a_weekday_that_is_six_days_away_or_more_has_its_date() {
        let told = |time: &str| outside(&mondays(), at(time));
        for days in ["2026-11-23T18:00:00Z", "2026-11-24T18:00:00Z"] {
            assert!(told(days).starts_with("outside mondays until Mon 2026-11-30 09:00 GMT ("), "{}", told(days));
        }
        let five = told("2026-11-25T18:00:00Z");
        assert!(five.starts_with("outside mondays until Mon 09:00 GMT ("), "{five}");
    }
}
