//! Tomorrow's support tickets: each warning fires where it should, and a near miss does not.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use switchboard::config::{Config, Problems, load_texts_at};

use super::{MACHINE, moment};

/// A Sunday, shortly before five in the afternoon at Greenwich.
const NOW: &str = "2026-11-22T16:45:00Z";

/// Nothing is wrong with it.
const BASE: &str = r#"
domain = "a.example"
timezone = "UTC"
outbound-trunk = "t"
[hours.office]
week = { mon-fri = ["09:00-17:00"] }
[numbers."+918000000001"]
routes = [{ to = "department:sales" }]
[departments.sales]
members = ["1"]
[users.1]
password = "a good one for 1st"
hours = "office"
[users.1.overflow]
default = "reject:busy"
"#;

fn load_all(now: &str, machine: &str, companies: &[(&str, &str)]) -> Result<Config, Problems> {
    let mut files = vec![(PathBuf::from("c/switchboard.toml"), machine.as_bytes().to_vec())];
    for (name, text) in companies {
        files.push((PathBuf::from(format!("c/companies/{name}.toml")), text.as_bytes().to_vec()));
    }
    load_texts_at(moment(now), &files)
}

fn warnings(now: &str, machine: &str, companies: &[(&str, &str)]) -> Problems {
    load_all(now, machine, companies).unwrap_or_else(|problems| panic!("{}", problems.render(false))).warnings
}

/// BASE with each `old` in place of `new`.
fn changed(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(BASE.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replacen(old, new, 1)
    })
}

/// Exactly one warning, at the text `at`, which says that; nothing at the near miss.
fn fires(edits: &[(&str, &str)], at: &str, message: &str, help: &str, near_miss: &[(&str, &str)]) {
    let text = changed(edits);
    let found = warnings(NOW, MACHINE, &[("a", &text)]);
    super::expect_one("companies/a.toml", &text, &found, at, message, help);
    quiet(near_miss);
}

fn quiet(edits: &[(&str, &str)]) {
    let found = warnings(NOW, MACHINE, &[("a", &changed(edits))]);
    assert!(found.is_empty(), "{edits:?}\n{}", found.render(false));
}

const MEMBERS: &str = "members = [\"1\"]";
const ROUTES: &str = "routes = [{ to = \"department:sales\" }]";
const USER: &str = "password = \"a good one for 1st\"\nhours = \"office\"";
const WEEK: &str = "week = { mon-fri = [\"09:00-17:00\"] }";

#[test]
fn there_is_nothing_to_say_of_the_base() {
    quiet(&[]);
}

#[test]
fn a_user_whom_no_outside_call_can_reach() {
    let other = |more: &str| format!("[users.2]\npassword = \"a good one for 2nd\"\n{more}[users.1]");
    fires(
        &[("[users.1]", &other(""))],
        "2]\n",
        "no number leads to user `2`",
        "`members`",
        &[("[users.1]", &other("status = \"disabled\"\n"))],
    );
    quiet(&[("[users.1]", &other("")), ("\"reject:busy\"", "\"user:2\"")]);
    quiet(&[
        ("[users.1]", &other("")),
        (ROUTES, "routes = [{ callers = [\"+44*\"], to = \"user:2\" }, { to = \"department:sales\" }]"),
    ]);
}

#[test]
fn a_number_without_a_route_at_some_hours() {
    fires(
        &[(ROUTES, "routes = [{ hours = \"office\", to = \"department:sales\" }]")],
        "\"+918000000001\"",
        "has no route at some hours of the coming week: Mon–Fri 00:00–09:00, 17:00–24:00; Sat, Sun 00:00–24:00 (UTC)",
        "`hours` of its own",
        &[(ROUTES, "hours = \"office\"\nroutes = [{ hours = \"office\", to = \"department:sales\" }]")],
    );
    // Together they take the whole week, one of them on a clock of its own and over midnight.
    let rest = "[hours.rest]\ntimezone = \"Asia/Kolkata\"\nweek = { mon-fri = [\"22:30-14:30\"], sat = [\"00:00-24:00\"], sun = [\"00:00-24:00\"] }\n[numbers";
    let both = "routes = [{ hours = \"office\", to = \"department:sales\" }, { hours = \"rest\", to = \"reject:unavailable\" }]";
    // 22:30 in Kolkata is 17:00 at Greenwich, 14:30 is 09:00; Monday before 09:00 is Sunday's there until 18:30.
    let found = warnings(NOW, MACHINE, &[("a", &changed(&[("[numbers", rest), (ROUTES, both)]))]);
    assert!(
        found.render(false).contains("coming week: Sun 18:30–24:00; Mon")
            || found.render(false).contains("Mon 00:00–09:00; Sun 18:30–24:00"),
        "{}",
        found.render(false)
    );
    let whole = rest
        .replace("mon-fri = [\"22:30-14:30\"], sat", "sun-fri = [\"22:30-14:30\"], sat")
        .replace(", sun = [\"00:00-24:00\"]", "");
    let whole = whole.replace(
        "sun-fri = [\"22:30-14:30\"]",
        "mon-fri = [\"22:30-14:30\"], sun = [\"00:00-24:00\", \"22:30-14:30\"]",
    );
    quiet(&[("[numbers", &whole), (ROUTES, both)]);
}

#[test]
fn a_number_whose_routes_are_for_some_callers_only() {
    fires(
        &[(ROUTES, "routes = [{ callers = [\"+91*\"], to = \"department:sales\" }]")],
        "\"+918000000001\"",
        "has no route for some callers at some hours of the coming week: Mon–Sun 00:00–24:00 (UTC)",
        "reject:unavailable",
        &[(ROUTES, "routes = [{ callers = [\"+91*\"], to = \"department:sales\" }, { to = \"reject:decline\" }]")],
    );
}

#[test]
fn a_week_in_which_the_clocks_change_has_all_its_hours() {
    let zone = ("timezone = \"UTC\"", "timezone = \"Europe/Berlin\"");
    for now in ["2026-03-26T12:00:00Z", "2026-03-29T00:30:00Z", "2026-10-24T22:30:00Z", "2026-10-25T01:30:00Z"] {
        let found = warnings(now, MACHINE, &[("a", &changed(&[zone]))]);
        assert!(found.is_empty(), "{}", found.render(false));
        let days = changed(&[
            zone,
            (WEEK, "week = { mon-sun = [\"00:00-24:00\"] }"),
            (ROUTES, "routes = [{ hours = \"office\", to = \"department:sales\" }]"),
        ]);
        let found = warnings(now, MACHINE, &[("a", &days)]);
        assert!(found.is_empty(), "{}", found.render(false));
    }
    // A zone whose clock skips midnight itself.
    let text = changed(&[
        ("timezone = \"UTC\"", "timezone = \"America/Havana\""),
        (ROUTES, "routes = [{ hours = \"office\", to = \"department:sales\" }]"),
    ]);
    let shown = warnings("2026-03-08T12:00:00Z", MACHINE, &[("a", &text)]).render(false);
    assert!(shown.contains("Sat, Sun"), "{shown}");
}

#[test]
fn a_holiday_in_the_coming_week_is_looked_at_and_one_after_it_is_not() {
    let rest = "[hours.rest]\nweek = { mon-fri = [\"17:00-09:00\"], sat = [\"00:00-24:00\"], sun = [\"00:00-24:00\", \"22:00-09:00\"] }\n[numbers";
    let with = |date: &str| {
        let office = format!("{WEEK}\ndates = {{ \"{date}\" = [] }}");
        changed(&[
            (WEEK, &office),
            ("[numbers", rest),
            (
                ROUTES,
                "routes = [{ hours = \"office\", to = \"department:sales\" }, { hours = \"rest\", to = \"reject:unavailable\" }]",
            ),
        ])
    };
    let shown = warnings(NOW, MACHINE, &[("a", &with("2026-11-25"))]).render(false);
    assert!(shown.contains("coming week: Wed 09:00–17:00 (UTC)"), "{shown}");
    assert!(warnings(NOW, MACHINE, &[("a", &with("2026-12-02"))]).is_empty());
}

#[test]
fn a_department_without_a_reachable_hour() {
    let sunday = "[hours.sunday]\nweek = { sun = [\"10:00-12:00\"] }\n[numbers";
    // By its own hours against those of the number.
    fires(
        &[
            ("[numbers", sunday),
            (ROUTES, &format!("hours = \"office\"\n{ROUTES}")),
            (MEMBERS, "members = [\"1\"]\nhours = \"sunday\""),
        ],
        "\"sunday\"\n[users",
        "department `sales` is not open in the next seven days at any hour a call can come",
        "lead here",
        &[
            ("[numbers", &sunday.replace("sun =", "mon =")),
            (ROUTES, &format!("hours = \"office\"\n{ROUTES}")),
            (MEMBERS, "members = [\"1\"]\nhours = \"sunday\""),
        ],
    );
    // By the hours of its members.
    fires(
        &[("[numbers", sunday), (MEMBERS, "members = [\"1\"]\nhours = \"sunday\"")],
        "[\"1\"]",
        "nobody in department `sales` can be rung",
        "`status`",
        &[
            ("[numbers", sunday),
            (MEMBERS, "members = [\"1\"]\nhours = \"sunday\""),
            ("hours = \"office\"\n[users.1.overflow]", "[users.1.overflow]"),
            ("[numbers", "[numbers.\"+918000000002\"]\nhours = \"office\"\nroutes = [{ to = \"user:1\" }]\n[numbers"),
        ],
    );
    // By their status.
    fires(
        &[(USER, &format!("{USER}\nstatus = \"pending\""))],
        "[\"1\"]",
        "nobody in department `sales`",
        "`status`",
        &[],
    );
    // By the routes: this one is taken before, whenever it would be open.
    fires(
        &[
            ("[numbers", sunday),
            (ROUTES, "hours = \"office\"\nroutes = [{ hours = \"sunday\", to = \"department:b\" }, { to = \"department:sales\" }]"),
            ("[departments.sales]", "[departments.b]\nmembers = [\"1\"]\n[departments.sales]"),
        ],
        "b]\n",
        "no call can come to department `b` in the next seven days",
        "`hours` of the routes",
        &[
            ("[numbers", sunday),
            (ROUTES, "hours = \"office\"\nroutes = [{ hours = \"sunday\", to = \"department:b\" }, { to = \"department:sales\" }]"),
            ("[departments.sales]", "[departments.b]\nmembers = [\"1\"]\n[departments.sales]"),
            (MEMBERS, "members = [\"1\"]\noverflow = { busy = \"department:b\" }"),
        ].map(|(old, new)| if old == MEMBERS { ("[departments.sales]\nmembers = [\"1\"]", "[departments.sales]\nmembers = [\"1\"]\noverflow = { busy = \"department:b\" }") } else { (old, new) }),
    );
}

#[test]
fn calls_come_to_a_closed_departments_overflow_when_it_is_closed() {
    let with = |overflow: &str| {
        changed(&[
            (
                MEMBERS,
                &format!(
                    "members = [\"1\"]\nhours = \"office\"\noverflow = {overflow}\n[departments.night]\nmembers = [\"2\"]\nhours = \"nights\""
                ),
            ),
            ("[numbers", "[hours.nights]\nweek = { mon-fri = [\"20:00-06:00\"] }\n[numbers"),
            ("[users.1]", "[users.2]\npassword = \"a good one for 2nd\"\n[users.1]"),
        ])
    };
    let told = |overflow: &str| warnings(NOW, MACHINE, &[("a", &with(overflow))]);
    for reached in ["{ closed = \"department:night\" }", "{ default = \"department:night\" }"] {
        assert!(told(reached).is_empty(), "{reached}: {}", told(reached).render(false));
    }
    for unreached in
        ["{ no-answer = \"department:night\" }", "{ closed = \"reject:busy\", default = \"department:night\" }"]
    {
        let shown = told(unreached).render(false);
        assert!(shown.contains("department `night` is not open in the next seven days"), "{unreached}: {shown}");
    }
}

#[test]
fn a_member_who_is_never_there_when_calls_come() {
    let two = "[users.2]\npassword = \"a good one for 2nd\"\nhours = \"sunday\"\n[users.1]";
    let sunday = "[hours.sunday]\nweek = { sun = [\"10:00-12:00\"] }\n[numbers";
    let both = "members = [\"1\", \"2\"]\nhours = \"office\"";
    fires(
        &[("[numbers", sunday), (MEMBERS, both), ("[users.1]", two)],
        "\"2\"]\nhours",
        "`2` is never rung in department `sales`: the hours `sunday`",
        "take the member away",
        &[("[numbers", sunday), (MEMBERS, "members = [\"1\", \"2\"]"), ("[users.1]", two)],
    );
    // On leave all week: no ticket.
    let leave =
        "[hours.sunday]\nweek = { mon-fri = [\"09:00-17:00\"] }\ndates = { \"2026-11-20..2026-12-04\" = [] }\n[numbers";
    quiet(&[("[numbers", leave), (MEMBERS, both), ("[users.1]", two)]);
}

#[test]
fn one_offer_that_is_longer_than_callers_wait() {
    let ring = |length: &str| format!("members = [\"1\"]\nring = \"{length}\"");
    fires(&[(MEMBERS, &ring("61s"))], "\"61s\"", "one offer of 61s", "20s to 30s", &[(MEMBERS, &ring("60s"))]);
    let user = |length: &str| format!("{USER}\nring = \"{length}\"");
    fires(&[(USER, &user("2m"))], "\"2m\"", "one offer of 2m", "20s to 30s", &[(USER, &user("1m"))]);
}

/// `count` more users in the department, each with these keys.
fn crowd(count: usize, department: &str, keys: &str) -> Vec<(String, String)> {
    let names: Vec<String> = (10..10 + count).map(|extension| format!("\"{extension}\"")).collect();
    let mut users = String::new();
    for extension in 10..10 + count {
        let _ = write!(users, "[users.{extension}]\npassword = \"a good one for {extension}th\"\n{keys}");
    }
    vec![
        (MEMBERS.to_owned(), format!("members = [\"1\", {}]\n{department}", names.join(", "))),
        ("[users.1]".to_owned(), format!("{users}[users.1]")),
    ]
}

fn borrowed(edits: &[(String, String)]) -> Vec<(&str, &str)> {
    edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect()
}

#[test]
fn a_department_that_rings_longer_than_callers_wait() {
    fires(
        &borrowed(&crowd(7, "strategy = \"serial\"\n", "")),
        "[\"1\", ",
        "department `sales` may ring for 3m 20s",
        "simultaneous",
        &borrowed(&crowd(6, "strategy = \"serial\"\n", "")),
    );
    quiet(&borrowed(&crowd(7, "", "")));
    fires(
        &borrowed(&crowd(7, "max-ring = 1\n", "")),
        "[\"1\", ",
        "department `sales` may ring for 3m 20s",
        "max-ring",
        &borrowed(&crowd(7, "max-ring = 2\n", "")),
    );
    // Two shifts that never meet ring no longer than the larger of them.
    let mut shifts = crowd(7, "strategy = \"serial\"\n", "hours = \"late\"\n");
    shifts.push(("[numbers".into(), "[hours.late]\nweek = { mon-fri = [\"17:00-24:00\"] }\n[numbers".into()));
    quiet(&borrowed(&shifts));
}

#[test]
fn a_chain_that_rings_longer_than_callers_wait() {
    let chain = |ring: &str| {
        format!(
            "members = [\"1\"]\nring = \"60s\"\noverflow = {{ no-answer = \"department:b\" }}\n[departments.b]\nmembers = [\"1\"]\nring = \"60s\"\noverflow = {{ default = \"department:c\" }}\n[departments.c]\nmembers = [\"1\"]\nring = \"{ring}\"\noverflow = {{ default = \"user:1\" }}"
        )
    };
    fires(
        &[(MEMBERS, &chain("31s"))],
        "\"department:sales\"",
        "rings for 3m 1s here: department `sales` 1m → department `b` 1m → department `c` 31s → user `1` 30s",
        "end the chain earlier",
        &[(MEMBERS, &chain("30s"))],
    );
}

#[test]
fn one_mobile_under_two_persons() {
    let second = |keys: &str| {
        BASE.replace("a.example", "b.example")
            .replace("+918000000001", "+918000000002")
            .replace("hours = \"office\"\n[users.1.ov", &format!("hours = \"office\"\n{keys}[users.1.ov"))
    };
    let first = changed(&[(USER, &format!("{USER}\nmobile = \"+919810000001\"\nperson = \"asha\""))]);
    let told = |keys: &str| warnings(NOW, MACHINE, &[("a", &first), ("b", &second(keys))]);
    let found = told("mobile = \"+91 98100 00001\"\n");
    assert_eq!(found.count(), 1, "{}", found.render(false));
    let shown = found.render(false);
    assert!(
        shown.contains("users `1@a` and `1@b` have the same mobile") && shown.contains("c/companies/a.toml"),
        "{shown}"
    );
    assert!(found.iter().next().unwrap().file.ends_with("b.toml"));
    assert_eq!(found.places(), "warning: c/companies/b.toml:14:10 users.1.mobile\n", "a log says where, not what");
    assert!(told("mobile = \"+919810000001\"\nperson = \"asha\"\n").is_empty(), "one person");
    assert!(told("mobile = \"+919810000002\"\n").is_empty());
}

#[test]
fn a_mobile_that_is_one_of_our_numbers() {
    let mobile = |number: &str| format!("{USER}\nring-on = [\"mobile\"]\nmobile = \"{number}\"");
    fires(
        &[(USER, &mobile("+918000000001"))],
        "\"+918000000001\"\n[users",
        "this company's own number",
        "department:ID",
        &[(USER, &mobile("+918000000002"))],
    );
}

#[test]
fn a_trunk_that_too_many_could_pass_for() {
    let told = |source: &str| warnings(NOW, &MACHINE.replace("192.0.2.2", source), &[("a", BASE)]);
    for (source, message) in [
        ("198.51.100.0/23", "one of 512 addresses can send calls as trunk `in`"),
        ("128.0.0.0/1", "one of 2147483648 addresses"),
        ("2001:db8::/32", "one of 2^96 addresses"),
        ("172.0.0.0/8", "one of 16777216 addresses"),
    ] {
        let found = told(source);
        assert_eq!(found.count(), 1, "{source}: {}", found.render(false));
        assert!(found.render(false).contains(message), "{}", found.render(false));
        assert!(found.render(false).contains(&format!("\"{source}\"")), "the line is shown");
    }
    for source in
        ["198.51.100.0/24", "2001:db8::/56", "10.0.0.0/8", "172.16.0.0/12", "fd00::/8", "100.64.0.0/10", "127.0.0.0/8"]
    {
        assert!(told(source).is_empty(), "{source}: {}", told(source).render(false));
    }
    for everybody in ["0.0.0.0/0", "::/0"] {
        let problems = load_all(NOW, &MACHINE.replace("192.0.2.2", everybody), &[("a", BASE)]).unwrap_err();
        assert!(problems.render(false).contains("every address there is"), "{}", problems.render(false));
    }
}

#[test]
fn tokens_that_nothing_takes() {
    let hash = "01".repeat(32);
    let token = format!("[control.tokens.x]\nsha-256 = \"{hash}\"\nrole = \"manager\"\ncompanies = \"all\"\n");
    let told = |more: &str| warnings(NOW, &format!("{MACHINE}{more}{token}"), &[("a", BASE)]);
    assert!(told("").render(false).contains("no JSON API to use them with"));
    assert!(told("[control]\nhttp = \"127.0.0.1:8060\"\n").is_empty());
}

#[test]
fn a_weak_password_is_told_and_not_shown() {
    for (password, why) in [
        ("change-me-now-or-never", "like an example"),
        ("k7Qw-m2xR9z", "fewer than 12"),
        ("491728364550", "only digits"),
        ("xK4mTxK4mTxK4m", "repeats itself"),
        ("a.example-a.example-1", "own names"),
    ] {
        let text = changed(&[("a good one for 1st", password)]);
        let found = warnings(NOW, MACHINE, &[("a", &text)]);
        super::expect_one("companies/a.toml", &text, &found, &format!("\"{password}\""), why, "--generate");
        for shown in [found.render(false), found.render(true), serde_json::to_string(&found).unwrap()] {
            assert!(!shown.contains(password), "{shown}");
        }
        // Nor does the underlining say how long it is.
        assert!(found.render(false).contains("| password = \"•••\"\n"), "{}", found.render(false));
        assert!(found.render(false).contains("|            ^^^^^ user `1`'s\n"), "{}", found.render(false));
    }
    for strong in ["k7Qw-m2xR9zT", "correct horse battery", "kTm4RwXz8pQn2vLb7cYd"] {
        quiet(&[("a good one for 1st", strong)]);
    }
}

#[test]
fn passwords_of_one_weakness_are_one_warning() {
    let found = warnings(
        NOW,
        MACHINE,
        &[("a", &changed(&borrowed(&crowd(29, "", ""))).replace("a good one for", "change-me"))],
    );
    let shown = found.render(false);
    assert_eq!(found.count(), 1, "{shown}");
    assert!(shown.contains("the passwords of 30 users are weak, as `10`'s"), "{shown}");
    assert!(!shown.contains("change-me"), "{shown}");
}

#[test]
fn a_route_that_an_earlier_one_leaves_nothing() {
    let routes = |first: &str, second: &str| {
        format!(
            "routes = [{{ {first} to = \"user:1\" }}, {{ {second} to = \"reject:busy\" }}, {{ to = \"department:sales\" }}]"
        )
    };
    let office = "hours = \"office\",";
    let told = |first: &str, second: &str| {
        let late = "[hours.late]\nweek = { mon-fri = [\"17:00-19:00\"] }\n[numbers.\"+918000000002\"]\nhours = \"late\"\nroutes = [{ to = \"user:1\" }]\n[numbers";
        let text = changed(&[("[numbers", late), (ROUTES, &routes(first, second))]);
        warnings(NOW, MACHINE, &[("a", &text)]).iter().filter(|warning| warning.message.contains("never taken")).count()
    };
    for (first, second) in [
        (office, office),
        (office, "hours = \"office\", callers = [\"+91*\"],"),
        ("callers = [\"+91*\"],", "callers = [\"+9198*\", \"+919811112222\"],"),
        ("callers = [\"+91*\", \"anonymous\"],", "hours = \"office\", callers = [\"anonymous\"],"),
    ] {
        assert_eq!(told(first, second), 1, "{first} {second}");
    }
    for (first, second) in [
        (office, "hours = \"late\","),
        ("hours = \"office\", callers = [\"+91*\"],", office),
        ("callers = [\"+9198*\"],", "callers = [\"+91*\"],"),
        ("callers = [\"+91*\"],", "callers = [\"+9198*\", \"anonymous\"],"),
        ("hours = \"office\", callers = [\"+91*\"],", "callers = [\"+91*\"],"),
    ] {
        assert_eq!(told(first, second), 0, "{first} {second}");
    }
}

#[test]
fn keys_of_a_department_that_can_have_no_effect() {
    let with = |keys: &str| format!("members = [\"1\"]\n{keys}");
    for (keys, at, message, near_miss) in [
        ("max-waiting = 3", "max-waiting", "nobody waits", "max-waiting = 3\nwait = \"10s\""),
        ("wait = \"10s\"\nmax-waiting = 0", "wait =", "lets nobody wait", "wait = \"10s\"\nmax-waiting = 1"),
        ("strategy = \"serial\"\nmax-ring = 3", "max-ring", "one member at a time", "max-ring = 3"),
        (
            "overflow = { closed = \"reject:busy\" }",
            "closed",
            "always open",
            "hours = \"office\"\noverflow = { closed = \"reject:busy\" }",
        ),
        (
            "overflow = { full = \"reject:busy\" }",
            "full",
            "nobody waits",
            "wait = \"1s\"\noverflow = { full = \"reject:busy\" }",
        ),
        (
            "overflow = { timeout = \"reject:busy\" }",
            "timeout",
            "nobody waits",
            "wait = \"1s\"\noverflow = { timeout = \"reject:busy\" }",
        ),
    ] {
        fires(&[(MEMBERS, &with(keys))], at, message, "", &[(MEMBERS, &with(near_miss))]);
    }
}

#[test]
fn every_circle_is_found_and_nothing_that_is_none() {
    // A diamond is no circle; the circle inside a larger one is one of its own.
    let departments = |lines: &[(&str, &str)]| {
        let mut text = String::from(MEMBERS);
        let mut names: Vec<&str> = lines.iter().flat_map(|(from, to)| [*from, *to]).collect();
        names.sort_unstable();
        names.dedup();
        let overflow = |name: &str| {
            let causes = ["busy", "no-answer", "unavailable"];
            let to = lines.iter().filter(|(from, _)| *from == name);
            let entries: Vec<String> =
                causes.iter().zip(to).map(|(cause, (_, to))| format!("{cause} = \"department:{to}\"")).collect();
            format!("overflow = {{ {} }}\n", entries.join(", "))
        };
        let _ = write!(text, "\n{}", overflow("sales"));
        for name in names.iter().filter(|name| **name != "sales") {
            let _ = write!(text, "[departments.{name}]\nmembers = [\"1\"]\n{}", overflow(name));
        }
        text
    };
    let told = |lines: &[(&str, &str)]| {
        let text = changed(&[(MEMBERS, &departments(lines))]);
        warnings(NOW, MACHINE, &[("a", &text)]).iter().filter(|warning| warning.message.contains("circle")).count()
    };
    assert_eq!(told(&[("sales", "b"), ("sales", "c"), ("b", "d"), ("c", "d")]), 0);
    assert_eq!(told(&[("sales", "b"), ("b", "c"), ("c", "sales"), ("c", "b")]), 2);
    assert_eq!(told(&[("sales", "b"), ("b", "b")]), 1);
}

#[test]
fn a_plan_that_is_exceeded_is_an_error_and_one_that_is_full_is_not() {
    let plan = |plan: &str| {
        changed(&[
            ("[hours.office]", &format!("[plan]\n{plan}\n[hours.office]")),
            (USER, &format!("{USER}\npanel = true")),
        ])
    };
    for (over, full, message) in [
        ("users = 0", "users = 1", "room for 0, and there is 1 user"),
        ("panel-seats = 0", "panel-seats = 1", "1 user with `panel = true`"),
        ("extensions = \"2-9\"", "extensions = \"1-9\"", "extension `1` is outside the plan's 2-9"),
    ] {
        let problems = load_all(NOW, MACHINE, &[("a", &plan(over))]).unwrap_err();
        assert_eq!(problems.errors(), 1, "{}", problems.render(false));
        assert!(problems.render(false).contains(message), "{}", problems.render(false));
        assert!(warnings(NOW, MACHINE, &[("a", &plan(full))]).is_empty(), "{full}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The hours that are named are those at which no route is open, minute by minute.
    #[test]
    fn the_hours_named_are_those_without_a_route(
        windows in proptest::collection::vec((0u32..7, 0u32..24, 1u32..24), 1..8),
        zone in proptest::sample::select(vec!["UTC", "Asia/Kolkata", "America/New_York"]),
    ) {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let mut open = [[false; 24]; 7];
        let mut week: Vec<String> = Vec::new();
        for (day, name) in DAYS.iter().enumerate() {
            let mut list = Vec::new();
            for (_, start, length) in windows.iter().filter(|(of, ..)| *of as usize == day) {
                let end = start + length;
                list.push(format!("\"{start:02}:00-{:02}:00\"", if end > 24 { end - 24 } else { end }));
                (*start..end).for_each(|hour| open[(day + hour as usize / 24) % 7][hour as usize % 24] = true);
            }
            week.push(format!("{name} = [{}]", list.join(", ")));
        }
        let text = changed(&[
            ("timezone = \"UTC\"", &format!("timezone = \"{zone}\"")),
            ("[numbers", &format!("[hours.odd]\nweek = {{ {} }}\n[numbers", week.join(", "))),
            (ROUTES, "routes = [{ hours = \"odd\", to = \"reject:busy\" }]\n[numbers.\"+918000000002\"]\nroutes = [{ to = \"department:sales\" }]"),
        ]);
        let found = warnings(NOW, MACHINE, &[("a", &text)]);
        let message = found.iter().map(|warning| warning.message.clone()).find(|message| message.contains("has no route"));
        let mut named = [[false; 24]; 7];
        for group in message.iter().flat_map(|message| message.split("week: ").nth(1).unwrap().split(" (").next().unwrap().split("; ")) {
            let (days, times) = group.split_at(group.find(|c: char| c.is_ascii_digit()).unwrap());
            let index = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name)).unwrap();
            let days: Vec<usize> = match days.trim().split_once('–') {
                Some((first, last)) => (index(first)..=index(last)).collect(),
                None => days.trim().split(", ").map(index).collect(),
            };
            for time in times.split(", ") {
                let (from, to) = time.split_once('–').unwrap();
                let hour = |text: &str| text.strip_suffix(":00").unwrap().parse::<usize>().unwrap();
                for day in &days {
                    (hour(from)..hour(to)).for_each(|hour| named[*day][hour] = true);
                }
            }
        }
        for day in 0..7 {
            for hour in 0..24 {
                prop_assert_eq!(named[day][hour], !open[day][hour], "{} {}: {:?}", DAYS[day], hour, message);
            }
        }
    }
}

/// 50,000 users in 2,000 companies, or in one.
fn large(companies: usize, users: usize) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = vec![(PathBuf::from("c/switchboard.toml"), MACHINE.as_bytes().to_vec())];
    for company in 0..companies {
        let mut text = format!(
            "domain = \"c{company}.example\"\ntimezone = \"Asia/Kolkata\"\noutbound-trunk = \"t\"\n\
             [hours.office]\nweek = {{ mon-fri = [\"09:30-13:00\", \"14:00-18:30\"], sat = [\"10:00-14:00\"] }}\ndates = {{ \"2026-11-24\" = [] }}\n\
             [hours.night]\nweek = {{ mon-sun = [\"20:00-06:00\"] }}\n\
             [numbers.\"+9180{company:08}\"]\nroutes = [{{ hours = \"office\", to = \"department:d0\" }}, {{ hours = \"night\", to = \"department:d1\" }}]\n"
        );
        let departments = (users / 5).max(2);
        for department in 0..departments {
            let members: Vec<String> =
                (0..users).filter(|user| user % departments == department).map(|user| format!("\"{user}\"")).collect();
            let _ = write!(
                text,
                "[departments.d{department}]\nmembers = [{}]\nhours = \"office\"\noverflow = {{ default = \"department:d{}\" }}\n",
                members.join(", "),
                (department + 1) % departments
            );
        }
        for user in 0..users {
            let _ = write!(
                text,
                "[users.{user}]\nname = \"User {user}\"\nemail = \"u{user}@c{company}.example\"\nmobile = \"+9198{company:05}{user:05}\"\nhours = \"office\"\noverflow = {{ default = \"department:d{}\" }}\npassword = \"change-me\"\n",
                user % departments
            );
        }
        files.push((PathBuf::from(format!("c/companies/c{company}.toml")), text.into_bytes()));
    }
    files
}

/// A slow build gives a slow figure: `cargo test --release --test config -- --ignored --nocapture large`.
#[test]
#[allow(clippy::print_stdout)]
#[ignore = "a measurement for release builds"]
fn large_configurations_are_checked_within_seconds() {
    for (companies, users) in [(2_000, 25), (1, 50_000), (50, 1_000)] {
        let files = large(companies, users);
        let begun = Instant::now();
        let config = load_texts_at(moment(NOW), &files).unwrap_or_else(|problems| panic!("{}", problems.summary()));
        let taken = begun.elapsed();
        println!("{companies} companies of {users} users: {taken:?}, {}", config.warnings.summary());
        assert!(taken < Duration::from_secs(5), "{taken:?}");
    }
}
