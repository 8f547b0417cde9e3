//! From changes to the tables, in one transaction.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;

use crate::state::change::{Change, Number};
use crate::state::record::CallRecord;
use crate::state::{encoding, log};

/// The most callers one department remembers, as in `routing`'s memory; those heard of longest ago go first.
const CALLERS: u32 = 10_000;

/// Writes the changes behind `last`, which are in order; the last one's number.
pub(super) fn write(
    connection: &mut Connection,
    callers: &mut HashMap<(String, String), u32>,
    last: Number,
    changes: &[(Number, Change)],
) -> rusqlite::Result<Number> {
    let Some((newest, _)) = changes.last().filter(|(number, _)| *number > last) else { return Ok(last) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (number, change) in changes.iter().filter(|(number, _)| *number > last) {
        apply(&transaction, callers, *number, change)?;
    }
    (transaction.prepare_cached("UPDATE store SET last = ?1")?).execute([newest.0.cast_signed()])?;
    transaction.commit()?;
    Ok(*newest)
}

fn apply(
    transaction: &Transaction<'_>,
    callers: &mut HashMap<(String, String), u32>,
    number: Number,
    change: &Change,
) -> rusqlite::Result<()> {
    let run = |query: &str| -> rusqlite::Result<CachedStatement<'_>> { transaction.prepare_cached(query) };
    match change {
        Change::Bindings { user, bindings } if bindings.is_empty() => {
            run("DELETE FROM bindings WHERE company = ?1 AND extension = ?2")?
                .execute([user.company.as_str(), user.extension.as_str()])?;
        }
        Change::Bindings { user, bindings } => {
            if let Some(value) = value(bindings, number) {
                run("INSERT OR REPLACE INTO bindings VALUES (?1, ?2, ?3)")?.execute(params![
                    user.company.as_str(),
                    user.extension.as_str(),
                    value
                ])?;
            }
        }
        Change::Switches { user, takes_calls: None, paused: false } => {
            run("DELETE FROM switches WHERE company = ?1 AND extension = ?2")?
                .execute([user.company.as_str(), user.extension.as_str()])?;
        }
        Change::Switches { user, takes_calls, paused } => {
            run("INSERT OR REPLACE INTO switches VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                user.company.as_str(),
                user.extension.as_str(),
                takes_calls,
                paused
            ])?;
        }
        Change::Claim { person, claim: None } => {
            run("DELETE FROM claims WHERE person = ?1")?.execute([person.as_str()])?;
        }
        Change::Claim { person, claim: Some(claim) } => {
            if let Some(value) = value(claim, number) {
                run("INSERT OR REPLACE INTO claims VALUES (?1, ?2)")?.execute(params![person.as_str(), value])?;
            }
        }
        Change::Pointer { company, department, last_offered: None } => {
            run("DELETE FROM pointers WHERE company = ?1 AND department = ?2")?
                .execute([company.as_str(), department.as_str()])?;
        }
        Change::Pointer { company, department, last_offered: Some(extension) } => {
            run("INSERT OR REPLACE INTO pointers VALUES (?1, ?2, ?3)")?.execute([
                company.as_str(),
                department.as_str(),
                extension.as_str(),
            ])?;
        }
        Change::Member { company, department, extension, day, calls, last_call } => {
            run("INSERT OR REPLACE INTO members VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
                company.as_str(),
                department.as_str(),
                extension.as_str(),
                day.to_string(),
                calls,
                last_call.unix_millis()
            ])?;
        }
        Change::Caller { company, department, caller, extension, at } => {
            let place = [company.as_str(), department.as_str(), caller.as_str()];
            let heard =
                params![place[0], place[1], place[2], extension.as_str(), at.unix_millis(), number.0.cast_signed()];
            let known = run("UPDATE callers SET extension = ?4, at = ?5, heard = ?6 WHERE company = ?1 AND department = ?2 AND caller = ?3")?
                .execute(heard)?;
            if known == 0 {
                run("INSERT INTO callers VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(heard)?;
                forget_callers(transaction, callers, company.as_str(), department.as_str())?;
            }
        }
        Change::Call(call) => {
            if let Some(value) = value(call, number) {
                run("INSERT OR REPLACE INTO running VALUES (?1, ?2)")?
                    .execute(params![call.call.0.cast_signed(), value])?;
            }
        }
        Change::Over(record) => {
            keep_record(transaction, record, number)?;
            run("DELETE FROM running WHERE call = ?1")?.execute([record.call.0.cast_signed()])?;
        }
    }
    Ok(())
}

/// One more caller is remembered; the oldest go where that is too many.
fn forget_callers(
    transaction: &Transaction<'_>,
    callers: &mut HashMap<(String, String), u32>,
    company: &str,
    department: &str,
) -> rusqlite::Result<()> {
    let count = match callers.entry((company.to_owned(), department.to_owned())) {
        std::collections::hash_map::Entry::Occupied(known) => {
            let count = known.into_mut();
            *count += 1;
            count
        }
        std::collections::hash_map::Entry::Vacant(unknown) => {
            let query = "SELECT count(*) FROM callers WHERE company = ?1 AND department = ?2";
            unknown.insert(transaction.query_row(query, [company, department], |row| row.get(0))?)
        }
    };
    while *count > CALLERS {
        let oldest: Option<String> = transaction
            .prepare_cached("SELECT caller FROM callers WHERE company = ?1 AND department = ?2 ORDER BY heard LIMIT 1")?
            .query_row([company, department], |row| row.get(0))
            .optional()?;
        let Some(oldest) = oldest else { break };
        (transaction.prepare_cached("DELETE FROM callers WHERE company = ?1 AND department = ?2 AND caller = ?3")?)
            .execute([company, department, &oldest])?;
        *count -= 1;
    }
    Ok(())
}

/// A call's record, once: a second one of the same call changes nothing.
fn keep_record(transaction: &Transaction<'_>, record: &CallRecord, number: Number) -> rusqlite::Result<()> {
    let Some(value) = value(record, number) else { return Ok(()) };
    let first = (transaction.prepare_cached("INSERT OR IGNORE INTO records VALUES (?1, ?2)")?)
        .execute(params![record.call.0.cast_signed(), value])?;
    if first > 0 {
        log::add(transaction, record)?;
    }
    Ok(())
}

/// A value's bytes. One that has none is a defect of ours: that change is lost, not those after it.
fn value(value: &impl Serialize, number: Number) -> Option<Vec<u8>> {
    match encoding::encode(value) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::error!("defect: change {} cannot be stored: {error}", number.0);
            None
        }
    }
}
