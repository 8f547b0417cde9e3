//! `[state]`, `[log]`, `[hep]` and the tokens of `[control]`: what they mean, what is wrong with them, and what a reload says of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use switchboard::config::{
    Access, Config, LogFormat, LogLevel, Problems, TokenRole, diff, load_texts_with, token_hash,
};
use switchboard::id::{CompanyId, Extension, UserId};

use super::{COMPANY, MACHINE, expect_one, read};

/// `printf sb_one | sha256sum`
const ONE: &str = "ecbffec489e3d03db27922cd6f0d84b19e12290d6162e26e00475148cc84dab0";
const TWO: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// MACHINE with that after it.
fn with(more: &str) -> Result<Config, Problems> {
    read(&[("switchboard.toml", &format!("{MACHINE}{more}")), ("companies/a.toml", COMPANY)])
}

fn right(more: &str) -> Config {
    with(more).unwrap_or_else(|problems| panic!("{more}\n{}", problems.render(false)))
}

#[test]
fn what_is_not_written_has_its_default() {
    let config = right("");
    assert_eq!(config.state.keep_calls, Duration::from_secs(400 * 86_400));
    assert_eq!((config.state.journal, config.hep, config.control.tokens), (None, None, Vec::new()));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Text));
}

#[test]
fn what_is_written_is_taken() {
    let config = right(
        "[state]\njournal = \"j\"\nkeep-calls = \"30d\"\n[log]\nlevel = \"debug\"\nformat = \"json\"\n\
         [hep]\ncollector = \"[2001:db8::9]:9060\"\ncapture-id = 4294967295\npassword = \"homer-knows\"\n",
    );
    assert_eq!(config.state.journal.as_deref(), Some(Path::new("c/j")), "relative to switchboard.toml");
    assert_eq!(config.state.keep_calls, Duration::from_secs(30 * 86_400));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    let hep = config.hep.as_ref().unwrap();
    assert_eq!((hep.collector, hep.capture_id), ("[2001:db8::9]:9060".parse().unwrap(), u32::MAX));
    assert_eq!(hep.password.as_ref().unwrap().reveal(), "homer-knows");
    assert!(!format!("{config:?}").contains("homer-knows"));
    assert_eq!(right("[hep]\ncollector = \"192.0.2.9:9060\"\n").hep.unwrap().capture_id, 1);
}

#[test]
fn the_collectors_password_may_be_in_a_file() {
    let machine = format!("{MACHINE}[hep]\ncollector = \"192.0.2.9:9060\"\npassword-file = \"homer\"\n");
    let files = [
        (PathBuf::from("c/switchboard.toml"), machine.into_bytes()),
        (PathBuf::from("c/companies/a.toml"), COMPANY.as_bytes().to_vec()),
    ];
    let asked = |path: &Path| {
        assert_eq!(path, Path::new("c/homer"));
        Ok(b"from-the-file\nnot this\n".to_vec())
    };
    let config = load_texts_with(&files, &asked).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(config.hep.unwrap().password.unwrap().reveal(), "from-the-file");
}

#[test]
fn tokens_have_a_role_and_whom_they_are_about() {
    let config = right(&format!(
        "[control.tokens.wall]\nsha-256 = \"{ONE}\"\nrole = \"administrator\"\ncompanies = \"all\"\n\
         [control.tokens.boss]\nsha-256 = \"{}\"\nrole = \"manager\"\ncompanies = [\"a\"]\n\
         [control.tokens.phone]\nsha-256 = \"{}\"\nrole = \"agent\"\nuser = \"1@a\"\n",
        TWO.replace('2', "A"),
        TWO.replace('2', "3"),
    ));
    let a = CompanyId::new("a");
    let [wall, boss, phone] = config.control.tokens.as_slice() else { panic!("{:?}", config.control.tokens) };
    assert_eq!((wall.name.as_str(), wall.role, &wall.access), ("wall", TokenRole::Administrator, &Access::All));
    assert_eq!(wall.sha256, token_hash("sb_one"));
    assert_eq!((boss.role, &boss.access), (TokenRole::Manager, &Access::Companies(BTreeSet::from([a.clone()]))));
    assert_eq!(boss.sha256, [0x0a; 32], "in any case");
    let user = UserId::new(&a, &Extension::new("1"));
    assert_eq!((phone.role, &phone.access), (TokenRole::Agent, &Access::User(user)));
    let covered: Vec<bool> = [wall, boss, phone].iter().map(|token| token.access.covers(&a)).collect();
    assert_eq!(covered, [true, true, false]);
    assert!(!boss.access.covers(&CompanyId::new("b")));
    let shown = format!("{wall:?}");
    assert!(shown.contains("wall") && !shown.contains("sha256") && !shown.contains(&ONE[..4]), "{shown}");
}

/// Each row: what is written, the text at the problem's place, its message, its help.
#[test]
fn every_kind_of_fault_in_them_is_found_where_it_is() {
    let token = |rest: &str| format!("[control.tokens.x]\nsha-256 = \"{ONE}\"\n{rest}\n");
    let rows: Vec<(String, &str, &str, &str)> = vec![
        ("[state]\nkeep-calls = \"23h\"\n".into(), "\"23h\"", "too short", "from 24h to 3660d"),
        ("[state]\nkeep-calls = \"400\"\n".into(), "\"400\"", "not a duration", "s, m, h or d"),
        ("[state]\nkeep-calls = 400\n".into(), "400\n", "expected a string", "keep-calls"),
        ("[state]\njournal = \"\"\n".into(), "\"\"", "not a path", "/var/lib"),
        ("[state]\njurnal = \"x\"\n".into(), "jurnal", "unknown key `jurnal`", "did you mean `journal`?"),
        ("[log]\nlevel = \"infos\"\n".into(), "\"infos\"", "not a level of the log", "did you mean `info`?"),
        ("[log]\nformat = \"xml\"\n".into(), "\"xml\"", "not a format of the log", "`json`"),
        ("[log]\ncolour = true\n".into(), "colour", "unknown key `colour`", "`level`"),
        ("[hep]\n".into(), "hep]", "`collector` is missing", "192.0.2.9:9060"),
        ("[hep]\ncollector = \"homer\"\n".into(), "\"homer\"", "not an address and a port", "192.0.2.9:9060"),
        ("[hep]\ncollector = \"192.0.2.9:0\"\n".into(), "\"192.0.2.9:0\"", "nobody's", "192.0.2.9:9060"),
        ("[hep]\ncollector = \"[::]:9060\"\n".into(), "\"[::]:9060\"", "nobody's", "2001:db8::9"),
        ("[hep]\ncollector = \"192.0.2.9:9\"\ncapture-id = -1\n".into(), "-1", "out of bounds", "4294967295"),
        ("[hep]\ncollector = \"192.0.2.9:9\"\npassword = \"\"\n".into(), "\"\"", "password is empty", "leave"),
        (
            "[hep]\ncollector = \"192.0.2.9:9\"\npassword-file = \"homer\"\n".into(),
            "\"homer\"",
            "cannot be read",
            "first line",
        ),
        (
            "[hep]\ncollector = \"192.0.2.9:9\"\npassword = \"x\"\npassword-file = \"y\"\n".into(),
            "password-file",
            "one password",
            "take one away",
        ),
        ("[control.tokens.x]\nrole = \"agent\"\nuser = \"1@a\"\n".into(), "x]", "`sha-256` is missing", "--token"),
        (
            "[control.tokens.x]\nsha-256 = \"abc\"\nrole = \"agent\"\nuser = \"1@a\"\n".into(),
            "\"abc\"",
            "no SHA-256",
            "switchboard passwd --token",
        ),
        (
            format!("[control.tokens.x]\nsha-256 = \"{}\"\nrole = \"agent\"\nuser = \"1@a\"\n", ONE.replace('e', "g")),
            "\"gc",
            "no SHA-256",
            "switchboard passwd --token",
        ),
        (
            "[control.tokens.x]\nsha-256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\nrole = \"agent\"\nuser = \"1@a\"\n".into(),
            "\"e3b0",
            "of nothing",
            "switchboard passwd --token",
        ),
        (token("user = \"1@a\""), "x]", "`role` is missing", "administrator"),
        (token("role = \"admin\"\ncompanies = \"all\""), "\"admin\"", "not a role", "`administrator`"),
        (token("role = \"manager\""), "x]", "`companies` is missing", "\"all\""),
        (token("role = \"agent\""), "x]", "`user` is missing", "221@acme"),
        (token("role = \"agent\"\nuser = \"1@a\"\ncompanies = \"all\""), "companies", "`companies` in this token", "take it away"),
        (token("role = \"manager\"\nuser = \"1@a\"\ncompanies = \"all\""), "user =", "`user` in this token", "take it away"),
        (token("role = \"manager\"\ncompanies = \"a\""), "\"a\"", "does not say which", "[\"acme\"]"),
        (token("role = \"manager\"\ncompanies = []"), "[]", "could see nothing", "\"all\""),
        (token("role = \"manager\"\ncompanies = [\"b\"]"), "\"b\"", "no company `b`", "`a`"),
        (token("role = \"manager\"\ncompanies = [\"a\", \"a\"]"), "\"a\"]", "written twice", "take one away"),
        (token("role = \"manager\"\ncompanies = 1"), "1\n", "expected a list", "list"),
        (token("role = \"agent\"\nuser = \"1\""), "\"1\"", "whose token", "221@acme"),
        (token("role = \"agent\"\nuser = \"1@b\""), "\"1@b\"", "no company `b`", "`a`"),
        (token("role = \"agent\"\nuser = \"2@a\""), "\"2@a\"", "no user `2` in company `a`", "`1`"),
        (token("role = \"agent\"\nuser = \"1@a\"\nname = \"x\""), "name", "unknown key `name`", "`role`"),
        (
            format!("{}[control.tokens.y]\nsha-256 = \"{ONE}\"\nrole = \"agent\"\nuser = \"1@a\"\n", token("role = \"agent\"\nuser = \"1@a\"")),
            "y]",
            "token `y` is another token over again",
            "each its own",
        ),
        ("[control.tokens.\"x y\"]\nsha-256 = \"{ONE}\"\n".replace("{ONE}", TWO) + "role = \"agent\"\nuser = \"1@a\"\n", "\"x y\"", "cannot name a token", "letters"),
    ];
    for (more, at, message, help) in rows {
        let text = format!("{MACHINE}{more}");
        // The texts looked for stand in what was added.
        let problems = with(&more).expect_err(&more);
        let shown = problems.render(false);
        assert!(!shown.contains(&ONE[..8]), "a hash is shown:\n{shown}");
        let before = text.find(&more).unwrap();
        let line_start = 1 + text[..before].matches('\n').count();
        let problem = problems.iter().next().unwrap();
        assert!(problem.place.as_ref().unwrap().line >= line_start, "{shown}");
        let unique = text.replacen(MACHINE, &"\n".repeat(line_start - 1), 1);
        expect_one("switchboard.toml", &unique, &problems, at, message, help);
    }
}

#[test]
fn the_same_token_twice_names_both_places() {
    let one =
        |name: &str| format!("[control.tokens.{name}]\nsha-256 = \"{ONE}\"\nrole = \"manager\"\ncompanies = \"all\"\n");
    let problems = with(&format!("{}{}", one("first"), one("second"))).unwrap_err();
    let shown = problems.render(false);
    assert!(shown.contains("[control.tokens.first]") && shown.contains("[control.tokens.second]"), "{shown}");
}

#[test]
fn a_company_that_cannot_be_read_is_not_called_absent() {
    let token = format!("[control.tokens.x]\nsha-256 = \"{ONE}\"\nrole = \"agent\"\nuser = \"9@a\"\n");
    let machine = format!("{MACHINE}{token}");
    let problems = read(&[("switchboard.toml", &machine), ("companies/a.toml", "domain = = 1\n")]).unwrap_err();
    assert!(problems.iter().all(|problem| problem.file.ends_with("a.toml")), "{}", problems.render(false));
}

#[test]
fn a_reload_says_what_changed_in_them_and_no_secret() {
    let rows = [
        ("", "[state]\nkeep-calls = \"30d\"\n", "keep-calls 400d → 30d"),
        ("", "[state]\njournal = \"j\"\n", "state journal none → c/j"),
        ("", "[log]\nlevel = \"trace\"\nformat = \"json\"\n", "log level info → trace, log format text → json"),
        ("", "[hep]\ncollector = \"192.0.2.9:9060\"\npassword = \"a-a\"\n", "hep collector none → 192.0.2.9:9060"),
        (
            "[hep]\ncollector = \"192.0.2.9:9060\"\npassword = \"a-a\"\n",
            "[hep]\ncollector = \"192.0.2.9:9061\"\ncapture-id = 7\npassword = \"b-b\"\n",
            "hep collector 192.0.2.9:9060 → 192.0.2.9:9061, hep capture-id 1 → 7, hep password changed",
        ),
    ];
    for (old, new, expected) in rows {
        assert_eq!(diff(&right(old), &right(new)), expected);
    }
    let token = |hash: &str, rest: &str| right(&format!("[control.tokens.x]\nsha-256 = \"{hash}\"\n{rest}\n"));
    let all = token(ONE, "role = \"manager\"\ncompanies = \"all\"");
    assert_eq!(diff(&right(""), &all), "+1 token");
    assert_eq!(diff(&all, &right("")), "−1 token");
    assert_eq!(diff(&all, &token(TWO, "role = \"manager\"\ncompanies = \"all\"")), "token x: hash changed");
    assert_eq!(
        diff(&all, &token(ONE, "role = \"agent\"\nuser = \"1@a\"")),
        "token x: role manager → agent and access all → 1@a"
    );
    assert_eq!(diff(&all, &token(ONE, "role = \"manager\"\ncompanies = [\"a\"]")), "token x: access all → a");
}
