//! Single values of a configuration that need not be right: what a command must know just when the files have a problem, be it of
//! syntax.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{is_company_file, read_whole, words};
use crate::id::CompanyId;

/// The SIP domain of each company, by its id; `None` where the file does not say one that can be understood.
pub(crate) type Domains = BTreeMap<CompanyId, Option<String>>;

/// `[control] socket` as `switchboard.toml` in that directory has it, relative to the directory; `None` where it does not say.
pub(crate) fn control_socket(directory: &Path) -> Option<PathBuf> {
    let text = text_of(&directory.join("switchboard.toml"))?;
    let tree = DeTable::parse_recoverable(&text).0.into_inner();
    let DeValue::Table(control) = tree.get("control")?.get_ref() else { return None };
    let DeValue::String(socket) = control.get("socket")?.get_ref() else { return None };
    Some(directory.join(socket.as_ref())).filter(|_| !socket.is_empty())
}

/// `[state] directory` as `switchboard.toml` in that directory has it, relative to the directory; `None` where it does not say.
pub(crate) fn state_directory(directory: &Path) -> Option<PathBuf> {
    let text = text_of(&directory.join("switchboard.toml"))?;
    let tree = DeTable::parse_recoverable(&text).0.into_inner();
    let DeValue::Table(state) = tree.get("state")?.get_ref() else { return None };
    let DeValue::String(path) = state.get("directory")?.get_ref() else { return None };
    Some(directory.join(path.as_ref())).filter(|_| !path.is_empty())
}

/// A company's `timezone`; `None` where its file does not say one that can be understood.
pub(crate) fn zone(directory: &Path, company: &CompanyId) -> Option<chrono_tz::Tz> {
    let text = text_of(&directory.join("companies").join(format!("{company}.toml")))?;
    let tree = DeTable::parse_recoverable(&text).0.into_inner();
    let DeValue::String(zone) = tree.get("timezone")?.get_ref() else { return None };
    zone.parse().ok()
}

/// The domains of all companies.
///
/// # Errors
/// The directory of companies cannot be listed.
pub(crate) fn domains(directory: &Path) -> io::Result<Domains> {
    let mut domains = Domains::new();
    for entry in std::fs::read_dir(directory.join("companies"))? {
        let path = entry?.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        if let Some(id) = stem.filter(|_| is_company_file(&path)) {
            domains.insert(CompanyId::new(id), domain_in(&path));
        }
    }
    Ok(domains)
}

fn domain_in(path: &Path) -> Option<String> {
    let text = text_of(path)?;
    let tree = DeTable::parse_recoverable(&text).0.into_inner();
    let DeValue::String(domain) = tree.get("domain")?.get_ref() else { return None };
    words::domain(domain).ok()
}

/// A file's text, with what is not UTF-8 replaced.
fn text_of(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&read_whole(path).ok()?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_found_beside_a_fault_of_syntax() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for text in [
            "[sip]\nlisten = = 7\n[control]\nsocket = \"x.sock\"\n",
            "[control]\nsocket = \"x.sock\"\n[sip]\nlisten = [\"udp:\n",
            "[control]\nsocket = \"x.sock\"\n[trunks.t\n",
        ] {
            std::fs::write(path.join("switchboard.toml"), text).unwrap();
            assert_eq!(control_socket(path), Some(path.join("x.sock")), "{text}");
        }
        std::fs::write(path.join("switchboard.toml"), "[control]\nsocket = 7\n").unwrap();
        assert_eq!(control_socket(path), None);
    }

    #[test]
    fn domains_are_found_in_files_with_problems() {
        let directory = tempfile::tempdir().unwrap();
        let companies = directory.path().join("companies");
        assert!(domains(directory.path()).is_err());
        std::fs::create_dir(&companies).unwrap();
        std::fs::write(companies.join("acme.toml"), "domain = \"Acme.Example\"\n[users.221]\n").unwrap();
        std::fs::write(companies.join("globex.toml"), "domain = \"192.0.2.1\"\n").unwrap();
        std::fs::write(companies.join("acme.toml~"), "domain = \"old.example\"\n").unwrap();
        let found = domains(directory.path()).unwrap();
        assert_eq!(found.get("acme"), Some(&Some("acme.example".to_owned())));
        assert_eq!(found.get("globex"), Some(&None), "an address is no domain");
        assert_eq!(found.len(), 2);
    }
}
