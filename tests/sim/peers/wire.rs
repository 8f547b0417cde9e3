//! Reading what the peers need of a message beyond `text`: header fields it has no name for, addresses in URIs, route sets.

use std::net::SocketAddr;

use super::super::text::{Message, Name};

/// The values of all lines of a header field that [`Name`] does not list, by its long and its compact form.
pub fn all<'a>(message: &'a Message, long: &'a str, compact: &'a str) -> impl Iterator<Item = &'a str> {
    message.fields.iter().filter(|field| field.name == Name::Other).filter_map(move |field| {
        let (name, _) = message.text(field.line.clone()).split_once(':')?;
        let name = name.trim_end();
        let is_it = name.eq_ignore_ascii_case(long) || (!compact.is_empty() && name.eq_ignore_ascii_case(compact));
        is_it.then(|| message.text(field.value.clone()))
    })
}

/// Session-Expires: seconds, and who refreshes (RFC 4028 §4).
pub fn session(message: &Message) -> Option<(u64, Option<&str>)> {
    let value = all(message, "Session-Expires", "x").next()?;
    let seconds = value.split(';').next()?.trim().parse().ok()?;
    Some((seconds, super::super::text::parameter(value, "refresher")))
}

/// The values of Record-Route, in the order written.
pub fn record_routes(message: &Message) -> Vec<String> {
    message.all(Name::RecordRoute).flat_map(values).map(str::to_owned).collect()
}

/// The values of a line, split at commas outside `<…>`.
pub fn values(line: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    line.split(move |character| {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            _ => {}
        }
        character == ',' && !inside
    })
    .map(str::trim)
    .filter(|value| !value.is_empty())
}

/// A Contact value's URI, and its parameters: an instance among these stands in angle brackets too.
pub fn parts(value: &str) -> (&str, &str) {
    let bracketed = value.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    bracketed.unwrap_or_else(|| value.split_at(value.find(';').unwrap_or(value.len())))
}

/// The URI of the first Contact.
pub fn contact(message: &Message) -> Option<String> {
    message.first(Name::Contact).and_then(|line| values(line).next()).map(|value| parts(value).0.to_owned())
}

/// Where a URI with an address for a host leads.
pub fn address(uri: &str) -> Option<SocketAddr> {
    let rest = uri.strip_prefix("sip:")?;
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    let host = host.split([';', '?', '>']).next()?;
    host.parse().ok().or_else(|| host.parse().ok().map(|ip| SocketAddr::new(ip, 5060)))
}

/// Host and port in a Via value, as written.
pub fn sent_by(via: &str) -> &str {
    via.split(';').next().and_then(|first| first.trim().rsplit(' ').next()).unwrap_or_default()
}
