//! What must hold across companies and trunks, and the plan made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::company::ReadCompany;
use super::machine::Machine;
use super::tree::{At, Finding, Findings};
use crate::id::CompanyId;
use crate::number::{DialRules, E164};
use crate::routing::{Company, Number, Plan};

/// Checks what companies share and makes the plan. `companies` in the order of their files' names.
pub(super) fn plan(machine: &Machine, companies: &[ReadCompany], findings: &mut Findings) -> Plan {
    unique_domains(companies, findings);
    let places = unique_numbers(companies, findings);
    clear_bare_forms(machine, &places, findings);
    let mut plan = Plan { trunks: machine.trunks.clone(), ..Plan::default() };
    for read in companies {
        let company = Arc::new(read.company.clone());
        plan.domains.insert(company.domain.clone(), company.clone());
        for (number, entry) in &company.numbers {
            let whose: (Arc<Company>, Arc<Number>) = (company.clone(), entry.clone());
            plan.numbers.insert(number.clone(), whose);
        }
        plan.companies.insert(company.id.clone(), company);
    }
    plan
}

fn unique_domains(companies: &[ReadCompany], findings: &mut Findings) {
    let mut first: BTreeMap<&str, (&CompanyId, &At)> = BTreeMap::new();
    for read in companies {
        let Some(at) = &read.domain else { continue };
        let company = &read.company;
        if let Some((other, other_at)) = first.get(company.domain.as_str()) {
            findings.report(
                Finding::new(at, format!("domain `{}` is company `{other}`'s already", company.domain))
                    .label("again here")
                    .related(other_at, "first here")
                    .help("phones are told apart by domain: give each company its own"),
            );
        } else {
            first.insert(&company.domain, (&company.id, at));
        }
    }
}

type Places<'a> = BTreeMap<&'a E164, (&'a CompanyId, &'a At)>;

fn unique_numbers<'a>(companies: &'a [ReadCompany], findings: &mut Findings) -> Places<'a> {
    let mut places: Places<'a> = BTreeMap::new();
    for read in companies {
        for (number, at) in &read.numbers {
            if let Some((other, other_at)) = places.get(number) {
                let whose = if **other == read.company.id { "this company" } else { "company" };
                let name = if **other == read.company.id { String::new() } else { format!(" `{other}`") };
                findings.report(
                    Finding::new(at, format!("number {number} is written twice: {whose}{name} has it already"))
                        .label("again here")
                        .related(other_at, "first here")
                        .help("a number belongs to exactly one company, and is written once"),
                );
            } else {
                places.insert(number, (&read.company.id, at));
            }
        }
    }
    places
}

/// on a trunk with a country code, bare digits could mean `+digits` or `+` country code + digits.
fn clear_bare_forms(machine: &Machine, places: &Places<'_>, findings: &mut Findings) {
    for trunk in machine.trunks.values() {
        let Some(code) = &trunk.dial.country_code else { continue };
        for (short, (_, short_at)) in places {
            let digits = short.as_str().strip_prefix('+').unwrap_or_default();
            if !is_bare(digits, &trunk.dial) {
                continue;
            }
            let Ok(long) = E164::parse(&format!("+{code}{digits}")) else { continue };
            let Some((_, long_at)) = places.get(&long) else { continue };
            findings.report(
                Finding::new(short_at, format!("on trunk `{}` the digits {digits} could mean {short} or {long}", trunk.id))
                    .label("this one")
                    .related(long_at, "or this one")
                    .help("move one of the numbers, or have that trunk write numbers with `+` and take its `country-code` away"),
            );
        }
    }
}

/// Whether digits are read without a prefix.
fn is_bare(digits: &str, rules: &DialRules) -> bool {
    let prefixes = [&rules.international_prefix, &rules.national_prefix];
    !prefixes.into_iter().flatten().any(|prefix| digits.starts_with(prefix.as_str()))
}
