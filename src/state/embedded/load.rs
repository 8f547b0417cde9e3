//! From the tables to what is given to the engine at its start.

use std::path::Path;

use chrono::NaiveDate;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, TransactionBehavior};
use serde::de::DeserializeOwned;

use crate::id::{CompanyId, DepartmentId, Extension, PersonId, UserId};
use crate::state::change::Number;
use crate::state::encoding;
use crate::state::fault::StoreError;
use crate::state::frame::Identity;
use crate::state::saved::Saved;
use crate::time::WallTime;

/// Who the store is, and the last change in it.
pub(super) fn identity(connection: &Connection, path: &Path) -> Result<(Identity, Number), StoreError> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
    match connection.query_row("SELECT identity, last FROM store", [], read) {
        Ok((identity, last)) => {
            let last = count(last).map_err(|why| StoreError::damaged(path, format!("its last change has {why}")))?;
            Ok((identity, Number(last)))
        }
        Err(error @ (rusqlite::Error::QueryReturnedNoRows | rusqlite::Error::FromSqlConversionFailure(..))) => {
            Err(StoreError::damaged(path, format!("it does not say who it is: {error}")))
        }
        Err(error) => Err(StoreError::of_sqlite(path, &error)),
    }
}

/// Counts the start and loads everything.
pub(super) fn begin(connection: &mut Connection, path: &Path) -> Result<Saved, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::of_sqlite(path, &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    transaction.execute("UPDATE store SET starts = starts + 1", []).map_err(failed)?;
    let saved = load(&transaction, path)?;
    transaction.commit().map_err(failed)?;
    Ok(saved)
}

fn load(connection: &Connection, path: &Path) -> Result<Saved, StoreError> {
    let table = Reading { connection, path };
    let mut counts = table.rows("SELECT starts, last FROM store", |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    let (start, last) = counts.pop().ok_or_else(|| StoreError::damaged(path, "it does not say who it is"))?;
    Ok(Saved {
        start,
        last: Number(last),
        bindings: table.rows("SELECT company, extension, value FROM bindings ORDER BY 1, 2", |row| {
            Ok((user(row)?, value(row, 2)?))
        })?,
        switches: table.rows("SELECT company, extension, takes_calls, paused FROM switches ORDER BY 1, 2", |row| {
            Ok((user(row)?, cell(row, 2)?, cell(row, 3)?))
        })?,
        claims: table.rows("SELECT person, value FROM claims ORDER BY 1", |row| {
            Ok((PersonId::new(text(row, 0)?), value(row, 1)?))
        })?,
        pointers: table.rows("SELECT company, department, extension FROM pointers ORDER BY 1, 2", |row| {
            Ok((CompanyId::new(text(row, 0)?), DepartmentId::new(text(row, 1)?), Extension::new(text(row, 2)?)))
        })?,
        members: table.rows(
            "SELECT company, department, extension, day, calls, last_call FROM members ORDER BY 1, 2, 3",
            |row| {
                let day: NaiveDate = text(row, 3)?.parse().map_err(|_| "a day that is none".to_owned())?;
                Ok((
                    CompanyId::new(text(row, 0)?),
                    DepartmentId::new(text(row, 1)?),
                    Extension::new(text(row, 2)?),
                    day,
                    cell(row, 4)?,
                    wall(row, 5)?,
                ))
            },
        )?,
        callers: table.rows(
            "SELECT company, department, caller, extension, at FROM callers ORDER BY 1, 2, heard",
            |row| {
                let caller = text(row, 2)?.to_owned();
                Ok((
                    CompanyId::new(text(row, 0)?),
                    DepartmentId::new(text(row, 1)?),
                    caller,
                    Extension::new(text(row, 3)?),
                    wall(row, 4)?,
                ))
            },
        )?,
        calls: table.rows("SELECT value FROM running ORDER BY call", |row| value(row, 0))?,
    })
}

struct Reading<'a> {
    connection: &'a Connection,
    path: &'a Path,
}

impl Reading<'_> {
    /// All rows of a query. What cannot be understood is damage, in words.
    fn rows<T>(&self, query: &str, read: impl Fn(&Row<'_>) -> Result<T, String>) -> Result<Vec<T>, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::of_sqlite(self.path, &error);
        let mut statement = self.connection.prepare(query).map_err(failed)?;
        let (mut rows, mut all) = (statement.query([]).map_err(failed)?, Vec::new());
        while let Some(row) = rows.next().map_err(failed)? {
            all.push(read(row).map_err(|why| StoreError::damaged(self.path, format!("`{query}` gave {why}")))?);
        }
        Ok(all)
    }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, String> {
    row.get_ref(column).map_err(|error| error.to_string())?.as_str().map_err(|error| error.to_string())
}

fn cell<T: FromSql>(row: &Row<'_>, column: usize) -> Result<T, String> {
    row.get(column).map_err(|error| error.to_string())
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, String> {
    count(cell(row, column)?)
}

/// What was counted: never below zero, and never as far as it could be written.
fn count(written: i64) -> Result<u64, String> {
    match u64::try_from(written) {
        Ok(count) if written < i64::MAX => Ok(count),
        Ok(_) | Err(_) => Err(format!("the number {written}, which none of ours has")),
    }
}

fn wall(row: &Row<'_>, column: usize) -> Result<WallTime, String> {
    cell(row, column).map(WallTime::from_unix_millis)
}

fn value<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, String> {
    let bytes = row.get_ref(column).map_err(|error| error.to_string())?;
    encoding::decode(bytes.as_blob().map_err(|error| error.to_string())?)
}

fn user(row: &Row<'_>) -> Result<UserId, String> {
    Ok(UserId { company: CompanyId::new(text(row, 0)?), extension: Extension::new(text(row, 1)?) })
}
