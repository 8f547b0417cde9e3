//! A type of its own for every kind of name, so that one cannot be passed for another, and the engine's hash map.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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

/// One call of ours, from its first INVITE to its end. Never used twice in the life of an engine. (SIP's Call-ID is
/// the peers' name for something else: two calls may arrive under one Call-ID.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CallRef(pub u64);

impl fmt::Display for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("c{}", self.0))
    }
}

impl fmt::Debug for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One offer of a call to one user (or to an outside number), unique in its call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
