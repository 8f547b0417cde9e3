//! The companies of a world as plain values: what is written into its configuration, and what the oracle's interpreter reads.

use std::fmt::Write as _;
use std::net::SocketAddr;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Where the daemon listens, in this version.
    pub listen: Vec<SocketAddr>,
    pub trunks: Vec<Trunk>,
    pub companies: Vec<Company>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    pub id: String,
    /// The one address it sends from and takes calls at.
    pub address: SocketAddr,
    /// `country-code`; the prefixes are `0` and `00`.
    pub country: &'static str,
    pub max_calls: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company {
    pub id: String,
    pub domain: String,
    /// IANA name.
    pub zone: &'static str,
    pub suspended: bool,
    /// As reads callers: `+digits`, `+digits*`, `anonymous`.
    pub blocked: Vec<String>,
    pub max_calls: Option<u32>,
    pub hours: Vec<Hours>,
    pub numbers: Vec<CompanyNumber>,
    pub departments: Vec<Department>,
    pub users: Vec<User>,
}

/// Windows on weekdays, in the company's zone; minutes of the day, half-open, `from < to <= 1440`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    pub id: String,
    /// Monday first.
    pub week: [Vec<(u16, u16)>; 7],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanyNumber {
    /// With `+`.
    pub number: String,
    pub routes: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The id of the company's hours.
    pub hours: Option<String>,
    /// Prefixes with `*`, or whole numbers; empty: every caller.
    pub callers: Vec<String>,
    pub to: Destination,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Department(String),
    User(String),
    /// With `+`.
    External(String),
    /// `busy`, `unavailable`, `decline`.
    Reject(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Serial,
    Simultaneous,
    RoundRobin,
    LongestIdle,
    FewestCalls,
    Random,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Department {
    pub id: String,
    /// Extensions of the company, in the order written.
    pub members: Vec<String>,
    pub strategy: Strategy,
    /// Seconds, all of these.
    pub ring: u64,
    pub wait: u64,
    pub wrap_up: u64,
    pub max_ring: usize,
    pub max_waiting: usize,
    pub sticky: Option<Sticky>,
    pub hours: Option<String>,
    /// Cause or `default`, and where it leads.
    pub overflow: Vec<(&'static str, Destination)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sticky {
    pub strict: bool,
    /// Seconds.
    pub window: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub extension: String,
    /// `None`: a person of its own.
    pub person: Option<String>,
    /// `active`, `pending`, `disabled`.
    pub status: &'static str,
    pub take_calls: bool,
    pub hours: Option<String>,
    /// Rung on its mobile too (`ring-on`), through the first trunk.
    pub mobile: Option<String>,
    /// Whether its devices ring at all: `false` only with a mobile.
    pub devices: bool,
    /// Seconds.
    pub ring: u64,
    pub overflow: Vec<(&'static str, Destination)>,
    pub password: String,
}

impl Company {
    pub fn user(&self, extension: &str) -> Option<&User> {
        self.users.iter().find(|user| user.extension == extension)
    }

    pub fn department(&self, id: &str) -> Option<&Department> {
        self.departments.iter().find(|department| department.id == id)
    }

    /// The name of the person behind a user: shared where it is written, else one no other user has.
    pub fn person(&self, extension: &str) -> String {
        match self.user(extension).and_then(|user| user.person.clone()) {
            Some(person) => person,
            None => format!("{extension}@{}", self.domain),
        }
    }
}

impl Model {
    pub fn company(&self, id: &str) -> Option<&Company> {
        self.companies.iter().find(|company| company.id == id)
    }

    pub fn by_domain(&self, domain: &str) -> Option<&Company> {
        self.companies.iter().find(|company| company.domain == domain)
    }

    /// The company a number belongs to, and the number.
    pub fn number(&self, number: &str) -> Option<(&Company, &CompanyNumber)> {
        self.companies.iter().find_map(|company| {
            company.numbers.iter().find(|other| other.number == number).map(|number| (company, number))
        })
    }

    /// The files of the configuration directory: path, text.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![("switchboard.toml".to_owned(), self.machine())];
        for company in &self.companies {
            files.push((format!("companies/{}.toml", company.id), company.text()));
        }
        files
    }

    fn machine(&self) -> String {
        let listen: Vec<String> = self.listen.iter().map(|address| format!("\"udp:{address}\"")).collect();
        let mut text = format!(
            "[sip]\nlisten = [{}]\nmax-call = \"10m\"\n\n[control]\nsocket = \"/tmp/unused.sock\"\n",
            listen.join(", ")
        );
        for trunk in &self.trunks {
            let _ = write!(
                text,
                "\n[trunks.{}]\nsources = [\"{}\"]\nproxy = \"sip:{}\"\ncountry-code = \"{}\"\n\
                 national-prefix = \"0\"\ninternational-prefix = \"00\"\n",
                trunk.id,
                trunk.address.ip(),
                trunk.address,
                trunk.country
            );
            if let Some(most) = trunk.max_calls {
                let _ = writeln!(text, "max-calls = {most}");
            }
        }
        text
    }
}

impl Destination {
    pub fn text(&self) -> String {
        match self {
            Destination::Department(id) => format!("department:{id}"),
            Destination::User(extension) => format!("user:{extension}"),
            Destination::External(number) => format!("external:{number}"),
            Destination::Reject(how) => format!("reject:{how}"),
        }
    }
}

impl Strategy {
    pub fn text(self) -> &'static str {
        match self {
            Strategy::Serial => "serial",
            Strategy::Simultaneous => "simultaneous",
            Strategy::RoundRobin => "round-robin",
            Strategy::LongestIdle => "longest-idle",
            Strategy::FewestCalls => "fewest-calls",
            Strategy::Random => "random",
        }
    }
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", words.join(", "))
}

fn overflow(entries: &[(&'static str, Destination)]) -> String {
    let entries: Vec<String> = entries.iter().map(|(cause, to)| format!("{cause} = \"{}\"", to.text())).collect();
    format!("{{ {} }}", entries.join(", "))
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Company {
    fn text(&self) -> String {
        let mut text = format!(
            "name = \"{}\"\ndomain = \"{}\"\ntimezone = \"{}\"\noutbound-trunk = \"first\"\n",
            self.id, self.domain, self.zone
        );
        if self.suspended {
            text.push_str("status = \"suspended\"\n");
        }
        if !self.blocked.is_empty() {
            let _ = writeln!(text, "blocked-callers = {}", list(&self.blocked));
        }
        if let Some(most) = self.max_calls {
            let _ = writeln!(text, "max-calls = {most}");
        }
        for hours in &self.hours {
            let _ = writeln!(text, "\n[hours.{}]", hours.id);
            let days = hours.week.iter().zip(DAYS).filter(|(windows, _)| !windows.is_empty()).map(|(windows, day)| {
                let clock = |minutes: &u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
                let windows: Vec<String> =
                    windows.iter().map(|(from, to)| format!("\"{}-{}\"", clock(from), clock(to))).collect();
                format!("{day} = [{}]", windows.join(", "))
            });
            let _ = writeln!(text, "week = {{ {} }}", days.collect::<Vec<_>>().join(", "));
        }
        for number in &self.numbers {
            let _ = writeln!(text, "\n[numbers.\"{}\"]\nroutes = [", number.number);
            for route in &number.routes {
                text.push_str("  { ");
                if let Some(hours) = &route.hours {
                    let _ = write!(text, "hours = \"{hours}\", ");
                }
                if !route.callers.is_empty() {
                    let _ = write!(text, "callers = {}, ", list(&route.callers));
                }
                let _ = writeln!(text, "to = \"{}\" }},", route.to.text());
            }
            text.push_str("]\n");
        }
        for department in &self.departments {
            department.write(&mut text);
        }
        for user in &self.users {
            user.write(&mut text);
        }
        text
    }
}

impl Department {
    fn write(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\n[departments.{}]\nmembers = {}\nstrategy = \"{}\"\nring = \"{}s\"\nwait = \"{}s\"\nwrap-up = \"{}s\"\n\
             max-ring = {}\nmax-waiting = {}",
            self.id,
            list(&self.members),
            self.strategy.text(),
            self.ring,
            self.wait,
            self.wrap_up,
            self.max_ring,
            self.max_waiting
        );
        if let Some(sticky) = self.sticky {
            let mode = if sticky.strict { "strict" } else { "loose" };
            let _ = writeln!(text, "sticky = {{ mode = \"{mode}\", window = \"{}s\" }}", sticky.window);
        }
        if let Some(hours) = &self.hours {
            let _ = writeln!(text, "hours = \"{hours}\"");
        }
        if !self.overflow.is_empty() {
            let _ = writeln!(text, "overflow = {}", overflow(&self.overflow));
        }
    }
}

impl User {
    fn write(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\n[users.{}]\nname = \"User {}\"\npassword = \"{}\"\nstatus = \"{}\"\ntake-calls = {}\nring = \"{}s\"",
            self.extension, self.extension, self.password, self.status, self.take_calls, self.ring
        );
        if let Some(person) = &self.person {
            let _ = writeln!(text, "person = \"{person}\"");
        }
        if let Some(hours) = &self.hours {
            let _ = writeln!(text, "hours = \"{hours}\"");
        }
        if let Some(mobile) = &self.mobile {
            let ring_on = if self.devices { "[\"extension\", \"mobile\"]" } else { "[\"mobile\"]" };
            let _ = writeln!(text, "mobile = \"{mobile}\"\nring-on = {ring_on}");
        }
        if !self.overflow.is_empty() {
            let _ = writeln!(text, "overflow = {}", overflow(&self.overflow));
        }
    }
}
