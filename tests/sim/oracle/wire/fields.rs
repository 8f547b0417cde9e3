//! Header fields of the simulator's own reader as the index needs them: lists, Vias, and whether a message can be read in one way only.

use super::super::super::text::{Message, Name, parameter};

/// The Via values, topmost first.
pub fn vias(message: &Message) -> impl Iterator<Item = &str> {
    values(message, Name::Via)
}

/// The values of a header field that is a list.
pub fn values(message: &Message, name: Name) -> impl Iterator<Item = &str> {
    message.all(name).flat_map(split)
}

/// Commas stand between values where they are neither quoted nor within `<>`.
fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut enclosed) = (false, false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'<' if !quoted => enclosed = true,
                b'>' if !quoted => enclosed = false,
                b',' if !quoted && !enclosed => {
                    rest = Some(&text[at + 1..]);
                    return Some(text[..at].trim());
                }
                _ => {}
            }
        }
        rest = None;
        Some(text.trim())
    })
}

/// Host and port of a Via, as written.
pub fn sent_by(via: &str) -> &str {
    let behind = via.split_once(' ').map_or("", |(_, behind)| behind);
    behind.split(';').next().unwrap_or_default().trim()
}

/// Whether every reader must read it alike: each field that may be there once is there once, lengths agree, nothing is odd.
pub(super) fn is_plain(message: &Message) -> bool {
    let head = &message.bytes[..message.body];
    let breaks = head.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
    // A CRLF behind the first line, behind each field, and the empty one.
    if breaks != 2 * (message.fields.len() + 2) {
        return false;
    }
    let once = |name: Name| message.all(name).count() == 1;
    if ![Name::From, Name::To, Name::CallId, Name::CSeq].into_iter().all(once) {
        return false;
    }
    let Some((number, method)) = message.cseq() else { return false };
    let odd = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte));
    let names_fit = message.fields.iter().all(|field| {
        let line = &message.bytes[field.line.clone()];
        // RFC 3261 §25.1 HCOLON: there may be room in front of the colon.
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii_end();
        !name.is_empty() && !name.iter().any(odd)
    });
    let length = match message.all(Name::ContentLength).count() {
        0 => true,
        1 => {
            let length = message.first(Name::ContentLength).and_then(|length| length.parse::<usize>().ok());
            length.is_some_and(|length| length <= message.body().len())
        }
        _ => false,
    };
    let forwards = match message.all(Name::MaxForwards).count() {
        0 => true,
        1 => message.first(Name::MaxForwards).is_some_and(|hops| hops.parse::<u8>().is_ok()),
        _ => false,
    };
    let status = message.status().is_none_or(|status| (100..700).contains(&status));
    let via = vias(message).next().is_some();
    let vias = vias(message)
        .all(|via| via.starts_with("SIP/2.0/UDP ") && !sent_by(via).is_empty() && parameter(via, "branch").is_some());
    // What a peer was told bent, and repeats, is no token perhaps.
    let token = |value: Option<&str>| value.is_none_or(|value| !value.is_empty() && !value.as_bytes().iter().any(odd));
    let written = |name: Name| message.first(name).and_then(|value| value.rsplit_once(";tag=")).map(|(_, tag)| tag);
    let ends = |tag: Option<&str>| tag.map(|tag| tag.split(';').next().unwrap_or_default().trim().to_owned());
    let (from, to) = (ends(written(Name::From)), ends(written(Name::To)));
    let tokens = token(message.branch()) && token(from.as_deref()) && token(to.as_deref());
    let tag = tokens && message.from_tag().is_some_and(|tag| !tag.is_empty());
    let to = message.first(Name::To).is_some_and(|to| to.contains("sip:"));
    let same = message.method().is_none_or(|own| own == method);
    number < 1 << 31
        && names_fit
        && length
        && forwards
        && status
        && via
        && vias
        && tag
        && to
        && same
        && !message.call_id().is_empty()
}
