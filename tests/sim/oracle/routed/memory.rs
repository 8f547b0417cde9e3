//! What departments remember, as the history shows it. Nothing of it is asked of the daemon but after a restart.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use switchboard::state::Saved;

use super::interpreter::Worked;
use crate::model::Model;

/// Of each department of each company.
#[derive(Clone, Debug, Default)]
pub struct Memories(BTreeMap<(String, String), Memory>);

#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub last_offered: Option<String>,
    pub worked: BTreeMap<String, Worked>,
    /// With whom a caller spoke last, and when.
    pub spoke: BTreeMap<String, (String, i64)>,
}

impl Memories {
    pub fn restored(saved: &Saved) -> Memories {
        let mut memories = Memories::default();
        for (company, department, extension) in &saved.pointers {
            memories.offered(&company.to_string(), &department.to_string(), &extension.to_string());
        }
        for (company, department, extension, day, calls, last) in &saved.members {
            let worked = Worked { day: *day, calls: *calls, last: last.unix_millis() };
            memories.of_mut(&company.to_string(), &department.to_string()).worked.insert(extension.to_string(), worked);
        }
        for (company, department, caller, extension, at) in &saved.callers {
            let (company, department) = (company.to_string(), department.to_string());
            memories.spoke(&company, &department, caller, &extension.to_string(), at.unix_millis());
        }
        memories
    }

    pub fn of(&self, company: &str, department: &str) -> Option<&Memory> {
        self.0.get(&(company.to_owned(), department.to_owned()))
    }

    fn of_mut(&mut self, company: &str, department: &str) -> &mut Memory {
        self.0.entry((company.to_owned(), department.to_owned())).or_default()
    }

    pub fn offered(&mut self, company: &str, department: &str, extension: &str) {
        self.of_mut(company, department).last_offered = Some(extension.to_owned());
    }

    pub fn answered(&mut self, company: &str, department: &str, extension: &str, day: NaiveDate, at: i64) {
        let memory = self.of_mut(company, department);
        let before = memory.worked.get(extension).filter(|worked| worked.day == day).map_or(0, |worked| worked.calls);
        memory.worked.insert(extension.to_owned(), Worked { day, calls: before + 1, last: at });
    }

    pub fn ended(&mut self, company: &str, department: &str, extension: &str, at: i64) {
        if let Some(worked) = self.of_mut(company, department).worked.get_mut(extension) {
            worked.last = worked.last.max(at);
        }
    }

    pub fn spoke(&mut self, company: &str, department: &str, caller: &str, extension: &str, at: i64) {
        self.of_mut(company, department).spoke.insert(caller.to_owned(), (extension.to_owned(), at));
    }

    /// who is a member no more is forgotten.
    pub fn retain(&mut self, model: &Model) {
        self.0.retain(|(company, department), memory| {
            let Some(department) = model.company(company).and_then(|company| company.department(department)) else {
                return false;
            };
            let stays = |extension: &String| department.members.contains(extension);
            memory.last_offered.take_if(|extension| !stays(extension));
            memory.worked.retain(|extension, _| stays(extension));
            memory.spoke.retain(|_, (extension, _)| stays(extension));
            true
        });
    }
}
