//! Where the configuration and the daemon's control socket are.

use std::path::{Path, PathBuf};

use super::outcome::Failure;
use crate::config;

/// The control socket where nothing says otherwise.
const DEFAULT_SOCKET: &str = "/run/switchboard/control.sock";

/// The directory and socket of this command line.
#[derive(Clone, Debug)]
pub(super) struct Place {
    given: Option<PathBuf>,
    socket: Option<PathBuf>,
}

impl Place {
    /// From `--config` and `--socket`.
    pub(super) fn new(config: Option<PathBuf>, socket: Option<PathBuf>) -> Place {
        Place { given: config, socket }
    }

    /// `--config`, if it was given.
    pub(super) fn given(&self) -> Option<&Path> {
        self.given.as_deref()
    }

    /// `--config`, else `/etc/switchboard` if it is there, else `./config`.
    pub(super) fn directory(&self) -> PathBuf {
        self.given.clone().unwrap_or_else(config::default_directory)
    }

    /// As [`Place::directory`], for commands that cannot do without one.
    ///
    /// # Errors
    /// None was given, and there is none where one is looked for.
    pub(super) fn configuration(&self) -> Result<PathBuf, Failure> {
        let directory = self.directory();
        if self.given.is_none() && !config::holds_configuration(&directory) {
            let [system, local] = config::DEFAULT_DIRECTORIES;
            return Err(Failure::no(format!(
                "there is no configuration: neither {system}/switchboard.toml nor ./{local}/switchboard.toml is there; say where it is with --config DIR"
            )));
        }
        Ok(directory)
    }

    /// `--socket`, else what the configuration says, else the default. The configuration need not be right for that: a running daemon is
    /// asked what it does just when the files have a problem.
    pub(super) fn socket(&self) -> PathBuf {
        if let Some(socket) = &self.socket {
            return socket.clone();
        }
        config::control_socket(&self.directory()).unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_found_in_a_configuration_with_problems() {
        let directory = tempfile::tempdir().unwrap();
        let text = "[sip]\nlisten = 7\nnonsense = true\n[control]\nsocket = \"/tmp/x.sock\"\n";
        std::fs::write(directory.path().join("switchboard.toml"), text).unwrap();
        let place = Place::new(Some(directory.path().into()), None);
        assert_eq!(place.socket(), Path::new("/tmp/x.sock"));
        std::fs::write(directory.path().join("switchboard.toml"), text.replace("/tmp/x.sock", "x.sock")).unwrap();
        assert_eq!(place.socket(), directory.path().join("x.sock"), "relative to the directory");
        std::fs::write(directory.path().join("switchboard.toml"), text.replace("= 7", "= = 7")).unwrap();
        assert_eq!(place.socket(), Path::new("/tmp/x.sock"), "also beside a fault of syntax");
        let place = Place::new(Some(directory.path().into()), Some("/tmp/y.sock".into()));
        assert_eq!(place.socket(), Path::new("/tmp/y.sock"), "--socket outranks the files");
    }

    #[test]
    fn without_a_word_about_it_the_socket_is_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(Some(directory.path().into()), None);
        assert_eq!(place.socket(), Path::new(DEFAULT_SOCKET));
        std::fs::write(directory.path().join("switchboard.toml"), "[[[").unwrap();
        assert_eq!(place.socket(), Path::new(DEFAULT_SOCKET));
    }
}
