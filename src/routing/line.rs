//! The callers who wait: one line per department, and one order among all of them for the persons they share.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{CallRef, CompanyId, DepartmentId, PersonId};
use crate::time::WallTime;

/// A place in the order of arrival. A call keeps it while an offer made to it from the line rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Everybody who waits, in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Line {
    drawn: u64,
    waiting: BTreeMap<Ticket, Waiter>,
    departments: BTreeMap<(CompanyId, DepartmentId), BTreeSet<Ticket>>,
    wanted: BTreeMap<PersonId, BTreeMap<Ticket, Since>>,
}

/// From when on somebody is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since {
    /// From now on.
    Always,
    /// From then on: when the person's hours open. Until then the person is anybody's, in other hours of other companies.
    Moment(WallTime),
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

    /// The call waits in a department's line for any of those persons, for each from some time on. Again under the same ticket: for others now.
    pub fn join(
        &mut self,
        ticket: Ticket,
        call: CallRef,
        company: &CompanyId,
        department: &DepartmentId,
        persons: &[(PersonId, Since)],
    ) {
        self.leave(ticket);
        let department = (company.clone(), department.clone());
        self.departments.entry(department.clone()).or_default().insert(ticket);
        for (person, since) in persons {
            let from = self.wanted.entry(person.clone()).or_default().entry(ticket).or_insert(*since);
            *from = (*from).min(*since);
        }
        let persons = persons.iter().map(|(person, _)| person.clone()).collect();
        self.waiting.insert(ticket, Waiter { call, department, persons });
    }

    /// The call waits no longer. Whether it did.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiting.remove(&ticket) else { return false };
        if let Some(tickets) = self.departments.get_mut(&waiter.department) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.departments.remove(&waiter.department);
            }
        }
        for person in &waiter.persons {
            let Some(tickets) = self.wanted.get_mut(person) else { continue };
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.wanted.remove(person);
            }
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
    pub fn promised(&self, now: WallTime, person: &PersonId, ticket: Option<Ticket>) -> Option<CallRef> {
        let is_wanted = |since: &Since| match since {
            Since::Always => true,
            Since::Moment(opening) => *opening <= now,
        };
        let (first, _) = self.wanted.get(person)?.iter().find(|(_, since)| is_wanted(since))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_unix_millis(1_000);

    fn wanted(persons: &[&PersonId]) -> Vec<(PersonId, Since)> {
        persons.iter().map(|person| ((*person).clone(), Since::Always)).collect()
    }

    #[test]
    fn the_first_to_come_is_promised_whoever_becomes_free() {
        let mut line = Line::default();
        let (acme, globex, sales) = (CompanyId::new("acme"), CompanyId::new("globex"), DepartmentId::new("sales"));
        let (asha, ravi) = (PersonId::new("asha"), PersonId::new("ravi"));
        let (first, second, third) = (line.draw(), line.draw(), line.draw());
        line.join(second, CallRef(2), &globex, &sales, &wanted(&[&asha]));
        line.join(first, CallRef(1), &acme, &sales, &wanted(&[&asha, &ravi]));
        line.join(third, CallRef(3), &acme, &sales, &wanted(&[&ravi]));
        assert_eq!(line.calls().collect::<Vec<_>>(), [CallRef(1), CallRef(2), CallRef(3)]);
        assert!(!line.is_empty() && line.len() == 3);
        assert_eq!((line.length(&acme, &sales), line.place(first), line.place(third)), (2, 1, 2));
        assert_eq!((line.length(&globex, &sales), line.place(second)), (1, 1));
        assert_eq!(line.promised(NOW, &asha, Some(first)), None);
        assert_eq!(line.promised(NOW, &asha, Some(second)), Some(CallRef(1)));
        assert_eq!(line.promised(NOW, &asha, None), Some(CallRef(1)));
        line.join(first, CallRef(1), &acme, &sales, &wanted(&[&ravi]));
        assert_eq!(line.promised(NOW, &asha, Some(second)), None, "the first waits for others now");
        for ticket in [first, second, third, third] {
            line.leave(ticket);
        }
        assert!(line.is_empty());
        line.join(first, CallRef(1), &acme, &sales, &[]);
        assert!(!line.is_empty(), "one who waits for nobody waits");
        line.leave(first);
        assert_eq!(line.promised(NOW, &asha, None), None);
    }

    #[test]
    fn who_is_off_hours_is_promised_from_their_opening_on() {
        let mut line = Line::default();
        let (acme, sales, asha) = (CompanyId::new("acme"), DepartmentId::new("sales"), PersonId::new("asha"));
        let (first, second) = (line.draw(), line.draw());
        let opening = WallTime::from_unix_millis(2_000);
        line.join(first, CallRef(1), &acme, &sales, &[(asha.clone(), Since::Moment(opening))]);
        line.join(second, CallRef(2), &acme, &sales, &wanted(&[&asha]));
        assert_eq!(line.promised(NOW, &asha, None), Some(CallRef(2)), "another company's hours are other hours");
        assert_eq!(line.promised(opening, &asha, None), Some(CallRef(1)));
        // Of two users of one person, the one who is wanted first counts.
        line.join(
            first,
            CallRef(1),
            &acme,
            &sales,
            &[(asha.clone(), Since::Moment(opening)), (asha.clone(), Since::Always)],
        );
        assert_eq!(line.promised(NOW, &asha, None), Some(CallRef(1)));
        line.leave(first);
        line.leave(second);
        assert!(line.is_empty());
    }
}
