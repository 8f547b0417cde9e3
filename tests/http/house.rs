//! A daemon with two companies that share a person, its tokens, and whoever asks it over HTTP.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use switchboard::config::token_hash;
use switchboard::daemon::{ControlSocket, Daemon, Handle, StartError};
use tempfile::TempDir;

use crate::children::free_port;
use crate::stage::PATIENCE;

const ACME: &str = r#"
name     = "Acme Traders"
domain   = "acme.example"
timezone = "Asia/Kolkata"

[numbers."+918041234567"]
routes = [{ to = "department:sales" }]

[departments.sales]
members = ["221", "222"]

[users.221]
name     = "Asha Rao"
person   = "asha"
password = "a password of hers"

[users.222]
name     = "Ravi"
person   = "ravi"
password = "a password of his"
"#;

const GLOBEX: &str = r#"
name           = "Globex"
domain         = "globex.example"
timezone       = "Europe/London"
outbound-trunk = "airtel"

[numbers."+442079460123"]
routes = [{ to = "department:desk" }]

[departments.desk]
members = ["305", "306"]

[users.305]
name     = "Asha Rao"
person   = "asha"
mobile   = "+919810000001"
ring-on  = ["mobile"]
password = "another password of hers"

[users.306]
name     = "Gita"
person   = "gita"
password = "a password of Gita's"
"#;

/// Names of tokens, and what is written for each.
const TOKENS: [(&str, &str); 7] = [
    ("administrator", "role = \"administrator\"\ncompanies = \"all\""),
    ("acme", "role = \"administrator\"\ncompanies = [\"acme\"]"),
    ("globex", "role = \"administrator\"\ncompanies = [\"globex\"]"),
    ("manager", "role = \"manager\"\ncompanies = [\"acme\"]"),
    ("overseer", "role = \"manager\"\ncompanies = \"all\""),
    ("agent-221", "role = \"agent\"\nuser = \"221@acme\""),
    ("agent-222", "role = \"agent\"\nuser = \"222@acme\""),
];

fn secret(name: &str) -> String {
    format!("sb_{name}-0123456789abcdef0123456789abcdef")
}

pub fn hash_of(name: &str) -> String {
    token_hash(&secret(name)).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[derive(Debug)]
pub struct House {
    directory: TempDir,
    pub port: u16,
    pub handle: Handle,
    agent: ureq::Agent,
}

impl House {
    pub fn new() -> House {
        House::try_new(0).unwrap()
    }

    /// With HTTP at that port of loopback; 0 is any.
    pub fn try_new(http: u16) -> Result<House, StartError> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("companies")).unwrap();
        fs::write(directory.path().join("companies/acme.toml"), ACME).unwrap();
        fs::write(directory.path().join("companies/globex.toml"), GLOBEX).unwrap();
        let port = free_port();
        write_machine(directory.path(), port, http, &|_| true);
        let daemon = Daemon::from_directory(directory.path()).unwrap();
        let handle = daemon.with_control(ControlSocket::Open).start()?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(40)))
            .build()
            .new_agent();
        Ok(House { directory, port, handle, agent })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes `switchboard.toml` anew, with those tokens.
    pub fn write_machine(&self, http: u16, keep: impl Fn(&str) -> bool) {
        write_machine(self.path(), self.port, http, &keep);
    }

    pub fn token(&self, name: &str) -> String {
        assert!(TOKENS.iter().any(|(known, _)| *known == name), "{name}");
        secret(name)
    }

    pub fn get(&self, token: &str, path: &str) -> Reply {
        self.say("GET", path, Some(&format!("Bearer {}", self.token(token))), None)
    }

    pub fn post(&self, token: &str, path: &str, body: &Value) -> Reply {
        self.with_body("POST", token, path, body)
    }

    pub fn put(&self, token: &str, path: &str, body: &Value) -> Reply {
        self.with_body("PUT", token, path, body)
    }

    fn with_body(&self, method: &str, token: &str, path: &str, body: &Value) -> Reply {
        let (authorization, text) = (format!("Bearer {}", self.token(token)), body.to_string());
        let body = if body.is_null() { None } else { Some(("application/json", text.as_str())) };
        self.say(method, path, Some(&authorization), body)
    }

    /// Asks, with what Authorization says and a body of that kind.
    pub fn say(&self, method: &str, path: &str, authorization: Option<&str>, body: Option<(&str, &str)>) -> Reply {
        let url = format!("http://{}{path}", self.handle.http_address().unwrap());
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let sent = match body {
            Some((kind, body)) => self.agent.run(request.header("content-type", kind).body(body).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: response.status().as_u16(), headers, text, body }
    }

    /// Asks again and again until it is so.
    #[track_caller]
    pub fn until(&self, token: &str, path: &str, is_so: impl Fn(&Reply) -> bool) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.get(token, path);
            if is_so(&reply) {
                return reply;
            }
            assert!(Instant::now() < deadline, "not so: {}", reply.text);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn write_machine(directory: &Path, port: u16, http: u16, keep: &dyn Fn(&str) -> bool) {
    let mut text = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{port}\"]\n\
         [control]\nsocket = \"{0}/control.sock\"\nhttp = \"127.0.0.1:{http}\"\n[state]\ndirectory = \"{0}/state\"\n\
         [trunks.airtel]\nsources = [\"127.6.8.0/24\"]\nproxy = \"sip:127.6.8.1:5060\"\ncountry-code = \"91\"\nnational-prefix = \"0\"\n",
        directory.display()
    );
    for (name, written) in TOKENS.iter().filter(|(name, _)| keep(name)) {
        writeln!(text, "[control.tokens.{name}]\nsha-256 = \"{}\"\n{written}", hash_of(name)).unwrap();
    }
    fs::write(directory.join("switchboard.toml"), text).unwrap();
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
    pub body: Value,
}

impl Reply {
    /// Empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value)
    }

    /// RFC 9457: it is a problem, and says so.
    #[track_caller]
    pub fn assert_problem(&self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["type"], "about:blank");
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(self.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
}

/// What stands in the OpenAPI document.
pub mod bodies {
    use serde_json::Value;

    /// Every operation: method in capitals, path, description.
    pub fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let of = |(path, item): (&String, &Value)| {
            let item = item.as_object().unwrap().clone();
            item.into_iter()
                .filter(|(method, _)| ["get", "put", "post", "delete", "patch"].contains(&method.as_str()))
                .map(|(method, operation)| (method.to_uppercase(), path.clone(), operation))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }
}
