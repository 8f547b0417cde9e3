//! What a user's phones prove themselves with: `password`, `password-file` or `digest`, and exactly one of them. Nothing here
//! puts any of it into a message.

use std::path::Path;

use super::company::ReadFile;
use super::passwords::{Weakness, weakness};
use super::tree::{At, Finding, Findings, Table, Value};
use crate::auth::{Offer, Secret};
use crate::id::Extension;

/// The user whose secret it is.
pub(super) struct Account<'a> {
    pub(super) extension: &'a Extension,
    /// `None` where the company's has a problem of its own.
    pub(super) domain: Option<&'a str>,
    /// Devices are to ring: they must be able to register.
    pub(super) needs_secret: bool,
    /// `sha-256` and `md5` under `[sip]`.
    pub(super) offer: Offer,
    /// What a relative `password-file` is relative to.
    pub(super) directory: &'a Path,
    pub(super) read_file: ReadFile<'a>,
    /// What a password may not be made of: names of the user and of the company.
    pub(super) names: &'a [&'a str],
}

/// A password that is weak: whose, and where it (or the name of its file) stands.
#[derive(Clone, Debug)]
pub(super) struct Weak {
    pub(super) extension: Extension,
    pub(super) at: At,
    pub(super) weakness: Weakness,
}

/// The secret, and what is weak about the password if it was given as one.
pub(super) struct Read {
    pub(super) secret: Secret,
    pub(super) weak: Option<Weak>,
}

const WAYS: [&str; 3] = ["password", "password-file", "digest"];
const HELP: &str = "one of `password = \"…\"`, `password-file = \"…\"` or `digest = { sha-256 = \"…\", md5 = \"…\" }`";

/// Reads the one way that is written.
pub(super) fn read(table: &Table<'_>, account: &Account<'_>, findings: &mut Findings) -> Read {
    let none = Read { secret: Secret::NONE, weak: None };
    let mut written = WAYS.iter().filter_map(|way| table.entry(way));
    let Some(first) = written.next() else {
        if account.needs_secret {
            let message = format!("user `{}` has no password: its phones could never register", account.extension);
            findings.report(
                Finding::new(&table.at, message)
                    .label("no password")
                    .help(format!("add {HELP}; or `ring-on = [\"mobile\"]` for a user without phones"))
                    .absent_from(table.at.file),
            );
        }
        return none;
    };
    for another in written {
        findings.report(
            Finding::new(&another.at, format!("`{}` and `{}`: one user has one secret", first.name, another.name))
                .label("another way")
                .related(&first.at, "one way")
                .help(HELP),
        );
    }
    let read = match first.name {
        "password" => {
            first.value.text(findings).and_then(|password| in_the_clear(password, &first.value, account, findings))
        }
        "password-file" => from_file(&first.value, account, findings),
        _ => digest(&first.value, account, findings).map(|secret| Read { secret, weak: None }),
    };
    read.unwrap_or(none)
}

fn in_the_clear(password: &str, value: &Value<'_>, account: &Account<'_>, findings: &mut Findings) -> Option<Read> {
    if password.is_empty() {
        findings.report(Finding::new(&value.at, "the password is empty").label("empty").help(HELP));
        return None;
    }
    judged(password, value, account)
}

fn judged(password: &str, value: &Value<'_>, account: &Account<'_>) -> Option<Read> {
    let secret = Secret::from_password(account.extension.as_str(), account.domain?, password);
    let weak = weakness(password, account.names).map(|weakness| Weak {
        extension: account.extension.clone(),
        at: value.at.clone(),
        weakness,
    });
    Some(Read { secret, weak })
}

/// The password is the file's first line.
fn from_file(value: &Value<'_>, account: &Account<'_>, findings: &mut Findings) -> Option<Read> {
    let password = first_line(value, account.directory, account.read_file, findings)?;
    judged(&password, value, account)
}

/// The first line of the file named there, relative to `directory`; never an empty one.
pub(super) fn first_line(
    value: &Value<'_>,
    directory: &Path,
    read_file: ReadFile<'_>,
    findings: &mut Findings,
) -> Option<String> {
    let name = value.text(findings)?;
    let help = "a file whose first line is the password; a relative path is relative to the directory of this file";
    let content = match read_file(&directory.join(name)) {
        Ok(content) => content,
        Err(error) => {
            findings.report(Finding::new(&value.at, format!("the password file cannot be read: {error}")).help(help));
            return None;
        }
    };
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => {
            findings.report(Finding::new(&value.at, "the first line of the password file is empty").help(help));
            None
        }
        Ok(password) => Some(password.to_owned()),
        Err(_) => {
            findings.report(Finding::new(&value.at, "the first line of the password file is not UTF-8").help(help));
            None
        }
    }
}

fn digest(value: &Value<'_>, account: &Account<'_>, findings: &mut Findings) -> Option<Secret> {
    let table = value.table(findings)?;
    table.allow(&["sha-256", "md5"], findings);
    if table.entries().is_empty() {
        findings.report(
            Finding::new(&table.at, "`digest` is empty")
                .label("empty")
                .help("`switchboard passwd` prints what belongs here"),
        );
        return None;
    }
    let mut hexadecimal = |name: &str, digits: usize| {
        let value = table.value(name)?;
        let text = value.text(findings)?;
        if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(text);
        }
        findings.report(
            Finding::new(&value.at, format!("this is no {name} digest"))
                .label(format!("not {digits} hexadecimal digits"))
                .help("`switchboard passwd` prints what belongs here"),
        );
        None
    };
    let (sha256, md5) = (hexadecimal("sha-256", 64), hexadecimal("md5", 32));
    if !account.offer.has_sha256() && table.value("md5").is_none() {
        findings.report(
            Finding::new(
                &table.at,
                "only a SHA-256 digest, and SHA-256 is switched off: this user's phones could never register",
            )
            .help("add the `md5` that `switchboard passwd` prints, or take `sha-256 = false` out of `[sip]`"),
        );
    }
    if !account.offer.has_md5() && table.value("sha-256").is_none() {
        findings.report(
            Finding::new(
                &table.at,
                "only an MD5 digest, and MD5 is switched off: this user's phones could never register",
            )
            .help("add the `sha-256` that `switchboard passwd` prints, or take `md5 = false` out of `[sip]`"),
        );
    }
    if sha256.is_none() && md5.is_none() {
        return None;
    }
    Secret::from_hex(sha256, md5)
}
