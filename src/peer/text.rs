//! What the peers need to read from a message, through `rsip`, and the few words it writes wrongly.
//!
//! A message counts as readable only if rsip can also read its Via, From, To, CSeq, Contact and Record-Route as
//! typed values: that is the second opinion this room exists for. What has to be echoed byte for byte (Route sets,
//! Via lists, tags' surroundings) is then taken from the text, because rsip does not always write what it read.

use std::net::{IpAddr, SocketAddr};

use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::HasHeaders;
use rsip::{Header, Headers, Method, SipMessage};

/// What every message has, read once.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) message: SipMessage,
    pub(super) call_id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) from_tag: String,
    pub(super) to_tag: Option<String>,
    pub(super) sequence: u32,
    pub(super) method: Method,
    pub(super) branch: String,
    /// The topmost Via value, as written.
    pub(super) via: String,
    /// The URI of the first Contact, without brackets.
    pub(super) contact: Option<String>,
    /// Record-Route values in order, with their brackets.
    pub(super) record_routes: Vec<String>,
    /// The Request-URI as written; empty in a response.
    pub(super) request_uri: String,
}

/// Reads a datagram; `None` where rsip cannot.
pub(super) fn read(bytes: &[u8]) -> Option<Reading> {
    let message = SipMessage::try_from(bytes).ok()?;
    let headers = message.headers();
    let (mut via, mut from, mut to, mut call_id, mut sequence) = (None, None, None, None, None);
    let (mut contact, mut record_routes) = (None, Vec::new());
    for header in headers.iter() {
        match header {
            Header::Via(value) if via.is_none() => via = Some(value),
            Header::From(value) => from = Some(value),
            Header::To(value) => to = Some(value),
            Header::CallId(value) => call_id = Some(value),
            Header::CSeq(value) => sequence = Some(value.typed().ok()?),
            // `Contact: *` is a registration's wildcard, not an address.
            Header::Contact(value) if contact.is_none() && value.value().trim() != "*" => {
                let first = list(value.value()).into_iter().next()?;
                rsip::headers::Contact::new(first.clone()).typed().ok()?;
                contact = Some(uri_of(&first));
            }
            Header::RecordRoute(value) => {
                value.typed().ok()?;
                record_routes.extend(list(value.value()));
            }
            _ => {}
        }
    }
    let (via, from, to, sequence) = (via?, from?, to?, sequence?);
    let branch = via.typed().ok()?.branch()?.value().to_owned();
    let from_tag = from.typed().ok()?.tag().map(|tag| tag.value().to_owned()).unwrap_or_default();
    let to_tag = to.typed().ok()?.tag().map(|tag| tag.value().to_owned());
    let request_uri = match &message {
        SipMessage::Request(_) => start_line_word(bytes, 1)?,
        SipMessage::Response(_) => String::new(),
    };
    Some(Reading {
        call_id: call_id?.value().trim().to_owned(),
        from: from.value().trim().to_owned(),
        to: to.value().trim().to_owned(),
        from_tag,
        to_tag,
        sequence: sequence.seq,
        method: sequence.method,
        branch,
        via: list(via.value()).into_iter().next()?,
        contact,
        record_routes,
        request_uri,
        message,
    })
}

impl Reading {
    pub(super) fn headers(&self) -> &Headers {
        self.message.headers()
    }

    /// The first field of that name that rsip has no type for (Reason, P-Asserted-Identity, …).
    pub(super) fn other(&self, name: &str) -> Option<String> {
        self.headers().iter().find_map(|header| match header {
            Header::Other(other, value) if other.eq_ignore_ascii_case(name) => Some(value.trim().to_owned()),
            _ => None,
        })
    }

    /// Every Via line, to be echoed (RFC 3261 §8.2.6.2), the topmost told where it came from (RFC 3581 §4).
    pub(super) fn vias_for_response(&self, from: SocketAddr) -> Vec<Header> {
        let mut lines: Vec<String> = self
            .headers()
            .iter()
            .filter_map(|header| match header {
                Header::Via(via) => Some(via.value().to_owned()),
                _ => None,
            })
            .collect();
        if let Some(first) = lines.first_mut() {
            *first = first.replacen(&self.via, &received(&self.via, from), 1);
        }
        lines.into_iter().map(|line| rsip::headers::Via::new(line).into()).collect()
    }

    /// Where a response goes: RFC 3581 §4 with rport, RFC 3261 §18.2.2 without.
    pub(super) fn reply_to(&self, from: SocketAddr) -> SocketAddr {
        if has_param(&self.via, "rport") {
            return from;
        }
        let sent_by = self.via.split_whitespace().nth(1).unwrap_or_default();
        let sent_by = sent_by.split(';').next().unwrap_or_default();
        let port = sent_by.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(5060);
        SocketAddr::new(from.ip(), port)
    }
}

fn received(via: &str, from: SocketAddr) -> String {
    let mut parts: Vec<String> = via.split(';').map(str::to_owned).collect();
    let mut asked = false;
    for part in &mut parts {
        if part.trim().eq_ignore_ascii_case("rport") {
            *part = format!("rport={}", from.port());
            asked = true;
        }
    }
    if asked {
        parts.push(format!("received={}", from.ip()));
    }
    parts.join(";")
}

fn has_param(value: &str, name: &str) -> bool {
    value.split(';').skip(1).any(|param| {
        let key = param.split('=').next().unwrap_or_default();
        key.trim().eq_ignore_ascii_case(name)
    })
}

/// The comma-separated values of a field, commas in quotes and brackets left alone.
pub(super) fn list(value: &str) -> Vec<String> {
    let (mut values, mut current) = (Vec::new(), String::new());
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for character in value.chars() {
        let separates = character == ',' && !quoted && !bracketed;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            _ => {}
        }
        if separates {
            values.push(std::mem::take(&mut current).trim().to_owned());
        } else {
            current.push(character);
        }
    }
    values.push(current.trim().to_owned());
    values.retain(|value| !value.is_empty());
    values
}

/// The URI of a name-addr or addr-spec, without brackets and without field parameters.
pub(super) fn uri_of(value: &str) -> String {
    // A quoted display name may itself hold a bracket.
    let after_name = match value.trim_start().strip_prefix('"') {
        Some(rest) => rest.rsplit_once('"').map_or(rest, |(_, after)| after),
        None => value,
    };
    match after_name.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default().to_owned(),
        None => after_name.split(';').next().unwrap_or_default().trim().to_owned(),
    }
}

/// The value of a parameter of a name-addr, after its brackets: `expires` in `<sip:a@b>;expires=60`.
pub(super) fn param_of(value: &str, name: &str) -> Option<String> {
    let params = value.rsplit_once('>').map_or(value, |(_, params)| params);
    params.split(';').skip(1).find_map(|param| {
        let (key, value) = param.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The address a URI leads to, if its host is one; names are not looked up.
pub(super) fn address_of(uri: &str) -> Option<SocketAddr> {
    let (_, rest) = uri.split_once(':')?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = host.split([';', '?', '>']).next()?;
    host.parse().ok().or_else(|| host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 5060)))
}

/// The nth word of the start line.
fn start_line_word(bytes: &[u8], index: usize) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let word = line.split(|byte| *byte == b' ').nth(index)?;
    String::from_utf8(word.to_vec()).ok()
}

/// A method as it is written on the wire.
pub(super) fn method_name(method: Method) -> &'static str {
    match method {
        Method::Ack => "ACK",
        Method::Bye => "BYE",
        Method::Cancel => "CANCEL",
        Method::Info => "INFO",
        Method::Invite => "INVITE",
        Method::Message => "MESSAGE",
        Method::Notify => "NOTIFY",
        Method::Options => "OPTIONS",
        Method::PRack => "PRACK",
        Method::Publish => "PUBLISH",
        Method::Refer => "REFER",
        Method::Register => "REGISTER",
        Method::Subscribe => "SUBSCRIBE",
        Method::Update => "UPDATE",
    }
}

/// RFC 3261's reason phrase (rsip writes `486 BusyHere`).
pub(super) fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
        420 => "Bad Extension",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        _ => "Response",
    }
}

/// The smallest session description that offers or accepts one audio stream (RFC 4566).
pub(super) fn session_description(address: SocketAddr, version: u32, direction: &str) -> Vec<u8> {
    let ip = address.ip();
    format!(
        "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na={direction}\r\n"
    )
    .into_bytes()
}
