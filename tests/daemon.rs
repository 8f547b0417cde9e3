//! The daemon as a whole, inside this process: sockets, engine, reloads, the control socket and the command line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod children;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command as Program, Output, Stdio};
use std::time::Duration;

use switchboard::control::{self, Answer, Request};
use switchboard::daemon::{Clock, ControlSocket, Daemon, Handle, ReloadOutcome, StartError, Watching};
use switchboard::engine::{Command, Reply};
use switchboard::peer::{Behaviour, CallEvent, Phone, PhoneEvent, PhoneSettings, Trunk, TrunkSettings};
use tempfile::TempDir;

use children::{begin, free_port, no_child_begins, run};

const COMPANY: &str = r#"
name     = "Acme Traders"
domain   = "acme.example"
timezone = "Asia/Kolkata"

[numbers."+918041234567"]
routes = [{ to = "department:sales" }]

[departments.sales]
members = ["221"]

[users.221]
name     = "Asha Rao"
email    = "asha@bpo.example"
person   = "asha"
password = "a password of hers"
"#;

/// A configuration directory that listens on `port` of loopback.
fn directory(port: u16) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("companies")).unwrap();
    write_machine(directory.path(), port);
    fs::write(directory.path().join("companies/acme.toml"), COMPANY).unwrap();
    directory
}

fn write_machine(directory: &Path, port: u16) {
    let text = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{port}\"]\n[control]\nsocket = \"{0}/control.sock\"\n[state]\ndirectory = \"{0}/state\"\n\
         [trunks.airtel]\nsources = [\"192.0.2.0/28\"]\ncountry-code = \"91\"\nnational-prefix = \"0\"\n",
        directory.display()
    );
    fs::write(directory.join("switchboard.toml"), text).unwrap();
}

fn started(directory: &TempDir) -> Handle {
    Daemon::from_directory(directory.path()).unwrap().with_control(ControlSocket::Open).start().unwrap()
}

/// Sends a REGISTER without credentials and gives the answer's first line.
fn register(port: u16) -> String {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let here = phone.local_addr().unwrap();
    let message = format!(
        "REGISTER sip:acme.example SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKdaemon1\r\nMax-Forwards: 70\r\n\
         From: <sip:221@acme.example>;tag=1\r\nTo: <sip:221@acme.example>\r\nCall-ID: daemon-test\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:221@{here}>\r\nContent-Length: 0\r\n\r\n"
    );
    phone.send_to(message.as_bytes(), ("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = phone.recv_from(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn it_answers_the_network_and_its_handle() {
    let port = free_port();
    let directory = directory(port);
    let handle = started(&directory);
    assert_eq!(handle.addresses().iter().map(|address| address.port()).collect::<Vec<_>>(), [port]);
    assert!(register(port).contains("401"), "a phone without credentials is challenged");
    let Ok(Reply::Status(status)) = handle.command(Command::Status) else { panic!("no status") };
    assert_eq!((status.companies, status.users, status.calls), (1, 1, 0));
    let _alone = no_child_begins();
    handle.shut_down();
    assert!(UdpSocket::bind(("127.0.0.1", port)).is_ok(), "its port is free again");
}

#[test]
fn a_taken_port_is_a_refusal_that_names_it() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let directory = directory(taken.local_addr().unwrap().port());
    let error = Daemon::from_directory(directory.path()).unwrap().start().unwrap_err();
    assert!(matches!(error, StartError::Listen(_)));
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
}

#[test]
fn a_broken_reload_is_refused_whole_and_the_next_good_one_adopted() {
    let port = free_port();
    let directory = directory(port);
    let handle = started(&directory);
    let company = directory.path().join("companies/acme.toml");

    fs::write(&company, COMPANY.replace("Asia/Kolkata", "Asia/Kolkatta").replace("[\"221\"]", "[\"999\"]")).unwrap();
    let ReloadOutcome::Refused { count, text, .. } = handle.reload().unwrap() else { panic!("adopted") };
    assert!(count >= 2, "all problems at once: {text}");
    assert!(text.contains("Asia/Kolkatta") && text.contains("999"), "{text}");
    assert!(register(port).contains("401"), "the old one serves on");

    fs::write(&company, format!("{COMPANY}\n[users.222]\nname = \"Ravi\"\npassword = \"another one\"\n")).unwrap();
    let ReloadOutcome::Adopted { changes, .. } = handle.reload().unwrap() else { panic!("refused") };
    assert!(changes.contains("+1 user"), "{changes}");
    let Ok(Reply::Status(status)) = handle.command(Command::Status) else { panic!("no status") };
    assert_eq!(status.users, 2);
}

#[test]
fn warnings_are_adopted_and_told() {
    let directory = directory(free_port());
    let handle = started(&directory);
    let circle = COMPANY.replace("[\"221\"]", "[\"221\"]\noverflow = { default = \"department:sales\" }");
    fs::write(directory.path().join("companies/acme.toml"), circle).unwrap();
    let ReloadOutcome::Adopted { warnings, .. } = handle.reload().unwrap() else { panic!("refused") };
    assert_eq!(warnings.count, 1);
    assert_eq!(warnings.problems[0]["severity"], "warning");
    let output = switchboard(directory.path(), &["reload"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("circle"), "{output:?}");
    let output = switchboard(directory.path(), &["check"]);
    assert_eq!(output.status.code(), Some(0), "warnings alone are no refusal");
    let said = text(&output.stdout);
    assert!(said.starts_with("warning[departments.sales.overflow.default]"), "{said}");
    assert!(said.contains("no problem and 1 warning (1 company, 1 number, 1 user, 1 trunk)"), "{said}");
}

#[test]
fn a_directory_being_replaced_is_not_the_end_of_every_company() {
    let directory = directory(free_port());
    let handle = started(&directory);
    fs::rename(directory.path().join("companies"), directory.path().join("aside")).unwrap();
    let ReloadOutcome::Refused { text, .. } = handle.reload().unwrap() else { panic!("adopted") };
    assert!(text.contains("companies"), "{text}");
    let Ok(Reply::Status(status)) = handle.command(Command::Status) else { panic!("no status") };
    assert_eq!(status.companies, 1);
}

#[test]
fn a_daemon_is_found_by_its_socket_while_its_file_is_being_edited() {
    let directory = directory(free_port());
    let handle = started(&directory);
    let main = directory.path().join("switchboard.toml");
    let broken = fs::read_to_string(&main).unwrap().replace("[sip]", "[sip]\nmax-call = = 1");
    fs::write(&main, broken).unwrap();
    assert_eq!(switchboard(directory.path(), &["status"]).status.code(), Some(0));
    assert_eq!(switchboard(directory.path(), &["reload"]).status.code(), Some(1), "reached, and refused");
    drop(handle);
}

#[test]
fn a_reload_moves_to_a_new_port_only_if_it_can_be_had() {
    let (first, second) = (free_port(), free_port());
    let directory = directory(first);
    let handle = started(&directory);

    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    write_machine(directory.path(), taken.local_addr().unwrap().port());
    assert!(!handle.reload().unwrap().is_adopted());
    assert!(register(first).contains("401"), "nothing has changed");

    write_machine(directory.path(), second);
    let _alone = no_child_begins();
    assert!(handle.reload().unwrap().is_adopted());
    assert!(register(second).contains("401"));
    assert!(UdpSocket::bind(("127.0.0.1", first)).is_ok(), "the old port was let go");
}

#[test]
fn a_changed_file_is_noticed() {
    let port = free_port();
    let directory = directory(port);
    let handle = Daemon::from_directory(directory.path()).unwrap().with_watching(Watching::Files).start().unwrap();
    // The watch stands once the supervisor answers.
    assert!(handle.report().unwrap().last_reload.is_none());
    let fresh = directory.path().join("companies/.acme.toml.new");
    fs::write(&fresh, format!("{COMPANY}\n[users.222]\nname = \"Ravi\"\npassword = \"another one\"\n")).unwrap();
    fs::rename(&fresh, directory.path().join("companies/acme.toml")).unwrap();
    let users = |handle: &Handle| match handle.command(Command::Status) {
        Ok(Reply::Status(status)) => status.users,
        other => panic!("{other:?}"),
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while users(&handle) != 2 {
        assert!(std::time::Instant::now() < deadline, "the change was not noticed");
        std::thread::yield_now();
    }
}

#[test]
fn a_changed_password_file_elsewhere_is_noticed() {
    let directory = directory(free_port());
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("221");
    fs::write(&secret, "first\n").unwrap();
    let company =
        COMPANY.replace("password = \"a password of hers\"", &format!("password-file = \"{}\"", secret.display()));
    fs::write(directory.path().join("companies/acme.toml"), company).unwrap();
    let handle = Daemon::from_directory(directory.path()).unwrap().with_watching(Watching::Files).start().unwrap();
    // The watch stands once the supervisor answers.
    assert!(handle.report().unwrap().last_reload.is_none());
    fs::write(elsewhere.path().join("new"), "second\n").unwrap();
    fs::rename(elsewhere.path().join("new"), &secret).unwrap();
    let outcome = first_reload(&handle);
    assert!(matches!(&outcome, ReloadOutcome::Adopted { changes, .. } if changes.contains("password")), "{outcome:?}");
}

#[test]
fn a_change_between_loading_and_watching_is_noticed() {
    let directory = directory(free_port());
    let daemon = Daemon::from_directory(directory.path()).unwrap().with_watching(Watching::Files);
    fs::write(directory.path().join("companies/acme.toml"), COMPANY.replace("Asha Rao", "Asha R.")).unwrap();
    let handle = daemon.start().unwrap();
    let outcome = first_reload(&handle);
    assert!(matches!(&outcome, ReloadOutcome::Adopted { changes, .. } if changes.contains("name")), "{outcome:?}");
}

fn first_reload(handle: &Handle) -> ReloadOutcome {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(outcome) = handle.report().unwrap().last_reload {
            return outcome;
        }
        assert!(std::time::Instant::now() < deadline, "the change was not noticed");
        std::thread::yield_now();
    }
}

#[test]
fn the_control_socket_speaks_for_the_daemon() {
    let directory = directory(free_port());
    let handle = started(&directory);
    let socket = directory.path().join("control.sock");
    let Ok(Answer::Status(status, report)) = control::ask(&socket, &Request::Engine(Command::Status)) else {
        panic!("no status")
    };
    assert_eq!(status.numbers, 1);
    assert_eq!(report.listening.len(), 1);
    let answer = control::ask(&socket, &Request::Engine(Command::Pause { user: "999@acme".into() })).unwrap();
    assert!(matches!(answer, Answer::Engine(Reply::Refused(_))), "{answer:?}");
    assert!(matches!(control::ask(&socket, &Request::Reload), Ok(Answer::Reloaded(outcome)) if outcome.is_adopted()));
    handle.shut_down();
    assert!(!socket.exists(), "it takes its socket along");
}

fn switchboard(directory: &Path, arguments: &[&str]) -> Output {
    let mut program = Program::new(env!("CARGO_BIN_EXE_switchboard"));
    run(program.arg("--config").arg(directory).args(arguments))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_speak_to_the_daemon_and_say_so_with_their_status() {
    let directory = directory(free_port());
    let path = directory.path();
    let output = switchboard(path, &["agents"]);
    assert_eq!(output.status.code(), Some(3), "no daemon runs: {output:?}");
    assert!(text(&output.stderr).contains("control.sock"), "{output:?}");

    let handle = started(&directory);
    for (arguments, status, says) in [
        (&["agents"][..], 0, "not-registered"),
        (&["agents", "--json"], 0, "\"extension\": \"221\""),
        (&["calls"], 0, "no calls"),
        (&["queue"], 0, "nobody waits"),
        (&["registrations"], 0, "no registrations"),
        (&["pause", "221@acme"], 0, "221@acme"),
        (&["agents"], 0, "paused"),
        (&["resume", "221@acme"], 0, "221@acme"),
        (&["take-calls", "off", "221@acme"], 0, "221@acme"),
        (&["agents"], 0, "away"),
        (&["status"], 0, "serving"),
        (&["reload"], 0, "adopted"),
        (&["check"], 0, "no problem"),
        (&["explain", "--to", "08041234567"], 0, "sales"),
    ] {
        let output = switchboard(path, arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        assert!(text(&output.stdout).contains(says), "{arguments:?}: {output:?}");
    }
    drop(handle);
}

#[test]
fn a_question_about_what_does_not_exist_is_a_wrong_command_line() {
    let directory = directory(free_port());
    let path = directory.path();
    let elsewhere = path.join("control.sock");
    let handle = started(&directory);
    for (arguments, says) in [
        (&["pause", "999@acme"][..], "has no extension `999`"),
        (&["take-calls", "on", "22l@acme"], "did you mean `221`?"),
        (&["resume", "221@acmee"], "did you mean `acme`?"),
        (&["calls", "--company", "acmee"], "there is no company `acmee`; did you mean `acme`?"),
        (&["agents", "--company", "acmee"], "there is no company `acmee`"),
        (&["registrations", "--company", "acmee"], "there is no company `acmee`"),
        (&["queue", "--company", "acmee"], "there is no company `acmee`"),
        (
            &["explain", "--to", "08041234567", "--trunk", "airtell"],
            "there is no trunk `airtell`; did you mean `airtel`?",
        ),
        (&["explain", "--to", "08041234567", "--at", "tomorrow"], "`tomorrow` is no time"),
        (&["explain", "--to", "221@acme", "--from", "9@acme"], "has no extension `9`"),
    ] {
        // The daemon's answer, and for `explain` that of the files alike.
        let socket = ["--socket", elsewhere.to_str().unwrap()];
        let asked = run(Program::new(env!("CARGO_BIN_EXE_switchboard")).args(socket).args(arguments));
        for output in [asked, switchboard(path, arguments)] {
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
            assert!(text(&output.stderr).contains(says), "{arguments:?}: {output:?}");
        }
    }
    let output = switchboard(path, &["agents", "--company", "ACME.example"]);
    assert!(text(&output.stdout).contains("221@acme"), "a domain, in any case: {output:?}");
    assert_eq!(switchboard(path, &["pause", "221@Acme.Example"]).status.code(), Some(0));
    let output = switchboard(path, &["take-calls", "on", "221@acme"]);
    assert_eq!(text(&output.stdout), "221@acme takes calls (still paused by an admin)\n");
    let output = switchboard(path, &["status"]);
    assert!(text(&output.stdout).contains("1 company, 1 number, 1 user"), "{output:?}");
    drop(handle);
}

#[test]
fn without_a_daemon_explain_says_where_else_to_ask_and_nothing_that_contradicts_it() {
    let nowhere = tempfile::tempdir().unwrap();
    let socket = nowhere.path().join("control.sock");
    let program = |arguments: &[&str]| {
        let output = run(Program::new(env!("CARGO_BIN_EXE_switchboard")).arg("--socket").arg(&socket).args(arguments));
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        text(&output.stderr)
    };
    let told = program(&["explain", "--to", "+918041234567"]);
    assert!(told.contains("to ask the files instead, give --config DIR"), "{told}");
    assert!(!told.contains("another configuration"), "{told}");
    assert!(program(&["agents"]).contains("another configuration"));
}

#[test]
fn a_wrong_command_line_is_status_two_with_usage() {
    for arguments in [&["dance"][..], &["pause"], &["explain"], &["agents", "--colour"]] {
        let output = run(Program::new(env!("CARGO_BIN_EXE_switchboard")).args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("--help"), "{output:?}");
    }
}

#[test]
fn a_reader_who_leaves_early_causes_no_panic() {
    let mut program = Program::new(env!("CARGO_BIN_EXE_switchboard"));
    let mut child = begin(program.arg("man").stdout(Stdio::piped()).stderr(Stdio::piped()));
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_digest_is_made_for_the_companys_domain() {
    let directory = directory(free_port());
    let passwd = |user: &str| switchboard(directory.path(), &["passwd", "--generate", "--user", user]);
    let said = text(&passwd("221@acme").stdout);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(lines[1], "# for 221@acme.example");
    assert!(lines[2].starts_with("digest = { sha-256 ="), "{said}");
    let output = passwd("221@acne");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("acme (acme.example)"), "{output:?}");
}

/// The example directory, with its ports replaced by free ones.
fn example(port: u16, trunk: u16) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    fs::create_dir_all(directory.path().join("config/companies")).unwrap();
    for company in ["companies/acme.toml", "companies/globex.toml"] {
        fs::copy(from.join(company), directory.path().join("config").join(company)).unwrap();
    }
    let machine = fs::read_to_string(from.join("switchboard.toml")).unwrap();
    assert!(machine.contains("udp:0.0.0.0:5060") && machine.contains("127.0.0.1:5070"));
    let machine = machine
        .replace("udp:0.0.0.0:5060", &format!("udp:127.0.0.1:{port}"))
        .replace("127.0.0.1:5070", &format!("127.0.0.1:{trunk}"));
    fs::write(directory.path().join("config/switchboard.toml"), machine).unwrap();
    directory
}

fn phone(extension: &str, port: u16, seed: u64) -> (Phone, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let settings = PhoneSettings {
        extension: extension.into(),
        domain: "acme.example".into(),
        password: format!("change-me-{extension}"),
        address: socket.local_addr().unwrap(),
        registrar: ([127, 0, 0, 1], port).into(),
        behaviour: Behaviour::answer_after(Duration::from_millis(50)),
        seed,
    };
    (Phone::new(settings), socket)
}

/// What is due and what has come, once; the peer's drain rule is kept.
macro_rules! turn {
    ($peer:expr, $socket:expr, $now:expr) => {{
        let mut buffer = [0; 8192];
        if $peer.deadline().is_some_and(|deadline| deadline <= $now) {
            $peer.on_timeout($now);
        }
        while let Ok((length, from)) = $socket.recv_from(&mut buffer) {
            $peer.receive($now, from, &buffer[..length]);
        }
        while let Some(datagram) = $peer.poll_output() {
            $socket.send_to(&datagram.bytes, datagram.to).unwrap();
        }
        std::iter::from_fn(|| $peer.poll_event()).collect::<Vec<_>>()
    }};
}

/// At every hour: support's hours decide whether 222 rings, or 223 at night; both are there.
#[test]
fn the_example_configuration_routes_a_call_as_it_stands() {
    let (port, trunk_socket) = (free_port(), UdpSocket::bind("127.0.0.1:0").unwrap());
    trunk_socket.set_nonblocking(true).unwrap();
    let trunk_address = trunk_socket.local_addr().unwrap();
    let directory = example(port, trunk_address.port());
    let handle = Daemon::from_directory(directory.path().join("config"))
        .unwrap()
        .with_control(ControlSocket::Open)
        .start()
        .unwrap();
    // 223's mobile is called through the same trunk and is not answered.
    let behaviour = Behaviour::ring_only();
    let settings = TrunkSettings { behaviour, ..TrunkSettings::new(trunk_address, ([127, 0, 0, 1], port).into(), 7) };
    let mut trunk = Trunk::new(settings);
    let mut phones = [phone("222", port, 1), phone("223", port, 2)];
    let clock = Clock::start();
    for (phone, _) in &mut phones {
        phone.register(clock.mono(), 600);
    }
    let (mut registered, mut call, mut connected, mut ended) = (0, None, false, false);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !ended {
        assert!(std::time::Instant::now() < deadline, "{registered} registered, connected: {connected}");
        let now = clock.mono();
        for (phone, socket) in &mut phones {
            for event in turn!(phone, socket, now) {
                assert!(!matches!(event, PhoneEvent::RegistrationFailed { .. }), "{event:?}");
                registered += u32::from(matches!(event, PhoneEvent::Registered { .. }));
            }
        }
        if registered == 2 && call.is_none() {
            call = Some(trunk.call(now, "08041234568", "09811112222"));
        }
        for (of, event) in turn!(trunk, trunk_socket, now) {
            match event {
                CallEvent::Answered { .. } if Some(of) == call => {
                    connected = true;
                    trunk.hang_up(now, of);
                }
                CallEvent::Refused { .. } if Some(of) == call => panic!("{event:?}"),
                CallEvent::Ended { .. } if Some(of) == call => ended = true,
                _ => {}
            }
        }
        std::thread::yield_now();
    }
    assert!(connected);
    handle.shut_down();
}

#[test]
fn the_demonstration_goes_as_it_should() {
    let output = run(Program::new(env!("CARGO_BIN_EXE_switchboard")).arg("demo"));
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("Call completed elsewhere"));
}
