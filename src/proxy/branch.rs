//! Our branch ids (RFC 3261 §16.6 item 8): the cookie, a token that finds the transaction, and the loop key.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher};

use crate::sip::{Name, Request};

const COOKIE: &[u8] = b"z9hG4bK";
const TOKEN_DIGITS: usize = 16;
const LOOP_DIGITS: usize = 8;

/// What a request is recognised by when it comes back to us (RFC 3261 §16.3 item 4, RFC 5393 §4.2.2): equal keys are a
/// loop, different ones a spiral.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct LoopKey(pub u32);

impl LoopKey {
    /// The key of a request as it arrived.
    pub fn of(request: &Request, hashing: &ahash::RandomState) -> LoopKey {
        // RFC 5393 §4.2.2: the Request-URI and everything else that decides where the request goes, and what tells one
        // request from another (tags, Call-ID, CSeq number).
        let mut hasher = hashing.build_hasher();
        let mut add = |part: &[u8]| {
            hasher.write_usize(part.len());
            hasher.write(part);
        };
        add(request.uri().text);
        add(request.from_tag());
        add(request.to_tag());
        add(request.call_id());
        add(&request.cseq().number.to_be_bytes());
        for name in [Name::Route, Name::ProxyRequire, Name::ProxyAuthorization] {
            for line in request.lines(name) {
                add(line);
            }
        }
        let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
        LoopKey(u32::from_be_bytes([a, b, c, d]))
    }
}

/// One of our branch ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Branch {
    /// Unique: drawn at random for every branch.
    pub token: u64,
    /// Of the request that was forwarded.
    pub loop_key: LoopKey,
}

impl Branch {
    /// The id as Via carries it.
    pub fn write(self, out: &mut String) {
        // Writing into a String cannot fail.
        let _ = write!(out, "z9hG4bK{:016x}{:08x}", self.token, self.loop_key.0);
    }

    /// Reads an id of the form we write; anything else is not ours.
    pub fn read(text: &[u8]) -> Option<Branch> {
        let digits = text.strip_prefix(COOKIE)?;
        if digits.len() != TOKEN_DIGITS + LOOP_DIGITS {
            return None;
        }
        let (token, loop_key) = digits.split_at(TOKEN_DIGITS);
        let loop_key = u32::try_from(hexadecimal(loop_key)?).ok()?;
        Some(Branch { token: hexadecimal(token)?, loop_key: LoopKey(loop_key) })
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(16)?;
        value = (value << 4) | u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_reads_back_as_written() {
        let branch = Branch { token: 0x0123_4567_89ab_cdef, loop_key: LoopKey(0xfedc_ba98) };
        let mut text = String::new();
        branch.write(&mut text);
        assert_eq!(text, "z9hG4bK0123456789abcdeffedcba98");
        assert_eq!(Branch::read(text.as_bytes()), Some(branch));
    }

    #[test]
    fn what_we_did_not_write_is_not_ours() {
        for text in ["", "z9hG4bK", "z9hG4bK0123456789abcdeffedcba9", "z9hG4bK0123456789abcdeffedcba98x", "390skdjuw"] {
            assert_eq!(Branch::read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Branch::read(b"z9hG4bKg123456789abcdeffedcba98"), None, "g is no digit");
    }
}
