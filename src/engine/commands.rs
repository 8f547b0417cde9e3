//! What an admin asks of the running engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::{AgentView, CallView, Command, QueueView, Refusal, RegistrationView, Reply, Status, TrunkView};
use super::live::Switches;
use super::{Engine, names, question};
use crate::id::{CompanyId, TrunkId};
use crate::routing::{self, Company, Trunk, User};
use crate::time::Now;

impl Engine {
    pub(super) fn command(&mut self, now: Now, command: Command) -> Reply {
        match command {
            Command::Status => Reply::Status(Box::new(self.status())),
            Command::Calls => Reply::Calls(self.call_views()),
            Command::Agents => Reply::Agents(self.agent_views(now)),
            Command::Agent { user } => match self.agent(now, &user) {
                Ok(agent) => Reply::Agents(vec![agent]),
                Err(why) => Reply::Refused(Refusal::wrong_question(why)),
            },
            Command::Registrations => Reply::Registrations(self.registration_views(now)),
            Command::Queue => Reply::Queue(self.queue_views()),
            Command::TakeCalls { user, takes } => self.switch(&user, |user, switches| {
                switches.takes_calls = Some(takes);
                match (takes, switches.paused) {
                    (true, false) => format!("{} takes calls", user.id),
                    // a pause by an admin outranks the user's own switch.
                    (true, true) => format!("{} takes calls (still paused by an admin)", user.id),
                    (false, _) => format!("{} does not take calls", user.id),
                }
            }),
            Command::Pause { user } => self.switch(&user, |user, switches| {
                switches.paused = true;
                format!("{} is paused", user.id)
            }),
            Command::Resume { user } => self.switch(&user, |user, switches| {
                switches.paused = false;
                format!("{} is no longer paused", user.id)
            }),
            Command::Explain(asked) => {
                let live = question::LiveState {
                    claims: &self.claims,
                    presence: &self.live,
                    memories: &self.memories,
                    line: &self.line,
                    trunks: self.trunk_states(),
                };
                match question::explain(now, &asked, &self.config, Some(live)) {
                    Ok(record) => Reply::Explained(Box::new(record)),
                    Err(why) => Reply::Refused(Refusal::wrong_question(why)),
                }
            }
            Command::Company { name } => match names::company(&self.config.plan, &name) {
                Ok(company) => Reply::Company(company.id.to_string()),
                Err(why) => Reply::Refused(Refusal::wrong_question(why)),
            },
            Command::Drain => {
                self.draining = true;
                Reply::Done("no new calls are taken".to_owned())
            }
        }
    }

    fn switch(&mut self, name: &str, change: impl FnOnce(&User, &mut Switches) -> String) -> Reply {
        let user = match names::user(&self.config.plan, name) {
            Ok(user) => Arc::clone(user),
            Err(why) => return Reply::Refused(Refusal::wrong_question(why)),
        };
        let done = change(&user, self.live.switches.entry(user.id.clone()).or_default());
        self.freed.insert(user.person.clone());
        self.note_switches(&user.id);
        Reply::Done(done)
    }

    fn status(&self) -> Status {
        let plan = &self.config.plan;
        let mut counters: BTreeMap<String, u64> =
            self.counts.named.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        for (name, count) in [
            ("datagrams-in", self.counts.datagrams_in),
            ("datagrams-out", self.counts.datagrams_out),
            ("keep-alives", self.counts.keep_alives),
            ("transport-errors", self.counts.transport_errors),
            ("unacknowledged-failures", self.counts.unacknowledged_failures),
        ] {
            counters.insert(name.to_owned(), count);
        }
        let trunks = plan
            .trunks
            .values()
            .map(|trunk| {
                let calls = self.trunk_use.get(&trunk.id).map_or(0, |usage| usage.calls);
                let proxy = self.proxy_addresses(trunk).iter().map(ToString::to_string).collect();
                (trunk.id.to_string(), TrunkView { calls, proxy })
            })
            .collect();
        let live = || self.calls.values().filter(|call| !call.over);
        Status {
            started_at: self.started_at.unix_millis(),
            configured_at: self.configured_at.unix_millis(),
            draining: self.draining,
            calls: live().count(),
            talking: live().filter(|call| call.state() == "talking").count(),
            waiting: self.line.len(),
            registrations: self.live.location.len(),
            companies: plan.companies.len(),
            numbers: plan.numbers.len(),
            users: plan.companies.values().map(|company| company.users.len()).sum(),
            transactions: self.servers.len() + self.clients.len(),
            claims: self.claims.held(),
            timers: self.timers.len(),
            trunks,
            counters,
        }
    }

    fn call_views(&self) -> Vec<CallView> {
        let mut calls: Vec<_> = self.calls.iter().filter(|(_, call)| !call.over).collect();
        calls.sort_by_key(|(id, _)| **id);
        calls
            .into_iter()
            .map(|(id, call)| {
                let record = call.hunt.record();
                CallView {
                    call: id.to_string(),
                    company: call.company.as_ref().map(ToString::to_string).unwrap_or_default(),
                    timezone: self.zone_of(call.company.as_ref()),
                    number: record.number.clone(),
                    caller: call.caller_label().to_owned(),
                    trunk: call.trunk.as_ref().map(ToString::to_string),
                    state: call.state().to_owned(),
                    started_at: call.started_at.unix_millis(),
                    answered_at: call.answered_at.map(|at| at.unix_millis()),
                    place: record.steps.last().and_then(|step| {
                        step.department.clone().or_else(|| step.user.clone()).or_else(|| step.external.clone())
                    }),
                    with: call.with(),
                }
            })
            .collect()
    }

    fn trunk_states(&self) -> BTreeMap<TrunkId, question::TrunkState> {
        let state = |trunk: &Trunk| question::TrunkState {
            calls: self.trunk_use.get(&trunk.id).map_or(0, |usage| usage.calls),
            has_address: !self.proxy_addresses(trunk).is_empty(),
        };
        self.config.plan.trunks.values().map(|trunk| (trunk.id.clone(), state(trunk))).collect()
    }

    fn zone_of(&self, company: Option<&CompanyId>) -> String {
        company
            .and_then(|company| self.config.plan.companies.get(company))
            .map_or_else(|| "UTC".to_owned(), |company| company.timezone.name().to_owned())
    }

    fn agent_views(&self, now: Now) -> Vec<AgentView> {
        let companies = self.config.plan.companies.values();
        let users = companies.flat_map(|company| company.users.values().map(move |user| (company, user)));
        users.map(|(company, user)| self.agent_view(now, company, user)).collect()
    }

    fn agent(&self, now: Now, name: &str) -> Result<AgentView, String> {
        let user = names::user(&self.config.plan, name)?;
        let company = names::company(&self.config.plan, user.id.company.as_str())?;
        Ok(self.agent_view(now, company, user))
    }

    fn agent_view(&self, now: Now, company: &Company, user: &Arc<User>) -> AgentView {
        let standing = routing::standing(now, company, user, &self.claims, &self.live);
        let switches = self.live.switches.get(&user.id).copied().unwrap_or_default();
        AgentView {
            company: company.id.to_string(),
            timezone: company.timezone.name().to_owned(),
            extension: user.id.extension.to_string(),
            name: user.name.clone(),
            person: user.person.to_string(),
            state: standing.as_ref().map_or("free", |(reason, _)| reason.as_str()).to_owned(),
            evidence: standing.and_then(|(_, evidence)| evidence),
            takes_calls: switches.takes_calls.unwrap_or(user.take_calls),
            paused: switches.paused,
            devices: self.live.location.bindings_of(now.mono, &user.id).count(),
            departments: company
                .departments
                .values()
                .filter(|department| department.members.iter().any(|member| member.id == user.id))
                .map(|department| department.id.to_string())
                .collect(),
        }
    }

    fn registration_views(&self, now: Now) -> Vec<RegistrationView> {
        self.live
            .location
            .all()
            .into_iter()
            .filter(|(_, binding)| binding.is_live(now.mono))
            .map(|(user, binding)| RegistrationView {
                company: user.company.to_string(),
                extension: user.extension.to_string(),
                contact: String::from_utf8_lossy(&binding.contact).into_owned(),
                target: binding.target.to_string(),
                expires_in: binding.expires_at.since(now.mono).as_secs(),
                registered_at: binding.registered_at.unix_millis(),
                user_agent: binding.user_agent.clone(),
            })
            .collect()
    }

    fn queue_views(&self) -> Vec<QueueView> {
        let mut places: BTreeMap<(String, String), u32> = BTreeMap::new();
        let mut views = Vec::new();
        for id in self.line.calls() {
            let Some(call) = self.calls.get(&id) else { continue };
            let Some(since) = call.hunt.waiting_since() else { continue };
            let company = call.company.as_ref().map(ToString::to_string).unwrap_or_default();
            let department =
                call.hunt.record().steps.last().and_then(|step| step.department.clone()).unwrap_or_default();
            let place = places.entry((company.clone(), department.clone())).or_default();
            *place += 1;
            views.push(QueueView {
                timezone: self.zone_of(call.company.as_ref()),
                company,
                department,
                call: id.to_string(),
                caller: call.caller_label().to_owned(),
                waiting_since: since.wall.unix_millis(),
                place: *place,
            });
        }
        views
    }
}
