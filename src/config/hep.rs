//! `[hep]`: where copies of the signalling go, for a Homer server to show (HEP version 3).

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::company::ReadFile;
use super::credentials;
use super::tree::{Finding, Findings, Table, Wrong};
use super::words;

/// `[hep]`: present where copies are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hep {
    /// `collector`: where they are sent, over UDP.
    pub collector: SocketAddr,
    /// `capture-id`, default 1: what the collector tells its sources apart by.
    pub capture_id: u32,
    /// `password` or the first line of `password-file`: what the collector knows us by.
    pub password: Option<HepPassword>,
}

/// A password that is sent as it is, so that it cannot be kept as a digest. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct HepPassword(String);

impl HepPassword {
    /// The password, for the packet alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HepPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HepPassword(…)")
    }
}

/// Reads it out of the root of `switchboard.toml`, which is in `directory`.
pub(super) fn read(
    root: &Table<'_>,
    directory: &Path,
    read_file: ReadFile<'_>,
    findings: &mut Findings,
) -> Option<Hep> {
    let table = root.value("hep")?.table(findings)?;
    table.allow(&["collector", "capture-id", "password", "password-file"], findings);
    if table.value("collector").is_none() {
        table.missing("collector", "where the copies go: `collector = \"192.0.2.9:9060\"`", findings);
    }
    let collector = table.value("collector").and_then(|value| value.read(findings, collector));
    let capture_id = table.value("capture-id").and_then(|value| value.whole(0..=u32::MAX, findings));
    if let (Some(first), Some(another)) = (table.entry("password"), table.entry("password-file")) {
        findings.report(
            Finding::new(&another.at, "`password` and `password-file`: the collector knows one password")
                .label("another way")
                .related(&first.at, "one way")
                .help("take one away"),
        );
    }
    let in_the_clear = table.value("password").and_then(|value| {
        let text = value.text(findings)?;
        if text.is_empty() {
            findings.report(
                Finding::new(&value.at, "the password is empty")
                    .label("empty")
                    .help("leave `password` out where the collector wants none"),
            );
        }
        Some(text.to_owned())
    });
    let from_file = match table.value("password-file") {
        Some(value) if table.value("password").is_none() => {
            credentials::first_line(value, directory, read_file, findings)
        }
        Some(_) | None => None,
    };
    Some(Hep {
        collector: collector?,
        capture_id: capture_id.unwrap_or(1),
        password: in_the_clear.or(from_file).map(HepPassword),
    })
}

fn collector(text: &str) -> Result<SocketAddr, Wrong> {
    let help = "like \"192.0.2.9:9060\" or \"[2001:db8::9]:9060\"";
    let address = words::socket_address(text).map_err(|wrong| Wrong { help: help.to_owned(), ..wrong })?;
    if address.port() == 0 || address.ip().is_unspecified() {
        return Err(Wrong::new(format!("`{text}` is nobody's: nothing can be sent there"), help));
    }
    Ok(address)
}
