//! What is written and can have no effect: it hints at something else that was meant.

use super::super::tree::{Finding, Findings};
use super::written::Written;
use crate::routing::{Company, Strategy};

/// Keys of departments that other keys, or their absence, make idle.
pub(super) fn keys(written: &Written<'_>, company: &Company, findings: &mut Findings) {
    for entry in &written.departments {
        let Some(department) = company.departments.get(entry.name) else { continue };
        let overflow = entry.value("overflow").and_then(|value| value.peek_table());
        let in_overflow = |name: &str| overflow.as_ref().and_then(|overflow| overflow.entry(name));
        let waits = !department.wait.is_zero();
        let mut idle: Vec<(_, String, &str)> = Vec::new();
        if let (Some(entry), false) = (entry.entry("max-waiting"), waits) {
            let why = "`max-waiting` has no effect: nobody waits for this department".to_owned();
            idle.push((
                entry,
                why,
                "`wait = \"60s\"` lets callers wait for somebody to become free; it is \"0s\" where it is not written",
            ));
        }
        if let (Some(entry), true, 0) = (entry.entry("wait"), waits, department.max_waiting) {
            let why = "`wait` has no effect: `max-waiting = 0` lets nobody wait".to_owned();
            idle.push((entry, why, "raise `max-waiting`, or take `wait` away"));
        }
        if let (Some(entry), false) = (entry.entry("max-ring"), department.strategy == Strategy::Simultaneous) {
            let why = "`max-ring` has no effect: this strategy rings one member at a time".to_owned();
            idle.push((entry, why, "`strategy = \"simultaneous\"` rings several at once; or take `max-ring` away"));
        }
        if let (Some(entry), None) = (in_overflow("closed"), &department.hours) {
            let why = "`closed` never happens: this department has no `hours`, so it is always open".to_owned();
            idle.push((entry, why, "`hours = \"office\"` in the department closes it outside them; or take this away"));
        }
        for name in ["full", "timeout"] {
            if let (Some(entry), false) = (in_overflow(name), waits) {
                let why = format!("`{name}` never happens: nobody waits for this department");
                idle.push((entry, why, "`wait = \"60s\"` lets callers wait; without it the cause is `busy`"));
            }
        }
        for (entry, message, help) in idle {
            findings.report(Finding::warning(&entry.at, message).label("no effect").help(help));
        }
    }
}
