//! The engine's timers: a hierarchical wheel of 1 ms ticks.
//!
//! Owns when things are due and in which order; what is due is its user's, who names it by a key. It holds no clock: time
//! passes only in [`Timers::expire`].
//!
//! Eight levels of 64 slots: a slot of level n is 64ⁿ ticks wide. A timer lies on the level of the highest base-64 digit
//! in which its tick differs from the wheel's, so a level's occupied slots all lie ahead of the wheel and are earlier than
//! any on the level above. When the wheel enters a slot of a higher level, its timers move down. The tick reached is
//! poured into a row sorted by deadline, from which timers are handed out one by one.
#![allow(
    clippy::indexing_slicing,
    reason = "every index is one that this file made: a slot's, a level's or the slab's"
)]

use std::collections::VecDeque;

use crate::time::Instant;

/// The length of a tick in nanoseconds.
const TICK: u64 = 1_000_000;
/// Ticks are 2⁴⁵ at most (2⁶⁴ ns ÷ 1 ms), so that eight base-64 digits hold any.
const LEVELS: usize = 8;
const SLOTS: usize = 64;
const DIGIT_BITS: u32 = 6;

/// Names one arming of a timer. Never reused: one that fired or was disarmed stays dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TimerId {
    index: u32,
    sequence: u64,
}

/// Timers, each with a key for what it is about.
#[derive(Clone, Debug)]
pub(super) struct Timers<K: Copy> {
    /// The tick the wheel stands at: every timer of an earlier or this tick is in `due`.
    tick: u64,
    slab: Vec<Entry<K>>,
    free: Option<u32>,
    live: usize,
    next_sequence: u64,
    levels: [Level; LEVELS],
    /// Sorted by (deadline, sequence). The first is always live; others may have been disarmed meanwhile.
    due: VecDeque<Due>,
}

#[derive(Clone, Debug)]
struct Entry<K> {
    deadline: Instant,
    /// Zero in an entry that is free: no arming has that number.
    sequence: u64,
    key: K,
    place: Place,
    /// Neighbours in the slot; of a free entry, `next` is the next free one.
    previous: Option<u32>,
    next: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Slot { level: u8, slot: u8 },
    Due,
    Free,
}

#[derive(Clone, Debug)]
struct Level {
    /// Bit n is set while slot n has timers.
    occupied: u64,
    first: [Option<u32>; SLOTS],
    /// No timer in the slot is due before that tick. Means nothing in an empty slot.
    earliest: [u64; SLOTS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    deadline: Instant,
    sequence: u64,
    index: u32,
}

impl<K: Copy> Timers<K> {
    /// None armed; the wheel stands at the clock's origin.
    pub(super) fn new() -> Timers<K> {
        Timers {
            tick: 0,
            slab: Vec::new(),
            free: None,
            live: 0,
            next_sequence: 1,
            levels: std::array::from_fn(|_| Level { occupied: 0, first: [None; SLOTS], earliest: [0; SLOTS] }),
            due: VecDeque::new(),
        }
    }

    /// Arms a timer. One whose deadline has passed is due at the next [`expire`](Timers::expire).
    pub(super) fn arm(&mut self, deadline: Instant, key: K) -> TimerId {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.live += 1;
        let entry = Entry { deadline, sequence, key, place: Place::Free, previous: None, next: None };
        let index = match self.free {
            Some(index) => {
                self.free = self.entry(index).next;
                *self.entry_mut(index) = entry;
                index
            }
            None => {
                let index = u32::try_from(self.slab.len()).expect("fewer than 2³² timers: they would take 200 GB");
                self.slab.push(entry);
                index
            }
        };
        self.put(index);
        TimerId { index, sequence }
    }

    /// Disarms a timer. Says whether it was armed: not if it has fired or was disarmed before.
    pub(super) fn disarm(&mut self, timer: TimerId) -> bool {
        let Some(place) = self
            .slab
            .get(timer.index as usize)
            .filter(|entry| entry.sequence == timer.sequence)
            .map(|entry| entry.place)
        else {
            return false;
        };
        match place {
            Place::Slot { level, slot } => self.unlink(timer.index, level, slot),
            Place::Due => {}
            Place::Free => unreachable!("a free entry has the number of no arming"),
        }
        self.release(timer.index);
        self.drop_dead();
        true
    }

    /// When to call [`expire`](Timers::expire) next: the earliest deadline, rounded up to the tick.
    ///
    /// Never later than that. Earlier only where an earlier timer was disarmed since: `expire` then finds nothing, and
    /// this is in the future of the time it was given.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let tick = match self.due.front() {
            Some(due) => tick_of(due.deadline),
            None => {
                let level = self.levels.iter().find(|level| level.occupied != 0)?;
                level.earliest[level.occupied.trailing_zeros() as usize]
            }
        };
        Some(Instant::from_nanos(tick.saturating_mul(TICK)))
    }

    /// The next timer that is due at `now`: in the order of deadlines, and of arming where they are equal. Call it until
    /// there is none.
    ///
    /// A timer is due at the first tick that is not before its deadline: never early, and at most a tick late.
    pub(super) fn expire(&mut self, now: Instant) -> Option<K> {
        let now = now.as_nanos() / TICK;
        loop {
            if let Some(due) = self.due.front().copied() {
                if tick_of(due.deadline) > now {
                    return None;
                }
                self.due.pop_front();
                let key = self.entry(due.index).key;
                self.release(due.index);
                self.drop_dead();
                return Some(key);
            }
            if !self.advance(now) {
                return None;
            }
        }
    }

    /// How many are armed.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// Moves the wheel towards `now`, at most to the next occupied slot, which is emptied into `due` and the levels below.
    /// Says whether there was one.
    fn advance(&mut self, now: u64) -> bool {
        if now <= self.tick {
            return false;
        }
        let next = self.levels.iter().enumerate().find(|(_, level)| level.occupied != 0);
        let Some((level, slot)) = next.map(|(number, level)| (number, level.occupied.trailing_zeros())) else {
            self.tick = now;
            return false;
        };
        let shift = DIGIT_BITS * u32::try_from(level).expect("eight levels");
        let above = shift + DIGIT_BITS;
        let start = ((self.tick >> above) << above) | (u64::from(slot) << shift);
        if start > now {
            self.tick = now;
            return false;
        }
        self.tick = start;
        let slots = &mut self.levels[level];
        slots.occupied &= !(1 << slot);
        let mut next = slots.first[slot as usize].take();
        while let Some(index) = next {
            next = self.entry(index).next;
            self.put(index);
        }
        true
    }

    /// Puts an entry where it belongs as the wheel stands.
    fn put(&mut self, index: u32) {
        let Entry { deadline, sequence, .. } = *self.entry(index);
        let tick = tick_of(deadline);
        if tick <= self.tick {
            let due = Due { deadline, sequence, index };
            let at = self.due.partition_point(|other| *other < due);
            self.due.insert(at, due);
            let entry = self.entry_mut(index);
            (entry.place, entry.previous, entry.next) = (Place::Due, None, None);
            return;
        }
        let level = (tick ^ self.tick).ilog2() / DIGIT_BITS;
        let slot = (tick >> (level * DIGIT_BITS)) & (SLOTS as u64 - 1);
        let (level, slot) = (u8::try_from(level).expect("eight levels"), u8::try_from(slot).expect("64 slots"));
        let slots = &mut self.levels[usize::from(level)];
        let second = slots.first[usize::from(slot)].replace(index);
        let earliest = &mut slots.earliest[usize::from(slot)];
        *earliest = if second.is_some() { tick.min(*earliest) } else { tick };
        slots.occupied |= 1 << slot;
        if let Some(second) = second {
            self.entry_mut(second).previous = Some(index);
        }
        let entry = self.entry_mut(index);
        (entry.place, entry.previous, entry.next) = (Place::Slot { level, slot }, None, second);
    }

    fn unlink(&mut self, index: u32, level: u8, slot: u8) {
        let Entry { previous, next, .. } = *self.entry(index);
        if let Some(next) = next {
            self.entry_mut(next).previous = previous;
        }
        match previous {
            Some(previous) => self.entry_mut(previous).next = next,
            None => {
                let slots = &mut self.levels[usize::from(level)];
                slots.first[usize::from(slot)] = next;
                if next.is_none() {
                    slots.occupied &= !(1 << slot);
                }
            }
        }
    }

    fn release(&mut self, index: u32) {
        let free = self.free.replace(index);
        let entry = self.entry_mut(index);
        (entry.sequence, entry.place, entry.previous, entry.next) = (0, Place::Free, None, free);
        self.live -= 1;
    }

    /// Takes what was disarmed from the front of `due`.
    fn drop_dead(&mut self) {
        while let Some(due) = self.due.front() {
            if self.entry(due.index).sequence == due.sequence {
                return;
            }
            self.due.pop_front();
        }
    }

    fn entry(&self, index: u32) -> &Entry<K> {
        &self.slab[index as usize]
    }

    fn entry_mut(&mut self, index: u32) -> &mut Entry<K> {
        &mut self.slab[index as usize]
    }
}

impl<K: Copy> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers::new()
    }
}

/// The first tick that is not before the deadline.
fn tick_of(deadline: Instant) -> u64 {
    deadline.as_nanos().div_ceil(TICK)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Instant {
        Instant::from_nanos(millis * TICK)
    }

    fn drain(timers: &mut Timers<u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| timers.expire(now)).collect()
    }

    #[test]
    fn a_timer_fires_at_the_first_tick_not_before_its_deadline() {
        let mut timers = Timers::new();
        timers.arm(Instant::from_nanos(5 * TICK + 1), 1);
        assert_eq!(timers.next_deadline(), Some(millis(6)));
        assert_eq!(timers.expire(Instant::from_nanos(6 * TICK - 1)), None);
        assert_eq!(timers.expire(millis(6)), Some(1));
        assert_eq!(timers.expire(millis(6)), None);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn equal_deadlines_fire_in_arming_order_and_earlier_ones_of_a_tick_first() {
        let mut timers = Timers::new();
        timers.arm(millis(70), 1);
        timers.arm(Instant::from_nanos(69 * TICK + 9), 2);
        timers.arm(millis(70), 3);
        timers.arm(Instant::from_nanos(69 * TICK + 5), 4);
        assert_eq!(drain(&mut timers, millis(100)), [4, 2, 1, 3]);
    }

    #[test]
    fn a_pause_of_ten_minutes_brings_everything_in_order() {
        let mut timers = Timers::new();
        for deadline in [599_999, 3, 4_096, 64, 63, 262_144, 600_001, 65] {
            timers.arm(millis(u64::from(deadline)), deadline);
        }
        assert_eq!(drain(&mut timers, millis(600_000)), [3, 63, 64, 65, 4_096, 262_144, 599_999]);
        assert_eq!(timers.next_deadline(), Some(millis(600_001)));
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn hours_and_the_end_of_time_are_kept_exactly() {
        let mut timers = Timers::new();
        let hours = Instant::ORIGIN + Duration::from_secs(7 * 3600) + Duration::from_nanos(1);
        timers.arm(hours, 1);
        timers.arm(Instant::from_nanos(u64::MAX), 2);
        assert_eq!(timers.next_deadline(), Some(millis(7 * 3_600_000 + 1)));
        assert!(drain(&mut timers, millis(7 * 3_600_000)).is_empty());
        assert_eq!(drain(&mut timers, millis(7 * 3_600_000 + 1)), [1]);
        assert!(drain(&mut timers, millis(1 << 43)).is_empty());
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn a_timer_disarmed_between_two_that_are_due_does_not_fire() {
        let mut timers = Timers::new();
        timers.arm(millis(5), 1);
        let second = timers.arm(millis(5), 2);
        timers.arm(millis(5), 3);
        assert_eq!(timers.expire(millis(5)), Some(1));
        assert!(timers.disarm(second));
        assert_eq!(timers.len(), 1);
        assert_eq!(timers.expire(millis(5)), Some(3));
        assert!(timers.len() == 0);
    }

    #[test]
    fn an_old_id_does_not_touch_the_timer_that_took_its_place() {
        let mut timers = Timers::new();
        let fired = timers.arm(millis(1), 1);
        assert_eq!(timers.expire(millis(1)), Some(1));
        timers.arm(millis(2), 2);
        assert!(!timers.disarm(fired));
        let disarmed = timers.arm(millis(3), 3);
        assert!(timers.disarm(disarmed));
        assert!(!timers.disarm(disarmed));
        assert_eq!(drain(&mut timers, millis(9)), [2]);
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once() {
        let mut timers = Timers::new();
        assert_eq!(timers.expire(millis(1_000)), None);
        timers.arm(millis(10), 1);
        timers.arm(Instant::ORIGIN, 2);
        assert!(timers.next_deadline().unwrap() <= millis(1_000));
        assert_eq!(drain(&mut timers, millis(1_000)), [2, 1]);
    }

    #[test]
    fn memory_is_reused() {
        let mut timers = Timers::new();
        for round in 0..10_000 {
            let kept = timers.arm(millis(round + 180_000), 0);
            timers.arm(millis(round), 1);
            assert!(timers.disarm(kept));
            assert_eq!(timers.expire(millis(round)), Some(1));
        }
        assert_eq!(timers.slab.len(), 2);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arm { ahead: u64 },
        ArmPast { behind: u64 },
        Disarm { which: usize },
        ExpireOne { pass: u64 },
        Drain { pass: u64 },
    }

    fn span() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..3 * TICK,
            0..200 * TICK,
            (0..70_u64).prop_map(|ticks| ticks * TICK),
            (0..5_u32, 0..3_u64).prop_map(|(digits, off)| (1 << (6 * digits)) * TICK + off * (TICK / 2)),
            0..40_000 * TICK,
            0..20_000_000 * TICK,
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => span().prop_map(|ahead| Step::Arm { ahead }),
            1 => span().prop_map(|behind| Step::ArmPast { behind }),
            2 => any::<usize>().prop_map(|which| Step::Disarm { which }),
            2 => span().prop_map(|pass| Step::ExpireOne { pass }),
            2 => span().prop_map(|pass| Step::Drain { pass }),
        ]
    }

    proptest! {
        /// The plainest thing that does the same: an ordered map.
        #[test]
        fn does_what_an_ordered_map_does(origin in span(), steps in prop::collection::vec(step(), 1..200)) {
            let mut timers = Timers::new();
            let mut model: BTreeMap<(Instant, u32), TimerId> = BTreeMap::new();
            let mut ids = Vec::new();
            let mut now = Instant::from_nanos(origin);
            let mut disarmed_since_drain = false;
            for (number, step) in steps.into_iter().enumerate() {
                let key = u32::try_from(number).unwrap();
                let next_due = |model: &BTreeMap<(Instant, u32), TimerId>, now: Instant| {
                    model.keys().next().copied().filter(|(deadline, _)| tick_of(*deadline) <= now.as_nanos() / TICK)
                };
                match step {
                    Step::Arm { ahead } => {
                        let deadline = now + Duration::from_nanos(ahead);
                        let id = timers.arm(deadline, key);
                        model.insert((deadline, key), id);
                        ids.push(((deadline, key), id));
                    }
                    Step::ArmPast { behind } => {
                        let deadline = Instant::from_nanos(now.as_nanos().saturating_sub(behind));
                        let id = timers.arm(deadline, key);
                        model.insert((deadline, key), id);
                        ids.push(((deadline, key), id));
                    }
                    Step::Disarm { which } if !ids.is_empty() => {
                        let (name, id) = ids[which % ids.len()];
                        prop_assert_eq!(timers.disarm(id), model.remove(&name).is_some());
                        disarmed_since_drain = true;
                    }
                    Step::Disarm { .. } => {}
                    Step::ExpireOne { pass } => {
                        now += Duration::from_nanos(pass);
                        let expected = next_due(&model, now);
                        prop_assert_eq!(timers.expire(now), expected.map(|(_, key)| key));
                        expected.map(|name| model.remove(&name));
                    }
                    Step::Drain { pass } => {
                        now += Duration::from_nanos(pass);
                        while let Some(name) = next_due(&model, now) {
                            prop_assert_eq!(timers.expire(now), Some(name.1));
                            model.remove(&name);
                        }
                        prop_assert_eq!(timers.expire(now), None);
                        // After a drain the next deadline is ahead: nobody spins.
                        prop_assert!(timers.next_deadline().is_none_or(|next| next > now));
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                let earliest = model.keys().next().map(|(deadline, _)| millis(tick_of(*deadline)));
                if disarmed_since_drain {
                    prop_assert_eq!(timers.next_deadline().is_some(), earliest.is_some());
                    prop_assert!(timers.next_deadline() <= earliest);
                } else {
                    prop_assert_eq!(timers.next_deadline(), earliest);
                }
            }
            while let Some((deadline, key)) = model.keys().next().copied() {
                let due = millis(tick_of(deadline)).max(now);
                prop_assert_eq!(timers.expire(due), Some(key));
                now = due;
                model.remove(&(deadline, key));
            }
            prop_assert!(timers.len() == 0);
        }
    }
}
