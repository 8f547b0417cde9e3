//! A world of nothing but calls, one after the other, between parties that mean well: for figures over very many of them. What happened is
//! not kept.

use super::*;
use crate::faults::Faults;
use crate::model::{CompanyNumber, Destination, Route};
use crate::peers::call::Outcome;

/// How many phones are called, in turn.
const PHONES: u64 = 40;
/// How far apart calls begin: each phone is called every 80 seconds at most, and so has let go of the call before.
const APART: Nanos = 2 * SECOND;

/// What so many calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steady {
    pub calls: u64,
    /// Their callers heard a 2xx.
    pub answered: u64,
}

/// `calls` calls by a trunk to phones that are registered, over links that lose so many thousandths each way. `watch` sees the sum so
/// far, and the audit, after every thousandth.
///
/// What is left in the end, in the quiet after them, is the second result.
pub fn steady(seed: u64, loss: u64, calls: u64, mut watch: impl FnMut(Steady)) -> (Steady, switchboard::engine::Audit) {
    let mut faults = Faults::default();
    faults.link.loss = loss;
    let case = Case { seed, faults, without: Default::default() };
    let model = of_phones();
    let script = Script::of_phones(seed, &model);
    let mut world = World::of(&case, model, script);
    world.schedule_registrations();
    for peer in 0..world.peers.len() {
        world.with_peer(peer, |peer, _| match peer {
            Peer::Phone(phone) => phone.well(),
            Peer::Trunk(trunk) => trunk.well(),
            Peer::Attacker(_) => {}
        });
    }
    world.run_until(BEGINNING + 60 * SECOND);
    let (mut open, mut sum): (Vec<u64>, Steady) = Default::default();
    let mut next = 0;
    for number in 0..calls {
        world.run_until(world.now + APART);
        // Whom the daemon has promised to keep long enough.
        let until = world.now + 45 * SECOND;
        let lives =
            |place: &u64| matches!(&world.peers[*place as usize], Peer::Phone(phone) if phone.registered(until));
        let Some(place) = (next..next + PHONES).map(|place| place % PHONES).find(lives) else { continue };
        next = place + 1;
        let call = PlannedCall {
            number,
            at: world.now,
            caller: Caller::Trunk(0),
            dialled: number_of(place),
            shown: "+442071230000".to_owned(),
            talk: SECOND,
            patience: 90 * SECOND,
        };
        world.place(&call);
        open.push(number);
        if number % 1000 == 999 {
            world.count(&mut open, &mut sum);
            watch(sum);
        }
    }
    world.run_until(world.now + 150 * SECOND);
    world.count(&mut open, &mut sum);
    sum.calls += open.len() as u64;
    world.links.mend();
    let now = world.now;
    for peer in 0..world.peers.len() {
        world.with_peer(peer, |peer, post| match peer {
            Peer::Phone(phone) => phone.unregister(now, post),
            Peer::Trunk(trunk) => trunk.hang_up_all(now, post),
            Peer::Attacker(_) => {}
        });
    }
    world.run_until(world.now + QUIET + LONGEST_CALL);
    assert!(world.history.entries.iter().all(|entry| !matches!(entry.what, What::Defect(_))), "seed {seed}");
    (sum, world.engine.audit())
}

impl World {
    fn schedule_registrations(&mut self) {
        for place in 0..self.script.phones.len() {
            let at = self.script.phones[place].registers_at.unwrap_or(BEGINNING);
            self.later(at, Moment::Register(place));
        }
        let wake = self.engine.poll_timeout();
        self.rearm_engine(wake);
    }

    fn run_until(&mut self, at: Nanos) {
        while self.queue.peek().is_some_and(|Reverse(due)| due.at <= at) && !self.over {
            let Some(Reverse(due)) = self.queue.pop() else { break };
            self.now = self.now.max(due.at);
            self.happen(due.moment);
            // Nothing looks back here but for what should not be.
            if self.history.entries.len() > 10_000 {
                self.history.entries.retain(|entry| matches!(entry.what, What::Defect(_)));
            }
        }
        self.now = self.now.max(at);
    }

    /// Takes out those that have come to something.
    fn count(&mut self, open: &mut Vec<u64>, sum: &mut Steady) {
        let Some(Peer::Trunk(trunk)) = self.peers.get_mut(self.script.phones.len()) else { return };
        open.retain(|number| {
            let outcome = trunk.outcome(*number);
            let is_open = matches!(outcome, Some(Outcome::Calling | Outcome::Ringing) | None);
            sum.calls += u64::from(!is_open);
            if !is_open {
                trunk.forget(*number);
            }
            sum.answered += u64::from(matches!(outcome, Some(Outcome::Answered | Outcome::Ended)));
            is_open
        });
    }
}

fn number_of(place: u64) -> String {
    format!("+4420700901{place:03}")
}

/// One company, as the probe's: each user has a number.
fn of_phones() -> Model {
    let listen = vec!["203.0.113.10:5060".parse().unwrap()];
    let mut model = with_probe(Model { listen, trunks: Vec::new(), companies: Vec::new() });
    model.trunks[0].id = "first".to_owned();
    let company = &mut model.companies[0];
    let first = company.users[0].clone();
    company.departments.clear();
    company.users.clear();
    company.numbers.clear();
    for place in 0..PHONES {
        let extension = (300 + place).to_string();
        let password = format!("secret-{extension}");
        let routes = vec![Route { hours: None, callers: Vec::new(), to: Destination::User(extension.clone()) }];
        company.numbers.push(CompanyNumber { number: number_of(place), routes });
        company.users.push(crate::model::User { extension, password, ring: 80, ..first.clone() });
    }
    model
}
