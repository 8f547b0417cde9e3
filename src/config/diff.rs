//! What changed between two versions, in words. It is logged at each reload, so it names things of the configuration but no
//! person's name, address or own number, and never a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::time::Duration;

use super::tokens::ROLES;
use super::words::{CAUSES, STRATEGIES, duration_words};
use super::{Access, Config, Hep, Limits, Token};
use crate::auth::Offer;
use crate::number::CallerPattern;
use crate::routing::{
    Company, CompanyStatus, Department, Destination, NamedHours, Number, Overflow, Rejection, RingOn, Role, Route,
    Source, Sticky, StickyMode, Trunk, User, UserStatus,
};

/// What changed between two versions, in words: `+2 users, −1 number, sales: ring 25s → 20s`; "no change". Companies are named
/// where more than one is concerned: `acme: +2 users; globex: −1 number`.
pub fn diff(old: &Config, new: &Config) -> String {
    let mut machine = Changes::default();
    settings(old, new, &mut machine);
    machine.counts("company", "companies", &old.plan.companies, &new.plan.companies);
    machine.counts("trunk", "trunks", &old.plan.trunks, &new.plan.trunks);
    each(&old.plan.trunks, &new.plan.trunks, |id, old, new| machine.inside(&format!("trunk {id}"), trunk(old, new)));
    let mut concerned: Vec<(String, String)> = Vec::new();
    each(&old.plan.companies, &new.plan.companies, |id, before, after| {
        let limits = |config: &Config| config.limits.get(id).cloned().unwrap_or_default();
        let changes = company(before, after, &limits(old), &limits(new));
        if !changes.list.is_empty() {
            concerned.push((id.to_string(), changes.list.join(", ")));
        }
    });
    let named = concerned.len() > 1;
    let mut parts: Vec<String> = Vec::new();
    if !machine.list.is_empty() {
        parts.push(machine.list.join(", "));
    }
    parts.extend(concerned.into_iter().map(|(id, words)| if named { format!("{id}: {words}") } else { words }));
    match (parts.is_empty(), named) {
        (true, _) => "no change".to_owned(),
        (false, true) => parts.join("; "),
        (false, false) => parts.join(", "),
    }
}

/// What changed in one thing.
#[derive(Default)]
struct Changes {
    list: Vec<String>,
}

impl Changes {
    /// `name old → new`, where they differ. What differs and reads alike "changed".
    fn value<T: PartialEq>(&mut self, name: &str, old: &T, new: &T, words: impl Fn(&T) -> String) {
        if old == new {
            return;
        }
        let (old, new) = (words(old), words(new));
        self.list.push(if old == new { format!("{name} changed") } else { format!("{name} {old} → {new}") });
    }

    /// `name changed`, where they differ: for what is too long for a line, or not for a log.
    fn quietly<T: PartialEq>(&mut self, name: &str, old: &T, new: &T) {
        if old != new {
            self.list.push(format!("{name} changed"));
        }
    }

    /// `+2 users`, `−1 number`.
    fn counts<K: Ord, V>(&mut self, one: &str, many: &str, old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) {
        let added = new.keys().filter(|key| !old.contains_key(key)).count();
        let removed = old.keys().filter(|key| !new.contains_key(key)).count();
        for (sign, count) in [('+', added), ('−', removed)] {
            if count > 0 {
                self.list.push(format!("{sign}{count} {}", if count == 1 { one } else { many }));
            }
        }
    }

    /// `sales: ring 25s → 20s and wait 0s → 1m`.
    fn inside(&mut self, name: &str, changes: Changes) {
        if !changes.list.is_empty() {
            self.list.push(format!("{name}: {}", changes.list.join(" and ")));
        }
    }
}

/// What is in both, in order.
fn each<K: Ord, V>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>, mut visit: impl FnMut(&K, &V, &V)) {
    for (key, before) in old {
        if let Some(after) = new.get(key) {
            visit(key, before, after);
        }
    }
}

fn settings(old: &Config, new: &Config, changes: &mut Changes) {
    let (a, b) = (&old.sip, &new.sip);
    changes.value("listen", &a.listen, &b.listen, |list| listed(list));
    changes.value("advertise", &a.advertise, &b.advertise, optional);
    changes.value("max-call", &a.max_call, &b.max_call, time);
    changes.value("digest algorithms", &a.algorithms, &b.algorithms, |offer| offered_words(*offer).to_owned());
    changes.value("registration-default", &a.registration_default, &b.registration_default, time);
    changes.value("registration-max", &a.registration_max, &b.registration_max, time);
    changes.value("registration-min", &a.registration_min, &b.registration_min, time);
    changes.value("control socket", &old.control.socket, &new.control.socket, |path| path.display().to_string());
    changes.value("control http", &old.control.http, &new.control.http, optional);
    let path = |path: &Option<std::path::PathBuf>| optional(&path.as_ref().map(|path| path.display()));
    changes.value("state directory", &old.state.directory, &new.state.directory, path);
    changes.value("state journal", &old.state.journal, &new.state.journal, path);
    changes.value("keep-calls", &old.state.keep_calls, &new.state.keep_calls, time);
    changes.value("log level", &old.log.level, &new.log.level, |level| level.as_str().to_owned());
    changes.value("log format", &old.log.format, &new.log.format, |format| format.as_str().to_owned());
    let collector = |hep: &Option<&Hep>| optional(&hep.map(|hep| hep.collector));
    let (a, b) = (old.hep.as_ref(), new.hep.as_ref());
    if a.map(|hep| hep.collector) != b.map(|hep| hep.collector) {
        changes.value("hep collector", &a, &b, collector);
    }
    if let (Some(a), Some(b)) = (a, b) {
        changes.value("hep capture-id", &a.capture_id, &b.capture_id, u32::to_string);
        changes.quietly("hep password", &a.password, &b.password);
    }
    tokens(&old.control.tokens, &new.control.tokens, changes);
}

/// Tokens by name: what each may do is told, its hash is not.
fn tokens(old: &[Token], new: &[Token], changes: &mut Changes) {
    let by_name = |tokens: &[Token]| -> BTreeMap<String, Token> {
        tokens.iter().map(|token| (token.name.clone(), token.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    changes.counts("token", "tokens", &old, &new);
    each(&old, &new, |name, old, new| {
        let mut inner = Changes::default();
        inner.quietly("hash", &old.sha256, &new.sha256);
        inner.value("role", &old.role, &new.role, |role| {
            ROLES.iter().find(|(_, other)| other == role).map(|(name, _)| (*name).to_owned()).unwrap_or_default()
        });
        inner.value("access", &old.access, &new.access, |access| match access {
            Access::All => "all".to_owned(),
            Access::Companies(companies) => listed(&companies.iter().collect::<Vec<_>>()),
            Access::User(user) => user.to_string(),
        });
        changes.inside(&format!("token {name}"), inner);
    });
}

fn trunk(old: &Trunk, new: &Trunk) -> Changes {
    let mut changes = Changes::default();
    let source = |source: &Source| match source.port {
        Some(port) => format!("{}:{port}", source.net),
        None => source.net.to_string(),
    };
    changes.value("sources", &old.sources, &new.sources, |list| listed(&list.iter().map(source).collect::<Vec<_>>()));
    changes.value("proxy", &old.proxy, &new.proxy, |proxy| match proxy {
        None => "none".to_owned(),
        Some(proxy) => match proxy.port {
            Some(port) => format!("{}:{port}", proxy.host),
            None => proxy.host.clone(),
        },
    });
    changes.value("country-code", &old.dial.country_code, &new.dial.country_code, optional);
    changes.value("national-prefix", &old.dial.national_prefix, &new.dial.national_prefix, optional);
    changes.value("international-prefix", &old.dial.international_prefix, &new.dial.international_prefix, optional);
    changes.value("max-calls", &old.max_calls, &new.max_calls, optional);
    changes.value("max-calls-per-second", &old.max_calls_per_second, &new.max_calls_per_second, optional);
    changes
}

fn company(old: &Company, new: &Company, old_limits: &Limits, new_limits: &Limits) -> Changes {
    let mut changes = Changes::default();
    changes.counts("user", "users", &old.users, &new.users);
    changes.counts("number", "numbers", &old.numbers, &new.numbers);
    changes.counts("department", "departments", &old.departments, &new.departments);
    changes.counts("schedule", "schedules", &old.hours, &new.hours);
    changes.value("name", &old.name, &new.name, String::clone);
    changes.value("domain", &old.domain, &new.domain, String::clone);
    changes.value("timezone", &old.timezone, &new.timezone, |zone| zone.name().to_owned());
    changes.value("status", &old.status, &new.status, |status| match status {
        CompanyStatus::Active => "active".to_owned(),
        CompanyStatus::Suspended => "suspended".to_owned(),
    });
    changes.quietly("blocked-callers", &old.blocked_callers, &new.blocked_callers);
    changes.value("max-calls", &old.max_calls, &new.max_calls, optional);
    changes.value("outbound-trunk", &old.outbound_trunk, &new.outbound_trunk, optional);
    changes.value("plan users", &old_limits.users, &new_limits.users, optional);
    changes.value("plan panel-seats", &old_limits.panel_seats, &new_limits.panel_seats, optional);
    let range = |range: &Option<(String, String)>| optional(&range.as_ref().map(|(low, high)| format!("{low}-{high}")));
    changes.value("plan extensions", &old_limits.extensions, &new_limits.extensions, range);
    each(&old.hours, &new.hours, |id, old, new| {
        let mut inner = Changes::default();
        inner.value("timezone", &old.zone, &new.zone, |zone| zone.name().to_owned());
        if inner.list.is_empty() {
            inner.quietly("windows", old, new);
        }
        changes.inside(&format!("hours {id}"), inner);
    });
    each(&old.numbers, &new.numbers, |id, old, new| changes.inside(id.as_str(), number(old, new)));
    each(&old.departments, &new.departments, |id, old, new| changes.inside(id.as_str(), department(old, new)));
    each(&old.users, &new.users, |id, old, new| changes.inside(id.as_str(), user(old, new)));
    changes
}

fn number(old: &Number, new: &Number) -> Changes {
    let mut changes = Changes::default();
    changes.value("label", &old.label, &new.label, optional);
    changes.value("hours", &hours_name(&old.hours), &hours_name(&new.hours), String::clone);
    // A schedule's own change is told once, where the schedule is.
    type Line<'a> = (String, &'a Option<Vec<CallerPattern>>, &'a Destination);
    fn lines(routes: &[Route]) -> Vec<Line<'_>> {
        routes.iter().map(|route| (hours_name(&route.hours), &route.callers, &route.to)).collect()
    }
    changes.quietly("routes", &lines(&old.routes), &lines(&new.routes));
    changes
}

fn department(old: &Department, new: &Department) -> Changes {
    let mut changes = Changes::default();
    changes.value("hours", &hours_name(&old.hours), &hours_name(&new.hours), String::clone);
    members(old, new, &mut changes);
    changes.value("strategy", &old.strategy, &new.strategy, |strategy| {
        STRATEGIES.iter().find(|(_, other)| other == strategy).map(|(name, _)| (*name).to_owned()).unwrap_or_default()
    });
    changes.value("ring", &old.ring, &new.ring, time);
    changes.value("max-ring", &old.max_ring, &new.max_ring, u32::to_string);
    changes.value("wait", &old.wait, &new.wait, time);
    changes.value("max-waiting", &old.max_waiting, &new.max_waiting, u32::to_string);
    changes.value("wrap-up", &old.wrap_up, &new.wrap_up, time);
    changes.value("sticky", &old.sticky, &new.sticky, |sticky| match sticky {
        None => "none".to_owned(),
        Some(Sticky { mode: StickyMode::Loose, window }) => format!("loose {}", time(window)),
        Some(Sticky { mode: StickyMode::Strict, window }) => format!("strict {}", time(window)),
    });
    overflow(&old.overflow, &new.overflow, &mut changes);
    changes
}

fn members(old: &Department, new: &Department, changes: &mut Changes) {
    let (before, after) = (extensions(old), extensions(new));
    if before == after {
        return;
    }
    let (had, has): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    let added = has.difference(&had).map(|extension| format!("+{extension}"));
    let removed = had.difference(&has).map(|extension| format!("−{extension}"));
    let words: Vec<String> = added.chain(removed).collect();
    changes.list.push(match words.as_slice() {
        [] => "members in another order".to_owned(),
        words => format!("members {}", words.join(" ")),
    });
}

fn extensions(department: &Department) -> Vec<&str> {
    department.members.iter().map(|user| user.id.extension.as_str()).collect()
}

fn user(old: &User, new: &User) -> Changes {
    let mut changes = Changes::default();
    changes.quietly("name", &old.name, &new.name);
    changes.quietly("email", &old.email, &new.email);
    changes.quietly("mobile", &old.mobile, &new.mobile);
    changes.quietly("person", &old.person, &new.person);
    changes.value("role", &old.role, &new.role, |role| match role {
        Role::Agent => "agent".to_owned(),
        Role::Manager => "manager".to_owned(),
        Role::Administrator => "administrator".to_owned(),
    });
    changes.value("panel", &old.panel, &new.panel, bool::to_string);
    changes.value("status", &old.status, &new.status, |status| match status {
        UserStatus::Active => "active".to_owned(),
        UserStatus::Pending => "pending".to_owned(),
        UserStatus::Disabled => "disabled".to_owned(),
    });
    changes.value("hours", &hours_name(&old.hours), &hours_name(&new.hours), String::clone);
    changes.value("take-calls", &old.take_calls, &new.take_calls, bool::to_string);
    changes.value("ring-on", &old.ring_on, &new.ring_on, |ring_on| match ring_on {
        RingOn::Extension => "extension".to_owned(),
        RingOn::Mobile => "mobile".to_owned(),
        RingOn::Both => "extension and mobile".to_owned(),
    });
    changes.value("ring", &old.ring, &new.ring, time);
    overflow(&old.overflow, &new.overflow, &mut changes);
    changes.quietly("password", &old.secret, &new.secret);
    changes
}

fn overflow(old: &Overflow, new: &Overflow, changes: &mut Changes) {
    let words =
        |destination: &Option<&Destination>| destination.map_or_else(|| "none".to_owned(), |to| Words(to).to_string());
    for (name, cause) in CAUSES {
        let (before, after) = (old.by_cause.get(&cause), new.by_cause.get(&cause));
        changes.value(&format!("overflow {name}"), &before, &after, words);
    }
    changes.value("overflow default", &old.default.as_ref(), &new.default.as_ref(), words);
}

/// A destination as it is written, but for outside numbers: those may be a person's.
struct Words<'a>(&'a Destination);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Destination::Department(id) => write!(f, "department:{id}"),
            Destination::User(extension) => write!(f, "user:{extension}"),
            Destination::External(_) => f.write_str("external:…"),
            Destination::Reject(Rejection::Busy) => f.write_str("reject:busy"),
            Destination::Reject(Rejection::Unavailable) => f.write_str("reject:unavailable"),
            Destination::Reject(Rejection::Decline) => f.write_str("reject:decline"),
        }
    }
}

fn hours_name(hours: &Option<NamedHours>) -> String {
    hours.as_ref().map_or_else(|| "always".to_owned(), |hours| hours.id.to_string())
}

fn optional<T: Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), T::to_string)
}

fn listed<T: Display>(list: &[T]) -> String {
    match list {
        [] => "none".to_owned(),
        list => list.iter().map(T::to_string).collect::<Vec<_>>().join(" "),
    }
}

fn time(duration: &Duration) -> String {
    duration_words(*duration)
}
/// The algorithms of an offer, in words.
fn offered_words(offer: Offer) -> &'static str {
    match offer {
        Offer::Sha256AndMd5 => "SHA-256 and MD5",
        Offer::Sha256 => "SHA-256",
        Offer::Md5 => "MD5",
    }
}
