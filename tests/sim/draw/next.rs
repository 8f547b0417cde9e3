//! Another version of a configuration, as an admin makes one: a few changes, and whatever they leave dangling is put right.

use super::{DEPARTMENTS, STRATEGIES, department, destination, members, overflow, routes, user};
use crate::dice::Dice;
use crate::faults::Faults;
use crate::model::{Company, CompanyNumber, Destination, Model};

/// A version that may follow this one. It differs.
pub fn next(model: &Model, dice: &mut Dice, faults: &Faults) -> Model {
    loop {
        let mut after = model.clone();
        for _ in 0..1 + dice.below(4) {
            let which = dice.below(after.companies.len() as u64) as usize;
            if faults.config.removals && dice.thousandths(450) {
                take_away_or_add(&mut after, which, dice);
            } else {
                alter(&mut after.companies[which], dice);
            }
            after.companies.iter_mut().for_each(mend);
        }
        if faults.config.listeners && dice.thousandths(400) {
            listen(&mut after, dice);
        }
        if after != *model {
            return after;
        }
    }
}

/// Nothing goes but a setting changes.
fn alter(company: &mut Company, dice: &mut Dice) {
    let some_department = dice.below(company.departments.len().max(1) as u64) as usize;
    let some_user = dice.below(company.users.len().max(1) as u64) as usize;
    let leads = overflow(company, 800, dice);
    let to = destination(company, dice);
    match dice.below(14) {
        0..=6 => {
            let users = company.users.clone();
            let Some(department) = company.departments.get_mut(some_department) else { return };
            match dice.below(7) {
                0 => department.ring = 3 + dice.below(10),
                1 => department.strategy = dice.of(&STRATEGIES),
                2 => department.members = members(&users, dice),
                3 => department.overflow = leads,
                4 => department.hours = super::some_hours(400, dice),
                5 => department.wait = dice.of(&[0, 0, 10, 25]),
                _ => department.wrap_up = dice.of(&[0, 1, 3, 5]),
            }
        }
        7..=10 => {
            let Some(user) = company.users.get_mut(some_user) else { return };
            match dice.below(5) {
                0 => user.status = dice.of(&["active", "active", "pending", "disabled"]),
                1 => user.take_calls = !user.take_calls,
                2 => user.hours = super::some_hours(400, dice),
                3 => user.ring = 3 + dice.below(10),
                _ => user.overflow = leads,
            }
        }
        11 => company.suspended = !company.suspended && dice.thousandths(300),
        12 => company.max_calls = if dice.thousandths(300) { Some(dice.of(&[1, 3, 6])) } else { None },
        _ => {
            let Some(number) = company.numbers.first_mut() else { return };
            if let Some(last) = number.routes.last_mut() {
                last.to = to;
            }
        }
    }
}

fn take_away_or_add(model: &mut Model, which: usize, dice: &mut Dice) {
    let others = model.companies.len() > 1;
    let other = (which + 1) % model.companies.len();
    let company = &mut model.companies[which];
    match dice.below(10) {
        0 | 1 if company.users.len() > 1 => {
            let gone = company.users.remove(dice.below(company.users.len() as u64) as usize);
            // An extension of another company, with the person who had this one.
            if others && dice.thousandths(500) {
                let other = &mut model.companies[other];
                let mut moved = user(other, other.id.len(), dice);
                moved.person = gone.person;
                add(other, moved, dice);
            }
        }
        2 | 3 if !company.numbers.is_empty() => {
            let mut gone = company.numbers.remove(dice.below(company.numbers.len() as u64) as usize);
            if others && dice.thousandths(600) {
                let other = &mut model.companies[other];
                gone.routes = routes(other, dice);
                other.numbers.push(gone);
            }
        }
        4 if company.departments.len() > 1 => {
            company.departments.remove(dice.below(company.departments.len() as u64) as usize);
        }
        5 if others && dice.thousandths(300) => {
            model.companies.remove(which);
        }
        6 => {
            let new = user(company, company.id.len(), dice);
            add(company, new, dice);
        }
        7 => {
            if let Some(id) = DEPARTMENTS.iter().find(|id| company.department(id).is_none()) {
                let new = department(id, &company.users, dice);
                company.departments.push(new);
            }
        }
        _ => {
            // Above those that a company begins with.
            let first =
                company.numbers.first().map_or("+9180412345", |number| &number.number[..number.number.len() - 2]);
            let number = format!("{first}{}{}", company.id.len() + 3, dice.below(10));
            let number = CompanyNumber { number, routes: routes(company, dice) };
            if model.number(&number.number).is_none() {
                model.companies[which].numbers.push(number);
            }
        }
    }
}

fn add(company: &mut Company, user: crate::model::User, dice: &mut Dice) {
    if company.departments.is_empty() {
        company.users.push(user);
        return;
    }
    let department = dice.below(company.departments.len() as u64) as usize;
    company.departments[department].members.push(user.extension.clone());
    company.users.push(user);
}

fn listen(model: &mut Model, dice: &mut Dice) {
    let (usual, second, elsewhere) = ("203.0.113.10:5060", "203.0.113.10:5070", "203.0.113.11:5060");
    let choices: [&[&str]; 4] = [&[usual], &[usual, second], &[elsewhere], &[usual, elsewhere]];
    model.listen = dice.of(&choices).iter().map(|address| address.parse().unwrap()).collect();
}

/// Takes away what names things that are not there any more.
fn mend(company: &mut Company) {
    let users: Vec<String> = company.users.iter().map(|user| user.extension.clone()).collect();
    let departments: Vec<String> = company.departments.iter().map(|department| department.id.clone()).collect();
    let there = |to: &Destination| match to {
        Destination::Department(id) => departments.contains(id),
        Destination::User(extension) => users.contains(extension),
        Destination::External(_) | Destination::Reject(_) => true,
    };
    for number in &mut company.numbers {
        number.routes.iter_mut().filter(|route| !there(&route.to)).for_each(|route| {
            route.to = departments
                .first()
                .map_or(Destination::Reject("unavailable"), |first| Destination::Department(first.clone()));
        });
    }
    for department in &mut company.departments {
        department.members.retain(|member| users.contains(member));
        department.overflow.retain(|(_, to)| there(to));
    }
    for user in &mut company.users {
        user.overflow.retain(|(_, to)| there(to));
    }
}
