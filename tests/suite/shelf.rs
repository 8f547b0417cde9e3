//! A store in memory, and what every store has to do: changes summed up, each record once, numbers without a gap.
//! Everything goes through the bytes that a real store would keep.

use std::collections::BTreeMap;

use switchboard::engine::CallRecord;
use switchboard::id::{CallRef, CompanyId, DepartmentId, Extension, PersonId, UserId};
use switchboard::state::{
    Change, Number, Saved, SavedBinding, SavedBranch, SavedCall, SavedClaim, SavedHold, SavedPeer,
};
use switchboard::time::WallTime;

type Department = (CompanyId, DepartmentId);

/// The sum of all changes.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    starts: u64,
    pub last: Number,
    pub bindings: BTreeMap<UserId, Vec<SavedBinding>>,
    pub switches: BTreeMap<UserId, (Option<bool>, bool)>,
    pub claims: BTreeMap<PersonId, SavedClaim>,
    pointers: BTreeMap<Department, Extension>,
    members: BTreeMap<(Department, Extension), (chrono::NaiveDate, u32, WallTime)>,
    callers: BTreeMap<(Department, String), (Extension, WallTime)>,
    pub calls: BTreeMap<CallRef, SavedCall>,
    pub log: Vec<CallRecord>,
    /// Who was let go while a branch to them stood in the store.
    pub let_go: Vec<String>,
}

impl Shelf {
    /// A kill may leave the store with any change as its last: a claim goes after the branches that it was for.
    fn note_who_may_ring(&mut self, person: &PersonId, after: Option<&SavedClaim>) {
        let before = self.claims.get(person).filter(|before| before.hold == SavedHold::Ringing);
        let Some(before) = before.filter(|before| after.is_none_or(|after| after.call != before.call)) else { return };
        let Some(call) = self.calls.get(&before.call) else { return };
        let rings =
            |branch: &SavedBranch| matches!(&branch.peer, SavedPeer::Phone { user, .. } if *user == before.user);
        if call.branches.iter().filter(|branch| !branch.ended).any(rings) {
            self.let_go.push(before.user.to_string());
        }
    }

    /// Takes a change on.
    pub fn put(&mut self, number: Number, change: &Change) {
        assert_eq!(number.0, self.last.0 + 1, "numbers have no gap");
        self.last = number;
        let bytes = rmp_serde::to_vec_named(change).unwrap();
        let read: Change = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, *change, "what is kept is read as it was");
        if let Change::Claim { person, claim } = &read {
            self.note_who_may_ring(person, claim.as_ref());
        }
        match read {
            Change::Bindings { user, bindings } if bindings.is_empty() => drop(self.bindings.remove(&user)),
            Change::Bindings { user, bindings } => drop(self.bindings.insert(user, bindings)),
            Change::Switches { user, takes_calls: None, paused: false } => drop(self.switches.remove(&user)),
            Change::Switches { user, takes_calls, paused } => {
                self.switches.insert(user, (takes_calls, paused));
            }
            Change::Claim { person, claim: Some(claim) } => drop(self.claims.insert(person, claim)),
            Change::Claim { person, claim: None } => drop(self.claims.remove(&person)),
            Change::Pointer { company, department, last_offered: Some(extension) } => {
                self.pointers.insert((company, department), extension);
            }
            Change::Pointer { company, department, last_offered: None } => {
                self.pointers.remove(&(company, department));
            }
            Change::Member { company, department, extension, day, calls, last_call } => {
                self.members.insert(((company, department), extension), (day, calls, last_call));
            }
            Change::Caller { company, department, caller, extension, at } => {
                self.callers.insert(((company, department), caller), (extension, at));
            }
            Change::Call(call) => drop(self.calls.insert(call.call, *call)),
            Change::Over(record) => {
                self.calls.remove(&record.call);
                assert!(self.log.iter().all(|other| other.call != record.call), "a call is in the log once");
                self.log.push(*record);
            }
        }
    }

    /// What a daemon that starts now is given.
    pub fn open(&mut self) -> Saved {
        self.starts += 1;
        let mut callers: Vec<_> = self.callers.clone().into_iter().collect();
        callers.sort_by_key(|(_, (_, at))| *at);
        Saved {
            start: self.starts,
            last: self.last,
            bindings: self.bindings.clone().into_iter().collect(),
            switches: self.switches.clone().into_iter().map(|(user, (own, paused))| (user, own, paused)).collect(),
            claims: self.claims.clone().into_iter().collect(),
            pointers: self.pointers.clone().into_iter().map(|((c, d), extension)| (c, d, extension)).collect(),
            members: self
                .members
                .clone()
                .into_iter()
                .map(|(((c, d), extension), (day, calls, last))| (c, d, extension, day, calls, last))
                .collect(),
            callers: callers
                .into_iter()
                .map(|(((c, d), caller), (extension, at))| (c, d, caller, extension, at))
                .collect(),
            calls: self.calls.clone().into_values().collect(),
        }
    }
}
