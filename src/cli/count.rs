//! Numbers of things.

/// `1 company`, `2 companies`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_one_thing() {
        let told = [0, 1, 2].map(|count| counted(count, "company", "companies"));
        assert_eq!(told, ["0 companies", "1 company", "2 companies"]);
    }
}
