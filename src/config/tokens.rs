//! `[control.tokens.NAME]`: who may ask the JSON API, and about whom. A token is 256 random bits, so its plain SHA-256 tells
//! nothing about it; a slow hash, as passwords need, would only let anybody who sends rubbish burn the daemon's time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::source::FileId;
use super::suggest::one_of;
use super::tree::{At, Entry, Finding, Findings, Table, Value, Wrong};
use super::words;
use crate::id::{CompanyId, Extension, UserId};

/// A bearer token of the JSON API.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The name of its table; for the log.
    pub name: String,
    /// [`hash`] of the token.
    pub sha256: [u8; 32],
    /// What its holder may do.
    pub role: TokenRole,
    /// Whom it is about.
    pub access: Access,
}

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenRole {
    /// Everything of the companies it may see.
    Administrator,
    /// Their reports and log.
    Manager,
    /// One user's own switch and calls.
    Agent,
}

/// Whom a token is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every company, also those that come later. Never an agent's.
    All,
    /// These companies, at least one. Never an agent's.
    Companies(BTreeSet<CompanyId>),
    /// This user alone. Always an agent's.
    User(UserId),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Token { name, sha256: _, role, access } = self;
        f.debug_struct("Token").field("name", name).field("role", role).field("access", access).finish_non_exhaustive()
    }
}

impl Access {
    /// Whether it reaches that whole company: never for a single user.
    pub fn covers(&self, company: &CompanyId) -> bool {
        match self {
            Access::All => true,
            Access::Companies(companies) => companies.contains(company),
            Access::User(_) => false,
        }
    }
}

/// What stands under `sha-256` for a token: SHA-256 of all of its text, `sb_` included.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The roles by name.
pub(super) const ROLES: [(&str, TokenRole); 3] =
    [("administrator", TokenRole::Administrator), ("manager", TokenRole::Manager), ("agent", TokenRole::Agent)];

/// What is configured that a token may name.
pub(super) struct Known<'k> {
    /// Every company's file with its users' names as written.
    pub(super) companies: BTreeMap<CompanyId, (FileId, BTreeSet<&'k str>)>,
    /// Directories that could not be listed: what seems absent may be there.
    pub(super) unlisted: Vec<FileId>,
}

const HASH_HELP: &str = "`switchboard passwd --token` makes a token and prints the line that belongs here";

/// Reads them, in the order written.
pub(super) fn read(control: &Table<'_>, known: &Known<'_>, findings: &mut Findings) -> Vec<Token> {
    let mut first: BTreeMap<[u8; 32], At> = BTreeMap::new();
    let mut tokens = Vec::new();
    for entry in control.value("tokens").and_then(|value| value.table(findings)).iter().flat_map(Table::entries) {
        if let Err(wrong) = words::identifier(entry.name, "token") {
            findings.wrong(&entry.at, wrong);
        }
        let Some(table) = entry.value.table(findings) else { continue };
        let sha256 = sha256(&table, findings);
        if let Some(sha256) = sha256 {
            if let Some(other) = first.get(&sha256) {
                findings.report(
                    Finding::new(&entry.at, format!("token `{}` is another token over again", entry.name))
                        .label("the same `sha-256`")
                        .related(other, "as here")
                        .help("give each its own: `switchboard passwd --token` makes one"),
                );
            } else {
                first.insert(sha256, entry.at.clone());
            }
        }
        tokens.extend(token(entry, &table, sha256, known, findings));
    }
    tokens
}

fn token(
    entry: &Entry<'_>,
    table: &Table<'_>,
    sha256: Option<[u8; 32]>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<Token> {
    table.allow(&["sha-256", "role", "companies", "user"], findings);
    if table.value("role").is_none() {
        table.missing("role", "`role = \"administrator\"`, `\"manager\"` or `\"agent\"`", findings);
    }
    let role = table.value("role")?.read(findings, |text| words::one(text, "role", &ROLES))?;
    let (needed, foreign, why, help) = match role {
        TokenRole::Administrator | TokenRole::Manager => (
            "companies",
            "user",
            "only an agent's token is about one user",
            "the companies it may see: `companies = [\"acme\"]`, or \"all\"",
        ),
        TokenRole::Agent => (
            "user",
            "companies",
            "an agent's token is about its user alone, who says the company",
            "whose it is: `user = \"221@acme\"`",
        ),
    };
    if let Some(entry) = table.entry(foreign) {
        findings.report(
            Finding::new(&entry.at, format!("`{foreign}` in this token: {why}"))
                .label("not with this `role`")
                .help(format!("take it away; {help}")),
        );
    }
    let Some(value) = table.value(needed) else {
        table.missing(needed, help, findings);
        return None;
    };
    let access = match role {
        TokenRole::Administrator | TokenRole::Manager => companies(value, known, findings),
        TokenRole::Agent => user(value, known, findings),
    };
    Some(Token { name: entry.name.to_owned(), sha256: sha256?, role, access: access? })
}

fn sha256(table: &Table<'_>, findings: &mut Findings) -> Option<[u8; 32]> {
    let Some(value) = table.value("sha-256") else {
        table.missing("sha-256", HASH_HELP, findings);
        return None;
    };
    let text = value.text(findings)?;
    let Some(hash) = hexadecimal(text) else {
        findings.report(
            Finding::new(&value.at, "this is no SHA-256 of a token").label("not 64 hexadecimal digits").help(HASH_HELP),
        );
        return None;
    };
    if hash == self::hash("") {
        findings.report(
            Finding::new(&value.at, "this is the SHA-256 of nothing at all").label("of no token").help(HASH_HELP),
        );
        return None;
    }
    Some(hash)
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        let digit = |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(hash)
}

fn companies(value: &Value<'_>, known: &Known<'_>, findings: &mut Findings) -> Option<Access> {
    if let Some(text) = value.peek_text() {
        if text == "all" {
            return Some(Access::All);
        }
        let message = format!("`{text}` does not say which companies");
        findings.wrong(&value.at, Wrong::new(message, "names in brackets, `companies = [\"acme\"]`, or \"all\""));
        return None;
    }
    let list = value.list(findings)?;
    if list.is_empty() {
        findings.report(
            Finding::new(&value.at, "`companies` is empty: this token could see nothing")
                .label("empty")
                .help("name some, `companies = [\"acme\"]`, or \"all\""),
        );
    }
    let mut named = BTreeSet::new();
    for value in &list {
        let Some(name) = value.text(findings) else { continue };
        let id = CompanyId::new(name);
        if !known.companies.contains_key(&id) {
            findings.report(no_company(value, name, known));
        } else if !named.insert(id) {
            findings.report(
                Finding::new(&value.at, format!("company `{name}` is written twice"))
                    .label("again here")
                    .help("take one away"),
            );
        }
    }
    Some(Access::Companies(named))
}

fn no_company(value: &Value<'_>, name: &str, known: &Known<'_>) -> Finding {
    let names = known.companies.keys().map(CompanyId::as_str);
    let finding = Finding::new(&value.at, format!("there is no company `{name}`"))
        .label("no such company")
        .help(one_of(name, "companies", names.collect::<Vec<_>>()));
    known.unlisted.iter().fold(finding, |finding, file| finding.absent_from(*file))
}

fn user(value: &Value<'_>, known: &Known<'_>, findings: &mut Findings) -> Option<Access> {
    let text = value.text(findings)?;
    let Some((extension, company)) = text.split_once('@') else {
        let message = format!("`{text}` does not say whose token it is");
        findings.wrong(&value.at, Wrong::new(message, "the extension and the company's id: `user = \"221@acme\"`"));
        return None;
    };
    let Some((file, users)) = known.companies.get(company) else {
        findings.report(no_company(value, company, known));
        return None;
    };
    if !users.contains(extension) {
        findings.report(
            Finding::new(&value.at, format!("there is no user `{extension}` in company `{company}`"))
                .label("no such user")
                .help(one_of(extension, "users of this company", users.iter().copied()))
                .absent_from(*file),
        );
    }
    Some(Access::User(UserId::new(&CompanyId::new(company), &Extension::new(extension))))
}
