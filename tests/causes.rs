//! R-6, R-10: whoever asks why a phone did not ring finds the cause with one command. Each row has a small
//! configuration, the state it is about, one command line of the real program, and the words that name the cause.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod children;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command as Program;
use std::time::Duration;

use switchboard::daemon::{Clock, ControlSocket, Daemon, Handle};
use switchboard::engine::Command;
use switchboard::peer::{Behaviour, CallEvent, Phone, PhoneEvent, PhoneSettings, Trunk, TrunkSettings};
use tempfile::TempDir;

use children::{free_port, no_child_begins, run};

/// Sales in the day, support behind it; Asha works for Globex too; 223 is in nothing.
const ACME: &str = r#"
name            = "Acme Traders"
domain          = "acme.example"
timezone        = "Asia/Kolkata"
blocked-callers = ["+9114012*"]

[hours.office]
week = { mon-fri = ["09:30-18:30"] }

[hours.mornings]
week = { mon-sun = ["06:00-12:00"] }

[numbers."+918041234567"]
label  = "Sales"
routes = [{ to = "department:sales" }]

[numbers."+918041234568"]
routes = [{ hours = "office", to = "department:sales" }]

[numbers."+918041234569"]
routes = [{ to = "department:projects" }]

[departments.sales]
members  = ["221", "222"]
strategy = "serial"
ring     = "25s"
overflow = { default = "department:support" }

[departments.support]
members = ["224"]

[departments.projects]
members = []

[users.221]
name     = "Asha Rao"
person   = "asha"
password = "a password of hers"

[users.222]
name     = "Ravi Shah"
hours    = "mornings"
password = "a password of his"

[users.223]
name     = "Mina Das"
password = "a password of hers"

[users.224]
name     = "Otto Kern"
password = "a password of his"
"#;

const GLOBEX: &str = r#"
name     = "Globex"
domain   = "globex.example"
timezone = "Europe/London"

[numbers."+442079460123"]
routes = [{ to = "user:305" }]

[users.305]
name     = "Asha Rao"
person   = "asha"
password = "a password of hers"
"#;

/// A configuration directory; the trunk is at that port of loopback.
fn directory(acme: &str, port: u16, trunk: u16) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir(path.join("companies")).unwrap();
    fs::write(path.join("companies/acme.toml"), acme).unwrap();
    fs::write(path.join("companies/globex.toml"), GLOBEX).unwrap();
    let machine = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{port}\"]\n[control]\nsocket = \"{0}/control.sock\"\n[state]\ndirectory = \"{0}/state\"\n\
         [trunks.airtel]\nsources = [\"127.0.0.1:{trunk}\"]\ncountry-code = \"91\"\nnational-prefix = \"0\"\n",
        path.display()
    );
    fs::write(path.join("switchboard.toml"), machine).unwrap();
    directory
}

/// What one command says, which succeeds.
fn told(place: &[&str], arguments: &[&str]) -> String {
    let output = run(Program::new(env!("CARGO_BIN_EXE_switchboard")).args(place).arg("explain").args(arguments));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The command, asked of a directory.
fn of_files(acme: &str, arguments: &[&str]) -> String {
    let directory = directory(acme, 5060, 5070);
    told(&["--config", directory.path().to_str().unwrap()], arguments)
}

/// The command, asked of a running daemon.
fn of_daemon(directory: &Path, arguments: &[&str]) -> String {
    told(&["--socket", directory.join("control.sock").to_str().unwrap()], arguments)
}

fn started(directory: &TempDir) -> Handle {
    Daemon::from_directory(directory.path()).unwrap().with_control(ControlSocket::Open).start().unwrap()
}

#[track_caller]
fn says(said: &str, words: &str) {
    assert!(said.contains(words), "\n{said}\n… does not say: {words}");
}

#[test]
fn user_in_no_department() {
    let said = of_files(ACME, &["--to", "08041234567", "--user", "223@acme"]);
    says(&said, "223@acme does not ring: it is a member of no department\n");
}

#[test]
fn switched_off() {
    let directory = directory(ACME, free_port(), 5070);
    let daemon = started(&directory);
    daemon.command(Command::TakeCalls { user: "221@acme".into(), takes: false }).unwrap();
    let said = of_daemon(directory.path(), &["--to", "08041234567", "--user", "221@acme"]);
    says(&said, "221@acme does not ring: sales skips it as away: switched off by the user\n");
}

#[test]
fn outside_their_hours() {
    let said = of_files(ACME, &["--to", "08041234567", "--at", "2026-11-23 15:00", "--user", "222@acme"]);
    says(
        &said,
        "222@acme does not ring: sales skips it as off-hours: outside mornings until Tue 06:00 IST (it is Mon 15:00; mon 06:00-12:00)\n",
    );
    // On whatever clock the admin asks.
    let said = of_files(ACME, &["--to", "08041234567", "--at", "2026-11-23T09:30:00Z"]);
    says(&said, "Mon 2026-11-23 15:00:00 +05:30");
    says(&said, "222  222@acme  skipped: off-hours  ");
    says(&said, "outside mornings until Tue 06:00 IST");
}

#[test]
fn phone_not_registered() {
    let directory = directory(ACME, free_port(), 5070);
    let _daemon = started(&directory);
    let said = of_daemon(directory.path(), &["--to", "08041234567", "--user", "221@acme"]);
    says(&said, "221@acme does not ring: sales skips it as not-registered: no device is registered\n");
}

#[test]
fn wrong_companys_number() {
    let said = of_files(ACME, &["--to", "+442079460123", "--user", "221@acme"]);
    says(&said, "221@acme does not ring: +442079460123 is a number of globex, and 221 a user of acme\n");
}

#[test]
fn no_route_at_this_hour() {
    let said = of_files(ACME, &["--to", "08041234568", "--at", "2026-11-22 10:00"]);
    says(&said, "passed   department:sales: outside office until Mon 09:30 IST (it is Sun 10:00; sun closed)\n");
    says(&said, "no route is open now");
}

#[test]
fn company_suspended() {
    let said =
        of_files(&ACME.replace("[hours.office]", "status = \"suspended\"\n[hours.office]"), &["--to", "08041234567"]);
    says(&said, "refused  suspended: status is suspended\n");
    says(&said, "acme is suspended");
}

#[test]
fn empty_department() {
    let said = of_files(ACME, &["--to", "08041234569"]);
    says(&said, "1. projects, simultaneous");
    says(&said, "it has no members\n");
}

#[test]
fn caller_blocked() {
    let said = of_files(ACME, &["--to", "08041234567", "--from", "+911401234567"]);
    says(&said, "refused  blocked-caller: +9114012*\n");
    says(&said, "the caller is blocked");
}

#[test]
fn overflow_to_the_wrong_place() {
    let morning = &["--to", "08041234567", "--at", "2026-11-23 10:00"];
    let said = of_files(ACME, &[&morning[..], &["--busy", "asha", "--away", "222@acme"]].concat());
    says(&said, "left     busy, on to department:support (overflow.default)\n");
    says(&said, "2. support, simultaneous (overflow: busy)");
    let said = of_files(ACME, &[&morning[..], &["--user", "224@acme"]].concat());
    says(&said, "224@acme rings after 50 s for 25 s as offer 3, in support, if nobody answers before\n");
}

fn peer_socket() -> UdpSocket {
    let _alone = no_child_begins();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
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

/// Asha's phone at Globex is on a call, a real one; at Acme she has a phone that is registered and silent.
#[test]
fn busy_in_the_other_company() {
    let (port, trunk_socket) = (free_port(), peer_socket());
    let trunk_address = trunk_socket.local_addr().unwrap();
    let directory = directory(ACME, port, trunk_address.port());
    let daemon = started(&directory);
    let server = ([127, 0, 0, 1], port).into();
    let mut trunk = Trunk::new(TrunkSettings::new(trunk_address, server, 7));
    let mut phones = [("221", "acme.example", 1), ("305", "globex.example", 2)].map(|(extension, domain, seed)| {
        let socket = peer_socket();
        let settings = PhoneSettings {
            extension: extension.into(),
            domain: domain.into(),
            password: "a password of hers".into(),
            address: socket.local_addr().unwrap(),
            registrar: server,
            behaviour: Behaviour::answer_after(Duration::ZERO),
            seed,
        };
        (Phone::new(settings), socket)
    });
    let clock = Clock::start();
    for (phone, _) in &mut phones {
        phone.register(clock.mono(), 600);
    }
    let (mut registered, mut call, mut talking) = (0, None, false);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !talking {
        assert!(std::time::Instant::now() < deadline, "{registered} registered");
        let now = clock.mono();
        for (phone, socket) in &mut phones {
            for event in turn!(phone, socket, now) {
                assert!(!matches!(event, PhoneEvent::RegistrationFailed { .. }), "{event:?}");
                registered += u32::from(matches!(event, PhoneEvent::Registered { .. }));
            }
        }
        if registered == 2 && call.is_none() {
            call = Some(trunk.call(now, "+442079460123", "+919811112222"));
        }
        talking = turn!(trunk, trunk_socket, now).iter().any(|(_, event)| matches!(event, CallEvent::Answered { .. }));
        std::thread::yield_now();
    }
    let said = of_daemon(directory.path(), &["--to", "08041234567", "--user", "221@acme"]);
    says(&said, "221@acme does not ring: sales skips it as on-call: at globex since ");
    assert!(!said.contains("+919811112222"), "R-10: nobody learns who calls the other company: {said}");
    daemon.shut_down();
}
