//! Max-Breadth (RFC 5393 §5.3): how many branches a request may still become, shared among its copies.
//!
//! Offers come one after the other, and nobody knows how many more will: a copy gets what it has a use for and no more, so
//! that something is left for the next.

/// The share of each copy, in order: what it wants, as long as there is as much. Fewer items than were wanted: the others
/// may not be sent at all (440).
pub fn fork_shares(available: u32, wanted: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
    let mut left = available;
    wanted.map_while(move |wants| {
        let share = wants.min(left);
        left -= share;
        (share > 0).then_some(share)
    })
}

#[cfg(test)]
mod tests {
    use super::fork_shares;

    fn shares(available: u32, wanted: &[u32]) -> Vec<u32> {
        fork_shares(available, wanted.iter().copied()).collect()
    }

    #[test]
    fn a_copy_gets_what_it_wants_while_there_is_as_much() {
        assert_eq!(shares(60, &[1, 1, 8, 1]), [1, 1, 8, 1]);
        assert_eq!(shares(5, &[1, 8, 1]), [1, 4]);
    }

    #[test]
    fn no_copy_leaves_without_a_share() {
        assert_eq!(shares(2, &[1, 1, 1, 1]), [1, 1]);
        assert_eq!(shares(0, &[1]), Vec::<u32>::new());
    }
}
