//! `companies/*.toml`: one company, with every name in it resolved to the thing it names.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Limits;
use super::credentials::{self, Weak};
use super::machine::{MOST_CALLS, Machine};
use super::persons::Persons;
use super::schedule;
use super::suggest::one_of;
use super::tree::{At, Finding, Findings, Table, Value};
use super::words::{self, Bounds, CAUSES, STRATEGIES};
use crate::hours::Schedule;
use crate::id::{CompanyId, DepartmentId, Extension, HoursId, TrunkId, UserId};
use crate::number::{CallerPattern, E164};
use crate::routing::{
    Company, CompanyStatus, Department, Destination, NamedHours, Number, Overflow, RingOn, Role, Route, Sticky,
    StickyMode, Strategy, User, UserStatus,
};

/// A company as read, and where the things stand that must be unique among companies.
pub(super) struct ReadCompany {
    pub(super) company: Company,
    pub(super) limits: Limits,
    pub(super) domain: Option<At>,
    pub(super) numbers: Vec<(E164, At)>,
    /// Passwords that are weak, in the order of the users.
    pub(super) weak: Vec<Weak>,
}

/// How the content of a `password-file` is read.
pub(super) type ReadFile<'r> = &'r dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What a company's reader must know of the rest.
pub(super) struct Surroundings<'r> {
    pub(super) machine: &'r Machine,
    pub(super) persons: &'r Persons,
    pub(super) read_file: ReadFile<'r>,
    /// The directory the company's file is in.
    pub(super) directory: PathBuf,
}

/// What the parts of one company need to resolve their names.
struct Scope<'r, 't> {
    around: &'r Surroundings<'r>,
    company: CompanyId,
    domain: Option<String>,
    /// Its own names: a password is not to be made of them.
    names: Vec<String>,
    hours: BTreeMap<HoursId, Arc<Schedule>>,
    /// All names that are written, also of things with problems of their own.
    hours_names: BTreeSet<&'t str>,
    user_names: BTreeSet<&'t str>,
    department_names: BTreeSet<&'t str>,
    outbound: Outbound,
}

/// Whether the company can call out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outbound {
    /// Through its trunk.
    Yes,
    /// No `outbound-trunk`.
    No,
    /// There is one, with a problem that is reported where it stands.
    Unclear,
}

/// Reads one company.
pub(super) fn read(
    id: &CompanyId,
    root: &Table<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> ReadCompany {
    root.allow(
        &[
            "name",
            "domain",
            "timezone",
            "status",
            "blocked-callers",
            "max-calls",
            "outbound-trunk",
            "plan",
            "hours",
            "numbers",
            "departments",
            "users",
        ],
        findings,
    );
    let name = root.value("name").and_then(|value| some_text(value, findings));
    if root.value("domain").is_none() {
        root.missing("domain", "phones register as EXTENSION@DOMAIN: `domain = \"acme.example\"`", findings);
    }
    if root.value("timezone").is_none() {
        root.missing("timezone", "the zone of the company's clocks: `timezone = \"Asia/Kolkata\"`", findings);
    }
    let domain = root.value("domain").and_then(|value| value.read(findings, words::domain));
    let zone = root.value("timezone").and_then(|value| value.read(findings, words::zone)).unwrap_or(chrono_tz::UTC);
    let statuses = [("active", CompanyStatus::Active), ("suspended", CompanyStatus::Suspended)];
    let (outbound_trunk, outbound) = outbound_trunk(root, around, findings);

    let hours_table = root.table("hours", findings);
    let hours = hours(&hours_table, zone, findings);
    let (numbers_table, departments_table) = (root.table("numbers", findings), root.table("departments", findings));
    let users_table = root.table("users", findings);
    let scope = Scope {
        around,
        company: id.clone(),
        domain: domain.clone(),
        names: [Some(id.as_str().to_owned()), name.clone(), domain.clone()].into_iter().flatten().collect(),
        hours,
        hours_names: hours_table.names(),
        user_names: users_table.names(),
        department_names: departments_table.names(),
        outbound,
    };
    let (users, weak) = scope.users(&users_table, findings);
    let departments = scope.departments(&departments_table, &users, findings);
    let (numbers, number_places) = scope.numbers(&numbers_table, findings);
    let limits = limits(root, &users_table, &users, findings);
    let company = Company {
        id: id.clone(),
        name: name.unwrap_or_else(|| id.as_str().to_owned()),
        domain: domain.clone().unwrap_or_default(),
        timezone: zone,
        status: choice(root, "status", "status", &statuses, findings).unwrap_or(CompanyStatus::Active),
        blocked_callers: root.value("blocked-callers").map(|value| callers(value, findings)).unwrap_or_default(),
        max_calls: root.value("max-calls").and_then(|value| value.whole(1..=MOST_CALLS, findings)),
        outbound_trunk,
        hours: scope.hours,
        numbers,
        departments,
        users,
    };
    let domain_place = domain.and_then(|_| root.value("domain").map(|value| value.at.clone()));
    ReadCompany { company, limits, domain: domain_place, numbers: number_places, weak }
}

fn outbound_trunk(root: &Table<'_>, around: &Surroundings<'_>, findings: &mut Findings) -> (Option<TrunkId>, Outbound) {
    let Some(value) = root.value("outbound-trunk") else { return (None, Outbound::No) };
    let Some(name) = value.text(findings) else { return (None, Outbound::Unclear) };
    let machine = around.machine;
    let id = TrunkId::new(name);
    let Some(place) = machine.places.get(&id) else {
        let names = machine.places.keys().map(TrunkId::as_str);
        findings.report(
            Finding::new(&value.at, format!("there is no trunk `{name}`"))
                .label("no such trunk")
                .help(one_of(name, "trunks in switchboard.toml", names.collect::<Vec<_>>()))
                .absent_from(machine.at.file),
        );
        return (None, Outbound::Unclear);
    };
    let proxy = machine.trunks.get(&id).is_some_and(|trunk| trunk.proxy.is_some());
    if !proxy && !machine.faulty_proxies.contains(&id) {
        findings.report(
            Finding::new(&value.at, format!("trunk `{name}` has no `proxy`: no call can go out through it"))
                .related(place, "this trunk")
                .help(format!("add `proxy = \"sip:192.0.2.1:5060\"` to `[trunks.{name}]`"))
                .absent_from(machine.at.file),
        );
        return (None, Outbound::Unclear);
    }
    (Some(id), Outbound::Yes)
}

fn hours(table: &Table<'_>, zone: chrono_tz::Tz, findings: &mut Findings) -> BTreeMap<HoursId, Arc<Schedule>> {
    let mut hours = BTreeMap::new();
    for entry in table.entries() {
        if let Err(wrong) = words::identifier(entry.name, "schedule") {
            findings.wrong(&entry.at, wrong);
        }
        if let Some(table) = entry.value.table(findings) {
            hours.insert(HoursId::new(entry.name), Arc::new(schedule::read(&table, zone, findings)));
        }
    }
    hours
}

fn limits(
    root: &Table<'_>,
    users_table: &Table<'_>,
    users: &BTreeMap<Extension, Arc<User>>,
    findings: &mut Findings,
) -> Limits {
    let table = root.table("plan", findings);
    table.allow(&["users", "panel-seats", "extensions"], findings);
    let limit = |name: &str, findings: &mut Findings| {
        table.value(name).and_then(|value| value.whole(0..=MOST_CALLS, findings).map(|limit| (limit, value)))
    };
    let (most_users, most_seats) = (limit("users", findings), limit("panel-seats", findings));
    let extensions = table.value("extensions").and_then(|value| value.read(findings, extension_range));
    let seats = users.values().filter(|user| user.panel).count();
    let count = users_table.entries().len();
    let noun = |count: usize| if count == 1 { "user" } else { "users" };
    for (limit, count, what) in [
        (most_users, count, noun(count).to_owned()),
        (most_seats, seats, format!("{} with `panel = true`", noun(seats))),
    ] {
        if let Some((limit, value)) =
            limit.filter(|(limit, _)| usize::try_from(*limit).is_ok_and(|limit| count > limit))
        {
            findings.report(
                Finding::new(
                    &value.at,
                    format!(
                        "the plan has room for {limit}, and there {} {count} {what}",
                        if count == 1 { "is" } else { "are" }
                    ),
                )
                .label(format!("{count} {what}"))
                .help("raise the limit, or take some away"),
            );
        }
    }
    if let (Some((low, high)), Some(value)) = (&extensions, table.value("extensions")) {
        for entry in users_table.entries() {
            let name = entry.name;
            if !(words::is_digits(name) && name.len() == low.len() && (low.as_str()..=high.as_str()).contains(&name)) {
                findings.report(
                    Finding::new(&entry.at, format!("extension `{name}` is outside the plan's {low}-{high}"))
                        .related(&value.at, "the plan's extensions")
                        .help(format!("choose an extension from {low} to {high}, or widen `plan.extensions`")),
                );
            }
        }
    }
    Limits { users: most_users.map(|(limit, _)| limit), panel_seats: most_seats.map(|(limit, _)| limit), extensions }
}

fn extension_range(text: &str) -> Result<(String, String), super::tree::Wrong> {
    let range = text.split_once('-').filter(|(low, high)| {
        words::is_digits(low) && words::is_digits(high) && low.len() == high.len() && low <= high && low.len() <= 32
    });
    range.map(|(low, high)| (low.to_owned(), high.to_owned())).ok_or_else(|| {
        super::tree::Wrong::new(
            format!("`{text}` is not a range of extensions"),
            "the lowest and the highest, with equally many digits: \"200-299\"",
        )
    })
}

/// What a user's table may have.
const USER_KEYS: [&str; 15] = [
    "name",
    "email",
    "mobile",
    "person",
    "role",
    "panel",
    "status",
    "hours",
    "take-calls",
    "ring-on",
    "ring",
    "overflow",
    "password",
    "password-file",
    "digest",
];

/// `[users.asha.rao]`: to TOML the dot opens a table `rao` inside the user `asha`. Reports each such table and gives its name.
fn dotted<'t>(extension: &Extension, table: &Table<'t>, findings: &mut Findings) -> Vec<&'t str> {
    let tables = table.entries().iter().filter(|entry| entry.value.peek_table().is_some());
    let unknown: Vec<_> = tables.filter(|entry| !USER_KEYS.contains(&entry.name)).collect();
    for entry in &unknown {
        let whole = format!("{extension}.{}", entry.name);
        findings.report(
            Finding::new(
                &entry.at,
                format!("without quotes this is a table `{}` inside the user `{extension}`", entry.name),
            )
            .label("not known here")
            .help(format!("an extension with a dot stands in quotes: [users.\"{whole}\"]")),
        );
    }
    unknown.into_iter().map(|entry| entry.name).collect()
}

/// A company's users, and whose passwords are weak.
type Users = (BTreeMap<Extension, Arc<User>>, Vec<Weak>);

/// A company's numbers, and where each stands.
type Numbers = (BTreeMap<E164, Arc<Number>>, Vec<(E164, At)>);

impl<'t> Scope<'_, 't> {
    fn users(&self, table: &Table<'t>, findings: &mut Findings) -> Users {
        let (mut users, mut weak) = (BTreeMap::new(), Vec::new());
        for entry in table.entries() {
            let extension = match words::extension(entry.name) {
                Ok(extension) => extension,
                Err(wrong) => {
                    findings.wrong(&entry.at, wrong);
                    Extension::new(entry.name)
                }
            };
            if let Some(table) = entry.value.table(findings) {
                let (user, password) = self.user(&extension, &table, findings);
                weak.extend(password);
                users.insert(extension, Arc::new(user));
            }
        }
        (users, weak)
    }

    fn user(&self, extension: &Extension, table: &Table<'t>, findings: &mut Findings) -> (User, Option<Weak>) {
        let dotted = dotted(extension, table, findings);
        let allowed: Vec<&str> = USER_KEYS.iter().copied().chain(dotted.iter().copied()).collect();
        table.allow(&allowed, findings);
        let id = UserId::new(&self.company, extension);
        let roles = [("agent", Role::Agent), ("manager", Role::Manager), ("administrator", Role::Administrator)];
        let statuses =
            [("active", UserStatus::Active), ("pending", UserStatus::Pending), ("disabled", UserStatus::Disabled)];
        let ring_on = self.ring_on(table, findings);
        let own = ["name", "email", "person"].into_iter().filter_map(|key| table.value(key)?.peek_text());
        let names: Vec<&str> = self.names.iter().map(String::as_str).chain(own).chain([extension.as_str()]).collect();
        let account = credentials::Account {
            extension,
            domain: self.domain.as_deref(),
            // Where a dotted extension was meant, this user was not.
            needs_secret: ring_on.devices() && dotted.is_empty(),
            offer: self.around.machine.sip.algorithms,
            directory: &self.around.directory,
            read_file: self.around.read_file,
            names: &names,
        };
        let person = self.around.persons.of(&id, table, findings);
        let credentials::Read { secret, weak } = credentials::read(table, &account, findings);
        let user = User {
            person,
            name: table
                .value("name")
                .and_then(|value| some_text(value, findings))
                .unwrap_or_else(|| extension.as_str().to_owned()),
            email: table.value("email").and_then(|value| value.read(findings, words::email)),
            mobile: table.value("mobile").and_then(|value| value.read(findings, words::number)),
            role: choice(table, "role", "role", &roles, findings).unwrap_or(Role::Agent),
            panel: table.value("panel").and_then(|value| value.flag(findings)).unwrap_or(false),
            status: choice(table, "status", "status", &statuses, findings).unwrap_or(UserStatus::Active),
            hours: self.named_hours(table, findings),
            take_calls: table.value("take-calls").and_then(|value| value.flag(findings)).unwrap_or(true),
            ring_on,
            ring: duration(table, "ring", Bounds::RING, 30, findings),
            overflow: self.overflow(table, findings),
            secret,
            id,
        };
        (user, weak)
    }

    fn ring_on(&self, table: &Table<'t>, findings: &mut Findings) -> RingOn {
        let Some(value) = table.value("ring-on") else { return RingOn::Extension };
        let help = "[\"extension\"], [\"mobile\"] or [\"extension\", \"mobile\"]";
        let Some(list) = value.list(findings) else { return RingOn::Extension };
        let (mut extension, mut mobile) = (false, false);
        for value in &list {
            let words = [("extension", false), ("mobile", true)];
            let Some(is_mobile) = value.read(findings, |text| words::one(text, "way to ring", &words)) else {
                continue;
            };
            let seen = if is_mobile { &mut mobile } else { &mut extension };
            if std::mem::replace(seen, true) {
                findings.report(
                    Finding::new(&value.at, "this way to ring is written twice").label("again here").help(help),
                );
            }
            if is_mobile {
                self.check_mobile(table, value, findings);
            }
        }
        if list.is_empty() {
            findings
                .report(Finding::new(&value.at, "`ring-on` is empty: nothing would ring").label("empty").help(help));
        }
        match (extension, mobile) {
            (true, true) => RingOn::Both,
            (false, true) => RingOn::Mobile,
            (true, false) | (false, false) => RingOn::Extension,
        }
    }

    fn check_mobile(&self, table: &Table<'t>, value: &Value<'t>, findings: &mut Findings) {
        if table.value("mobile").is_none() {
            findings.report(
                Finding::new(&value.at, "the mobile is to ring, and this user has none")
                    .label("no `mobile`")
                    .help("add `mobile = \"+919810000001\"`, or take \"mobile\" away")
                    .absent_from(table.at.file),
            );
        }
        self.check_outbound(value, "the mobile is to ring", findings);
    }

    fn check_outbound(&self, value: &Value<'t>, what: &str, findings: &mut Findings) {
        if self.outbound == Outbound::No {
            findings.report(
                Finding::new(&value.at, format!("{what}, and this company has no `outbound-trunk`"))
                    .label("cannot be called")
                    .help("add `outbound-trunk` at the top of the file, naming a trunk of switchboard.toml that has a `proxy`")
                    .absent_from(value.at.file),
            );
        }
    }

    fn named_hours(&self, table: &Table<'t>, findings: &mut Findings) -> Option<NamedHours> {
        let value = table.value("hours")?;
        let name = value.text(findings)?;
        if !self.hours_names.contains(name) {
            findings.report(
                Finding::new(&value.at, format!("there are no hours `{name}`"))
                    .label("no such hours")
                    .help(one_of(name, "hours of this company", self.hours_names.iter().copied()))
                    .absent_from(value.at.file),
            );
        }
        let id = HoursId::new(name);
        let schedule = self.hours.get(&id)?.clone();
        Some(NamedHours { id, schedule })
    }

    fn destination(&self, value: &Value<'t>, findings: &mut Findings) -> Option<Destination> {
        let destination = value.read(findings, words::destination)?;
        let (name, what, names) = match &destination {
            Destination::Department(id) => (id.as_str(), "department", &self.department_names),
            Destination::User(extension) => (extension.as_str(), "user", &self.user_names),
            Destination::External(number) => {
                self.check_outbound(value, &format!("{number} is outside"), findings);
                return Some(destination);
            }
            Destination::Reject(_) => return Some(destination),
        };
        if !names.contains(name) {
            findings.report(
                Finding::new(&value.at, format!("there is no {what} `{name}` in this company"))
                    .label(format!("no such {what}"))
                    .help(one_of(name, &format!("{what}s of this company"), names.iter().copied()))
                    .absent_from(value.at.file),
            );
        }
        Some(destination)
    }

    fn overflow(&self, table: &Table<'t>, findings: &mut Findings) -> Overflow {
        let table = table.table("overflow", findings);
        let mut allowed: Vec<&str> = CAUSES.iter().map(|(name, _)| *name).collect();
        allowed.push("default");
        table.allow(&allowed, findings);
        let mut overflow = Overflow::default();
        for (name, cause) in CAUSES {
            if let Some(destination) = table.value(name).and_then(|value| self.destination(value, findings)) {
                overflow.by_cause.insert(cause, destination);
            }
        }
        overflow.default = table.value("default").and_then(|value| self.destination(value, findings));
        overflow
    }

    fn departments(
        &self,
        table: &Table<'t>,
        users: &BTreeMap<Extension, Arc<User>>,
        findings: &mut Findings,
    ) -> BTreeMap<DepartmentId, Arc<Department>> {
        let mut departments = BTreeMap::new();
        for entry in table.entries() {
            if let Err(wrong) = words::identifier(entry.name, "department") {
                findings.wrong(&entry.at, wrong);
            }
            if let Some(table) = entry.value.table(findings) {
                let id = DepartmentId::new(entry.name);
                let department = self.department(&id, &table, users, findings);
                departments.insert(id, Arc::new(department));
            }
        }
        departments
    }

    fn department(
        &self,
        id: &DepartmentId,
        table: &Table<'t>,
        users: &BTreeMap<Extension, Arc<User>>,
        findings: &mut Findings,
    ) -> Department {
        table.allow(
            &[
                "hours",
                "members",
                "strategy",
                "ring",
                "max-ring",
                "wait",
                "max-waiting",
                "wrap-up",
                "sticky",
                "overflow",
            ],
            findings,
        );
        if table.value("members").is_none() {
            table.missing("members", "the extensions it rings, in order: `members = [\"221\", \"222\"]`", findings);
        }
        let mut count = |name: &str, least: u32, default: u32| {
            table.value(name).and_then(|value| value.whole(least..=10_000, findings)).unwrap_or(default)
        };
        let (max_ring, max_waiting) = (count("max-ring", 1, 5), count("max-waiting", 0, 10));
        Department {
            id: id.clone(),
            hours: self.named_hours(table, findings),
            members: self.members(table, users, findings),
            strategy: choice(table, "strategy", "strategy", &STRATEGIES, findings).unwrap_or(Strategy::Simultaneous),
            ring: duration(table, "ring", Bounds::RING, 25, findings),
            max_ring,
            wait: duration(table, "wait", Bounds::PAUSE, 0, findings),
            max_waiting,
            wrap_up: duration(table, "wrap-up", Bounds::PAUSE, 0, findings),
            sticky: sticky(table, findings),
            overflow: self.overflow(table, findings),
        }
    }

    fn members(
        &self,
        table: &Table<'t>,
        users: &BTreeMap<Extension, Arc<User>>,
        findings: &mut Findings,
    ) -> Vec<Arc<User>> {
        let list = table.value("members").and_then(|value| value.list(findings)).unwrap_or_default();
        let mut seen: BTreeMap<&str, At> = BTreeMap::new();
        let mut members = Vec::new();
        for value in list {
            let Some(name) = value.text(findings) else { continue };
            if !self.user_names.contains(name) {
                findings.report(
                    Finding::new(&value.at, format!("there is no user `{name}` in this company"))
                        .label("no such user")
                        .help(one_of(name, "users of this company", self.user_names.iter().copied()))
                        .absent_from(value.at.file),
                );
                continue;
            }
            if let Some(first) = seen.get(name) {
                findings.report(
                    Finding::new(&value.at, format!("`{name}` is a member twice"))
                        .label("again here")
                        .related(first, "first here")
                        .help("a member is offered a call once: take one away"),
                );
                continue;
            }
            seen.insert(name, value.at.clone());
            members.extend(users.get(name).cloned());
        }
        members
    }

    fn numbers(&self, table: &Table<'t>, findings: &mut Findings) -> Numbers {
        let (mut numbers, mut places) = (BTreeMap::new(), Vec::new());
        for entry in table.entries() {
            let number = match words::number(entry.name) {
                Ok(number) => Some(number),
                Err(mut wrong) => {
                    if let Some(meant) = self.meant(entry.name) {
                        wrong.help = format!("did you mean \"{meant}\"? {}", wrong.help);
                    }
                    findings.wrong(&entry.at, wrong);
                    None
                }
            };
            let Some(table) = entry.value.table(findings) else { continue };
            table.allow(&["label", "hours", "routes"], findings);
            let label = table.value("label").and_then(|value| some_text(value, findings));
            let hours = self.named_hours(&table, findings);
            let routes = self.routes(&table, findings);
            if let Some(number) = number {
                places.push((number.clone(), entry.at.clone()));
                numbers.insert(number.clone(), Arc::new(Number { number, label, hours, routes }));
            }
        }
        (numbers, places)
    }

    /// The number that a trunk would read in this text, if all trunks that can read it agree.
    fn meant(&self, text: &str) -> Option<E164> {
        let mut read =
            self.around.machine.trunks.values().filter(|trunk| trunk.dial.country_code.is_some()).filter_map(|trunk| {
                let code = trunk.dial.country_code.as_deref().unwrap_or_default();
                // Digits that begin with the country code and are long enough have it already.
                let configured = |number: &E164| {
                    number.as_str().len() > 11
                        && number.as_str().strip_prefix('+').is_some_and(|digits| digits.starts_with(code))
                };
                crate::number::read_called(text, &trunk.dial, configured).map(|(number, _)| number)
            });
        let first = read.next()?;
        read.all(|other| other == first).then_some(first)
    }

    fn routes(&self, table: &Table<'t>, findings: &mut Findings) -> Vec<Route> {
        let help = "`routes = [{ to = \"department:sales\" }]`; the first that is open and matches is taken";
        let Some(value) = table.value("routes") else {
            table.missing("routes", help, findings);
            return Vec::new();
        };
        let Some(list) = value.list(findings) else { return Vec::new() };
        if list.is_empty() {
            findings.report(
                Finding::new(&value.at, "`routes` is empty: every call would be refused").label("empty").help(help),
            );
        }
        list.iter().filter_map(|value| self.route(value, findings)).collect()
    }

    fn route(&self, value: &Value<'t>, findings: &mut Findings) -> Option<Route> {
        let table = value.table(findings)?;
        table.allow(&["hours", "callers", "to"], findings);
        if table.value("to").is_none() {
            table.missing("to", "where the call goes: `to = \"department:sales\"`", findings);
        }
        let hours = self.named_hours(&table, findings);
        let callers = table.value("callers").map(|value| {
            let callers = callers(value, findings);
            if value.is_empty_list() {
                findings.report(
                    Finding::new(&value.at, "`callers` is empty: this route would never be taken")
                        .label("empty")
                        .help("leave `callers` out for everybody, or name some: `callers = [\"+9198*\"]`"),
                );
            }
            callers
        });
        let to = table.value("to").and_then(|value| self.destination(value, findings))?;
        Some(Route { hours, callers, to })
    }
}

fn sticky(table: &Table<'_>, findings: &mut Findings) -> Option<Sticky> {
    let table = table.value("sticky")?.table(findings)?;
    table.allow(&["mode", "window"], findings);
    for (name, help) in [
        ("mode", "`mode = \"loose\"` or `mode = \"strict\"`"),
        ("window", "how long a caller is remembered: `window = \"24h\"`"),
    ] {
        if table.value(name).is_none() {
            table.missing(name, help, findings);
        }
    }
    let modes = [("loose", StickyMode::Loose), ("strict", StickyMode::Strict)];
    let mode = choice(&table, "mode", "sticky mode", &modes, findings);
    let window =
        table.value("window").and_then(|value| value.read(findings, |text| words::duration(text, Bounds::MEMORY)));
    Some(Sticky { mode: mode?, window: window? })
}

fn callers(value: &Value<'_>, findings: &mut Findings) -> Vec<CallerPattern> {
    let list = value.list(findings).unwrap_or_default();
    list.iter().filter_map(|value| value.read(findings, words::caller)).collect()
}

fn duration(table: &Table<'_>, name: &str, bounds: Bounds, default: u64, findings: &mut Findings) -> Duration {
    let read = table.value(name).and_then(|value| value.read(findings, |text| words::duration(text, bounds)));
    read.unwrap_or(Duration::from_secs(default))
}

fn choice<T: Copy>(
    table: &Table<'_>,
    name: &str,
    what: &str,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Option<T> {
    table.value(name)?.read(findings, |text| words::one(text, what, words))
}

/// A text for people that is not blank.
fn some_text(value: &Value<'_>, findings: &mut Findings) -> Option<String> {
    value.read(findings, |text| {
        if text.trim().is_empty() {
            return Err(super::tree::Wrong::new("this text is empty", "write something, or leave the key out"));
        }
        Ok(text.to_owned())
    })
}
