//! Credentials for a challenge, computed and written here: rsip knows `SHA256`, not RFC 8760's `SHA-256`, keeps one
//! `qop` of several, and writes a nonce count that no server accepts.
//!
//! RFC 7616 (qop=auth), RFC 2069's form where the challenge has no qop, RFC 8760 (SHA-256 before MD5).

use sha2::Digest as _;

use super::text;

/// One challenge out of WWW-Authenticate or Proxy-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    quality: Quality,
    pub(super) stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quality {
    Absent,
    Auth,
}

/// Who answers a challenge, and to what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) cnonce: &'a str,
    /// How often this nonce has been used, this time included.
    pub(super) count: u32,
}

/// The best challenge among a response's: SHA-256 before MD5, what is unknown left out (RFC 8760 §2.4).
pub(super) fn best<'a>(values: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut best: Option<Challenge> = None;
    for challenge in values.flat_map(challenges) {
        if best.as_ref().is_none_or(|known| challenge.algorithm > known.algorithm) {
            best = Some(challenge);
        }
    }
    best
}

/// The challenges of one field: usually one, but RFC 7235 lets commas separate several.
fn challenges(value: &str) -> Vec<Challenge> {
    let mut found: Vec<Vec<(String, String)>> = Vec::new();
    for part in text::list(value) {
        let (scheme, param) = match part.split_once(char::is_whitespace) {
            Some((first, rest)) if !first.contains('=') => (Some(first), rest),
            Some(_) | None => (None, part.as_str()),
        };
        if let Some(scheme) = scheme {
            // Another scheme's parameters are gathered too, so that they do not fall to the challenge before it.
            found.push(vec![("scheme".to_owned(), scheme.to_ascii_lowercase())]);
        }
        if let (Some(params), Some((name, value))) = (found.last_mut(), param.split_once('=')) {
            params.push((name.trim().to_ascii_lowercase(), unquote(value.trim())));
        }
    }
    found.iter().filter_map(|params| challenge(params)).collect()
}

fn challenge(params: &[(String, String)]) -> Option<Challenge> {
    let param = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if param("scheme")? != "digest" {
        return None;
    }
    let algorithm = match param("algorithm").map(|name| name.to_ascii_uppercase()).as_deref() {
        None | Some("MD5") => Algorithm::Md5,
        Some("SHA-256") => Algorithm::Sha256,
        Some(_) => return None,
    };
    let quality = match param("qop") {
        None => Quality::Absent,
        Some(offered) if offered.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth")) => Quality::Auth,
        Some(_) => return None,
    };
    let stale = param("stale").is_some_and(|word| word.eq_ignore_ascii_case("true"));
    Some(Challenge {
        realm: param("realm")?,
        nonce: param("nonce")?,
        opaque: param("opaque"),
        algorithm,
        quality,
        stale,
    })
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut plain = String::new();
    let mut escaped = false;
    for character in inner.chars() {
        if character == '\\' && !escaped {
            escaped = true;
        } else {
            plain.push(character);
            escaped = false;
        }
    }
    plain
}

fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Challenge {
    /// The value of Authorization or Proxy-Authorization.
    pub(super) fn credentials(&self, question: Question<'_>) -> String {
        let Question { user, password, method, uri, cnonce, count } = question;
        let (hash, name): (fn(&str) -> String, &str) = match self.algorithm {
            Algorithm::Md5 => (md5, "MD5"),
            Algorithm::Sha256 => (sha256, "SHA-256"),
        };
        let secret = hash(&format!("{user}:{}:{password}", self.realm));
        let request = hash(&format!("{method}:{uri}"));
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, algorithm={name}",
            quote(user),
            quote(&self.realm),
            quote(&self.nonce),
            quote(uri)
        );
        let response = match self.quality {
            Quality::Absent => hash(&format!("{secret}:{}:{request}", self.nonce)),
            Quality::Auth => {
                value += &format!(", qop=auth, nc={count:08x}, cnonce={}", quote(cnonce));
                hash(&format!("{secret}:{}:{count:08x}:{cnonce}:auth:{request}", self.nonce))
            }
        };
        value += &format!(", response=\"{response}\"");
        if let Some(opaque) = &self.opaque {
            value += &format!(", opaque={}", quote(opaque));
        }
        value
    }
}

fn md5(text: &str) -> String {
    hexadecimal(&md5::Md5::digest(text.as_bytes()))
}

fn sha256(text: &str) -> String {
    hexadecimal(&sha2::Sha256::digest(text.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1, both algorithms.
    #[test]
    fn the_rfcs_example_comes_out() {
        let field = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let question = Question {
            user: "Mufasa",
            password: "Circle of Life",
            method: "GET",
            uri: "/dir/index.html",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            count: 1,
        };
        let answer = |algorithm| best(std::iter::once(field(algorithm).as_str())).unwrap().credentials(question);
        assert!(answer("MD5").contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{}", answer("MD5"));
        let sha = answer("SHA-256");
        assert!(sha.contains("response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\""), "{sha}");
    }

    #[test]
    fn sha_256_is_preferred_wherever_it_stands_and_unknown_ones_are_skipped() {
        let md5 = "Digest realm=\"a\", nonce=\"1\"";
        let sha = "Digest realm=\"a\", nonce=\"2\", algorithm=SHA-256";
        let odd = "Digest realm=\"a\", nonce=\"3\", algorithm=SHA-512-256";
        for order in [[md5, sha, odd], [sha, odd, md5], [odd, md5, sha]] {
            assert_eq!(best(order.into_iter()).unwrap().nonce, "2");
        }
        assert_eq!(best(std::iter::once(odd)), None);
    }

    #[test]
    fn several_challenges_on_one_line_are_told_apart() {
        let line = "Digest realm=\"a\", nonce=\"1\", Basic realm=\"b\", Digest realm=\"c, d\", nonce=\"2\", \
                    algorithm=SHA-256, stale=TRUE";
        let found = challenges(line);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].realm, "a");
        assert_eq!(found[1].realm, "c, d");
        assert!(found[1].stale);
    }
}
