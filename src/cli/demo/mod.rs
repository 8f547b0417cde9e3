//! `switchboard demo`: a real daemon and a few phones on loopback make calls, and each is drawn as a ladder.
//!
//! Everything is real but the people: UDP sockets, registrations with digest, the daemon as `run` starts it. The phones are
//! [`crate::peer`]'s, written on another SIP implementation than the daemon. Every call is checked; the answer is no if one did not
//! go as it should. `setting` is the configuration, `stage` moves the datagrams, `stories` are the calls.

mod setting;
mod stage;
mod stories;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::explain::{self, Assumption, Premise};
use super::outcome::{Failure, Outcome};
use super::screen::{Palette, Screen, Tone, terminal_width};
use crate::daemon::{Client, Clock, Daemon, wall};
use crate::engine::{Command, Question, Reply};
use crate::peer::ladder::{Colour, Drawing, Glyphs};
use crate::peer::{Behaviour, Phone, PhoneSettings, Trunk, TrunkSettings};
use setting::{Setting, free_port};
use stage::{Stage, What};
use stories::{ASHA, ASHA_AT_GLOBEX, BRUNO, CAROL, MEENA, RAVI, Wrong};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
    /// How wide to draw, in columns [default: the terminal's, else 120]
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
}

/// How wide to draw where there is no terminal.
const WIDTH: usize = 120;
/// How long the phones may take to register.
const REGISTRATION: Duration = Duration::from_secs(5);

pub(super) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let (daemon_address, trunk_address) = ports()?;
    let setting = Setting::write(wall(), daemon_address, trunk_address)
        .map_err(|error| Failure::no(format!("cannot write the demonstration's configuration: {error}")))?;
    let daemon = Daemon::from_directory(setting.directory()).and_then(Daemon::start);
    let handle = daemon.map_err(|error| Failure::no(format!("the daemon did not start:\n{error}")))?;
    screen.toned(
        Tone::Title,
        format!("switchboard listens on udp:{daemon_address}; the trunk calls from {trunk_address}"),
    )?;
    screen.flush()?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::no(format!("cannot start an event loop: {error}")))?;
    let performance = Performance {
        drawing: drawing(arguments, screen.palette()),
        client: handle.client(),
        registrar: daemon_address,
        trunk: trunk_address,
    };
    let outcome = runtime.block_on(performance.play(&setting, screen));
    drop(runtime);
    handle.shut_down();
    outcome
}

fn ports() -> Result<(SocketAddr, SocketAddr), Failure> {
    let both = free_port().and_then(|daemon| Ok((daemon, free_port()?)));
    both.map_err(|error| Failure::no(format!("there is no free port on loopback: {error}")))
}

fn drawing(arguments: &Arguments, palette: Palette) -> Drawing {
    let glyphs = if arguments.ascii { Glyphs::Ascii } else { Glyphs::Unicode };
    let colour = match palette {
        Palette::Colour => Colour::Always,
        Palette::Plain => Colour::Never,
    };
    let width = arguments.width.or_else(terminal_width).unwrap_or(WIDTH);
    Drawing { width, glyphs, colour }
}

struct Performance {
    drawing: Drawing,
    client: Client,
    registrar: SocketAddr,
    trunk: SocketAddr,
}

/// How the stories went.
#[derive(Default)]
struct Tally {
    right: usize,
    wrong: usize,
}

impl Performance {
    async fn play(&self, setting: &Setting, screen: &mut Screen) -> Result<Outcome, Failure> {
        let mut stage = self.set_up(setting).await.map_err(|error| Failure::no(error.to_string()))?;
        self.register(&mut stage, screen).await?;
        let mut tally = Tally::default();

        let result = stories::simultaneous(&mut stage).await;
        let talking = result.as_ref().ok().copied();
        self.show(
            "All of sales ring at once",
            "Acme's number, written as the carrier writes it. Asha answers first; the other two stop ringing and are told why.",
            &stage,
            result.map(drop),
            &mut tally,
            screen,
        )?;

        if let Some(call) = talking {
            let explained = self.explain("+442079460123").await;
            let result = stories::overflow(&mut stage, call).await;
            self.show(
                "Busy in one company, overflow in the other",
                "Asha also works for Globex, and a person takes one call at a time: her phone there stays silent and Bruno's rings.",
                &stage,
                result,
                &mut tally,
                screen,
            )?;
            match explained {
                Ok(record) => {
                    screen
                        .toned(Tone::Faint, "`switchboard explain --to +442079460123`, asked just before that call:")?;
                    screen.line("")?;
                    explain::print(&record, &Premise::of(Assumption::Running), screen)?;
                }
                Err(wrong) => {
                    tally.wrong += 1;
                    screen.toned(Tone::Bad, format!("explain: {wrong}"))?;
                }
            }
        } else {
            tally.wrong += 1;
            screen.toned(Tone::Bad, "the overflow cannot be shown without that call")?;
        }

        let result = stories::after_hours(&mut stage).await;
        self.show(
            "After hours",
            "Accounts is closed today: the carrier gets 480 with a cause it can log, and nobody rings.",
            &stage,
            result,
            &mut tally,
            screen,
        )?;
        let result = stories::queue(&mut stage).await;
        self.show(
            "Waiting in line",
            "Carol is talking, so the second caller is told 182 Queued, and is connected the moment she is free.",
            &stage,
            result,
            &mut tally,
            screen,
        )?;
        self.close(&mut stage, &mut tally, screen).await?;

        screen.line("")?;
        if tally.wrong == 0 {
            screen.toned(Tone::Good, format!("all {} checks went as they should", tally.right))?;
            Ok(Outcome::Done)
        } else {
            screen.toned(Tone::Bad, format!("{} of {} checks failed", tally.wrong, tally.wrong + tally.right))?;
            Ok(Outcome::No)
        }
    }

    async fn set_up(&self, setting: &Setting) -> io::Result<Stage> {
        let mut stage = Stage::new(Clock::start());
        let answers = |millis| Behaviour::answer_after(Duration::from_millis(millis));
        let phones = [
            (ASHA, "221", "acme.example", answers(700)),
            (RAVI, "222", "acme.example", Behaviour::ring_only()),
            (MEENA, "223", "acme.example", Behaviour::ring_only()),
            (ASHA_AT_GLOBEX, "305", "globex.example", answers(300)),
            (BRUNO, "306", "globex.example", answers(300)),
            (CAROL, "307", "globex.example", answers(300)),
        ];
        for (seed, (name, extension, domain, behaviour)) in (1..).zip(phones) {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let settings = PhoneSettings {
                extension: extension.into(),
                domain: domain.into(),
                password: setting.password.clone(),
                address: socket.local_addr()?,
                registrar: self.registrar,
                behaviour,
                seed,
            };
            stage.add_phone(name, Phone::new(settings), socket);
        }
        let socket = UdpSocket::bind(self.trunk).await?;
        stage.add_trunk(Trunk::new(TrunkSettings::new(self.trunk, self.registrar, 100)), socket);
        Ok(stage)
    }

    async fn register(&self, stage: &mut Stage, screen: &mut Screen) -> Result<(), Failure> {
        const PHONES: usize = 6;
        let registered =
            |stage: &Stage| stage.seen().iter().filter(|seen| seen.what == What::Registered).count() >= PHONES;
        let all = stage.until(REGISTRATION, registered).await.map_err(|error| Failure::no(error.to_string()))?;
        if !all {
            let refused = stage.seen().iter().filter(|seen| matches!(seen.what, What::NotRegistered(_)));
            let refused: Vec<String> = refused.map(|seen| format!("{}: {:?}", seen.who, seen.what)).collect();
            return Err(Failure::no(format!("not every phone could register: {}", refused.join(", "))));
        }
        screen.line(format!("{PHONES} phones are registered: {ASHA}, {RAVI}, {MEENA} at acme; {ASHA_AT_GLOBEX}, {BRUNO}, {CAROL} at globex"))?;
        screen.flush()?;
        Ok(())
    }

    async fn explain(&self, number: &str) -> Result<Box<crate::routing::DecisionRecord>, Wrong> {
        let question = Question { to: number.into(), ..Question::default() };
        match self.client.command(Command::Explain(question)).await {
            Ok(Reply::Explained(record)) => Ok(record),
            Ok(other) => Err(format!("{other:?}")),
            Err(gone) => Err(gone.to_string()),
        }
    }

    fn show(
        &self,
        title: &str,
        words: &str,
        stage: &Stage,
        result: Result<(), Wrong>,
        tally: &mut Tally,
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        screen.line("")?;
        screen.toned(Tone::Title, title)?;
        screen.line(words)?;
        screen.line("")?;
        screen.raw(stage.ladder().draw(self.drawing).as_bytes())?;
        match result {
            Ok(()) => {
                tally.right += 1;
                screen.toned(Tone::Good, "as it should")?;
            }
            Err(wrong) => {
                tally.wrong += 1;
                screen.toned(Tone::Bad, format!("NOT as it should: {wrong}"))?;
            }
        }
        screen.line("")?;
        screen.flush()?;
        Ok(())
    }

    /// Every call is over: the daemon must know of none.
    async fn close(&self, stage: &mut Stage, tally: &mut Tally, screen: &mut Screen) -> Result<(), Failure> {
        // What is on its way arrives first.
        stage.play(Duration::from_millis(100)).await.map_err(|error| Failure::no(error.to_string()))?;
        match self.client.command(Command::Calls).await {
            Ok(Reply::Calls(calls)) if calls.is_empty() => tally.right += 1,
            Ok(other) => {
                tally.wrong += 1;
                screen.toned(Tone::Bad, format!("every call is over, but the daemon says {other:?}"))?;
            }
            Err(gone) => {
                tally.wrong += 1;
                screen.toned(Tone::Bad, gone.to_string())?;
            }
        }
        Ok(())
    }
}
