//! Digest authentication, as a registrar or proxy asks for it (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! What is asked for is narrower than what the RFCs allow, and each narrowing closes a known hole:
//! `qop=auth` always (the form of RFC 2069 can be replayed); a nonce serves one algorithm, so that an answer cannot be
//! moved to a weaker one; each nonce-count serves once (invariant 19); the username is the extension and nothing else.
//!
//! Nothing tells a stranger whether an extension exists (invariant 22): a username that nobody has is checked against a
//! decoy secret, by the same steps, and refused as a wrong password is.
//!
//! Guessing is slowed down (`guesses.rs`): an answer that is not looked at is compared with the decoy too, and refused as a wrong
//! password is.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::flow::Network;
use crate::id::UserId;
use crate::routing::{Company, User, UserStatus};
use crate::sip::{DigestCredentials, Name, Qop, Request, Uri};
use crate::time::Now;

use super::guesses::{Guess, Guesses, Look, Minted};
use super::nonce::{Counts, Nonces, REMEMBERED, Scope, Used};
use super::{Secret, Standing, UserProof, hex};

/// How many Authorization fields of one request are looked through for our realm.
const FIELDS: usize = 8;

/// A hash that challenges name (RFC 7616 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha256,
    Md5,
}

/// Which algorithms are offered: `[sip] sha-256` and `md5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// SHA-256 alone. An answer with MD5 counts as none, also to a nonce made while MD5 was offered.
    Sha256,
    /// SHA-256 first, then MD5 (RFC 8760 §2.3: in the order the server prefers).
    Sha256AndMd5,
    /// MD5 alone, for phones that give up at the sight of any other algorithm.
    Md5,
}

impl Offer {
    /// What is offered of the two; `None` where nothing would be.
    pub fn of(sha256: Offered, md5: Offered) -> Option<Offer> {
        match (sha256, md5) {
            (Offered::Yes, Offered::Yes) => Some(Offer::Sha256AndMd5),
            (Offered::Yes, Offered::No) => Some(Offer::Sha256),
            (Offered::No, Offered::Yes) => Some(Offer::Md5),
            (Offered::No, Offered::No) => None,
        }
    }

    /// Whether SHA-256 is among them.
    pub fn has_sha256(self) -> bool {
        matches!(self, Offer::Sha256 | Offer::Sha256AndMd5)
    }

    /// Whether MD5 is among them.
    pub fn has_md5(self) -> bool {
        matches!(self, Offer::Md5 | Offer::Sha256AndMd5)
    }
}

/// Whether one algorithm is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// As what we ask (RFC 3261 §22.2, §22.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// As the one the request is for (a REGISTER): 401, WWW-Authenticate, Authorization.
    Server,
    /// As a proxy on the request's way: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Asker {
    /// Status and reason phrase of the challenge.
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Asker::Server => (401, "Unauthorized"),
            Asker::Proxy => (407, "Proxy Authentication Required"),
        }
    }

    /// The field that carries a challenge.
    pub fn challenge_field(self) -> &'static str {
        match self {
            Asker::Server => "WWW-Authenticate",
            Asker::Proxy => "Proxy-Authenticate",
        }
    }

    /// The field that carries credentials.
    pub fn credentials_field(self) -> Name {
        match self {
            Asker::Server => Name::Authorization,
            Asker::Proxy => Name::ProxyAuthorization,
        }
    }
}

/// Whether a challenge says that only the nonce was at fault (RFC 7616 §3.3 `stale`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// The password was right: try again with this nonce, without asking anybody.
    Stale,
    /// Anything else.
    Fresh,
}

/// Why a request is not proven to be a user's. All are answered with a challenge ([`Digest::challenge`] with
/// [`Refusal::staleness`]), but for ACK and CANCEL, which cannot be challenged (RFC 3261 §22.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// No Digest credentials for the realm.
    NoCredentials,
    /// Credentials without `qop=auth`, `nc`, `cnonce`, or for an algorithm that is not offered.
    Incomplete,
    /// Credentials for another Request-URI (RFC 7616 §3.4.6).
    WrongUri,
    /// No such user, or not its password: never told apart.
    Wrong,
    /// A user whose account is not in use, whatever the password. For our counters alone: to whoever asks it is [`Refusal::Wrong`].
    Inactive,
    /// Too many were wrong: this one was not looked at. To whoever asks it is [`Refusal::Wrong`].
    Unchecked,
    /// The password is right; the nonce is too old, or was not made for this source, realm and algorithm.
    Stale,
    /// The password is right; the nonce-count was used before (invariant 19).
    Replayed,
}

impl Refusal {
    /// What the challenge in answer to it says. Only somebody who knew the password at least once hears "stale".
    pub fn staleness(self) -> Staleness {
        match self {
            Refusal::Stale | Refusal::Replayed => Staleness::Stale,
            Refusal::NoCredentials
            | Refusal::Incomplete
            | Refusal::WrongUri
            | Refusal::Wrong
            | Refusal::Inactive
            | Refusal::Unchecked => Staleness::Fresh,
        }
    }

    /// A stable name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::NoCredentials => "no-credentials",
            Refusal::Incomplete => "incomplete-credentials",
            Refusal::WrongUri => "credentials-for-another-uri",
            Refusal::Wrong => "wrong-credentials",
            Refusal::Inactive => "credentials-of-inactive-user",
            Refusal::Unchecked => "guesses-not-checked",
            Refusal::Stale => "stale-nonce",
            Refusal::Replayed => "replayed-credentials",
        }
    }
}

/// Challenges and checks answers to them.
pub struct Digest {
    nonces: Nonces,
    counts: Counts,
    guesses: Guesses,
    /// What the answers of users who do not exist are compared with.
    decoy: Secret,
}

impl Digest {
    /// `secret_key` makes and knows nonces. It must be drawn anew for each `Digest`: which counts were used is kept in
    /// memory alone, so a key that outlived that memory would let a recorded request in again.
    pub fn new(secret_key: [u8; 32]) -> Digest {
        // RFC 2104 §2: HMAC takes keys of any length, so this cannot fail.
        let key: Hmac<Sha256> = Hmac::new_from_slice(&secret_key).expect("HMAC takes a key of any length");
        let mut decoy = [0; 32];
        decoy.copy_from_slice(&key.clone().chain_update(b"decoy").finalize().into_bytes());
        let mut decoy_md5 = [0; 16];
        decoy_md5.copy_from_slice(&Md5::digest(decoy));
        let decoy = Secret { sha256: Some(decoy), md5: Some(decoy_md5) };
        let mut seeds = [0; 4];
        let drawn = key.clone().chain_update(b"guesses").finalize().into_bytes();
        for (seed, bytes) in seeds.iter_mut().zip(drawn.chunks_exact(8)) {
            *seed = bytes.iter().fold(0, |seed: u64, byte| seed << 8 | u64::from(*byte));
        }
        let hashing = ahash::RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]);
        let (counts, guesses) = (Counts::new(REMEMBERED), Guesses::new(hashing));
        Digest { nonces: Nonces::new(key), counts, guesses, decoy }
    }

    /// The challenges of a 401 or 407 to `source`, in order, as header fields (name, value): about 130 bytes each.
    /// Nothing is remembered. The realm is the company's domain.
    pub fn challenge(
        &mut self,
        now: Now,
        company: &Company,
        offer: Offer,
        asker: Asker,
        source: SocketAddr,
        staleness: Staleness,
    ) -> Vec<(&'static str, Vec<u8>)> {
        let algorithms: &[Algorithm] = match offer {
            Offer::Sha256 => &[Algorithm::Sha256],
            Offer::Sha256AndMd5 => &[Algorithm::Sha256, Algorithm::Md5],
            Offer::Md5 => &[Algorithm::Md5],
        };
        let realm = company.domain.as_str();
        let stale = match staleness {
            Staleness::Stale => ", stale=true",
            Staleness::Fresh => "",
        };
        let challenges = algorithms.iter().map(|algorithm| {
            let nonce = self.nonces.mint(now.mono, Scope { algorithm: *algorithm, realm, source });
            let name = algorithm.name();
            let value = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}");
            (asker.challenge_field(), value.into_bytes())
        });
        challenges.collect()
    }

    /// Whose request this is. `company` is the one whose realm was, or would be, asked for; the credentials looked at
    /// are the first for that realm. `standing` says whether a user is registered where the request came from: who is, is
    /// always looked at.
    ///
    /// Call it once for a request, behind the transactions: a copy of a request counts as a replay here.
    ///
    /// # Errors
    /// Why it is nobody's.
    #[allow(clippy::too_many_arguments)] // everything the verdict depends on, and nothing else
    pub fn verify(
        &mut self,
        now: Now,
        company: &Arc<Company>,
        offer: Offer,
        asker: Asker,
        source: SocketAddr,
        standing: impl Fn(&UserId) -> Standing,
        request: &Request,
    ) -> Result<UserProof, Refusal> {
        let credentials = request
            .lines(asker.credentials_field())
            .take(FIELDS)
            .filter_map(DigestCredentials::parse)
            .find(|credentials| *credentials.realm == *company.domain.as_bytes())
            .ok_or(Refusal::NoCredentials)?;
        let is_same = same_resource(&request.uri(), credentials.uri);
        let uri = if is_same { UriMatch::Same } else { UriMatch::Other };
        self.judge(now, company, offer, source, standing, request.method_bytes(), uri, &credentials)
    }

    /// How much is remembered of wrong answers: a fixed number of entries at most.
    pub fn suspects(&self) -> usize {
        self.guesses.remembered()
    }

    /// How many nonces have their counts remembered: for `audit()`. At most 100,000.
    pub fn remembered(&self) -> usize {
        self.counts.len()
    }

    #[allow(clippy::too_many_arguments)] // everything the verdict depends on, and nothing else
    fn judge(
        &mut self,
        now: Now,
        company: &Arc<Company>,
        offer: Offer,
        source: SocketAddr,
        standing: impl Fn(&UserId) -> Standing,
        method: &[u8],
        uri: UriMatch,
        credentials: &DigestCredentials<'_>,
    ) -> Result<UserProof, Refusal> {
        // First what does not depend on who exists: it may end the work early.
        let algorithm = Algorithm::of(credentials.algorithm, offer).ok_or(Refusal::Incomplete)?;
        let answer = Answer::of(credentials).ok_or(Refusal::Incomplete)?;
        match uri {
            UriMatch::Same => {}
            UriMatch::Other => return Err(Refusal::WrongUri),
        }

        // From here on every path does the same work, whether the user exists or not and whether it is looked at or not.
        let scope = Scope { algorithm, realm: &company.domain, source };
        let stamp = self.nonces.read(answer.nonce, scope);
        let guess = Guess {
            account: self.guesses.account(&company.domain, &credentials.username),
            network: Network::of(source),
            port: source.port(),
            minted: if stamp.is_some() { Minted::Here } else { Minted::Elsewhere },
        };
        let named = user_named(company, &credentials.username);
        let look = match named.map_or(Standing::Unproven, |user| standing(&user.id)) {
            Standing::Registered => Look::Yes,
            Standing::Unproven => self.guesses.look(now.mono, guess),
        };
        let user = named.filter(|user| user.status == UserStatus::Active);
        let secret = user.filter(|_| look == Look::Yes).map_or(&self.decoy, |user| &user.secret);
        let right = algorithm.is_right(secret, &self.decoy, method, &answer);
        let (Some(user), true) = (user, right) else {
            return Err(match look {
                Look::NotNow => Refusal::Unchecked,
                Look::Yes => {
                    self.guesses.wrong(now.mono, guess);
                    let is_inactive = named.is_some_and(|user| user.status != UserStatus::Active);
                    if is_inactive { Refusal::Inactive } else { Refusal::Wrong }
                }
            });
        };

        match stamp.map(|stamp| self.counts.spend(now.mono, stamp, answer.count)) {
            Some(Used::Now) => Ok(UserProof { company: Arc::clone(company), user: Arc::clone(user) }),
            Some(Used::Before) => Err(Refusal::Replayed),
            Some(Used::TooOld) | None => Err(Refusal::Stale),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest")
            .field("remembered", &self.remembered())
            .field("suspects", &self.suspects())
            .finish_non_exhaustive()
    }
}

/// Whether the credentials' `uri` names what the Request-URI names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UriMatch {
    Same,
    Other,
}

/// The parts of credentials that the digest covers, complete.
struct Answer<'a> {
    nonce: &'a [u8],
    nc: &'a [u8],
    count: u32,
    cnonce: &'a [u8],
    uri: &'a [u8],
    response: &'a [u8],
}

impl<'a> Answer<'a> {
    /// `None` where something is missing without which the answer could be replayed.
    fn of(credentials: &DigestCredentials<'a>) -> Option<Answer<'a>> {
        let Some(Qop::Auth) = credentials.qop else { return None };
        let nc = credentials.nc?;
        let count = u32::from_be_bytes(hex::read(nc)?);
        let cnonce = credentials.cnonce.filter(|cnonce| !cnonce.is_empty())?;
        let answer = Answer {
            nonce: credentials.nonce,
            nc,
            count,
            cnonce,
            uri: credentials.uri,
            response: credentials.response,
        };
        (count > 0).then_some(answer) // RFC 7616 §3.4: the first request on a nonce has nc=00000001
    }
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Md5 => "MD5",
        }
    }

    /// What credentials name, where it is offered. RFC 7616 §3.4: none named is MD5.
    fn of(name: Option<&[u8]>, offer: Offer) -> Option<Algorithm> {
        let name = name.unwrap_or(b"MD5");
        let named = [Algorithm::Sha256, Algorithm::Md5]
            .into_iter()
            .find(|algorithm| name.eq_ignore_ascii_case(algorithm.name().as_bytes()))?;
        let offered = match named {
            Algorithm::Sha256 => offer.has_sha256(),
            Algorithm::Md5 => offer.has_md5(),
        };
        offered.then_some(named)
    }

    /// RFC 7616 §3.4.1: response = H(H(A1) ":" nonce ":" nc ":" cnonce ":" qop ":" H(A2)), A2 = method ":" uri.
    /// A secret without this algorithm's digest is nobody's: the decoy is worked with, and the answer is wrong.
    fn is_right(self, secret: &Secret, decoy: &Secret, method: &[u8], answer: &Answer<'_>) -> bool {
        match self {
            Algorithm::Sha256 => {
                let known = secret.sha256.or(decoy.sha256).unwrap_or_default();
                let expected = expected::<Sha256, 32>(&known, method, answer);
                let given: Option<[u8; 32]> = hex::read(answer.response);
                let equal = bool::from(expected.ct_eq(&given.unwrap_or_default()));
                equal && given.is_some() && secret.sha256.is_some()
            }
            Algorithm::Md5 => {
                let known = secret.md5.or(decoy.md5).unwrap_or_default();
                let expected = expected::<Md5, 16>(&known, method, answer);
                let given: Option<[u8; 16]> = hex::read(answer.response);
                let equal = bool::from(expected.ct_eq(&given.unwrap_or_default()));
                equal && given.is_some() && secret.md5.is_some()
            }
        }
    }
}

fn expected<H: sha2::Digest, const N: usize>(h_a1: &[u8; N], method: &[u8], answer: &Answer<'_>) -> [u8; N] {
    let h_a2: [u8; N] = hash::<H, N>(&[method, answer.uri]);
    let (h_a1, h_a2) = (hex::text(h_a1), hex::text(&h_a2));
    hash::<H, N>(&[h_a1.as_bytes(), answer.nonce, answer.nc, answer.cnonce, b"auth", h_a2.as_bytes()])
}

/// The hash of parts with colons between them.
fn hash<H: sha2::Digest, const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hash = H::new();
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    let mut digest = [0; N];
    for (to, from) in digest.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    digest
}

/// The user of that name, perhaps one whose account is not in use. H(A1) holds the bare extension, so no other way of writing the user
/// (`221@acme.example`, another case) could ever be checked: none is tried.
fn user_named<'c>(company: &'c Company, username: &[u8]) -> Option<&'c Arc<User>> {
    company.users.get(std::str::from_utf8(username).ok()?)
}

/// RFC 7616 §3.4.6: the credentials' `uri` must name the resource of the Request-URI. Phones write it with other
/// parameters, or without the port; whom it names must be the same.
fn same_resource(request: &Uri<'_>, written: &[u8]) -> bool {
    if request.text == written {
        return true;
    }
    let Ok(written) = Uri::parse(written) else { return false };
    let same_user = request.user == written.user
        || request.user_text().is_some_and(|ours| written.user_text().is_some_and(|theirs| ours == theirs));
    let same_host = match (request.host, written.host) {
        (Some(ours), Some(theirs)) => ours.same_as(theirs),
        (Some(_), None) | (None, Some(_)) | (None, None) => false,
    };
    request.equivalent(&written) || (request.scheme == written.scheme && same_user && same_host)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::testing;
    use crate::time::{Instant, WallTime};

    const PHONE: &str = "192.0.2.10:5060";
    const URI: &str = "sip:acme.example";

    /// What a phone writes into its credentials.
    #[derive(Clone)]
    struct Written {
        username: String,
        nonce: String,
        uri: String,
        response: String,
        algorithm: Option<&'static str>,
        cnonce: Option<&'static str>,
        qop: Option<Qop>,
        nc: Option<String>,
    }

    /// The registrar of acme.example and the clock.
    struct Desk {
        digest: Digest,
        company: Arc<Company>,
        offer: Offer,
        now: Now,
    }

    fn start() -> Now {
        Now { mono: Instant::from_nanos(3_600_000_000_000), wall: WallTime::from_unix_millis(1_795_000_000_000) }
    }

    fn acme() -> Arc<Company> {
        let secret = |extension| Secret::from_password(extension, "acme.example", "s3cret");
        testing::company(
            "acme",
            "acme.example",
            vec![
                ("221", UserStatus::Active, secret("221")),
                ("222", UserStatus::Active, Secret { sha256: None, ..secret("222") }),
                ("223", UserStatus::Disabled, secret("223")),
                ("224", UserStatus::Pending, secret("224")),
                ("225", UserStatus::Active, Secret::NONE),
            ],
        )
    }

    impl Desk {
        fn open() -> Desk {
            Desk { digest: Digest::new([42; 32]), company: acme(), offer: Offer::Sha256AndMd5, now: start() }
        }

        /// The nonces of a challenge: SHA-256's, then MD5's.
        fn nonces(&mut self, source: &str) -> Vec<String> {
            let source = source.parse().unwrap();
            let challenges =
                self.digest.challenge(self.now, &self.company, self.offer, Asker::Server, source, Staleness::Fresh);
            let nonce = |value: Vec<u8>| String::from_utf8(value).unwrap().split('"').nth(3).unwrap().to_owned();
            challenges.into_iter().map(|(_, value)| nonce(value)).collect()
        }

        fn nonce(&mut self) -> String {
            self.nonces(PHONE).remove(0)
        }

        fn hear(&mut self, source: &str, method: &str, written: &Written) -> Result<String, Refusal> {
            self.hear_for(source, method, UriMatch::Same, written)
        }

        fn hear_for(
            &mut self,
            source: &str,
            method: &str,
            uri: UriMatch,
            written: &Written,
        ) -> Result<String, Refusal> {
            let credentials = DigestCredentials {
                username: written.username.as_bytes().into(),
                realm: self.company.domain.as_bytes().into(),
                nonce: written.nonce.as_bytes(),
                uri: written.uri.as_bytes(),
                response: written.response.as_bytes(),
                algorithm: written.algorithm.map(str::as_bytes),
                cnonce: written.cnonce.map(str::as_bytes),
                opaque: None,
                qop: written.qop,
                nc: written.nc.as_deref().map(str::as_bytes),
            };
            let source = source.parse().unwrap();
            let company = Arc::clone(&self.company);
            let (now, offer) = (self.now, self.offer);
            let judged = self.digest.judge(
                now,
                &company,
                offer,
                source,
                |_| Standing::Unproven,
                method.as_bytes(),
                uri,
                &credentials,
            );
            judged.map(|proof| proof.user().id.to_string())
        }

        fn register(&mut self, written: &Written) -> Result<String, Refusal> {
            self.hear(PHONE, "REGISTER", written)
        }
    }

    fn sha256(text: String) -> String {
        hex::text(&Sha256::digest(text))
    }

    fn md5(text: String) -> String {
        hex::text(&Md5::digest(text))
    }

    /// An honest phone's answer, hashed by its own hand.
    fn answer(username: &str, password: &str, nonce: &str, nc: u32) -> Written {
        answer_by(sha256, "SHA-256", username, password, nonce, nc)
    }

    fn answer_by(
        hash: fn(String) -> String,
        algorithm: &'static str,
        username: &str,
        password: &str,
        nonce: &str,
        nc: u32,
    ) -> Written {
        let a1 = hash(format!("{username}:acme.example:{password}"));
        let a2 = hash(format!("REGISTER:{URI}"));
        Written {
            username: username.into(),
            nonce: nonce.into(),
            uri: URI.into(),
            response: hash(format!("{a1}:{nonce}:{nc:08x}:0a4f113b:auth:{a2}")),
            algorithm: Some(algorithm),
            cnonce: Some("0a4f113b"),
            qop: Some(Qop::Auth),
            nc: Some(format!("{nc:08x}")),
        }
    }

    #[test]
    fn the_example_of_rfc_7616_is_computed_in_both_algorithms() {
        let secret = Secret::from_password("Mufasa", "http-auth@example.org", "Circle of Life");
        let example = |response| Answer {
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            nc: b"00000001",
            count: 1,
            cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            uri: b"/dir/index.html",
            response,
        };
        let right_sha256 = b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        let right_md5 = b"8ca523f5e9506fed4657c9700eebdbec";
        assert!(Algorithm::Sha256.is_right(&secret, &Secret::NONE, b"GET", &example(right_sha256)));
        assert!(Algorithm::Md5.is_right(&secret, &Secret::NONE, b"GET", &example(right_md5)));
        assert!(!Algorithm::Sha256.is_right(&secret, &Secret::NONE, b"PUT", &example(right_sha256)));
        assert!(!Algorithm::Sha256.is_right(&secret, &Secret::NONE, b"GET", &example(right_md5)), "too short");
    }

    #[test]
    fn sha_256_is_offered_before_md5_and_each_has_a_nonce_of_its_own() {
        let mut desk = Desk::open();
        let source = PHONE.parse().unwrap();
        let both = desk.digest.challenge(desk.now, &desk.company, desk.offer, Asker::Server, source, Staleness::Fresh);
        let text: Vec<String> = both.iter().map(|(_, value)| String::from_utf8(value.clone()).unwrap()).collect();
        assert_eq!(both.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["WWW-Authenticate"; 2]);
        assert!(text[0].starts_with("Digest realm=\"acme.example\", nonce=\""), "{}", text[0]);
        assert!(text[0].ends_with("\", algorithm=SHA-256, qop=\"auth\""), "{}", text[0]);
        assert!(text[1].ends_with("\", algorithm=MD5, qop=\"auth\""), "{}", text[1]);
        assert_ne!(text[0].split('"').nth(3), text[1].split('"').nth(3));

        let proxy =
            desk.digest.challenge(desk.now, &desk.company, Offer::Sha256, Asker::Proxy, source, Staleness::Stale);
        assert_eq!(proxy.len(), 1);
        assert_eq!(proxy[0].0, "Proxy-Authenticate");
        assert!(String::from_utf8_lossy(&proxy[0].1).ends_with(", algorithm=SHA-256, qop=\"auth\", stale=true"));
    }

    #[test]
    fn a_right_answer_proves_the_user_in_either_algorithm() {
        let mut desk = Desk::open();
        let nonces = desk.nonces(PHONE);
        assert_eq!(desk.register(&answer("221", "s3cret", &nonces[0], 1)), Ok("221@acme".into()));
        let mut by_md5 = answer_by(md5, "MD5", "221", "s3cret", &nonces[1], 1);
        assert_eq!(desk.register(&by_md5), Ok("221@acme".into()));
        by_md5 = answer_by(md5, "MD5", "221", "s3cret", &nonces[1], 2);
        by_md5.algorithm = None;
        assert_eq!(desk.register(&by_md5), Ok("221@acme".into()), "no algorithm named is MD5");
        let mut lower = answer("221", "s3cret", &nonces[0], 10);
        lower.algorithm = Some("sha-256");
        assert_eq!(desk.register(&lower), Ok("221@acme".into()), "any case, and nc=0000000a");
    }

    #[test]
    fn nothing_is_kept_for_challenges_and_wrong_answers() {
        let mut desk = Desk::open();
        for _ in 0..50 {
            // So far apart that none of them has to wait.
            desk.now = desk.now + Duration::from_secs(16 * 60);
            let nonce = desk.nonce();
            assert_eq!(desk.register(&answer("221", "guess", &nonce, 1)), Err(Refusal::Wrong));
            assert_eq!(desk.register(&answer("nobody", "s3cret", &nonce, 1)), Err(Refusal::Wrong));
        }
        assert_eq!(desk.digest.remembered(), 0);
        let nonce = desk.nonce();
        assert_eq!(desk.register(&answer("221", "s3cret", &nonce, 1)), Ok("221@acme".into()));
        assert_eq!(desk.digest.remembered(), 1);
    }

    #[test]
    fn unknown_unused_and_unready_users_are_refused_like_a_wrong_password() {
        let mut desk = Desk::open();
        let old = desk.nonce();
        desk.now = desk.now + Duration::from_secs(1000);
        for nonce in [desk.nonce(), old, "unheard-of".into()] {
            // Disabled and pending: by another name for us alone.
            for username in ["223", "224"] {
                for password in ["s3cret", "guess"] {
                    let heard = desk.register(&answer(username, password, &nonce, 1));
                    assert_eq!(heard, Err(Refusal::Inactive), "{username}");
                }
            }
            // No such user, no secret; and other ways of writing an existing user.
            for username in ["999", "225", "221@acme.example", "221 ", "", "\u{fffd}"] {
                assert_eq!(desk.register(&answer(username, "s3cret", &nonce, 1)), Err(Refusal::Wrong), "{username}");
            }
            assert_eq!(desk.register(&answer("221", "guess", &nonce, 1)), Err(Refusal::Wrong));
        }
        assert_eq!(Refusal::Wrong.staleness(), Staleness::Fresh);
        assert_eq!(Refusal::Inactive.staleness(), Staleness::Fresh);
    }

    #[test]
    fn a_user_without_a_digest_for_the_algorithm_cannot_be_proven_by_it() {
        let mut desk = Desk::open();
        let nonces = desk.nonces(PHONE);
        assert_eq!(desk.register(&answer("222", "s3cret", &nonces[0], 1)), Err(Refusal::Wrong));
        assert_eq!(desk.register(&answer_by(md5, "MD5", "222", "s3cret", &nonces[1], 1)), Ok("222@acme".into()));
    }

    #[test]
    fn the_decoy_proves_nobody() {
        let mut desk = Desk::open();
        let decoy = hex::text(&desk.digest.decoy.sha256.unwrap());
        let nonce = desk.nonce();
        for username in ["999", "225"] {
            let mut written = answer(username, "s3cret", &nonce, 1);
            let a2 = sha256(format!("REGISTER:{URI}"));
            written.response = sha256(format!("{decoy}:{nonce}:00000001:0a4f113b:auth:{a2}"));
            assert_eq!(desk.register(&written), Err(Refusal::Wrong));
        }
    }

    #[test]
    fn a_replay_is_challenged_from_the_same_address_and_from_another() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        let captured = answer("221", "s3cret", &nonce, 1);
        assert!(desk.register(&captured).is_ok());
        assert_eq!(desk.register(&captured), Err(Refusal::Replayed));
        assert_eq!(desk.hear("192.0.2.10:6000", "REGISTER", &captured), Err(Refusal::Replayed), "another port");
        assert_eq!(desk.hear("203.0.113.9:5060", "REGISTER", &captured), Err(Refusal::Stale), "another address");
        assert_eq!(desk.hear(PHONE, "INVITE", &captured), Err(Refusal::Wrong), "another method");
        let next = answer("221", "s3cret", &nonce, 2);
        assert_eq!(desk.hear("203.0.113.9:5060", "REGISTER", &next), Err(Refusal::Stale), "never heard, other address");
        assert!(desk.register(&next).is_ok(), "and not spent by that");
    }

    #[test]
    fn a_changed_count_is_a_wrong_answer() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        let mut written = answer("221", "s3cret", &nonce, 1);
        assert!(desk.register(&written).is_ok());
        written.nc = Some("00000002".into());
        assert_eq!(desk.register(&written), Err(Refusal::Wrong));
        assert!(desk.register(&answer("221", "s3cret", &nonce, 2)).is_ok(), "a forged count spends nothing");
    }

    #[test]
    fn counts_that_udp_reordered_are_taken_once_each() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        for nc in [1, 4, 2, 3, 60] {
            assert!(desk.register(&answer("221", "s3cret", &nonce, nc)).is_ok(), "{nc}");
        }
        for nc in [1, 4, 2, 3, 60] {
            assert_eq!(desk.register(&answer("221", "s3cret", &nonce, nc)), Err(Refusal::Replayed), "{nc}");
        }
    }

    #[test]
    fn an_old_nonce_is_stale_and_only_who_knows_the_password_hears_so() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        desk.now = desk.now + Duration::from_secs(299);
        assert!(desk.register(&answer("221", "s3cret", &nonce, 1)).is_ok());
        desk.now = desk.now + Duration::from_secs(1);
        let refused = desk.register(&answer("221", "s3cret", &nonce, 2)).unwrap_err();
        assert_eq!((refused, refused.staleness()), (Refusal::Stale, Staleness::Stale));
        assert_eq!(desk.register(&answer("221", "guess", &nonce, 3)), Err(Refusal::Wrong));
    }

    #[test]
    fn a_jump_of_the_wall_clock_makes_no_nonce_old_or_young() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        desk.now.wall = desk.now.wall + Duration::from_secs(86_400);
        assert!(desk.register(&answer("221", "s3cret", &nonce, 1)).is_ok());
        desk.now.mono += Duration::from_secs(301);
        desk.now.wall = WallTime::from_unix_millis(0);
        assert_eq!(desk.register(&answer("221", "s3cret", &nonce, 2)), Err(Refusal::Stale));
    }

    #[test]
    fn an_answer_in_another_algorithm_than_its_nonce_is_not_taken() {
        let mut desk = Desk::open();
        let nonces = desk.nonces(PHONE);
        let downgraded = answer_by(md5, "MD5", "221", "s3cret", &nonces[0], 1);
        assert_eq!(desk.register(&downgraded), Err(Refusal::Stale));
        let upgraded = answer("221", "s3cret", &nonces[1], 1);
        assert_eq!(desk.register(&upgraded), Err(Refusal::Stale));
        for unknown in ["MD5-sess", "SHA-512-256", "SHA-256-sess", "AKAv1-MD5", ""] {
            let written = Written { algorithm: Some(unknown), ..answer("221", "s3cret", &nonces[0], 1) };
            assert_eq!(desk.register(&written), Err(Refusal::Incomplete), "{unknown}");
        }
    }

    #[test]
    fn md5_is_not_taken_where_it_is_not_offered_even_on_an_earlier_nonce() {
        let mut desk = Desk::open();
        let nonces = desk.nonces(PHONE);
        desk.offer = Offer::Sha256;
        assert_eq!(desk.register(&answer_by(md5, "MD5", "221", "s3cret", &nonces[1], 1)), Err(Refusal::Incomplete));
        assert!(desk.register(&answer("221", "s3cret", &nonces[0], 1)).is_ok());
    }

    #[test]
    fn the_form_of_rfc_2069_is_refused() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        let a1 = sha256("221:acme.example:s3cret".into());
        let a2 = sha256(format!("REGISTER:{URI}"));
        let bare = Written {
            response: sha256(format!("{a1}:{nonce}:{a2}")),
            qop: None,
            nc: None,
            cnonce: None,
            ..answer("221", "s3cret", &nonce, 1)
        };
        assert_eq!(desk.register(&bare), Err(Refusal::Incomplete));
    }

    #[test]
    fn an_answer_with_a_part_missing_is_incomplete() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        let whole = answer("221", "s3cret", &nonce, 1);
        let cases = [
            ("qop", Written { qop: None, ..whole.clone() }),
            ("another qop", Written { qop: Some(Qop::Other), ..whole.clone() }),
            ("nc", Written { nc: None, ..whole.clone() }),
            ("short nc", Written { nc: Some("1".into()), ..whole.clone() }),
            ("nc that is no number", Written { nc: Some("0000000g".into()), ..whole.clone() }),
            ("cnonce", Written { cnonce: None, ..whole.clone() }),
            ("empty cnonce", Written { cnonce: Some(""), ..whole.clone() }),
            ("nc of nothing", answer("221", "s3cret", &nonce, 0)),
        ];
        for (what, written) in cases {
            assert_eq!(desk.register(&written), Err(Refusal::Incomplete), "{what}");
        }
        for response in ["", "0", "zz"] {
            let written = Written { response: response.into(), ..whole.clone() };
            assert_eq!(desk.register(&written), Err(Refusal::Wrong), "{response:?}");
        }
        assert!(desk.register(&whole).is_ok());
    }

    #[test]
    fn a_nonce_for_another_realm_is_not_taken() {
        let mut desk = Desk::open();
        let home = Arc::clone(&desk.company);
        desk.company = testing::company("globex", "globex.example", Vec::new());
        let theirs = desk.nonce();
        desk.company = home;
        assert_eq!(desk.register(&answer("221", "s3cret", &theirs, 1)), Err(Refusal::Stale));
    }

    #[test]
    fn credentials_for_another_uri_are_refused_and_spend_nothing() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        let written = answer("221", "s3cret", &nonce, 1);
        assert_eq!(desk.hear_for(PHONE, "REGISTER", UriMatch::Other, &written), Err(Refusal::WrongUri));
        assert!(desk.register(&written).is_ok());
        let mut changed = answer("221", "s3cret", &nonce, 2);
        changed.uri = "sip:globex.example".into();
        assert_eq!(desk.register(&changed), Err(Refusal::Wrong), "the digest covers it");
    }

    #[test]
    fn a_new_start_knows_none_of_the_old_nonces() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        let captured = answer("221", "s3cret", &nonce, 1);
        assert!(desk.register(&captured).is_ok());
        desk.digest = Digest::new([43; 32]);
        assert_eq!(desk.register(&captured), Err(Refusal::Stale));
    }

    /// A REGISTER for the Request-URI, with these lines.
    fn request(uri: &str, lines: &[String]) -> Request {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let text = format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:221@acme.example>;tag=1\r\nTo: <sip:221@acme.example>\r\nCall-ID: c1\r\n\
             CSeq: 1 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        match crate::sip::parse(text.into(), &crate::sip::Limits::default()) {
            Ok(crate::sip::Parsed::Request(request)) => request,
            other => panic!("the test's REGISTER is wrong: {other:?}"),
        }
    }

    /// A field with an honest answer for that `uri`.
    fn line(field: &str, realm: &str, nonce: &str, uri: &str) -> String {
        let a1 = sha256(format!("221:{realm}:s3cret"));
        let a2 = sha256(format!("REGISTER:{uri}"));
        let response = sha256(format!("{a1}:{nonce}:00000001:0a4f113b:auth:{a2}"));
        format!(
            "{field}: Digest username=\"221\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm=SHA-256, cnonce=\"0a4f113b\", qop=auth, nc=00000001"
        )
    }

    fn verify(desk: &mut Desk, asker: Asker, request: &Request) -> Result<String, Refusal> {
        let company = Arc::clone(&desk.company);
        let source = PHONE.parse().unwrap();
        let nowhere = |_: &UserId| Standing::Unproven;
        let verified = desk.digest.verify(desk.now, &company, desk.offer, asker, source, nowhere, request);
        verified.map(|proof| format!("{} of {}", proof.user().id, proof.company().name))
    }

    #[test]
    fn the_credentials_for_our_realm_are_found_among_others() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        let ours = line("Authorization", "acme.example", &nonce, URI);
        let others = ["Authorization: Basic dXNlcg==".into(), line("Authorization", "globex.example", &nonce, URI)];
        assert_eq!(verify(&mut desk, Asker::Server, &request(URI, &[])), Err(Refusal::NoCredentials));
        assert_eq!(verify(&mut desk, Asker::Server, &request(URI, &others)), Err(Refusal::NoCredentials));
        let all = request(URI, &[&others[..], &[ours]].concat());
        assert_eq!(verify(&mut desk, Asker::Proxy, &all), Err(Refusal::NoCredentials), "the other field");
        assert_eq!(verify(&mut desk, Asker::Server, &all), Ok("221@acme of acme".into()));
        assert_eq!(verify(&mut desk, Asker::Server, &all), Err(Refusal::Replayed));

        let nonce = desk.nonce();
        let proxy = request(URI, &[line("Proxy-Authorization", "acme.example", &nonce, URI)]);
        assert_eq!(verify(&mut desk, Asker::Proxy, &proxy), Ok("221@acme of acme".into()));
    }

    #[test]
    fn the_uri_may_be_written_otherwise_but_names_the_same() {
        let asked = "sip:222@acme.example:5060;transport=udp";
        for (written, verdict) in [
            (asked, Ok("221@acme of acme".to_owned())),
            ("sip:222@ACME.example:5060;transport=UDP", Ok("221@acme of acme".to_owned())),
            ("sip:222@acme.example", Ok("221@acme of acme".to_owned())),
            ("sip:2%322@acme.example", Ok("221@acme of acme".to_owned())),
            ("sip:223@acme.example:5060;transport=udp", Err(Refusal::WrongUri)),
            ("sip:acme.example", Err(Refusal::WrongUri)),
            ("sip:222@globex.example", Err(Refusal::WrongUri)),
            ("sips:222@acme.example", Err(Refusal::WrongUri)),
            ("/dir/index.html", Err(Refusal::WrongUri)),
            ("", Err(Refusal::WrongUri)),
        ] {
            let mut desk = Desk::open();
            let nonce = desk.nonce();
            let request = request(asked, &[line("Authorization", "acme.example", &nonce, written)]);
            assert_eq!(verify(&mut desk, Asker::Server, &request), verdict, "{written}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Digest::new([42; 32])), "Digest { remembered: 0, suspects: 0, .. }");
    }

    #[test]
    fn guesses_beyond_a_few_are_not_looked_at_and_hear_what_a_wrong_one_hears() {
        let mut desk = Desk::open();
        for name in ["221", "nobody", "223"] {
            let mut heard = Vec::new();
            for n in 0..20 {
                let nonce = desk.nonce();
                heard.push(desk.register(&answer(name, &format!("guess {n}"), &nonce, 1)).unwrap_err());
            }
            let unchecked = heard.iter().filter(|refusal| **refusal == Refusal::Unchecked).count();
            assert_eq!(unchecked, 12, "{name}: a wait follows the eighth: {heard:?}");
            assert!(heard.iter().all(|refusal| refusal.staleness() == Staleness::Fresh));
        }
        let nonce = desk.nonce();
        assert_eq!(desk.register(&answer("221", "s3cret", &nonce, 1)), Err(Refusal::Unchecked), "nor is the right one");
        let nonce = desk.nonces("198.51.100.1:5060").remove(0);
        let elsewhere = answer("221", "s3cret", &nonce, 1);
        assert!(desk.hear("198.51.100.1:5060", "REGISTER", &elsewhere).is_ok(), "the user, elsewhere, is not kept out");
        desk.now = desk.now + Duration::from_secs(64);
        let nonce = desk.nonce();
        assert!(desk.register(&answer("221", "s3cret", &nonce, 1)).is_ok(), "nor at the same address, a minute later");
    }

    #[test]
    fn an_answer_that_was_not_looked_at_spends_no_count() {
        let mut desk = Desk::open();
        let nonce = desk.nonce();
        for n in 0..20 {
            let _ = desk.register(&answer("221", &format!("guess {n}"), &nonce, 1 + n));
        }
        let right = answer("221", "s3cret", &nonce, 60);
        assert_eq!(desk.register(&right), Err(Refusal::Unchecked));
        assert_eq!(desk.digest.remembered(), 0);
        desk.now = desk.now + Duration::from_secs(64);
        assert!(desk.register(&right).is_ok());
    }

    #[test]
    fn forged_guesses_delay_nobody_who_receives_at_that_address() {
        let mut desk = Desk::open();
        for n in 0..100 {
            // What somebody sends who cannot read our challenges, from a source address that is the phone's.
            let forged = answer("221", &format!("guess {n}"), &"0".repeat(48), 1);
            assert!(desk.register(&forged).is_err());
        }
        let nonce = desk.nonce();
        assert!(desk.register(&answer("221", "s3cret", &nonce, 1)).is_ok());
    }
}
