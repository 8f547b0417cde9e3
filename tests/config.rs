//! The configuration reader from outside: what it accepts, what it refuses, where it says the fault is, and what it never shows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "config/keys.rs"]
mod keys;
#[path = "config/tickets.rs"]
mod tickets;

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use switchboard::config::{
    Config, Problem, Problems, Severity, diff, holds_configuration, load, load_at, load_texts, load_texts_with,
};
use switchboard::id::CompanyId;
use switchboard::routing::{RingOn, Source};
use switchboard::time::WallTime;

const MACHINE: &str = r#"
[sip]
listen = ["udp:127.0.0.1:5060"]
[trunks.t]
sources = ["192.0.2.1"]
proxy = "sip:192.0.2.1"
country-code = "91"
national-prefix = "0"
[trunks.in]
sources = ["192.0.2.2"]
"#;

const COMPANY: &str = r#"
domain = "a.example"
timezone = "UTC"
outbound-trunk = "t"
[hours.office]
week = { mon-fri = ["09:00-17:00"] }
[numbers."+918000000001"]
hours = "office"
routes = [{ to = "department:sales" }]
[departments.sales]
members = ["1"]
[users.1]
password = "sesame-1-open-up"
"#;

fn read(files: &[(&str, &str)]) -> Result<Config, Problems> {
    let files: Vec<(PathBuf, Vec<u8>)> =
        files.iter().map(|(path, text)| (Path::new("c").join(path), text.as_bytes().to_vec())).collect();
    load_texts(&files)
}

/// A moment as RFC 3339 writes it.
fn moment(text: &str) -> WallTime {
    WallTime::from_unix_millis(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

fn read_company(text: &str) -> Result<Config, Problems> {
    read(&[("switchboard.toml", MACHINE), ("companies/a.toml", text)])
}

fn place(problem: &Problem) -> Option<(usize, usize)> {
    problem.place.as_ref().map(|place| (place.line, place.column))
}

/// What stands at the one problem's place must be the text meant; line and column are found in the file by looking for it.
fn expect_one(file: &str, text: &str, problems: &Problems, at: &str, message: &str, help: &str) {
    let all: Vec<&Problem> = problems.iter().collect();
    assert_eq!(all.len(), 1, "{text}\n{}", problems.render(false));
    let problem = all[0];
    assert_eq!(problem.file, Path::new("c").join(file), "{}", problems.render(false));
    assert!(problem.message.contains(message), "{message:?} in\n{}", problems.render(false));
    let helped = problem.help.as_deref().unwrap_or_default();
    assert!(helped.contains(help), "{help:?} in\n{}", problems.render(false));
    let offset = text.find(at).unwrap_or_else(|| panic!("{at:?} is not in the text"));
    let line = 1 + text[..offset].matches('\n').count();
    let column = 1 + text[..offset].rsplit('\n').next().unwrap().chars().count();
    assert_eq!(place(problem), Some((line, column)), "{}", problems.render(false));
}

#[test]
fn the_example_directory_loads() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let config = load(&directory).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    // The passwords it is shipped with are known to everybody: that is the one thing to be warned of.
    let told: Vec<&str> = config.warnings.iter().map(|warning| warning.message.as_str()).collect();
    let [acme, globex] = told.as_slice() else { panic!("{}", config.warnings.render(false)) };
    assert!(acme.contains("passwords of 4 users are weak") && globex.contains("passwords of 2 users are weak"));
    for day in 20..27 {
        for hour in 0..24 {
            let now = moment(&format!("2026-11-{day}T{hour:02}:30:00Z"));
            assert_eq!(load_at(now, &directory).unwrap().warnings, config.warnings, "on the {day}th at {hour}:30");
        }
    }
    let names: Vec<&str> = config.plan.companies.keys().map(CompanyId::as_str).collect();
    assert_eq!(names, ["acme", "globex"]);
    let person = |company: &str, extension: &str| config.plan.companies[company].users[extension].person.to_string();
    assert_eq!(person("acme", "221"), "asha");
    assert_eq!(person("globex", "305"), "asha");
    assert_eq!(person("acme", "222"), "ravi@acme.example");
    assert_eq!(config.plan.companies["globex"].users["307"].ring_on, RingOn::Mobile);
    assert_eq!(config.plan.companies["acme"].departments["sales"].wait, Duration::from_secs(60));
    assert_eq!(config.plan.numbers.len(), 3);
    assert!(config.control.socket.starts_with(&directory));
    assert_eq!(config.limits[&CompanyId::new("acme")].extensions, Some(("200".into(), "299".into())));
}

#[test]
fn a_small_configuration_has_the_defaults() {
    let config = read_company(COMPANY).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let company = &config.plan.companies["a"];
    let sales = &company.departments["sales"];
    assert_eq!((sales.ring, sales.max_ring, sales.max_waiting), (Duration::from_secs(25), 5, 10));
    assert_eq!((sales.wait, sales.wrap_up), (Duration::ZERO, Duration::ZERO));
    assert_eq!(company.users["1"].person.as_str(), "1@a");
    assert_eq!(company.users["1"].name, "1");
    assert_eq!(config.sip.max_call, Duration::from_secs(4 * 3600));
    assert_eq!(config.sip.algorithms, switchboard::auth::Offer::Sha256AndMd5);
    assert_eq!(config.control.socket, Path::new("/run/switchboard/control.sock"));
    assert!(std::ptr::eq(&*sales.members[0], &*company.users["1"]));
    assert_eq!(config.plan.trunks["in"].sources, [Source { net: "192.0.2.2/32".parse().unwrap(), port: None }]);
}

/// Each row: what of COMPANY is replaced, by what, the text at the problem's place, its message, its help.
#[test]
fn every_kind_of_fault_in_a_company_is_found_where_it_is() {
    let user = "[users.1]\npassword = \"sesame-1-open-up\"";
    let members = "members = [\"1\"]";
    let routes = "routes = [{ to = \"department:sales\" }]";
    let week = "week = { mon-fri = [\"09:00-17:00\"] }";
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        (
            members,
            "members = [\"1\"]\nstratgy = \"serial\"",
            "stratgy",
            "unknown key `stratgy`",
            "did you mean `strategy`?",
        ),
        (members, "members = [\"1\"]\nstrategy = \"serail\"", "\"serail\"", "not a strategy", "did you mean `serial`?"),
        (members, "members = [\"1\"]\nring = \"25 seconds\"", "\"25 seconds\"", "not a duration", "\"25s\""),
        (members, "members = [\"1\"]\nring = 25", "25\n", "expected a string in quotes, found a whole number", "ring"),
        (members, "members = [\"1\"]\nring = \"0s\"", "\"0s\"", "too short", "from 1s"),
        (members, "members = [\"1\"]\nmax-ring = 0", "0\n[users", "out of bounds", "from 1"),
        (members, "members = [\"1\", \"2\"]", "\"2\"", "no user `2`", "`1`"),
        (members, "members = [\"1\", \"1\"]", "\"1\"]", "a member twice", "take one away"),
        (members, "members = \"1\"", "\"1\"\n", "expected a list", "list"),
        (members, "members = [1]", "1]\n[users", "expected a string", "quotes"),
        (members, "ring = \"25s\"", "sales]", "`members` is missing", "members ="),
        (members, "members = []\nhours = \"ofice\"", "\"ofice\"", "no hours `ofice`", "did you mean `office`?"),
        (
            members,
            "members = []\nsticky = { mode = \"lose\", window = \"1h\" }",
            "\"lose\"",
            "not a sticky mode",
            "`loose`",
        ),
        (members, "members = []\nsticky = { mode = \"loose\" }", "sticky", "`window` is missing", "24h"),
        (members, "members = []\noverflow = { bussy = \"reject:busy\" }", "bussy", "unknown key `bussy`", "`busy`"),
        (
            members,
            "members = []\noverflow = { busy = \"department:sals\" }",
            "\"department:sals\"",
            "no department `sals`",
            "`sales`",
        ),
        (members, "members = []\noverflow = { busy = \"user:9\" }", "\"user:9\"", "no user `9`", "`1`"),
        (
            members,
            "members = []\noverflow = { busy = \"dept:sales\" }",
            "\"dept:sales\"",
            "not a destination",
            "department:ID",
        ),
        (members, "members = []\noverflow = { busy = \"external:98\" }", "\"external:98\"", "E.164", "+918041234567"),
        (members, "members = []\noverflow = { busy = \"reject:bsy\" }", "\"reject:bsy\"", "way to reject", "`busy`"),
        (routes, "routes = []", "[]", "`routes` is empty", "department:sales"),
        (routes, "label = \"x\"", "\"+918000000001\"", "`routes` is missing", "routes ="),
        (routes, "routes = [{ hours = \"office\" }]", "{ hours", "`to` is missing", "to ="),
        (routes, "routes = [{ callers = [], to = \"reject:busy\" }]", "[], to", "`callers` is empty", "everybody"),
        (routes, "routes = [{ callers = [\"98*\"], to = \"reject:busy\" }]", "\"98*\"", "which callers", "anonymous"),
        (routes, "routes = [\"department:sales\"]", "\"department:sales\"", "expected a table", "table"),
        (
            "\"+918000000001\"",
            "\"08000000001\"",
            "\"08000000001\"",
            "not a number in E.164",
            "did you mean \"+918000000001\"?",
        ),
        ("\"+918000000001\"", "\"+91x\"", "\"+91x\"", "no digit", "country code"),
        (week, "week = { mon-fry = [] }", "mon-fry", "`fry` is not a weekday", "`fri`"),
        (week, "week = { mon-fri = [], wed = [] }", "wed", "`wed` is written twice", "one key"),
        (week, "week = { mon = [\"9-17\"] }", "\"9-17\"", "not a window", "09:30-13:00"),
        (week, "week = {}\ndates = { \"2026-02-30\" = [] }", "\"2026-02-30\"", "not a date", "2026-01-26"),
        (
            week,
            "dates = { \"2026-12-20..2026-12-26\" = [], \"2026-12-24\" = [] }",
            "\"2026-12-24\"",
            "2026-12-24 is in",
            "one key",
        ),
        (
            week,
            "dates = { \"2026-12-26..2026-12-20\" = [] }",
            "\"2026-12-26..",
            "ends before",
            "2026-12-20..2026-12-26",
        ),
        (week, "timezone = \"UTC\"", "office]", "never open", "week ="),
        (week, "week = {}\ntimezone = \"Asia/Kolkatta\"", "\"Asia/Kolkatta\"", "not a time zone", "`Asia/Kolkata`"),
        ("timezone = \"UTC\"", "timezone = \"IST\"", "\"IST\"", "not a time zone", "IANA"),
        ("timezone = \"UTC\"\n", "", "", "`timezone` is missing", "Asia/Kolkata"),
        ("\"a.example\"", "\"a_b\"", "\"a_b\"", "not a domain", "acme.example"),
        ("\"a.example\"", "\"192.0.2.1\"", "\"192.0.2.1\"", "phones could never register", "acme.example"),
        ("\"a.example\"", "\"[2001:db8::1]\"", "\"[2001:db8::1]\"", "phones could never register", "acme.example"),
        ("outbound-trunk = \"t\"", "outbound-trunk = \"tt\"", "\"tt\"", "no trunk `tt`", "`t`"),
        ("outbound-trunk = \"t\"", "outbound-trunk = \"in\"", "\"in\"", "no `proxy`", "[trunks.in]"),
        ("outbound-trunk = \"t\"", "status = \"suspend\"", "\"suspend\"", "not a status", "`suspended`"),
        ("outbound-trunk = \"t\"", "max-calls = 0", "0\n[hours", "out of bounds", "from 1"),
        ("outbound-trunk = \"t\"", "blocked-callers = [\"*\"]", "\"*\"", "which callers", "anonymous"),
        ("outbound-trunk = \"t\"", "plan = { users = 0 }", "0 }", "room for 0, and there is 1 user", "raise"),
        (
            "outbound-trunk = \"t\"",
            "plan = { extensions = \"2-5\" }",
            "1]\npass",
            "outside the plan's 2-5",
            "from 2 to 5",
        ),
        ("outbound-trunk = \"t\"", "plan = { extensions = \"5-2\" }", "\"5-2\"", "not a range", "200-299"),
        ("outbound-trunk = \"t\"", "user = 1", "user =", "unknown key `user`", "`users`"),
        (user, "[users.1]", "1]\n", "has no password", "ring-on"),
        (user, "[users.1]\npassword = \"\"", "\"\"", "password is empty", "digest"),
        (user, "[users.1]\npassword = 1", "1\n", "expected a string", "password"),
        (
            user,
            "[users.1]\npassword = \"x\"\ndigest = { md5 = \"00000000000000000000000000000000\" }",
            "digest",
            "one secret",
            "one of",
        ),
        (user, "[users.1]\ndigest = { md5 = \"abc\" }", "\"abc\"", "no md5 digest", "switchboard passwd"),
        (user, "[users.1]\ndigest = {}", "digest", "`digest` is empty", "switchboard passwd"),
        (user, "[users.1]\npassword-file = \"x\"", "\"x\"", "cannot be read", "first line"),
        (user, "[users.1]\npassword = \"x\"\nring-on = [\"mobile\"]", "\"mobile\"", "this user has none", "mobile ="),
        (user, "[users.1]\npassword = \"x\"\nring-on = []", "[]\n", "`ring-on` is empty", "extension"),
        (user, "[users.1]\npassword = \"x\"\nring-on = [\"phone\"]", "\"phone\"", "not a way to ring", "`extension`"),
        (user, "[users.1]\npassword = \"x\"\nrole = \"admin\"", "\"admin\"", "not a role", "`administrator`"),
        (user, "[users.1]\npassword = \"x\"\npanel = \"yes\"", "\"yes\"", "expected `true` or `false`", "panel"),
        (user, "[users.1]\npassword = \"x\"\nemail = \"a@b@c\"", "\"a@b@c\"", "not an e-mail address", "@"),
        (user, "[users.1]\npassword = \"x\"\nperson = \"\"", "\"\"", "cannot name a person", "asha"),
        (
            user,
            "[users.1]\npassword = \"x\"\n[users.\"a b\"]\npassword = \"x\"",
            "\"a b\"",
            "not an extension",
            "letters",
        ),
        (user, "[users]\n1 = \"x\"", "\"x\"", "expected a table", "table"),
        (
            user,
            "[users.1]\npassword = \"x\"\n[users.asha.rao]\npassword = \"x\"",
            "rao]",
            "a table `rao` inside the user `asha`",
            "[users.\"asha.rao\"]",
        ),
    ];
    for (old, new, at, message, help) in rows {
        assert!(COMPANY.contains(old), "{old}");
        let text = COMPANY.replacen(old, new, 1);
        let problems = read_company(&text).expect_err(&text);
        expect_one("companies/a.toml", &text, &problems, at, message, help);
    }
}

#[test]
fn every_kind_of_fault_of_the_machine_is_found_where_it_is() {
    let listen = "listen = [\"udp:127.0.0.1:5060\"]";
    let sources = "sources = [\"192.0.2.1\"]";
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        (listen, "max-call = \"4h\"", "sip]", "`listen` is missing", "udp:0.0.0.0:5060"),
        (listen, "listen = []", "[]", "`listen` is empty", "udp:0.0.0.0:5060"),
        (listen, "listen = [\"tcp:0.0.0.0:5060\"]", "\"tcp:", "only udp", "udp:[::]:5060"),
        (
            listen,
            "listen = [\"udp:1.2.3.4:5060\", \"udp:0.0.0.0:5060\"]",
            "\"udp:0.0.0.0",
            "takes it already",
            "one of them",
        ),
        (listen, "listen = [\"udp:[::]:5060\"]\nlisen = 1", "lisen", "unknown key `lisen`", "did you mean `listen`?"),
        (
            listen,
            "listen = [\"udp:[::]:5060\"]\nadvertise = \"1.2.3\"",
            "\"1.2.3\"",
            "neither a host's name",
            "203.0.113.10",
        ),
        (listen, "listen = [\"udp:[::]:5060\"]\nregistration-min = \"2h\"", "\"2h\"", "longer than an hour", "60s"),
        (
            listen,
            "listen = [\"udp:127.0.0.1:5060\"]\nadvertise = \"2001:db8::1\"",
            "\"2001:db8::1\"",
            "nothing in `listen` is",
            "udp:[::]:5060",
        ),
        (
            listen,
            "listen = [\"udp:[::]:5060\"]\nadvertise = \"203.0.113.10\"",
            "\"203.0.113.10\"",
            "nothing in `listen` is",
            "udp:0.0.0.0:5060",
        ),
        (
            listen,
            "listen = [\"udp:[::]:5060\"]\nadvertise = \"0.0.0.0\"",
            "\"0.0.0.0\"",
            "nobody's address",
            "203.0.113.10",
        ),
        (
            listen,
            "listen = [\"udp:[::]:5060\"]\nregistration-min = \"61m\"",
            "\"61m\"",
            "longer than an hour",
            "RFC 3261 §10.3",
        ),
        (
            "national-prefix = \"0\"",
            "national-prefix = \"001\"\ninternational-prefix = \"00\"",
            "\"001\"",
            "no number is ever read as national",
            "\"0\"",
        ),
        (sources, "sources = [\"192.0.2.1/28\"]", "\"192.0.2.1/28\"", "inside a network", "192.0.2.0/28"),
        (sources, "sources = [\"0.0.0.0/0\"]", "\"0.0.0.0/0\"", "everybody", "addresses"),
        (sources, "sources = [\"192.0.2.1\", \"192.0.2.1\"]", "\"192.0.2.1\"]", "this source twice", "take one away"),
        ("[\"192.0.2.2\"]", "[ \"192.0.2.1\" ]", "\"192.0.2.1\" ]", "same source", "port"),
        (
            "\"sip:192.0.2.1\"",
            "\"192.0.2.1:5060\"",
            "\"192.0.2.1:5060\"",
            "does not begin with `sip:`",
            "sip:192.0.2.1:5060",
        ),
        ("country-code = \"91\"", "country-code = 91", "91\n", "expected a string", "quotes"),
        ("country-code = \"91\"", "country-code = \"+91\"", "\"+91\"", "not a country code", "without `+`"),
        ("country-code = \"91\"\n", "", "\"0\"", "means nothing without `country-code`", "country-code"),
        (
            "national-prefix = \"0\"",
            "national-prefix = \"0\"\ninternational-prefix = \"0\"",
            "\"0\"\n[trunks.in",
            "two ways",
            "00",
        ),
        ("sources = [\"192.0.2.2\"]", "max-calls = 5", "in]", "neither `sources` nor `proxy`", "sources ="),
        ("[trunks.in]", "[controll]\n[trunks.in]", "controll", "unknown key `controll`", "`control`"),
        (
            "[trunks.in]",
            "[control]\nhttp = \"8060\"\n[trunks.in]",
            "\"8060\"",
            "not an address and a port",
            "127.0.0.1:8060",
        ),
        ("[trunks.in]", "[state]\ndirectory = \"\"\n[trunks.in]", "\"\"", "not a path", "/var/lib"),
    ];
    for (old, new, at, message, help) in rows {
        assert!(MACHINE.contains(old), "{old}");
        let text = MACHINE.replacen(old, new, 1);
        let problems = read(&[("switchboard.toml", &text), ("companies/a.toml", COMPANY)]).expect_err(&text);
        expect_one("switchboard.toml", &text, &problems, at, message, help);
    }
}

#[test]
fn ten_mistakes_are_reported_all_at_once() {
    let text = r#"
domain = "a_example"
timezone = "Mars/Olympus"
statsu = "active"
[hours.office]
week = { monday = ["09:00-17:00"] }
[numbers."918000000001"]
routes = [{ hours = "ofice", to = "department:sals" }]
[departments.sales]
members = ["2"]
ring = "25"
strategy = "all"
[users.1]
password = "sesame"
ring-on = ["pager"]
"#;
    let problems = read_company(text).unwrap_err();
    let lines: Vec<usize> = problems.iter().map(|problem| place(problem).unwrap().0).collect();
    assert_eq!(lines, [2, 3, 4, 6, 7, 8, 8, 10, 11, 12, 15], "{}", problems.render(false));
    assert_eq!(problems.count(), 11);
    let json = serde_json::to_value(&problems).unwrap();
    assert_eq!(json[7]["key"], "departments.sales.members[0]");
    assert_eq!(json[7]["line"], 10);
    assert_eq!(json[7]["column"], 12);
    assert_eq!(json[7]["file"], "c/companies/a.toml");
    assert_eq!(json[7]["message"], "there is no user `2` in this company");
}

#[test]
fn a_problem_is_rendered_with_its_line_underlined() {
    let text = COMPANY.replace("members = [\"1\"]", "members = [\"1\"]\n\tring = \"25 s\"\r");
    let shown = read_company(&text).unwrap_err().render(false);
    assert_eq!(
        shown,
        "error[departments.sales.ring]: `25 s` is not a duration\n  \
           --> c/companies/a.toml:12:9\n   \
            |\n\
         12 |     ring = \"25 s\"\n   \
            |            ^^^^^^\n   \
            |\n   \
            = help: a whole number and one unit (s, m, h or d), like \"25s\", \"10m\" or \"4h\"; here from 1s to 10m\n\n"
    );
    assert!(read_company(&text).unwrap_err().render(true).contains('\u{1b}'));
}

#[test]
fn faults_of_syntax_are_placed_and_do_not_hide_the_rest() {
    let text = COMPANY.replace("[hours.office]", "max-calls = = 5\n[hours.office]").replace("\"1\"]", "\"1\", \"7\"]");
    let problems = read_company(&text).unwrap_err();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert!(messages[0].starts_with("this is not TOML"), "{messages:?}");
    assert_eq!(place(problems.iter().next().unwrap()).unwrap().0, 5);
    // What is not there may be in the part that could not be read.
    assert!(!messages.iter().any(|message| message.contains("is missing")), "{messages:?}");
    let value = COMPANY
        .replace("timezone = \"UTC\"", "timezone = \"UTC")
        .replace("strategy", "")
        .replace("\"1\"]", "\"1\"]\nring = \"x\"");
    let problems = read_company(&value).unwrap_err();
    assert!(problems.iter().any(|problem| problem.message.contains("not a duration")), "{}", problems.render(false));
}

#[test]
fn an_extension_or_number_written_twice_names_both_places() {
    let twice = format!("{COMPANY}[users.\"1\"]\npassword = \"sesame\"\n");
    let problems = read_company(&twice).unwrap_err();
    assert_eq!(problems.count(), 1, "{}", problems.render(false));
    assert!(problems.render(false).contains("duplicate key"), "{}", problems.render(false));

    let other = COMPANY.replace("a.example", "b.example").replace("+918000000001", "+91 80 0000-0001");
    let files = [("switchboard.toml", MACHINE), ("companies/a.toml", COMPANY), ("companies/b.toml", &other)];
    let problems = read(&files).unwrap_err();
    let all: Vec<&Problem> = problems.iter().collect();
    assert_eq!(all.len(), 1, "{}", problems.render(false));
    assert!(
        all[0].message.contains("+918000000001 is written twice: company `a` has it already"),
        "{}",
        all[0].message
    );
    assert_eq!(all[0].file, Path::new("c/companies/b.toml"));
    assert_eq!(all[0].related[0].file, Path::new("c/companies/a.toml"));
    assert_eq!((place(all[0]), all[0].related[0].place.line), (Some((7, 10)), 7));
}

#[test]
fn a_domain_belongs_to_one_company_in_any_case() {
    let other = COMPANY.replace("a.example", "A.Example").replace("+918000000001", "+918000000002");
    let files = [("switchboard.toml", MACHINE), ("companies/a.toml", COMPANY), ("companies/b.toml", &other)];
    let problems = read(&files).unwrap_err();
    assert_eq!(problems.count(), 1, "{}", problems.render(false));
    assert!(problems.iter().next().unwrap().message.contains("domain `a.example` is company `a`'s already"));
}

#[test]
fn bare_digits_that_could_mean_two_numbers_are_refused() {
    let pair = |short: &str| {
        let text = format!("{COMPANY}[numbers.\"{short}\"]\nroutes = [{{ to = \"reject:busy\" }}]\n");
        read_company(&text)
    };
    let problems = pair("+8000000001").unwrap_err();
    assert_eq!(problems.count(), 1, "{}", problems.render(false));
    let problem = problems.iter().next().unwrap();
    assert!(problem.message.contains("on trunk `t` the digits 8000000001 could mean +8000000001 or +918000000001"));
    assert_eq!(problem.related[0].place.line, 7);
    assert!(pair("+8000000002").is_ok());
}

#[test]
fn persons_are_joined_by_name_and_by_address() {
    let users = |lines: &str| read_company(&format!("{COMPANY}{lines}"));
    let user = |extension: u8, more: &str| format!("[users.{extension}]\npassword = \"x\"\n{more}\n");
    let config = users(
        &[
            user(2, "person = \"asha\"\nemail = \"Asha@bpo.example\""),
            user(3, "email = \"asha@BPO.example\""),
            user(4, "email = \"Ravi@bpo.example\""),
            user(5, "email = \"ravi@bpo.example\""),
        ]
        .concat(),
    )
    .unwrap();
    let persons: Vec<String> = config.plan.companies["a"].users.values().map(|user| user.person.to_string()).collect();
    assert_eq!(persons, ["1@a", "asha", "asha", "ravi@bpo.example", "ravi@bpo.example"]);

    let problems = users(
        &[
            user(2, "person = \"asha\"\nemail = \"desk@bpo.example\""),
            user(3, "person = \"ravi\"\nemail = \"desk@bpo.example\""),
            user(4, "email = \"desk@bpo.example\""),
        ]
        .concat(),
    )
    .unwrap_err();
    assert_eq!(problems.count(), 1, "{}", problems.render(false));
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.key, "users.4.email");
    assert!(problem.message.contains("`asha` and `ravi`"));
    assert_eq!(problem.related.len(), 2);
}

#[test]
fn no_secret_is_ever_shown() {
    let broken = [
        "password = \"hunter2\"\ndigest = { sha-256 = \"hunter2\" }",
        "pasword = \"hunter2\"",
        "password = [\"hunter2\"]",
        "password = { text = \"hunter2\" }",
        "passphrase = \"hunter2\"",
        "digest = { sha-256 = \"hunter2\", md5 = \"hunter2\" }",
        "digest = { sha256 = \"hunter2\" }",
        "digest = \"hunter2\"",
        "password = hunter2",
        "password = \"hunter2",
        "password = 'hunter2\"",
        "pasword = hunter2",
        "password = \"\"\"\nfirst\nhunter2",
        "password = \"\\q hunter2\"",
        "password = \"x\" hunter2",
        "password =\nhunter2",
        "password \"hunter2\"",
        "\"password\" = \"hunter2\", ring = 5",
        "\"pass\\u0077ord\" = \"hunter2\"\npassword = \"hunter2\"",
        "password = \"hunter2\"\u{1}",
    ];
    for line in broken {
        let text = COMPANY.replace("password = \"sesame-1-open-up\"", line);
        let problems = read_company(&text).expect_err(line);
        let all = format!("{}{problems:?}{}", problems.render(false), serde_json::to_string(&problems).unwrap());
        assert!(!all.contains("hunter"), "{line}:\n{all}");
        let inline = COMPANY.replace(
            "[users.1]\npassword = \"sesame-1-open-up\"",
            &format!("[users]\n1 = {{ name = \"x\", {} }}", line.replace('\n', ", ")),
        );
        if let Err(problems) = read_company(&inline) {
            let all = format!("{}{problems:?}{}", problems.render(false), serde_json::to_string(&problems).unwrap());
            assert!(!all.contains("hunter"), "{inline}:\n{all}");
        }
    }
    assert!(!format!("{:?}", read_company(COMPANY).unwrap()).contains("sesame"));
}

#[test]
fn passwords_may_stand_in_files_and_digests() {
    let files = |text: String| {
        [
            (PathBuf::from("c/switchboard.toml"), MACHINE.into()),
            (PathBuf::from("c/companies/a.toml"), text.into_bytes()),
        ]
    };
    let reader = |content: &'static [u8]| {
        move |path: &Path| {
            assert_eq!(path, Path::new("c/companies/secret/1"));
            Ok(content.to_vec())
        }
    };
    let by_file = || files(COMPANY.replace("password = \"sesame-1-open-up\"", "password-file = \"secret/1\""));
    let secret = |config: &Config| config.plan.companies["a"].users["1"].secret.clone();
    let expected = secret(&read_company(COMPANY).unwrap());
    assert_eq!(secret(&load_texts_with(&by_file(), &reader(b"sesame-1-open-up\r\nmore")).unwrap()), expected);
    for content in [&b""[..], b"\n", b"\xff"] {
        assert_eq!(load_texts_with(&by_file(), &reader(content)).unwrap_err().count(), 1);
    }
    let (sha256, md5) = expected.to_hex();
    let digest = format!("digest = {{ sha-256 = \"{}\", md5 = \"{}\" }}", sha256.unwrap(), md5.as_deref().unwrap());
    assert_eq!(secret(&read_company(&COMPANY.replace("password = \"sesame-1-open-up\"", &digest)).unwrap()), expected);

    let only_md5 =
        COMPANY.replace("password = \"sesame-1-open-up\"", &format!("digest = {{ md5 = \"{}\" }}", md5.unwrap()));
    assert!(read_company(&only_md5).is_ok());
    let machine = MACHINE.replace("[sip]", "[sip]\nmd5 = false");
    let problems = read(&[("switchboard.toml", &machine), ("companies/a.toml", &only_md5)]).unwrap_err();
    assert!(problems.iter().next().unwrap().message.contains("MD5 is switched off"), "{}", problems.render(false));
}

#[test]
fn either_digest_algorithm_can_be_switched_off_but_not_both() {
    let offered = |lines: &str| {
        let machine = MACHINE.replace("[sip]", &format!("[sip]\n{lines}"));
        read(&[("switchboard.toml", &machine)]).map(|config| config.sip.algorithms)
    };
    assert_eq!(offered("sha-256 = false").unwrap(), switchboard::auth::Offer::Md5);
    assert_eq!(offered("md5 = false").unwrap(), switchboard::auth::Offer::Sha256);
    let problems = offered("sha-256 = false\nmd5 = false").unwrap_err();
    assert!(problems.iter().next().unwrap().message.contains("no phone could register"), "{}", problems.render(false));
}

#[test]
fn directories_are_read_as_they_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let problems = load(path).unwrap_err();
    assert_eq!(problems.count(), 1, "{}", problems.render(false));
    assert!(problems.render(false).contains("switchboard.toml"));

    std::fs::write(path.join("switchboard.toml"), MACHINE).unwrap();
    let problems = load(path).unwrap_err();
    assert_eq!((problems.errors(), problems.warnings()), (1, 0), "{}", problems.render(false));
    assert!(problems.render(false).contains("companies` cannot be read"), "{}", problems.render(false));

    std::fs::create_dir(path.join("companies")).unwrap();
    let empty = load(path).unwrap();
    assert!(empty.plan.companies.is_empty());
    assert!(empty.warnings.render(false).contains("there are no companies"), "{}", empty.warnings.render(false));

    std::fs::write(path.join("companies/a.toml"), COMPANY).unwrap();
    std::fs::write(path.join("companies/a.toml~"), "not read").unwrap();
    std::fs::write(path.join("companies/.a.toml"), "not read").unwrap();
    assert_eq!(load(path).unwrap().plan.companies.len(), 1);

    std::fs::write(path.join("companies/b c.toml"), COMPANY.replace("a.exa", "b.exa").replace("+918", "+917")).unwrap();
    std::fs::create_dir(path.join("companies/d.toml")).unwrap();
    std::fs::write(path.join("companies/e.toml"), b"# caf\xe9\nname = \"x\"\n").unwrap();
    let problems = load(path).unwrap_err();
    let shown = problems.render(false);
    assert_eq!(problems.count(), 3, "{shown}");
    assert!(shown.contains("`b c` cannot name a company") && shown.contains("it is not a file"), "{shown}");
    assert!(shown.contains("not UTF-8") && shown.contains("e.toml:1:6"), "{shown}");
}

/// Each row: what of COMPANY is replaced, by what, the text at the warning's place, its message, its help.
#[test]
fn what_is_served_and_hardly_meant_is_a_warning() {
    let members = "members = [\"1\"]";
    let routes = "routes = [{ to = \"department:sales\" }]";
    let user = "[users.1]\npassword = \"sesame-1-open-up\"";
    let week = "week = { mon-fri = [\"09:00-17:00\"] }";
    let rows: &[(&str, &str, &str, &str, &str)] = &[
        (
            members,
            "members = [\"1\"]\noverflow = { busy = \"department:sales\" }",
            "\"department:sales\" }\n[users",
            "circle: department `sales` → department `sales`",
            "once",
        ),
        (
            members,
            "members = [\"1\"]\noverflow = { busy = \"department:b\" }\n[departments.b]\nmembers = [\"1\"]\noverflow = { default = \"department:sales\" }",
            "\"department:sales\" }\n[users",
            "circle: department `sales` → department `b` → department `sales`",
            "once",
        ),
        (
            members,
            "members = [\"1\"]\noverflow = { busy = \"user:1\", default = \"reject:busy\" }\n[users.1.overflow]\ndefault = \"department:sales\"",
            "\"department:sales\"\n[users",
            "circle: department `sales` → user `1` → department `sales`",
            "once",
        ),
        (
            routes,
            "routes = [{ to = \"user:1\" }, { hours = \"office\", to = \"department:sales\" }]",
            "{ hours",
            "never taken",
            "before that one",
        ),
        (members, "members = []\noverflow = { default = \"user:1\" }", "[]\n", "no members", "members ="),
        (
            members,
            "members = [\"1\"]\n[departments.b]\nmembers = [\"1\"]",
            "b]\n",
            "no call ever comes to department `b`",
            "department:b",
        ),
        (
            week,
            &format!("{week}\n[hours.other]\n{week}"),
            "other]",
            "hours `other` are used nowhere",
            "hours = \"other\"",
        ),
        (week, "week = {}", "office]", "hours `office` are never open", "mon-fri"),
        (week, "week = { mon = [] }\ndates = { \"2026-12-24\" = [] }", "office]", "never open", "mon-fri"),
        (
            user,
            &format!("{user}\n[users.2]\npassword = \"sesame-2-open-up\""),
            "2]\n",
            "only colleagues who dial 2",
            "user:2",
        ),
        (
            user,
            &format!("{user}\noverflow = {{ closed = \"reject:busy\" }}"),
            "closed",
            "`closed` never happens",
            "`unavailable`, `busy` and `no-answer`",
        ),
        (
            user,
            &format!("{user}\noverflow = {{ full = \"reject:busy\" }}"),
            "full",
            "nobody waits for a user",
            "default",
        ),
        (
            user,
            &format!("{user}\noverflow = {{ timeout = \"reject:busy\" }}"),
            "timeout",
            "nobody waits for a user",
            "default",
        ),
        (
            members,
            "members = [\"1\"]\noverflow = { default = \"external:+918000000001\" }",
            "\"external:",
            "this company's own number",
            "department:ID",
        ),
    ];
    assert!(read_company(COMPANY).unwrap().warnings.is_empty());
    for (old, new, at, message, help) in rows {
        assert!(COMPANY.contains(old), "{old}");
        let text = COMPANY.replacen(old, new, 1);
        let config = read_company(&text).unwrap_or_else(|problems| panic!("{text}\n{}", problems.render(false)));
        expect_one("companies/a.toml", &text, &config.warnings, at, message, help);
        assert_eq!(config.warnings.warnings(), 1);
        assert!(config.warnings.render(false).starts_with("warning"), "{}", config.warnings.render(false));
    }
}

#[test]
fn two_circles_are_two_warnings_and_each_is_told_once() {
    let text = COMPANY.replacen(
        "members = [\"1\"]",
        r#"members = ["1"]
overflow = { busy = "department:b", unavailable = "department:c", no-answer = "department:d" }
[departments.b]
members = ["1"]
overflow = { default = "department:sales" }
[departments.c]
members = ["1"]
overflow = { default = "department:sales", busy = "reject:busy" }
[departments.d]
members = ["1"]"#,
        1,
    );
    let warnings = read_company(&text).unwrap().warnings;
    assert_eq!(warnings.count(), 2, "{}", warnings.render(false));
    assert_eq!(warnings.render(false).matches("goes in a circle").count(), 2, "{}", warnings.render(false));
}

#[test]
fn nothing_is_called_unused_where_a_name_is_misspelt() {
    let text = COMPANY.replace("department:sales", "department:sals");
    let problems = read_company(&text).unwrap_err();
    assert_eq!((problems.errors(), problems.warnings()), (1, 0), "{}", problems.render(false));
}

#[test]
fn an_outside_number_that_is_another_companys_is_told_with_its_name() {
    let a =
        COMPANY.replace("members = [\"1\"]", "members = [\"1\"]\noverflow = { default = \"external:+918000000009\" }");
    let b = COMPANY.replace("a.example", "b.example").replace("+918000000001", "+918000000009");
    let config = read(&[("switchboard.toml", MACHINE), ("companies/a.toml", &a), ("companies/b.toml", &b)]).unwrap();
    assert!(config.warnings.render(false).contains("company `b`'s number"), "{}", config.warnings.render(false));
}

#[test]
fn users_who_share_a_mailbox_are_one_person_and_told_so() {
    let base = COMPANY.replacen("members = [\"1\"]", "members = [\"1\", \"2\"]", 1);
    let with = |first: &str, second: &str| {
        let text = format!(
            "{base}email = \"Desk@a.example\"\n{first}\n[users.2]\npassword = \"x\"\nemail = \"desk@a.example\"\n{second}\n"
        );
        let config = read_company(&text).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        config.warnings.iter().filter(|warning| warning.message.contains("one person")).count()
    };
    assert_eq!(with("", ""), 1);
    assert_eq!(with("person = \"desk\"", ""), 1, "the second joins without a word");
    assert_eq!(with("person = \"desk\"", "person = \"desk\""), 0, "said twice, it is meant");
    assert_eq!(with("person = \"a\"", "person = \"b\""), 0, "two people");
}

#[test]
fn a_person_named_by_an_address_is_so_in_any_case() {
    let text =
        format!("{COMPANY}person = \"Asha@BPO.example\"\n[users.2]\npassword = \"x\"\nemail = \"asha@bpo.example\"\n");
    let company = &read_company(&text).unwrap().plan.companies["a"];
    assert_eq!(company.users["1"].person, company.users["2"].person);
    assert_eq!(company.users["1"].person.as_str(), "asha@bpo.example");
}

#[test]
fn programs_get_severity_and_the_other_places() {
    let a = COMPANY.replace("hours = \"office\"\n", "");
    let b = COMPANY.replace("+918000000001", "+918000000009");
    let problems =
        read(&[("switchboard.toml", MACHINE), ("companies/a.toml", &a), ("companies/b.toml", &b)]).unwrap_err();
    let list = serde_json::to_value(&problems).unwrap();
    let error = list.as_array().unwrap().iter().find(|problem| problem["severity"] == "error").unwrap();
    assert_eq!(error["key"], "domain");
    assert_eq!(error["related"][0]["label"], "first here");
    assert_eq!(error["related"][0]["file"], "c/companies/a.toml");
    assert_eq!((&error["related"][0]["line"], &error["related"][0]["column"]), (&2.into(), &10.into()));
    assert!(problems.iter().any(|problem| problem.severity == Severity::Warning), "warnings are told beside errors");
    assert!(list.as_array().unwrap().iter().any(|problem| problem["severity"] == "warning"));
}

#[test]
fn a_configuration_that_cannot_be_looked_at_is_not_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(!holds_configuration(path));
    std::os::unix::fs::symlink("loop", path.join("loop")).unwrap();
    assert!(holds_configuration(&path.join("loop")), "it cannot be told whether it is there");
    std::fs::write(path.join("switchboard.toml"), "").unwrap();
    assert!(holds_configuration(path));
}

#[test]
fn a_broken_machine_file_does_not_blame_the_companies() {
    let machine = format!("{MACHINE}\nx = = 1\n");
    let company = COMPANY.replace("\"t\"", "\"elsewhere\"");
    let problems = read(&[("switchboard.toml", &machine), ("companies/a.toml", &company)]).unwrap_err();
    assert!(problems.iter().all(|problem| problem.file.ends_with("switchboard.toml")), "{}", problems.render(false));
    let problems = read(&[("companies/a.toml", COMPANY)]).unwrap_err();
    assert_eq!(problems.count(), 1, "{}", problems.render(false));
}

#[test]
fn a_diff_tells_in_words_what_changed() {
    let second = COMPANY.replace("a.example", "b.example").replace("+918000000001", "+918000000009");
    let both = |machine: &str, a: &str, b: &str| {
        read(&[("switchboard.toml", machine), ("companies/a.toml", a), ("companies/b.toml", b)])
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
    };
    let old = both(MACHINE, COMPANY, &second);
    assert_eq!(diff(&old, &old), "no change");

    let more = "[users.2]\npassword = \"x\"\n[users.3]\npassword = \"x\"\n[numbers.\"+918000000002\"]\nroutes = [{ to = \"user:2\" }]\n";
    let bigger = both(MACHINE, &format!("{COMPANY}{more}"), &second);
    assert_eq!(diff(&old, &bigger), "+2 users, +1 number");
    assert_eq!(diff(&bigger, &old), "−2 users, −1 number");

    let slower = COMPANY.replace("[\"1\"]", "[\"1\"]\nring = \"20s\"\nwait = \"60s\"");
    assert_eq!(diff(&old, &both(MACHINE, &slower, &second)), "sales: ring 25s → 20s and wait 0s → 1m");

    let secret = second.replace("sesame-1-open-up", "sesame-2-open-up");
    assert_eq!(
        diff(&old, &both(MACHINE, &slower, &secret)),
        "a: sales: ring 25s → 20s and wait 0s → 1m; b: 1: password changed"
    );

    let hours = COMPANY.replace("17:00", "18:00");
    assert_eq!(diff(&old, &both(MACHINE, &hours, &second)), "hours office: windows changed");

    let machine =
        MACHINE.replace("[sip]", "[sip]\nmax-call = \"2h\"").replace("\"sip:192.0.2.1\"", "\"sip:192.0.2.1:5080\"");
    assert_eq!(
        diff(&old, &both(&machine, COMPANY, &second)),
        "max-call 4h → 2h, trunk t: proxy 192.0.2.1 → 192.0.2.1:5080"
    );
    let alone = read_company(COMPANY).unwrap();
    assert_eq!(diff(&alone, &old), "+1 company");
}

const EXAMPLES: [(&str, &str); 3] = [
    ("config/switchboard.toml", include_str!("../config/switchboard.toml")),
    ("config/companies/acme.toml", include_str!("../config/companies/acme.toml")),
    ("config/companies/globex.toml", include_str!("../config/companies/globex.toml")),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(
        which in 0..3usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\\x00-\\xff\"'=\\[\\]{}.,\n#]{0,4}"), 1..6),
        raw in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut files: Vec<(PathBuf, Vec<u8>)> =
            EXAMPLES.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
        let text = &mut files[which].1;
        for (from, length, new) in edits {
            let from = from.index(text.len() + 1);
            let to = (from + length.index(12)).min(text.len());
            text.splice(from..to, new.into_bytes());
        }
        if let Some((at, byte)) = raw {
            let at = at.index(text.len() + 1);
            text.insert(at, byte);
        }
        if let Err(problems) = load_texts(&files) {
            prop_assert!(problems.count() > 0);
            let shown = problems.render(false);
            prop_assert!(shown.contains("error"));
            // Nor is a password ever shown, where the edits have left it whole behind its key.
            for (_, text) in EXAMPLES {
                for password in text.lines().filter_map(|line| line.strip_prefix("password")).filter_map(|line| line.split('"').nth(1)) {
                    let intact = String::from_utf8_lossy(&files[which].1).matches(&format!("= \"{password}\"")).count() > 0;
                    if intact {
                        prop_assert!(!shown.contains(password), "{}", shown);
                    }
                }
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(machine in "\\PC{0,80}", company in "[a-z0-9 =.\"'\\[\\]{}\n,#é\u{202e}\t\r-]{0,200}") {
        let files = [
            (PathBuf::from("switchboard.toml"), machine.into_bytes()),
            (PathBuf::from("companies/a.toml"), company.into_bytes()),
        ];
        if let Err(problems) = load_texts(&files) {
            prop_assert!(!problems.render(true).is_empty());
        }
    }
}
