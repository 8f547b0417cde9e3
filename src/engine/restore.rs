//! An engine made of what outlived the daemon. Whoever was on a call still is, and BYE finds it. A call that nobody
//! had answered is given up: the caller gets 500, phones that may still ring are cancelled, and their persons are free as
//! soon as they provably ring no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::answers::phrase;
use super::branches::{TIMER_C, own_request};
use super::call::{Call, CallDialog, Fork, Leg, Offer, Peer, Standing};
use super::ledger::Ledger;
use super::live::Switches;
use super::transactions::{Armed, ClientId, ClientKind, ClientOwner, ServerOwner};
use super::{Engine, Event, Listener};
use crate::claim::{Claim, Hold};
use crate::config::Config;
use crate::flow::{Flow, ListenerId};
use crate::id::{CallRef, PersonId, UserId};
use crate::proxy::{Admitted, Branch, Dialog, DialogKey, LoopKey, Phase, Routes, Side};
use crate::routing::{AnswerCause, Hunt, Memories, OfferEnd, User};
use crate::state::{
    CallRecord, EndedBy, Saved, SavedBranch, SavedCall, SavedClaim, SavedDialog, SavedFlow, SavedHold, SavedPeer,
    SavedSide,
};
use crate::time::{Now, WallTime};

/// How far a side's CSeq may have gone without our saving it: a BYE in its name counts from behind that (RFC 3261 §12.2.1.1
/// wants it higher, not next).
const CSEQ_MARGIN: u32 = 1000;

impl Engine {
    /// An engine that goes on with what was saved, and tells the store what changes. Outputs are then waiting.
    pub fn restored(now: Now, seed: [u8; 32], config: Arc<Config>, listeners: Vec<Listener>, saved: Saved) -> Engine {
        let mut engine = Engine::new(now, seed, config, listeners);
        engine.ledger = Ledger::after(saved.last);
        engine.serial = CallRef::at_start(saved.start);
        engine.memories = Memories::restored(&saved);
        let plan = Arc::clone(&engine.config.plan);
        engine.memories.retain(&plan);
        for (user, takes_calls, paused) in &saved.switches {
            if engine.plan_user(user).is_some() {
                engine.live.switches.insert(user.clone(), Switches { takes_calls: *takes_calls, paused: *paused });
            } else {
                engine.note_switches(user);
            }
        }
        for (user, bindings) in &saved.bindings {
            if engine.plan_user(user).is_none() {
                engine.note_bindings(now, user);
                continue;
            }
            let flows: Vec<Flow> = bindings.iter().map(|binding| engine.flow_of(binding.flow)).collect();
            let longest = engine.config.sip.registration_max;
            engine.live.location.restore(now, longest, user, bindings.iter().zip(flows));
            if engine.live.location.bindings_of(now.mono, user).count() < bindings.len() {
                engine.note_bindings(now, user);
            }
        }
        engine.rearm_bindings();
        let persons = engine.restore_claims(now, &saved);
        // Before anything is sent that may be answered at once.
        for call in &saved.calls {
            engine.remember_names(call);
        }
        for call in saved.calls {
            engine.restore_call(now, call, &persons);
        }
        engine.drop_ownerless_claims();
        engine.rearm_wrap_ups();
        engine.serve_waiting(now);
        engine.close_step(now);
        engine
    }

    /// What a call's Via and Record-Route say of us: the sockets may be others now, and called otherwise.
    fn remember_names(&mut self, call: &SavedCall) {
        self.addresses.remember(call.names.iter().map(String::as_str));
        // A store of an older version says what the sockets were, and what its branches were sent with.
        let sides = call.dialogs.iter().flat_map(|dialog| [&dialog.caller.flow, &dialog.callee.flow]);
        let flows = call.branches.iter().map(|branch| &branch.flow).chain(sides).chain([&call.source]);
        let mut names: Vec<String> = flows.map(|flow| flow.local.to_string()).collect();
        let requests = call.branches.iter().filter_map(|branch| own_request(&branch.sent));
        names.extend(requests.map(|request| {
            let via = request.top_via();
            format!("{}:{}", String::from_utf8_lossy(via.host_text), via.port.unwrap_or(5060))
        }));
        self.addresses.remember(names.iter().map(String::as_str));
    }

    fn plan_user(&self, user: &UserId) -> Option<&Arc<User>> {
        self.config.plan.companies.get(&user.company)?.users.get(&user.extension)
    }

    /// Claims under the names that today's configuration has for the persons; the same for users it has no more. Gives the
    /// name of every user of whom a claim speaks.
    fn restore_claims(&mut self, now: Now, saved: &Saved) -> BTreeMap<UserId, PersonId> {
        let mut persons = BTreeMap::new();
        // Two that are one person today have one claim, by the call that lasts: of somebody who talks, not of a phone that is about
        // to stop ringing. A wrap-up stands behind either, as if the call had begun in it. What a second call holds is lost.
        let mut claims: Vec<_> = saved.claims.iter().collect();
        claims.sort_by_key(|(_, claim)| match claim.hold {
            SavedHold::WrapUp(_) => 0,
            SavedHold::OnCall => 1,
            SavedHold::Ringing => 2,
        });
        for (written, claim) in claims {
            let person = self.plan_user(&claim.user).map_or_else(|| written.clone(), |user| user.person.clone());
            persons.insert(claim.user.clone(), person.clone());
            let mut restored = restored_claim(now, claim);
            let behind = claim.behind.as_deref().map(|wrap_up| Box::new(restored_claim(now, wrap_up)));
            restored.behind = behind.filter(|wrap_up| {
                let is_hers = self.plan_user(&wrap_up.user).is_none_or(|user| user.person == person);
                matches!(wrap_up.hold, Hold::WrapUp { .. }) && wrap_up.stands(now.mono) && is_hers
            });
            let claim = restored;
            if claim.stands(now.mono) {
                self.claims.restore(&person, claim);
            }
            // Whatever stands in the store under a name that is not taken on is forgotten there too.
            self.claims.touch(written);
        }
        persons
    }

    /// A claim that no call knows of would never be let go: the daemon was killed between the two changes, and so before
    /// anything was sent because of the claim, or after all had ended.
    fn drop_ownerless_claims(&mut self) {
        let is_owned = |claim: &Claim| {
            let Some(call) = self.calls.get(&claim.call) else { return false };
            let calls = call.from_user.as_ref().is_some_and(|user| user.id == claim.user);
            let mut offers = call.offers.iter().filter(|offer| !offer.settled);
            calls || offers.any(|offer| call.hunt.offered_to(offer.id).0 == Some(&claim.user))
        };
        let ownerless: Vec<(PersonId, CallRef)> = self
            .claims
            .all()
            .into_iter()
            .filter(|(_, claim)| !matches!(claim.hold, Hold::WrapUp { .. }) && !is_owned(claim))
            .map(|(person, claim)| (person.clone(), claim.call))
            .collect();
        for (person, call) in ownerless {
            self.count("claim-without-call");
            self.claims.release(&person, call);
        }
    }

    fn restore_call(&mut self, now: Now, saved: SavedCall, persons: &BTreeMap<UserId, PersonId>) {
        let id = saved.call;
        let Some(request) = own_request(&saved.invite) else {
            // Nothing can be done for it but to keep what is known.
            self.count("saved-call-unreadable");
            self.note_over(lost_record(now, saved));
            return;
        };
        let request = Arc::new(request);
        let user_of = |user: &UserId| -> Arc<User> {
            self.plan_user(user).map(Arc::clone).unwrap_or_else(|| {
                let person = persons.get(user).cloned().unwrap_or_else(|| PersonId::new(user.to_string()));
                Arc::new(User::departed(user.clone(), person))
            })
        };
        let peer = |saved: &SavedPeer| match saved {
            SavedPeer::Trunk(trunk) => Peer::Trunk(trunk.clone()),
            SavedPeer::Phone { user, contact } => Peer::Phone { user: user_of(user), contact: contact.clone() },
        };
        let answered = saved.answered_at.is_some();
        let config = Arc::clone(&self.config);
        let plan = Arc::clone(&config.plan);
        let mut hunt = Hunt::restored(now, plan, id, saved.company.as_ref(), saved.decision, &saved.offers, |offer| {
            offer.user.as_ref().map(&user_of)
        });
        let offers = saved.offers.iter().map(|offer| Offer {
            id: offer.id,
            person: offer.user.as_ref().map(|user| user_of(user).person.clone()),
            label: offer.label.clone(),
            closed: true,
            answered: offer.answered,
            settled: offer.settled,
            end: OfferEnd::NoAnswer,
        });
        let forks = saved.branches.iter().map(|branch| Fork {
            offer: branch.offer,
            client: restored_client(branch),
            sent: branch.sent.clone(),
            flow: self.flow_of(branch.flow),
            // Whether a provisional response came is not known: of a phone that has none of it, CANCEL asks nothing amiss.
            standing: if branch.ended { Standing::Ended } else { Standing::Proceeding { timer_c: now.mono + TIMER_C } },
            withdrawn: branch.ended,
            leg: Leg {
                uri: Bytes::new(),
                addresses: SmallVec::new(),
                local: None,
                path: Vec::new(),
                peer: peer(&branch.peer),
            },
            counted: branch.counted.clone(),
        });
        let dialogs = saved.dialogs.iter().map(|dialog| {
            let restored = self.restored_dialog(now, dialog);
            CallDialog {
                key: restored.key(),
                dialog: restored,
                offer: dialog.offer,
                fork: dialog.branch,
                caller: peer(&dialog.caller_peer),
                callee: peer(&dialog.callee_peer),
                byes: 0,
            }
        });
        let (offers, forks, mut dialogs): (Vec<Offer>, Vec<Fork>, Vec<CallDialog>) =
            (offers.collect(), forks.collect(), dialogs.collect());
        // A dialog has one entry, as `note_dialog` sees to. A second of its name, which no daemon of ours writes, would be
        // found by nobody: it would never end.
        let mut named: Vec<DialogKey> = Vec::new();
        dialogs.retain(|entry| {
            let is_first = !named.contains(&entry.key);
            named.push(entry.key.clone());
            is_first
        });
        let refusal = (saved.final_sent.is_none() && !answered).then(|| hunt.cut_off());
        let source = self.flow_of(saved.source);
        let caller = peer(&saved.caller);
        let from_user = saved.from_user.as_ref().map(&user_of);
        // Its INVITE has a transaction of its own, where copies of it end: as a new call they would ring its phones twice, and an
        // answer of the old one would go up in the new one's transaction. However long ago it was answered: the wall's clock, by
        // which alone that could be known, may have jumped.
        let server = self.open_server(now, Arc::clone(&request), source, ServerOwner::Call(id));
        if answered {
            self.suppose_answered(now, server);
        }
        // Whether its refusal ever left is not known: it is stored before it is sent, and repeated until the ACK (RFC 3261 §17.2.1).
        let refused = saved.final_sent.filter(|_| !answered);
        let known = hunt.record().answer.clone().filter(|answer| refused == Some(answer.status));
        let is_cut_off = known.as_ref().is_some_and(|answer| answer.cause == AnswerCause::CutOff);
        if let Some(company) = &saved.company {
            self.live.count_up(company);
        }
        if let Some(trunk) = &saved.trunk {
            self.count_trunk_up(trunk);
        }
        let call_id = Bytes::copy_from_slice(request.call_id());
        if answered {
            self.emit(Event::CallResumed { call: id, company: saved.company.clone(), call_id });
        }
        let keys: Vec<DialogKey> = dialogs.iter().map(|entry| entry.key.clone()).collect();
        let call = Call {
            config,
            company: saved.company,
            trunk: saved.trunk,
            from_user,
            caller_label: saved.caller_label,
            hunt,
            request,
            source,
            caller,
            // No more copies are made of it.
            admitted: Admitted { max_forwards: 0, max_breadth: 0, loop_key: LoopKey(0) },
            routes: Routes::Pop(0),
            server,
            offers,
            forks,
            dialogs,
            past: SmallVec::new(),
            pending: None,
            final_sent: refusal.as_ref().map(|answer| answer.status).or(saved.final_sent).or(Some(200)),
            cancel_reason: None,
            started_at: saved.started_at,
            answered_at: saved.answered_at,
            ended_by: match saved.final_sent {
                _ if answered => EndedBy::Callee,
                None => EndedBy::CutOff,
                Some(_) if is_cut_off => EndedBy::CutOff,
                Some(487) => EndedBy::Cancelled,
                Some(_) => EndedBy::Refused,
            },
            over: false,
            armed: Armed::default(),
        };
        self.calls.insert(id, Box::new(call));
        for key in keys {
            self.dialogs.entry(key).or_default().push(id);
        }
        self.restore_branches(now, id, &saved.branches);
        if let Some(answer) = refusal {
            self.emit(Event::CallRefused { call: id, status: answer.status, cause: answer.cause.as_str() });
            self.answer_with(now, server, &answer);
        }
        match (refused, known) {
            (Some(_), Some(answer)) => self.answer_with(now, server, &answer),
            (Some(status), None) => self.answer(now, server, status, phrase(status), &[]),
            (None, _) => {}
        }
        self.cancel_forks(now, id, |_| true);
        let offers: Vec<_> = saved.offers.iter().map(|offer| offer.id).collect();
        for offer in offers {
            self.settle(now, id, offer);
        }
        self.note_call(id);
        self.sweep(now, id);
    }

    /// The client transactions of its branches: those that may still ring, so that their ends are heard and acknowledged;
    /// and answered ones, so that copies of the answer still go up.
    fn restore_branches(&mut self, now: Now, id: CallRef, branches: &[SavedBranch]) {
        for (index, branch) in branches.iter().enumerate() {
            let client = restored_client(branch);
            let flow = self.flow_of(branch.flow);
            let answered = self
                .calls
                .get(&id)
                .is_some_and(|call| call.answered_at.is_some() && call.dialogs.iter().any(|entry| entry.fork == index));
            if !branch.ended {
                self.suppose_proceeding(now, client, flow, ClientOwner::Branch(id, index));
            } else if answered {
                self.suppose_proceeding(now, client, flow, ClientOwner::Branch(id, index));
                self.on_client_response(now, client, 200, Bytes::new);
            }
            if let Some(trunk) = &branch.counted {
                self.count_trunk_up(trunk);
            }
        }
        for index in 0..branches.len() {
            self.let_trunk_go(id, index);
        }
    }

    fn restored_dialog(&self, now: Now, saved: &SavedDialog) -> Dialog {
        let side = |side: &SavedSide| Side {
            flow: self.flow_of(side.flow),
            tag: side.tag.clone(),
            identity: side.identity.clone(),
            target: side.target.clone(),
            route_set: side.route_set.iter().cloned().collect(),
            // RFC 3261 §8.1.1.5: less than 2^31.
            cseq: side.cseq.saturating_add(CSEQ_MARGIN).min(i32::MAX.unsigned_abs()),
        };
        let mono = |at: WallTime| now.mono + at.since(now.wall);
        let longest = now.mono + self.config.sip.max_call;
        Dialog {
            call_id: saved.call_id.clone(),
            caller: side(&saved.caller),
            callee: side(&saved.callee),
            phase: Phase::Confirmed { unacknowledged_until: None },
            session_until: saved.session_until.map(mono),
            // A limit there is in any case: a call whose BYE passed while no daemon ran must not stay for ever.
            longest_until: Some(saved.longest_until.map_or(longest, mono).min(longest)),
        }
    }

    /// The way to a peer now: by the socket with the same address, else the same port, else any of the family.
    fn flow_of(&self, saved: SavedFlow) -> Flow {
        let local =
            self.addresses.bound_like(saved.local).or_else(|| self.listener_towards(saved.remote, ListenerId(0)));
        Flow { local: local.unwrap_or(ListenerId(0)), remote: saved.remote }
    }
}

fn restored_client(saved: &SavedBranch) -> ClientId {
    let written = Branch { token: saved.token, loop_key: LoopKey(saved.loop_key) };
    // An older version saved the token alone; what was sent says all of it.
    let sent = own_request(&saved.sent).and_then(|request| Branch::read(request.top_via().branch()?));
    let branch = sent.filter(|sent| sent.token == saved.token).unwrap_or(written);
    ClientId { branch, kind: ClientKind::Request }
}

/// A claim as it was saved, without the one behind it.
fn restored_claim(now: Now, saved: &SavedClaim) -> Claim {
    let hold = match saved.hold {
        SavedHold::Ringing => Hold::Ringing,
        SavedHold::OnCall => Hold::OnCall,
        SavedHold::WrapUp(until) => {
            // A clock that was wrong then, or is now, makes no wrap-up longer than it was.
            let left = until.since(now.wall).min(until.since(saved.since));
            Hold::WrapUp { until: now.mono + left, until_wall: until }
        }
    };
    Claim { call: saved.call, user: saved.user.clone(), hold, since: saved.since, behind: None }
}

/// The record of a call of which no more can be made.
fn lost_record(now: Now, saved: SavedCall) -> CallRecord {
    CallRecord {
        call: saved.call,
        company: saved.company,
        trunk: saved.trunk,
        from_user: saved.from_user,
        sip_call_id: String::new(),
        decision: saved.decision,
        started_at: saved.started_at,
        answered_at: saved.answered_at,
        ended_at: now.wall,
        answered_by: saved.offers.into_iter().filter(|offer| offer.answered).map(|offer| offer.label).collect(),
        ended_by: EndedBy::CutOff,
        status: saved.final_sent.unwrap_or(500),
    }
}
