//! `switchboard explain` (product.md §4): the same code as a live call, asked beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{LocalResult, NaiveDateTime, TimeZone as _};

use super::command::Question;
use super::{caller, names};
use crate::claim::Claims;
use crate::config::Config;
use crate::config::suggest::one_of;
use crate::id::{CallRef, CompanyId, TrunkId, UserId};
use crate::number::{self, Caller, DialRules, E164, Form};
use crate::routing::{
    self, Answer, AnswerCause, Arrival, Called, Company, DecisionRecord, Line, Memories, Plan, Presence, Reach, Trunk,
    Unreachable, User,
};
use crate::time::{Now, WallTime};

/// What a running engine knows.
pub struct LiveState<'a> {
    /// Who is busy.
    pub claims: &'a Claims,
    /// Registrations, switches, calls.
    pub presence: &'a dyn Presence,
    /// Department memories.
    pub memories: &'a Memories,
    /// Who waits for whom.
    pub line: &'a Line,
    /// Every trunk.
    pub trunks: BTreeMap<TrunkId, TrunkState>,
}

/// A trunk now.
#[derive(Clone, Copy, Debug)]
pub struct TrunkState {
    /// Calls in both directions.
    pub calls: u32,
    /// Whether it is known where its proxy is.
    pub has_address: bool,
}

/// The call of a question, and of the persons it supposes busy: never one of the engine's, which count from 1.
const ASKED: CallRef = CallRef(0);
const SUPPOSED: CallRef = CallRef(u64::MAX);

/// Who would ring, in what order, and why each of the others would not. With `live` against that state; without, as if
/// every phone were registered, every user at the switch the configuration gives, and nobody on a call.
///
/// # Errors
/// In words, what cannot be understood: the number, the trunk, the time, a person or user that does not exist.
pub fn explain(
    now: Now,
    question: &Question,
    config: &Config,
    live: Option<LiveState<'_>>,
) -> Result<DecisionRecord, String> {
    let plan = &config.plan;
    let asked = match question.from.as_deref().map(str::trim).filter(|from| from.contains('@')) {
        Some(from) => by_user(question, plan, from)?,
        None => by_trunk(question, plan)?,
    };
    let Asked { arrival, company, user } = asked;
    let moment = match question.at.as_deref() {
        Some(text) => moment(text, now, company.as_deref())?,
        None => now,
    };
    let mut away = BTreeSet::new();
    for name in &question.away {
        away.insert(names::user(plan, name)?.id.clone());
    }
    // The engine serves nobody while it answers this, so only what the call can come to is looked at.
    let reach = Reach::of(plan, &arrival.called);
    let busy = question.busy.iter().map(|name| person(name, plan, &reach)).collect::<Result<Vec<_>, _>>()?;
    let about = question.user.as_deref().map(|name| names::user(plan, name)).transpose()?;
    let everybody = Everybody;
    let (mut claims, presence, memories, line, trunks) = match live {
        Some(LiveState { claims, presence, memories, line, trunks }) => {
            let who = reach.users.values().chain(&busy).chain(&user).map(|user| (&user.person, &user.id));
            let memories = company.as_ref().map_or_else(Memories::default, |company| {
                memories.copy_of(&company.id, reach.departments.iter(), &arrival.caller)
            });
            (claims.copy_of(who), presence, memories, line.clone(), trunks)
        }
        None => {
            let hashing = ahash::RandomState::with_seeds(1, 2, 3, 4);
            let idle = TrunkState { calls: 0, has_address: true };
            let trunks = plan.trunks.keys().map(|trunk| (trunk.clone(), idle)).collect();
            (Claims::new(hashing), &everybody as &dyn Presence, Memories::default(), Line::default(), trunks)
        }
    };
    for user in &busy {
        // Somebody who is on a call already stays on that.
        if claims.dial(moment, &user.person, SUPPOSED, &user.id).is_ok() {
            claims.answered(moment, &user.person, SUPPOSED);
        }
    }
    let supposed = Supposed { plan, presence, away, trunks };
    let mut record = if let Some((answer, evidence)) = supposed.trunk_limit(&arrival) {
        routing::refused_early(moment, &arrival, company.as_deref(), answer, evidence)
    } else if let Some((user, company)) = user.zip(company)
        && let Err(busy) = caller::claim(moment, &mut claims, ASKED, &user)
    {
        let (claim, answer) = *busy;
        routing::caller_is_busy(moment, &arrival, &company, &claim, answer)
    } else {
        routing::explain(moment, Arc::clone(plan), arrival, &claims, &supposed, &memories, &line)
    };
    record.user_verdict = about.map(|user| routing::verdict(&record, &reach, user));
    Ok(record)
}

/// A question as the call it is about.
struct Asked {
    arrival: Arrival,
    /// Whose clock it is on.
    company: Option<Arc<Company>>,
    /// The user who calls, where it is one of ours.
    user: Option<Arc<User>>,
}

/// A call that a user of ours makes: of an extension (R-4.3) or a number.
fn by_user(question: &Question, plan: &Plan, from: &str) -> Result<Asked, String> {
    let user = names::user(plan, from)?;
    let company = names::company(plan, user.id.company.as_str())?;
    if question.trunk.is_some() {
        return Err(format!("`--trunk` is for calls from outside; {} calls by no trunk", user.id));
    }
    let to = question.to.trim();
    let (called, form) = if to.contains('@') {
        (Called::User(names::user(plan, to)?.id.clone()), None)
    } else if let Some(extension) = caller::dialled_extension(company, to) {
        (Called::User(extension), None)
    } else {
        let (number, form) = caller::dialled_number(plan, company, to).ok_or_else(|| unreadable(to))?;
        if !plan.numbers.contains_key(&number) {
            return Err(format!(
                "{} has no extension `{to}`, and no company has the number {number}; a phone reaches its colleagues and \
                 the numbers configured here",
                company.id
            ));
        }
        (Called::Number(number), Some(form))
    };
    let of = match &called {
        Called::Number(number) => plan.numbers.get(number).map_or(company, |(company, _)| company),
        Called::User(_) | Called::Unknown(_) => company,
    };
    let arrival = caller::arrival(ASKED, user, Some(&of.id), called, form, 0);
    Ok(Asked { arrival, company: Some(Arc::clone(of)), user: Some(Arc::clone(user)) })
}

/// A call that a trunk sends.
fn by_trunk(question: &Question, plan: &Plan) -> Result<Asked, String> {
    let to = question.to.trim();
    if to.contains('@') {
        let user = names::user(plan, to)?;
        return Err(format!("give --from EXT@COMPANY: only another extension of {} calls {to}", user.id.company));
    }
    let trunks: Vec<&Arc<Trunk>> = match question.trunk.as_deref() {
        Some(name) => vec![names::trunk(plan, name)?],
        None => plan.trunks.values().collect(),
    };
    let Reading { number, form, trunks } = read_number(to, &trunks, plan)?;
    let caller = read_caller(question.from.as_deref().unwrap_or_default().trim(), &trunks)?;
    let trunk = match trunks.as_slice() {
        [only] => Some(only.id.clone()),
        [] | [_, _, ..] => None,
    };
    let company = plan.numbers.get(&number).map(|(company, _)| Arc::clone(company));
    let arrival =
        Arrival { call: ASKED, called: Called::Number(number), form, caller, trunk, from_user: None, shuffle: 0 };
    Ok(Asked { arrival, company, user: None })
}

/// A called number, its form where all trunks agree on it, and the trunks it can come by so.
struct Reading<'p> {
    number: E164,
    form: Option<Form>,
    trunks: Vec<&'p Arc<Trunk>>,
}

/// A called number as it can come: by those trunks that read it as a number somebody has, or else all. A
/// number with its `+` is the same on every trunk; any other is what a trunk's rules make of it, and never read without.
fn read_number<'p>(to: &str, trunks: &[&'p Arc<Trunk>], plan: &Plan) -> Result<Reading<'p>, String> {
    let exists = |number: &E164| plan.numbers.contains_key(number);
    if to.starts_with('+') {
        let (number, form) = number::read_called(to, &DialRules::default(), exists).ok_or_else(|| unreadable(to))?;
        return Ok(Reading { number, form: Some(form), trunks: trunks.to_vec() });
    }
    if trunks.is_empty() {
        return Err(format!("there is no trunk whose rules would read `{to}`; write it with its +"));
    }
    let read = |trunk: &&'p Arc<Trunk>| Some((*trunk, number::read_called(to, &trunk.dial, exists)?));
    let mut readings: Vec<_> = trunks.iter().filter_map(read).collect();
    if readings.iter().any(|(_, (number, _))| exists(number)) {
        readings.retain(|(_, (number, _))| exists(number));
    }
    let Some((_, (number, form))) = readings.first().cloned() else { return Err(unreadable(to)) };
    if readings.iter().any(|(_, (other, _))| *other != number) {
        return Err(differs(to, trunks));
    }
    let form = readings.iter().all(|(_, (_, other))| *other == form).then_some(form);
    let trunks = readings.into_iter().map(|(trunk, _)| trunk).collect();
    Ok(Reading { number, form, trunks })
}

/// A caller, as all those trunks read it.
fn read_caller(from: &str, trunks: &[&Arc<Trunk>]) -> Result<Caller, String> {
    let mut readings = trunks.iter().map(|trunk| Caller::read(from, &trunk.dial));
    let Some(first) = readings.next() else {
        return match Caller::read(from, &DialRules::default()) {
            Caller::Number(_) if !from.starts_with('+') => {
                Err(format!("there is no trunk whose rules would read `{from}`; write it with its +"))
            }
            caller @ (Caller::Number(_) | Caller::Name(_) | Caller::Anonymous) => Ok(caller),
        };
    };
    if readings.all(|other| other == first) { Ok(first) } else { Err(differs(from, trunks)) }
}

fn unreadable(to: &str) -> String {
    format!("`{to}` is neither a number (`+918041234567`, or as the trunk writes it) nor EXT@COMPANY")
}

fn differs(text: &str, trunks: &[&Arc<Trunk>]) -> String {
    let names: Vec<&str> = trunks.iter().map(|trunk| trunk.id.as_str()).collect();
    format!("`{text}` is not the same number on every trunk; give --trunk: {}", names.join(", "))
}

/// A person by its name, or by one of its users; the user. Whoever the call can come to is found without a look at every
/// company, and only theirs are the names compared with one that nobody has.
fn person(name: &str, plan: &Plan, reach: &Reach) -> Result<Arc<User>, String> {
    let everybody = || plan.companies.values().flat_map(|company| company.users.values());
    match reach.users.values().chain(everybody()).find(|user| user.person.as_str() == name) {
        Some(user) => Ok(Arc::clone(user)),
        None if name.contains('@') => names::user(plan, name).map(Arc::clone),
        None => {
            let near = reach.company.iter().flat_map(|company| company.users.values());
            let persons: BTreeSet<&str> = near.map(|user| user.person.as_str()).collect();
            if persons.is_empty() {
                return Err(format!("there is no person `{name}`"));
            }
            Err(format!("there is no person `{name}`; {}", one_of(name, "persons", persons)))
        }
    }
}

/// The moment asked about. The monotonic clock moves with the wall's, so that what is known now ages with it.
fn moment(text: &str, now: Now, company: Option<&Company>) -> Result<Now, String> {
    let wall = if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text.trim()) {
        WallTime::from_unix_millis(at.timestamp_millis())
    } else {
        let local = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text.trim(), form).ok())
            .ok_or_else(|| {
                format!(
                    "`{text}` is no time: write 2026-11-22T10:00:00+05:30, or 2026-11-22 10:00 on the company's clock"
                )
            })?;
        let zone = company.map_or(chrono_tz::UTC, |company| company.timezone);
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                WallTime::from_unix_millis(at.timestamp_millis())
            }
            LocalResult::None => return Err(format!("{text} does not exist in {zone}: the clocks go forward over it")),
        }
    };
    let ahead = u64::try_from(wall.unix_millis().saturating_sub(now.wall.unix_millis())).unwrap_or(0);
    Ok(Now { mono: now.mono + std::time::Duration::from_millis(ahead), wall })
}

/// The state supposed where there is no running daemon: every phone registered, nobody paused, no calls.
struct Everybody;

impl Presence for Everybody {
    fn is_registered(&self, _: &UserId) -> bool {
        true
    }

    fn takes_calls(&self, _: &UserId) -> Option<bool> {
        None
    }

    fn is_paused(&self, _: &UserId) -> bool {
        false
    }

    fn calls_of(&self, _: &CompanyId) -> u32 {
        0
    }
}

/// A presence with some users away, and trunks.
struct Supposed<'a> {
    plan: &'a Plan,
    presence: &'a dyn Presence,
    away: BTreeSet<UserId>,
    trunks: BTreeMap<TrunkId, TrunkState>,
}

impl Supposed<'_> {
    fn calls_on(&self, trunk: &TrunkId) -> u32 {
        self.trunks.get(trunk).map_or(0, |state| state.calls)
    }

    /// The answer to a call by a trunk that has its calls, and what shows it.
    fn trunk_limit(&self, arrival: &Arrival) -> Option<(Answer, String)> {
        let trunk = self.plan.trunks.get(arrival.trunk.as_ref()?)?;
        let (calls, most) = (self.calls_on(&trunk.id), trunk.max_calls?);
        let answer = || Answer::new(AnswerCause::TrunkLimit, format!("trunk {} is at its limit", trunk.id));
        (calls >= most).then(|| (answer(), format!("{calls} of {most} calls")))
    }
}

impl Presence for Supposed<'_> {
    fn is_registered(&self, user: &UserId) -> bool {
        self.presence.is_registered(user)
    }

    fn takes_calls(&self, user: &UserId) -> Option<bool> {
        if self.away.contains(user) { Some(false) } else { self.presence.takes_calls(user) }
    }

    fn is_paused(&self, user: &UserId) -> bool {
        self.presence.is_paused(user)
    }

    fn calls_of(&self, company: &CompanyId) -> u32 {
        self.presence.calls_of(company)
    }

    fn lines_left(&self, trunk: &TrunkId) -> Result<Option<u32>, Unreachable> {
        let trunk = self.plan.trunks.get(trunk).ok_or(Unreachable::Gone)?;
        let left = trunk.max_calls.map(|most| most.saturating_sub(self.calls_on(&trunk.id)));
        if left == Some(0) {
            return Err(Unreachable::AtLimit);
        }
        if trunk.proxy.is_none() {
            return Err(Unreachable::NoProxy);
        }
        if !self.trunks.get(&trunk.id).is_some_and(|state| state.has_address) {
            return Err(Unreachable::NoAddress);
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config;
    use crate::routing::{AnswerCause, Verdict};
    use crate::time::Instant;

    /// Trunks that write numbers differently, and two companies that share Asha.
    const MACHINE: &str = r#"
        [sip]
        listen = ["udp:127.0.0.1:5060"]
        [control]
        socket = "/tmp/unused.sock"
        [trunks.india]
        sources = ["192.0.2.1"]
        proxy = "sip:192.0.2.1"
        country-code = "91"
        national-prefix = "0"
        [trunks.britain]
        sources = ["192.0.2.2"]
        country-code = "44"
        national-prefix = "0"
    "#;

    const ACME: &str = r#"
        name = "Acme"
        domain = "acme.example"
        timezone = "Asia/Kolkata"
        blocked-callers = ["+44*"]
        outbound-trunk = "india"
        [numbers."+918041234567"]
        routes = [{ to = "department:sales" }]
        [numbers."+912079460123"]
        routes = [{ to = "department:sales" }]
        [departments.sales]
        members = ["221", "222"]
        [users.221]
        name = "Asha"
        person = "asha"
        password = "a password of hers"
        [users.222]
        name = "Ravi"
        password = "a password of his"
    "#;

    const GLOBEX: &str = r#"
        name = "Globex"
        domain = "globex.example"
        timezone = "Europe/London"
        [numbers."+442079460123"]
        routes = [{ to = "user:305" }]
        [users.305]
        name = "Asha"
        person = "asha"
        password = "a password of hers"
    "#;

    fn ask(question: Question) -> Result<DecisionRecord, String> {
        let files = [("switchboard.toml", MACHINE), ("companies/acme.toml", ACME), ("companies/globex.toml", GLOBEX)];
        let files = files.map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()));
        let config = config::load_texts(&files).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let wall = WallTime::from_unix_millis(1_795_408_200_000);
        explain(Now { mono: Instant::from_nanos(5), wall }, &question, &config, None)
    }

    fn call(from: Option<&str>, to: &str, trunk: Option<&str>) -> Result<DecisionRecord, String> {
        ask(Question { to: to.into(), from: from.map(Into::into), trunk: trunk.map(Into::into), ..Question::default() })
    }

    #[test]
    fn without_a_trunk_a_number_is_read_by_the_rules_of_all() {
        let record = call(None, "08041234567", None).unwrap();
        assert_eq!((record.number.as_str(), record.company.as_deref()), ("+918041234567", Some("acme")));
        assert_eq!(record.trunk.as_deref(), Some("india"), "only there is it anybody's");
        // Configured under both, differently: somebody must say which.
        let error = call(None, "02079460123", None).unwrap_err();
        assert!(error.ends_with("give --trunk: britain, india"), "{error}");
        assert_eq!(call(None, "02079460123", Some("britain")).unwrap().company.as_deref(), Some("globex"));
        // Nobody's, and different: likewise.
        assert!(call(None, "0123456789", None).unwrap_err().contains("give --trunk"));
        let unknown = call(None, "+15550100", None).unwrap();
        assert_eq!(unknown.answer.unwrap().cause, AnswerCause::UnknownNumber);
        assert_eq!(unknown.trunk, None);
    }

    #[test]
    fn a_caller_is_read_by_the_trunks_the_call_can_come_by() {
        let caller = |from, to| call(Some(from), to, None).map(|record| record.caller);
        assert_eq!(caller("09811112222", "08041234567").unwrap(), "+919811112222");
        assert!(caller("09811112222", "+918041234567").unwrap_err().contains("give --trunk: britain, india"));
        assert_eq!(caller("+919811112222", "+918041234567").unwrap(), "+919811112222");
        assert_eq!(caller("anonymous", "+918041234567").unwrap(), "anonymous");
    }

    #[test]
    fn an_extension_is_called_by_another_and_rings_as_in_a_live_call() {
        let error = call(None, "222@acme", None).unwrap_err();
        assert!(error.starts_with("give --from EXT@COMPANY"), "{error}");
        assert!(call(Some("+919811112222"), "222@acme", None).unwrap_err().starts_with("give --from EXT@COMPANY"));
        for to in ["222@acme", "222@ACME.Example", "222"] {
            let record = call(Some("221@acme"), to, None).unwrap();
            assert_eq!((record.caller.as_str(), record.from_user.as_deref()), ("221", Some("221@acme")), "{to}");
            assert_eq!((record.number.as_str(), record.trunk.as_deref()), ("222", None), "{to}");
            assert!(record.steps[0].members[0].offered.is_some(), "{to}");
        }
        // R-4.3: in its company.
        let record = call(Some("221@acme"), "305@globex", None).unwrap();
        assert_eq!(record.answer.unwrap().cause, AnswerCause::UnknownNumber);
    }

    #[test]
    fn a_user_who_calls_a_department_is_skipped_in_it() {
        // R-7.2; and the number is read by the rules of the company's own trunk.
        let record = call(Some("221@acme"), "08041234567", None).unwrap();
        let members = &record.steps[0].members;
        assert_eq!(members[0].evidence.as_deref(), Some("is the caller"));
        assert!(members[1].offered.is_some());
    }

    #[test]
    fn a_caller_who_is_on_a_call_is_refused() {
        let record = ask(Question {
            to: "222".into(),
            from: Some("221@acme".into()),
            busy: vec!["305@globex".into()],
            ..Question::default()
        });
        let record = record.unwrap();
        let answer = record.answer.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (486, "the caller is on another call"));
        assert_eq!(record.door.unwrap().evidence, "at globex since 10:00 IST");
        assert!(record.steps.is_empty());
    }

    /// What is said of a user of Initech, where sales rings 1, then night (closed at ten) 2; 3 is of projects, and 4 of nothing.
    fn judged(change: &str, user: &str) -> (Verdict, String) {
        let initech = r#"
            name = "Initech"
            domain = "initech.example"
            timezone = "Asia/Kolkata"
            outbound-trunk = "india"
            #change
            [hours.evening]
            week = { mon-sun = ["18:00-22:00"] }
            [numbers."+918041230000"]
            routes = [{ hours = "evening", to = "department:projects" }, { to = "department:sales" }]
            [departments.sales]
            members = ["1"]
            overflow = { no-answer = "department:night" }
            [departments.night]
            members = ["2"]
            hours = "evening"
            [departments.projects]
            members = ["3"]
            [users.1]
            name = "One"
            password = "a password"
            [users.2]
            name = "Two"
            password = "a password"
            [users.3]
            name = "Three"
            password = "a password"
            [users.4]
            name = "Four"
            password = "a password"
        "#;
        let initech = initech.replace("#change", change);
        let files =
            [("switchboard.toml", MACHINE), ("companies/initech.toml", &initech), ("companies/acme.toml", ACME)];
        let files = files.map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()));
        let config = config::load_texts(&files).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let now = Now { mono: Instant::from_nanos(5), wall: WallTime::from_unix_millis(1_795_408_200_000) };
        let question = Question { to: "+918041230000".into(), user: Some(user.into()), ..Question::default() };
        let verdict = explain(now, &question, &config, None).unwrap().user_verdict.unwrap();
        (verdict.verdict, verdict.text)
    }

    #[test]
    fn a_user_is_judged_in_one_sentence() {
        for (user, verdict, text) in [
            ("1@initech", Verdict::Rings, "1@initech rings at once for 25 s as offer 1, in sales"),
            (
                "2@initech",
                Verdict::PassedOver,
                "2@initech does not ring: night is closed: outside evening until Mon 18:00 IST (it is Mon 10:00; mon 18:00-22:00)",
            ),
            (
                "3@initech",
                Verdict::NotReached,
                "3@initech does not ring: it is a member of projects only, and this call comes to sales and night only; \
                 department:projects is passed: outside evening until Mon 18:00 IST (it is Mon 10:00; mon 18:00-22:00)",
            ),
            ("4@initech", Verdict::InNoDepartment, "4@initech does not ring: it is a member of no department"),
            (
                "221@acme",
                Verdict::OtherCompany,
                "221@acme does not ring: +918041230000 is a number of initech, and 221 a user of acme",
            ),
        ] {
            assert_eq!(judged("", user), (verdict, text.to_owned()));
        }
        assert_eq!(
            judged("status = \"suspended\"", "1@initech"),
            (Verdict::Refused, "1@initech does not ring: initech is suspended: status is suspended".to_owned())
        );
    }

    #[test]
    fn who_or_what_does_not_exist_is_told_with_what_was_meant() {
        for (from, to, trunk, says) in [
            (Some("22l@acme"), "222", None, "company `acme` has no extension `22l`; did you mean `221`?"),
            (Some("221@acmee"), "222", None, "there is no company `acmee`; did you mean `acme`?"),
            (Some("221@acme"), "223@acme", None, "company `acme` has no extension `223`; did you mean `22"),
            (None, "+918041234567", Some("indja"), "there is no trunk `indja`; did you mean `india`?"),
            (Some("221@acme"), "222", Some("india"), "221@acme calls by no trunk"),
            (None, "sales", None, "neither a number"),
        ] {
            let error = call(from, to, trunk).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let busy = Question { to: "+918041234567".into(), busy: vec!["ahsa".into()], ..Question::default() };
        assert!(ask(busy).unwrap_err().contains("there is no person `ahsa`; did you mean `asha`?"));
    }
}
