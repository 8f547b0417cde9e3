//! The call log's tables: version 2 of the store's.

/// `calls` is what listings and searches look at; a call's whole record stays in `records`. The `quarter_…` tables are sums by
/// quarter of an hour, so that a report on any company's clock adds up thousands of rows and not millions of calls: every zone
/// is a whole number of quarters from UTC. Times are milliseconds since 1970, quarters are such divided by 900,000.
pub(in crate::state) const LOG: &str = "
CREATE TABLE calls (
    call INTEGER PRIMARY KEY, company TEXT, started INTEGER NOT NULL, answered INTEGER, ended INTEGER NOT NULL,
    number TEXT NOT NULL, caller TEXT NOT NULL, trunk TEXT, from_user TEXT, sip_call_id TEXT NOT NULL,
    route TEXT, place TEXT, answered_by TEXT NOT NULL, outcome TEXT NOT NULL, ended_by TEXT NOT NULL,
    status INTEGER NOT NULL, missed INTEGER NOT NULL
) STRICT;
CREATE INDEX calls_by_time ON calls (started, call);
CREATE INDEX calls_by_company ON calls (company, started, call);
CREATE INDEX calls_missed ON calls (company, started, call) WHERE missed = 1;
CREATE INDEX calls_by_caller ON calls (caller, started, call);
CREATE INDEX calls_by_sip ON calls (sip_call_id);
CREATE TABLE offered (
    company TEXT NOT NULL, extension TEXT NOT NULL, started INTEGER NOT NULL, call INTEGER NOT NULL,
    PRIMARY KEY (company, extension, started, call)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarter_calls (
    company TEXT NOT NULL, quarter INTEGER NOT NULL,
    inside INTEGER NOT NULL, answered INTEGER NOT NULL, missed INTEGER NOT NULL, declined INTEGER NOT NULL,
    in_time INTEGER NOT NULL, answer_wait INTEGER NOT NULL, missed_wait INTEGER NOT NULL, longest_wait INTEGER NOT NULL,
    talk INTEGER NOT NULL, PRIMARY KEY (company, quarter)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarter_missed (
    company TEXT NOT NULL, quarter INTEGER NOT NULL, cause TEXT NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (company, quarter, cause)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarter_departments (
    company TEXT NOT NULL, quarter INTEGER NOT NULL, department TEXT NOT NULL,
    calls INTEGER NOT NULL, answered INTEGER NOT NULL, in_line INTEGER NOT NULL, line_wait INTEGER NOT NULL,
    PRIMARY KEY (company, quarter, department)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarter_agents (
    company TEXT NOT NULL, quarter INTEGER NOT NULL, extension TEXT NOT NULL,
    offered INTEGER NOT NULL, answered INTEGER NOT NULL, no_answer INTEGER NOT NULL, refused INTEGER NOT NULL,
    failed INTEGER NOT NULL, withdrawn INTEGER NOT NULL, ring INTEGER NOT NULL, talk INTEGER NOT NULL,
    PRIMARY KEY (company, quarter, extension)
) STRICT, WITHOUT ROWID;
CREATE TABLE quarter_skips (
    company TEXT NOT NULL, quarter INTEGER NOT NULL, extension TEXT NOT NULL, reason TEXT NOT NULL, times INTEGER NOT NULL,
    PRIMARY KEY (company, quarter, extension, reason)
) STRICT, WITHOUT ROWID;
";

/// Milliseconds of a quarter of an hour.
pub(in crate::state) const QUARTER: i64 = 900_000;
