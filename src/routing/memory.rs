//! What a department remembers between calls: pointers, counts, last calls, sticky callers.
//!
//! A call counts for `longest-idle` and `fewest-calls` when the member answered it; an offer nobody took counts for
//! neither. Everything is kept under ids, so that it outlives a reload, and in wall time, since "today" and a
//! window of days are meant as people mean them.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Plan;
use crate::id::{CompanyId, DepartmentId, Extension};
use crate::number::Caller;
use crate::time::WallTime;

/// The memories of all departments, by company and department; kept across reloads.
#[derive(Clone, Debug, Default)]
pub struct Memories {
    companies: BTreeMap<CompanyId, BTreeMap<DepartmentId, DepartmentMemory>>,
}

impl Memories {
    /// Forgets departments and members that the plan no longer has.
    pub fn retain(&mut self, plan: &Plan) {
        self.companies.retain(|id, departments| {
            let Some(company) = plan.companies.get(id) else { return false };
            departments.retain(|id, memory| {
                let Some(department) = company.departments.get(id) else { return false };
                memory.retain(|extension| department.members.iter().any(|user| user.id.extension == *extension));
                true
            });
            !departments.is_empty()
        });
    }

    /// A copy of what some departments of a company remember, and of callers that one only: to ask what would be.
    pub fn copy_of<'a>(
        &self,
        company: &CompanyId,
        departments: impl Iterator<Item = &'a DepartmentId>,
        caller: &Caller,
    ) -> Memories {
        let mut copy = Memories::default();
        for id in departments {
            let Some(memory) = self.of(company, id) else { continue };
            let mut callers = Callers::default();
            if let Some((extension, at)) = memory.spoke_with(caller) {
                callers.put(caller, extension, at);
            }
            let (last_offered, members) = (memory.last_offered.clone(), memory.members.clone());
            *copy.of_mut(company, id) = DepartmentMemory { last_offered, members, callers };
        }
        copy
    }

    /// What a department remembers, if anything.
    pub(super) fn of(&self, company: &CompanyId, department: &DepartmentId) -> Option<&DepartmentMemory> {
        self.companies.get(company)?.get(department)
    }

    /// What a department remembers, to be added to.
    pub(super) fn of_mut(&mut self, company: &CompanyId, department: &DepartmentId) -> &mut DepartmentMemory {
        self.companies.entry(company.clone()).or_default().entry(department.clone()).or_default()
    }
}

/// One department's.
#[derive(Clone, Debug, Default)]
pub(super) struct DepartmentMemory {
    /// Whoever was offered a call last.
    last_offered: Option<Extension>,
    members: BTreeMap<Extension, MemberMemory>,
    callers: Callers,
}

/// One member's.
#[derive(Clone, Copy, Debug)]
struct MemberMemory {
    /// The day `calls` counts, in the company's zone.
    day: NaiveDate,
    calls: u32,
    /// When the last call was answered or, once it is over, ended.
    last_call: WallTime,
}

/// Who spoke with whom, at most [`CALLERS`] of them.
#[derive(Clone, Debug, Default)]
struct Callers {
    by_caller: BTreeMap<Caller, (u64, Extension, WallTime)>,
    by_age: BTreeMap<u64, Caller>,
    count: u64,
}

/// The most callers one department remembers; the oldest go first.
const CALLERS: usize = 10_000;

impl DepartmentMemory {
    pub(super) fn offered(&mut self, extension: &Extension) {
        self.last_offered = Some(extension.clone());
    }

    pub(super) fn last_offered(&self) -> Option<&Extension> {
        self.last_offered.as_ref()
    }

    /// The member answered a call, on that day of the company's calendar.
    pub(super) fn answered(&mut self, extension: &Extension, at: WallTime, day: NaiveDate) {
        let calls = self.calls_on(extension, day).saturating_add(1);
        self.members.insert(extension.clone(), MemberMemory { day, calls, last_call: at });
    }

    /// The member's call is over: idle since then.
    pub(super) fn ended(&mut self, extension: &Extension, at: WallTime) {
        if let Some(member) = self.members.get_mut(extension) {
            member.last_call = member.last_call.max(at);
        }
    }

    pub(super) fn calls_on(&self, extension: &Extension, day: NaiveDate) -> u32 {
        self.members.get(extension).filter(|member| member.day == day).map_or(0, |member| member.calls)
    }

    /// `None`: no call that is remembered.
    pub(super) fn last_call(&self, extension: &Extension) -> Option<WallTime> {
        self.members.get(extension).map(|member| member.last_call)
    }

    /// The caller spoke with that member. Nobody knows an anonymous caller again.
    pub(super) fn spoke(&mut self, caller: &Caller, extension: &Extension, at: WallTime) {
        match caller {
            Caller::Anonymous => {}
            Caller::Number(_) | Caller::Name(_) => self.callers.put(caller, extension, at),
        }
    }

    /// With whom the caller spoke last, and when.
    pub(super) fn spoke_with(&self, caller: &Caller) -> Option<(&Extension, WallTime)> {
        self.callers.by_caller.get(caller).map(|(_, extension, at)| (extension, *at))
    }

    fn retain(&mut self, is_member: impl Fn(&Extension) -> bool) {
        self.last_offered.take_if(|extension| !is_member(extension));
        self.members.retain(|extension, _| is_member(extension));
        self.callers.by_caller.retain(|_, (_, extension, _)| is_member(extension));
        let by_caller = &self.callers.by_caller;
        self.callers.by_age.retain(|_, caller| by_caller.contains_key(caller));
    }
}

impl Callers {
    fn put(&mut self, caller: &Caller, extension: &Extension, at: WallTime) {
        self.count += 1;
        if let Some((age, _, _)) = self.by_caller.insert(caller.clone(), (self.count, extension.clone(), at)) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.count, caller.clone());
        if self.by_caller.len() > CALLERS
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_caller.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> WallTime {
        WallTime::from_unix_millis(seconds * 1000)
    }

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn calls_are_counted_by_the_day() {
        let (mut memory, asha) = (DepartmentMemory::default(), Extension::new("221"));
        memory.answered(&asha, at(10), day(1));
        memory.answered(&asha, at(20), day(1));
        assert_eq!((memory.calls_on(&asha, day(1)), memory.calls_on(&asha, day(2))), (2, 0));
        memory.answered(&asha, at(30), day(2));
        assert_eq!((memory.calls_on(&asha, day(1)), memory.calls_on(&asha, day(2))), (0, 1));
        memory.ended(&asha, at(90));
        assert_eq!(memory.last_call(&asha), Some(at(90)));
    }

    #[test]
    fn callers_are_remembered_up_to_a_bound_and_the_oldest_forgotten() {
        let mut memory = DepartmentMemory::default();
        let caller = |n: usize| Caller::Name(n.to_string().into());
        for n in 0..CALLERS {
            memory.spoke(&caller(n), &Extension::new("221"), at(0));
        }
        memory.spoke(&caller(0), &Extension::new("222"), at(1));
        memory.spoke(&caller(CALLERS), &Extension::new("221"), at(2));
        assert_eq!(memory.callers.by_caller.len(), CALLERS);
        assert_eq!(memory.callers.by_age.len(), CALLERS);
        assert_eq!(memory.spoke_with(&caller(0)), Some((&Extension::new("222"), at(1))), "came back");
        assert_eq!(memory.spoke_with(&caller(1)), None, "the oldest");
        memory.spoke(&Caller::Anonymous, &Extension::new("221"), at(3));
        assert_eq!(memory.spoke_with(&Caller::Anonymous), None);
    }
}
