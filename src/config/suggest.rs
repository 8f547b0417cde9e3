//! "Did you mean …?"

/// The candidate that is nearest to what was written, if it is near enough to have been meant.
pub(super) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(far, candidate)| *far <= 1 + candidate.chars().count().min(lower.chars().count()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many characters must be added, removed, changed or swapped with their neighbour to make one of the other. Texts longer than
/// 64 characters are far from everything but themselves.
pub(super) fn distance(a: &str, b: &str) -> usize {
    if a == b {
        return 0;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(65).collect(), b.chars().take(65).collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut two_back: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (i, &ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left = i + 1;
        let mut previous_b = None;
        for (j, &cb) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
            let mut best = (cell(&last, j) + usize::from(ca != cb)).min(cell(&last, j + 1) + 1).min(left + 1);
            if j > 0 && previous_a == Some(cb) && previous_b == Some(ca) {
                best = best.min(cell(&two_back, j - 1) + 1);
            }
            row.push(best);
            left = best;
            previous_b = Some(cb);
        }
        two_back = std::mem::replace(&mut last, row);
        previous_a = Some(ca);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

/// A help text out of what is allowed: names the nearest first, where there is one.
pub(crate) fn one_of<'a>(written: &str, what: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let all: Vec<String> = candidates.clone().into_iter().map(|candidate| format!("`{candidate}`")).collect();
    let listed = match all.as_slice() {
        [] => format!("there are no {what}"),
        [only] => format!("the only one of the {what} is {only}"),
        _ if all.len() > 24 => format!("there are {} {what}", all.len()),
        _ => format!("{what}: {}", all.join(", ")),
    };
    match nearest(written, candidates) {
        Some(candidate) => format!("did you mean `{candidate}`? {listed}"),
        None => listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("stratgy", ["strategy", "sticky", "members"]), Some("strategy"));
        assert_eq!(nearest("wrap_up", ["wait", "wrap-up"]), Some("wrap-up"));
        assert_eq!(nearest("Asia/Calcuta", ["Asia/Calcutta", "Asia/Kolkata"]), Some("Asia/Calcutta"));
        assert_eq!(nearest("colour", ["ring", "wait"]), None);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance(&"x".repeat(100), "abc"), usize::MAX);
    }
}
