//! The simulator's own reader of SIP messages: what phones, trunks and the oracle see of a datagram. It shares nothing with
//! `src/sip`, reads only what is written plainly (one header a line, CRLF), and keeps the bytes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

/// The header fields that somebody here asks for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    Route,
    RecordRoute,
    MaxForwards,
    ContentLength,
    Expires,
    MinExpires,
    Authorization,
    WwwAuthenticate,
    Reason,
    RetryAfter,
    RSeq,
    Require,
    Other,
}

const NAMES: [(&str, Name); 24] = [
    ("via", Name::Via),
    ("v", Name::Via),
    ("from", Name::From),
    ("f", Name::From),
    ("to", Name::To),
    ("t", Name::To),
    ("call-id", Name::CallId),
    ("i", Name::CallId),
    ("cseq", Name::CSeq),
    ("contact", Name::Contact),
    ("m", Name::Contact),
    ("route", Name::Route),
    ("record-route", Name::RecordRoute),
    ("max-forwards", Name::MaxForwards),
    ("content-length", Name::ContentLength),
    ("l", Name::ContentLength),
    ("expires", Name::Expires),
    ("min-expires", Name::MinExpires),
    ("authorization", Name::Authorization),
    ("www-authenticate", Name::WwwAuthenticate),
    ("reason", Name::Reason),
    ("retry-after", Name::RetryAfter),
    ("rseq", Name::RSeq),
    ("require", Name::Require),
];

/// A header line.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: Name,
    /// Where its whole line is, without the CRLF.
    pub line: Range<usize>,
    /// Where its value is, trimmed.
    pub value: Range<usize>,
}

/// The first line.
#[derive(Clone, Debug)]
pub enum Start {
    Request { method: Range<usize>, uri: Range<usize> },
    Response { status: u16 },
}

/// A message as it was on the wire.
#[derive(Clone, Debug)]
pub struct Message {
    pub bytes: Bytes,
    pub start: Start,
    pub fields: Vec<Field>,
    /// Where the body begins.
    pub body: usize,
}

impl Message {
    /// Reads a datagram; `None` for what is no plainly written message. A value that is no UTF-8 is as good as empty.
    pub fn read(bytes: &Bytes) -> Option<Message> {
        let line_end = |from: usize| from.checked_add(position(bytes.get(from..)?, b"\r\n")?);
        let first = line_end(0)?;
        let line = &bytes[..first];
        let start = match line.strip_prefix(b"SIP/2.0 ") {
            Some(rest) => Start::Response { status: std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()? },
            None => {
                let method = position(line, b" ")?;
                let uri = method + 1 + position(&line[method + 1..], b" ")?;
                if &line[uri..] != b" SIP/2.0" {
                    return None;
                }
                Start::Request { method: 0..method, uri: method + 1..uri }
            }
        };
        let (mut fields, mut at) = (Vec::with_capacity(16), first + 2);
        loop {
            let end = line_end(at)?;
            if end == at {
                return Some(Message { bytes: bytes.clone(), start, fields, body: end + 2 });
            }
            let colon = at + position(&bytes[at..end], b":")?;
            let name = bytes[at..colon].trim_ascii_end();
            let known = NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
            let name = known.map_or(Name::Other, |(_, name)| *name);
            let value = &bytes[colon + 1..end];
            let begin = colon + 1 + (value.len() - value.trim_ascii_start().len());
            fields.push(Field { name, line: at..end, value: begin..begin + value.trim_ascii().len() });
            at = end + 2;
        }
    }

    /// The text in a range of it.
    pub fn text(&self, range: Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[range]).unwrap_or_default()
    }

    /// A request's method.
    pub fn method(&self) -> Option<&str> {
        match &self.start {
            Start::Request { method, .. } => Some(self.text(method.clone())),
            Start::Response { .. } => None,
        }
    }

    /// A request's Request-URI.
    pub fn request_uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => Some(self.text(uri.clone())),
            Start::Response { .. } => None,
        }
    }

    /// A response's status.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status } => Some(status),
            Start::Request { .. } => None,
        }
    }

    pub fn is(&self, method: &str) -> bool {
        self.method() == Some(method)
    }

    /// The value of the first header line of that name.
    pub fn first(&self, name: Name) -> Option<&str> {
        self.all(name).next()
    }

    /// The same, with U+FFFD for what is no text.
    pub fn lossy(&self, name: Name) -> Option<Cow<'_, str>> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(String::from_utf8_lossy(&self.bytes[field.value.clone()]))
    }

    /// The values of all header lines of that name.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| self.text(field.value.clone()))
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        parameter(self.first(Name::Via)?, "branch")
    }

    pub fn call_id(&self) -> &str {
        self.first(Name::CallId).unwrap_or_default()
    }

    pub fn from_tag(&self) -> Option<&str> {
        tag(self.first(Name::From)?)
    }

    pub fn to_tag(&self) -> Option<&str> {
        tag(self.first(Name::To)?)
    }

    /// CSeq's number and method.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.first(Name::CSeq)?.split_once(' ')?;
        Some((number.parse().ok()?, method.trim()))
    }

    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body..]
    }

    /// `INVITE sip:221@…` or `180`.
    pub fn label(&self) -> String {
        match &self.start {
            Start::Request { method, uri } => format!("{} {}", self.text(method.clone()), self.text(uri.clone())),
            Start::Response { status } => {
                format!("{status} ({})", self.cseq().map_or("?", |(_, method)| method))
            }
        }
    }
}

/// Where some bytes begin in others.
fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, part)
}

/// The tag of a From or To value: a parameter behind the name-addr or addr-spec.
pub fn tag(value: &str) -> Option<&str> {
    let behind = value.rfind('>').map_or(value, |at| &value[at..]);
    parameter(behind, "tag")
}

/// A parameter's value, in a value whose parameters are separated by semicolons.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The URI within `<…>`, else the whole value up to its parameters. A display name in quotes is passed over.
pub fn uri(value: &str) -> &str {
    let behind = match value.trim_start().strip_prefix('"') {
        Some(quoted) => quoted.find("\" <").map_or(value, |end| &quoted[end + 1..]),
        None => value,
    };
    match behind.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => behind.split(';').next().unwrap_or_default().trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_in_angle_brackets_is_not_part_of_the_uri() {
        let contact = "\"A > B\" <sip:221@192.0.2.1:5060>;+sip.instance=\"<urn:uuid:1>\"";
        assert_eq!(uri(contact), "sip:221@192.0.2.1:5060");
        assert_eq!(uri("sip:221@192.0.2.1;tag=1"), "sip:221@192.0.2.1");
    }
}
