//! Where one more or one less, or one name for another, would make another hunt.

use super::*;
use crate::routing::{Reach, Unreachable, Verdict, verdict};

/// Rings nobody yet: the deadline of a caller who waits, or whose last phone is letting go, is still to come.
#[test]
fn a_deadline_that_has_not_come_changes_nothing() {
    let early = |hunt: &mut Hunt, now: Now, world: &mut World<'_>| hunt.on_deadline(now, world);
    let mut scene = queueing();
    let (call, told) = scene.call();
    assert_eq!(told, ["queued 1"]);
    let person = scene.plan.companies["acme"].users["221"].person.clone();
    scene.claims.release(&person, CallRef(900));
    assert_eq!(scene.with(call, early), [""; 0], "whoever is free is offered by `on_availability`, or at a deadline");
    assert_eq!(scene.pass(call, 60), ["offer 1 to 221", "queued 1"]);

    let mut company = acme();
    department(&mut company, "sales", &["221"], |sales| sales.overflow = overflow_to(to_department("support")));
    department(&mut company, "support", &["221"], |_| {});
    let mut scene = Scene::of(vec![company]);
    scene.prompt = false;
    let (call, _) = scene.call();
    assert_eq!(scene.pass(call, 25), ["withdraw 1"]);
    scene.rung.clear();
    scene.claims.release(&person, call);
    assert_eq!(scene.with(call, early), [""; 0]);
    assert_eq!(scene.pass(call, 2), ["offer 2 to 221"]);
}

/// who is free is not kept from ringing by one behind who is still letting go.
#[test]
fn only_those_whose_turn_it_is_are_waited_for() {
    let mut company = acme();
    department(&mut company, "sales", &["221"], |sales| sales.overflow = overflow_to(to_department("support")));
    department(&mut company, "support", &["222", "221"], |_| {});
    let mut scene = Scene::of(vec![company]);
    scene.prompt = false;
    let (call, _) = scene.call();
    assert_eq!(scene.pass(call, 25), ["withdraw 1", "offer 2 to 222"]);
}

/// A person whom another call took the moment this one's phone let go is busy like anybody else.
#[test]
fn nobody_is_waited_for_who_is_held_by_another_call() {
    for answered in [false, true] {
        let mut company = acme();
        department(&mut company, "sales", &["221"], |sales| sales.overflow = overflow_to(to_department("support")));
        department(&mut company, "support", &["221"], |_| {});
        let mut scene = Scene::of(vec![company]);
        let (call, _) = scene.call();
        let person = scene.rung.remove(&(call, OfferId(1))).unwrap();
        scene.claims.release(&person, call);
        let user = UserId::new(&CompanyId::new("acme"), &Extension::new("221"));
        scene.claims.take(scene.now, &person, CallRef(900), &user).unwrap();
        if answered {
            scene.claims.answered(scene.now, &person, CallRef(900));
        }
        assert_eq!(scene.ended(call, 1, OfferEnd::Busy), ["486/17 everybody in support is busy"]);
    }
}

/// What a phone says to a CANCEL that came when its ring was over is what it said.
#[test]
fn the_record_keeps_what_a_phone_said_after_its_time() {
    let mut scene = Scene::of(vec![acme()]);
    scene.prompt = false;
    let (call, _) = scene.call();
    scene.pass(call, 25);
    scene.pass(call, 1);
    scene.ended(call, 1, OfferEnd::Failed(500));
    let offered = scene.hunts[&call].record().steps[0].members[0].offered.clone().unwrap();
    assert_eq!((offered.outcome, offered.status), (Some(OfferOutcome::Failed), Some(500)));
    assert_eq!(offered.ring, Some(25.0), "and rang as long as it rang");
}

/// of two who answered, each is idle from the end of its own call on.
#[test]
fn the_end_of_a_call_is_its_own_members() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.strategy = Strategy::Simultaneous);
    let mut scene = Scene::of(vec![company]);
    scene.prompt = false;
    let (call, _) = scene.call();
    scene.answered(call, 1);
    scene.answered(call, 2);
    let answered = scene.now.wall;
    scene.now = scene.now + Duration::from_secs(60);
    scene.over(call, 2);
    let memory = scene.memories.of(&CompanyId::new("acme"), &DepartmentId::new("sales")).unwrap();
    let last_call = |extension| memory.last_call(&Extension::new(extension));
    assert_eq!((last_call("221"), last_call("222")), (Some(answered), Some(scene.now.wall)));
}

/// who answered is remembered for the caller where the department is sticky, and only the first to answer is.
#[test]
fn a_department_that_is_not_sticky_remembers_no_caller() {
    let sticky = Some(Sticky { mode: StickyMode::Loose, window: Duration::from_secs(3600) });
    for (sticky, remembered) in [(None, None), (sticky, Some("221"))] {
        let mut company = acme();
        edit(&mut company, "sales", |sales| (sales.strategy, sales.sticky) = (Strategy::Simultaneous, sticky));
        let mut scene = Scene::of(vec![company]);
        scene.prompt = false;
        let (call, _) = scene.call();
        scene.answered(call, 1);
        scene.answered(call, 2);
        let memory = scene.memories.of(&CompanyId::new("acme"), &DepartmentId::new("sales")).unwrap();
        assert_eq!(memory.spoke_with(&scene.caller).map(|(extension, _)| extension.as_str()), remembered);
    }
}

/// whoever is a member no more is nobody's.
#[test]
fn a_caller_does_not_come_back_to_who_left_the_department() {
    let mut company = acme();
    let sticky = Some(Sticky { mode: StickyMode::Strict, window: Duration::from_secs(3600) });
    edit(&mut company, "sales", |sales| sales.sticky = sticky);
    let mut scene = Scene::of(vec![company.clone()]);
    let (call, _) = scene.call();
    scene.answered(call, 1);
    scene.over(call, 1);
    department(&mut company, "sales", &["222", "223"], |sales| sales.sticky = sticky);
    let mut later = Scene::of(vec![company]);
    later.memories = scene.memories;
    let (call, told) = later.call();
    assert_eq!(told, ["offer 1 to 222"]);
    assert_eq!(later.hunts[&call].record().steps[0].sticky, None);
}

#[test]
fn an_offer_has_the_ring_of_its_department_or_user() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.overflow = overflow_to(Destination::User(Extension::new("224"))));
    edit(&mut company, "sales", |sales| sales.members.truncate(1));
    let mut scene = Scene::of(vec![company]);
    let (call, _) = scene.call();
    assert_eq!(scene.ended(call, 1, OfferEnd::Busy), ["offer 2 to 224"]);
    let ring = |offer| scene.hunts[&call].ring_of(OfferId(offer)).as_secs();
    assert_eq!((ring(1), ring(2), ring(3)), (25, 30, 0));
}

/// the record says where each step was, when it was open, and which overflow led on.
#[test]
fn a_record_names_each_place_its_hours_and_its_overflow() {
    let mut company = acme();
    department(&mut company, "sales", &["221"], |sales| {
        sales.hours = Some(hours("office", "09:00-18:00"));
        sales.overflow.by_cause.insert(Cause::NoAnswer, Destination::User(Extension::new("224")));
    });
    change(&mut company, "224", |user| {
        user.overflow = overflow_to(Destination::External(E164::parse("+919800000000").unwrap()));
    });
    let record = Scene::of(vec![company]).explain();
    let [sales, user, outside] = record.steps.as_slice() else { panic!("{:?}", record.steps) };
    assert!(sales.hours.as_ref().unwrap().starts_with("office until "), "{:?}", sales.hours);
    assert_eq!((sales.department.as_deref(), sales.overflow_by.as_deref()), (Some("sales"), Some("no-answer")));
    assert_eq!((user.user.as_deref(), user.overflow_by.as_deref()), (Some("224"), Some("default")));
    assert_eq!((outside.external.as_deref(), &outside.overflow_by), (Some("+919800000000"), &None));
    assert_eq!(outside.offered.as_ref().unwrap().outcome, Some(OfferOutcome::NoAnswer), "a trunk without a limit");
}

#[test]
fn a_mobile_that_ring_on_does_not_name_stays_silent() {
    let mut company = acme();
    change(&mut company, "221", |user| user.mobile = Some(E164::parse("+919810000001").unwrap()));
    assert_eq!(Scene::of(vec![company]).call().1, ["offer 1 to 221"]);
}

/// Everybody is there, and so many lines of any trunk are left.
struct Lines(u32);

impl Presence for Lines {
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

    fn lines_left(&self, _: &TrunkId) -> Result<Option<u32>, Unreachable> {
        Ok(Some(self.0))
    }
}

/// The call has a line of its trunk itself, and each mobile it rings takes one more.
#[test]
fn an_explained_call_rings_no_more_mobiles_than_its_trunk_has_lines() {
    for (lines, rung) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)] {
        let mut company = acme();
        for extension in ["221", "222", "223"] {
            change(&mut company, extension, |user| {
                (user.mobile, user.ring_on) = (Some(E164::parse("+919810000001").unwrap()), RingOn::Mobile);
            });
        }
        edit(&mut company, "sales", |sales| sales.strategy = Strategy::Simultaneous);
        let mut scene = Scene::of(vec![company]);
        let arrival = scene.arrival(Called::Number(number()), None);
        let plan = Arc::clone(&scene.plan);
        let record = explain(scene.now, plan, arrival, &scene.claims, &Lines(lines), &scene.memories, &scene.line);
        let offered = record.steps[0].members.iter().filter_map(|member| member.offered.as_ref());
        let in_vain = offered.filter(|offer| offer.outcome == Some(OfferOutcome::NoAnswer)).count();
        assert_eq!(in_vain, rung, "{lines} lines");
    }
}

/// Records, metrics and configuration call a thing by one name.
#[test]
fn causes_and_outcomes_have_one_name_each() {
    for (outcome, name) in [
        (OfferOutcome::Answered, "answered"),
        (OfferOutcome::Busy, "busy"),
        (OfferOutcome::Declined, "declined"),
        (OfferOutcome::NoAnswer, "no-answer"),
        (OfferOutcome::Failed, "failed"),
        (OfferOutcome::Withdrawn, "withdrawn"),
    ] {
        assert_eq!(outcome.as_str(), name);
        assert_eq!(serde_json::to_value(outcome).unwrap(), name);
    }
    for (cause, name) in [
        (Cause::Closed, "closed"),
        (Cause::Unavailable, "unavailable"),
        (Cause::Busy, "busy"),
        (Cause::Full, "full"),
        (Cause::Timeout, "timeout"),
        (Cause::NoAnswer, "no-answer"),
    ] {
        assert_eq!((words::cause(cause), words::answer_cause(cause).as_str()), (name, name));
    }
}

/// "Why does this user not ring for this number?": for each of the company's users, by one explained call.
#[test]
fn a_verdict_says_where_and_why_a_user_does_not_ring() {
    let mut company = acme();
    let company_id = company.id.clone();
    company.users.insert(Extension::new("225"), Arc::new(user(&company_id, "225")));
    change(&mut company, "223", |user| user.status = UserStatus::Disabled);
    let mut scene = Scene::of(vec![company]);
    let record = scene.explain();
    let reach = Reach::of(&scene.plan, &Called::Number(number()));
    let of = |extension: &str| verdict(&record, &reach, &scene.plan.companies["acme"].users[extension]);
    let sales = Some("sales".to_owned());
    let (first, second, skipped) = (of("221"), of("222"), of("223"));
    assert_eq!((first.verdict, &first.department, first.offer), (Verdict::Rings, &sales, Some(1)));
    assert!(!first.text.contains("if nobody answers before"), "{}", first.text);
    assert_eq!((second.verdict, second.offer, second.after), (Verdict::Rings, Some(2), Some(25.0)));
    assert!(second.text.ends_with(", in sales, if nobody answers before"), "{}", second.text);
    assert_eq!((skipped.verdict, &skipped.department), (Verdict::Skipped, &sales));
    assert_eq!(skipped.skip, Some(SkipReason::Disabled));
    let elsewhere = of("224");
    assert_eq!(elsewhere.verdict, Verdict::NotReached);
    let why = "it is a member of support only, and this call comes to sales only";
    assert!(elsewhere.text.ends_with(why), "{}", elsewhere.text);
    assert_eq!(of("225").verdict, Verdict::InNoDepartment);
}

/// A department that is closed passes over everybody in it.
#[test]
fn a_verdict_names_the_closed_department() {
    let mut company = acme();
    edit(&mut company, "sales", |sales| sales.hours = Some(hours("evening", "18:00-20:00")));
    let mut scene = Scene::of(vec![company]);
    let record = scene.explain();
    let reach = Reach::of(&scene.plan, &Called::Number(number()));
    let told = verdict(&record, &reach, &scene.plan.companies["acme"].users["221"]);
    assert_eq!((told.verdict, told.department.as_deref()), (Verdict::PassedOver, Some("sales")));
    assert!(told.text.contains("sales is closed: outside evening"), "{}", told.text);
}
