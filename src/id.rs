//! A type of its own for every kind of name, so that one cannot be passed for another, and the engine's hash map.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Takes the name as it is written.
            pub fn new(name: impl AsRef<str>) -> $type {
                $type(Arc::from(name.as_ref()))
            }

            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A company: the name of its file without `.toml`.
    CompanyId
}
name! {
    /// A department, unique in its company.
    DepartmentId
}
name! {
    /// A user's extension, unique in its company: 1–32 letters, digits, `.`, `_`, `-`.
    Extension
}
name! {
    /// A named schedule of a company.
    HoursId
}
name! {
    /// A trunk.
    TrunkId
}
name! {
    /// Whoever is behind one or more users: the one-call rule is about persons.
    PersonId
}

/// One user: an extension of a company. Written `221@acme`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    /// The company.
    pub company: CompanyId,
    /// The extension in it.
    pub extension: Extension,
}

impl UserId {
    /// The user with that extension in that company.
    pub fn new(company: &CompanyId, extension: &Extension) -> UserId {
        UserId { company: company.clone(), extension: extension.clone() }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.extension, self.company))
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UserId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<UserId, D::Error> {
        let text = String::deserialize(deserializer)?;
        // No extension has an @ in it.
        let (extension, company) = text.split_once('@').ok_or_else(|| serde::de::Error::custom("not EXT@COMPANY"))?;
        Ok(UserId { company: CompanyId::new(company), extension: Extension::new(extension) })
    }
}

/// One call of ours, from its first INVITE to its end. Never used twice in the life of a store: the upper bits say which
/// start of the daemon it began in, the lower ones count (see [`CallRef::at_start`]). Written `c17` in the first,
/// `c3-17` in the third. (SIP's Call-ID is the peers' name for something else: two calls may arrive under one Call-ID.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallRef(pub u64);

impl CallRef {
    /// Bits that count; those above say which start it was.
    const COUNTING: u32 = 40;

    /// The first number that calls of the `start`th start may have.
    pub fn at_start(start: u64) -> u64 {
        start.saturating_sub(1) << CallRef::COUNTING
    }
}

impl fmt::Display for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, count) = (self.0 >> CallRef::COUNTING, self.0 & ((1 << CallRef::COUNTING) - 1));
        match start {
            0 => f.pad(&format!("c{count}")),
            _ => f.pad(&format!("c{}-{count}", start + 1)),
        }
    }
}

impl std::str::FromStr for CallRef {
    type Err = ();

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<CallRef, ()> {
        let digits = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().map_err(|_| ()),
            false => Err(()),
        };
        let text = text.strip_prefix('c').ok_or(())?;
        let (start, count) = match text.split_once('-') {
            Some((start, count)) => (digits(start)?, digits(count)?),
            None => (1, digits(text)?),
        };
        if start == 0 || start > 1 << (64 - CallRef::COUNTING) || count >= 1 << CallRef::COUNTING {
            return Err(());
        }
        Ok(CallRef(CallRef::at_start(start) | count))
    }
}

impl fmt::Debug for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One offer of a call to one user (or to an outside number), unique in its call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OfferId(pub u32);

impl fmt::Debug for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offer {}", self.0)
    }
}

/// The engine's hash map: keyed hashing, so that a peer cannot choose keys that collide, under a key fixed by the
/// engine's seed, so that equal seeds give equal runs.
pub type Map<K, V> = std::collections::HashMap<K, V, ahash::RandomState>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_as_it_is_written() {
        for (start, count, text) in [(1, 17, "c17"), (3, 17, "c3-17"), (1, 0, "c0"), (1 << 24, 5, "c16777216-5")] {
            let call = CallRef(CallRef::at_start(start) | count);
            assert_eq!(call.to_string(), text);
            assert_eq!(text.parse(), Ok(call));
        }
        for text in ["", "c", "17", "c-1", "c0-1", "c16777217-1", "c+1", "c1-", "c1099511627776", "c1-2-3", "C1"] {
            assert_eq!(text.parse::<CallRef>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_user_is_read_as_it_is_written() {
        let user = UserId::new(&CompanyId::new("acme"), &Extension::new("asha.rao-2_1"));
        let json = serde_json::to_string(&user).unwrap();
        assert_eq!(json, "\"asha.rao-2_1@acme\"");
        assert_eq!(serde_json::from_str::<UserId>(&json).unwrap(), user);
        assert!(serde_json::from_str::<UserId>("\"acme\"").is_err());
    }
}
