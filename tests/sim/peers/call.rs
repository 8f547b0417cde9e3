//! A call as one peer knows it: its part in it, the dialogs it made, and an agenda of what this end will do and when.

use super::super::dice::Dice;
use super::super::history::Nanos;
use super::dialog::Dialog;
use super::plan::{CalleePlan, CallerPlan};

/// Where a planned call stands, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The INVITE is out, nothing but 100 came back.
    Calling,
    Ringing,
    Answered,
    Refused(u16),
    /// Nobody ever said anything final.
    TimedOut,
    /// Given up by its caller before an answer.
    Cancelled,
    /// Answered, and over.
    Ended,
}

/// Something this end will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Ring,
    /// RFC 3261 §13.3.1.1: a 180 every minute.
    RingAgain,
    /// 200 under the tag with that number.
    Answer(usize),
    Refuse(u16),
    /// The caller has waited long enough, or means to cancel anyhow.
    GiveUp,
    RepeatInvite,
    Merged,
    /// BYE in every dialog.
    HangUp,
    /// One more BYE in that dialog.
    SecondBye(usize),
    Reinvite(usize),
    /// RFC 4028 §7.2, §10: refresh; give up on the other end.
    Refresh(usize),
    SessionOut(usize),
    Die,
    RegisterAgain,
    /// The 200 again, so many times yet, so far apart.
    RepeatAnswer(u64, Nanos),
}

/// Whether a caller wants its call no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    No,
    /// As soon as something provisional comes (RFC 3261 §9.1).
    Wanted,
    Sent,
}

#[derive(Debug)]
pub struct Caller {
    pub plan: CallerPlan,
    pub uri: String,
    pub from: String,
    pub to: String,
    pub lines: String,
    pub body: String,
    pub cseq: u32,
    /// The branch of the latest INVITE.
    pub branch: String,
    pub began: Nanos,
    /// From the INVITE to the first response: twice the way to the daemon.
    pub round_trip: Option<Nanos>,
    pub rings: bool,
    pub cancel: Cancel,
    pub talk: Nanos,
}

#[derive(Debug)]
pub struct Callee {
    pub plan: CalleePlan,
    pub tags: Vec<String>,
    pub body: String,
    pub rings: bool,
    pub acked: bool,
}

#[derive(Debug)]
pub enum Part {
    Caller(Caller),
    Callee(Callee),
}

#[derive(Debug)]
pub struct Call {
    /// This peer's own name for it.
    pub key: u32,
    /// The script's, where it is this peer that calls.
    pub number: Option<u64>,
    pub dice: Dice,
    pub call_id: String,
    pub part: Part,
    pub agenda: Vec<(Nanos, Act)>,
    pub dialogs: Vec<Dialog>,
    pub answered: bool,
    /// A final response to its INVITE was sent or heard, or none will be.
    pub decided: bool,
    /// This end has fallen silent for ever.
    pub dead: bool,
}

impl Call {
    pub fn deadline(&self) -> Option<Nanos> {
        self.agenda.iter().map(|(at, _)| *at).min()
    }

    /// Takes the first thing that is due.
    pub fn due(&mut self, now: Nanos) -> Option<Act> {
        let first = self.agenda.iter().enumerate().filter(|(_, (at, _))| *at <= now).min_by_key(|(_, (at, _))| *at);
        let place = first.map(|(place, _)| place)?;
        Some(self.agenda.remove(place).1)
    }

    pub fn plan(&mut self, at: Nanos, act: Act) {
        self.agenda.push((at, act));
    }

    pub fn drop_acts(&mut self, which: impl Fn(&Act) -> bool) {
        self.agenda.retain(|(_, act)| !which(act));
    }

    /// A dialog that is not over.
    pub fn live(&self) -> Option<usize> {
        self.dialogs.iter().position(|dialog| !dialog.over)
    }

    pub fn is_talking(&self) -> bool {
        !self.dead && self.live().is_some()
    }

    pub fn dialog_named(&self, local: Option<&str>, remote: Option<&str>) -> Option<usize> {
        self.dialogs.iter().position(|dialog| dialog.is_named(local, remote))
    }

    /// Whether it only waits for its transactions to end.
    pub fn is_over(&self) -> bool {
        self.decided && self.live().is_none()
    }

    /// A random name of this call's: 16 hexadecimal digits.
    pub fn name(&mut self) -> String {
        format!("{:016x}", self.dice.roll())
    }
}
