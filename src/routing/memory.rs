//! What a department remembers between calls: pointers, counts, last calls, sticky callers.
//!
//! A call counts for `longest-idle` and `fewest-calls` when the member answered it; an offer nobody took counts for
//! neither. Everything is kept under ids, so that it outlives a reload, and in wall time, since "today" and a
//! window of days are meant as people mean them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::Plan;
use crate::id::{CompanyId, DepartmentId, Extension};
use crate::number::Caller;
use crate::state::{Change, Saved};
use crate::time::WallTime;

/// The memories of all departments, by company and department; kept across reloads.
#[derive(Clone, Debug, Default)]
pub struct Memories {
    companies: BTreeMap<CompanyId, BTreeMap<DepartmentId, DepartmentMemory>>,
    /// Departments that have been handed out to be added to since [`Memories::changes`] was asked last.
    touched: BTreeSet<(CompanyId, DepartmentId)>,
}

impl Memories {
    /// What was saved of them.
    pub fn restored(saved: &Saved) -> Memories {
        let mut memories = Memories::default();
        for (company, department, last_offered) in &saved.pointers {
            memories.of_mut(company, department).last_offered = Some(last_offered.clone());
        }
        for (company, department, extension, day, calls, last_call) in &saved.members {
            let memory = MemberMemory { day: *day, calls: *calls, last_call: *last_call };
            memories.of_mut(company, department).members.insert(extension.clone(), memory);
        }
        for (company, department, caller, extension, at) in &saved.callers {
            let caller = Caller::from_record(caller);
            memories.of_mut(company, department).callers.put(&caller, extension, *at);
        }
        memories.touched.clear();
        memories
    }

    /// What has changed since this was asked last. (What a reload makes them forget is no change: it is forgotten again
    /// after a restart.)
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (company, department) in std::mem::take(&mut self.touched) {
            let Some(memory) = self.companies.get_mut(&company).and_then(|all| all.get_mut(&department)) else {
                continue;
            };
            for touched in std::mem::take(&mut memory.touched) {
                let (company, department) = (company.clone(), department.clone());
                match touched {
                    Touched::Pointer => {
                        let last_offered = memory.last_offered.clone();
                        changes.push(Change::Pointer { company, department, last_offered });
                    }
                    Touched::Member(extension) => {
                        let Some(MemberMemory { day, calls, last_call }) = memory.members.get(&extension).copied()
                        else {
                            continue;
                        };
                        changes.push(Change::Member { company, department, extension, day, calls, last_call });
                    }
                    Touched::Caller(caller) => {
                        let Some((_, extension, at)) = memory.callers.by_caller.get(&caller).cloned() else { continue };
                        let caller = caller.to_string();
                        changes.push(Change::Caller { company, department, caller, extension, at });
                    }
                }
            }
        }
        changes
    }

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
            *copy.of_mut(company, id) = DepartmentMemory { last_offered, members, callers, touched: BTreeSet::new() };
        }
        copy
    }

    /// What a department remembers, if anything.
    pub(super) fn of(&self, company: &CompanyId, department: &DepartmentId) -> Option<&DepartmentMemory> {
        self.companies.get(company)?.get(department)
    }

    /// What a department remembers, to be added to.
    pub(super) fn of_mut(&mut self, company: &CompanyId, department: &DepartmentId) -> &mut DepartmentMemory {
        self.touched.insert((company.clone(), department.clone()));
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
    /// What has changed since that was asked last.
    touched: BTreeSet<Touched>,
}

/// A part of a department's memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    Pointer,
    Member(Extension),
    Caller(Caller),
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
        self.touched.insert(Touched::Pointer);
    }

    pub(super) fn last_offered(&self) -> Option<&Extension> {
        self.last_offered.as_ref()
    }

    /// The member answered a call, on that day of the company's calendar.
    pub(super) fn answered(&mut self, extension: &Extension, at: WallTime, day: NaiveDate) {
        let calls = self.calls_on(extension, day).saturating_add(1);
        self.members.insert(extension.clone(), MemberMemory { day, calls, last_call: at });
        self.touched.insert(Touched::Member(extension.clone()));
    }

    /// The member's call is over: idle since then.
    pub(super) fn ended(&mut self, extension: &Extension, at: WallTime) {
        if let Some(member) = self.members.get_mut(extension) {
            member.last_call = member.last_call.max(at);
            self.touched.insert(Touched::Member(extension.clone()));
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
            Caller::Number(_) | Caller::Name(_) => {
                self.callers.put(caller, extension, at);
                self.touched.insert(Touched::Caller(caller.clone()));
            }
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
    use crate::number::E164;

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
    fn what_was_saved_is_remembered_and_nothing_is_told_twice() {
        let (acme, sales, asha) = (CompanyId::new("acme"), DepartmentId::new("sales"), Extension::new("221"));
        let (number, name) = (E164::parse("+919811112222").unwrap(), Caller::Name("reception".into()));
        let mut memories = Memories::default();
        let memory = memories.of_mut(&acme, &sales);
        memory.offered(&asha);
        memory.answered(&asha, at(10), day(1));
        memory.spoke(&Caller::Number(number.clone()), &asha, at(10));
        memory.spoke(&name, &asha, at(11));
        memory.spoke(&Caller::Anonymous, &asha, at(12));
        let mut saved = Saved::default();
        for change in memories.changes() {
            match change {
                Change::Pointer { company, department, last_offered } => {
                    saved.pointers.push((company, department, last_offered.unwrap()));
                }
                Change::Member { company, department, extension, day, calls, last_call } => {
                    saved.members.push((company, department, extension, day, calls, last_call));
                }
                Change::Caller { company, department, caller, extension, at } => {
                    saved.callers.push((company, department, caller, extension, at));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(memories.changes(), []);
        let mut restored = Memories::restored(&saved);
        assert_eq!(restored.changes(), []);
        let memory = restored.of(&acme, &sales).unwrap();
        assert_eq!(memory.last_offered(), Some(&asha));
        assert_eq!((memory.calls_on(&asha, day(1)), memory.last_call(&asha)), (1, Some(at(10))));
        assert_eq!(memory.spoke_with(&Caller::Number(number)), Some((&asha, at(10))));
        assert_eq!(memory.spoke_with(&name), Some((&asha, at(11))));
        assert_eq!(saved.callers.len(), 2, "nobody knows an anonymous caller again");
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
