//! The strategies: in which order a department's members are looked at.

use chrono::NaiveDate;

use super::memory::DepartmentMemory;
use super::{Department, Strategy};

/// Positions of members, in the order in which they are to be offered a call. Ties end in the written order.
pub(super) fn order(
    department: &Department,
    memory: Option<&DepartmentMemory>,
    today: NaiveDate,
    shuffle: u64,
) -> Vec<usize> {
    let members = &department.members;
    let mut order: Vec<usize> = (0..members.len()).collect();
    match department.strategy {
        Strategy::Serial | Strategy::Simultaneous => {}
        Strategy::RoundRobin => {
            let last = memory.and_then(DepartmentMemory::last_offered);
            let last = last.and_then(|last| members.iter().position(|user| user.id.extension == *last));
            if let Some(last) = last {
                order.rotate_left(last + 1);
            }
        }
        Strategy::LongestIdle => {
            // `None`, no call at all, comes before every moment. The sort is stable.
            order.sort_by_key(|&at| members.get(at).and_then(|user| memory?.last_call(&user.id.extension)));
        }
        Strategy::FewestCalls => order.sort_by_key(|&at| {
            members.get(at).zip(memory).map_or(0, |(user, memory)| memory.calls_on(&user.id.extension, today))
        }),
        Strategy::Random => mix(&mut order, shuffle),
    }
    order
}

/// Fisher and Yates' shuffle, fed from a seed.
fn mix(order: &mut [usize], seed: u64) {
    let mut state = seed;
    for left in (1..order.len()).rev() {
        let bound = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
        let drawn = usize::try_from(next(&mut state) % bound).unwrap_or(0);
        order.swap(left, drawn);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_fair_and_the_same_for_the_same_seed() {
        let mut first = [0u32; 3];
        for seed in 0..3000 {
            let mut order = vec![0, 1, 2];
            mix(&mut order, seed);
            let mut again = vec![0, 1, 2];
            mix(&mut again, seed);
            assert_eq!(order, again);
            first[order[0]] += 1;
        }
        assert!(first.iter().all(|count| (850..1150).contains(count)), "{first:?}");
    }

    /// The first numbers of SplitMix64 as its authors' program gives them: a shuffle is to be the same in every version.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut state = 1_234_567;
        let drawn: Vec<u64> = (0..5).map(|_| next(&mut state)).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(drawn, published);
    }
}
