//! The location service: the table of all bindings (RFC 3261 §10, R-9).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::auth::UserProof;
use crate::flow::Flow;
use crate::id::{Map, UserId};
use crate::sip::Request;
use crate::state::SavedBinding;
use crate::time::{Instant, Now};

use super::departed::{Departed, MEMORY};
use super::register::{self, Change, Registered};
use super::request::{Asked, Contacts, Expiries};
use super::{Binding, RegisterRefusal};

/// The most devices of one user. More are refused, and none is pushed out: whoever rings today rings tomorrow.
pub const CONTACTS_PER_USER: usize = 10;

/// All bindings of all users.
#[derive(Clone, Debug)]
pub struct Location {
    /// Each user's bindings: highest `q` first, then the latest update. Never empty.
    users: Map<UserId, Vec<Binding>>,
    /// When which update of a binding runs out.
    deadlines: BTreeMap<(Instant, u64), UserId>,
    /// How many bindings each flow has.
    flows: Map<Flow, usize>,
    departed: Departed,
    serial: u64,
}

/// A binding whose time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Whose.
    pub user: UserId,
    /// The device's contact.
    pub contact: Bytes,
}

impl Location {
    /// Nobody is registered. `hashing` keys the table.
    pub fn new(hashing: ahash::RandomState) -> Location {
        let flows = Map::with_hasher(hashing.clone());
        let departed = Departed::new(hashing.clone());
        Location { users: Map::with_hasher(hashing), deadlines: BTreeMap::new(), flows, departed, serial: 0 }
    }

    /// RFC 3261 §10.3 for a REGISTER of this user: all its contacts or none. `flow` is where the request came from.
    ///
    /// # Errors
    /// Why it was refused; nothing has changed.
    pub fn register(
        &mut self,
        now: Now,
        limits: Expiries,
        proof: &UserProof,
        request: &Request,
        flow: Flow,
    ) -> Result<Registered, RegisterRefusal> {
        let asked = Asked::read(now, limits, proof, request, flow)?;
        self.update(now, &proof.user().id, asked)
    }

    pub(super) fn update(&mut self, now: Now, user: &UserId, asked: Asked) -> Result<Registered, RegisterRefusal> {
        let path = asked.path.iter().map(|value| value.to_vec()).collect();
        let stored = self.users.get(user).map_or(&[][..], Vec::as_slice);
        let (call_id, cseq) = (asked.call_id.clone(), asked.cseq);
        // What has run out without anybody having looked is gone too, and orders as long.
        let is_newer = |binding: &Binding| {
            let has_run_out = !binding.is_live(now.mono) && binding.expires_at + MEMORY > now.mono;
            has_run_out && binding.call_id == call_id && cseq <= binding.cseq
        };
        let is_late = stored.iter().any(is_newer) || self.departed.is_late(now.mono, user, &call_id, cseq);
        if is_late && !matches!(asked.contacts, Contacts::Fetch) {
            return Err(RegisterRefusal::OutOfOrder);
        }
        let leaves = asked.contacts.say_goodbye();
        let mut update = register::apply(now.mono, stored, asked)?;
        // Of several new devices the one written first comes first.
        for binding in update.new.iter_mut().rev() {
            self.serial += 1;
            binding.serial = self.serial;
        }
        for binding in &update.gone {
            self.deadlines.remove(&(binding.expires_at, binding.serial));
            self.leave(binding.flow);
        }
        // Of what is gone: its own series, and the one that ended it.
        for other in update.restarted.iter().filter(|binding| binding.call_id != call_id) {
            self.departed.note(now.mono, user, &other.call_id, other.cseq);
        }
        // Also where nothing was stored of what left: the REGISTER it overtook is on its way still.
        if leaves || update.changes.iter().any(|change| matches!(change, Change::Removed { .. })) {
            self.departed.note(now.mono, user, &call_id, cseq);
        }
        for binding in &update.new {
            self.deadlines.insert((binding.expires_at, binding.serial), user.clone());
            *self.flows.entry(binding.flow).or_default() += 1;
        }
        let mut bindings = update.kept;
        bindings.append(&mut update.new);
        bindings.sort_by_key(|binding| std::cmp::Reverse((binding.q, binding.serial)));
        let live = bindings.iter().filter(|binding| binding.is_live(now.mono));
        let contacts = live.map(|binding| binding.contact_value(now.mono)).collect();
        match bindings.is_empty() {
            true => self.users.remove(user),
            false => self.users.insert(user.clone(), bindings),
        };
        Ok(Registered { contacts, path, changes: update.changes, restarted: update.restarted })
    }

    /// Puts a user's devices back that were saved, in the order they rang in: those that have not run out since.
    /// None lasts longer than `longest`, whatever the clock said when it was saved.
    pub fn restore<'a>(
        &mut self,
        now: Now,
        longest: std::time::Duration,
        user: &UserId,
        saved: impl DoubleEndedIterator<Item = (&'a SavedBinding, Flow)>,
    ) {
        let mut bindings = Vec::new();
        // The latest update rings first.
        for (saved, flow) in saved.rev() {
            let Some(mut binding) = Binding::restored(now, saved, flow) else { continue };
            binding.expires_at = binding.expires_at.min(now.mono + longest);
            self.serial += 1;
            binding.serial = self.serial;
            self.deadlines.insert((binding.expires_at, binding.serial), user.clone());
            *self.flows.entry(binding.flow).or_default() += 1;
            bindings.push(binding);
        }
        bindings.sort_by_key(|binding| std::cmp::Reverse((binding.q, binding.serial)));
        if !bindings.is_empty() {
            self.users.insert(user.clone(), bindings);
        }
    }

    /// A user's devices that may be reached now: highest `q` first, then the latest update.
    pub fn bindings_of(&self, now: Instant, user: &UserId) -> impl Iterator<Item = &Binding> + use<'_> {
        self.users.get(user).into_iter().flatten().filter(move |binding| binding.is_live(now))
    }

    /// Whether a user has a device that may be reached now.
    pub fn is_registered(&self, now: Instant, user: &UserId) -> bool {
        self.bindings_of(now, user).next().is_some()
    }

    /// Whether anybody has registered along that flow: one of any user's bindings is there, until [`Location::expire`] takes it.
    pub fn is_home(&self, flow: Flow) -> bool {
        self.flows.contains_key(&flow)
    }

    /// When the next binding runs out.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((at, _), _)| *at)
    }

    /// Removes the bindings that have run out, in the order they did.
    pub fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let mut expired = Vec::new();
        while let Some(entry) = self.deadlines.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, serial), user) = entry.remove_entry();
            let bindings = self.users.get_mut(&user).expect("a deadline goes with its binding");
            let place = bindings.iter().position(|binding| binding.serial == serial);
            let binding = bindings.remove(place.expect("a deadline goes with its binding"));
            if bindings.is_empty() {
                self.users.remove(&user);
            }
            self.leave(binding.flow);
            self.departed.note(now, &user, &binding.call_id, binding.cseq);
            expired.push(Expired { user, contact: binding.contact });
        }
        expired
    }

    /// forgets the users who are not kept, and says who they were (sorted). The others keep every binding.
    pub fn retain(&mut self, mut keep: impl FnMut(&UserId) -> bool) -> Vec<UserId> {
        let mut users: Vec<UserId> = self.users.keys().cloned().collect();
        users.sort();
        users.retain(|user| !keep(user));
        self.departed.retain(keep);
        for user in &users {
            for binding in self.users.remove(user).into_iter().flatten() {
                self.deadlines.remove(&(binding.expires_at, binding.serial));
                self.leave(binding.flow);
            }
        }
        users
    }

    fn leave(&mut self, flow: Flow) {
        if let Some(bindings) = self.flows.get_mut(&flow) {
            *bindings -= 1;
            if *bindings == 0 {
                self.flows.remove(&flow);
            }
        }
    }

    /// Every binding in the table, by user (sorted), each user's in the order they ring. One that has just run out is
    /// among them until [`Location::expire`] takes it.
    pub fn all(&self) -> Vec<(&UserId, &Binding)> {
        let mut users: Vec<_> = self.users.iter().collect();
        users.sort_by_key(|(user, _)| *user);
        users.into_iter().flat_map(|(user, bindings)| bindings.iter().map(move |binding| (user, binding))).collect()
    }

    /// How many bindings there are: as many as deadlines (invariant 11).
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }
}
