//! A table that remembers what was touched last, never more than a fixed number of entries: for what is known of
//! strangers, who could fill any other.

use std::hash::Hash;

use crate::id::Map;

/// Two halves. What is touched moves into the young one; when that is full it becomes the old one, and what was old
/// and untouched is forgotten all at once. So the latest half of the ceiling is always known, at a constant cost.
#[derive(Clone, Debug)]
pub(super) struct Recent<K, V> {
    young: Map<K, V>,
    old: Map<K, V>,
    half: usize,
}

impl<K: Copy + Eq + Hash, V: Copy> Recent<K, V> {
    /// Room for `most` entries (2 at least).
    pub(super) fn new(most: usize, hashing: &ahash::RandomState) -> Recent<K, V> {
        let half = (most / 2).max(1);
        Recent { young: Map::with_hasher(hashing.clone()), old: Map::with_hasher(hashing.clone()), half }
    }

    /// What is known of it, without touching it.
    pub(super) fn seen(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    /// Remembers it as the latest.
    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_half_is_known_and_the_whole_is_bounded() {
        let hashing = ahash::RandomState::with_seeds(1, 2, 3, 4);
        let mut recent = Recent::new(100, &hashing);
        for n in 0..10_000_u32 {
            recent.put(n, n);
            assert!(recent.len() <= 100);
            for known in n.saturating_sub(49)..=n {
                assert_eq!(recent.seen(&known), Some(known));
            }
        }
        assert_eq!(recent.seen(&9_000), None);
    }

    #[test]
    fn what_is_touched_again_stays_and_is_there_once() {
        let hashing = ahash::RandomState::with_seeds(1, 2, 3, 4);
        let mut recent = Recent::new(10, &hashing);
        for n in 1..1_000_u32 {
            recent.put(0, n);
            recent.put(n, n);
            assert_eq!(recent.seen(&0), Some(n));
            assert!(recent.len() <= 10);
        }
    }
}
