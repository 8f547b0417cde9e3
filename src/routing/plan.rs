//! The compiled plan: everything the configuration says about companies and trunks, with every name already
//! resolved to the thing it names. Immutable; a reload makes another, and a call keeps the one it began with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::auth::Secret;
use crate::hours::Schedule;
use crate::id::{CompanyId, DepartmentId, Extension, HoursId, PersonId, TrunkId, UserId};
use crate::number::{CallerPattern, DialRules, E164};

/// All companies and trunks of one version of the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Companies by id.
    pub companies: BTreeMap<CompanyId, Arc<Company>>,
    /// Trunks by id.
    pub trunks: BTreeMap<TrunkId, Arc<Trunk>>,
    /// Every configured number and whose it is (R-1.3: exactly one company's).
    pub numbers: BTreeMap<E164, (Arc<Company>, Arc<Number>)>,
    /// SIP domains, in lower case.
    pub domains: BTreeMap<String, Arc<Company>>,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Company {
    /// The file's name.
    pub id: CompanyId,
    /// The name for people.
    pub name: String,
    /// The SIP domain, in lower case: `sip:EXTENSION@DOMAIN`, and the digest realm.
    pub domain: String,
    /// The zone of its clocks: "today", and hours that name no zone of their own.
    pub timezone: chrono_tz::Tz,
    /// Whether it may be called.
    pub status: CompanyStatus,
    /// who is turned away.
    pub blocked_callers: Vec<CallerPattern>,
    /// the most calls at once; `None` is no limit.
    pub max_calls: Option<u32>,
    /// Where calls to `external:` and mobiles go out.
    pub outbound_trunk: Option<TrunkId>,
    /// Named schedules.
    pub hours: BTreeMap<HoursId, Arc<Schedule>>,
    /// Numbers.
    pub numbers: BTreeMap<E164, Arc<Number>>,
    /// Departments.
    pub departments: BTreeMap<DepartmentId, Arc<Department>>,
    /// Users by extension.
    pub users: BTreeMap<Extension, Arc<User>>,
}

/// Whether a company may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompanyStatus {
    /// Calls are served.
    Active,
    /// Calls are refused with 403.
    Suspended,
}

/// A number of a company and where calls to it go.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its canonical form.
    pub number: E164,
    /// A name for people.
    pub label: Option<String>,
    /// Hours of the number as a whole.
    pub hours: Option<NamedHours>,
    /// Tried in order.
    pub routes: Vec<Route>,
}

/// A schedule and the name it has in its company.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedHours {
    /// The name.
    pub id: HoursId,
    /// The schedule.
    pub schedule: Arc<Schedule>,
}

/// One line of a number's `routes`.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Taken only while these are open.
    pub hours: Option<NamedHours>,
    /// Taken only for these callers; `None` is everybody.
    pub callers: Option<Vec<CallerPattern>>,
    /// Where to.
    pub to: Destination,
}

/// Where a route or an overflow leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `department:ID`
    Department(DepartmentId),
    /// `user:EXTENSION`
    User(Extension),
    /// `external:+NUMBER`, through the company's outbound trunk.
    External(E164),
    /// `reject:busy|unavailable|decline`
    Reject(Rejection),
}

/// How `reject:` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 486, cause 17.
    Busy,
    /// 480, cause 31.
    Unavailable,
    /// 603, cause 21.
    Decline,
}

/// Why a department (or a user called directly) was left without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Outside the department's hours.
    Closed,
    /// Nobody could take a call, and nobody will become free.
    Unavailable,
    /// All busy and no waiting.
    Busy,
    /// The line is too long.
    Full,
    /// Waited too long.
    Timeout,
    /// Offered, nobody took it.
    NoAnswer,
}

/// What happens for which cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Causes with a destination of their own.
    pub by_cause: BTreeMap<Cause, Destination>,
    /// All other causes; `None` is the answer of R-8.
    pub default: Option<Destination>,
}

/// A list of members and a way of choosing among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Department {
    /// Its name in the company.
    pub id: DepartmentId,
    /// Hours; absent = always.
    pub hours: Option<NamedHours>,
    /// Members in the order written.
    pub members: Vec<Arc<User>>,
    /// How they are chosen.
    pub strategy: Strategy,
    /// How long one offer lasts.
    pub ring: Duration,
    /// The most members rung at once by `simultaneous`; at least 1.
    pub max_ring: u32,
    /// How long a caller may wait; zero = nobody waits.
    pub wait: Duration,
    /// The longest line.
    pub max_waiting: u32,
    /// How long a member stays unavailable after an answered call.
    pub wrap_up: Duration,
    /// Callers who come back to whom they spoke with.
    pub sticky: Option<Sticky>,
    /// Where callers go whom nobody answered.
    pub overflow: Overflow,
}

///
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// In the order written, one at a time.
    Serial,
    /// All at once, `max_ring` at a time.
    Simultaneous,
    /// One at a time, starting after whoever was offered a call last.
    RoundRobin,
    /// One at a time, whoever has had no call for longest first.
    LongestIdle,
    /// One at a time, whoever had the fewest calls today first.
    FewestCalls,
    /// One at a time, in an order drawn for each call.
    Random,
}

///
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// What happens when that member cannot take the call.
    pub mode: StickyMode,
    /// How long a caller is remembered.
    pub window: Duration,
}

///
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StickyMode {
    /// Then the others, as usual.
    Loose,
    /// Nobody else.
    Strict,
}

/// One extension in one company.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Extension and company.
    pub id: UserId,
    /// Who is behind it.
    pub person: PersonId,
    /// The name for people.
    pub name: String,
    /// Mail address.
    pub email: Option<String>,
    /// Mobile.
    pub mobile: Option<E164>,
    /// What the user may see and do in the panel and API.
    pub role: Role,
    /// Whether the user has a panel seat.
    pub panel: bool,
    /// Whether the account is in use.
    pub status: UserStatus,
    /// When this user may be rung; absent = always.
    pub hours: Option<NamedHours>,
    /// The starting value of the user's own switch.
    pub take_calls: bool,
    /// What rings.
    pub ring_on: RingOn,
    /// How long a call straight to this user rings.
    pub ring: Duration,
    /// Where calls straight to this user go when it takes none.
    pub overflow: Overflow,
    /// What its phones prove themselves with.
    pub secret: Secret,
}

impl User {
    /// Somebody the plan has no more, of whom a running call still speaks: never rung, and nobody can prove to be it.
    pub fn departed(id: UserId, person: PersonId) -> User {
        User {
            name: id.extension.to_string(),
            id,
            person,
            email: None,
            mobile: None,
            role: Role::Agent,
            panel: false,
            status: UserStatus::Disabled,
            hours: None,
            take_calls: false,
            ring_on: RingOn::Extension,
            ring: Duration::ZERO,
            overflow: Overflow::default(),
            secret: Secret::NONE,
        }
    }
}

/// What the user may see and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Own switch and calls.
    Agent,
    /// The company's reports and log too.
    Manager,
    /// Everything of the company.
    Administrator,
}

/// Whether the account is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// Yes.
    Active,
    /// Not yet.
    Pending,
    /// No longer.
    Disabled,
}

/// What rings under one offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingOn {
    /// Every registered device.
    Extension,
    /// The mobile, through the outbound trunk.
    Mobile,
    /// Both.
    Both,
}

impl RingOn {
    /// Whether registered devices ring.
    pub fn devices(self) -> bool {
        matches!(self, RingOn::Extension | RingOn::Both)
    }

    /// Whether the mobile rings.
    pub fn mobile(self) -> bool {
        matches!(self, RingOn::Mobile | RingOn::Both)
    }
}

/// A SIP peer that sends us calls and may take calls from us.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Its name.
    pub id: TrunkId,
    /// Where its requests come from. Empty matches nothing.
    pub sources: Vec<Source>,
    /// Where calls out through it go.
    pub proxy: Option<Proxy>,
    /// How it writes numbers.
    pub dial: DialRules,
    /// The most calls at once, in both directions; `None` is no limit.
    pub max_calls: Option<u32>,
    /// The most new calls from it in a second; `None` is no limit.
    pub max_calls_per_second: Option<u32>,
}

/// An address or network a trunk sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The network; a single address is a network of one.
    pub net: IpNet,
    /// Set where only the port tells the trunk apart.
    pub port: Option<u16>,
}

/// Where calls out through a trunk go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// A name or an address (an IPv6 address without brackets).
    pub host: String,
    /// Absent: 5060 for an address, SRV (RFC 3263) for a name.
    pub port: Option<u16>,
}
