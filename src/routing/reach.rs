//! Everything a call to a number could come to, at any hour and for any cause: what `explain` has to look at, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Called, Company, Destination, Overflow, Plan, User};
use crate::id::{DepartmentId, Extension};

/// Departments, and users as their members or called directly.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Whose they are; `None` where what was called is nobody's.
    pub company: Option<Arc<Company>>,
    /// Departments.
    pub departments: BTreeSet<DepartmentId>,
    /// Users.
    pub users: BTreeMap<Extension, Arc<User>>,
}

impl Reach {
    /// What a call can come to, by any of its number's routes and any overflow.
    pub fn of(plan: &Plan, called: &Called) -> Reach {
        let mut reach = Reach::default();
        let (company, mut todo) = match called {
            Called::Number(number) => match plan.numbers.get(number) {
                Some((company, number)) => {
                    (company, number.routes.iter().map(|route| route.to.clone()).collect::<Vec<_>>())
                }
                None => return reach,
            },
            Called::User(user) => match plan.companies.get(&user.company) {
                Some(company) => (company, vec![Destination::User(user.extension.clone())]),
                None => return reach,
            },
            Called::Unknown(_) => return reach,
        };
        reach.company = Some(Arc::clone(company));
        let mut direct: BTreeSet<Extension> = BTreeSet::new();
        while let Some(destination) = todo.pop() {
            match destination {
                Destination::Department(id) => {
                    let Some(department) = company.departments.get(&id) else { continue };
                    if reach.departments.insert(id) {
                        let members = department.members.iter();
                        reach.users.extend(members.map(|user| (user.id.extension.clone(), Arc::clone(user))));
                        todo.extend(destinations(&department.overflow));
                    }
                }
                Destination::User(extension) => {
                    let Some(user) = company.users.get(&extension) else { continue };
                    if direct.insert(extension.clone()) {
                        reach.users.insert(extension, Arc::clone(user));
                        todo.extend(destinations(&user.overflow));
                    }
                }
                Destination::External(_) | Destination::Reject(_) => {}
            }
        }
        reach
    }
}

fn destinations(overflow: &Overflow) -> impl Iterator<Item = Destination> {
    overflow.by_cause.values().chain(overflow.default.as_ref()).cloned()
}
