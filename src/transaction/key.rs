//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3).
//!
//! A key is one run of owned bytes in which every part stands behind its length, so that two keys are equal only if all
//! their parts are. No hash is kept in it: only the table knows a secret to hash under (`crate::id::Map`), and one that a
//! peer can compute is one it can collide.

use smallvec::SmallVec;

use crate::sip::{Host, Message, Method, Name, Request, Via};

/// RFC 3261 §8.1.1.7: a branch that begins so is unique by itself.
const COOKIE: &[u8] = b"z9hG4bK";

const INVITE: &[u8] = b"INVITE";

/// Where the sender of a Via that names no port listens (RFC 3261 §18.2.2, over UDP and TCP).
const DEFAULT_PORT: u16 = 5060;

/// A server transaction's name: branch, sent-by and method, or what RFC 2543 left instead.
///
/// Branches, hosts and (in RFC 2543's case) tags, Via and the like compare without regard to case, as parameters and
/// fields do where nothing else is said (RFC 3261 §7.3.1); Call-IDs, methods and Request-URIs byte for byte. (§19.1.4
/// would let a copy spell its Request-URI differently; copies are copies, and no table can look that up.)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerKey(Parts);

impl ServerKey {
    /// The key of the transaction a request belongs to, or creates. An ACK's is that of its INVITE.
    pub fn of(request: &Request) -> ServerKey {
        // RFC 3261 §17.2.3: the method is that of the request that made the transaction, but for ACK, where it is INVITE.
        let method = if request.method() == Method::Ack { INVITE } else { request.method_bytes() };
        ServerKey::with_method(request, method)
    }

    /// The key of the INVITE transaction that a CANCEL is about (RFC 3261 §9.2). The CANCEL's own is [`ServerKey::of`].
    pub fn of_invite_for_cancel(cancel: &Request) -> ServerKey {
        ServerKey::with_method(cancel, INVITE)
    }

    /// The key of a request that cannot be read, by what an answer to it would be known by: the topmost Via and CSeq's method (RFC
    /// 3261 §17.1.3). `None` where no branch is left that is unique by itself.
    pub fn of_damaged(request: &Message) -> Option<ServerKey> {
        let via = Via::parse(request.list(Name::Via).next()?).ok()?;
        let named = request.value(Name::Cseq)?.rsplit(u8::is_ascii_whitespace).next()?;
        let method = if named == b"ACK" { INVITE } else { named };
        Some(ServerKey::by_branch(method, unique_branch(via.branch())?, via.host, via.port))
    }

    /// Whether it was made by RFC 2543's rules.
    ///
    /// Such a key leaves the To tag of INVITE and ACK out, as they differ. Before an ACK is given to the transaction, its
    /// To tag must be compared with that of the response sent (RFC 3261 §17.2.3); if it differs, it does not match.
    pub fn is_rfc2543(&self) -> bool {
        self.0.bytes.first() == Some(&RFC_2543)
    }

    fn with_method(request: &Request, method: &[u8]) -> ServerKey {
        let via = request.top_via();
        match unique_branch(via.branch()) {
            Some(branch) => ServerKey::by_branch(method, branch, via.host, via.port),
            None => ServerKey::by_rfc2543(
                method,
                &Likeness {
                    uri: request.uri().text,
                    from_tag: request.from_tag(),
                    to_tag: request.to_tag(),
                    call_id: request.call_id(),
                    cseq: request.cseq().number,
                    via: via.text,
                },
            ),
        }
    }

    fn by_branch(method: &[u8], branch: &[u8], host: Host<'_>, port: Option<u16>) -> ServerKey {
        let mut parts = Parts::new(RFC_3261);
        parts.push_folded(branch);
        parts.push_host(host);
        parts.push(&port.unwrap_or(DEFAULT_PORT).to_be_bytes());
        parts.push(method);
        ServerKey(parts)
    }

    fn by_rfc2543(method: &[u8], like: &Likeness<'_>) -> ServerKey {
        let mut parts = Parts::new(RFC_2543);
        parts.push(method);
        parts.push(like.uri);
        parts.push_folded(like.from_tag);
        parts.push(like.call_id);
        parts.push(&like.cseq.to_be_bytes());
        parts.push_via(like.via);
        if method != INVITE {
            parts.push_folded(like.to_tag);
        }
        ServerKey(parts)
    }
}

/// What two requests without a unique branch are compared by (RFC 3261 §17.2.3).
#[derive(Clone, Copy)]
struct Likeness<'a> {
    uri: &'a [u8],
    from_tag: &'a [u8],
    to_tag: &'a [u8],
    call_id: &'a [u8],
    cseq: u32,
    via: &'a [u8],
}

/// What two requests share that are one request come by two ways (RFC 3261 §8.2.2.2): From tag, Call-ID and CSeq. Means
/// something only for requests without a To tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MergeKey(Parts);

impl MergeKey {
    /// A request's.
    pub fn of(request: &Request) -> MergeKey {
        let mut parts = Parts::new(RFC_3261);
        parts.push_folded(request.from_tag());
        parts.push(request.call_id());
        parts.push(&request.cseq().number.to_be_bytes());
        parts.push(request.method_bytes());
        MergeKey(parts)
    }
}

/// The branch, where it is unique by itself. RFC 3261 §17.2.3: one that is the cookie and nothing else is not.
fn unique_branch(branch: Option<&[u8]>) -> Option<&[u8]> {
    let branch = branch?;
    let (cookie, rest) = branch.split_at_checked(COOKIE.len())?;
    (cookie.eq_ignore_ascii_case(COOKIE) && !rest.is_empty()).then_some(branch)
}

/// First byte of a key that was made by RFC 3261's rules …
const RFC_3261: u8 = 1;
/// … and by RFC 2543's.
const RFC_2543: u8 = 2;

/// Byte strings in a row, each behind its length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Parts {
    bytes: SmallVec<[u8; 88]>,
}

impl Parts {
    fn new(rules: u8) -> Parts {
        Parts { bytes: smallvec::smallvec![rules] }
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(&part.len().to_be_bytes());
        self.bytes.extend_from_slice(part);
    }

    fn push_folded(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(&part.len().to_be_bytes());
        self.bytes.extend(part.iter().map(u8::to_ascii_lowercase));
    }

    fn push_host(&mut self, host: Host<'_>) {
        match host {
            Host::Name(name) => {
                self.push(b"name");
                self.push_folded(name);
            }
            Host::V4(address) => {
                self.push(b"v4");
                self.push(&address.octets());
            }
            Host::V6(address) => {
                self.push(b"v6");
                self.push(&address.octets());
            }
        }
    }

    /// A whole Via value, but for case and white space: a copy may have been folded otherwise on its way.
    fn push_via(&mut self, via: &[u8]) {
        let text: SmallVec<[u8; 128]> = via.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        self.push_folded(&text);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn name(text: &str) -> Host<'_> {
        Host::Name(text.as_bytes())
    }

    fn invite(branch: &[u8], host: Host<'_>, port: Option<u16>) -> ServerKey {
        ServerKey::by_branch(INVITE, branch, host, port)
    }

    const OLD: Likeness<'_> = Likeness {
        uri: b"sip:bob@b.example",
        from_tag: b"f1",
        to_tag: b"",
        call_id: b"abc@a.example",
        cseq: 7,
        via: b"SIP/2.0/UDP a.example:5060;branch=1",
    };

    /// Corner case 13. RFC 3261 §17.2.3 and §7.3.1.
    #[test]
    fn case_and_the_default_port_do_not_make_another_transaction() {
        let key = invite(b"z9hG4bKabc", name("Phone.Example"), None);
        assert_eq!(key, invite(b"z9hG4bKABC", name("phone.example"), Some(5060)));
        assert_ne!(key, invite(b"z9hG4bKabd", name("phone.example"), None));
        assert_ne!(key, ServerKey::by_branch(b"invite", b"z9hG4bKabc", name("phone.example"), None));
        assert!(!key.is_rfc2543());
    }

    /// Corner case 14. RFC 3261 §17.2.3: sent-by guards against clients that chose the same branch.
    #[test]
    fn the_same_branch_from_another_sender_is_another_transaction() {
        let key = invite(b"z9hG4bK1", Host::V4(Ipv4Addr::new(97, 98, 99, 100)), None);
        assert_ne!(key, invite(b"z9hG4bK1", Host::V4(Ipv4Addr::new(97, 98, 99, 101)), None));
        assert_ne!(key, invite(b"z9hG4bK1", Host::V4(Ipv4Addr::new(97, 98, 99, 100)), Some(5061)));
        assert_ne!(key, invite(b"z9hG4bK1", name("abcd"), None), "a name is not the address of the same bytes");
        assert_ne!(key, invite(b"z9hG4bK1", Host::V6(Ipv6Addr::LOCALHOST), None));
    }

    #[test]
    fn parts_cannot_flow_into_each_other() {
        assert_ne!(invite(b"z9hG4bK1a", name("b"), None), invite(b"z9hG4bK1", name("ab"), None));
    }

    /// Corner case 13. RFC 3261 §17.2.3: a branch that is missing, other, or the cookie alone says nothing.
    #[test]
    fn only_a_cookie_with_something_behind_it_is_a_unique_branch() {
        assert_eq!(unique_branch(None), None);
        for branch in ["", "1", "z9hG4b", "z9hG4bK", "xz9hG4bK1"] {
            assert_eq!(unique_branch(Some(branch.as_bytes())), None, "{branch}");
        }
        for branch in ["z9hG4bK1", "Z9HG4BK1"] {
            assert_eq!(unique_branch(Some(branch.as_bytes())), Some(branch.as_bytes()));
        }
    }

    /// Corner case 13. RFC 3261 §17.2.3, the rules for RFC 2543: every one of them separates.
    #[test]
    fn without_the_cookie_all_of_rfc_2543_s_fields_count() {
        let key = ServerKey::by_rfc2543(INVITE, &OLD);
        assert!(key.is_rfc2543());
        for other in [
            Likeness { uri: b"sip:carol@b.example", ..OLD },
            Likeness { from_tag: b"f2", ..OLD },
            Likeness { call_id: b"ABC@a.example", ..OLD },
            Likeness { cseq: 8, ..OLD },
            Likeness { via: b"SIP/2.0/UDP a.example:5060;branch=2", ..OLD },
        ] {
            assert_ne!(key, ServerKey::by_rfc2543(INVITE, &other));
        }
        assert_ne!(key, ServerKey::by_rfc2543(b"BYE", &OLD));
        assert_eq!(
            key,
            ServerKey::by_rfc2543(INVITE, &Likeness { via: b"SIP/2.0/udp  A.example:5060 ;branch=1", ..OLD })
        );
    }

    /// RFC 3261 §17.2.3: an old ACK carries the To tag of the response, which the INVITE had not.
    #[test]
    fn an_rfc_2543_ack_finds_its_invite_by_all_but_the_to_tag() {
        let ack = Likeness { to_tag: b"t1", ..OLD };
        assert_eq!(ServerKey::by_rfc2543(INVITE, &OLD), ServerKey::by_rfc2543(INVITE, &ack));
        assert_ne!(ServerKey::by_rfc2543(b"BYE", &OLD), ServerKey::by_rfc2543(b"BYE", &ack));
    }
}
