//! What an admin can ask of the running engine, and what it answers. The values travel as JSON over the control socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::routing::DecisionRecord;

/// Names the reply to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(pub u64);

/// A command. Users are written `EXT@COMPANY`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// How the daemon is.
    Status,
    /// Calls going on.
    Calls,
    /// Users, and whether each could be rung now.
    Agents,
    /// One of them.
    Agent {
        /// Whom.
        user: String,
    },
    /// Live bindings.
    Registrations,
    /// Calls that wait.
    Queue,
    /// The user's own switch.
    TakeCalls {
        /// Whose.
        user: String,
        /// On or off.
        takes: bool,
    },
    /// An admin stops a user from being rung.
    Pause {
        /// Whom.
        user: String,
    },
    /// The contrary.
    Resume {
        /// Whom.
        user: String,
    },
    /// Who would ring.
    Explain(Question),
    /// Whether there is such a company.
    Company {
        /// Its id or SIP domain.
        name: String,
    },
    /// No new calls from now on; running ones are kept. The daemon ends when `Status::calls` is 0 or its patience is over.
    Drain,
}

/// What `switchboard explain` asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Question {
    /// The called number, in any form the trunk writes, or `EXT@COMPANY`.
    pub to: String,
    /// The caller: `EXT@COMPANY` for a user of ours, else a number as the trunk writes it; absent = anonymous.
    pub from: Option<String>,
    /// The trunk whose dial rules read both; absent = any, where all that know the number read it alike.
    pub trunk: Option<String>,
    /// RFC 3339, or `2026-11-22 10:00` on the company's clock; absent = now.
    pub at: Option<String>,
    /// Persons taken as on a call.
    pub busy: Vec<String>,
    /// Users (`EXT@COMPANY`) taken as away.
    pub away: Vec<String>,
    /// A user (`EXT@COMPANY`) of whom to say in one sentence whether it rings, and why not.
    pub user: Option<String>,
}

/// The answer to a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", content = "value", rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Command::Status`].
    Status(Box<Status>),
    /// To [`Command::Calls`], oldest first.
    Calls(Vec<CallView>),
    /// To [`Command::Agents`], by company and extension; to [`Command::Agent`], that one.
    Agents(Vec<AgentView>),
    /// To [`Command::Registrations`], by company and extension.
    Registrations(Vec<RegistrationView>),
    /// To [`Command::Queue`], in the order they will be served.
    Queue(Vec<QueueView>),
    /// To [`Command::Explain`].
    Explained(Box<DecisionRecord>),
    /// Done; what changed, in words.
    Done(String),
    /// To [`Command::Company`]: its id.
    Company(String),
    /// Not done, and why.
    Refused(Refusal),
}

/// Why something is not done. Its JSON is the words alone; the protocol writes the kind beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Refusal {
    /// Whose fault it is.
    pub kind: WhyNot,
    /// In words.
    pub why: String,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyNot {
    /// It was understood, and the answer is no.
    #[default]
    No,
    /// It makes no sense: it names what does not exist, or what cannot be read.
    WrongQuestion,
}

impl Refusal {
    /// The question was wrong, and how.
    pub fn wrong_question(why: impl Into<String>) -> Refusal {
        Refusal { kind: WhyNot::WrongQuestion, why: why.into() }
    }
}

impl From<String> for Refusal {
    /// The answer is no, and why.
    fn from(why: String) -> Refusal {
        Refusal { kind: WhyNot::No, why }
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Refusal {
        Refusal::from(why.to_owned())
    }
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> String {
        refusal.why
    }
}

/// How the daemon is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Milliseconds since 1970: when it started.
    pub started_at: i64,
    /// Milliseconds since 1970: when the running configuration was adopted.
    pub configured_at: i64,
    /// Whether it takes no new calls.
    pub draining: bool,
    /// Calls going on (ringing, waiting, talking, ending).
    pub calls: usize,
    /// Of these, answered.
    pub talking: usize,
    /// Of these, waiting in line.
    pub waiting: usize,
    /// Live bindings.
    pub registrations: usize,
    /// Configured companies.
    pub companies: usize,
    /// Configured numbers.
    pub numbers: usize,
    /// Configured users.
    pub users: usize,
    /// Transactions in any state.
    pub transactions: usize,
    /// Claims held (wrap-ups not counted).
    pub claims: usize,
    /// Armed timers.
    pub timers: usize,
    /// Trunks by name.
    pub trunks: BTreeMap<String, TrunkView>,
    /// Counters by name: datagrams in and out, faults by their name, refusals by theirs.
    pub counters: BTreeMap<String, u64>,
}

/// A trunk now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrunkView {
    /// Calls in both directions.
    pub calls: u32,
    /// Where its proxy is; empty where there is none or its name has no address.
    pub proxy: Vec<String>,
}

/// A call now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CallView {
    /// `c17`
    pub call: String,
    /// The company called (or calling, between extensions).
    pub company: String,
    /// The company's zone, for local times.
    pub timezone: String,
    /// What was called.
    pub number: String,
    /// Who called.
    pub caller: String,
    /// By which trunk; absent for a user's call.
    pub trunk: Option<String>,
    /// `ringing`, `waiting`, `talking` or `ending`.
    pub state: String,
    /// Milliseconds since 1970: when it arrived.
    pub started_at: i64,
    /// Milliseconds since 1970: when it was answered.
    pub answered_at: Option<i64>,
    /// The department (or user) it is in.
    pub place: Option<String>,
    /// Extensions ringing or talking, and outside numbers.
    pub with: Vec<String>,
}

/// A user now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AgentView {
    /// The company.
    pub company: String,
    /// The company's zone.
    pub timezone: String,
    /// The extension.
    pub extension: String,
    /// The name for people.
    pub name: String,
    /// Who is behind it.
    pub person: String,
    /// `free`, or the skip reason that holds: `away`, `on-call` …
    pub state: String,
    /// The evidence for it: `at globex since 10:31 IST`.
    pub evidence: Option<String>,
    /// The user's own switch.
    pub takes_calls: bool,
    /// Paused by an admin.
    pub paused: bool,
    /// Registered devices.
    pub devices: usize,
    /// Departments it is a member of.
    pub departments: Vec<String>,
}

/// A live binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RegistrationView {
    /// The company.
    pub company: String,
    /// The extension.
    pub extension: String,
    /// The Contact URI.
    pub contact: String,
    /// Where its requests are sent.
    pub target: String,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// Milliseconds since 1970.
    pub registered_at: i64,
    /// What the phone says it is.
    pub user_agent: Option<String>,
}

/// A call that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct QueueView {
    /// The company.
    pub company: String,
    /// The company's zone.
    pub timezone: String,
    /// The department.
    pub department: String,
    /// `c17`
    pub call: String,
    /// Who calls.
    pub caller: String,
    /// Milliseconds since 1970.
    pub waiting_since: i64,
    /// Place in the department's line, from 1.
    pub place: u32,
}
