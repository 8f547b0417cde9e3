//! "Why does this user not ring for this number?" in one sentence, from the record of the explained call.

use super::{Company, DecisionRecord, Reach, SkipReason, StepRecord, User, UserVerdict, Verdict};
use crate::id::DepartmentId;

/// What becomes of a user in the call of a record that [`explain`](super::explain) made. `reach` is that call's.
pub fn verdict(record: &DecisionRecord, reach: &Reach, user: &User) -> UserVerdict {
    let name = user.id.to_string();
    let silent = |verdict, why: String| UserVerdict {
        text: format!("{name} does not ring: {why}"),
        user: name.clone(),
        verdict,
        department: None,
        skip: None,
        offer: None,
        after: None,
    };
    let Some(company) = reach.company.as_deref() else {
        return silent(Verdict::OtherCompany, format!("no company has {}", record.number));
    };
    if company.id != user.id.company {
        let (number, theirs, own) = (&record.number, &company.id, &user.id.company);
        let why = format!("{number} is a number of {theirs}, and {} a user of {own}", user.id.extension);
        return silent(Verdict::OtherCompany, why);
    }
    if let Some(rings) = record.steps.iter().find_map(|step| rings(step, &name, user)) {
        return rings;
    }
    let departments = departments_of(company, user);
    if departments.is_empty() && !reach.users.contains_key(&user.id.extension) {
        return silent(Verdict::InNoDepartment, "it is a member of no department".to_owned());
    }
    if let Some(door) = &record.door {
        let text = record.answer.as_ref().map_or("the call is refused", |answer| answer.text.as_str());
        let mut why = format!("{text}: {}", door.evidence);
        for passed in &record.passed {
            why.push_str(&format!("; {} is {}", passed.to, passed.evidence));
        }
        return silent(Verdict::Refused, why);
    }
    let mut skipped: Vec<String> = Vec::new();
    let mut passed_over: Vec<String> = Vec::new();
    let mut first: Option<(Option<String>, SkipReason)> = None;
    let mut left: Option<Option<String>> = None;
    for step in &record.steps {
        let Some(member) = step.members.iter().find(|member| member.extension == user.id.extension.as_str()) else {
            continue;
        };
        let place = place(step);
        match member.skip {
            Some(skip) => {
                let evidence = member.evidence.as_deref().unwrap_or_default();
                skipped.push(format!("{place} skips it as {}: {evidence}", skip.as_str()));
                first.get_or_insert((step.department.clone(), skip));
            }
            None => {
                passed_over.push(match (&step.evidence, step.cause) {
                    (Some(evidence), _) => format!("{place} is closed: {evidence}"),
                    (None, _) => format!("{place} is left before its turn"),
                });
                left.get_or_insert(step.department.clone());
            }
        }
    }
    if let Some((department, skip)) = first {
        let why = [skipped, passed_over].concat().join(", and ");
        return UserVerdict { department, skip: Some(skip), ..silent(Verdict::Skipped, why) };
    }
    if let Some(department) = left {
        return UserVerdict { department, ..silent(Verdict::PassedOver, passed_over.join(", and ")) };
    }
    let mut why = match departments.as_slice() {
        [] => "it is called directly only".to_owned(),
        names => format!("it is a member of {} only", joined(names)),
    };
    let places: Vec<String> = record.steps.iter().map(place_name).collect();
    why.push_str(&match places.as_slice() {
        [] => ", and this call comes to no department".to_owned(),
        names => format!(", and this call comes to {} only", joined(names)),
    });
    for passed in &record.passed {
        why.push_str(&format!("; {} is passed: {}", passed.to, passed.evidence));
    }
    silent(Verdict::NotReached, why)
}

/// The offer made to the user in a step.
fn rings(step: &StepRecord, name: &str, user: &User) -> Option<UserVerdict> {
    let member = step.members.iter().find(|member| member.extension == user.id.extension.as_str())?;
    let offered = member.offered.as_ref()?;
    let when = if offered.after == 0.0 { "at once".to_owned() } else { format!("after {} s", offered.after) };
    let long = offered.ring.map_or_else(String::new, |ring| format!(" for {ring} s"));
    let place = place(step);
    let others = if offered.offer > 1 { ", if nobody answers before" } else { "" };
    Some(UserVerdict {
        text: format!("{name} rings {when}{long} as offer {}, in {place}{others}", offered.offer),
        user: name.to_owned(),
        verdict: Verdict::Rings,
        department: step.department.clone(),
        skip: None,
        offer: Some(offered.offer),
        after: Some(offered.after),
    })
}

fn departments_of(company: &Company, user: &User) -> Vec<String> {
    let is_in = |id: &&DepartmentId| {
        company.departments.get(*id).is_some_and(|department| department.members.iter().any(|m| m.id == user.id))
    };
    company.departments.keys().filter(is_in).map(ToString::to_string).collect()
}

fn place(step: &StepRecord) -> String {
    match (&step.department, &step.user) {
        (Some(department), _) => department.clone(),
        (None, Some(_)) => "the direct call".to_owned(),
        (None, None) => "the outside number".to_owned(),
    }
}

fn place_name(step: &StepRecord) -> String {
    match (&step.department, &step.user, &step.external) {
        (Some(department), _, _) => department.clone(),
        (None, Some(user), _) => format!("user {user}"),
        (None, None, Some(number)) => number.clone(),
        (None, None, None) => "nothing".to_owned(),
    }
}

/// `sales`, `sales and night`, `sales, support and night`
fn joined(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
