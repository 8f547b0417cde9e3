//! Request methods (RFC 3261 §7.1): case-sensitive tokens, the known ones by name.

/// A request method. `Other` carries no text: read it from the message (`Request::method_bytes`).
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Register,
    Prack,
    Update,
    Info,
    Refer,
    Notify,
    Subscribe,
    Message,
    Publish,
    Other,
}

impl Method {
    /// The method with that exact name, else `Other`.
    pub fn from_bytes(name: &[u8]) -> Method {
        match name {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            b"CANCEL" => Method::Cancel,
            b"OPTIONS" => Method::Options,
            b"REGISTER" => Method::Register,
            b"PRACK" => Method::Prack,
            b"UPDATE" => Method::Update,
            b"INFO" => Method::Info,
            b"REFER" => Method::Refer,
            b"NOTIFY" => Method::Notify,
            b"SUBSCRIBE" => Method::Subscribe,
            b"MESSAGE" => Method::Message,
            b"PUBLISH" => Method::Publish,
            _ => Method::Other,
        }
    }

    /// Its name on the wire; `None` for `Other`.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Method::Invite => Some("INVITE"),
            Method::Ack => Some("ACK"),
            Method::Bye => Some("BYE"),
            Method::Cancel => Some("CANCEL"),
            Method::Options => Some("OPTIONS"),
            Method::Register => Some("REGISTER"),
            Method::Prack => Some("PRACK"),
            Method::Update => Some("UPDATE"),
            Method::Info => Some("INFO"),
            Method::Refer => Some("REFER"),
            Method::Notify => Some("NOTIFY"),
            Method::Subscribe => Some("SUBSCRIBE"),
            Method::Message => Some("MESSAGE"),
            Method::Publish => Some("PUBLISH"),
            Method::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Method; 14] = [
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Register,
        Method::Prack,
        Method::Update,
        Method::Info,
        Method::Refer,
        Method::Notify,
        Method::Subscribe,
        Method::Message,
        Method::Publish,
    ];

    #[test]
    fn every_known_method_is_found_by_its_name() {
        for method in KNOWN {
            let name = method.as_str().expect("a known method has a name");
            assert_eq!(Method::from_bytes(name.as_bytes()), method);
        }
    }

    #[test]
    fn names_are_case_sensitive_and_whole() {
        for name in ["invite", "Invite", "INVIT", "INVITES", "", " ACK", "NEWMETHOD"] {
            assert_eq!(Method::from_bytes(name.as_bytes()), Method::Other, "{name}");
        }
        assert_eq!(Method::Other.as_str(), None);
    }
}
