//! Where the call log is, and on whose clocks it is read: the store's file itself, so that it can be read when no daemon runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;

use super::local_time::local_zone;
use super::outcome::Failure;
use super::place::Place;
use crate::config::{self, counted};
use crate::control::{self, Answer, Request};
use crate::engine::Command;
use crate::id::CompanyId;
use crate::state::{CallLog, StoreError};

/// The log, and the configuration beside it.
pub(super) struct Books {
    pub(super) log: CallLog,
    configuration: PathBuf,
    zones: BTreeMap<CompanyId, Option<Tz>>,
}

impl Books {
    /// Opens the log of `--config`, else of the daemon that runs, else of the configuration where one is looked for.
    pub(super) fn open(place: &Place) -> Result<Books, Failure> {
        let configuration = match place.given() {
            Some(given) => given.to_owned(),
            None => match daemons_configuration(place) {
                Some(directory) => directory,
                None => place.configuration()?,
            },
        };
        let Some(directory) = config::state_directory(&configuration) else {
            return Err(Failure::no(format!(
                "{} has no `[state] directory`: without one no calls are kept",
                configuration.join("switchboard.toml").display()
            )));
        };
        let log = CallLog::open(&directory)?;
        Ok(Books { log, configuration, zones: BTreeMap::new() })
    }

    /// A company by the id or domain that was typed: one that is configured, or that the log has calls of.
    pub(super) fn company(&self, name: &str) -> Result<CompanyId, Failure> {
        let domains = config::domains(&self.configuration).unwrap_or_default();
        let id = CompanyId::new(name);
        if domains.contains_key(&id) {
            return Ok(id);
        }
        let domain = name.to_ascii_lowercase();
        if let Some((id, _)) = domains.iter().find(|(_, other)| other.as_deref() == Some(domain.as_str())) {
            return Ok(id.clone());
        }
        if self.log.knows(&id)? {
            return Ok(id);
        }
        let known = domains.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let known = if domains.len() > 12 { counted(domains.len(), "company", "companies") } else { known };
        Err(Failure::usage(format!("there is no company `{name}`, and the log has no calls of one; there is: {known}")))
    }

    /// The clock of a company; UTC where that is not known.
    pub(super) fn zone(&mut self, company: Option<&CompanyId>) -> Tz {
        let Some(company) = company else { return Tz::UTC };
        let configuration = &self.configuration;
        let zone = self.zones.entry(company.clone()).or_insert_with(|| config::zone(configuration, company));
        zone.unwrap_or(Tz::UTC)
    }

    /// The clock that times on the command line are on: the company's, or the machine's where all are looked at.
    pub(super) fn clock(&mut self, company: Option<&CompanyId>) -> Tz {
        match company {
            Some(_) => self.zone(company),
            None => local_zone().unwrap_or(Tz::UTC),
        }
    }
}

/// The configuration directory of the daemon that runs.
fn daemons_configuration(place: &Place) -> Option<PathBuf> {
    match control::ask(&place.socket(), &Request::Engine(Command::Status)) {
        Ok(Answer::Status(_, report)) => report.directory,
        Ok(Answer::Engine(_) | Answer::Reloaded(_)) | Err(_) => None,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::no(error.to_string())
    }
}
