//! What is said over the control socket.
//!
//! A request is an engine's [`Command`] (`{"command":"pause","user":"221@acme"}`) or one of the daemon's own
//! (`{"command":"reload"}`). The answer is `{"reply":NAME,"value":…}`. Each is one line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::daemon::{ReloadOutcome, Report};
use crate::engine::{Command, Refusal, Reply, Status, WhyNot};

/// What a client wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Something of the engine.
    Engine(Command),
    /// The configuration loaded again.
    Reload,
    /// How much is logged; with a level, so much from now on.
    LogLevel(Option<String>),
}

/// What it gets.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To `status`: the engine's and the daemon's own.
    Status(Box<Status>, Box<Report>),
    /// To `reload`.
    Reloaded(ReloadOutcome),
    /// To everything else.
    Engine(Reply),
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// In words, what is wrong with it and what would be right.
    pub fn from_line(line: &str) -> Result<Request, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| {
            format!("not a line of JSON: {error}; send one object a line, like {{\"command\":\"status\"}}")
        })?;
        match value.get("command") {
            Some(Value::String(name)) if name == "reload" => Ok(Request::Reload),
            Some(Value::String(name)) if name == "log-level" => match value.get("level") {
                None | Some(Value::Null) => Ok(Request::LogLevel(None)),
                Some(Value::String(level)) => Ok(Request::LogLevel(Some(level.clone()))),
                Some(_) => Err("\"level\" is no text: send {\"command\":\"log-level\",\"level\":\"debug\"}".into()),
            },
            // Drain is for the daemon's own end: a daemon that is told so from here would refuse calls and never end.
            Some(Value::String(name)) if name == "drain" => {
                Err("to drain the daemon, send it SIGTERM (`systemctl stop switchboard`)".into())
            }
            Some(Value::String(_)) => serde_json::from_value(value)
                .map(Request::Engine)
                .map_err(|error| format!("not a command: {error}, or `reload` or `log-level`")),
            Some(_) | None => Err("the object has no \"command\": send one like {\"command\":\"status\"}".into()),
        }
    }

    /// The line, without its end.
    pub fn to_line(&self) -> String {
        match self {
            Request::Reload => r#"{"command":"reload"}"#.to_owned(),
            Request::LogLevel(level) => line(&serde_json::json!({ "command": "log-level", "level": level })),
            Request::Engine(command) => line(command),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    reply: String,
    #[serde(default)]
    value: Value,
    /// Of a refusal: absent from a daemon of an older version, and in every other answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<WhyNot>,
}

impl Envelope {
    fn new(reply: &str, value: impl Serialize) -> Envelope {
        Envelope { reply: reply.to_owned(), value: serde_json::to_value(value).unwrap_or_default(), kind: None }
    }
}

#[derive(Serialize, Deserialize)]
struct WholeStatus {
    #[serde(flatten)]
    engine: Status,
    daemon: Report,
}

impl Answer {
    /// The line, without its end.
    pub fn to_line(&self) -> String {
        match self {
            Answer::Engine(Reply::Refused(refusal)) => {
                line(&Envelope { kind: Some(refusal.kind), ..Envelope::new("refused", &refusal.why) })
            }
            Answer::Engine(reply) => line(reply),
            Answer::Reloaded(outcome) => line(&Envelope::new("reloaded", outcome)),
            Answer::Status(engine, daemon) => {
                let whole = WholeStatus { engine: (**engine).clone(), daemon: (**daemon).clone() };
                line(&Envelope::new("status", whole))
            }
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// In words: it is no answer that this version knows.
    pub fn from_line(line: &str) -> Result<Answer, String> {
        let unknown = |error: serde_json::Error| {
            format!("the daemon's answer cannot be understood ({error}); is it of another version than this command?")
        };
        let envelope: Envelope = serde_json::from_str(line).map_err(unknown)?;
        match envelope.reply.as_str() {
            "refused" => {
                let why = serde_json::from_value(envelope.value).map_err(unknown)?;
                Ok(Answer::Engine(Reply::Refused(Refusal { kind: envelope.kind.unwrap_or_default(), why })))
            }
            "reloaded" => serde_json::from_value(envelope.value).map(Answer::Reloaded).map_err(unknown),
            "status" => {
                let whole: WholeStatus = serde_json::from_value(envelope.value).map_err(unknown)?;
                Ok(Answer::Status(Box::new(whole.engine), Box::new(whole.daemon)))
            }
            _ => serde_json::from_str(line).map(Answer::Engine).map_err(unknown),
        }
    }
}

/// Our own values always have a JSON form: names are strings, numbers finite.
fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        let text = Value::String(format!("the answer has no JSON form: {error}"));
        format!(r#"{{"reply":"refused","value":{text}}}"#)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Question;

    #[test]
    fn requests_travel() {
        let requests = [
            Request::Reload,
            Request::LogLevel(None),
            Request::LogLevel(Some("info,switchboard::record=debug".into())),
            Request::Engine(Command::Status),
            Request::Engine(Command::TakeCalls { user: "221@acme".into(), takes: false }),
            Request::Engine(Command::Explain(Question { to: "+918041234567".into(), ..Question::default() })),
        ];
        for request in requests {
            assert_eq!(Request::from_line(&request.to_line()), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_told_what_would_be() {
        for (line, says) in [
            ("", "not a line of JSON"),
            ("status", "not a line of JSON"),
            ("[]", "no \"command\""),
            (r#"{"command":7}"#, "no \"command\""),
            (r#"{"command":"dance"}"#, "unknown variant `dance`"),
            (r#"{"command":"pause"}"#, "missing field `user`"),
            (r#"{"command":"drain"}"#, "SIGTERM"),
            (r#"{"command":"log-level","level":3}"#, "is no text"),
        ] {
            let error = Request::from_line(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn answers_travel() {
        let status = Status { calls: 3, ..Status::default() };
        let report = Report {
            listening: vec!["udp:127.0.0.1:5060".into()],
            last_reload: Some(ReloadOutcome::Adopted {
                at: 5,
                changes: "no change".into(),
                warnings: Default::default(),
            }),
            ..Report::default()
        };
        let line = Answer::Status(Box::new(status.clone()), Box::new(report.clone())).to_line();
        match Answer::from_line(&line).unwrap() {
            Answer::Status(engine, daemon) => assert_eq!((*engine, *daemon), (status, report)),
            other => panic!("{other:?}"),
        }
        let line = Answer::Engine(Reply::Done("221@acme takes no calls".into())).to_line();
        assert!(matches!(Answer::from_line(&line).unwrap(), Answer::Engine(Reply::Done(text)) if text.contains("221")));
        let outcome = ReloadOutcome::Adopted { at: 5, changes: "+1 user".into(), warnings: Default::default() };
        let line = Answer::Reloaded(outcome.clone()).to_line();
        assert!(matches!(Answer::from_line(&line).unwrap(), Answer::Reloaded(read) if read == outcome));
    }

    #[test]
    fn a_refusal_says_whose_fault_it_is_beside_the_words() {
        let answer = Answer::Engine(Reply::Refused(Refusal::wrong_question("there is no trunk `x`")));
        let line = answer.to_line();
        assert_eq!(line, r#"{"reply":"refused","value":"there is no trunk `x`","kind":"wrong-question"}"#);
        let Answer::Engine(Reply::Refused(read)) = Answer::from_line(&line).unwrap() else { panic!("{line}") };
        assert_eq!(read, Refusal::wrong_question("there is no trunk `x`"));
        // What knows no kinds reads it as before, and what writes none means no.
        assert!(matches!(serde_json::from_str(&line).unwrap(), Reply::Refused(_)), "{line}");
        let old = Answer::from_line(r#"{"reply":"refused","value":"not now"}"#).unwrap();
        assert!(matches!(old, Answer::Engine(Reply::Refused(Refusal { kind: WhyNot::No, .. }))), "{old:?}");
    }

    #[test]
    fn the_status_line_reads_as_a_plain_reply_too() {
        let line = Answer::Status(Box::default(), Box::default()).to_line();
        assert!(matches!(serde_json::from_str(&line).unwrap(), Reply::Status(_)), "{line}");
    }

    #[test]
    fn an_answer_of_another_version_is_an_error_in_words() {
        assert!(Answer::from_line(r#"{"reply":"sung","value":1}"#).unwrap_err().contains("another version"));
        assert!(Answer::from_line("").unwrap_err().contains("cannot be understood"));
    }

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let answer = Answer::Engine(Reply::Refused("two\nlines".into()));
        assert!(!answer.to_line().contains('\n'));
    }
}
