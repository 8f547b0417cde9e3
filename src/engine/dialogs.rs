//! The dialogs of calls: made by responses with a To tag, over when BYE is answered or times out, or when we end them
//! ourselves.

use super::Engine;
use super::call::{CallDialog, Peer};
use super::transactions::{ClientId, ClientKind, ClientOwner};
use crate::id::{CallRef, UserId};
use crate::proxy::{self, Branch, Dialog, DialogKey, End, Phase, Toward};
use crate::sip::{Method, Name, Request, Response, Uri};
use crate::state::EndedBy;
use crate::time::Now;

/// The most dialogs one branch may have.
const DIALOGS_PER_BRANCH: usize = 16;

impl Engine {
    /// Whether a branch may have one more dialog: a phone that answers under ever new tags must not fill our tables.
    pub(super) fn may_note_dialog(&self, id: CallRef, index: usize) -> bool {
        self.calls.get(&id).is_some_and(|call| {
            call.dialogs.iter().filter(|entry| entry.fork == index).count() + call.past.len() < DIALOGS_PER_BRANCH
        })
    }

    /// Knows the dialog that a response with a To tag makes, or made.
    pub(super) fn note_dialog(&mut self, id: CallRef, index: usize, response: &Response) {
        let key = DialogKey::new(response.call_id(), response.from_tag(), response.to_tag());
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.dialogs.iter().any(|entry| entry.key == key) {
            return;
        }
        let Some(fork) = call.forks.get(index) else { return };
        let ours = &self.addresses;
        let dialog = Dialog::new(&call.request, call.source, response, fork.flow, |uri| {
            ours.is_ours(uri) && call_of(uri) == Some(id)
        });
        let entry = CallDialog {
            key: key.clone(),
            dialog,
            offer: fork.offer,
            fork: index,
            caller: call.caller.clone(),
            callee: fork.leg.peer.clone(),
            byes: 0,
        };
        call.dialogs.push(entry);
        self.dialogs.entry(key).or_default().push(id);
    }

    /// The call that a request inside a dialog belongs to. A call that came back to us by a spiral is two calls with one
    /// dialog's name: the Route value that brought the request here tells them apart.
    pub(super) fn call_of_dialog(&self, key: &DialogKey, request: &Request) -> Option<CallRef> {
        match self.dialogs.get(key)?.as_slice() {
            [only] => Some(*only),
            several => {
                let routed = request
                    .name_addrs(Name::Route)
                    .take_while(|route| self.addresses.is_ours(&route.uri))
                    .find_map(|route| call_of(&route.uri));
                routed.filter(|call| several.contains(call)).or_else(|| several.first().copied())
            }
        }
    }

    /// The dialog's name is no longer this call's.
    pub(super) fn unname_dialog(&mut self, key: &DialogKey, id: CallRef) {
        if let Some(calls) = self.dialogs.get_mut(key) {
            calls.retain(|call| *call != id);
            if calls.is_empty() {
                self.dialogs.remove(key);
            }
        }
    }

    /// A dialog is over: BYE answered or timed out.
    pub(super) fn end_dialog(&mut self, now: Now, id: CallRef, key: &DialogKey, by: EndedBy) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(position) = call.dialogs.iter().position(|entry| entry.key == *key) else { return };
        let entry = call.dialogs.remove(position);
        call.ended_by = by;
        call.past.push(key.clone());
        self.note_call(id);
        self.unname_dialog(key, id);
        self.let_trunk_go(id, entry.fork);
        self.settle(now, id, entry.offer);
        self.sweep(now, id);
        self.rearm_call(id);
    }

    /// Ends an answered dialog ourselves: BYE to both ends, each in the other's name.
    pub(super) fn hang_up(&mut self, now: Now, id: CallRef, key: &DialogKey, end: End) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.ended_by = end.into();
        }
        let mut outgoing = Vec::new();
        for side in [Toward::Caller, Toward::Callee] {
            let token = self.draw();
            let Some(next) = self.dialog_entry(id, key).map(|entry| entry.dialog.next_uri(side)) else { return };
            let Some(flow) = self.next_hop(now, id, key, side, &next) else { continue };
            let Some(listener) = self.listener(flow.local) else { continue };
            let advertised = listener.advertised.clone();
            let client = ClientId { branch: Branch { token, loop_key: proxy::LoopKey(0) }, kind: ClientKind::Request };
            let mut branch = String::with_capacity(32);
            client.branch.write(&mut branch);
            let Some(entry) = self.dialog_entry_mut(id, key) else { return };
            let bye = entry.dialog.bye(side, &advertised, &branch);
            entry.byes = entry.byes.saturating_add(1);
            outgoing.push((flow, client, bye));
        }
        if outgoing.is_empty() {
            self.end_dialog(now, id, key, end.into());
            return;
        }
        for (flow, client, bye) in outgoing {
            self.open_client(now, client, Method::Bye, flow, bye, ClientOwner::Bye(id, key.clone()));
        }
        self.rearm_call(id);
    }

    /// A BYE of ours was answered, or never will be.
    pub(super) fn on_our_bye_done(&mut self, now: Now, id: CallRef, key: &DialogKey) {
        let Some(entry) = self.dialog_entry_mut(id, key) else { return };
        entry.byes = entry.byes.saturating_sub(1);
        if entry.byes == 0 {
            let by = self.calls.get(&id).map_or(EndedBy::Refused, |call| call.ended_by);
            self.end_dialog(now, id, key, by);
        }
    }

    pub(super) fn dialog_entry(&self, id: CallRef, key: &DialogKey) -> Option<&CallDialog> {
        self.calls.get(&id)?.dialogs.iter().find(|entry| entry.key == *key)
    }

    pub(super) fn dialog_entry_mut(&mut self, id: CallRef, key: &DialogKey) -> Option<&mut CallDialog> {
        self.calls.get_mut(&id)?.dialogs.iter_mut().find(|entry| entry.key == *key)
    }

    /// the phone behind a binding says it has restarted: no call of its lives on.
    pub(super) fn on_phone_restarted(&mut self, now: Now, user: &UserId, contact: &[u8]) {
        let mut over: Vec<(CallRef, DialogKey)> = Vec::new();
        for (id, call) in &self.calls {
            for entry in &call.dialogs {
                let its = [&entry.caller, &entry.callee].into_iter().any(|peer| match peer {
                    Peer::Phone { user: of, contact: Some(of_contact) } => of.id == *user && of_contact == contact,
                    Peer::Phone { contact: None, .. } | Peer::Trunk(_) => false,
                });
                if its && matches!(entry.dialog.phase, Phase::Confirmed { .. }) {
                    over.push((*id, entry.key.clone()));
                }
            }
        }
        over.sort_by_key(|(id, _)| *id);
        for (id, key) in over {
            self.hang_up(now, id, &key, End::Restarted);
        }
    }
}

/// The call that a Record-Route value of ours names.
pub(super) fn call_of(uri: &Uri<'_>) -> Option<CallRef> {
    let number = std::str::from_utf8(uri.params.value("call")?).ok()?;
    number.parse().ok().map(CallRef)
}
