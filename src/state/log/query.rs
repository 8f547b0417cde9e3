//! Searches: the newest calls first, a page at a time.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::ToSql;
use rusqlite::{Row, params_from_iter};
use serde::{Deserialize, Serialize};

use super::CallLog;
use crate::id::{CallRef, CompanyId, UserId};
use crate::state::fault::StoreError;
use crate::time::WallTime;

/// Whose calls are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Companies {
    /// Everybody's, and nobody's.
    #[default]
    All,
    /// Those companies'.
    These(Vec<CompanyId>),
}

/// Which calls are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Every call.
    #[default]
    All,
    /// Missed ones, as `facts` defines them.
    Missed,
    /// Answered ones.
    Answered,
}

/// What is looked for; everything said has to hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Whose calls.
    pub companies: Companies,
    /// That began at that time or later.
    pub since: Option<WallTime>,
    /// That began before.
    pub until: Option<WallTime>,
    /// Missed, answered, all.
    pub which: Which,
    /// The number or extension that was called, as records have it (E.164).
    pub number: Option<String>,
    /// Who called, likewise.
    pub caller: Option<String>,
    /// A user who called, or was offered the call.
    pub user: Option<UserId>,
    /// The trunk it came by.
    pub trunk: Option<String>,
    /// What became of it: a name of [`super::outcome`].
    pub outcome: Option<String>,
    /// The caller's Call-ID.
    pub sip_call_id: Option<String>,
    /// At most so many; 0 is [`Filter::DEFAULT_LIMIT`], and never more than [`Filter::HIGHEST_LIMIT`].
    pub limit: u32,
    /// Those behind that place of an earlier page.
    pub after: Option<Cursor>,
}

impl Filter {
    /// A page, where nothing is said.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// The longest page.
    pub const HIGHEST_LIMIT: u32 = 10_000;
}

/// A place in a list of calls. Written `1795323660000.17`; to clients it is just text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    started: i64,
    call: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.started, self.call)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Cursor, ()> {
        let (started, call) = text.split_once('.').ok_or(())?;
        Ok(Cursor { started: started.parse().map_err(|_| ())?, call: call.parse().map_err(|_| ())? })
    }
}

/// Calls, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The calls.
    pub calls: Vec<CallRow>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<Cursor>,
}

/// A call as listings show it; times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CallRow {
    /// Its name: `c17`.
    pub call: String,
    /// Whose it was.
    pub company: Option<String>,
    /// When it arrived.
    pub started_at: i64,
    /// When it was answered.
    pub answered_at: Option<i64>,
    /// When it ended.
    pub ended_at: i64,
    /// The number or extension that was called.
    pub number: String,
    /// Who called.
    pub caller: String,
    /// The trunk it came by.
    pub trunk: Option<String>,
    /// The user of ours who called.
    pub from_user: Option<String>,
    /// What the caller's side knows it by.
    pub sip_call_id: String,
    /// The route taken: `department:sales`.
    pub route: Option<String>,
    /// The last place it was in: a department, an extension, an outside number.
    pub place: Option<String>,
    /// Who answered.
    pub answered_by: Vec<String>,
    /// `answered`, `cancelled`, `cut-off`, or why it was refused.
    pub outcome: String,
    /// How it ended, and by whom.
    pub ended_by: String,
    /// The final status sent to the caller.
    pub status: u16,
    /// Whether it counts as missed.
    pub missed: bool,
}

const COLUMNS: &str =
    "c.call, c.company, c.started, c.answered, c.ended, c.number, c.caller, c.trunk, c.from_user, c.sip_call_id,
     c.route, c.place, c.answered_by, c.outcome, c.ended_by, c.status, c.missed";

impl CallLog {
    /// A page of what the filter lets through.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn query(&self, filter: &Filter) -> Result<Page, StoreError> {
        let limit = match filter.limit {
            0 => Filter::DEFAULT_LIMIT,
            most => most.min(Filter::HIGHEST_LIMIT),
        };
        let mut search = Search::default();
        search.filter(filter);
        let text = search.text(limit + 1);
        let mut calls = self.rows(&text, &search.values).map_err(|error| self.failed(&error))?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = calls.len() > wanted;
        calls.truncate(wanted);
        let next = calls.last().filter(|_| more).map(|(cursor, _)| *cursor);
        Ok(Page { calls: calls.into_iter().map(|(_, row)| row).collect(), next })
    }

    fn rows(&self, text: &str, values: &[Box<dyn ToSql>]) -> rusqlite::Result<Vec<(Cursor, CallRow)>> {
        let mut statement = self.connection.prepare_cached(text)?;
        statement.query_map(params_from_iter(values), row)?.collect()
    }

    /// Whether the log has any call of that company.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn knows(&self, company: &CompanyId) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM calls WHERE company = ?1)";
        self.connection.query_row(query, [company.as_str()], |row| row.get(0)).map_err(|error| self.failed(&error))
    }
}

/// A query that grows.
#[derive(Default)]
struct Search {
    joined: &'static str,
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
    /// The column that says when: that of the table that leads.
    started: Option<&'static str>,
}

impl Search {
    /// A value, and how the query names it.
    fn value(&mut self, value: impl ToSql + 'static) -> String {
        self.values.push(Box::new(value));
        format!("?{}", self.values.len())
    }

    fn equal(&mut self, column: &str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            let value = self.value(value);
            self.conditions.push(format!("{column} = {value}"));
        }
    }

    fn filter(&mut self, filter: &Filter) {
        match &filter.companies {
            Companies::All => {}
            Companies::These(companies) => {
                let names: Vec<String> =
                    companies.iter().map(|company| self.value(company.as_str().to_owned())).collect();
                self.conditions.push(match names.as_slice() {
                    [one] => format!("c.company = {one}"),
                    names => format!("c.company IN ({})", names.join(", ")),
                });
            }
        }
        let started = match &filter.user {
            None => "c.started",
            Some(user) => {
                self.user(user);
                "w.started"
            }
        };
        self.started = Some(started);
        if let Some(since) = filter.since {
            let since = self.value(since.unix_millis());
            self.conditions.push(format!("{started} >= {since}"));
        }
        if let Some(until) = filter.until {
            let until = self.value(until.unix_millis());
            self.conditions.push(format!("{started} < {until}"));
        }
        match filter.which {
            Which::All => {}
            // Literally, so that the index of missed calls is used.
            Which::Missed => self.conditions.push("c.missed = 1".to_owned()),
            Which::Answered => self.conditions.push("c.answered IS NOT NULL".to_owned()),
        }
        self.equal("c.number", filter.number.clone());
        self.equal("c.caller", filter.caller.clone());
        self.equal("c.trunk", filter.trunk.clone());
        self.equal("c.outcome", filter.outcome.clone());
        self.equal("c.sip_call_id", filter.sip_call_id.clone());
        if let Some(after) = filter.after {
            let (at, call) = (self.value(after.started), self.value(after.call));
            self.conditions.push(format!("({started}, c.call) < ({at}, {call})"));
        }
    }

    /// Calls that were offered to the user, and those the user made.
    fn user(&mut self, user: &UserId) {
        let (company, extension) =
            (self.value(user.company.as_str().to_owned()), self.value(user.extension.as_str().to_owned()));
        let named = self.value(user.to_string());
        self.joined = "JOIN w ON w.call = c.call";
        self.conditions.insert(
            0,
            format!(
                "WITH w AS (SELECT call, started FROM offered WHERE company = {company} AND extension = {extension} \
                 UNION SELECT call, started FROM calls WHERE from_user = {named})"
            ),
        );
    }

    fn text(&self, limit: u32) -> String {
        let (with, conditions) = match self.conditions.split_first() {
            Some((first, rest)) if first.starts_with("WITH ") => (first.as_str(), rest),
            _ => ("", self.conditions.as_slice()),
        };
        let joined = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        let started = self.started.unwrap_or("c.started");
        format!(
            "{with} SELECT {COLUMNS} FROM calls c {} {joined} ORDER BY {started} DESC, c.call DESC LIMIT {limit}",
            self.joined
        )
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<(Cursor, CallRow)> {
    let call: i64 = row.get(0)?;
    let started_at = row.get(2)?;
    let answered_by: String = row.get(12)?;
    let shown = CallRow {
        call: CallRef(call.cast_unsigned()).to_string(),
        company: row.get(1)?,
        started_at,
        answered_at: row.get(3)?,
        ended_at: row.get(4)?,
        number: row.get(5)?,
        caller: row.get(6)?,
        trunk: row.get(7)?,
        from_user: row.get(8)?,
        sip_call_id: row.get(9)?,
        route: row.get(10)?,
        place: row.get(11)?,
        answered_by: answered_by.split_whitespace().map(str::to_owned).collect(),
        outcome: row.get(13)?,
        ended_by: row.get(14)?,
        status: row.get(15)?,
        missed: row.get(16)?,
    };
    Ok((Cursor { started: started_at, call }, shown))
}
