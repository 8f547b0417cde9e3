//! The callers who wait: one line per department, and one order among all of them for the persons they share.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{CallRef, CompanyId, DepartmentId, PersonId};

/// A place in the order of arrival. A call keeps it while an offer made to it from the line rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Everybody who waits, in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Line {
    drawn: u64,
    waiting: BTreeMap<Ticket, Waiter>,
    departments: BTreeMap<(CompanyId, DepartmentId), BTreeSet<Ticket>>,
    wanted: BTreeMap<PersonId, BTreeSet<Ticket>>,
}

/// One who waits.
#[derive(Clone, Debug)]
struct Waiter {
    call: CallRef,
    department: (CompanyId, DepartmentId),
    persons: Vec<PersonId>,
}

impl Line {
    /// Draws a ticket: later than all before it.
    pub fn draw(&mut self) -> Ticket {
        self.drawn += 1;
        Ticket(self.drawn)
    }

    /// The call waits in a department's line for any of those persons. Again under the same ticket: for others now.
    pub fn join(
        &mut self,
        ticket: Ticket,
        call: CallRef,
        company: &CompanyId,
        department: &DepartmentId,
        persons: &[PersonId],
    ) {
        self.leave(ticket);
        let department = (company.clone(), department.clone());
        self.departments.entry(department.clone()).or_default().insert(ticket);
        for person in persons {
            self.wanted.entry(person.clone()).or_default().insert(ticket);
        }
        self.waiting.insert(ticket, Waiter { call, department, persons: persons.to_vec() });
    }

    /// The call waits no longer. Whether it did.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiting.remove(&ticket) else { return false };
        strike(&mut self.departments, &waiter.department, ticket);
        for person in &waiter.persons {
            strike(&mut self.wanted, person, ticket);
        }
        true
    }

    /// How many wait for a department.
    pub fn length(&self, company: &CompanyId, department: &DepartmentId) -> usize {
        self.departments.get(&(company.clone(), department.clone())).map_or(0, BTreeSet::len)
    }

    /// The place of a ticket in its department's line: 1 is next (also for one that does not wait just now).
    pub fn place(&self, ticket: Ticket) -> u32 {
        let ahead = self
            .waiting
            .get(&ticket)
            .and_then(|waiter| self.departments.get(&waiter.department))
            .map_or(0, |tickets| tickets.range(..ticket).count());
        u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The call that waits for a person and comes before that ticket (before everybody who has none).
    pub fn promised(&self, person: &PersonId, ticket: Option<Ticket>) -> Option<CallRef> {
        let first = self.wanted.get(person)?.first()?;
        if ticket.is_some_and(|ticket| ticket <= *first) {
            return None;
        }
        self.waiting.get(first).map(|waiter| waiter.call)
    }

    /// All calls that wait, in the order in which they are to be served.
    pub fn calls(&self) -> impl Iterator<Item = CallRef> {
        self.waiting.values().map(|waiter| waiter.call)
    }

    /// How many wait, for `audit()`.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.departments.is_empty() && self.wanted.is_empty()
    }
}

/// Takes a ticket out of a set, and the set away with its last.
fn strike<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<Ticket>>, key: &K, ticket: Ticket) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&ticket);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn the_first_to_come_is_promised_whoever_becomes_free() {
        let mut line = Line::default();
        let (acme, globex, sales) = (CompanyId::new("acme"), CompanyId::new("globex"), DepartmentId::new("sales"));
        let (asha, ravi) = (PersonId::new("asha"), PersonId::new("ravi"));
        let (first, second, third) = (line.draw(), line.draw(), line.draw());
        line.join(second, CallRef(2), &globex, &sales, from_ref(&asha));
        line.join(first, CallRef(1), &acme, &sales, &[asha.clone(), ravi.clone()]);
        line.join(third, CallRef(3), &acme, &sales, from_ref(&ravi));
        assert_eq!(line.calls().collect::<Vec<_>>(), [CallRef(1), CallRef(2), CallRef(3)]);
        assert_eq!((line.length(&acme, &sales), line.place(first), line.place(third)), (2, 1, 2));
        assert_eq!((line.length(&globex, &sales), line.place(second)), (1, 1));
        assert_eq!(line.promised(&asha, Some(first)), None);
        assert_eq!(line.promised(&asha, Some(second)), Some(CallRef(1)));
        assert_eq!(line.promised(&asha, None), Some(CallRef(1)));
        line.join(first, CallRef(1), &acme, &sales, from_ref(&ravi));
        assert_eq!(line.promised(&asha, Some(second)), None, "the first waits for others now");
        for ticket in [first, second, third, third] {
            line.leave(ticket);
        }
        assert!(line.is_empty());
        assert_eq!(line.promised(&asha, None), None);
    }
}
