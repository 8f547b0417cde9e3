//! What a peer will do in a call, drawn once from dice of that call's own.

use super::super::dice::Dice;
use super::super::faults::{PhoneFaults, TrunkFaults};
use super::super::history::{MILLISECOND, Nanos, SECOND};
use super::style::Bend;
use super::together::Together;

/// How a call that rings ends at its callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody picks up.
    Never,
    /// So long after the ringing began.
    Answer(Nanos),
    Refuse(u16, Nanos),
}

/// What an answer does in the face of a CANCEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Despite {
    No,
    /// 200 to the INVITE, then to the CANCEL.
    Before,
    /// 200 to the CANCEL, and so long later to the INVITE.
    After(Nanos),
}

/// Which responses are bent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Provisional,
    Final,
    All,
}

/// A callee's plan.
#[derive(Clone, Debug)]
pub struct CalleePlan {
    /// Says nothing at all.
    pub silent: bool,
    pub trying: bool,
    /// When it rings; `None`: it never says so.
    pub ring: Option<Nanos>,
    /// 183 with a description where others say 180.
    pub early_media: bool,
    /// Under how many tags it rings.
    pub tags: u64,
    pub end: End,
    /// So long after its first 200 comes one under another tag.
    pub second: Option<Nanos>,
    pub despite: Despite,
    pub bent: Option<(Which, Bend)>,
    pub dies: Option<Nanos>,
    pub registers: Option<Nanos>,
    pub reinvite: Option<Nanos>,
    /// After the ACK, the 200 again: these many times, so far apart.
    pub repeats: Option<(u64, Nanos)>,
    /// After the ACK.
    pub hangs_up: Option<Nanos>,
    /// Wants a session timer of so many seconds.
    pub session: Option<u64>,
    /// Obeys a session timer of the caller's.
    pub timer: bool,
    /// Without any of that it leaves a line on which nobody ever speaks.
    pub leaves: Nanos,
}

const REFUSALS: [u16; 6] = [486, 480, 503, 603, 302, 500];
const BENDS: [Bend; 6] = [Bend::Branch, Bend::NoTopVia, Bend::OnlyTopVia, Bend::FromTag, Bend::NoToTag, Bend::Reversed];

impl CalleePlan {
    /// Of a peer that means well.
    pub fn polite(dice: &mut Dice) -> CalleePlan {
        CalleePlan {
            silent: false,
            trying: dice.thousandths(300),
            ring: Some((10 + dice.below(190)) * MILLISECOND),
            early_media: false,
            tags: 1,
            end: End::Answer((1_000 + dice.below(1_000)) * MILLISECOND),
            second: None,
            despite: Despite::No,
            bent: None,
            dies: None,
            registers: None,
            reinvite: None,
            repeats: None,
            hangs_up: None,
            session: None,
            timer: dice.thousandths(500),
            leaves: (600 + dice.below(300)) * SECOND,
        }
    }

    pub fn drawn(dice: &mut Dice, faults: &PhoneFaults, together: Together) -> CalleePlan {
        let mut plan = CalleePlan::polite(dice);
        let alone = (300 + dice.below(5_700)) * MILLISECOND;
        plan.early_media = dice.thousandths(100);
        plan.session = dice.thousandths(125).then(|| 90 + dice.below(1_711));
        plan.end = End::Answer(together.answer.unwrap_or(alone));
        if dice.below(12) == 0 || dice.thousandths(faults.ring_only) {
            plan.end = End::Never;
        }
        if dice.thousandths(faults.refuse) {
            let after = dice.below(2) * (200 + dice.below(5_000)) * MILLISECOND;
            plan.end = End::Refuse(dice.of(&REFUSALS), after);
            if after == 0 && dice.thousandths(500) {
                plan.ring = None;
            }
        }
        if dice.thousandths(faults.at_once) {
            plan.ring = None;
            plan.end = End::Answer(dice.of(&[0, 5, 50, 700]) * MILLISECOND);
        }
        plan.silent = dice.thousandths(faults.silent);
        if dice.thousandths(faults.several_tags) {
            plan.tags = 2 + dice.below(3);
        }
        if dice.thousandths(faults.two_answers) {
            plan.second = Some(dice.of(&[0, 1, 40, 600, 3_000]) * MILLISECOND);
        }
        if dice.thousandths(faults.answer_despite_cancel) {
            let after = Despite::After(dice.of(&[0, 3, 300, 2_000]) * MILLISECOND);
            plan.despite = dice.of(&[Despite::Before, after]);
        }
        if dice.thousandths(faults.bent_responses) {
            plan.bent = Some((dice.of(&[Which::Provisional, Which::Final, Which::All]), dice.of(&BENDS)));
        }
        if dice.thousandths(faults.dies) {
            plan.dies = Some(dice.of(&[0, 1_000, 15_000]) * MILLISECOND);
        }
        if dice.thousandths(faults.registers_ringing) {
            plan.registers = Some(dice.below(1_500) * MILLISECOND);
        }
        if dice.thousandths(faults.reinvite) {
            plan.reinvite = Some(together.reinvite);
        }
        if dice.thousandths(faults.repeats_answer) {
            plan.repeats = Some(dice.of(&[(1, 500 * MILLISECOND), (3, SECOND), (15, 2 * SECOND)]));
        }
        if dice.thousandths(faults.hangs_up) {
            plan.hangs_up = Some(together.hang_up);
        }
        plan
    }
}

/// A caller's plan, beyond what the script says of the call.
#[derive(Clone, Debug, Default)]
pub struct CallerPlan {
    /// After the INVITE.
    pub cancel: Option<Nanos>,
    /// So long before (or, below `LATE_ZERO`, after) the answer is thought to be at the daemon.
    pub cancel_late: Option<Nanos>,
    /// The INVITE again, so long after its final response.
    pub repeats_invite: Option<Nanos>,
    /// The INVITE on another branch, so long after the first.
    pub merged: Option<Nanos>,
    /// Under the Call-ID of the call that many before.
    pub reuses: Option<u64>,
    pub no_ack: bool,
    pub second_bye: Option<Nanos>,
    /// Hangs up when the callee is thought to do so.
    pub bye_together: bool,
    pub reinvite: Option<Nanos>,
    pub dies: Option<Nanos>,
    pub session: Option<u64>,
    pub timer: bool,
}

/// Where `cancel_late` is as late as the answer.
pub const LATE_ZERO: Nanos = SECOND;

impl CallerPlan {
    pub fn polite(dice: &mut Dice) -> CallerPlan {
        let timer = dice.thousandths(500);
        let session = dice.thousandths(250).then(|| 90 + dice.below(1_711)).filter(|_| timer);
        CallerPlan { timer, session, ..CallerPlan::default() }
    }

    /// Of a phone that dials.
    pub fn of_phone(dice: &mut Dice, faults: &PhoneFaults, together: Together) -> CallerPlan {
        let mut plan = CallerPlan::polite(dice);
        if dice.thousandths(faults.dies) {
            plan.dies = Some(dice.of(&[0, 1_000, 15_000]) * MILLISECOND);
        }
        plan.reinvite = dice.thousandths(faults.reinvite).then_some(together.reinvite);
        plan
    }

    pub fn of_trunk(dice: &mut Dice, faults: &TrunkFaults, phones: &PhoneFaults, together: Together) -> CallerPlan {
        let mut plan = CallerPlan::polite(dice);
        // A trunk meets the re-INVITEs of phones with its own as often as they send them.
        plan.reinvite = dice.thousandths(phones.reinvite).then_some(together.reinvite);
        if dice.thousandths(faults.cancel) {
            let most = dice.of(&[30, 1_000, 8_000, 30_000]);
            plan.cancel = Some(dice.below(most) * MILLISECOND);
        }
        if dice.thousandths(faults.cancel_late) {
            let off = dice.of(&[-200_i64, -20, -5, -1, 0, 1, 5]) * MILLISECOND as i64 + dice.below(1_000_000) as i64;
            plan.cancel_late = Some(LATE_ZERO.saturating_add_signed(off));
        }
        if dice.thousandths(faults.repeats_invite) {
            plan.repeats_invite = Some(dice.of(&[0, 1, 300, 2_000, 4_000]) * MILLISECOND);
        }
        if dice.thousandths(faults.same_call_id) {
            if dice.thousandths(500) {
                plan.merged = Some(dice.of(&[0, 1, 50, 1_000]) * MILLISECOND);
            } else {
                plan.reuses = Some(1 + dice.below(3));
            }
        }
        plan.no_ack = dice.thousandths(faults.no_ack);
        if dice.thousandths(faults.double_bye) {
            plan.second_bye = Some(dice.of(&[0, 1, 30, 600]) * MILLISECOND);
            plan.bye_together = dice.thousandths(500);
        }
        plan
    }
}
