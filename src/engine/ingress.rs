//! The way in: a datagram becomes a message, the message finds its transaction or dialog, and what is new is judged –
//! first who asks, then whether it may be served. Nothing is remembered of a stranger (checklists §2 classes 3, 6).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::calls::NewCall;
use super::transactions::{ClientId, ClientKind, ClientOwner, Reception, ServerId, ServerOwner};
use super::{Engine, Event, caller};
use crate::auth::{Asker, Offer, Origin, Refusal, Standing, UserProof};
use crate::flow::Flow;
use crate::id::{CallRef, CompanyId, Extension, UserId};
use crate::number::{self, Caller, DialRules, Form};
use crate::proxy::{self, Branch, Routes};
use crate::registrar::AddressOfRecord;
use crate::routing;
use crate::routing::{Answer, AnswerCause, Arrival, Called, Company, DecisionRecord};
use crate::sip::{self, Method, Name, Parsed, Request, Response, Scheme, Uri};
use crate::state::{CallRecord, EndedBy};
use crate::time::Now;
use crate::transaction::{AckFate, MergeKey, ServerKey};

/// What we answer requests for inside and outside dialogs; everything else is refused (checklists §2 class 6).
const ALLOW: &[u8] = b"INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER";

/// How often the log says that a user's phone is refused.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(60);

/// Programs that look for open SIP servers, by what they call themselves.
const SCANNERS: [&str; 10] = [
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipsak",
    "sundayddr",
    "iwar",
    "vaxsipuseragent",
    "pplsip",
    "sippts",
];

impl Engine {
    pub(super) fn on_datagram(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        self.counts.datagrams_in += 1;
        match sip::parse(bytes, &self.limits) {
            Ok(Parsed::KeepAlive) => self.counts.keep_alives += 1,
            Ok(Parsed::Request(request)) => {
                self.note_trailing(flow, request.trailing());
                self.on_request(now, flow, request);
            }
            Ok(Parsed::Response(response)) => {
                self.note_trailing(flow, response.trailing());
                self.on_response(now, &response);
            }
            Err(malformed) => {
                self.count(malformed.fault.name());
                self.emit(Event::Malformed { flow, fault: malformed.fault.name() });
                if let Some(message) = malformed.request {
                    // A copy that was damaged on its way: the request itself is being served. An answer to the copy would end
                    // the transaction of whoever sent both, while the call rings on.
                    if ServerKey::of_damaged(&message).is_some_and(|key| self.server_keys.contains_key(&key)) {
                        return self.count("damaged-copy");
                    }
                    if !self.earns_answer(flow, &message) {
                        return;
                    }
                    let fault = malformed.fault;
                    let tag = format!("{:016x}", self.draw());
                    let response = self.measured(flow, &message, fault.status(), fault.reason(), &tag, &[]);
                    if let Some(response) = response {
                        self.send(flow, response);
                    }
                }
            }
        }
    }

    fn note_trailing(&mut self, flow: Flow, count: usize) {
        if count > 0 {
            self.emit(Event::TrailingBytes { flow, count });
        }
    }

    fn on_response(&mut self, now: Now, response: &Response) {
        // RFC 3261 §18.1.2: a response whose topmost Via is not ours is discarded; RFC 6026 §8.10 and corner case 11: so
        // is one that matches no transaction.
        let via = response.top_via();
        let branch = via.branch().and_then(Branch::read);
        let Some(branch) = branch.filter(|_| self.addresses.is_sent_by(via.host_text, via.port)) else {
            self.count("response-not-ours");
            return;
        };
        let kind = match response.cseq().method {
            Method::Cancel => ClientKind::Cancel,
            _ => ClientKind::Request,
        };
        let id = ClientId { token: branch.token, kind };
        let Some(owner) = self.clients.get(&id).map(|transaction| transaction.owner.clone()) else {
            self.count("stray-response");
            return;
        };
        match owner {
            ClientOwner::Branch(call, index) => self.on_branch_response(now, call, index, response),
            ClientOwner::Relay(relay) => self.on_relay_response(now, relay, response),
            ClientOwner::Cancel => {
                self.on_client_response(now, id, response.status(), Bytes::new);
            }
            ClientOwner::Bye(call, key) => {
                let reception = self.on_client_response(now, id, response.status(), Bytes::new);
                if reception == Reception::PassUp && response.status() >= 200 {
                    self.on_our_bye_done(now, call, &key);
                }
            }
        }
    }

    fn on_request(&mut self, now: Now, flow: Flow, request: Request) {
        let key = ServerKey::of(&request);
        let compares_tags = key.is_rfc2543() && request.method() == Method::Ack;
        let known = self.server_keys.get(&key).copied();
        if let Some(id) = known.filter(|id| !compares_tags || self.acknowledges(*id, &request)) {
            match request.method() {
                Method::Ack => match self.on_server_ack(now, id) {
                    AckFate::Absorbed => {}
                    AckFate::PassUp => self.on_in_dialog_request(now, flow, request),
                },
                _ => self.on_server_copy(now, id),
            }
            return;
        }
        match request.method() {
            Method::Cancel => self.on_cancel(now, flow, request),
            _ if !request.to_tag().is_empty() => self.on_in_dialog_request(now, flow, request),
            // RFC 3261 §16, corner case 40: an ACK that belongs to nothing goes nowhere.
            Method::Ack => self.count("stray-ack"),
            Method::Invite => self.on_invite(now, flow, request),
            Method::Register => self.on_register(now, flow, request),
            Method::Options => self.on_options(now, flow, request),
            Method::Bye
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Refer
            | Method::Notify
            | Method::Subscribe
            | Method::Message
            | Method::Publish
            | Method::Other => self.on_other(now, flow, &request),
        }
    }

    /// RFC 3261 §9.2, §16.10.
    fn on_cancel(&mut self, now: Now, flow: Flow, cancel: Request) {
        let key = ServerKey::of_invite_for_cancel(&cancel);
        let Some(invite) = self.server_keys.get(&key).copied() else {
            self.count("stray-cancel");
            self.refuse_statelessly(flow, &cancel, 481, "Call/Transaction Does Not Exist", &[]);
            return;
        };
        let Some(transaction) = self.servers.get(&invite) else { return };
        // A CANCEL is hop by hop: it comes from where the INVITE came from (checklists §2 class 14).
        if transaction.source.remote != flow.remote && !self.same_trunk(transaction.source, flow) {
            self.count("foreign-cancel");
            self.refuse_statelessly(flow, &cancel, 403, "Forbidden", &[]);
            return;
        }
        let owner = transaction.owner;
        let cancel = Arc::new(cancel);
        let server = self.open_server(now, Arc::clone(&cancel), flow, ServerOwner::Engine);
        self.answer(now, server, 200, "OK", &[]);
        match owner {
            ServerOwner::Call(call) => self.cancel_call(now, call, &cancel),
            ServerOwner::Relay(relay) => self.cancel_relay(now, relay),
            ServerOwner::Engine => {}
        }
    }

    fn same_trunk(&self, one: Flow, other: Flow) -> bool {
        match (self.trunks.identify(one.remote), self.trunks.identify(other.remote)) {
            (Some(Origin::Trunk(one)), Some(Origin::Trunk(other))) => one.trunk().id == other.trunk().id,
            _ => false,
        }
    }

    /// Whether a request comes from a trunk, or from where the user it names is registered.
    fn is_known(&self, now: Now, flow: Flow, request: &Request) -> bool {
        if self.trunks.identify(flow.remote).is_some() {
            return true;
        }
        let from = request.from();
        let Some(company) = self.company_of(&from.uri) else { return false };
        let Some(user) = from.uri.user_text() else { return false };
        let user = UserId::new(&company.id, &Extension::new(user.as_ref()));
        self.live.location.bindings_of(now.mono, &user).any(|binding| binding.flow == flow)
    }

    fn on_options(&mut self, now: Now, flow: Flow, request: Request) {
        if !self.is_known(now, flow, &request) {
            self.on_stranger(flow, &request);
            return;
        }
        let judged = {
            let addresses = &self.addresses;
            proxy::validate(&request, &self.hashing, |host, port| addresses.is_sent_by(host, port))
        };
        let uri = request.uri();
        let for_us = self.addresses.is_ours(&uri) || (uri.user.is_none() && self.company_of(&uri).is_some());
        let server = self.open_server(now, Arc::new(request), flow, ServerOwner::Engine);
        match judged {
            // RFC 3261 §11.2, §16.3 item 3: what has come to whom it is for need not go on.
            Err(proxy::Refusal::TooManyHops) if for_us => {}
            Err(refusal) => {
                self.refuse(now, server, &refusal);
                return;
            }
            Ok(_) => {}
        }
        let extras: [sip::Extra<'_>; 2] = [("Allow", ALLOW), ("Accept", b"application/sdp")];
        self.answer(now, server, 200, "OK", &extras);
    }

    /// A method that nothing here serves outside a dialog.
    fn on_other(&mut self, now: Now, flow: Flow, request: &Request) {
        if !self.is_known(now, flow, request) {
            self.on_stranger(flow, request);
            return;
        }
        if request.method() == Method::Bye {
            // RFC 3261 §15.1.2: a BYE that belongs to no dialog (here: without a To tag).
            self.refuse_statelessly(flow, request, 481, "Call/Transaction Does Not Exist", &[]);
            return;
        }
        let judged = {
            let addresses = &self.addresses;
            proxy::validate(request, &self.hashing, |host, port| addresses.is_sent_by(host, port))
        };
        let server = self.open_server(now, Arc::new(request.clone()), flow, ServerOwner::Engine);
        match judged {
            Err(refusal) => self.refuse(now, server, &refusal),
            Ok(_) => self.answer(now, server, 405, "Method Not Allowed", &[("Allow", ALLOW)]),
        }
    }

    /// R-8, last row: 403, or nothing at all to what looks like a scanner.
    pub(super) fn on_stranger(&mut self, flow: Flow, request: &Request) {
        if self.earns_answer(flow, request) {
            self.count("stranger-refused");
            self.emit(Event::Stranger { flow, answered: Some(403) });
            self.answer_statelessly(flow, request, 403, "Forbidden", &[]);
        }
    }

    /// Whether a refusal or a challenge is sent at all. Trunks always get theirs. R-8, last row: what looks like a scanner hears nothing,
    /// whatever it asks. Nobody else hears more than its share (checklists §2 classes 3, 17).
    pub(super) fn earns_answer(&mut self, flow: Flow, request: &sip::Message) -> bool {
        if self.trunks.identify(flow.remote).is_some() {
            return true;
        }
        if is_scanner(request) {
            self.count("scanner-ignored");
            self.emit(Event::Stranger { flow, answered: None });
            return false;
        }
        match self.patience.spend(self.live.now, flow, self.standing_of(flow)) {
            Ok(()) => true,
            Err(silence) => {
                self.count(silence.name());
                self.emit(Event::Stranger { flow, answered: None });
                false
            }
        }
    }

    /// Whether anybody is registered there.
    fn standing_of(&self, flow: Flow) -> Standing {
        if self.live.location.is_home(flow) { Standing::Registered } else { Standing::Unproven }
    }

    /// Who made a request, by its answer to a challenge; whoever proves itself has what that challenge cost back.
    pub(super) fn verify(
        &mut self,
        now: Now,
        flow: Flow,
        company: &Arc<Company>,
        asker: Asker,
        request: &Request,
    ) -> Result<UserProof, Refusal> {
        let offer = self.offered_algorithms();
        let location = &self.live.location;
        let standing = |user: &UserId| {
            let home = location.bindings_of(now.mono, user).any(|binding| binding.flow == flow);
            if home { Standing::Registered } else { Standing::Unproven }
        };
        let proof = self.digest.verify(now, company, offer, asker, flow.remote, standing, request)?;
        self.patience.proven(flow, self.standing_of(flow));
        Ok(proof)
    }

    /// An answer of ours that no transaction keeps, as far as its asker has earned one; `None` for silence.
    ///
    /// Invariant 20 (checklists §2 class 17): whoever is no trunk has not shown that it is where it says, so that the answer may be sent to a victim; it holds
    /// at most one and a half times the bytes of the request. Where the fields do not fit, the first ones are left out,
    /// down to one: of two challenges the SHA-256 one, because a phone that can answer it can answer MD5 too, and not
    /// the reverse. A REGISTER of 400 bytes or more, as phones write them, has room for both. What does not fit with
    /// one field is smaller than any phone's and gets no answer.
    pub(super) fn measured(
        &mut self,
        flow: Flow,
        request: &sip::Message,
        status: u16,
        reason: &str,
        tag: &str,
        fields: &[sip::Extra<'_>],
    ) -> Option<Bytes> {
        if self.trunks.identify(flow.remote).is_some() {
            return Some(sip::respond(request, flow.remote, status, reason, Some(tag), fields));
        }
        let room = request.bytes().len().saturating_mul(3) / 2;
        let mut fields = fields;
        loop {
            let response = sip::respond(request, flow.remote, status, reason, Some(tag), fields);
            if response.len() <= room {
                return Some(response);
            }
            match fields.split_first() {
                Some((_, rest)) if !rest.is_empty() => fields = rest,
                Some(_) | None => {
                    self.count("answer-larger-than-earned");
                    return None;
                }
            }
        }
    }

    /// Asks who it is (RFC 3261 §22). Nothing is remembered.
    pub(super) fn challenge(
        &mut self,
        now: Now,
        flow: Flow,
        request: &Request,
        company: &Arc<Company>,
        asker: Asker,
        refusal: Refusal,
    ) {
        self.count(refusal.name());
        match refusal {
            Refusal::NoCredentials | Refusal::Stale => {}
            Refusal::Incomplete
            | Refusal::WrongUri
            | Refusal::Wrong
            | Refusal::Inactive
            | Refusal::Unchecked
            | Refusal::Replayed => {
                self.emit(Event::AuthenticationFailed { flow, realm: company.domain.clone() });
                let named = request.from().uri.user_text().and_then(|user| company.users.get(user.as_ref()));
                if let Some(user) = named {
                    self.tell_refused(now, &user.id, refusal.name());
                }
            }
        }
        if !self.earns_answer(flow, request) {
            return;
        }
        let offer = self.offered_algorithms();
        let fields = self.digest.challenge(now, company, offer, asker, flow.remote, refusal.staleness());
        let extras: Vec<sip::Extra<'_>> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let (status, reason) = asker.status();
        self.answer_statelessly(flow, request, status, reason, &extras);
    }

    /// Why a phone of a user's is not served is the first thing an admin wants to know of it; once a minute is enough.
    pub(super) fn tell_refused(&mut self, now: Now, user: &UserId, why: &'static str) {
        let told = self.refusals_told.get(user).is_some_and(|at| now.mono.since(*at) < BETWEEN_REFUSALS);
        if !told {
            self.refusals_told.insert(user.clone(), now.mono);
            self.emit(Event::PhoneRefused { user: user.clone(), why });
        }
    }

    pub(super) fn offered_algorithms(&self) -> Offer {
        self.config.sip.algorithms
    }

    /// The company whose SIP domain a URI names.
    pub(super) fn company_of(&self, uri: &Uri<'_>) -> Option<Arc<Company>> {
        let sip::Host::Name(name) = uri.host? else { return None };
        let domain = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.config.plan.domains.get(&domain).map(Arc::clone)
    }

    fn on_invite(&mut self, now: Now, flow: Flow, request: Request) {
        let origin = match self.trunks.identify(flow.remote) {
            Some(origin) => origin,
            None => match self.prove_caller(now, flow, &request) {
                Some(origin) => origin,
                None => return,
            },
        };
        let judged = {
            let addresses = &self.addresses;
            proxy::validate(&request, &self.hashing, |host, port| addresses.is_sent_by(host, port))
        };
        // RFC 3261 §8.2.2.2: the same request by another way. One that has been through us already is no copy but a
        // spiral, and `validate` has seen to loops.
        let spiral = request.vias().any(|via| self.addresses.is_sent_by(via.host_text, via.port));
        let merged = !spiral && self.merges.contains_key(&MergeKey::of(&request));
        let request = Arc::new(request);
        let call = CallRef(self.next_id());
        let server = self.open_server(now, Arc::clone(&request), flow, ServerOwner::Engine);
        let admitted = match judged {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.refuse(now, server, &refusal);
                return;
            }
        };
        if admitted.max_breadth == 0 {
            // RFC 5393 §5.3.3.
            self.answer(now, server, 440, "Max-Breadth Exceeded", &[]);
            return;
        }
        if merged {
            self.count("merged-request");
            self.answer(now, server, 482, "Loop Detected", &[]);
            return;
        }
        // Corner case 5: the caller knows within 200 ms that we are at it; at once is within.
        self.answer(now, server, 100, "Trying", &[]);
        let (called, form, company) = self.read_called(&request, &origin);
        let shuffle = self.draw();
        let arrival = match &origin {
            Origin::Trunk(proof) => {
                let trunk = proof.trunk();
                let caller = read_trunk_caller(&request, &trunk.dial);
                Arrival { call, called, form, caller, trunk: Some(trunk.id.clone()), from_user: None, shuffle }
            }
            Origin::User(proof) => caller::arrival(call, proof.user(), company.as_ref(), called, form, shuffle),
        };
        if let Err(refused) = self.admit_call(now, &origin, &arrival, company.as_ref()) {
            let (answer, decision) = *refused;
            let record = early_record(now, &request, &arrival, decision, &answer);
            self.refuse_early(now, server, record, &answer);
            return;
        }
        if let Some(transaction) = self.servers.get_mut(&server) {
            transaction.owner = ServerOwner::Call(call);
        }
        // Where a new call goes is ours to say: what the caller wrote into Route beyond us would be obeyed by a trunk that
        // trusts us (checklists §2 classes 16, 20).
        let routes = Routes::Replace(Vec::new());
        self.begin_call(now, NewCall { server, request, source: flow, origin, admitted, routes, arrival, company });
    }

    /// Whether a call may begin at all: the daemon goes on, the trunk has room, the caller's person is free (and is held from now on).
    fn admit_call(
        &mut self,
        now: Now,
        origin: &Origin,
        arrival: &Arrival,
        company: Option<&CompanyId>,
    ) -> Result<(), Box<(Answer, DecisionRecord)>> {
        let plan = Arc::clone(&self.config.plan);
        let company = company.and_then(|company| plan.companies.get(company)).map(Arc::as_ref);
        let refused = |answer: Answer, evidence: String| {
            Box::new((answer.clone(), routing::refused_early(now, arrival, company, answer, evidence)))
        };
        if self.draining {
            let answer = Answer::new(AnswerCause::Draining, "Switchboard is shutting down");
            return Err(refused(answer, "new calls are taken again after its start".to_owned()));
        }
        match origin {
            Origin::Trunk(proof) => {
                let trunk = proof.trunk();
                self.admit_trunk_call(now, trunk).map_err(|evidence| {
                    let answer = Answer::new(AnswerCause::TrunkLimit, format!("trunk {} is at its limit", trunk.id));
                    refused(answer, evidence)
                })
            }
            // a user who calls holds the claim of the person behind it.
            Origin::User(proof) => {
                caller::claim(now, &mut self.claims, arrival.call, proof.user()).map_err(|(claim, answer)| {
                    let company = company.unwrap_or_else(|| proof.company());
                    Box::new((answer.clone(), routing::caller_is_busy(now, arrival, company, &claim, answer)))
                })
            }
        }
    }

    /// A caller that is no trunk is a user, or a stranger.
    fn prove_caller(&mut self, now: Now, flow: Flow, request: &Request) -> Option<Origin> {
        let Some(company) = self.company_of(&request.from().uri) else {
            self.on_stranger(flow, request);
            return None;
        };
        match self.verify(now, flow, &company, Asker::Proxy, request) {
            Ok(proof) => {
                // Checklists §2 class 12: proven as one, speaking as another.
                let own = AddressOfRecord::of(&request.from().uri).is_some_and(|aor| aor.is_of(&proof));
                if !own {
                    self.count("from-of-another");
                    self.refuse_statelessly(flow, request, 403, "From Is Not You", &[]);
                    return None;
                }
                Some(Origin::User(proof))
            }
            Err(refusal) => {
                self.challenge(now, flow, request, &company, Asker::Proxy, refusal);
                None
            }
        }
    }

    /// What was called, and whose it is.
    fn read_called(&self, request: &Request, origin: &Origin) -> (Called, Option<Form>, Option<CompanyId>) {
        let uri = request.uri();
        let text = uri.user_text().unwrap_or_default();
        let written = || Called::Unknown(String::from_utf8_lossy(uri.text).chars().take(64).collect());
        let plan = &self.config.plan;
        // parameters in the user part (`+9180…;npdi`) are no part of the number.
        let bare = text.split(';').next().unwrap_or_default();
        let number = match origin {
            Origin::Trunk(proof) => {
                number::read_called(bare, &proof.trunk().dial, |number| plan.numbers.contains_key(number))
            }
            Origin::User(proof) => {
                let company = proof.company();
                let own_domain = match uri.host {
                    Some(sip::Host::Name(name)) => name.eq_ignore_ascii_case(company.domain.as_bytes()),
                    Some(_) | None => false,
                };
                let reachable = own_domain || self.addresses.is_ours(&uri) || uri.scheme == Scheme::Tel;
                if !reachable {
                    // Checklists §2 class 16: another domain is not ours to call.
                    return (written(), None, Some(company.id.clone()));
                }
                let extension = caller::dialled_extension(company, &text).filter(|_| uri.scheme != Scheme::Tel);
                if let Some(user) = extension {
                    return (Called::User(user), None, Some(company.id.clone()));
                }
                caller::dialled_number(plan, company, bare)
            }
        };
        match number {
            Some((number, form)) => {
                let company = plan.numbers.get(&number).map(|(company, _)| company.id.clone());
                let company = company.or_else(|| match origin {
                    Origin::Trunk(_) => None,
                    Origin::User(proof) => Some(proof.company().id.clone()),
                });
                (Called::Number(number), Some(form), company)
            }
            None => (
                written(),
                None,
                match origin {
                    Origin::Trunk(_) => None,
                    Origin::User(proof) => Some(proof.company().id.clone()),
                },
            ),
        }
    }

    /// The identity of a server transaction that is to be answered on the spot.
    pub(super) fn open_and_answer(
        &mut self,
        now: Now,
        flow: Flow,
        request: Request,
        status: u16,
        reason: &str,
        extras: &[sip::Extra<'_>],
    ) -> ServerId {
        let server = self.open_server(now, Arc::new(request), flow, ServerOwner::Engine);
        self.answer(now, server, status, reason, extras);
        server
    }
}

/// Whether a message names itself as one of the programs that look for open servers.
fn is_scanner(message: &sip::Message) -> bool {
    let agent = message.value(Name::UserAgent).unwrap_or_default().to_ascii_lowercase();
    SCANNERS.iter().any(|name| memchr::memmem::find(&agent, name.as_bytes()).is_some())
}

/// P-Asserted-Identity from a trunk, else From.
fn read_trunk_caller(request: &Request, dial: &DialRules) -> Caller {
    let asserted = request.name_addrs(Name::PAssertedIdentity).find_map(|identity| identity.uri.user_text());
    let text = asserted.or_else(|| request.from().uri.user_text()).unwrap_or_default();
    Caller::read(text.split(';').next().unwrap_or_default(), dial)
}

/// The record of a call that was refused before any hunt.
fn early_record(
    now: Now,
    request: &Request,
    arrival: &Arrival,
    decision: DecisionRecord,
    answer: &Answer,
) -> CallRecord {
    CallRecord {
        call: arrival.call,
        company: decision.company.as_ref().map(CompanyId::new),
        trunk: arrival.trunk.clone(),
        from_user: arrival.from_user.clone(),
        sip_call_id: String::from_utf8_lossy(request.call_id()).into_owned(),
        decision,
        started_at: now.wall,
        answered_at: None,
        ended_at: now.wall,
        answered_by: Vec::new(),
        ended_by: EndedBy::Refused,
        status: answer.status,
    }
}
