//! When which user is rung or talks, and in which call: what invariants 1 and 12 are about, as the wire alone tells it.
//!
//! *Ringing* is a branch from its first INVITE until it can ring no more (its final response, 64·T1 after its CANCEL, Timer B); *talking* a
//! dialog from the 2xx that went up until its BYE is answered or times out, whoever sent it. A user who calls is engaged from the
//! INVITE on. A restart changes none of it.

use ahash::AHashMap;

use super::super::history::{Role, What};
use super::super::model::{Destination, Model};
use super::super::text::uri;
use super::wire::{Ending, Line, PATIENCE, Wire};

/// Company's id and extension.
pub type UserName = (String, String);

#[derive(Clone, Debug)]
pub struct Engagement {
    /// More than one where a mobile is that of several users.
    pub users: Vec<UserName>,
    /// The line of the call's INVITE.
    pub call: usize,
    /// The version of the model the call began with, also where a start has taken it up under another.
    pub model: usize,
    /// Places of the history.
    pub from: usize,
    pub to: usize,
    pub what: &'static str,
}

/// Call-ID, the caller's tag, the callee's.
type Dialog<'h> = (&'h str, &'h str, &'h str);

/// All of them, in the order they begin.
pub fn engagements(wire: &Wire<'_>) -> Vec<Engagement> {
    let ends = ended_dialogs(wire);
    let mut all: Vec<Engagement> = Vec::new();
    // Until when each call has somebody on the line.
    let mut talks: AHashMap<usize, usize> = AHashMap::new();
    // Who first answered a call without the tag that RFC 3261 §8.2.6.2 wants: a second one's dialog has the same name.
    let mut untagged: AHashMap<usize, usize> = AHashMap::new();
    let mut begun_with: AHashMap<usize, usize> = AHashMap::new();
    for server in &wire.servers {
        if let Some(request) = server.request {
            begun_with.entry(request).or_insert(server.model);
        }
    }
    for (index, client) in wire.clients.iter().enumerate() {
        let first = wire.line(client.first);
        let Some(server) = client.server.map(|server| &wire.servers[server]) else { continue };
        let Some(call) = server.request.filter(|_| first.method == "INVITE" && wire.is_initial(server)) else {
            continue;
        };
        let model = begun_with[&call];
        let users = rung(wire, model, first);
        if client.revived.is_none() {
            let (from, to, what) = (first.place, rings_until(wire, index), "rings");
            all.push(Engagement { users: users.clone(), call, model, from, to, what });
        }
        let mut answered: Vec<(&str, usize)> = Vec::new();
        for heard in client.heard.iter().map(|line| wire.line(*line)).filter(|line| line.is_success() && line.sure) {
            let passed = wire.sent_in(heard.step).any(|(line, up)| {
                up.is_success() && up.to_tag == heard.to_tag && wire.server_of[line] == client.server
            });
            let known = answered.iter().any(|(tag, _)| *tag == heard.to_tag);
            // A phone that answers again when its call is over is followed, and not held (docs/choices.md).
            let over = answered.iter().all(|(_, until)| *until <= heard.place) && !answered.is_empty();
            let is_nameless = heard.to_tag.is_empty() && *untagged.entry(call).or_insert(index) != index;
            if !passed || known || over || is_nameless {
                continue;
            }
            let until = talks_until(wire, &ends, heard);
            answered.push((heard.to_tag, until));
            if until <= heard.place {
                continue;
            }
            let end = talks.entry(call).or_default();
            *end = (*end).max(until);
            let (from, to, what) = (heard.place, until, "talks");
            all.push(Engagement { users: users.clone(), call, model, from, to, what });
        }
    }
    all.extend(callers(wire, &talks));
    all.retain(|one| !one.users.is_empty());
    all.sort_by_key(|one| one.from);
    all
}

/// Who a branch rings.
fn rung(wire: &Wire<'_>, model: usize, invite: &Line<'_>) -> Vec<UserName> {
    match wire.history.role(invite.datagram.to) {
        Some(Role::Phone(phone)) => {
            let owner = &wire.history.phones[phone];
            vec![(owner.company.clone(), owner.extension.clone())]
        }
        Some(Role::Trunk(_)) => {
            let called = invite.message.request_uri().unwrap_or_default();
            let called = called.split_once(':').map_or(called, |(_, rest)| rest);
            mobiles(&wire.history.models[model], called.split('@').next().unwrap_or_default())
        }
        Some(Role::Switchboard | Role::Attacker(_)) | None => Vec::new(),
    }
}

/// The users a mobile is of; nobody, where the number is an outside destination too: who is meant cannot be told then.
fn mobiles(model: &Model, number: &str) -> Vec<UserName> {
    let outside = |to: &Destination| matches!(to, Destination::External(external) if external == number);
    let mut found = Vec::new();
    for company in &model.companies {
        let overflows = company.departments.iter().flat_map(|one| &one.overflow);
        let overflows = overflows.chain(company.users.iter().flat_map(|one| &one.overflow)).map(|(_, to)| to);
        let routes = company.numbers.iter().flat_map(|one| &one.routes).map(|route| &route.to);
        if overflows.chain(routes).any(outside) {
            return Vec::new();
        }
        let users = company.users.iter().filter(|user| user.mobile.as_deref() == Some(number));
        found.extend(users.map(|user| (company.id.clone(), user.extension.clone())));
    }
    found
}

/// Where a branch stops ringing.
fn rings_until(wire: &Wire<'_>, index: usize) -> usize {
    let (client, life) = (&wire.clients[index], &wire.lives[index]);
    let doubtful = life.doubtful.unwrap_or(usize::MAX);
    match life.end {
        Some((place, Ending::Killed)) => {
            let next = wire
                .clients
                .iter()
                .position(|other| other.first == client.first && other.revived.is_some_and(|(start, _)| start > place));
            let until = match next {
                Some(next) => rings_until_after_start(wire, next),
                None if is_kept(wire, client.epoch) => {
                    let start = wire.starts.iter().find(|(start, ..)| *start > place);
                    start.and_then(|(_, at, _)| wire.fired_from(at + PATIENCE)).unwrap_or(usize::MAX)
                }
                None => place,
            };
            until.min(doubtful)
        }
        Some((place, _)) => place.min(doubtful),
        None => doubtful,
    }
}

fn rings_until_after_start(wire: &Wire<'_>, index: usize) -> usize {
    let (_, at) = wire.clients[index].revived.expect("a revived one");
    let given_up = wire.fired_from(at + PATIENCE).unwrap_or(usize::MAX);
    rings_until(wire, index).min(given_up)
}

/// Whether the store kept all it was told in an epoch: then nothing of it may be forgotten.
fn is_kept(wire: &Wire<'_>, epoch: usize) -> bool {
    let Some((kill, _)) = wire.kill_of(epoch) else { return true };
    let Some((.., saved)) = wire.starts.iter().find(|(start, ..)| *start > kill) else { return true };
    let told = wire.history.entries[..kill].iter().rev().find_map(|entry| match &entry.what {
        What::Changed(number, _) => Some(*number),
        _ => None,
    });
    told.is_none_or(|told| told <= saved.last)
}

/// Where each dialog is over.
fn ended_dialogs<'h>(wire: &Wire<'h>) -> AHashMap<Dialog<'h>, Vec<usize>> {
    let mut ends: AHashMap<Dialog<'h>, Vec<usize>> = AHashMap::new();
    // BYEs of ours go to both ends in one step: both must be over.
    let mut ours: AHashMap<(Dialog<'h>, usize), usize> = AHashMap::new();
    for (index, client) in wire.clients.iter().enumerate() {
        let line = wire.line(client.first);
        if line.method != "BYE" {
            continue;
        }
        let (one, other) =
            if line.from_tag <= line.to_tag { (line.from_tag, line.to_tag) } else { (line.to_tag, line.from_tag) };
        let dialog = (line.call_id, one, other);
        let life = &wire.lives[index];
        let end = match (life.end, life.doubtful) {
            (Some((_, Ending::Killed)) | None, Some(doubtful)) => doubtful,
            // What was sure before the doubt is so still.
            (Some((place, _)), Some(doubtful)) => place.min(doubtful),
            (Some((_, Ending::Final(401 | 407))), None) if client.server.is_some() => continue,
            (Some((_, Ending::Killed)) | None, None) => usize::MAX,
            (Some((place, _)), None) => place,
        };
        if client.server.is_some() {
            ends.entry(dialog).or_default().push(end);
        } else {
            let both = ours.entry((dialog, line.step)).or_default();
            *both = (*both).max(end);
        }
    }
    for ((dialog, _), end) in ours {
        ends.entry(dialog).or_default().push(end);
    }
    ends
}

fn talks_until(wire: &Wire<'_>, ends: &AHashMap<Dialog<'_>, Vec<usize>>, answer: &Line<'_>) -> usize {
    let (one, other) = if answer.from_tag <= answer.to_tag {
        (answer.from_tag, answer.to_tag)
    } else {
        (answer.to_tag, answer.from_tag)
    };
    let ended = ends.get(&(answer.call_id, one, other)).and_then(|ends| ends.iter().min().copied());
    let mut until = ended.unwrap_or(usize::MAX);
    // What the store lost with a kill is forgotten with the call; what it kept is not.
    for (epoch, (kill, _)) in wire.kills.iter().enumerate() {
        if *kill > answer.place && *kill < until && !is_kept(wire, epoch) {
            let saved = wire.starts.iter().find(|(start, ..)| start > kill).map(|(.., saved)| *saved);
            let goes_on = saved.is_some_and(|saved| {
                let dialogs = saved.calls.iter().flat_map(|call| &call.dialogs);
                dialogs.into_iter().any(|dialog| {
                    dialog.call_id == answer.call_id.as_bytes() && dialog.callee.tag == answer.to_tag.as_bytes()
                })
            });
            if !goes_on {
                until = *kill;
            }
        }
    }
    until
}

///
fn callers(wire: &Wire<'_>, talks: &AHashMap<usize, usize>) -> Vec<Engagement> {
    let mut all = Vec::new();
    for server in wire.servers.iter().filter(|server| server.invite && !server.stateless && server.revived.is_none()) {
        let Some(call) = server.request.filter(|_| wire.is_initial(server) && !server.doubtful) else { continue };
        let request = wire.line(call);
        let Some(Role::Phone(_)) = wire.history.role(request.datagram.from) else { continue };
        let last = server.responses.iter().map(|line| wire.line(*line)).find(|line| line.status >= 200);
        let kill = wire.kill_of(server.epoch).map_or(usize::MAX, |(place, _)| place);
        // A caller that hung up is free to call again, whatever an answer that crosses does to the other end.
        let to = match last {
            Some(last) if last.is_success() => talks.get(&call).copied().unwrap_or(last.place),
            Some(last) => last.place,
            None => kill,
        };
        // Refused where it stood: it never was one.
        let refused = last.is_some_and(|last| last.step == request.step) && server.clients.is_empty();
        // Of a step that a kill cut short it is not known what it was about to say.
        let cut = last.is_none() && server.clients.is_empty() && wire.step_of(call).cut;
        if server.responses.is_empty() || refused || cut {
            continue;
        }
        let from = request.message.first(super::super::text::Name::From).map(uri).unwrap_or_default();
        let from = from.split_once(':').map_or(from, |(_, rest)| rest);
        let Some((extension, domain)) = from.split_once('@') else { continue };
        let domain = domain.split([';', ':']).next().unwrap_or_default();
        let Some(company) = wire.history.models[server.model].by_domain(domain) else { continue };
        let users = vec![(company.id.clone(), extension.to_owned())];
        all.push(Engagement { users, call, model: server.model, from: request.place, to, what: "calls" });
    }
    all
}
