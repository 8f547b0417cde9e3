//! What the store is told, in which order, and who waits until it is durable. Without a store nothing is told and
//! nobody waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::call::{Call, CallDialog, Fork, Peer, Standing};
use super::transactions::{Armed, ServerId, TimerKey};
use super::{Engine, Output};
use crate::claim::{Claim, Hold};
use crate::flow::Flow;
use crate::id::{CallRef, UserId};
use crate::proxy::Side;
use crate::sip::Extra;
use crate::state::{
    CallRecord, Change, Number, SavedBranch, SavedCall, SavedClaim, SavedDialog, SavedFlow, SavedHold, SavedOffer,
    SavedPeer, SavedSide,
};
use crate::time::{Instant, Now, WallTime};

/// How long a REGISTER waits for its binding to be durable. A phone repeats it meanwhile, and is told 503 then; the binding
/// holds in memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// When a phone that was told so may try again, in seconds.
const RETRY_AFTER: &[u8] = b"10";

/// Whether there is a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    Nothing,
    Changes,
}

/// What the store is told.
#[derive(Debug)]
pub(super) struct Ledger {
    keeping: Keeping,
    /// The last change there was.
    last: Number,
    /// Up to here all is on the disk.
    durable: Number,
    /// Calls that are not as the store knows them.
    calls: BTreeSet<CallRef>,
    told: VecDeque<(Number, Change)>,
    /// REGISTERs that wait, by the change they wait for.
    waiting: BTreeMap<Number, Vec<Waiting>>,
    armed: Armed,
}

/// A REGISTER that was accepted.
#[derive(Debug)]
struct Waiting {
    server: ServerId,
    until: Instant,
    headers: Vec<(&'static str, Vec<u8>)>,
}

impl Ledger {
    /// Without a store.
    pub(super) fn nothing() -> Ledger {
        Ledger {
            keeping: Keeping::Nothing,
            last: Number(0),
            durable: Number(0),
            calls: BTreeSet::new(),
            told: VecDeque::new(),
            waiting: BTreeMap::new(),
            armed: Armed::default(),
        }
    }

    /// With a store whose last change was that.
    pub(super) fn after(last: Number) -> Ledger {
        Ledger { keeping: Keeping::Changes, last, durable: last, ..Ledger::nothing() }
    }

    pub(super) fn pop(&mut self) -> Option<(Number, Change)> {
        self.told.pop_front()
    }

    /// Changes not given out, and answers kept back: none when all is quiet.
    pub(super) fn pending(&self) -> usize {
        self.told.len() + self.waiting.values().map(Vec::len).sum::<usize>()
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.is_armed()
    }

    fn tell(&mut self, change: Change) {
        if self.keeping == Keeping::Changes {
            self.last = Number(self.last.0.saturating_add(1));
            self.told.push_back((self.last, change));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.waiting.values().flatten().map(|waiting| waiting.until).min()
    }
}

impl Engine {
    /// The call is not as the store knows it.
    pub(super) fn note_call(&mut self, id: CallRef) {
        self.ledger.calls.insert(id);
    }

    /// A call is over, or was before it began.
    pub(super) fn note_over(&mut self, record: CallRecord) {
        self.ledger.tell(Change::Over(Box::new(record.clone())));
        self.outputs.push_back(Output::Record(Box::new(record)));
    }

    /// A user's devices are others now.
    pub(super) fn note_bindings(&mut self, now: Now, user: &UserId) {
        if self.ledger.keeping == Keeping::Nothing {
            return;
        }
        let bindings = self.live.location.bindings_of(now.mono, user);
        let bindings = bindings.map(|binding| binding.saved(now, self.saved_flow(binding.flow))).collect();
        self.ledger.tell(Change::Bindings { user: user.clone(), bindings });
    }

    /// A user's switches are others now.
    pub(super) fn note_switches(&mut self, user: &UserId) {
        let switches = self.live.switches.get(user).copied().unwrap_or_default();
        let (takes_calls, paused) = (switches.takes_calls, switches.paused);
        self.ledger.tell(Change::Switches { user: user.clone(), takes_calls, paused });
    }

    /// Tells the store what the last step changed. What it is told comes before what the step sends.
    pub(super) fn close_step(&mut self, now: Now) {
        let claims = self.claims.changes().map(|(person, claim)| {
            let claim = claim.map(|claim| saved_claim(now, claim));
            Change::Claim { person, claim }
        });
        let lasts = |change: &Change| match change {
            Change::Claim { claim: Some(claim), .. } => claim.hold != SavedHold::Ringing,
            _ => false,
        };
        // A kill may leave the store with any of these as its last. Whoever talks or rests is known before the call, which else would
        // be answered or over without that; who rings and who is free, behind it. A branch without a claim was never sent then, and
        // a claim without a branch is let go by the start: but whoever has a branch that the store does not know to have ended
        // would be free while an answer of it still counts.
        let (lasting, others): (Vec<Change>, Vec<Change>) = claims.partition(lasts);
        lasting.into_iter().for_each(|change| self.ledger.tell(change));
        for id in std::mem::take(&mut self.ledger.calls) {
            if self.ledger.keeping == Keeping::Changes
                && let Some(call) = self.calls.get(&id).filter(|call| !call.over)
            {
                let saved = self.saved_call(now, id, call);
                self.ledger.tell(Change::Call(Box::new(saved)));
            }
        }
        let memories = self.memories.changes();
        others.into_iter().chain(memories).for_each(|change| self.ledger.tell(change));
    }

    /// Answers a REGISTER with 200 as soon as all that was told so far is durable.
    pub(super) fn answer_when_durable(&mut self, now: Now, server: ServerId, headers: Vec<(&'static str, Vec<u8>)>) {
        if self.ledger.durable >= self.ledger.last {
            self.answer_registered(now, server, &headers);
            return;
        }
        let waiting = Waiting { server, until: now.mono + PATIENCE, headers };
        self.ledger.waiting.entry(self.ledger.last).or_default().push(waiting);
        self.rearm_ledger();
    }

    /// The store says: all changes up to that one are durable.
    pub(super) fn on_durable(&mut self, now: Now, up_to: Number) {
        self.ledger.durable = self.ledger.durable.max(up_to.min(self.ledger.last));
        while let Some(first) = self.ledger.waiting.first_entry().filter(|first| *first.key() <= up_to) {
            for waiting in first.remove() {
                self.answer_registered(now, waiting.server, &waiting.headers);
            }
        }
        self.rearm_ledger();
    }

    /// Somebody has waited long enough for the disk.
    pub(super) fn on_ledger_timer(&mut self, now: Now) {
        self.ledger.armed = Armed::default();
        let mut late = Vec::new();
        for waiting in self.ledger.waiting.values_mut() {
            late.extend(waiting.extract_if(.., |waiting| waiting.until <= now.mono));
        }
        self.ledger.waiting.retain(|_, waiting| !waiting.is_empty());
        for waiting in late {
            self.count("registration-not-durable");
            self.answer(now, waiting.server, 503, "Service Unavailable", &[("Retry-After", RETRY_AFTER)]);
        }
        self.rearm_ledger();
    }

    fn answer_registered(&mut self, now: Now, server: ServerId, headers: &[(&'static str, Vec<u8>)]) {
        let extras: Vec<Extra<'_>> = headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        self.answer(now, server, 200, "OK", &extras);
    }

    fn rearm_ledger(&mut self) {
        let deadline = self.ledger.deadline();
        let armed = std::mem::take(&mut self.ledger.armed);
        self.ledger.armed = self.arm(armed, TimerKey::Ledger, deadline);
    }

    fn saved_flow(&self, flow: Flow) -> SavedFlow {
        // A socket that a reload closed: after a restart another of its family serves.
        let local = self.listener(flow.local).map(|listener| listener.address);
        let any = if flow.remote.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
        SavedFlow { local: local.unwrap_or(any), remote: flow.remote }
    }

    fn saved_call(&self, now: Now, id: CallRef, call: &Call) -> SavedCall {
        let offer = |offer: &super::call::Offer| {
            let (user, department) = call.hunt.offered_to(offer.id);
            SavedOffer {
                id: offer.id,
                user: user.cloned(),
                person: offer.person.clone(),
                department: department.cloned(),
                label: offer.label.clone(),
                answered: offer.answered,
                settled: offer.settled,
            }
        };
        let branch = |fork: &Fork| {
            let ended = fork.standing == Standing::Ended;
            SavedBranch {
                offer: fork.offer,
                token: fork.client.branch.token,
                loop_key: fork.client.branch.loop_key.0,
                sent: if ended { bytes::Bytes::new() } else { fork.sent.clone() },
                flow: self.saved_flow(fork.flow),
                peer: saved_peer(&fork.leg.peer),
                ended,
                counted: fork.counted.clone(),
            }
        };
        let dialog = |entry: &CallDialog| SavedDialog {
            offer: entry.offer,
            branch: entry.fork,
            caller_peer: saved_peer(&entry.caller),
            callee_peer: saved_peer(&entry.callee),
            call_id: entry.dialog.call_id.clone(),
            caller: self.saved_side(&entry.dialog.caller),
            callee: self.saved_side(&entry.dialog.callee),
            session_until: entry.dialog.session_until.map(|at| wall(now, at)),
            longest_until: entry.dialog.longest_until.map(|at| wall(now, at)),
        };
        SavedCall {
            call: id,
            company: call.company.clone(),
            trunk: call.trunk.clone(),
            from_user: call.from_user.as_ref().map(|user| user.id.clone()),
            caller_label: call.caller_label.clone(),
            decision: call.hunt.record().clone(),
            started_at: call.started_at,
            answered_at: call.answered_at,
            invite: call.request.bytes().clone(),
            source: self.saved_flow(call.source),
            names: self.addresses.names(),
            caller: saved_peer(&call.caller),
            final_sent: call.final_sent,
            offers: call.offers.iter().map(offer).collect(),
            branches: call.forks.iter().map(branch).collect(),
            dialogs: call.dialogs.iter().filter(|entry| !entry.dialog.phase.is_early()).map(dialog).collect(),
        }
    }

    fn saved_side(&self, side: &Side) -> SavedSide {
        SavedSide {
            flow: self.saved_flow(side.flow),
            tag: side.tag.clone(),
            identity: side.identity.clone(),
            target: side.target.clone(),
            route_set: side.route_set.to_vec(),
            cseq: side.cseq,
        }
    }
}

fn saved_peer(peer: &Peer) -> SavedPeer {
    match peer {
        Peer::Trunk(trunk) => SavedPeer::Trunk(trunk.clone()),
        Peer::Phone { user, contact } => SavedPeer::Phone { user: user.id.clone(), contact: contact.clone() },
    }
}

fn saved_claim(now: Now, claim: &Claim) -> SavedClaim {
    let hold = match claim.hold {
        Hold::Ringing => SavedHold::Ringing,
        Hold::OnCall => SavedHold::OnCall,
        Hold::WrapUp { until, .. } => SavedHold::WrapUp(wall(now, until)),
    };
    let behind = claim.behind.as_deref().map(|wrap_up| Box::new(saved_claim(now, wrap_up)));
    SavedClaim { call: claim.call, user: claim.user.clone(), hold, since: claim.since, behind }
}

/// A moment to come, on the wall's clock.
fn wall(now: Now, at: Instant) -> WallTime {
    now.wall + at.since(now.mono)
}
