//! Records into the log, and old ones out of it. The sums grow in the transaction that brings the record, so that they always agree.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::SERVICE_LEVEL;
use super::facts::{self, Kind};
use super::tables::QUARTER;
use crate::routing::OfferOutcome;
use crate::state::encoding;
use crate::state::record::CallRecord;
use crate::time::WallTime;

/// Adds a record that is in `records` already, for the first time, to everything else.
pub(in crate::state) fn add(transaction: &Transaction<'_>, record: &CallRecord) -> rusqlite::Result<()> {
    let kind = facts::kind(record);
    let call = record.call.0.cast_signed();
    let started = record.started_at.unix_millis();
    let company = record.company.as_ref().map(|company| company.as_str());
    let place = record
        .decision
        .steps
        .last()
        .and_then(|step| step.department.clone().or_else(|| step.user.clone()).or_else(|| step.external.clone()));
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO calls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params![
            call,
            company,
            started,
            record.answered_at.map(WallTime::unix_millis),
            record.ended_at.unix_millis(),
            record.decision.number,
            record.decision.caller,
            record.trunk.as_ref().map(|trunk| trunk.as_str()),
            record.from_user.as_ref().map(ToString::to_string),
            record.sip_call_id,
            record.decision.route.as_ref().map(|route| route.to.as_str()),
            place,
            record.answered_by.join(" "),
            facts::outcome(record),
            record.ended_by.as_str(),
            record.status,
            kind == Kind::Missed,
        ])?;
    let Some(company) = company else { return Ok(()) };
    for offered in facts::offers(record) {
        transaction.prepare_cached("INSERT OR IGNORE INTO offered VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            company,
            offered.extension,
            started,
            call
        ])?;
    }
    count(transaction, record, kind, company, started.div_euclid(QUARTER))
}

fn count(
    transaction: &Transaction<'_>,
    record: &CallRecord,
    kind: Kind,
    company: &str,
    quarter: i64,
) -> rusqlite::Result<()> {
    let is = |other: Kind| i64::from(kind == other);
    let (waited, talked) = (facts::waited(record), facts::talked(record));
    let in_time =
        i64::from(kind == Kind::Answered && waited <= SERVICE_LEVEL.as_millis().try_into().unwrap_or(i64::MAX));
    let outside = matches!(kind, Kind::Answered | Kind::Missed);
    transaction
        .prepare_cached(
            "INSERT INTO quarter_calls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO UPDATE SET
             inside = inside + ?3, answered = answered + ?4, missed = missed + ?5, declined = declined + ?6,
             in_time = in_time + ?7, answer_wait = answer_wait + ?8, missed_wait = missed_wait + ?9,
             longest_wait = max(longest_wait, ?10), talk = talk + ?11",
        )?
        .execute(params![
            company,
            quarter,
            is(Kind::Inside),
            is(Kind::Answered),
            is(Kind::Missed),
            is(Kind::Declined),
            in_time,
            waited * is(Kind::Answered),
            waited * is(Kind::Missed),
            if outside { waited } else { 0 },
            talked * is(Kind::Answered),
        ])?;
    if kind == Kind::Missed {
        transaction
            .prepare_cached(
                "INSERT INTO quarter_missed VALUES (?1, ?2, ?3, 1) ON CONFLICT DO UPDATE SET calls = calls + 1",
            )?
            .execute(params![company, quarter, facts::outcome(record)])?;
    }
    for step in &record.decision.steps {
        let Some(department) = &step.department else { continue };
        let wait = step.wait.unwrap_or(0.0);
        transaction
            .prepare_cached(
                "INSERT INTO quarter_departments VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET
                 calls = calls + 1, answered = answered + ?4, in_line = in_line + ?5, line_wait = line_wait + ?6",
            )?
            .execute(params![company, quarter, department, facts::answered_in(step), wait > 0.0, millis(wait)])?;
        for member in &step.members {
            let (Some(reason), None) = (member.skip, &member.offered) else { continue };
            transaction
                .prepare_cached(
                    "INSERT INTO quarter_skips VALUES (?1, ?2, ?3, ?4, 1) ON CONFLICT DO UPDATE SET times = times + 1",
                )?
                .execute(params![company, quarter, member.extension, reason.as_str()])?;
        }
    }
    for offered in facts::offers(record) {
        let outcome = offered.offer.outcome;
        let was = |outcomes: &[OfferOutcome]| i64::from(outcome.is_some_and(|outcome| outcomes.contains(&outcome)));
        let answered = was(&[OfferOutcome::Answered]);
        transaction
            .prepare_cached(
                "INSERT INTO quarter_agents VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO UPDATE SET
                 offered = offered + 1, answered = answered + ?4, no_answer = no_answer + ?5, refused = refused + ?6,
                 failed = failed + ?7, withdrawn = withdrawn + ?8, ring = ring + ?9, talk = talk + ?10",
            )?
            .execute(params![
                company,
                quarter,
                offered.extension,
                answered,
                was(&[OfferOutcome::NoAnswer]),
                was(&[OfferOutcome::Busy, OfferOutcome::Declined]),
                was(&[OfferOutcome::Failed]),
                was(&[OfferOutcome::Withdrawn]),
                millis(offered.offer.ring.unwrap_or(0.0)),
                talked * answered,
            ])?;
    }
    Ok(())
}

/// Seconds of a record; they are small and not negative.
fn millis(seconds: f64) -> i64 {
    let length = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// Adds what version 1 of the store had logged.
pub(in crate::state) fn add_all(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare("SELECT call, record FROM records")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (call, bytes): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        match encoding::decode(&bytes) {
            Ok(record) => add(transaction, &record)?,
            Err(error) => {
                tracing::warn!("the record of call {call} cannot be understood and is left out of the log: {error}")
            }
        }
    }
    Ok(())
}

/// Takes at most `most` calls that began before then out, the oldest first, and the sums of whole quarters before. How many calls.
pub(in crate::state) fn prune(connection: &mut Connection, before: WallTime, most: u32) -> rusqlite::Result<u32> {
    let before = before.unix_millis();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let old: Vec<i64> = {
        let mut statement =
            transaction.prepare_cached("SELECT call FROM calls WHERE started < ?1 ORDER BY started, call LIMIT ?2")?;
        statement.query_map(params![before, most], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
    };
    for call in &old {
        let record: Option<Vec<u8>> = {
            let mut statement = transaction.prepare_cached("SELECT record FROM records WHERE call = ?1")?;
            rusqlite::OptionalExtension::optional(statement.query_row([call], |row| row.get(0)))?
        };
        if let Some(Ok(record)) = record.map(|bytes| encoding::decode::<CallRecord>(&bytes)) {
            for offered in facts::offers(&record) {
                transaction
                    .prepare_cached(
                        "DELETE FROM offered WHERE company = ?1 AND extension = ?2 AND started = ?3 AND call = ?4",
                    )?
                    .execute(params![
                        record.company.as_ref().map(|company| company.as_str()),
                        offered.extension,
                        record.started_at.unix_millis(),
                        call
                    ])?;
            }
        }
        transaction.prepare_cached("DELETE FROM calls WHERE call = ?1")?.execute([call])?;
        transaction.prepare_cached("DELETE FROM records WHERE call = ?1")?.execute([call])?;
    }
    let taken = u32::try_from(old.len()).unwrap_or(u32::MAX);
    if taken < most {
        for table in ["quarter_missed", "quarter_departments", "quarter_agents", "quarter_skips", "quarter_calls"] {
            // By the company first, as the tables are sorted; the one that names the companies last.
            transaction.execute(
                &format!(
                    "DELETE FROM {table} WHERE quarter < ?1 AND company IN (SELECT DISTINCT company FROM quarter_calls)"
                ),
                [before.div_euclid(QUARTER)],
            )?;
        }
    }
    transaction.commit()?;
    Ok(taken)
}
