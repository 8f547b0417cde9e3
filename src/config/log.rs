//! `[log]`: how much is logged, and how a line looks. What is given on the command line outranks it.

use super::tree::{Findings, Table};
use super::words;

/// `[log]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// `level`, default `info`.
    pub level: LogLevel,
    /// `format`, default `text`.
    pub format: LogFormat,
}

/// The least severe that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// What somebody must look at now.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And each event of each call, without anybody's number or address.
    #[default]
    Info,
    /// And numbers, names and addresses.
    Debug,
    /// And whatever else there is.
    Trace,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogLevel {
    /// As it is written: `info`.
    pub fn as_str(self) -> &'static str {
        LEVELS.into_iter().find(|(_, level)| *level == self).map_or("info", |(name, _)| name)
    }
}

impl LogFormat {
    /// As it is written: `text`.
    pub fn as_str(self) -> &'static str {
        FORMATS.into_iter().find(|(_, format)| *format == self).map_or("text", |(name, _)| name)
    }
}

const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Reads it out of the root of `switchboard.toml`.
pub(super) fn read(root: &Table<'_>, findings: &mut Findings) -> Log {
    let table = root.table("log", findings);
    table.allow(&["level", "format"], findings);
    let level = table
        .value("level")
        .and_then(|value| value.read(findings, |text| words::one(text, "level of the log", &LEVELS)));
    let format = table
        .value("format")
        .and_then(|value| value.read(findings, |text| words::one(text, "format of the log", &FORMATS)));
    Log { level: level.unwrap_or_default(), format: format.unwrap_or_default() }
}
