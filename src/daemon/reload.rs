//! What came of loading the configuration again: adopted whole or refused whole.

use serde::{Deserialize, Serialize};

use super::listeners::ListenError;
use crate::config::{Problems, counted};

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ReloadOutcome {
    /// The new version serves.
    Adopted {
        /// Milliseconds since 1970.
        at: i64,
        /// In words: `+2 users, −1 number, sales: ring 25s → 20s`.
        changes: String,
        /// What can be served and is probably not meant.
        #[serde(default)]
        warnings: Warnings,
    },
    /// The old version serves on.
    Refused {
        /// Milliseconds since 1970.
        at: i64,
        /// How many problems stand in the way.
        count: usize,
        /// All of them, for people, without colour.
        text: String,
        /// All of them, for programs: a list as `switchboard check --json` prints it; empty where the files are not to blame.
        problems: serde_json::Value,
    },
}

/// The warnings of a configuration that serves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Warnings {
    /// How many.
    pub count: usize,
    /// All of them, for people, without colour.
    pub text: String,
    /// All of them, for programs: a list as `switchboard check --json` prints it; null where there are none.
    pub problems: serde_json::Value,
}

impl Warnings {
    /// Those of a configuration that was loaded.
    pub(super) fn of(problems: &Problems) -> Warnings {
        if problems.is_empty() {
            return Warnings::default();
        }
        Warnings {
            count: problems.warnings(),
            text: problems.render(false),
            problems: serde_json::to_value(problems).unwrap_or_default(),
        }
    }

    /// The log's lines, if there are any.
    pub(super) fn log(&self) {
        if self.count > 0 {
            let warnings = counted(self.count, "warning", "warnings");
            tracing::warn!("the configuration has {warnings}; `switchboard check` tells them");
            let places = places(&self.problems);
            for place in places.iter().take(WARNINGS) {
                tracing::warn!("{place}");
            }
            if places.len() > WARNINGS {
                tracing::warn!("and {} more", places.len() - WARNINGS);
            }
            tracing::debug!("{}", self.text);
        }
    }
}

impl ReloadOutcome {
    /// The files have problems.
    pub(super) fn problems(at: i64, problems: &Problems) -> ReloadOutcome {
        ReloadOutcome::Refused {
            at,
            count: problems.errors(),
            text: problems.render(false),
            problems: serde_json::to_value(problems).unwrap_or_default(),
        }
    }

    /// The sockets cannot be had.
    pub(super) fn no_socket(at: i64, error: &ListenError) -> ReloadOutcome {
        ReloadOutcome::failed(at, error.to_string())
    }

    /// Something else stands in the way.
    pub(super) fn failed(at: i64, why: String) -> ReloadOutcome {
        ReloadOutcome::Refused { at, count: 1, text: why, problems: serde_json::Value::Array(Vec::new()) }
    }

    /// Whether the new version serves.
    pub fn is_adopted(&self) -> bool {
        match self {
            ReloadOutcome::Adopted { .. } => true,
            ReloadOutcome::Refused { .. } => false,
        }
    }

    /// Milliseconds since 1970: when it was tried.
    pub fn at(&self) -> i64 {
        match self {
            ReloadOutcome::Adopted { at, .. } | ReloadOutcome::Refused { at, .. } => *at,
        }
    }

    /// The log's line or lines.
    pub(super) fn log(&self) {
        match self {
            ReloadOutcome::Adopted { changes, warnings, .. } => {
                tracing::info!("configuration adopted: {changes}");
                warnings.log();
            }
            ReloadOutcome::Refused { count, text, problems, .. } => {
                let counted = counted(*count, "problem", "problems");
                let places = places(problems);
                if places.is_empty() {
                    // The files are not to blame: these are words of ours.
                    tracing::error!("configuration refused, the old one serves on: {text}");
                    return;
                }
                tracing::error!(
                    "configuration refused, the old one serves on ({counted}); `switchboard status` and `switchboard check` tell what"
                );
                for place in places.iter().filter(|place| place.starts_with("error")) {
                    tracing::error!("{place}");
                }
                tracing::debug!("{text}");
            }
        }
    }
}

/// Where each problem is: `error at companies/acme.toml:47:15, departments.sales.ring`. What it says, and the line it shows, may hold a
/// person's name or number: the log has those at debug only, whoever asks has them at once.
/// The most warnings that the log names one by one: there may be one a user.
const WARNINGS: usize = 20;

fn places(problems: &serde_json::Value) -> Vec<String> {
    let place = |problem: &serde_json::Value| {
        let text = |name: &str| problem.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| problem.get(name).and_then(serde_json::Value::as_u64);
        let mut place = format!("{} at {}", text("severity"), text("file"));
        for number in [number("line"), number("column")].into_iter().flatten() {
            place.push_str(&format!(":{number}"));
        }
        let key = text("key");
        if key.is_empty() { place } else { format!("{place}, {key}") }
    };
    problems.as_array().map(|list| list.iter().map(place).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_travel_as_json() {
        let refused = ReloadOutcome::failed(1_700_000_000_000, "the address is in use".into());
        let adopted = ReloadOutcome::Adopted { at: 7, changes: "+2 users".into(), warnings: Warnings::default() };
        for outcome in [refused, adopted] {
            let line = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<ReloadOutcome>(&line).unwrap(), outcome, "{line}");
        }
    }

    #[test]
    fn the_log_tells_where_a_problem_is_and_not_what_stands_there() {
        let files = [
            ("switchboard.toml".into(), b"[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n".to_vec()),
            (
                "companies/acme.toml".into(),
                b"name = \"Acme\"\n[users.221]\nname = \"Asha\"\nmobile = \"+9198x\"\n".to_vec(),
            ),
        ];
        let problems = crate::config::load_texts(&files).unwrap_err();
        let told = places(&serde_json::to_value(&problems).unwrap()).join("\n");
        assert!(told.contains("error at companies/acme.toml:4:10, users.221.mobile"), "{told}");
        assert!(problems.render(false).contains("9198x") && !told.contains("9198x"), "{told}");
    }

    #[test]
    fn a_refusal_for_sockets_names_the_address_and_no_file() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = ListenError::Bind(vec![super::super::udp::bind(address).unwrap_err()]);
        let outcome = ReloadOutcome::no_socket(3, &error);
        let ReloadOutcome::Refused { count: 1, text, problems, at: 3 } = &outcome else { panic!("{outcome:?}") };
        assert!(text.contains(&address.to_string()), "{text}");
        assert_eq!(problems.as_array().map(Vec::len), Some(0));
        assert!(!outcome.is_adopted());
    }
}
