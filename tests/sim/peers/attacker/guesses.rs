//! Answers to challenges by somebody who does not know the password: digests that are computed rightly over a wrong one, and digests
//! that are not even that.

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::super::super::dice::Dice;
use super::super::super::text::Message;
use super::ask::{Ask, branch, hexadecimal};

/// What people try first.
const PASSWORDS: [&str; 8] = ["1234", "0000", "password", "admin", "letmein", "qwerty", "", "changeme"];

/// A challenge of a 401 or 407.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) algorithm: String,
    /// Asked by a proxy: the answer belongs into Proxy-Authorization.
    pub(super) by_proxy: bool,
}

impl Challenge {
    /// All that a response carries.
    pub(super) fn all(response: &Message) -> Vec<Challenge> {
        let mut found = Vec::new();
        for field in &response.fields {
            let line = response.text(field.line.clone());
            let Some((name, value)) = line.split_once(':') else { continue };
            let by_proxy = name.trim_end().eq_ignore_ascii_case("Proxy-Authenticate");
            if !by_proxy && !name.trim_end().eq_ignore_ascii_case("WWW-Authenticate") {
                continue;
            }
            let part = |name: &str| {
                let value = value.trim().strip_prefix("Digest ")?;
                let part = value.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
                Some(part.trim_matches('"').to_owned())
            };
            if let (Some(realm), Some(nonce)) = (part("realm"), part("nonce")) {
                let algorithm = part("algorithm").unwrap_or_else(|| "MD5".to_owned());
                found.push(Challenge { realm, nonce, algorithm, by_proxy });
            }
        }
        found
    }
}

/// An attempt to be somebody, between its challenge and its answer.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    pub(super) ask: Ask,
    /// Who it claims to be.
    pub(super) user: String,
    pub(super) left: u32,
    /// Two guesses with equal dice differ in nothing but the user.
    pub(super) dice: Dice,
    pub(super) counted: u32,
}

impl Guess {
    /// The next attempt on these challenges; `None`: it gives up.
    pub(super) fn next(&mut self, challenges: &[Challenge]) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        let challenge = challenges.get(self.dice.below(challenges.len().max(1) as u64) as usize)?.clone();
        let mut ask = self.ask.clone();
        ask.cseq += 1;
        let at = ask.via.find("branch=")?;
        ask.via.truncate(at);
        ask.via.push_str("branch=");
        ask.via.push_str(&branch(&mut self.dice));
        self.ask = ask.clone();
        self.counted += 1;
        let password = self.dice.of(&PASSWORDS);
        let line = credentials(&mut self.dice, &challenge, &ask, &self.user, password, self.counted);
        Some(ask.line(line))
    }
}

/// The header line that answers a challenge: right in form most of the time, with one of the known tricks otherwise.
pub(super) fn credentials(
    dice: &mut Dice,
    challenge: &Challenge,
    ask: &Ask,
    user: &str,
    password: &str,
    count: u32,
) -> String {
    let Challenge { realm, nonce, algorithm, by_proxy } = challenge;
    let mut nonce = nonce.clone();
    let (mut algorithm, mut qop, mut uri) = (algorithm.clone(), "auth", ask.uri.clone());
    let mut nc = format!("{count:08x}");
    let trick = dice.below(20);
    let (digit, forged) = (dice.below(nonce.len().max(1) as u64) as usize, hexadecimal(dice, 48));
    match trick {
        0 => nonce = forged,
        1 if nonce.is_char_boundary(digit) && nonce.is_char_boundary(digit + 1) && digit < nonce.len() => {
            let other = if nonce[digit..].starts_with('0') { "1" } else { "0" };
            nonce.replace_range(digit..=digit, other);
        }
        2 => "00000000".clone_into(&mut nc),
        3 => "ffffffff".clone_into(&mut nc),
        4 => qop = "auth-int",
        5 => qop = "",
        6 => uri = "sip:somewhere.else".to_owned(),
        // The other algorithm on this nonce, or one that nobody offers.
        7 => algorithm = if algorithm == "MD5" { "SHA-256".to_owned() } else { "MD5".to_owned() },
        8 => algorithm.push_str("-sess"),
        _ => {}
    }
    let cnonce = hexadecimal(dice, 16);
    let hash = |text: String| match algorithm.starts_with("SHA") {
        true => hex(&Sha256::digest(text)),
        false => hex(&Md5::digest(text)),
    };
    let a1 = hash(format!("{user}:{realm}:{password}"));
    let a2 = hash(format!("{}:{uri}", ask.method));
    let mut response = match qop {
        "" => hash(format!("{a1}:{nonce}:{a2}")),
        qop => hash(format!("{a1}:{nonce}:{nc}:{cnonce}:{qop}:{a2}")),
    };
    match trick {
        9 => response.truncate(16),
        10 => response = "0".repeat(response.len()),
        11 => response.clear(),
        _ => {}
    }
    let name = if *by_proxy { "Proxy-Authorization" } else { "Authorization" };
    let counts = if qop.is_empty() { String::new() } else { format!(", qop={qop}, nc={nc}, cnonce=\"{cnonce}\"") };
    format!(
        "{name}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}{counts}"
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
