//! A trunk: it sends calls for numbers, and takes the calls that go out through it.

use std::net::SocketAddr;

use super::super::dice::Dice;
use super::super::faults::{PhoneFaults, TrunkFaults};
use super::super::history::{Datagram, Nanos};
use super::super::text::{Message, Name};
use super::agent::{Agent, Kind};
use super::call::Outcome;
use super::caller::Dialling;
use super::plan::CallerPlan;
use super::registration::Registration;
use super::together::{Together, sum};
use super::{PlannedCall, Post};

#[derive(Clone, Debug)]
pub struct TrunkSettings {
    /// Its number among the trunks of the world.
    pub index: usize,
    pub address: SocketAddr,
    /// Where the daemon listens.
    pub registrar: SocketAddr,
    /// The world's.
    pub seed: u64,
    pub faults: TrunkFaults,
    /// What goes wrong in the calls it takes.
    pub phone_faults: PhoneFaults,
}

#[derive(Debug)]
pub struct Trunk {
    agent: Agent,
    faults: TrunkFaults,
    /// The branches of requests that go back to where they came from, and how.
    loops: Vec<(String, Loop)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loop {
    /// As a proxy would: under one more Via.
    Forwarded,
    /// Byte for byte.
    Reflected,
}

/// Branches of what a trunk that loops puts on top.
const LOOPED: &str = "z9hG4bKloop";

impl Trunk {
    pub fn new(settings: TrunkSettings) -> Trunk {
        let agent = Agent::new(
            Kind::Trunk,
            settings.index,
            settings.seed,
            settings.address,
            settings.registrar,
            settings.phone_faults,
            Registration::none(),
        );
        Trunk { agent, faults: settings.faults, loops: Vec::new() }
    }

    pub fn address(&self) -> SocketAddr {
        self.agent.address
    }

    pub fn deadline(&self) -> Option<Nanos> {
        self.agent.deadline()
    }

    pub fn on_time(&mut self, now: Nanos, post: &mut Post) {
        self.agent.on_time(now, post);
    }

    /// The Call-ID of a planned call, unless it reuses another's.
    fn call_id(&self, number: u64) -> String {
        let mut dice = Dice::of_their_own(self.agent.seed, "trunk call-id", number);
        format!("{:016x}-{}@{}", dice.roll(), self.agent.index, self.agent.address.ip())
    }

    pub fn place(&mut self, now: Nanos, planned: &PlannedCall, post: &mut Post) {
        let mut dice = Dice::of_their_own(self.agent.seed, self.agent.kind.caller(), planned.number);
        let mut call_id = self.call_id(planned.number);
        let together = Together::of(self.agent.seed, &call_id);
        let plan = if self.agent.well {
            CallerPlan::polite(&mut dice)
        } else {
            CallerPlan::of_trunk(&mut dice, &self.faults, &self.agent.faults, together)
        };
        if let Some(before) = plan.reuses.and_then(|back| planned.number.checked_sub(back)) {
            call_id = self.call_id(before);
        }
        let agent = &mut self.agent;
        let host = agent.registrar;
        let uri = format!("sip:{}@{host}{}", planned.dialled, dice.of(&["", "", ";user=phone"]));
        let (shown, own) = (&planned.shown, agent.address.ip());
        let identity = match shown.as_str() {
            "anonymous" => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
            shown => format!("{}<sip:{shown}@{own}>", dice.of(&["", "\"Caller\" "])),
        };
        let asserts = shown != "anonymous" && dice.thousandths(400);
        let lines = if asserts { format!("P-Asserted-Identity: <sip:{shown}@{own}>\r\n") } else { String::new() };
        let to = format!("<sip:{}@{host}>", planned.dialled);
        agent.dial(now, planned, Dialling { plan, dice, call_id, uri, from: identity, to, lines }, post);
    }

    pub fn receive(&mut self, now: Nanos, datagram: &Datagram, post: &mut Post) {
        let Some(message) = &datagram.message else { return };
        if !self.turns_back(datagram, message, post) {
            self.agent.receive(now, datagram, post);
        }
    }

    /// Whether a message belongs to a loop, and has been sent on in it.
    fn turns_back(&mut self, datagram: &Datagram, message: &Message, post: &mut Post) -> bool {
        let Some(branch) = message.branch() else { return false };
        let own = self.agent.address;
        if message.status().is_some() {
            // A response on its way back through the loop, to the Via under this trunk's.
            if branch.starts_with(LOOPED)
                && let Some(via) = message.fields.iter().find(|field| field.name == Name::Via)
            {
                let mut bytes = message.bytes[..via.line.start].to_vec();
                bytes.extend_from_slice(&message.bytes[via.line.end + 2..]);
                post.send(own, datagram.from, bytes);
                return true;
            }
            return self.loops.iter().any(|(looped, how)| looped == branch && *how == Loop::Reflected);
        }
        let known = self.loops.iter().find(|(looped, _)| looped == branch).map(|(_, how)| *how);
        let how = match known {
            Some(how) => how,
            None if message.is("INVITE") && message.to_tag().is_none() && !self.agent.well => {
                let mut dice = Dice::of_their_own(self.agent.seed, "trunk loop", sum(message.call_id()));
                if !dice.thousandths(self.faults.loops) {
                    return false;
                }
                let how = dice.of(&[Loop::Forwarded, Loop::Reflected]);
                self.loops.push((branch.to_owned(), how));
                how
            }
            None => return false,
        };
        match how {
            Loop::Reflected if message.is("INVITE") => post.send(own, datagram.from, message.bytes.to_vec()),
            Loop::Reflected => {}
            Loop::Forwarded => {
                if let Some(bytes) = forwarded(message, own, branch) {
                    post.send(own, datagram.from, bytes);
                }
            }
        }
        true
    }

    /// From now on it means well.
    pub fn well(&mut self) {
        self.agent.well = true;
    }

    pub fn is_at_rest(&self) -> bool {
        self.agent.is_at_rest()
    }

    pub fn hang_up_all(&mut self, now: Nanos, post: &mut Post) {
        self.agent.hang_up_all(now, post);
    }

    /// What a call came to is wanted no more.
    pub fn forget(&mut self, call: u64) {
        self.agent.outcomes.remove(&call);
    }

    pub fn outcome(&self, call: u64) -> Option<Outcome> {
        self.agent.outcomes.get(&call).copied()
    }
}

/// The copy a stateless proxy would send on: one more Via, whose branch follows from the one below, and one hop less.
fn forwarded(message: &Message, own: SocketAddr, branch: &str) -> Option<Vec<u8>> {
    // What is no UTF-8 is not sent on.
    let text = std::str::from_utf8(&message.bytes).ok()?;
    let via = message.fields.iter().find(|field| field.name == Name::Via)?;
    let hops = message.fields.iter().find(|field| field.name == Name::MaxForwards)?;
    let left = message.text(hops.value.clone()).parse::<u32>().ok()?.checked_sub(1)?;
    let top = format!("Via: SIP/2.0/UDP {own};branch={LOOPED}{:x};rport\r\n", sum(branch));
    let mut out = String::with_capacity(text.len() + top.len());
    let mut edits = [(via.line.start, via.line.start, top), (hops.value.start, hops.value.end, left.to_string())];
    edits.sort_by_key(|(start, ..)| *start);
    let mut at = 0;
    for (start, end, new) in edits {
        out.push_str(&text[at..start]);
        out.push_str(&new);
        at = end;
    }
    out.push_str(&text[at..]);
    Some(out.into_bytes())
}
