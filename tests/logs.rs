//! What the log gives away: from `info` on nobody's number, name or address, at no level a secret; and how its level is changed.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unreachable_pub, dead_code)]

mod children;
mod stage;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use children::{begin, free_port};
use stage::{PATIENCE, Stage, switchboard};
use switchboard::peer::{Behaviour, CallEvent, PhoneEvent};
use tempfile::TempDir;

/// What stands for people: parts of their names, mail addresses, numbers and the addresses they speak from.
const PEOPLE: [&str; 6] = ["Zweigmarker", "Quermarker", "zmail", "people.example", "9810077", "127.9.9."];

/// What stands in the configuration and in messages and is nobody's to know. What phones say of nonces and digests is added.
const SECRETS: [&str; 12] = [
    "pw-of-221",
    "pw-of-222",
    "pw-broken",
    "pw-unended",
    "pw-new",
    "pw-guessed",
    "pw-of-homer",
    "3d78807defe7de2157e2b0b6573a8550",
    "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794230",
    "aa87c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b47942bb",
    "nonce-of-somebody",
    "response-of-somebody",
];

/// The secrets of `secrets` that stand in a log, in any case.
fn found<'a>(log: &str, secrets: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, String)> {
    let lower = log.to_lowercase();
    let line = |at: usize| log[..at].rfind('\n').map_or(0, |start| start + 1);
    secrets
        .into_iter()
        .filter_map(|secret| {
            let at = lower.find(&secret.to_lowercase())?;
            Some((secret, log[line(at)..].lines().next().unwrap_or_default().to_owned()))
        })
        .collect()
}

const COMPANY: &str = r#"
name     = "Acme Traders"
domain   = "acme.example"
timezone = "Asia/Kolkata"
outbound-trunk  = "airtel"
blocked-callers = ["+919810077044"]

[numbers."+918041234567"]
routes = [{ to = "department:sales" }]
[numbers."+918041234568"]
routes = [{ to = "department:field" }]
[numbers."+918041234569"]
routes = [{ to = "external:+919810077003" }]
[numbers."+918041234570"]
routes = [{ to = "user:223" }]

[departments.sales]
members = ["221"]
wait    = "60s"
[departments.field]
members = ["222"]

[users.221]
name     = "Asha Zweigmarker"
email    = "zmail221@people.example"
mobile   = "+919810077001"
person   = "asha-zweigmarker"
password = "pw-of-221"
[users.222]
name     = "Ravi Zweigmarker"
email    = "zmail222@people.example"
mobile   = "+919810077002"
ring-on  = ["mobile"]
password = "pw-of-222"
[users.223]
name     = "Meera Zweigmarker"
digest   = { sha-256 = "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794230", md5 = "3d78807defe7de2157e2b0b6573a8550" }
"#;

/// A configuration that listens on `port`, with a trunk at `trunk`.
fn directory(port: u16, trunk: &str, more: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("companies")).unwrap();
    fs::write(directory.path().join("companies/acme.toml"), COMPANY).unwrap();
    write_machine(directory.path(), port, trunk, more);
    directory
}

fn write_machine(directory: &Path, port: u16, trunk: &str, more: &str) {
    let text = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{port}\"]\n[control]\nsocket = \"{0}/control.sock\"\n\
         [control.tokens.wallboard]\nsha-256 = \"aa87c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b47942bb\"\n\
         role = \"administrator\"\ncompanies = \"all\"\n[state]\ndirectory = \"{0}/state\"\n\
         [trunks.airtel]\nsources = [\"127.9.8.1\"]\nproxy = \"sip:{trunk}\"\ncountry-code = \"91\"\n{more}",
        directory.display()
    );
    fs::write(directory.join("switchboard.toml"), text).unwrap();
}

/// A daemon of its own process, whose log goes to a file. Dropping it ends it.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let log = directory.join("log");
        let mut program = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        program.arg("run").arg("--config").arg(directory).args(arguments);
        program.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").envs(environment.iter().copied());
        let child = begin(program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap()));
        let mut running = Running { child, log };
        let end = Instant::now() + PATIENCE;
        while switchboard(directory, &["status"]).status.code() != Some(0) {
            assert!(running.child.try_wait().unwrap().is_none() && Instant::now() < end, "{}", running.read());
        }
        running
    }

    fn read(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Until that is in the log.
    fn until(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.read().contains(text) {
            assert!(Instant::now() < end, "no {text:?} in {}", self.read());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it as systemd would, and gives all it logged.
    fn stop(mut self) -> String {
        assert!(begin(Command::new("kill").arg(self.child.id().to_string())).wait().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "{}", self.read());
        self.read()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn invite(from: SocketAddr, branch: &str, to: &str, more: &str) -> Vec<u8> {
    format!(
        "INVITE sip:{to}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: \"Quermarker, Q.\" <sip:+919810077066@people.example>;tag=f{branch}\r\nTo: <sip:{to}@127.0.0.1>\r\n\
         Call-ID: {branch}@{from}\r\nCSeq: 1 INVITE\r\nContact: <sip:quermarker@{from}>\r\n{more}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// A day with everything in it that may be logged. Gives the log, and the secrets that phones and we told each other.
fn a_day(arguments: &[&str]) -> (String, BTreeSet<String>) {
    let port = free_port();
    let mut stage = Stage::new(port);
    let trunk = stage.trunk("127.9.8.1", Behaviour::answer_after(Duration::ZERO));
    let collector = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let hep = format!("[hep]\ncollector = \"{}\"\npassword = \"pw-of-homer\"\n", collector.local_addr().unwrap());
    let directory = directory(port, &trunk.to_string(), &hep);
    let running = Running::start(directory.path(), arguments, &[]);

    registrations(&mut stage);
    calls(&mut stage);
    strangers(&mut stage);
    questions(directory.path());
    reloads(directory.path(), port, trunk);

    let log = running.stop();
    let mut told = BTreeSet::new();
    for wire in &stage.wire {
        let text = String::from_utf8_lossy(&wire.bytes).into_owned();
        for name in ["nonce=\"", "cnonce=\"", "response=\""] {
            told.extend(text.split(name).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    assert!(told.len() > 6, "challenges, and answers to them: {told:?}");
    (log, told)
}

fn registrations(stage: &mut Stage) {
    stage.phone("asha", "221", "pw-of-221", "127.9.9.2", Behaviour::answer_after(Duration::ZERO));
    stage.phone("thief", "223", "pw-guessed", "127.9.9.3", Behaviour::ring_only());
    stage.until("asha is registered and the thief is not", |stage| {
        stage.phone_saw("asha", |event| matches!(event, PhoneEvent::Registered { .. }))
            && stage.phone_saw("thief", |event| matches!(event, PhoneEvent::RegistrationFailed { .. }))
    });
}

/// Answered, queued, cancelled, refused; by extension, mobile and outside number; into the company, out of it and within it.
fn calls(stage: &mut Stage) {
    let answered = |event: &CallEvent| matches!(event, CallEvent::Answered { .. });
    let ended = |event: &CallEvent| matches!(event, CallEvent::Ended { .. });
    let refused = |event: &CallEvent| matches!(event, CallEvent::Refused { .. });
    let call = stage.with_trunk(|trunk, now| trunk.call(now, "+918041234567", "+919810077010"));
    stage.until("asha answers", |stage| stage.trunk_saw(call, answered));
    let waiting = stage.with_trunk(|trunk, now| trunk.call(now, "+918041234567", "+919810077011"));
    stage.until("the next one waits", |stage| {
        stage.trunk_saw(waiting, |event| matches!(event, CallEvent::Progress { status: 182, .. }))
    });
    stage.with_trunk(|trunk, now| trunk.cancel(now, waiting));
    stage.until("it is cancelled", |stage| stage.trunk_saw(waiting, refused));
    stage.with_trunk(|trunk, now| trunk.hang_up(now, call));
    stage.until("the first is over", |stage| stage.trunk_saw(call, ended));
    for number in ["+918041234568", "+918041234569"] {
        let call = stage.with_trunk(|trunk, now| trunk.call(now, number, "+919810077012"));
        stage.until("a mobile answers", |stage| stage.trunk_saw(call, answered));
        stage.with_trunk(|trunk, now| trunk.hang_up(now, call));
        stage.until("the mobile is let go", |stage| stage.trunk_saw(call, ended));
    }
    for (number, caller) in [
        ("+918041234567", "+919810077044"),
        ("+919810077999", "+919810077013"),
        ("+918041234570", "+919810077014"),
        ("quermarker", "+919810077015"),
    ] {
        let call = stage.with_trunk(|trunk, now| trunk.call(now, number, caller));
        stage.until("it is refused", |stage| stage.trunk_saw(call, refused));
    }
    for uri in ["sip:223@acme.example", "sip:+919810077016@acme.example"] {
        let call = stage.with_phone("asha", |phone, now| phone.call(now, uri));
        stage.until("her own call is refused", |stage| {
            stage.phone_saw(
                "asha",
                |event| matches!(event, PhoneEvent::Call(of, event) if *of == call && refused(event)),
            )
        });
    }
}

/// Whatever else comes from the network.
fn strangers(stage: &mut Stage) {
    let authorization = "Authorization: Digest username=\"221\", realm=\"acme.example\", nonce=\"nonce-of-somebody\", \
         uri=\"sip:acme.example\", response=\"response-of-somebody\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"cnonce-of-somebody\"\r\n";
    stage.say_with("127.9.9.5", |from| invite(from, "stranger", "+918041234567", ""));
    stage.say_with("127.9.9.6", |from| invite(from, "scanner", "100", "User-Agent: friendly-scanner\r\n"));
    stage.say_with("127.9.9.7", |from| invite(from, "guess", "221", authorization));
    let register = |from: SocketAddr, branch: &str, more: &str| {
        let text = String::from_utf8(invite(from, branch, "221", more)).unwrap();
        text.replace("INVITE", "REGISTER")
            .replace("sip:+919810077066@people.example", "sip:221@acme.example")
            .into_bytes()
    };
    stage.say_with("127.9.9.8", |from| register(from, "register", authorization));
    stage
        .say_with("127.9.9.10", |from| [&register(from, "trailing", "")[..], b"\r\nquermarker +919810077067"].concat());
    stage.say("127.9.9.11", b"INVITE sip:quermarker SIP/2.0\r\nFrom: Quermarker <sip:9810077068@x>\r\n\r\n");
    stage.say("127.9.9.12", b"quermarker 9810077069 \xff\xfe");
    stage.say_with("127.9.8.1", |from| {
        invite(from, "named", "+918041234570", "P-Asserted-Identity: \"Quermarker\" <tel:+919810077070>\r\n")
    });
    stage.say_with("127.9.8.1", |from| invite(from, "torn", "+918041234570", "Max-Forwards: quermarker\r\n"));
    // Behind all of these in the daemon's socket.
    let before = stage.with_trunk(|trunk, now| {
        trunk.ping(now);
        trunk.pongs()
    });
    stage.until("the daemon has come so far", |stage| {
        let pongs = |wire: &stage::Wire| {
            wire.bytes.starts_with(b"SIP/2.0 200") && String::from_utf8_lossy(&wire.bytes).contains("OPTIONS")
        };
        stage.wire.iter().filter(|wire| pongs(wire)).count() as u64 > before
    });
}

fn questions(directory: &Path) {
    for arguments in [
        &["explain", "--to", "+918041234567", "--from", "+919810077020"][..],
        &["explain", "--to", "+919810077021", "--trunk", "airtel"],
        &["calls"],
        &["agents"],
        &["registrations"],
        &["queue"],
        &["take-calls", "off", "221@acme"],
        &["pause", "zweigmarker@acme"],
        &["calls", "--company", "quermarker"],
    ] {
        assert!(matches!(switchboard(directory, arguments).status.code(), Some(0 | 2)), "{arguments:?}");
    }
}

/// Refused for every kind of reason, and adopted.
fn reloads(directory: &Path, port: u16, trunk: SocketAddr) {
    let company = directory.join("companies/acme.toml");
    for (what, by, status) in [
        ("\"pw-of-221\"", "[\"pw-broken\"]", 1),
        ("\"pw-of-221\"", "\"pw-unended", 1),
        ("\"pw-of-221\"\n", "\"pw-broken\"\npassword = \"pw-broken\"\n", 1),
        ("md5 = \"3d78807defe7de2157e2b0b6573a8550\"", "md5 = \"3d78807defe7de2157e2b0b6573a8550aa\"", 1),
        ("\"+919810077001\"", "\"+919810077001x\"", 1),
        ("\"zmail221@people.example\"", "\"zmail221 people.example\"", 1),
        ("members = [\"221\"]", "members = [\"quermarker\"]", 1),
        ("\"pw-of-221\"", "\"pw-new\"", 0),
        ("\"+919810077001\"", "\"+919810077071\"", 0),
        ("Asha Zweigmarker", "Usha Zweigmarker", 0),
        ("+919810077044", "+919810077045", 0),
        ("external:+919810077003", "external:+919810077072", 0),
    ] {
        assert!(COMPANY.contains(what), "{what}");
        fs::write(&company, COMPANY.replace(what, by)).unwrap();
        let output = switchboard(directory, &["reload"]);
        assert_eq!(output.status.code(), Some(status), "{what} → {by}: {output:?}");
    }
    // An address that cannot be listened on; a capture that is turned off.
    write_machine(directory, 1, &trunk.to_string(), "");
    switchboard(directory, &["reload"]);
    write_machine(directory, port, &trunk.to_string(), "");
    assert_eq!(switchboard(directory, &["reload"]).status.code(), Some(0));
}

/// What must have been told, so that a log that holds nothing does not pass.
fn expect_the_day(log: &str) {
    for line in [
        "221@acme registered, 1 device",
        "a phone of 223@acme is refused: wrong-credentials",
        "call arrived by trunk airtel for acme",
        "call arrived for acme",
        "call arrived by trunk airtel for nobody",
        "offered to 221",
        "answered by 221",
        "waiting, place 1",
        "caller hung up before an answer",
        "ended: ",
        "offered to the mobile of 222",
        "answered by an outside number",
        "refused: 603 ",
        "refused: 404 ",
        "refused: 480 ",
        "configuration refused, the old one serves on (1 problem)",
        "error at ",
        "users.221.mobile",
        "configuration adopted: ",
        "capturing for ",
        "no longer capturing",
        "drained",
    ] {
        assert!(log.contains(line), "the log does not tell {line:?}: {log}");
    }
}

#[test]
fn from_info_on_the_log_gives_nobody_away() {
    let (log, told) = a_day(&[]);
    expect_the_day(&log);
    let secrets = PEOPLE.iter().chain(&SECRETS).copied().chain(told.iter().map(String::as_str));
    assert_eq!(found(&log, secrets), []);
    // One line an event, each with its call's id: whoever greps for that has the whole story.
    let arrived = log.lines().filter(|line| line.contains("call arrived")).collect::<Vec<_>>();
    assert!(arrived.len() >= 11, "{arrived:?}");
    assert!(arrived.iter().all(|line| line.contains(" call=c")), "{arrived:?}");
}

#[test]
fn as_json_the_log_gives_nobody_away_either_and_each_line_is_an_object() {
    let (log, told) = a_day(&["--log-format", "json"]);
    expect_the_day(&log);
    let secrets = PEOPLE.iter().chain(&SECRETS).copied().chain(told.iter().map(String::as_str));
    assert_eq!(found(&log, secrets), []);
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "message", "target"] {
            assert!(line[key].is_string(), "{key}: {line}");
        }
        if line["message"].as_str().unwrap().contains("call arrived") {
            assert!(line["call"].as_str().unwrap().starts_with('c'), "{line}");
        }
    }
}

#[test]
fn at_trace_the_log_holds_numbers_but_no_secret() {
    let (log, told) = a_day(&["--log-level", "trace"]);
    expect_the_day(&log);
    assert_eq!(found(&log, SECRETS.into_iter().chain(told.iter().map(String::as_str))), []);
    // Numbers and addresses are what debug is for; that they are found here shows that what is looked for can be found.
    for expected in ["9810077", "127.9.9."] {
        assert_eq!(found(&log, [expected]).len(), 1, "{expected}");
    }
}

#[test]
fn a_marker_in_the_log_is_found() {
    let log = "INFO offered to 221 call=c1\nINFO offered to Asha ZWEIGMARKER call=c2\n";
    assert_eq!(found(log, PEOPLE), [("Zweigmarker", "INFO offered to Asha ZWEIGMARKER call=c2".to_owned())]);
    assert_eq!(found("password pw-of-221", SECRETS).len(), 1);
    assert_eq!(found("INFO offered to 221 call=c1", PEOPLE.into_iter().chain(SECRETS)), []);
}

fn log_level(directory: &Path, level: &[&str]) -> (Option<i32>, String) {
    let output = switchboard(directory, &[&["log-level"], level].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap().trim_end().to_owned())
}

#[test]
fn the_level_is_changed_at_run_time_until_the_file_says_something_new() {
    let (port, trunk) = (free_port(), "127.9.8.2:5060");
    let directory = directory(port, trunk, "[log]\nlevel = \"warn\"\n");
    let path = directory.path();
    let running = Running::start(path, &[], &[]);
    let now = |level: &str| assert_eq!(log_level(path, &[]), (Some(0), level.to_owned()));
    now("warn");
    let (status, said) = log_level(path, &["debug"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("debug now (was warn), until the next start, or until [log] level changes"), "{said}");
    now("debug");
    running.until("log level warn → debug");
    // It is so: strangers are told at debug only.
    let mut stage = Stage::new(port);
    stage.say_with("127.9.9.20", |from| invite(from, "stranger", "+918041234567", ""));
    running.until("stranger ");

    let (status, said) = log_level(path, &["loud"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("\"loud\"") && said.contains("give error, warn, info, debug or trace"), "{said}");
    now("debug");
    assert_eq!(log_level(path, &["warn,switchboard::record=debug"]).0, Some(0));
    now("warn,switchboard::record=debug");

    // A reload for another reason leaves it, one that changes the level does not.
    fs::write(path.join("companies/acme.toml"), COMPANY.replace("60s", "61s")).unwrap();
    assert_eq!(switchboard(path, &["reload"]).status.code(), Some(0));
    now("warn,switchboard::record=debug");
    write_machine(path, port, trunk, "[log]\nlevel = \"info\"\nformat = \"json\"\n");
    let output = switchboard(path, &["reload"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("[log] format takes effect at the next start"), "{said}");
    now("info");
    let log = running.stop();
    assert!(!log.contains("listening on"), "that is told at info: {log}");
    assert!(log.contains("drained") && !log.contains("{\"timestamp\""), "{log}");
}

#[test]
fn a_level_given_at_the_start_outranks_the_file() {
    let (port, trunk) = (free_port(), "127.9.8.2:5060");
    for (arguments, environment, by) in [
        (&["--log-level", "debug"][..], &[("RUST_LOG", "error")][..], "--log-level"),
        (&[], &[("RUST_LOG", "debug")], "RUST_LOG"),
    ] {
        let directory = directory(port, trunk, "[log]\nlevel = \"error\"\nformat = \"json\"\n");
        let running = Running::start(directory.path(), arguments, environment);
        assert_eq!(log_level(directory.path(), &[]), (Some(0), "debug".to_owned()));
        write_machine(directory.path(), port, trunk, "[log]\nlevel = \"warn\"\nformat = \"json\"\n");
        assert_eq!(switchboard(directory.path(), &["reload"]).status.code(), Some(0));
        running.until(&format!("[log] level is warn now; {by}, given at the start, outranks it"));
        assert_eq!(log_level(directory.path(), &[]), (Some(0), "debug".to_owned()));
        assert!(running.stop().starts_with("{\"timestamp\""), "the format is the file's");
    }
}

#[test]
fn a_level_that_is_none_keeps_the_daemon_from_starting() {
    let directory = directory(free_port(), "127.9.8.2:5060", "");
    let output = switchboard(directory.path(), &["run", "--log-level", "loud"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("give error, warn, info, debug or trace"), "{output:?}");
}

#[test]
fn the_journal_gets_severities_and_no_times() {
    let directory = directory(free_port(), "127.9.8.2:5060", "");
    // The journal is whom standard error goes to, if it is that file; anything else of that name was inherited.
    let log = File::create(directory.path().join("log")).unwrap().metadata().unwrap();
    let stream = format!("{}:{}", log.dev(), log.ino());
    let running = Running::start(directory.path(), &[], &[("JOURNAL_STREAM", &stream)]);
    fs::write(directory.path().join("companies/acme.toml"), "name = \"Acme\"\nbroken = 1\n").unwrap();
    assert_eq!(switchboard(directory.path(), &["reload"]).status.code(), Some(1));
    let log = running.stop();
    assert!(
        log.lines()
            .any(|line| line.trim_end()
                == format!("<6> INFO control socket {}/control.sock", directory.path().display())),
        "{log}"
    );
    assert!(log.lines().any(|line| line.starts_with("<3>ERROR error at ")), "{log}");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
}
