//! What the daemon had the store keep, at each moment of a history; and a history cut into the daemon's steps. Reads, judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use switchboard::state::{Change, Saved, SavedBinding, SavedClaim};

use super::interpreter::Switches;
use crate::history::{Entry, History, MILLISECOND, Nanos, What};

/// `201@one`
pub type UserName = String;

/// A binding, and when it ends on the clock that never jumps.
#[derive(Clone, Debug)]
pub struct Kept {
    pub binding: SavedBinding,
    pub until: Nanos,
}

/// A claim, and when it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptClaim {
    pub claim: SavedClaim,
    pub until: Option<Nanos>,
}

/// The sum of all changes so far.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The version of the model that is in force.
    pub version: usize,
    pub bindings: BTreeMap<UserName, Vec<Kept>>,
    pub switches: BTreeMap<UserName, Switches>,
    pub claims: BTreeMap<String, KeptClaim>,
}

impl State {
    /// Takes an entry in. What was kept last under a name holds.
    pub fn take(&mut self, entry: &Entry) {
        match &entry.what {
            What::Changed(_, change) => self.change(entry, change),
            What::Adopted(version) => self.version = *version,
            What::Started(saved, version) => self.start(entry, saved, *version),
            _ => {}
        }
    }

    fn change(&mut self, entry: &Entry, change: &Change) {
        match change {
            Change::Bindings { user, bindings } => {
                let kept = bindings.iter().map(|binding| kept(entry, binding)).collect();
                self.bindings.insert(user.to_string(), kept);
            }
            Change::Switches { user, takes_calls, paused } => {
                let switches = Switches { takes_calls: *takes_calls, paused: *paused };
                self.switches.insert(user.to_string(), switches);
            }
            Change::Claim { person, claim: Some(claim) } => {
                self.claims.insert(person.to_string(), kept_claim(entry, claim));
            }
            Change::Claim { person, claim: None } => {
                self.claims.remove(&person.to_string());
            }
            Change::Pointer { .. }
            | Change::Member { .. }
            | Change::Caller { .. }
            | Change::Call(_)
            | Change::Over(_) => {}
        }
    }

    fn start(&mut self, entry: &Entry, saved: &Saved, version: usize) {
        self.version = version;
        // No registration lasts longer than was granted, nor than two hours, wherever the wall's clock has been meanwhile.
        let bounded = |binding: &SavedBinding| {
            let kept = kept(entry, binding);
            let granted = binding.expires_at.since(binding.registered_at).min(std::time::Duration::from_secs(7200));
            let granted = Nanos::try_from(granted.as_nanos()).unwrap_or(Nanos::MAX);
            Kept { until: kept.until.min(entry.at + granted), ..kept }
        };
        let of = |bindings: &Vec<SavedBinding>| bindings.iter().map(bounded).collect();
        self.bindings = saved.bindings.iter().map(|(user, bindings)| (user.to_string(), of(bindings))).collect();
        let switches = saved.switches.iter().map(|(user, takes_calls, paused)| {
            (user.to_string(), Switches { takes_calls: *takes_calls, paused: *paused })
        });
        self.switches = switches.collect();
        let claims = saved.claims.iter().map(|(person, claim)| (person.to_string(), kept_claim(entry, claim)));
        self.claims = claims.collect();
    }

    /// The bindings of a user that have not run out.
    pub fn live(&self, user: &str, at: Nanos) -> impl Iterator<Item = &Kept> {
        self.bindings.get(user).into_iter().flatten().filter(move |kept| kept.until > at)
    }

    /// The claim on a person, if it has not run out.
    pub fn claim(&self, person: &str, at: Nanos) -> Option<&SavedClaim> {
        let kept = self.claims.get(person)?;
        kept.until.is_none_or(|until| until > at).then_some(&kept.claim)
    }
}

fn kept(entry: &Entry, binding: &SavedBinding) -> Kept {
    Kept { binding: binding.clone(), until: moment(entry, binding.expires_at.unix_millis()) }
}

fn kept_claim(entry: &Entry, claim: &SavedClaim) -> KeptClaim {
    let until = match claim.hold {
        switchboard::state::SavedHold::WrapUp(until) => Some(moment(entry, until.unix_millis())),
        switchboard::state::SavedHold::Ringing | switchboard::state::SavedHold::OnCall => None,
    };
    KeptClaim { claim: claim.clone(), until }
}

/// A moment of the wall's clock, as that went at an entry, on the other clock.
fn moment(entry: &Entry, wall: i64) -> Nanos {
    let ahead = u64::try_from(wall.saturating_sub(entry.wall)).unwrap_or_default();
    entry.at.saturating_add(ahead.saturating_mul(MILLISECOND))
}

/// Whether the daemon does something because of an entry: its step lasts until the next of these.
pub fn begins_step(what: &What) -> bool {
    matches!(
        what,
        What::Heard(_)
            | What::Undeliverable(_)
            | What::Fired
            | What::Durable(_)
            | What::Adopted(_)
            | What::Refused(_)
            | What::Commanded(..)
            | What::Killed
            | What::Started(..)
    )
}

/// The daemon's steps: the places of each one's entries. The first may begin before anything happened to it.
pub fn steps(history: &History) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = history
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| begins_step(&entry.what))
        .map(|(place, _)| place)
        .collect();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([history.entries.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// All users of a version of the model, by name.
pub fn users(history: &History, version: usize) -> BTreeSet<UserName> {
    let companies = history.models[version].companies.iter();
    companies
        .flat_map(|company| company.users.iter().map(|user| format!("{}@{}", user.extension, company.id)))
        .collect()
}
