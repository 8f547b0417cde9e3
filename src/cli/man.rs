//! `switchboard man`

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use super::outcome::{Failure, Outcome};
use super::screen::Screen;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write a page for every subcommand into this directory instead
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let mut command = super::Arguments::command();
    command.build();
    match &arguments.directory {
        None => screen.raw(&page(&command)?)?,
        Some(directory) => {
            clap_mangen::generate_to(command, directory)
                .map_err(|error| Failure::no(format!("cannot write into {}: {error}", directory.display())))?;
        }
    }
    Ok(Outcome::Done)
}

/// One page: the whole, then the options of every subcommand.
fn page(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let title = format!(".SH \"SWITCHBOARD {}\"\n", subcommand.get_name().to_uppercase());
        text.extend_from_slice(title.as_bytes());
        let mut part = Vec::new();
        let man = Man::new(subcommand.clone());
        man.render_synopsis_section(&mut part)?;
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        // Sections of a page of its own are subsections here.
        let part = String::from_utf8_lossy(&part).replace(".SH ", ".SS ");
        text.extend_from_slice(part.as_bytes());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::screen::Palette;
    use super::super::screen::tests::Paper;
    use super::*;

    #[test]
    fn the_page_describes_every_subcommand() {
        let paper = Paper::default();
        run(&Arguments { directory: None }, &mut paper.screen(Palette::Plain)).unwrap();
        let text = paper.text();
        for subcommand in super::super::Arguments::command().get_subcommands() {
            assert!(text.contains(&subcommand.get_name().to_uppercase()), "{}", subcommand.get_name());
        }
        assert!(text.contains(".TH"), "it is a manual page");
    }

    #[test]
    fn a_directory_gets_a_page_each() {
        let directory = tempfile::tempdir().unwrap();
        let paper = Paper::default();
        run(&Arguments { directory: Some(directory.path().into()) }, &mut paper.screen(Palette::Plain)).unwrap();
        assert!(directory.path().join("switchboard.1").exists());
        assert!(directory.path().join("switchboard-explain.1").exists());
    }
}
