//! Hunts, one story a test, told as the effects they have; then properties over random plans.

mod corners;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::auth::Secret;
use crate::hours::{Schedule, Window};
use crate::id::{CompanyId, HoursId};
use crate::number::CallerPattern;
use crate::routing::{
    CompanyStatus, Department, NamedHours, Number, Overflow, RingOn, Role, Route, Sticky, StickyMode, Strategy,
    UserStatus, explain,
};
use crate::time::WallTime;

/// A company with two departments and some users, to be changed by each test before the first call.
fn acme() -> Company {
    let id = CompanyId::new("acme");
    let users =
        ["221", "222", "223", "224"].map(|extension| (Extension::new(extension), Arc::new(user(&id, extension))));
    let mut company = Company {
        id,
        name: "Acme Traders".into(),
        domain: "acme.example".into(),
        timezone: chrono_tz::Tz::Asia__Kolkata,
        status: CompanyStatus::Active,
        blocked_callers: vec![],
        max_calls: None,
        outbound_trunk: Some(TrunkId::new("airtel")),
        hours: BTreeMap::new(),
        numbers: BTreeMap::new(),
        departments: BTreeMap::new(),
        users: users.into_iter().collect(),
    };
    department(&mut company, "sales", &["221", "222", "223"], |_| {});
    department(&mut company, "support", &["224"], |_| {});
    route(&mut company, vec![Route { hours: None, callers: None, to: to_department("sales") }]);
    company
}

fn user(company: &CompanyId, extension: &str) -> User {
    let extension = Extension::new(extension);
    User {
        id: UserId::new(company, &extension),
        person: PersonId::new(format!("{extension}@{company}")),
        name: extension.to_string(),
        email: None,
        mobile: None,
        role: Role::Agent,
        panel: false,
        status: UserStatus::Active,
        hours: None,
        take_calls: true,
        ring_on: RingOn::Extension,
        ring: Duration::from_secs(30),
        overflow: Overflow::default(),
        secret: Secret::NONE,
    }
}

/// Changes a user, and every department that has it.
fn change(company: &mut Company, extension: &str, with: impl FnOnce(&mut User)) {
    let user = company.users.get_mut(extension).unwrap();
    with(Arc::make_mut(user));
    let user = Arc::clone(user);
    for department in company.departments.values_mut() {
        for member in &mut Arc::make_mut(department).members {
            if member.id == user.id {
                *member = Arc::clone(&user);
            }
        }
    }
}

fn department(company: &mut Company, id: &str, members: &[&str], with: impl FnOnce(&mut Department)) {
    let mut department = Department {
        id: DepartmentId::new(id),
        hours: None,
        members: members.iter().map(|extension| Arc::clone(&company.users[*extension])).collect(),
        strategy: Strategy::Serial,
        ring: Duration::from_secs(25),
        max_ring: 5,
        wait: Duration::ZERO,
        max_waiting: 10,
        wrap_up: Duration::ZERO,
        sticky: None,
        overflow: Overflow::default(),
    };
    with(&mut department);
    company.departments.insert(department.id.clone(), Arc::new(department));
}

fn edit(company: &mut Company, id: &str, with: impl FnOnce(&mut Department)) {
    with(Arc::make_mut(company.departments.get_mut(id).unwrap()));
}

fn number() -> E164 {
    E164::parse("+918041234567").unwrap()
}

fn route(company: &mut Company, routes: Vec<Route>) {
    let number = Number { number: number(), label: Some("Sales".into()), hours: None, routes };
    company.numbers.insert(number.number.clone(), Arc::new(number));
}

fn to_department(id: &str) -> Destination {
    Destination::Department(DepartmentId::new(id))
}

fn to(destination: Destination) -> Vec<Route> {
    vec![Route { hours: None, callers: None, to: destination }]
}

fn overflow_to(destination: Destination) -> Overflow {
    Overflow { by_cause: BTreeMap::new(), default: Some(destination) }
}

fn hours(id: &str, window: &str) -> NamedHours {
    let week = std::array::from_fn(|_| vec![Window::parse(window).unwrap()]);
    let schedule = Arc::new(Schedule::new(chrono_tz::Tz::Asia__Kolkata, week, vec![]));
    NamedHours { id: HoursId::new(id), schedule }
}

#[derive(Default)]
struct Known {
    unregistered: BTreeSet<String>,
    switched: BTreeMap<String, bool>,
    paused: BTreeSet<String>,
    calls: u32,
}

impl Presence for Known {
    fn is_registered(&self, user: &UserId) -> bool {
        !self.unregistered.contains(&user.to_string())
    }

    fn takes_calls(&self, user: &UserId) -> Option<bool> {
        self.switched.get(&user.to_string()).copied()
    }

    fn is_paused(&self, user: &UserId) -> bool {
        self.paused.contains(&user.to_string())
    }

    fn calls_of(&self, _: &CompanyId) -> u32 {
        self.calls
    }
}

/// The engine's part: claims let go, deadlines kept, effects written down.
struct Scene {
    now: Now,
    plan: Arc<Plan>,
    claims: Claims,
    memories: Memories,
    line: Line,
    known: Known,
    hunts: BTreeMap<CallRef, Hunt>,
    /// Person rung under each offer of each call, until its branches ended.
    rung: BTreeMap<(CallRef, OfferId), PersonId>,
    /// Whether phones answer a CANCEL at once.
    prompt: bool,
    calls: u64,
    caller: Caller,
    shuffle: u64,
}

impl Scene {
    /// 2026-11-23, a Monday, 10:00 in Kolkata.
    fn of(companies: Vec<Company>) -> Scene {
        let mut plan = Plan::default();
        for company in companies {
            let company = Arc::new(company);
            for (number, routes) in &company.numbers {
                plan.numbers.insert(number.clone(), (Arc::clone(&company), Arc::clone(routes)));
            }
            plan.domains.insert(company.domain.clone(), Arc::clone(&company));
            plan.companies.insert(company.id.clone(), company);
        }
        Scene {
            now: Now { mono: Instant::from_nanos(5_000_000_000), wall: WallTime::from_unix_millis(1_795_408_200_000) },
            plan: Arc::new(plan),
            claims: Claims::new(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            memories: Memories::default(),
            line: Line::default(),
            known: Known::default(),
            hunts: BTreeMap::new(),
            rung: BTreeMap::new(),
            prompt: true,
            calls: 0,
            caller: Caller::Number(E164::parse("+919811112222").unwrap()),
            shuffle: 0,
        }
    }

    fn arrival(&mut self, called: Called, from_user: Option<UserId>) -> Arrival {
        self.calls += 1;
        Arrival {
            call: CallRef(self.calls),
            called,
            form: None,
            caller: self.caller.clone(),
            trunk: from_user.is_none().then(|| TrunkId::new("airtel")),
            from_user,
            shuffle: self.shuffle,
        }
    }

    /// A call to the number; its effects.
    fn call(&mut self) -> (CallRef, Vec<String>) {
        self.call_to(Called::Number(number()), None)
    }

    fn call_to(&mut self, called: Called, from_user: Option<UserId>) -> (CallRef, Vec<String>) {
        let arrival = self.arrival(called, from_user);
        let (call, plan) = (arrival.call, Arc::clone(&self.plan));
        let mut world = World {
            claims: &mut self.claims,
            presence: &self.known,
            memories: &mut self.memories,
            line: &mut self.line,
        };
        self.hunts.insert(call, Hunt::begin(self.now, plan, arrival, &mut world));
        (call, self.effects(call))
    }

    fn with(&mut self, call: CallRef, input: impl FnOnce(&mut Hunt, Now, &mut World<'_>)) -> Vec<String> {
        let hunt = self.hunts.get_mut(&call).unwrap();
        let mut world = World {
            claims: &mut self.claims,
            presence: &self.known,
            memories: &mut self.memories,
            line: &mut self.line,
        };
        input(hunt, self.now, &mut world);
        self.effects(call)
    }

    /// Writes down what a hunt wants done; lets go of what is withdrawn where phones are prompt.
    fn effects(&mut self, call: CallRef) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(effect) = self.hunts.get_mut(&call).unwrap().poll() {
            match effect {
                Effect::Offer { id, target: Target::User { user, devices, mobile } } => {
                    assert!(self.claims.is_held_by(&user.person, call), "R-7.1: the claim before the offer");
                    assert!(!self.rung.values().any(|person| *person == user.person), "R-7: one call at a time");
                    self.rung.insert((call, id), user.person.clone());
                    let mobile = mobile.map(|(number, trunk)| format!(" {number} by {trunk}")).unwrap_or_default();
                    let devices = if devices { "" } else { " (no device)" };
                    told.push(format!("offer {} to {}{devices}{mobile}", id.0, user.id.extension));
                }
                Effect::Offer { id, target: Target::External { number, trunk } } => {
                    told.push(format!("offer {} to {number} by {trunk}", id.0));
                }
                Effect::Withdraw { id } => {
                    told.push(format!("withdraw {}", id.0));
                    if self.prompt {
                        told.extend(self.ended(call, id.0, OfferEnd::NoAnswer));
                    }
                }
                Effect::Queued { place } => told.push(format!("queued {place}")),
                Effect::Finish(answer) => {
                    told.push(format!("{}/{} {}", answer.status, answer.q850.unwrap_or(0), answer.text));
                }
            }
        }
        told
    }

    /// Every branch of the offer has ended.
    fn ended(&mut self, call: CallRef, offer: u32, end: OfferEnd) -> Vec<String> {
        if let Some(person) = self.rung.remove(&(call, OfferId(offer))) {
            self.claims.release(&person, call);
        }
        self.with(call, |hunt, now, world| hunt.on_offer_ended(now, OfferId(offer), end, world))
    }

    fn answered(&mut self, call: CallRef, offer: u32) -> Vec<String> {
        self.with(call, |hunt, now, world| hunt.on_answered(now, OfferId(offer), world))
    }

    /// The answered call of that offer is over.
    fn over(&mut self, call: CallRef, offer: u32) -> Vec<String> {
        let wrap_up = self.hunts[&call].wrap_up_of(OfferId(offer));
        if let Some(person) = self.rung.remove(&(call, OfferId(offer))) {
            self.claims.wrap_up(self.now, &person, call, wrap_up);
        }
        self.with(call, |hunt, now, world| hunt.on_call_ended(now, OfferId(offer), world));
        self.sweep()
    }

    /// Somebody may have become free.
    fn sweep(&mut self) -> Vec<String> {
        let waiting: Vec<_> = self.line.calls().collect();
        let mut told = Vec::new();
        for call in waiting {
            let effects = self.with(call, |hunt, now, world| hunt.on_availability(now, world));
            told.extend(effects.into_iter().map(|effect| format!("{call}: {effect}")));
        }
        told
    }

    /// Time passes, deadline by deadline, for one call.
    fn pass(&mut self, call: CallRef, seconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_secs(seconds);
        let mut told = Vec::new();
        while let Some(deadline) = self.hunts[&call].deadline().filter(|deadline| *deadline <= end.mono) {
            self.now = self.now + deadline.since(self.now.mono);
            self.claims.expire(self.now.mono);
            told.extend(self.with(call, |hunt, now, world| hunt.on_deadline(now, world)));
        }
        self.now = end;
        self.claims.expire(self.now.mono);
        told
    }

    fn skips(&self, call: CallRef, step: usize) -> Vec<String> {
        let members = &self.hunts[&call].record().steps[step].members;
        let skip = |member: &MemberRecord| {
            let reason = member.skip?.as_str();
            assert_eq!(serde_json::to_value(member.skip?).unwrap(), reason, "one name for a reason");
            Some(format!("{} {reason}: {}", member.extension, member.evidence.clone().unwrap()))
        };
        members.iter().filter_map(skip).collect()
    }

    /// The person of a user takes some other call.
    fn busy(&mut self, extension: &str, company: &str, call: u64) {
        let id = UserId::new(&CompanyId::new(company), &Extension::new(extension));
        let person = self.plan.companies[company].users[extension].person.clone();
        self.claims.take(self.now, &person, CallRef(call), &id).unwrap();
        self.claims.answered(self.now, &person, CallRef(call));
    }

    fn free(&mut self, extension: &str, company: &str, call: u64) -> Vec<String> {
        let person = self.plan.companies[company].users[extension].person.clone();
        self.claims.release(&person, CallRef(call));
        self.sweep()
    }

    fn explain(&mut self) -> DecisionRecord {
        let arrival = self.arrival(Called::Number(number()), None);
        explain(self.now, Arc::clone(&self.plan), arrival, &self.claims, &self.known, &self.memories, &self.line)
    }

    /// Nothing is left of any call.
    fn is_quiet(&self) -> bool {
        self.claims.all().is_empty() && self.line.is_empty()
    }
}

#[test]
fn serial_rings_one_after_another_then_answers() {
    let mut scene = Scene::of(vec![acme()]);
    let (call, told) = scene.call();
    assert_eq!(told, ["offer 1 to 221"]);
    assert_eq!(scene.ended(call, 1, OfferEnd::Busy), ["offer 2 to 222"]);
    assert_eq!(scene.pass(call, 24), [""; 0]);
    assert_eq!(scene.pass(call, 1), ["withdraw 2", "offer 3 to 223"]);
    assert_eq!(scene.ended(call, 3, OfferEnd::Failed(503)), ["480/19 nobody in sales answered"]);
    assert!(scene.is_quiet());
    let record = scene.hunts[&call].record();
    let outcomes: Vec<_> = record.steps[0].members.iter().map(|member| member.offered.clone().unwrap()).collect();
    assert_eq!(outcomes[0].outcome, Some(OfferOutcome::Busy));
    assert_eq!((outcomes[1].outcome, outcomes[1].ring), (Some(OfferOutcome::NoAnswer), Some(25.0)));
    assert_eq!((outcomes[2].outcome, outcomes[2].status), (Some(OfferOutcome::Failed), Some(503)));
}

#[test]
fn simultaneous_rings_in_batches_and_the_first_to_answer_wins() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| (sales.strategy, sales.max_ring) = (Strategy::Simultaneous, 2));
    let mut scene = Scene::of(vec![company]);
    let (call, told) = scene.call();
    assert_eq!(told, ["offer 1 to 221", "offer 2 to 222"]);
    assert_eq!(scene.ended(call, 1, OfferEnd::Declined), [""; 0], "the other one still rings");
    assert_eq!(scene.pass(call, 25), ["withdraw 2", "offer 3 to 223"]);
    assert_eq!(scene.answered(call, 3), [""; 0]);
    let record = scene.hunts[&call].record();
    assert_eq!(record.answered_by.as_ref().unwrap().extension.as_deref(), Some("223"));
    assert_eq!(record.answer.as_ref().unwrap().status, 200);

    let (other, told) = scene.call();
    assert_eq!(told, ["offer 1 to 221", "offer 2 to 222"]);
    assert_eq!(scene.skips(other, 0), ["223 on-call: at acme since 10:00 IST"]);
    assert_eq!(scene.answered(other, 2), ["withdraw 1"]);
    let member = &scene.hunts[&other].record().steps[0].members[0];
    assert_eq!(member.offered.as_ref().unwrap().outcome, Some(OfferOutcome::Withdrawn));
    scene.over(call, 3);
    scene.over(other, 2);
    assert!(scene.is_quiet());
}

#[test]
fn round_robin_starts_after_whoever_was_offered_last() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.strategy = Strategy::RoundRobin);
    let mut scene = Scene::of(vec![company]);
    for expected in ["221", "222", "223", "221"] {
        let (call, told) = scene.call();
        assert_eq!(told, [format!("offer 1 to {expected}")]);
        scene.with(call, |hunt, now, world| hunt.on_cancelled(now, world));
    }
    let (call, _) = scene.call();
    assert_eq!(scene.ended(call, 1, OfferEnd::Busy), ["offer 2 to 223"]);
    assert_eq!(scene.ended(call, 2, OfferEnd::Busy), ["offer 3 to 221"]);
    assert_eq!(scene.ended(call, 3, OfferEnd::Busy), ["480/19 nobody in sales answered"]);
}

#[test]
fn idle_longest_and_fewest_calls_go_by_answered_calls() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.strategy = Strategy::LongestIdle);
    let mut scene = Scene::of(vec![company.clone()]);
    let (first, _) = scene.call();
    scene.answered(first, 1);
    let (second, told) = scene.call();
    assert_eq!(told, ["offer 1 to 222"]);
    scene.answered(second, 1);
    scene.pass(second, 60);
    scene.over(second, 1);
    scene.pass(second, 60);
    scene.over(first, 1);
    scene.known.unregistered.insert("223@acme".into());
    assert_eq!(scene.call().1, ["offer 1 to 222"], "222 has been idle for longer, though 221's call came first");

    edit(&mut company, "sales", |sales| sales.strategy = Strategy::FewestCalls);
    let mut scene = Scene::of(vec![company]);
    for expected in ["221", "222", "223", "221"] {
        let (call, told) = scene.call();
        assert_eq!(told, [format!("offer 1 to {expected}")]);
        scene.answered(call, 1);
        scene.over(call, 1);
    }
    scene.now = scene.now + Duration::from_secs(14 * 3600);
    assert_eq!(scene.call().1, ["offer 1 to 221"], "a new day in Kolkata");
}

#[test]
fn random_is_drawn_for_each_call() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.strategy = Strategy::Random);
    let mut scene = Scene::of(vec![company]);
    let mut firsts = BTreeSet::new();
    for shuffle in 0..20 {
        scene.shuffle = shuffle;
        let (call, told) = scene.call();
        firsts.extend(told);
        scene.with(call, |hunt, now, world| hunt.on_cancelled(now, world));
    }
    assert_eq!(firsts.len(), 3);
}

#[test]
fn members_are_skipped_for_the_first_reason_that_holds() {
    let mut company = acme();
    for extension in ["225", "226", "227"] {
        company.users.insert(Extension::new(extension), Arc::new(user(&company.id, extension)));
    }
    department(&mut company, "sales", &["221", "222", "223", "224", "225", "226", "227"], |_| {});
    change(&mut company, "221", |user| user.status = UserStatus::Pending);
    change(&mut company, "223", |user| user.take_calls = false);
    change(&mut company, "224", |user| user.hours = Some(hours("evening", "18:00-21:00")));
    let mut scene = Scene::of(vec![company]);
    scene.known.paused.extend(["221@acme".to_owned(), "222@acme".to_owned()]);
    scene.known.switched.insert("222@acme".into(), true);
    scene.known.unregistered.extend(["224@acme".to_owned(), "225@acme".to_owned()]);
    scene.busy("225", "acme", 900);
    scene.busy("226", "acme", 901);
    let person = scene.plan.companies["acme"].users["227"].person.clone();
    let id = UserId::new(&CompanyId::new("acme"), &Extension::new("227"));
    scene.claims.take(scene.now, &person, CallRef(902), &id).unwrap();
    scene.claims.wrap_up(scene.now, &person, CallRef(902), Duration::from_secs(10));
    let (call, told) = scene.call();
    assert_eq!(told, ["486/17 everybody in sales is busy"]);
    assert_eq!(
        scene.skips(call, 0),
        [
            "221 disabled: status is pending",
            "222 paused: by an admin",
            "223 away: take-calls is off in the configuration",
            "224 off-hours: outside evening until Mon 18:00 IST (it is Mon 10:00; mon 18:00-21:00)",
            "225 not-registered: no device is registered",
            "226 on-call: at acme since 10:00 IST",
            "227 wrap-up: at acme until 10:00:10 IST",
        ]
    );
}

#[test]
fn nobody_available_is_not_everybody_busy() {
    let mut scene = Scene::of(vec![acme()]);
    for extension in ["221", "222", "223"] {
        scene.known.switched.insert(format!("{extension}@acme"), false);
    }
    assert_eq!(scene.call().1, ["480/20 nobody in sales is available"]);
}

#[test]
fn a_shared_person_is_rung_by_one_company_at_a_time() {
    let (mut acme, mut globex) = (acme(), acme());
    globex.id = CompanyId::new("globex");
    globex.users = BTreeMap::from([(
        Extension::new("305"),
        Arc::new(User { person: PersonId::new("asha"), ..user(&globex.id, "305") }),
    )]);
    department(&mut globex, "sales", &["305"], |_| {});
    globex.departments.remove("support");
    let other = E164::parse("+14155550100").unwrap();
    let number = Arc::clone(&globex.numbers[&number()]);
    globex.numbers = BTreeMap::from([(other.clone(), number)]);
    change(&mut acme, "221", |user| user.person = PersonId::new("asha"));
    let mut scene = Scene::of(vec![acme, globex]);
    let (first, told) = scene.call_to(Called::Number(other), None);
    assert_eq!(told, ["offer 1 to 305"]);
    let (second, told) = scene.call();
    assert_eq!(told, ["offer 1 to 222"]);
    assert_eq!(scene.skips(second, 0), ["221 ringing: at globex since 10:00 IST"]);
    scene.answered(first, 1);
    scene.pass(second, 61);
    assert_eq!(scene.call().1, ["offer 1 to 222"], "the second call has left");
}

#[test]
fn a_second_user_of_one_person_waits_for_the_first() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.strategy = Strategy::Simultaneous);
    for extension in ["221", "223"] {
        change(&mut company, extension, |user| user.person = PersonId::new("asha"));
    }
    let mut scene = Scene::of(vec![company]);
    let (call, told) = scene.call();
    assert_eq!(told, ["offer 1 to 221", "offer 2 to 222"]);
    assert_eq!(scene.skips(call, 0), ["223 ringing: as 221 by this call"]);
}

#[test]
fn overflow_goes_by_cause_then_default_and_each_department_once() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| {
        sales.overflow.by_cause.insert(Cause::Busy, Destination::Reject(Rejection::Decline));
        sales.overflow.default = Some(to_department("support"));
    });
    edit(&mut company, "support", |support| support.overflow = overflow_to(to_department("sales")));
    let mut scene = Scene::of(vec![company]);
    let (call, _) = scene.call();
    assert_eq!(
        scene.pass(call, 200),
        [
            "withdraw 1",
            "offer 2 to 222",
            "withdraw 2",
            "offer 3 to 223",
            "withdraw 3",
            "offer 4 to 224",
            "withdraw 4",
            "480/19 nobody in support answered"
        ]
    );
    let steps = &scene.hunts[&call].record().steps;
    assert_eq!((steps[0].overflow.as_deref(), steps[0].circle), (Some("department:support"), false));
    assert_eq!((steps[1].overflow.as_deref(), steps[1].circle), (Some("department:sales"), true));
    for (extension, call) in [("221", 900), ("222", 901), ("223", 902)] {
        scene.busy(extension, "acme", call);
    }
    assert_eq!(scene.call().1, ["603/21 rejected"]);
}

#[test]
fn users_called_directly_do_not_go_round_in_circles() {
    let mut company = acme();
    for (extension, next) in [("221", "222"), ("222", "221")] {
        change(&mut company, extension, |user| user.overflow = overflow_to(Destination::User(Extension::new(next))));
    }
    route(&mut company, to(Destination::User(Extension::new("221"))));
    let mut scene = Scene::of(vec![company]);
    let (call, told) = scene.call();
    assert_eq!(told, ["offer 1 to 221"]);
    assert_eq!(scene.ended(call, 1, OfferEnd::Declined), ["offer 2 to 222"]);
    assert_eq!(scene.pass(call, 29), [""; 0]);
    assert_eq!(scene.pass(call, 1), ["withdraw 2", "480/19 222 did not answer"]);
}

#[test]
fn an_outside_number_ends_the_hunt_whatever_it_says() {
    let mut company = acme();
    route(&mut company, to(Destination::External(E164::parse("+919800000000").unwrap())));
    for (end, answer) in [
        (OfferEnd::Busy, "486/17 the outside number is busy"),
        (OfferEnd::NoAnswer, "480/19 nobody answered at the outside number"),
        (OfferEnd::Declined, "480/19 nobody answered at the outside number"),
        (OfferEnd::Failed(404), "480/19 nobody answered at the outside number"),
        (OfferEnd::Unreachable(Unreachable::AtLimit), "480/20 the outside number cannot be reached"),
    ] {
        let mut scene = Scene::of(vec![company.clone()]);
        let (call, told) = scene.call();
        assert_eq!(told, ["offer 1 to +919800000000 by airtel"]);
        assert_eq!(scene.ended(call, 1, end), [answer]);
        let evidence = scene.hunts[&call].record().steps[0].evidence.clone();
        let at_limit = matches!(end, OfferEnd::Unreachable(_)).then_some("trunk airtel is at its limit of calls");
        assert_eq!(evidence.as_deref(), at_limit);
    }
    let mut scene = Scene::of(vec![company.clone()]);
    let (call, _) = scene.call();
    assert_eq!(scene.pass(call, 60), ["withdraw 1", "480/19 nobody answered at the outside number"]);
    company.outbound_trunk = None;
    assert_eq!(Scene::of(vec![company]).call().1, ["480/20 the outside number cannot be reached"]);
}

#[test]
fn the_mobile_rings_as_ring_on_says() {
    let mut company = acme();
    route(&mut company, to(Destination::User(Extension::new("221"))));
    let mobile = |company: &mut Company, ring_on| {
        change(company, "221", |user| {
            (user.mobile, user.ring_on) = (Some(E164::parse("+919810000001").unwrap()), ring_on);
        });
    };
    mobile(&mut company, RingOn::Both);
    let mut scene = Scene::of(vec![company.clone()]);
    assert_eq!(scene.call().1, ["offer 1 to 221 +919810000001 by airtel"]);
    let mut scene = Scene::of(vec![company.clone()]);
    scene.known.unregistered.insert("221@acme".into());
    assert_eq!(scene.call().1, ["offer 1 to 221 (no device) +919810000001 by airtel"]);
    mobile(&mut company, RingOn::Mobile);
    let mut scene = Scene::of(vec![company.clone()]);
    assert_eq!(scene.call().1, ["offer 1 to 221 (no device) +919810000001 by airtel"]);
    company.outbound_trunk = None;
    assert_eq!(Scene::of(vec![company]).call().1, ["480/20 221 is not available"]);
}

/// Sales is busy but for waiting.
fn queueing() -> Scene {
    let mut company = acme();
    edit(&mut company, "sales", |sales| (sales.wait, sales.max_waiting) = (Duration::from_secs(90), 2));
    let mut scene = Scene::of(vec![company]);
    for (extension, call) in [("221", 900), ("222", 901), ("223", 902)] {
        scene.busy(extension, "acme", call);
    }
    scene
}

#[test]
fn callers_wait_in_line_and_are_told_so_again() {
    let mut scene = queueing();
    let (first, told) = scene.call();
    assert_eq!(told, ["queued 1"]);
    let (second, told) = scene.call();
    assert_eq!(told, ["queued 2"]);
    assert_eq!(scene.call().1, ["486/17 the line of sales is full"]);
    assert_eq!(scene.hunts[&first].waits_for().len(), 3);
    assert_eq!(scene.pass(second, 60), ["queued 2"]);
    assert_eq!(scene.free("222", "acme", 901), ["c1: offer 1 to 222"], "first come, first served");
    assert_eq!(scene.hunts[&first].waiting_since(), None);
    assert_eq!(scene.pass(second, 30), ["480/19 waited too long for sales"]);
    assert_eq!(scene.hunts[&second].record().steps[0].wait, Some(90.0));
    assert_eq!(scene.answered(first, 1), [""; 0]);
    scene.over(first, 1);
    for (extension, call) in [("221", 900), ("223", 902)] {
        scene.free(extension, "acme", call);
    }
    assert!(scene.is_quiet());
}

#[test]
fn a_caller_whose_offer_failed_waits_on_in_its_old_place() {
    let mut scene = queueing();
    let (first, _) = scene.call();
    scene.pass(first, 10);
    let (second, _) = scene.call();
    assert_eq!(scene.free("221", "acme", 900), ["c1: offer 1 to 221"]);
    assert_eq!(scene.ended(first, 1, OfferEnd::Declined), [""; 0]);
    assert_eq!(scene.sweep(), ["c2: offer 1 to 221"], "whom the first has been offered already");
    assert_eq!(scene.hunts[&first].waits_for().len(), 2);
    assert_eq!(scene.skips(first, 0)[0], "221 already-offered: offer 1");
    assert!(scene.hunts[&first].record().steps[0].members[0].offered.is_some(), "the offer is still there");
    assert_eq!(scene.ended(second, 1, OfferEnd::Declined), [""; 0]);
    assert_eq!(scene.free("223", "acme", 902), ["c1: offer 2 to 223"]);
    assert_eq!(scene.ended(first, 2, OfferEnd::Declined), [""; 0]);
    assert_eq!(scene.pass(first, 80), ["queued 1", "480/19 waited too long for sales"]);
}

#[test]
fn waiting_ends_when_nobody_is_left_who_could_become_free() {
    let mut scene = queueing();
    let (_, told) = scene.call();
    assert_eq!(told, ["queued 1"]);
    for extension in ["221", "222", "223"] {
        scene.known.paused.insert(format!("{extension}@acme"));
    }
    assert_eq!(scene.sweep(), ["c1: 480/20 nobody in sales is available"]);
    assert!(scene.line.is_empty());
}

#[test]
fn whoever_becomes_available_is_offered_at_once_and_hours_are_looked_at_again() {
    let mut scene = queueing();
    scene.free("222", "acme", 901);
    scene.free("223", "acme", 902);
    scene.known.unregistered.insert("222@acme".into());
    scene.known.switched.insert("223@acme".into(), false);
    let (first, told) = scene.call();
    assert_eq!(told, ["queued 1"]);
    assert_eq!(scene.hunts[&first].waits_for().len(), 3, "also those who are not busy but away");
    assert!(standing_of(&scene, "222").is_some_and(|(reason, _)| reason == SkipReason::NotRegistered));
    scene.known.unregistered.clear();
    assert_eq!(standing_of(&scene, "222"), None);
    assert_eq!(scene.sweep(), ["c1: offer 1 to 222"]);

    let mut company = acme();
    department(&mut company, "sales", &["221", "222"], |sales| sales.wait = Duration::from_secs(300));
    change(&mut company, "222", |user| user.hours = Some(hours("late", "10:01-12:00")));
    let mut scene = Scene::of(vec![company]);
    scene.busy("221", "acme", 900);
    let (call, told) = scene.call();
    assert_eq!(told, ["queued 1"]);
    assert_eq!(scene.pass(call, 59), [""; 0]);
    assert_eq!(scene.pass(call, 1), ["offer 1 to 222", "queued 1"]);
}

#[test]
fn hours_that_open_while_callers_wait_are_noticed_at_once_and_in_order() {
    let mut company = acme();
    department(&mut company, "sales", &["221", "222"], |sales| sales.wait = Duration::from_secs(300));
    change(&mut company, "222", |user| user.hours = Some(hours("late", "10:02-12:00")));
    let mut scene = Scene::of(vec![company]);
    scene.busy("221", "acme", 900);
    scene.now = scene.now + Duration::from_secs(70);
    let (first, _) = scene.call();
    let (second, told) = scene.call();
    assert_eq!(told, ["queued 2"]);
    // 49 s on, the hours still shut: neither a look nor a notice.
    assert_eq!(scene.pass(first, 49), [""; 0]);
    assert!(!scene.hunts[&second].is_opening(scene.now));
    // 10:02:00. The second's own clock strikes first, and a newcomer comes in between: neither overtakes the first.
    scene.now = scene.now + Duration::from_secs(1);
    assert!(scene.hunts[&second].is_opening(scene.now));
    assert_eq!(scene.with(second, |hunt, now, world| hunt.on_deadline(now, world)), [""; 0]);
    let (newcomer, told) = scene.call();
    assert_eq!(told, ["queued 3"]);
    assert_eq!(scene.skips(newcomer, 0)[1], "222 ringing: next for a caller who has waited longer");
    assert_eq!(scene.with(first, |hunt, now, world| hunt.on_deadline(now, world)), ["offer 1 to 222"]);
}

#[test]
fn a_caller_does_not_wait_for_itself() {
    let mut company = acme();
    department(&mut company, "sales", &["221"], |sales| sales.wait = Duration::from_secs(90));
    let mut scene = Scene::of(vec![company]);
    let id = UserId::new(&CompanyId::new("acme"), &Extension::new("221"));
    let person = scene.plan.companies["acme"].users["221"].person.clone();
    scene.claims.dial(scene.now, &person, CallRef(1), &id).unwrap();
    let (call, told) = scene.call_to(Called::Number(number()), Some(id));
    assert_eq!(told, ["480/20 nobody in sales is available"]);
    assert_eq!(scene.skips(call, 0), ["221 ringing: is the caller"]);
    assert!(scene.line.is_empty());
}

fn standing_of(scene: &Scene, extension: &str) -> Option<(SkipReason, Option<String>)> {
    let company = &scene.plan.companies["acme"];
    crate::routing::standing(scene.now, company, &company.users[extension], &scene.claims, &scene.known)
}

#[test]
fn a_newcomer_does_not_overtake_those_who_wait() {
    let mut scene = queueing();
    scene.call();
    let person = scene.plan.companies["acme"].users["221"].person.clone();
    scene.claims.release(&person, CallRef(900));
    let (newcomer, told) = scene.call();
    assert_eq!(told, ["queued 2"], "the first in line has not been told yet that 221 is free");
    assert_eq!(scene.skips(newcomer, 0)[0], "221 ringing: next for a caller who has waited longer");
    assert_eq!(scene.sweep(), ["c1: offer 1 to 221"]);
}

#[test]
fn two_departments_that_share_a_person_serve_by_arrival() {
    let mut company = acme();
    for (id, members) in [("sales", ["221"]), ("support", ["221"])] {
        department(&mut company, id, &members, |department| department.wait = Duration::from_secs(60));
    }
    let other = E164::parse("+918041234568").unwrap();
    let routes = to(to_department("support"));
    company.numbers.insert(other.clone(), Arc::new(Number { number: other.clone(), label: None, hours: None, routes }));
    let mut scene = Scene::of(vec![company]);
    scene.busy("221", "acme", 900);
    let (first, _) = scene.call_to(Called::Number(other), None);
    let (second, told) = scene.call();
    assert_eq!(told, ["queued 1"], "first in its own line");
    assert_eq!(scene.free("221", "acme", 900), ["c1: offer 1 to 221"]);
    assert_eq!(scene.with(second, |hunt, now, world| hunt.on_availability(now, world)), [""; 0]);
    scene.answered(first, 1);
    assert_eq!(scene.over(first, 1), ["c2: offer 1 to 221"]);
}

#[test]
fn wrap_up_keeps_a_person_from_the_next_call() {
    let mut company = acme();
    department(&mut company, "sales", &["221"], |sales| {
        (sales.wrap_up, sales.wait) = (Duration::from_secs(10), Duration::from_secs(60));
    });
    let mut scene = Scene::of(vec![company]);
    let (first, _) = scene.call();
    scene.answered(first, 1);
    scene.over(first, 1);
    let (second, told) = scene.call();
    assert_eq!(told, ["queued 1"]);
    scene.pass(second, 10);
    assert_eq!(scene.sweep(), ["c2: offer 1 to 221"]);
}

#[test]
fn a_member_of_two_departments_is_rung_again_once_its_phone_has_let_go() {
    let mut company = acme();
    department(&mut company, "sales", &["221"], |sales| sales.overflow = overflow_to(to_department("support")));
    department(&mut company, "support", &["221"], |_| {});
    let mut scene = Scene::of(vec![company]);
    scene.prompt = false;
    let (call, _) = scene.call();
    assert_eq!(scene.pass(call, 25), ["withdraw 1"], "neither rung nor called busy");
    assert_eq!(scene.ended(call, 1, OfferEnd::NoAnswer), ["offer 2 to 221"]);
    assert_eq!(scene.pass(call, 25), ["withdraw 2", "480/19 nobody in support answered"]);
    let (dead, _) = {
        scene.ended(call, 2, OfferEnd::NoAnswer);
        scene.call()
    };
    assert_eq!(scene.pass(dead, 26), ["withdraw 1"]);
    assert_eq!(scene.pass(dead, 1), ["486/17 everybody in support is busy"], "a phone that does not answer its CANCEL");
}

#[test]
fn a_phone_that_does_not_let_go_holds_up_the_next_department_once_whoever_else_cannot_be_reached() {
    let mut company = acme();
    department(&mut company, "sales", &["221"], |sales| sales.overflow = overflow_to(to_department("support")));
    department(&mut company, "support", &["221", "222", "223"], |support| support.strategy = Strategy::Serial);
    let mut scene = Scene::of(vec![company]);
    scene.prompt = false;
    let (call, _) = scene.call();
    assert_eq!(scene.pass(call, 26), ["withdraw 1"]);
    assert_eq!(scene.pass(call, 1), ["offer 2 to 222"], "two seconds are enough for 221");
    assert_eq!(scene.ended(call, 2, OfferEnd::Failed(503)), ["offer 3 to 223"], "at once");
}

#[test]
fn a_caller_comes_back_to_whom_it_spoke_with() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| {
        sales.strategy = Strategy::Simultaneous;
        sales.sticky = Some(Sticky { mode: StickyMode::Loose, window: Duration::from_secs(3600) });
    });
    let mut strict = company.clone();
    edit(&mut strict, "sales", |sales| {
        sales.wait = Duration::from_secs(60);
        sales.sticky = Some(Sticky { mode: StickyMode::Strict, window: Duration::from_secs(3600) });
    });
    let spoken = |company: &Company, caller: Caller| {
        let mut scene = Scene::of(vec![company.clone()]);
        scene.caller = caller;
        let (call, _) = scene.call();
        scene.answered(call, 3);
        scene.over(call, 3);
        scene
    };
    let somebody = Caller::Number(E164::parse("+919811112222").unwrap());

    let mut scene = spoken(&company, somebody.clone());
    let (call, told) = scene.call();
    assert_eq!(told, ["offer 1 to 223"]);
    assert_eq!(scene.ended(call, 1, OfferEnd::Declined), ["offer 2 to 221", "offer 3 to 222"]);
    scene.with(call, |hunt, now, world| hunt.on_cancelled(now, world));
    scene.now = scene.now + Duration::from_secs(3600);
    assert_eq!(scene.call().1.len(), 3, "the window is over");

    let mut scene = spoken(&strict, somebody.clone());
    let (call, told) = scene.call();
    assert_eq!(told, ["offer 1 to 223"]);
    assert_eq!(scene.skips(call, 0)[0], "221 not-sticky: the caller spoke with 223");
    assert_eq!(scene.ended(call, 1, OfferEnd::Declined), ["480/19 nobody in sales answered"]);
    scene.busy("223", "acme", 900);
    assert_eq!(scene.call().1, ["486/17 everybody in sales is busy"], "strict does not wait");

    let mut scene = spoken(&company, Caller::Anonymous);
    assert_eq!(scene.call().1.len(), 3, "nobody knows an anonymous caller again");
}

#[test]
fn the_door_is_passed_in_its_order() {
    let mut company = acme();
    company.status = CompanyStatus::Suspended;
    company.blocked_callers = vec![CallerPattern::parse("+9198*").unwrap()];
    company.max_calls = Some(3);
    let evening = || Some(hours("evening", "18:00-21:00"));
    route(&mut company, vec![Route { hours: evening(), callers: None, to: to_department("sales") }]);
    let try_with = |company: &Company| {
        let mut scene = Scene::of(vec![company.clone()]);
        scene.known.calls = 3;
        scene.call().1
    };
    let mut scene = Scene::of(vec![company.clone()]);
    let unknown = Called::Number(E164::parse("+911").unwrap());
    assert_eq!(scene.call_to(unknown, None).1, ["404/1 nobody has this number"]);
    assert_eq!(scene.call_to(Called::Unknown("x".into()), None).1, ["404/1 nobody has this number"]);
    assert_eq!(try_with(&company), ["403/21 acme is suspended"]);
    company.status = CompanyStatus::Active;
    assert_eq!(try_with(&company), ["603/21 the caller is blocked"]);
    company.blocked_callers.clear();
    assert_eq!(try_with(&company), ["486/17 acme is at its limit of calls"]);
    company.max_calls = Some(4);
    assert_eq!(try_with(&company), ["480/31 no route is open now"]);
    edit(&mut company, "sales", |sales| sales.hours = evening());
    route(&mut company, to(to_department("sales")));
    assert_eq!(try_with(&company), ["480/31 sales is closed"]);
    let shut = Arc::make_mut(company.numbers.get_mut(&number()).unwrap());
    shut.hours = evening();
    let mut scene = Scene::of(vec![company]);
    let (call, told) = scene.call();
    assert_eq!(told, ["480/31 the number is closed now"]);
    let record = scene.hunts[&call].record();
    let evidence = &record.door.as_ref().unwrap().evidence;
    assert!(evidence.starts_with("outside evening until Mon 18:00 IST ("), "{evidence}");
    assert_eq!(record.route, None);
}

#[test]
fn the_first_open_route_for_the_caller_is_taken() {
    let mut company = acme();
    let callers = |text| Some(vec![CallerPattern::parse(text).unwrap()]);
    route(
        &mut company,
        vec![
            Route { hours: Some(hours("evening", "18:00-21:00")), callers: None, to: to_department("sales") },
            Route { hours: None, callers: callers("+44*"), to: to_department("sales") },
            Route {
                hours: Some(hours("day", "09:00-18:00")),
                callers: callers("+9198*"),
                to: to_department("support"),
            },
            Route { hours: None, callers: None, to: to_department("sales") },
        ],
    );
    let mut scene = Scene::of(vec![company]);
    let (call, told) = scene.call();
    assert_eq!(told, ["offer 1 to 224"]);
    let record = scene.hunts[&call].record();
    assert_eq!(record.passed.len(), 2);
    let route = record.route.as_ref().unwrap();
    assert_eq!(
        (route.to.as_str(), route.hours.as_deref(), route.callers.as_deref()),
        ("department:support", Some("day"), Some("+9198*"))
    );
}

#[test]
fn one_extension_dials_another_in_its_company() {
    let mut company = acme();
    company.blocked_callers = vec![CallerPattern::parse("+9198*").unwrap()];
    change(&mut company, "222", |user| user.overflow = overflow_to(to_department("support")));
    let mut scene = Scene::of(vec![company]);
    let id = |extension: &str, company: &str| UserId::new(&CompanyId::new(company), &Extension::new(extension));
    let (call, told) = scene.call_to(Called::User(id("222", "acme")), Some(id("221", "acme")));
    assert_eq!(told, ["offer 1 to 222"], "blocked callers are strangers");
    assert_eq!(scene.pass(call, 30), ["withdraw 1", "offer 2 to 224"]);
    let record = scene.hunts[&call].record();
    assert_eq!((record.number.as_str(), record.route.as_ref().unwrap().to.as_str()), ("222", "user:222"));
    for (to, from) in [
        (id("999", "acme"), Some(id("221", "acme"))),
        (id("222", "acme"), Some(id("1", "globex"))),
        (id("222", "acme"), None),
    ] {
        assert_eq!(scene.call_to(Called::User(to), from).1, ["404/1 nobody has this extension"]);
    }
}

#[test]
fn an_answer_that_crosses_our_withdrawal_counts() {
    let mut scene = Scene::of(vec![acme()]);
    scene.prompt = false;
    let (call, _) = scene.call();
    scene.pass(call, 25);
    assert_eq!(scene.answered(call, 1), ["withdraw 2"], "221 after its time, while 222 rings");
    assert_eq!(scene.answered(call, 2), [""; 0], "222 crosses the withdrawal");
    let record = scene.hunts[&call].record();
    assert_eq!(record.answered_by.as_ref().unwrap().extension.as_deref(), Some("221"));
    assert_eq!(record.steps[0].members[1].offered.as_ref().unwrap().outcome, Some(OfferOutcome::Answered));
    for extension in ["221", "222"] {
        let person = &scene.plan.companies["acme"].users[extension].person;
        assert_eq!(scene.claims.of(person).unwrap().hold, Hold::OnCall);
    }
    let (call, _) = scene.call();
    assert_eq!(scene.with(call, |hunt, now, world| hunt.on_cancelled(now, world)), ["withdraw 1"]);
    assert_eq!(scene.hunts[&call].record().answer.as_ref().unwrap().status, 487);
    scene.answered(call, 1);
    assert_eq!(scene.hunts[&call].record().answer.as_ref().unwrap().status, 200, "R-7.6");
}

#[test]
fn the_record_has_the_promised_shape_and_can_be_read_back() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| {
        (sales.strategy, sales.overflow) = (Strategy::Simultaneous, overflow_to(to_department("support")));
    });
    route(
        &mut company,
        vec![Route { hours: Some(hours("office", "09:30-18:30")), callers: None, to: to_department("sales") }],
    );
    let mut scene = Scene::of(vec![company]);
    scene.busy("221", "acme", 900);
    scene.known.unregistered.insert("223@acme".into());
    let record = scene.explain();
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "number": "+918041234567", "company": "acme", "caller": "+919811112222", "at": "2026-11-23T10:00:00+05:30",
            "trunk": "airtel", "label": "Sales",
            "route": { "to": "department:sales", "hours": "office",
                       "rule": "office until Mon 18:30 IST (it is Mon 10:00; mon 09:30-18:30)" },
            "steps": [
                { "department": "sales", "strategy": "simultaneous", "cause": "no-answer", "entered-after": 0.0,
                  "overflow": "department:support", "overflow-by": "default",
                  "members": [
                    { "extension": "221", "person": "221@acme", "skip": "on-call", "evidence": "at acme since 10:00 IST" },
                    { "extension": "222", "person": "222@acme", "offer": 1, "at": "2026-11-23T10:00:00+05:30", "after": 0.0,
                      "outcome": "no-answer", "ring": 25.0 },
                    { "extension": "223", "person": "223@acme", "skip": "not-registered", "evidence": "no device is registered" } ] },
                { "department": "support", "strategy": "serial", "cause": "no-answer", "entered-after": 25.0,
                  "members": [
                    { "extension": "224", "person": "224@acme", "offer": 2, "at": "2026-11-23T10:00:25+05:30", "after": 25.0,
                      "outcome": "no-answer", "ring": 25.0 } ] } ],
            "answer": { "status": 480, "q850": 19, "cause": "no-answer", "text": "nobody in support answered" },
            "answer-after": 50.0
        })
    );
    assert_eq!(serde_json::from_value::<DecisionRecord>(json).unwrap(), record);
}

#[test]
fn memories_of_what_is_gone_are_forgotten() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.strategy = Strategy::RoundRobin);
    let mut scene = Scene::of(vec![company.clone()]);
    let (call, _) = scene.call();
    scene.answered(call, 1);
    scene.over(call, 1);
    scene.memories.retain(&scene.plan);
    assert_eq!(scene.call().1, ["offer 1 to 222"], "kept over a reload that changes nothing");
    department(&mut company, "sales", &["222", "221"], |sales| sales.strategy = Strategy::RoundRobin);
    edit(&mut company, "sales", |sales| sales.members.truncate(1));
    let without = Scene::of(vec![company]);
    scene.memories.retain(&without.plan);
    assert!(
        scene
            .memories
            .of(&CompanyId::new("acme"), &DepartmentId::new("sales"))
            .unwrap()
            .last_call(&Extension::new("221"))
            .is_none()
    );
    scene.memories.retain(&Plan::default());
    assert!(scene.memories.of(&CompanyId::new("acme"), &DepartmentId::new("sales")).is_none());
}

/// What the naive reading of a department in a random plan needs to know.
#[derive(Clone, Debug)]
struct Drawn {
    strategy: Strategy,
    max_ring: u32,
    /// Numbers of users; each department lists a user once.
    members: Vec<usize>,
    /// Department or, past the last of them, the answer.
    overflow: usize,
    wait: u64,
}

const USERS: usize = 6;

fn drawn() -> impl Strategy_<Value = Vec<Drawn>> {
    let strategy = proptest::sample::select(vec![Strategy::Serial, Strategy::Simultaneous, Strategy::RoundRobin]);
    let members = proptest::sample::subsequence((0..USERS).collect::<Vec<_>>(), 0..=USERS).prop_shuffle();
    let department = (strategy, 1u32..4, members, 0usize..4, proptest::sample::select(vec![0u64, 0, 30])).prop_map(
        |(strategy, max_ring, members, overflow, wait)| Drawn { strategy, max_ring, members, overflow, wait },
    );
    proptest::collection::vec(department, 3)
}

use proptest::strategy::Strategy as Strategy_;

fn company_of(drawn: &[Drawn], persons: &[usize]) -> Company {
    let mut company = acme();
    company.departments.clear();
    company.users = (0..USERS)
        .map(|n| {
            let mut user = user(&company.id, &n.to_string());
            user.person = PersonId::new(format!("p{}", persons[n]));
            (user.id.extension.clone(), Arc::new(user))
        })
        .collect();
    for (n, drawn) in drawn.iter().enumerate() {
        let members: Vec<_> = drawn.members.iter().map(ToString::to_string).collect();
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        department(&mut company, &format!("d{n}"), &members, |department| {
            (department.strategy, department.max_ring) = (drawn.strategy, drawn.max_ring);
            department.wait = Duration::from_secs(drawn.wait);
            if drawn.overflow < 3 {
                department.overflow = overflow_to(to_department(&format!("d{}", drawn.overflow)));
            }
        });
    }
    route(&mut company, to(to_department("d0")));
    company
}

/// read naively: the batches of users rung when nobody answers and everybody who is not busy
/// lets go at once.
fn naive(
    drawn: &[Drawn],
    persons: &[usize],
    busy: &BTreeSet<usize>,
    away: &BTreeSet<usize>,
    pointers: &mut [Option<usize>],
) -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    let mut visited = BTreeSet::new();
    let mut at = 0;
    while at < drawn.len() && visited.insert(at) {
        let department = &drawn[at];
        let mut left: Vec<usize> = department.members.clone();
        left.retain(|user| !busy.contains(&persons[*user]) && !away.contains(user));
        while !left.is_empty() {
            let mut batch: Vec<usize> = Vec::new();
            match department.strategy {
                Strategy::Simultaneous => {
                    for &user in &left {
                        let same = batch.iter().any(|&rung| persons[rung] == persons[user]);
                        if !same && batch.len() < department.max_ring as usize {
                            batch.push(user);
                        }
                    }
                }
                Strategy::RoundRobin => {
                    let from = pointers[at].and_then(|last| department.members.iter().position(|user| *user == last));
                    let from = from.map_or(0, |last| last + 1);
                    let turn = (0..department.members.len())
                        .map(|n| department.members[(from + n) % department.members.len()]);
                    batch.extend(turn.filter(|user| left.contains(user)).take(1));
                }
                _ => batch.push(left[0]),
            }
            left.retain(|user| !batch.contains(user));
            pointers[at] = batch.last().copied();
            batches.push(batch);
        }
        at = department.overflow;
    }
    batches
}

proptest! {
    #[test]
    fn a_hunt_offers_what_a_naive_reading_of_the_plan_says(
        drawn in drawn(),
        persons in proptest::collection::vec(0usize..5, USERS),
        busy in proptest::collection::btree_set(0usize..5, 0..3),
        away in proptest::collection::btree_set(0usize..USERS, 0..3),
        prompt in any::<bool>(),
    ) {
        let mut scene = Scene::of(vec![company_of(&drawn, &persons)]);
        for (n, person) in busy.iter().enumerate() {
            let id = UserId::new(&CompanyId::new("acme"), &Extension::new("0"));
            let person = PersonId::new(format!("p{person}"));
            scene.claims.take(scene.now, &person, CallRef(900 + n as u64), &id).unwrap();
        }
        scene.known.switched = away.iter().map(|user| (format!("{user}@acme"), false)).collect();
        let mut pointers = [None; 3];
        for _ in 0..3 {
            let expected = naive(&drawn, &persons, &busy, &away, &mut pointers);
            let explained = scene.explain();
            let (call, mut told) = scene.call();
            let mut batches: Vec<Vec<usize>> = Vec::new();
            let mut steps = 0;
            loop {
                let batch: Vec<(u32, usize)> = told.iter().filter_map(|effect| {
                    let (offer, user) = effect.strip_prefix("offer ")?.split_once(" to ")?;
                    Some((offer.parse().unwrap(), user.parse().unwrap()))
                }).collect();
                let finished = told.iter().any(|effect| effect.contains('/'));
                if !batch.is_empty() {
                    batches.push(batch.iter().map(|(_, user)| *user).collect());
                }
                if finished { break; }
                steps += 1;
                prop_assert!(steps < 500, "a hunt ends");
                told = Vec::new();
                if prompt && !batch.is_empty() {
                    for (offer, _) in batch {
                        told.extend(scene.ended(call, offer, OfferEnd::Declined));
                    }
                } else {
                    let deadline = scene.hunts[&call].deadline().expect("a hunt that is not over has a deadline");
                    prop_assert!(deadline > scene.now.mono || steps == 1, "no spinning");
                    scene.now = scene.now + deadline.since(scene.now.mono);
                    told.extend(scene.with(call, |hunt, now, world| hunt.on_deadline(now, world)));
                }
            }
            prop_assert_eq!(&batches, &expected);
            let offered = explained.steps.iter().flat_map(|step| &step.members).filter_map(|member| {
                Some((member.offered.as_ref()?.offer, member.extension.parse::<usize>().unwrap()))
            }).collect::<BTreeMap<_, _>>();
            prop_assert_eq!(offered.into_values().collect::<Vec<_>>(), expected.concat(), "explain says the same");
            prop_assert_eq!(explained.answer, scene.hunts[&call].record().answer.clone());
        }
        prop_assert_eq!(scene.claims.held(), busy.len());
        prop_assert!(scene.line.is_empty());
    }

    /// Whatever callers and phones do: one call a person (asserted by the scene), every hunt ends, nothing is left.
    #[test]
    fn nobody_is_rung_twice_and_nothing_is_left(
        drawn in drawn(),
        persons in proptest::collection::vec(0usize..5, USERS),
        inputs in proptest::collection::vec((0u8..8, any::<u16>(), 0u64..40), 1..80),
    ) {
        let mut scene = Scene::of(vec![company_of(&drawn, &persons)]);
        scene.prompt = false;
        let mut talking: Vec<(CallRef, OfferId)> = Vec::new();
        let tend = |scene: &mut Scene| {
            scene.claims.expire(scene.now.mono);
            scene.sweep();
            let due: Vec<_> = scene.hunts.iter().filter(|(_, hunt)| hunt.deadline().is_some_and(|at| at <= scene.now.mono)).map(|(call, _)| *call).collect();
            for call in due {
                scene.with(call, |hunt, now, world| hunt.on_deadline(now, world));
            }
        };
        for (input, pick, seconds) in inputs {
            let rung: Vec<_> = scene.rung.keys().copied().filter(|rung| !talking.contains(rung)).collect();
            let one = |count: usize| usize::from(pick) % count.max(1);
            match input {
                0 | 1 => { scene.call(); }
                2 => scene.now = scene.now + Duration::from_secs(seconds),
                3 | 4 => if let Some(&(call, offer)) = rung.get(one(rung.len())) {
                    scene.ended(call, offer.0, OfferEnd::Busy);
                },
                5 => if let Some(&(call, offer)) = rung.get(one(rung.len())) {
                    scene.answered(call, offer.0);
                    talking.push((call, offer));
                },
                6 => if !talking.is_empty() {
                    let (call, offer) = talking.swap_remove(one(talking.len()));
                    scene.over(call, offer.0);
                },
                _ => if scene.calls > 0 {
                    let call = CallRef(1 + u64::from(pick) % scene.calls);
                    scene.with(call, |hunt, now, world| hunt.on_cancelled(now, world));
                },
            }
            tend(&mut scene);
        }
        for (call, offer) in talking {
            scene.over(call, offer.0);
        }
        for _ in 0..2000 {
            let rung: Vec<_> = scene.rung.keys().copied().collect();
            for (call, offer) in rung {
                scene.ended(call, offer.0, OfferEnd::NoAnswer);
            }
            if let Some(next) = scene.hunts.values().filter_map(Hunt::deadline).min() {
                scene.now = scene.now + next.since(scene.now.mono);
            }
            tend(&mut scene);
        }
        prop_assert!(scene.hunts.values().all(|hunt| hunt.deadline().is_none()), "every hunt ends");
        prop_assert!(scene.hunts.values().all(|hunt| hunt.record().answer.is_some()));
        prop_assert!(scene.is_quiet());
    }
}
