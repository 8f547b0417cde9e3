//! Who is behind which users (product.md §1): `person`, else the e-mail address, else the user alone. Looks over all companies at
//! once, because a person may be in several.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{At, Finding, Findings, Table, Wrong};
use crate::id::{PersonId, UserId};

/// The e-mail addresses that users with a named `person` have, in lower case.
#[derive(Default)]
pub(super) struct Persons {
    by_email: BTreeMap<String, BTreeMap<String, At>>,
}

impl Persons {
    /// Looks over the users of these companies.
    pub(super) fn gather<'t>(companies: impl IntoIterator<Item = &'t Table<'t>>) -> Persons {
        let mut persons = Persons::default();
        for company in companies {
            let users = company.value("users").and_then(|users| users.peek_table());
            for entry in users.iter().flat_map(|users| users.entries()) {
                let Some(user) = entry.value.peek_table() else { continue };
                let text = |name: &str| user.value(name).and_then(|value| value.peek_text());
                if let (Some(person), Some(email)) = (text("person"), text("email")) {
                    let named = persons.by_email.entry(email.to_lowercase()).or_default();
                    named.entry(canonical(person)).or_insert_with(|| entry.at.clone());
                }
            }
        }
        persons
    }

    /// The person behind a user.
    pub(super) fn of(&self, id: &UserId, user: &Table<'_>, findings: &mut Findings) -> PersonId {
        if let Some(value) = user.value("person") {
            let person = value.read(findings, |text| {
                let blank = text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control());
                if blank || text.len() > 254 {
                    return Err(Wrong::new(
                        format!("`{}` cannot name a person", text.escape_debug()),
                        "a word without spaces, the same for every user this person is: `person = \"asha\"`",
                    ));
                }
                Ok(PersonId::new(canonical(text)))
            });
            return person.unwrap_or_else(|| PersonId::new(id.to_string()));
        }
        let email = user.value("email").and_then(|value| value.peek_text().map(|text| (value, text.to_lowercase())));
        let Some((value, email)) = email else { return PersonId::new(id.to_string()) };
        let Some(named) = self.by_email.get(&email) else { return PersonId::new(email) };
        if named.len() > 1 {
            let names: BTreeSet<String> = named.keys().map(|name| format!("`{name}`")).collect();
            let names = names.into_iter().collect::<Vec<_>>();
            let mut finding =
                Finding::new(&value.at, format!("whose address is this? Persons {} both have it", names.join(" and ")))
                    .label("more than one person's")
                    .help("say which one this user is with `person = …`");
            for (name, at) in named {
                finding = finding.related(at, format!("person `{name}`"));
            }
            findings.report(finding);
        }
        named.keys().next().map_or_else(|| PersonId::new(&email), PersonId::new)
    }
}

/// A `person` that is an e-mail address is compared as addresses are, in any case; a name is as it is written.
fn canonical(person: &str) -> String {
    if person.contains('@') { person.to_lowercase() } else { person.to_owned() }
}
