//! Digest credentials from a phone's side (RFC 7616, RFC 3261 §22), on the hash crates alone.

use std::fmt::Write as _;

use sha2::Digest as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha256,
    Md5,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub realm: String,
    pub nonce: String,
    pub opaque: Option<String>,
    pub algorithm: Algorithm,
    /// Whether `auth` is among its `qop`.
    pub qop: bool,
    pub stale: bool,
}

impl Challenge {
    /// Reads a WWW-Authenticate or Proxy-Authenticate value; `None` for what this phone cannot answer.
    pub fn read(value: &str) -> Option<Challenge> {
        let rest = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("Digest ")).and(value.get(7..))?;
        let (mut realm, mut nonce, mut opaque, mut algorithm) = (None, None, None, Algorithm::Md5);
        let (mut qop, mut stale) = (false, false);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "nonce" => nonce = Some(value.to_owned()),
                "opaque" => opaque = Some(value.to_owned()),
                "qop" => qop = value.split(',').any(|one| one.trim() == "auth"),
                "stale" => stale = value.eq_ignore_ascii_case("true"),
                "algorithm" if value.eq_ignore_ascii_case("SHA-256") => algorithm = Algorithm::Sha256,
                "algorithm" if value.eq_ignore_ascii_case("MD5") => algorithm = Algorithm::Md5,
                "algorithm" => return None,
                _ => {}
            }
        }
        Some(Challenge { realm: realm?, nonce: nonce?, opaque, algorithm, qop, stale })
    }
}

/// `name=value` or `name="value"`, separated by commas.
fn parameters(mut rest: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let (value, left) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_at(behind.find(',').unwrap_or(behind.len())),
        };
        rest = left.trim_start_matches([' ', ',']);
        Some((name.trim(), value.trim()))
    })
}

/// What a response covers.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    pub user: &'a str,
    pub realm: &'a str,
    pub password: &'a str,
    pub method: &'a str,
    pub uri: &'a str,
    pub nonce: &'a str,
    /// Count and client nonce, where `qop=auth`.
    pub once: Option<(u32, &'a str)>,
}

fn hashed(algorithm: Algorithm, text: &str) -> String {
    let mut hex = String::with_capacity(64);
    let mut add = |bytes: &[u8]| bytes.iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
    match algorithm {
        Algorithm::Sha256 => add(&sha2::Sha256::digest(text)),
        Algorithm::Md5 => add(&md5::Md5::digest(text)),
    }
    hex
}

/// RFC 7616 §3.4.1.
pub fn response(algorithm: Algorithm, covered: Covered<'_>) -> String {
    let Covered { user, realm, password, method, uri, nonce, once } = covered;
    let secret = hashed(algorithm, &format!("{user}:{realm}:{password}"));
    let asked = hashed(algorithm, &format!("{method}:{uri}"));
    match once {
        Some((count, cnonce)) => hashed(algorithm, &format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{asked}")),
        None => hashed(algorithm, &format!("{secret}:{nonce}:{asked}")),
    }
}

/// A phone's account, and the nonce it was given last.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub prefers: Algorithm,
    current: Option<Challenge>,
    count: u32,
}

/// What a challenge says to somebody who has answered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Only the nonce was at fault.
    Stale,
    /// Who are you? Or: you are not.
    Asked,
    /// Nothing that can be answered.
    Foreign,
}

impl Login {
    pub fn new(user: String, password: String, prefers: Algorithm) -> Login {
        Login { user, password, prefers, current: None, count: 0 }
    }

    /// Takes the challenge it likes best of a 401's or 407's.
    pub fn take<'a>(&mut self, challenges: impl Iterator<Item = &'a str>) -> Verdict {
        let mut best: Option<Challenge> = None;
        for challenge in challenges.filter_map(Challenge::read) {
            if best.is_none() || challenge.algorithm == self.prefers {
                best = Some(challenge);
            }
        }
        let Some(challenge) = best else { return Verdict::Foreign };
        let verdict = if challenge.stale { Verdict::Stale } else { Verdict::Asked };
        self.current = Some(challenge);
        self.count = 0;
        verdict
    }

    pub fn has_nonce(&self) -> bool {
        self.current.is_some()
    }

    pub fn forget(&mut self) {
        self.current = None;
    }

    /// The value of Authorization or Proxy-Authorization; each call uses a count up.
    pub fn answer(&mut self, method: &str, uri: &str, cnonce: &str) -> Option<String> {
        let challenge = self.current.as_ref()?;
        self.count += 1;
        let once = challenge.qop.then_some((self.count, cnonce));
        let proof = response(
            challenge.algorithm,
            Covered {
                user: &self.user,
                realm: &challenge.realm,
                password: &self.password,
                method,
                uri,
                nonce: &challenge.nonce,
                once,
            },
        );
        let name = match challenge.algorithm {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Md5 => "MD5",
        };
        let mut value = String::with_capacity(320);
        let _ = write!(
            value,
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{proof}\", algorithm={name}",
            self.user, challenge.realm, challenge.nonce
        );
        if let Some((count, cnonce)) = once {
            let _ = write!(value, ", qop=auth, nc={count:08x}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &challenge.opaque {
            let _ = write!(value, ", opaque=\"{opaque}\"");
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1.
    fn mufasa(algorithm: Algorithm) -> String {
        response(
            algorithm,
            Covered {
                user: "Mufasa",
                realm: "http-auth@example.org",
                password: "Circle of Life",
                method: "GET",
                uri: "/dir/index.html",
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                once: Some((1, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
            },
        )
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        assert_eq!(mufasa(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(mufasa(Algorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    const ASKED: [&str; 2] = [
        "Digest realm=\"acme.example\", nonce=\"a,b=\", algorithm=SHA-256, qop=\"auth,auth-int\"",
        "Digest realm=\"acme.example\", nonce=\"c\", algorithm=MD5, qop=\"auth\", stale=true, opaque=\"o\"",
    ];

    #[test]
    fn a_login_takes_the_algorithm_it_prefers_and_counts() {
        let mut login = Login::new("221".into(), "secret".into(), Algorithm::Md5);
        assert_eq!(login.answer("REGISTER", "sip:acme.example", "x"), None);
        assert_eq!(login.take(ASKED.into_iter()), Verdict::Stale);
        let first = login.answer("REGISTER", "sip:acme.example", "x").unwrap();
        assert!(first.contains("nonce=\"c\"") && first.contains("nc=00000001") && first.contains("opaque=\"o\""));
        assert!(login.answer("REGISTER", "sip:acme.example", "x").unwrap().contains("nc=00000002"));
        let mut login = Login::new("221".into(), "secret".into(), Algorithm::Sha256);
        assert_eq!(login.take(ASKED.into_iter()), Verdict::Asked);
        let answer = login.answer("REGISTER", "sip:acme.example", "x").unwrap();
        assert!(answer.contains("nonce=\"a,b=\"") && answer.contains("algorithm=SHA-256"));
        assert_eq!(
            login.take(["Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256"].into_iter()),
            Verdict::Foreign
        );
    }
}
