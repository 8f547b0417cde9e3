//! Requests written by hand, for what no well-behaved peer would send, and the answers to them. Shares no code with the
//! wire or the digest under test.

use std::net::SocketAddr;

use bytes::Bytes;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use switchboard::engine::{Command, Input, Reply, Status};
use switchboard::flow::{Flow, ListenerId};

use super::world::{Seen, World};

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub uri: String,
    pub from: String,
    pub to: String,
    pub to_tag: Option<String>,
    pub call_id: String,
    pub cseq: u32,
    /// What Via says of itself.
    pub sent_by: String,
    pub branch: String,
    pub lines: Vec<String>,
}

impl Ask {
    /// A request of `sip:FROM` for `sip:TO`, sent to `URI`.
    pub fn new(method: &str, uri: &str, from: &str, to: &str) -> Ask {
        Ask {
            method: method.to_owned(),
            uri: uri.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            to_tag: None,
            call_id: "4f1d8c20a7@198.51.100.77".to_owned(),
            cseq: 1,
            sent_by: "198.51.100.77:5060".to_owned(),
            branch: "z9hG4bK-1".to_owned(),
            lines: Vec::new(),
        }
    }

    /// A REGISTER of that extension of acme's.
    pub fn register(extension: &str) -> Ask {
        let own = format!("{extension}@acme.example");
        Ask::new("REGISTER", "sip:acme.example", &own, &own)
    }

    /// The same with one more line.
    pub fn line(mut self, line: impl Into<String>) -> Ask {
        self.lines.push(line.into());
        self
    }

    /// The next of the same series: another branch, a higher CSeq.
    pub fn next(mut self) -> Ask {
        self.cseq += 1;
        self.branch = format!("z9hG4bK-{}", self.cseq);
        self
    }

    /// As it goes over the wire.
    pub fn text(&self) -> String {
        let Ask { method, uri, from, to, call_id, cseq, sent_by, branch, .. } = self;
        let to_tag = self.to_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let lines: String = self.lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};rport;branch={branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}>;tag=a73kszlfl\r\nTo: <sip:{to}>{to_tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             {lines}Content-Length: 0\r\n\r\n"
        )
    }

    /// The same with credentials for a challenge it got.
    pub fn proven(self, account: &Account<'_>, challenge: &Challenge, count: u32) -> Ask {
        let field = challenge.field.replace("WWW-Authenticate", "Authorization");
        let field = field.replace("Proxy-Authenticate", "Proxy-Authorization");
        let credentials = account.credentials(challenge, &self.method, &self.uri, count);
        self.line(format!("{field}: {credentials}"))
    }
}

/// Gives the engine one datagram and says what it sent because of it.
pub fn tell(world: &mut World, from: &str, text: &str) -> Vec<Seen> {
    let before = world.seen.len();
    let remote: SocketAddr = from.parse().unwrap();
    let flow = Flow { local: ListenerId(0), remote };
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    world.engine.handle_input(world.now, Input::Datagram { flow, bytes });
    world.flush();
    world.write();
    world.seen[before..].to_vec()
}

/// The status of a response.
pub fn status(seen: &Seen) -> u16 {
    let line = seen.first_line();
    let code = line.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no response: {line}"))
}

/// The one answer, and its status.
pub fn only(seen: &[Seen]) -> (&Seen, u16) {
    assert_eq!(seen.len(), 1, "one answer: {seen:?}");
    (&seen[0], status(&seen[0]))
}

/// Every value of a field.
pub fn values(seen: &Seen, name: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&seen.bytes).into_owned();
    let prefix = format!("{}:", name.to_ascii_lowercase());
    text.lines()
        .filter(|line| line.to_ascii_lowercase().starts_with(&prefix))
        .map(|line| line[prefix.len()..].trim().to_owned())
        .collect()
}

/// One challenge of a 401 or 407.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    pub field: &'static str,
    pub algorithm: String,
    pub realm: String,
    pub nonce: String,
    pub stale: bool,
}

/// All of them, in order.
pub fn challenges(seen: &Seen) -> Vec<Challenge> {
    let read = |field: &'static str| {
        values(seen, field).into_iter().map(move |value| {
            let param = |name: &str| {
                let at = value.find(&format!("{name}=")).map(|at| at + name.len() + 1)?;
                value[at..].split(',').next().map(|found| found.trim().trim_matches('"').to_owned())
            };
            Challenge {
                field,
                algorithm: param("algorithm").unwrap(),
                realm: param("realm").unwrap(),
                nonce: param("nonce").unwrap(),
                stale: param("stale").is_some_and(|stale| stale == "true"),
            }
        })
    };
    read("WWW-Authenticate").chain(read("Proxy-Authenticate")).collect()
}

/// A name and its password.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    pub name: &'a str,
    pub password: &'a str,
}

impl Account<'_> {
    /// RFC 7616 §3.4, with `qop=auth`.
    fn credentials(&self, challenge: &Challenge, method: &str, uri: &str, count: u32) -> String {
        let Challenge { algorithm, realm, nonce, .. } = challenge;
        let hash = |text: String| match algorithm.as_str() {
            "SHA-256" => hexadecimal(&Sha256::digest(text)),
            "MD5" => hexadecimal(&Md5::digest(text)),
            other => panic!("an algorithm nobody asked for: {other}"),
        };
        let name = self.name;
        let secret = hash(format!("{name}:{realm}:{}", self.password));
        let request = hash(format!("{method}:{uri}"));
        let response = hash(format!("{secret}:{nonce}:{count:08x}:0a4f113b:auth:{request}"));
        format!(
            "Digest username=\"{name}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={algorithm}, cnonce=\"0a4f113b\", qop=auth, nc={count:08x}"
        )
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How the daemon is.
pub fn daemon(world: &mut World) -> Status {
    match world.command(Command::Status) {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}
