//! The command line: one file per subcommand. Prints for people first, `--json` for programs; exit status 0 done, 1 the answer is
//! no, 2 the command line is wrong, 3 the daemon cannot be reached.

mod ask;
mod check;
mod completions;
mod demo;
mod explain;
mod listings;
mod local_time;
mod log_level;
mod man;
mod outcome;
mod passwd;
mod place;
mod reload;
mod run;
mod screen;
mod status;
mod switches;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use local_time::local_zone;
use outcome::{Failure, Outcome};
use place::Place;
use screen::Screen;

/// Decides which phone rings when somebody calls a company.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version = version(), max_term_width = 120, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 done, 1 the answer is no, 2 the command line is wrong, 3 the daemon cannot be reached."
)]
struct Arguments {
    /// The configuration directory [default: /etc/switchboard, then ./config]
    #[arg(long, global = true, value_name = "DIR")]
    config: Option<PathBuf>,
    /// The daemon's control socket [default: what the configuration says]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run the daemon, in the foreground
    Run(run::Arguments),
    /// Print every problem in the configuration
    Check(check::Arguments),
    /// Who would ring, in what order, and why each of the others would not
    Explain(explain::Arguments),
    /// Run a real daemon and a few phones on loopback, make calls and draw their ladders
    Demo(demo::Arguments),
    /// How the daemon is
    Status(status::Arguments),
    /// Calls going on
    Calls(listings::Arguments),
    /// Users, and whether each could be rung now
    Agents(listings::Arguments),
    /// Registered devices
    Registrations(listings::Arguments),
    /// Calls that wait
    Queue(listings::Arguments),
    /// Switch a user's calls on or off, as the user would
    TakeCalls(switches::TakeCalls),
    /// Stop a user from being rung, whatever the user's own switch says
    Pause(switches::User),
    /// Undo `pause`
    Resume(switches::User),
    /// Load the configuration again: all of it, or nothing where it has a problem
    Reload(reload::Arguments),
    /// Print how much is logged, or change it until the next start
    LogLevel(log_level::Arguments),
    /// Make the digest that stands for a password in the configuration
    Passwd(passwd::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
    /// Print the manual page
    Man(man::Arguments),
}

/// The program's version and that of the zone data compiled into it.
fn version() -> &'static str {
    use std::sync::LazyLock;
    static VERSION: LazyLock<String> =
        LazyLock::new(|| format!("{} (time zones {})", env!("CARGO_PKG_VERSION"), chrono_tz::IANA_TZDB_VERSION));
    &VERSION
}

/// Does what the process's arguments say.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output with status 0, errors with their usage to standard error with 2. A
            // reader who has gone does not matter.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()) * Outcome::Usage.code());
        }
    };
    let mut screen = Screen::stdout();
    let result = dispatch(arguments, &mut screen).and_then(|outcome| {
        screen.flush()?;
        Ok(outcome)
    });
    match result {
        Ok(outcome) => outcome.into(),
        Err(Failure::ReaderGone) => Outcome::Done.into(),
        Err(Failure::Said { outcome, message }) => {
            // What was printed before comes before. A standard error that is closed cannot be told anything.
            let _ = screen.flush();
            let _ = screen::complain(&message);
            outcome.into()
        }
    }
}

fn dispatch(arguments: Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let place = Place::new(arguments.config, arguments.socket);
    match arguments.command {
        Subcommands::Run(arguments) => run::run(&place, arguments),
        Subcommands::Check(arguments) => check::run(&place, &arguments, screen),
        Subcommands::Explain(arguments) => explain::run(&place, arguments, screen),
        Subcommands::Demo(arguments) => demo::run(&arguments, screen),
        Subcommands::Status(arguments) => status::run(&place, &arguments, screen),
        Subcommands::Calls(arguments) => listings::calls(&place, &arguments, screen),
        Subcommands::Agents(arguments) => listings::agents(&place, &arguments, screen),
        Subcommands::Registrations(arguments) => listings::registrations(&place, &arguments, screen),
        Subcommands::Queue(arguments) => listings::queue(&place, &arguments, screen),
        Subcommands::TakeCalls(arguments) => switches::take_calls(&place, arguments, screen),
        Subcommands::Pause(arguments) => switches::pause(&place, arguments, screen),
        Subcommands::Resume(arguments) => switches::resume(&place, arguments, screen),
        Subcommands::Reload(arguments) => reload::run(&place, &arguments, screen),
        Subcommands::LogLevel(arguments) => log_level::run(&place, arguments, screen),
        Subcommands::Passwd(arguments) => passwd::run(&place, &arguments, screen),
        Subcommands::Completions(arguments) => completions::run(&arguments, screen),
        Subcommands::Man(arguments) => man::run(&arguments, screen),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn usage_error(line: &str) -> String {
        let error = Arguments::try_parse_from(line.split_whitespace()).unwrap_err();
        assert!(error.use_stderr(), "{line}: not an error");
        error.to_string()
    }

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_gets_its_usage() {
        for line in [
            "switchboard dance",
            "switchboard explain",
            "switchboard pause",
            "switchboard pause 221",
            "switchboard take-calls maybe 221@acme",
            "switchboard calls --colour",
            "switchboard passwd --user 221",
        ] {
            let error = usage_error(line);
            assert!(error.contains("Usage:") || error.contains("--help"), "{line}: {error}");
        }
        assert!(usage_error("switchboard cals").contains("calls"), "the nearest command is offered");
    }

    #[test]
    fn global_options_stand_before_or_behind_the_command() {
        for line in ["switchboard --config here check", "switchboard check --config here"] {
            let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
            assert_eq!(arguments.config, Some(PathBuf::from("here")));
        }
    }

    #[test]
    fn the_version_names_the_zone_data() {
        assert!(version().contains(chrono_tz::IANA_TZDB_VERSION));
    }
}
