//! Sets of moments, for reckoning with opening hours: when is one thing open while another is not?

use crate::hours::Schedule;
use crate::time::WallTime;

/// Moments as half-open spans, in milliseconds since 1970: in order, apart, none empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// From one moment up to, not including, another.
    pub(super) fn between(from: WallTime, to: WallTime) -> Spans {
        Spans::from_list(vec![(from.unix_millis(), to.unix_millis())])
    }

    /// When a schedule is open in that time.
    pub(super) fn of(schedule: &Schedule, from: WallTime, to: WallTime) -> Spans {
        let mut list = Vec::new();
        let mut at = from;
        let mut open = schedule.is_open(from);
        while at < to {
            // No change within its horizon: the horizon is farther than `to`.
            let next = schedule.next_change(at).unwrap_or(to).min(to);
            if open {
                list.push((at.unix_millis(), next.unix_millis()));
            }
            open = !open;
            at = next;
        }
        Spans::from_list(list)
    }

    /// Puts them in order and joins what touches.
    fn from_list(mut list: Vec<(i64, i64)>) -> Spans {
        list.retain(|(start, end)| start < end);
        list.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(list.len());
        for (start, end) in list {
            match joined.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                Some(_) | None => joined.push((start, end)),
            }
        }
        Spans(joined)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The spans, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }

    /// Whether a moment is in them.
    pub(super) fn contain(&self, moment: i64) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= moment);
        after.checked_sub(1).and_then(|before| self.0.get(before)).is_some_and(|(_, end)| moment < *end)
    }

    /// What is in either.
    pub(super) fn or(&self, other: &Spans) -> Spans {
        Spans::from_list(self.0.iter().chain(&other.0).copied().collect())
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Spans) -> Spans {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let span = (a.0.max(b.0), a.1.min(b.1));
            if span.0 < span.1 {
                both.push(span);
            }
            if a.1 <= b.1 {
                mine.next()
            } else {
                theirs.next()
            };
        }
        Spans(both)
    }

    /// What is in this and not in the other.
    pub(super) fn without(&self, other: &Spans) -> Spans {
        let mut outside = Vec::with_capacity(other.0.len() + 1);
        let mut from = i64::MIN;
        for (start, end) in &other.0 {
            outside.push((from, *start));
            from = *end;
        }
        outside.push((from, i64::MAX));
        self.and(&Spans::from_list(outside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans() -> impl Strategy<Value = Spans> {
        proptest::collection::vec((0i64..40, 0i64..8), 0..8).prop_map(|list| {
            Spans::from_list(list.into_iter().map(|(start, length)| (start, start + length)).collect())
        })
    }

    proptest! {
        #[test]
        fn they_are_sets_of_moments(a in spans(), b in spans()) {
            let (or, and, without) = (a.or(&b), a.and(&b), a.without(&b));
            for moment in -1..50 {
                prop_assert_eq!(or.contain(moment), a.contain(moment) || b.contain(moment));
                prop_assert_eq!(and.contain(moment), a.contain(moment) && b.contain(moment));
                prop_assert_eq!(without.contain(moment), a.contain(moment) && !b.contain(moment));
            }
            for set in [or, and, without] {
                prop_assert!(set.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "in order and apart: {:?}", set);
                prop_assert!(set.0.iter().all(|(start, end)| start < end));
            }
        }
    }
}
