//! Whether a password is worth its name. Who hears one registration can try passwords against it at leisure (RFC 7616 §5.12), so a
//! weak one is as good as none.
//!
//! The rule, in this order: it begins as every first guess does (`change-me`, `password`, …) · it has fewer than 12 characters · it has
//! only digits · it has fewer than 5 different characters, or is one piece over and over · without the names of its own user and
//! company, fewer than 8 characters of it are left. Nothing here puts any of it into a message.

use std::collections::BTreeSet;

/// What is wrong with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weakness {
    /// It is an example's, or what everybody tries first.
    Guessed,
    /// Fewer than [`SHORTEST`] characters.
    Short,
    /// Nothing but digits.
    Digits,
    /// Few different characters, or one piece again and again.
    Repeated,
    /// Hardly more than names of its user or company.
    Names,
}

impl Weakness {
    /// Why that is weak.
    pub(super) fn words(self) -> &'static str {
        match self {
            Weakness::Guessed => "it begins like an example or like what everybody tries first",
            Weakness::Short => "it has fewer than 12 characters",
            Weakness::Digits => "it has only digits",
            Weakness::Repeated => "it repeats itself",
            Weakness::Names => "it is made of the user's or the company's own names",
        }
    }
}

/// The fewest characters, all told.
const SHORTEST: usize = 12;
/// The fewest different ones.
const FEWEST_DIFFERENT: usize = 5;
/// The fewest that are left without names.
const FEWEST_OWN: usize = 8;
/// What first guesses begin with, without separators.
const FIRST_GUESSES: [&str; 9] =
    ["changeme", "changethis", "password", "passw0rd", "secret", "qwerty", "letmein", "welcome", "switchboard"];

/// What is wrong with a password whose user and company have these names; nothing, or the first of the rule.
pub(super) fn weakness(password: &str, names: &[&str]) -> Option<Weakness> {
    let plain = plain(password);
    let digits = password.chars().all(|c| c.is_ascii_digit());
    if FIRST_GUESSES.iter().any(|guess| plain.starts_with(guess)) {
        Some(Weakness::Guessed)
    } else if password.chars().count() < SHORTEST {
        Some(Weakness::Short)
    } else if digits {
        Some(Weakness::Digits)
    } else if password.chars().collect::<BTreeSet<char>>().len() < FEWEST_DIFFERENT || is_one_piece(password) {
        Some(Weakness::Repeated)
    } else if without_names(plain, names).chars().count() < FEWEST_OWN {
        Some(Weakness::Names)
    } else {
        None
    }
}

/// In lower case, without separators.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether it is a piece of up to half its length over and over, the last time perhaps in part.
fn is_one_piece(password: &str) -> bool {
    let characters: Vec<char> = password.chars().collect();
    (1..=characters.len() / 2).any(|length| characters.iter().zip(characters.iter().skip(length)).all(|(a, b)| a == b))
}

fn without_names(mut plain_text: String, names: &[&str]) -> String {
    let mut words: Vec<String> =
        names.iter().flat_map(|name| name.split([' ', '.', '@', '-', '_'])).map(plain).collect();
    words.extend(names.iter().map(|name| plain(name)));
    // One and two letters are in too much.
    words.retain(|word| word.chars().count() > 2);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for word in words {
        plain_text = plain_text.replace(&word, "");
    }
    plain_text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["221", "Asha Rao", "acme.example", "asha@bpo.example"];

    #[test]
    fn each_weakness_has_its_passwords_and_its_near_misses() {
        use Weakness::{Digits, Guessed, Names, Repeated, Short};
        for (password, expected) in [
            ("change-me-221", Some(Guessed)),
            ("Change_Me please now", Some(Guessed)),
            ("Password-2026-spring", Some(Guessed)),
            ("my change-me of tea", None),
            ("k7Qw-m2xR9z", Some(Short)),
            ("k7Qw-m2xR9zT", None),
            ("äöüäöüßéàèx", Some(Short)),
            ("491728364550", Some(Digits)),
            ("49172836455b", None),
            ("aaaaaaaaaaaa", Some(Repeated)),
            ("ababcdababcd", Some(Repeated)),
            ("xK4mTxK4mTxK4m", Some(Repeated)),
            ("abcdabcdabce", None),
            ("k7Qwm2k7Qwm3", None),
            ("asha.rao.acme.example", Some(Names)),
            ("asharao-221-221", Some(Names)),
            ("acme-Kp4wZ-221-acme", Some(Names)),
            ("acme-Kp4wZ9tB-221", None),
            ("correct horse battery", None),
        ] {
            assert_eq!(weakness(password, &NAMES), expected, "{password}");
        }
    }

    #[test]
    fn what_passwd_makes_is_strong() {
        assert_eq!(weakness("kTm4RwXz8pQn2vLb7cYd", &NAMES), None);
    }
}
