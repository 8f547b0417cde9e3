//! `switchboard completions`

use clap::CommandFactory;
use clap_complete::Shell;

use super::outcome::{Failure, Outcome};
use super::screen::Screen;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "switchboard", &mut script);
    screen.raw(&script)?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::super::screen::Palette;
    use super::super::screen::tests::Paper;
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let paper = Paper::default();
            run(&Arguments { shell }, &mut paper.screen(Palette::Plain)).unwrap();
            assert!(paper.text().contains("take-calls"), "{shell}");
        }
    }
}
