//! Who a message is proven to be of, worked out from the model alone: digests over its passwords, trunks by their addresses.

use std::net::SocketAddr;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::super::model::{Company, Model, User};
use super::super::text::{Message, Name, uri};

/// What an Authorization or Proxy-Authorization field says.
#[derive(Debug, Default)]
pub(super) struct Credentials<'a> {
    pub(super) username: &'a str,
    pub(super) realm: &'a str,
    pub(super) nonce: &'a str,
    pub(super) nc: &'a str,
    uri: &'a str,
    response: &'a str,
    algorithm: &'a str,
    cnonce: &'a str,
    qop: &'a str,
}

/// Which of the two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    ByRegistrar,
    ByProxy,
}

impl<'a> Credentials<'a> {
    /// Those for that realm.
    pub(super) fn of(message: &'a Message, asked: Asked, realm: &str) -> Option<Credentials<'a>> {
        let fields = message.fields.iter().filter_map(|field| match (asked, field.name) {
            (Asked::ByRegistrar, Name::Authorization) => Some(message.text(field.value.clone())),
            (Asked::ByProxy, Name::Other) => {
                let line = message.text(field.line.clone());
                let is_it = line.get(..19).is_some_and(|name| name.eq_ignore_ascii_case("Proxy-Authorization"));
                is_it.then(|| message.text(field.value.clone()))
            }
            _ => None,
        });
        fields.filter_map(Credentials::read).find(|credentials| credentials.realm == realm)
    }

    fn read(value: &'a str) -> Option<Credentials<'a>> {
        let (scheme, mut rest) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut read = Credentials { algorithm: "MD5", ..Credentials::default() };
        while let Some((name, behind)) = rest.split_once('=') {
            let (value, behind) = match behind.strip_prefix('"') {
                // No escapes: nobody in a world has a quote in a name or password.
                Some(behind) => behind.split_once('"')?,
                None => behind.split_at(behind.find(',').unwrap_or(behind.len())),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "username" => read.username = value,
                "realm" => read.realm = value,
                "nonce" => read.nonce = value,
                "nc" => read.nc = value.trim(),
                "uri" => read.uri = value,
                "response" => read.response = value,
                "algorithm" => read.algorithm = value.trim(),
                "cnonce" => read.cnonce = value,
                "qop" => read.qop = value.trim(),
                _ => {}
            }
            rest = behind.trim_start().strip_prefix(',').unwrap_or_default();
        }
        Some(read)
    }

    /// RFC 7616 §3.4.1, with `qop=auth` and nothing else.
    fn is_right(&self, method: &str, password: &str) -> bool {
        // Tokens are of any case (RFC 3261 §7.3.1); a bent bit makes SHa-256 of it.
        let algorithm = self.algorithm.to_ascii_uppercase();
        let hash = |parts: &[&str]| match algorithm.as_str() {
            "SHA-256" => hex(&Sha256::digest(parts.join(":"))),
            _ => hex(&Md5::digest(parts.join(":"))),
        };
        if !matches!(algorithm.as_str(), "SHA-256" | "MD5") || self.qop != "auth" || self.cnonce.is_empty() {
            return false;
        }
        let a1 = hash(&[self.username, self.realm, password]);
        let a2 = hash(&[method, self.uri]);
        hash(&[&a1, self.nonce, self.nc, self.cnonce, "auth", &a2]).eq_ignore_ascii_case(self.response)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// User and host of a `sip:` URI, without port and parameters.
pub(super) fn user_and_host(value: &str) -> Option<(&str, &str)> {
    let uri = uri(value);
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:"))?;
    let rest = rest.split([';', '?']).next()?;
    let (user, host) = rest.split_once('@').unwrap_or(("", rest));
    Some((user, host.split(':').next()?))
}

/// The user who made a REGISTER or INVITE, if whoever made it knows that user's password and calls itself so.
pub(super) fn prover<'m>(model: &'m Model, message: &Message) -> Option<(&'m Company, &'m User)> {
    let method = message.method()?;
    // The company is asked for where the name of the asker stands: To of a REGISTER, From of all else.
    let (asked, name) = match method {
        "REGISTER" => (Asked::ByRegistrar, Name::To),
        _ => (Asked::ByProxy, Name::From),
    };
    let (user, domain) = user_and_host(message.first(name)?)?;
    let company = model.by_domain(&domain.to_ascii_lowercase())?;
    let credentials = Credentials::of(message, asked, &company.domain)?;
    let user =
        company.user(user).filter(|found| found.extension == credentials.username && found.status == "active")?;
    // A name in front of the address need not be text, where a bit of it is bent.
    let from = message.lossy(Name::From)?;
    let from = user_and_host(&from)?;
    let is_own = from.0 == user.extension && from.1.eq_ignore_ascii_case(&company.domain);
    (is_own && credentials.is_right(method, &user.password)).then_some((company, user))
}

/// The place of the trunk an address belongs to: known by its host alone (`sources` in `Model::files`).
pub(super) fn trunk(model: &Model, address: SocketAddr) -> Option<usize> {
    model.trunks.iter().position(|trunk| trunk.address.ip() == address.ip())
}

#[cfg(test)]
mod tests {
    use super::super::staged::{PHONE, Stage, register};
    use super::*;

    #[test]
    fn a_right_answer_proves_its_user_whatever_the_case_of_the_algorithm() {
        let stage = Stage::new();
        let model = &stage.history().models[0];
        let proves = |text: String| prover(model, &Message::read(&text.into()).unwrap()).is_some();
        let right = register("z9hG4bK1", "n", 1);
        assert!(proves(right.clone()));
        assert!(proves(right.replace("algorithm=MD5", "algorithm=Md5")));
        assert!(!proves(right.replace("algorithm=MD5", "algorithm=Md4")));
        assert!(!proves(right.replace("nonce=\"n\"", "nonce=\"N\"")));
        let mut bent = right.replace("From: <", "From: Xsha <").into_bytes();
        let place = bent.iter().position(|byte| *byte == b'X').unwrap();
        bent[place] = 0xb1;
        assert!(prover(model, &Message::read(&bent.into()).unwrap()).is_some());
        assert_eq!(trunk(model, PHONE.parse().unwrap()), None);
    }
}
