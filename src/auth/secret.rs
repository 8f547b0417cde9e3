//! What a user's phones prove themselves with: H(A1) (RFC 7616 §3.4.2) for each algorithm, never the password.

use std::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::hex;

/// H(A1) = H(extension ":" domain ":" password). Its `Debug` shows nothing of it.
///
/// Equality is for comparing two versions of the configuration; what a peer sends is never compared with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// SHA-256 over A1.
    pub(super) sha256: Option<[u8; 32]>,
    /// MD5 over A1.
    pub(super) md5: Option<[u8; 16]>,
}

impl Secret {
    /// No secret: nobody can prove to be this user.
    pub const NONE: Secret = Secret { sha256: None, md5: None };

    /// From a password in the clear. `domain` is hashed as it is given: the company's, in lower case, which is the
    /// realm that challenges carry.
    pub fn from_password(extension: &str, domain: &str, password: &str) -> Secret {
        let a1 = [extension, domain, password].join(":");
        Secret { sha256: Some(Sha256::digest(&a1).into()), md5: Some(Md5::digest(&a1).into()) }
    }

    /// From the hexadecimal digests that `switchboard passwd` prints; `None` where one is not of its length or not hexadecimal.
    pub fn from_hex(sha256: Option<&str>, md5: Option<&str>) -> Option<Secret> {
        let sha256 = sha256.map(|text| hex::read(text.as_bytes()).ok_or(())).transpose().ok()?;
        let md5 = md5.map(|text| hex::read(text.as_bytes()).ok_or(())).transpose().ok()?;
        Some(Secret { sha256, md5 })
    }

    /// The digests in lower-case hexadecimal (SHA-256, MD5), for `switchboard passwd` alone.
    pub fn to_hex(&self) -> (Option<String>, Option<String>) {
        (self.sha256.map(|digest| hex::text(&digest)), self.md5.map(|digest| hex::text(&digest)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_becomes_h_a1_of_both_algorithms() {
        // The A1 of RFC 7616 §3.9.1.
        let secret = Secret::from_password("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(
            secret.to_hex(),
            (
                Some("7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232".into()),
                Some("3d78807defe7de2157e2b0b6573a855f".into())
            )
        );
    }

    #[test]
    fn hexadecimal_is_read_back_in_any_case() {
        let secret = Secret::from_password("221", "acme.example", "s3cret");
        let (sha256, md5) = secret.to_hex();
        assert_eq!(Secret::from_hex(sha256.as_deref(), md5.as_deref()), Some(secret.clone()));
        let upper = sha256.map(|text| text.to_uppercase());
        assert_eq!(Secret::from_hex(upper.as_deref(), md5.as_deref()), Some(secret));
        assert_eq!(Secret::from_hex(None, None), Some(Secret::NONE));
    }

    #[test]
    fn digests_of_another_length_or_alphabet_are_refused() {
        let right = "3d78807defe7de2157e2b0b6573a855f";
        assert!(Secret::from_hex(None, Some(right)).is_some());
        assert!(Secret::from_hex(Some(right), None).is_none(), "an MD5 digest in SHA-256's place");
        assert!(Secret::from_hex(None, Some(&right[1..])).is_none(), "one digit short");
        assert!(Secret::from_hex(None, Some(&format!("{right}0"))).is_none(), "one digit over");
        assert!(Secret::from_hex(None, Some(&right.replace('d', "g"))).is_none(), "not hexadecimal");
        assert!(Secret::from_hex(None, Some("")).is_none(), "empty");
        assert!(Secret::from_hex(None, Some(&"é".repeat(16))).is_none(), "not ASCII");
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?}", Secret::from_password("221", "acme.example", "s3cret"));
        assert_eq!(shown, "Secret(…)");
    }
}
