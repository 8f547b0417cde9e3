//! Datagram → message: limits first, then the index, then the mandatory fields.
//!
//! RFC 3261 §7, §8.1.1, §18.3, §20. The index never gives up at the first fault, so that a request with a fault can
//! still be answered; it reports the first one. Strictness about line ends, names and repeated fields is on purpose:
//! where two readers of one message could disagree, it is refused.

use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr, memchr_iter, memchr3, memrchr};
use smallvec::SmallVec;

use super::message::{Core, place};
use super::{Cseq, Fault, Header, Message, Method, Name, NameAddr, Request, Response, Scheme, Uri, Via, scan};

/// What a message may measure.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole message.
    pub message: usize,
    /// Header field lines.
    pub headers: usize,
    /// Bytes of one header field.
    pub header: usize,
    /// Values of one list field.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { message: 65_535, headers: 200, header: 8_192, values: 100 }
    }
}

/// What a datagram held.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
    /// Nothing but CR and LF: somebody keeps a NAT binding open (RFC 5626 §3.5.1, §4.4.1).
    KeepAlive,
}

/// A message that was refused.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// Why.
    pub fault: Fault,
    /// The message, where it is a request (never ACK) with enough left of it to be answered: Via and CSeq, by which
    /// the answer finds its transaction (RFC 3261 §17.1.3). From, To or Call-ID may be missing (RFC 4475 §3.3.1).
    pub request: Option<Message>,
}

/// Reads one datagram.
///
/// # Errors
/// [`Malformed`]: answer it with `fault.status()` where `request` is there, else drop it.
#[allow(clippy::result_large_err, reason = "a message that is read is as large as one that is refused")]
pub fn parse(datagram: Bytes, limits: &Limits) -> Result<Parsed, Malformed> {
    // RFC 3261 §7.5: CRLFs in front of the start line are ignored.
    let Some(start) = datagram.iter().position(|byte| !matches!(byte, b'\r' | b'\n')) else {
        return Ok(Parsed::KeepAlive);
    };
    let whole = datagram.slice(start..);
    // Spans are 32 bits wide, whatever the limits say.
    let limit = limits.message.min(u32::MAX as usize);
    let too_large = whole.len() > limit;
    let bytes = if too_large { whole.slice(..limit) } else { whole };

    let mut first_fault = FirstFault(too_large.then_some(Fault::TooLarge));
    let (start_line, headers_at) = match line_end(&bytes, 0, &mut first_fault) {
        Some(next) => (bytes.get(..next.saturating_sub(2)).unwrap_or_default(), next),
        None => (&*bytes, bytes.len()),
    };
    let read = read_start_line(start_line);
    if read == Err(Fault::NotSip) {
        return Err(Malformed { fault: Fault::NotSip, request: None });
    }
    let start_span = 0..offset(start_line.len());
    let answerable = !is_status_line(start_line) && method_text(start_line) != b"ACK";
    let (headers, body_at) = index(&bytes, headers_at, limits, &mut first_fault);
    let body = offset(body_at)..offset(bytes.len());
    let mut message = Message { bytes, start_line: start_span, headers, body, trailing: 0 };

    let judged = match (first_fault.0, read) {
        (Some(fault), _) | (None, Err(fault)) => Err(fault),
        (None, Ok(line)) => judge(&message, line),
    };
    match judged {
        Ok((core, kind, length)) => {
            cut_to(&mut message, length);
            Ok(match kind {
                Kind::Request { method, method_text, uri, max_forwards } => {
                    Parsed::Request(Request { message, core, method, method_text, uri, max_forwards })
                }
                Kind::Response { status, reason } => Parsed::Response(Response { message, core, status, reason }),
            })
        }
        Err(fault) => {
            let has = |name| message.headers.iter().any(|header| header.name == name);
            // RFC 3261 §17.1.1.3: an ACK is never answered, also one whose method was damaged on its way.
            let is_ack = message.value(Name::Cseq).is_some_and(|value| value.trim_ascii_end().ends_with(b" ACK"));
            let answerable = answerable && has(Name::Via) && has(Name::Cseq) && !is_ack;
            Err(Malformed { fault, request: answerable.then_some(message) })
        }
    }
}

/// Cuts what Content-Length leaves over off the message (RFC 3261 §18.3).
fn cut_to(message: &mut Message, length: Option<usize>) {
    let Some(length) = length else { return };
    let end = (message.body.start as usize).saturating_add(length);
    // `judge` has refused a length beyond the end.
    if end < message.bytes.len() {
        message.trailing = message.bytes.len() - end;
        message.bytes.truncate(end);
        message.body.end = offset(end);
    }
}

/// The first of the faults that were met.
struct FirstFault(Option<Fault>);

impl FirstFault {
    fn note(&mut self, fault: Fault) {
        self.0.get_or_insert(fault);
    }
}

/// An offset into a message, whose length has been held below 2^32.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

// ── The index ──────────────────────────────────────────────────────────────────────────────────────────────────────

/// Where the line that begins at `at` ends, behind its CRLF; `None` where it does not end. Notes what may not stand in
/// a line, and reads on: the line is as long as its CRLF says.
fn line_end(bytes: &[u8], at: usize, faults: &mut FirstFault) -> Option<usize> {
    let mut from = at;
    loop {
        let found = from + memchr3(b'\r', b'\n', 0, bytes.get(from..)?)?;
        match bytes.get(found..) {
            Some([b'\r', b'\n', ..]) => return Some(found + 2),
            Some([b'\r']) => return None,
            Some([0, ..]) => {
                if !is_escaped(bytes.get(at..found).unwrap_or_default()) {
                    faults.note(Fault::NullByte);
                }
            }
            _ => faults.note(Fault::BareLineBreak),
        }
        from = found + 1;
    }
}

/// Whether the byte behind `before` is the second of a quoted-pair, which may be a NUL (RFC 3261 §25.1; RFC 4475
/// §3.1.1.2 has one): an odd number of backslashes is in front of it.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// Reads the header lines that begin at `at`, as far as the limits go; returns them and where the body begins.
fn index(bytes: &[u8], at: usize, limits: &Limits, faults: &mut FirstFault) -> (SmallVec<[Header; 20]>, usize) {
    let mut headers = SmallVec::new();
    let mut next = at;
    let mut separators = 0;
    if bytes.get(next).is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        faults.note(Fault::BadStartLine); // A continuation of the start line, which has none (§7.3.1 is of header fields).
    }
    loop {
        if bytes.get(next..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            next += 2;
            break;
        }
        let start = next;
        // RFC 3261 §7.3.1: a line that begins with a space or a tab continues the one before it.
        let mut ends = line_end(bytes, next, faults);
        while let Some(end) = ends
            && bytes.get(end).is_some_and(|byte| matches!(byte, b' ' | b'\t'))
        {
            ends = line_end(bytes, end, faults);
        }
        let Some(end) = ends else {
            faults.note(Fault::Truncated);
            next = bytes.len();
            break;
        };
        next = end;
        if headers.len() >= limits.headers {
            faults.note(Fault::TooManyHeaders);
            break;
        }
        if end - start > limits.header {
            faults.note(Fault::HeaderTooLong);
            continue;
        }
        match header(bytes, start, end) {
            Ok(header) => {
                if is_list(header.name) {
                    let value = bytes.get(header.value.start as usize..header.value.end as usize).unwrap_or_default();
                    separators += 1 + memchr_iter(b',', value).count();
                }
                headers.push(header);
            }
            Err(fault) => faults.note(fault),
        }
    }
    // All commas of all list fields together are nearly always below the limit of one field.
    if separators > limits.values && has_long_list(bytes, &headers, limits.values) {
        faults.note(Fault::TooManyValues);
    }
    (headers, next)
}

/// Reads one header line with its continuation lines.
fn header(bytes: &[u8], start: usize, end: usize) -> Result<Header, Fault> {
    let line = bytes.get(start..end).unwrap_or_default();
    let colon = memchr(b':', line).ok_or(Fault::BadHeaderLine)?;
    let (name, rest) = line.split_at_checked(colon).unwrap_or_default();
    // HCOLON allows spaces and tabs in front of the colon, but no fold.
    let length = name.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
    let written = name.get(..length).unwrap_or_default();
    if !scan::is_token(written) {
        return Err(Fault::BadHeaderName);
    }
    let value = rest.get(1..).unwrap_or_default();
    let trimmed = scan::trim_start(value);
    let value_start = end - trimmed.len();
    let value_end = value_start + scan::trim_end(trimmed).len();
    Ok(Header {
        name: Name::from_bytes(written),
        line: offset(start)..offset(end),
        written: offset(start)..offset(start + length),
        value: offset(value_start)..offset(value_end),
    })
}

/// The fields that hold a comma list which somebody here walks.
const LISTS: [Name; 14] = [
    Name::Via,
    Name::Route,
    Name::RecordRoute,
    Name::Contact,
    Name::Path,
    Name::PAssertedIdentity,
    Name::PPreferredIdentity,
    Name::Supported,
    Name::Require,
    Name::ProxyRequire,
    Name::Unsupported,
    Name::Allow,
    Name::Accept,
    Name::Reason,
];

fn is_list(name: Name) -> bool {
    LISTS.contains(&name)
}

/// Whether a list field has more than `limit` values over all its lines.
fn has_long_list(bytes: &[u8], headers: &[Header], limit: usize) -> bool {
    LISTS.iter().any(|&name| {
        let lines = headers.iter().filter(|header| header.name == name);
        let values = lines.flat_map(|header| {
            scan::split_list(bytes.get(header.value.start as usize..header.value.end as usize).unwrap_or_default())
        });
        values.count() > limit
    })
}

// ── The start line ─────────────────────────────────────────────────────────────────────────────────────────────────

/// The start line in parts: spans from its beginning, which is that of the message.
#[derive(PartialEq, Eq)]
enum StartLine {
    Request { method: Range<u32>, uri: Range<u32> },
    Response { status: u16, reason: Range<u32> },
}

fn is_status_line(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
}

/// What stands where the method of a request does.
fn method_text(line: &[u8]) -> &[u8] {
    scan::take_until(line, scan::is_space).0
}

fn read_start_line(line: &[u8]) -> Result<StartLine, Fault> {
    if is_status_line(line) { read_status_line(line) } else { read_request_line(line) }
}

/// RFC 3261 §7.1: SIP-Version is matched without regard to case.
fn read_version(version: &[u8]) -> Result<(), Fault> {
    if version.eq_ignore_ascii_case(b"SIP/2.0") { Ok(()) } else { Err(Fault::BadVersion) }
}

/// `SIP/2.0 SP Status-Code SP Reason-Phrase`; the space behind the code may be missing where there is no reason.
fn read_status_line(line: &[u8]) -> Result<StartLine, Fault> {
    let (version, rest) = scan::split_once(line, b' ').ok_or(Fault::BadStartLine)?;
    read_version(version)?;
    let (code, reason) = scan::split_once(rest, b' ').unwrap_or((rest, rest.get(rest.len()..).unwrap_or_default()));
    if code.len() != 3 {
        return Err(Fault::BadStatus);
    }
    let status = scan::decimal(code).and_then(|code| u16::try_from(code).ok());
    let status = status.filter(|status| (100..700).contains(status)).ok_or(Fault::BadStatus)?;
    Ok(StartLine::Response { status, reason: place(line, reason).ok_or(Fault::BadStartLine)? })
}

/// `Method SP Request-URI SP SIP-Version`, with exactly these two spaces.
fn read_request_line(line: &[u8]) -> Result<StartLine, Fault> {
    if !line.windows(5).any(|five| five.eq_ignore_ascii_case(b" SIP/")) {
        return Err(Fault::NotSip);
    }
    let (front, version) = memrchr(b' ', line).and_then(|at| line.split_at_checked(at)).ok_or(Fault::BadStartLine)?;
    let version = version.get(1..).unwrap_or_default();
    if !version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return Err(Fault::BadStartLine);
    }
    read_version(version)?;
    let (method, uri) = scan::split_once(front, b' ').ok_or(Fault::BadStartLine)?;
    if method.is_empty() || uri.is_empty() || uri.starts_with(b" ") || uri.ends_with(b" ") {
        return Err(Fault::BadStartLine);
    }
    if !scan::is_token(method) {
        return Err(Fault::BadMethod);
    }
    if uri.iter().any(|&byte| scan::is_space(byte)) {
        return Err(Fault::BadRequestUri);
    }
    let read = Uri::parse(uri).map_err(|_| Fault::BadRequestUri)?;
    // RFC 3261 §19.1.1: headers may not stand in a Request-URI. Ignoring them, which RFC 4475 §3.1.2.11 leaves open,
    // would have to be done the same way at every hop.
    match read.scheme {
        Scheme::Sip | Scheme::Sips if read.headers.is_some() => Err(Fault::BadRequestUri),
        Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Other(_) => Ok(StartLine::Request {
            method: place(line, method).ok_or(Fault::BadStartLine)?,
            uri: place(line, uri).ok_or(Fault::BadStartLine)?,
        }),
    }
}

// ── The mandatory fields ───────────────────────────────────────────────────────────────────────────────────────────

/// What is read of a request or a response alone.
enum Kind {
    Request { method: Method, method_text: Range<u32>, uri: Range<u32>, max_forwards: Option<u8> },
    Response { status: u16, reason: Range<u32> },
}

/// The fields of which there may be one, where they are.
#[derive(Default)]
struct Single<'m> {
    from: Option<&'m [u8]>,
    to: Option<&'m [u8]>,
    call_id: Option<&'m [u8]>,
    cseq: Option<&'m [u8]>,
    max_forwards: Option<&'m [u8]>,
    content_length: Option<&'m [u8]>,
}

fn single(message: &Message) -> Result<Single<'_>, Fault> {
    let mut single = Single::default();
    for header in message.headers() {
        let slot = match header.name {
            Name::From => &mut single.from,
            Name::To => &mut single.to,
            Name::CallId => &mut single.call_id,
            Name::Cseq => &mut single.cseq,
            Name::MaxForwards => &mut single.max_forwards,
            Name::ContentLength => &mut single.content_length,
            Name::Accept
            | Name::Allow
            | Name::Authorization
            | Name::Contact
            | Name::ContentType
            | Name::Date
            | Name::Expires
            | Name::MaxBreadth
            | Name::MinExpires
            | Name::PAssertedIdentity
            | Name::PPreferredIdentity
            | Name::Path
            | Name::Privacy
            | Name::ProxyAuthenticate
            | Name::ProxyAuthorization
            | Name::ProxyRequire
            | Name::Reason
            | Name::RecordRoute
            | Name::Replaces
            | Name::Require
            | Name::RetryAfter
            | Name::Route
            | Name::SessionExpires
            | Name::Supported
            | Name::Unsupported
            | Name::UserAgent
            | Name::Via
            | Name::WwwAuthenticate
            | Name::Other => continue,
        };
        if slot.replace(message.span(&header.value)).is_some() {
            return Err(Fault::DuplicateField);
        }
    }
    Ok(single)
}

/// Reads what the accessors rely on; the number is Content-Length.
fn judge(message: &Message, line: StartLine) -> Result<(Core, Kind, Option<usize>), Fault> {
    let bytes = message.bytes();
    let fields = single(message)?;
    let top_via = top_via(message)?;
    let (from, from_tag) = name_addr(bytes, fields.from.ok_or(Fault::MissingFrom)?, Fault::BadFrom)?;
    let (to, to_tag) = name_addr(bytes, fields.to.ok_or(Fault::MissingTo)?, Fault::BadTo)?;
    let call_id = fields.call_id.ok_or(Fault::MissingCallId)?;
    if call_id.is_empty() || !call_id.iter().all(|&byte| byte > b' ' && byte != 0x7F) {
        return Err(Fault::BadCallId);
    }
    let call_id = place(bytes, call_id).ok_or(Fault::BadCallId)?;
    let (cseq, cseq_method) = cseq(fields.cseq.ok_or(Fault::MissingCseq)?)?;
    let core = Core { call_id, from, from_tag, to, to_tag, cseq, top_via };
    let kind = match line {
        StartLine::Request { method, uri } => {
            // RFC 3261 §8.1.1.5: the method MUST match that of the request.
            if cseq_method != message.span(&method) {
                return Err(Fault::CseqMethodMismatch);
            }
            let max_forwards = fields.max_forwards.map(max_forwards).transpose()?;
            judge_lists(message)?;
            Kind::Request { method: cseq.method, method_text: method, uri, max_forwards }
        }
        StartLine::Response { status, reason } => Kind::Response { status, reason },
    };
    let length = fields.content_length.map(content_length).transpose()?;
    if length.is_some_and(|length| length > message.body().len()) {
        // RFC 3261 §18.3: a request whose body is shorter than Content-Length says gets a 400, a response is dropped.
        return Err(Fault::ContentLengthTooLong);
    }
    Ok((core, kind, length))
}

/// Where the topmost Via is. Lower ones belong to elements that may write what we cannot read; they have to be there.
fn top_via(message: &Message) -> Result<Range<u32>, Fault> {
    let mut top = None;
    for value in message.lines(Name::Via).flat_map(scan::split_list) {
        if value.is_empty() {
            return Err(Fault::BadVia);
        }
        if top.is_none() {
            Via::parse(value).map_err(|_| Fault::BadVia)?;
            top = Some(place(message.bytes(), value).ok_or(Fault::BadVia)?);
        }
    }
    top.ok_or(Fault::MissingVia)
}

/// Where a From or To and its tag are; the tag's place is empty where it has none.
fn name_addr(bytes: &[u8], value: &[u8], fault: Fault) -> Result<(Range<u32>, Range<u32>), Fault> {
    let read = NameAddr::parse(value).map_err(|_| fault)?;
    // RFC 3261 §25.1 (tag-param): to one reader a tag without a value is none, to another one that is empty.
    if read.params.iter().any(|(name, value)| value.is_none() && name.eq_ignore_ascii_case(b"tag")) {
        return Err(fault);
    }
    let tag = match read.tag() {
        Some(tag) => place(bytes, tag).ok_or(fault)?,
        None => 0..0,
    };
    Ok((place(bytes, value).ok_or(fault)?, tag))
}

/// `1*DIGIT LWS Method`.
fn cseq(value: &[u8]) -> Result<(Cseq, &[u8]), Fault> {
    let (number, method) = scan::take_until(value, scan::is_space);
    let method = scan::trim_start(method);
    if !scan::is_token(method) {
        return Err(Fault::BadCseq);
    }
    // RFC 3261 §8.1.1.5: the sequence number MUST be less than 2**31.
    let number = scan::decimal(number).filter(|&number| number < 1 << 31).ok_or(Fault::BadCseq)?;
    let number = u32::try_from(number).map_err(|_| Fault::BadCseq)?;
    Ok((Cseq { number, method: Method::from_bytes(method) }, method))
}

/// RFC 3261 §20.22: an integer from 0 to 255.
fn max_forwards(value: &[u8]) -> Result<u8, Fault> {
    scan::decimal(value).and_then(|hops| u8::try_from(hops).ok()).ok_or(Fault::BadMaxForwards)
}

fn content_length(value: &[u8]) -> Result<usize, Fault> {
    scan::decimal(value).and_then(|length| usize::try_from(length).ok()).ok_or(Fault::BadContentLength)
}

/// The lists of a request that somebody here goes by. In a response they are only passed on, so that what cannot be
/// read there does not end a call; accessors skip it.
fn judge_lists(message: &Message) -> Result<(), Fault> {
    for header in message.headers() {
        let fault = match header.name {
            Name::Contact => Fault::BadContact,
            Name::Route | Name::Path => Fault::BadRoute,
            Name::RecordRoute => Fault::BadRecordRoute,
            Name::Expires => {
                // RFC 3261 §20.19: between 0 and (2**32)-1. What is no number at all (RFC 2543 had dates) is ignored.
                let value = message.span(&header.value);
                if value.iter().all(u8::is_ascii_digit) && is_overlarge(value) {
                    return Err(Fault::BadExpires);
                }
                continue;
            }
            Name::Accept
            | Name::Allow
            | Name::Authorization
            | Name::CallId
            | Name::ContentLength
            | Name::ContentType
            | Name::Cseq
            | Name::Date
            | Name::From
            | Name::MaxBreadth
            | Name::MaxForwards
            | Name::MinExpires
            | Name::PAssertedIdentity
            | Name::PPreferredIdentity
            | Name::Privacy
            | Name::ProxyAuthenticate
            | Name::ProxyAuthorization
            | Name::ProxyRequire
            | Name::Reason
            | Name::Replaces
            | Name::Require
            | Name::RetryAfter
            | Name::SessionExpires
            | Name::Supported
            | Name::To
            | Name::Unsupported
            | Name::UserAgent
            | Name::Via
            | Name::WwwAuthenticate
            | Name::Other => continue,
        };
        for value in scan::split_list(message.span(&header.value)) {
            if header.name == Name::Contact && value == b"*" {
                continue;
            }
            let read = NameAddr::parse(value).map_err(|_| fault)?;
            if header.name == Name::Contact && read.params.value("expires").is_some_and(is_overlarge) {
                return Err(fault);
            }
        }
    }
    Ok(())
}

/// Whether a number of seconds is more than 2^32-1.
fn is_overlarge(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(u8::is_ascii_digit)
        && scan::decimal(value).is_none_or(|number| number > u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:1@a.example SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
        From: <sip:2@a.example>;tag=f\r\n\
        To: <sip:1@a.example>\r\n\
        Call-ID: abc\r\n\
        CSeq: 7 OPTIONS\r\n\
        Supported: timer,, Path\r\n\
        supported:\r\n\
        k: outbound\r\n\
        Expires: 99999999999;x\r\n\
        Content-Length: 4\r\n\r\nbody";

    #[allow(clippy::result_large_err, reason = "as parse")]
    fn read(text: &[u8], limits: &Limits) -> Result<Parsed, Malformed> {
        parse(Bytes::copy_from_slice(text), limits)
    }

    fn request(text: &str) -> Request {
        match read(text.as_bytes(), &Limits::default()) {
            Ok(Parsed::Request(request)) => request,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn malformed(text: &str) -> Malformed {
        match read(text.as_bytes(), &Limits::default()) {
            Err(malformed) => malformed,
            Ok(parsed) => panic!("{text:?}: {parsed:?}"),
        }
    }

    /// The fault of `OPTIONS` with one text replaced.
    fn fault(old: &str, new: &str) -> Fault {
        assert!(OPTIONS.contains(old), "{old:?}");
        malformed(&OPTIONS.replace(old, new)).fault
    }

    #[test]
    fn every_accessor_finds_its_part() {
        let request = request(OPTIONS);
        assert_eq!((request.method(), request.method_bytes()), (Method::Options, &b"OPTIONS"[..]));
        assert_eq!(request.start_line(), b"OPTIONS sip:1@a.example SIP/2.0");
        assert_eq!(request.uri().user, Some(&b"1"[..]));
        assert_eq!((request.from_tag(), request.to_tag()), (&b"f"[..], &b""[..]));
        assert_eq!((request.from().tag(), request.to().tag()), (Some(&b"f"[..]), None));
        assert_eq!(request.call_id(), b"abc");
        assert_eq!(request.cseq(), Cseq { number: 7, method: Method::Options });
        assert_eq!(request.top_via().branch(), Some(&b"z9hG4bK1"[..]));
        assert_eq!(request.max_forwards(), None);
        assert_eq!((request.body(), request.trailing()), (&b"body"[..], 0));
        assert_eq!(request.lines(Name::Supported).collect::<Vec<_>>(), [&b"timer,, Path"[..], b"", b"outbound"]);
        assert_eq!(request.list(Name::Supported).collect::<Vec<_>>(), [&b"timer"[..], b"Path", b"outbound"]);
        assert!(request.has_token(Name::Supported, "PATH") && !request.has_token(Name::Supported, "tim"));
        assert_eq!(request.number(Name::Expires), Some(u32::MAX));
        assert_eq!((request.number(Name::Supported), request.number(Name::MaxBreadth)), (None, None));
        assert_eq!(request.value(Name::Other), None);
        assert_eq!(request.span(&(3..100_000)), b"");
    }

    #[test]
    fn line_breaks_alone_keep_a_binding_open() {
        for text in ["", "\r\n", "\r\n\r\n", "\n"] {
            assert!(matches!(read(text.as_bytes(), &Limits::default()), Ok(Parsed::KeepAlive)), "{text:?}");
        }
    }

    #[test]
    fn line_breaks_in_front_do_not_count() {
        let request = request(&format!("\r\n\r\n{OPTIONS}"));
        assert_eq!(&**request.bytes(), OPTIONS.as_bytes());
    }

    #[test]
    fn what_is_no_sip_gets_no_answer() {
        for text in ["GET / HTTP/1.1\r\nVia: x\r\nCSeq: 1 GET\r\n\r\n", "\0\0\0\0", "hello", "\r\n "] {
            let malformed = malformed(text);
            assert!(malformed.fault == Fault::NotSip && malformed.request.is_none(), "{text:?}: {malformed:?}");
        }
    }

    #[test]
    fn the_start_line_is_exact() {
        for (line, found) in [
            ("OPTIONS  sip:1@a SIP/2.0", Fault::BadStartLine),
            ("OPTIONS sip:1@a  SIP/2.0", Fault::BadStartLine),
            ("OPTIONS sip:1@a SIP/2.0 ", Fault::BadStartLine),
            (" OPTIONS sip:1@a SIP/2.0", Fault::BadStartLine),
            ("OPTIONS SIP/2.0", Fault::BadStartLine),
            ("OPTIONS sip:1@a\r\n SIP/2.0", Fault::NotSip),
            ("OPTIONS sip:1@a SIP/2.0\r\n x: y", Fault::BadStartLine),
            ("OPT@IONS sip:1@a SIP/2.0", Fault::BadMethod),
            ("OPTIONS sip:1@a b SIP/2.0", Fault::BadRequestUri),
            ("OPTIONS sip:1@a\tb SIP/2.0", Fault::BadRequestUri),
            ("OPTIONS sip:1@ SIP/2.0", Fault::BadRequestUri),
            ("OPTIONS sip:1@a?Route=x SIP/2.0", Fault::BadRequestUri),
            ("OPTIONS sip:1@a SIP/3.0", Fault::BadVersion),
            ("OPTIONS sip:1@a SIP/2.00", Fault::BadVersion),
            ("SIP/7.0 200 OK", Fault::BadVersion),
            ("SIP/2.0 99 OK", Fault::BadStatus),
            ("SIP/2.0 099 OK", Fault::BadStatus),
            ("SIP/2.0 700 OK", Fault::BadStatus),
            ("SIP/2.0  200 OK", Fault::BadStatus),
            ("SIP/2.0 +20 OK", Fault::BadStatus),
            ("SIP/2.0", Fault::BadStartLine),
        ] {
            assert_eq!(fault("OPTIONS sip:1@a.example SIP/2.0", line), found, "{line:?}");
        }
        request(&OPTIONS.replace("SIP/2.0\r\nVia", "sip/2.0\r\nVia"));
    }

    #[test]
    fn the_space_behind_a_status_may_be_missing_without_a_reason() {
        for line in ["SIP/2.0 200", "SIP/2.0 200 "] {
            let text = OPTIONS.replace("OPTIONS sip:1@a.example SIP/2.0", line);
            let parsed = read(text.as_bytes(), &Limits::default());
            assert!(matches!(parsed, Ok(Parsed::Response(ref ok)) if ok.status() == 200 && ok.reason().is_empty()));
        }
    }

    #[test]
    fn header_names_are_tokens() {
        for (line, found) in [
            ("Call-ID\u{1}: abc", Fault::BadHeaderName),
            ("Call-ID\r\n : abc", Fault::BadHeaderName),
            ("Call ID: abc", Fault::BadHeaderName),
            (": abc", Fault::BadHeaderName),
            ("Call-ID", Fault::BadHeaderLine),
            ("Call-ID: a\nb", Fault::BareLineBreak),
            ("Call-ID: a\rb", Fault::BareLineBreak),
            ("Call-ID: a\r\r\n b", Fault::BareLineBreak),
            ("Call-ID: a\0b", Fault::NullByte),
            ("Call-ID: a\\\\\0b", Fault::NullByte),
        ] {
            assert_eq!(fault("Call-ID: abc", line), found, "{line:?}");
        }
        assert_eq!(request(&OPTIONS.replace("Call-ID: abc", "I \t:\r\n\t abc  ")).call_id(), b"abc");
    }

    #[test]
    fn every_mandatory_field_is_missed_and_may_not_be_doubled() {
        for (line, missing) in [
            ("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n", Fault::MissingVia),
            ("From: <sip:2@a.example>;tag=f\r\n", Fault::MissingFrom),
            ("To: <sip:1@a.example>\r\n", Fault::MissingTo),
            ("Call-ID: abc\r\n", Fault::MissingCallId),
            ("CSeq: 7 OPTIONS\r\n", Fault::MissingCseq),
        ] {
            assert_eq!(fault(line, ""), missing);
            if missing != Fault::MissingVia {
                assert_eq!(fault(line, &format!("{line}{line}")), Fault::DuplicateField);
            }
        }
        assert_eq!(fault("To:", "f: <sip:3@a.example>\r\nTo:"), Fault::DuplicateField);
        assert_eq!(fault("To:", "Max-Forwards: 1\r\nMax-Forwards: 1\r\nTo:"), Fault::DuplicateField);
        assert_eq!(fault("Content-Length: 4", "l: 4\r\nContent-Length: 4"), Fault::DuplicateField);
    }

    #[test]
    fn values_are_what_they_should_be() {
        for (old, new, found) in [
            ("7 OPTIONS", "2147483648 OPTIONS", Fault::BadCseq),
            ("7 OPTIONS", "-7 OPTIONS", Fault::BadCseq),
            ("7 OPTIONS", "7", Fault::BadCseq),
            ("7 OPTIONS", "OPTIONS", Fault::BadCseq),
            ("7 OPTIONS", "7 OPTIONS x", Fault::BadCseq),
            ("7 OPTIONS", "7 Options", Fault::CseqMethodMismatch),
            ("abc", "", Fault::BadCallId),
            ("abc", "a b", Fault::BadCallId),
            ("<sip:2@a.example>", "<sip:2@a.example", Fault::BadFrom),
            ("To: <sip:1@a.example>", "To: <sip:1@a.example>, <sip:2@b>", Fault::BadTo),
            (";tag=f", ";tag", Fault::BadFrom),
            ("To: <sip:1@a.example>", "To: <sip:1@a.example>;TAG", Fault::BadTo),
            ("To: <sip:1@a.example>", "To: sip:1@a.example;x=y ; tag ;tag=t", Fault::BadTo),
            ("SIP/2.0/UDP 192.0.2.9", "SIP/2.0 192.0.2.9", Fault::BadVia),
            ("bK1", "bK1,", Fault::BadVia),
            ("bK1", "bK1,,SIP/2.0/UDP x", Fault::BadVia),
            ("Supported:", "Max-Forwards: 256\r\nSupported:", Fault::BadMaxForwards),
            ("Supported:", "Max-Forwards: \r\nSupported:", Fault::BadMaxForwards),
            ("Supported:", "Contact: \r\nSupported:", Fault::BadContact),
            ("Supported:", "Contact: <sip:a@b>;expires=4294967296\r\nSupported:", Fault::BadContact),
            ("Supported:", "Route: <sip:a>,\r\nSupported:", Fault::BadRoute),
            ("Supported:", "Path: x\r\nSupported:", Fault::BadRoute),
            ("Supported:", "Record-Route: <>\r\nSupported:", Fault::BadRecordRoute),
            ("99999999999;x", "4294967296", Fault::BadExpires),
            ("Content-Length: 4", "Content-Length: +4", Fault::BadContentLength),
            ("Content-Length: 4", "Content-Length: 4 4", Fault::BadContentLength),
            ("Content-Length: 4", "Content-Length: 5", Fault::ContentLengthTooLong),
            ("Content-Length: 4\r\n\r\nbody", "Content-Length: 0\r\n", Fault::Truncated),
            ("Content-Length: 4\r\n\r\nbody", "Content-Length: 0\r\n\r", Fault::Truncated),
            ("Content-Length: 4\r\n\r\nbody", "Content-Le", Fault::Truncated),
        ] {
            assert_eq!(fault(old, new), found, "{new:?}");
        }
        for (old, new) in [
            ("7 OPTIONS", "0002147483647\tOPTIONS"),
            ("bK1", "bK1, who knows what"),
            ("Supported:", "Contact: *\r\nSupported:"),
            ("99999999999;x", "Thu, 01 Dec 2040 16:00:00 GMT"),
        ] {
            request(&OPTIONS.replace(old, new));
        }
    }

    #[test]
    fn a_response_is_not_dropped_for_a_list_nobody_goes_by() {
        let text = OPTIONS.replace("OPTIONS sip:1@a.example SIP/2.0", "SIP/2.0 200 OK");
        let text = text.replace("Supported: timer", "Contact: <, <sip:x>");
        assert!(matches!(read(text.as_bytes(), &Limits::default()), Ok(Parsed::Response(_))));
    }

    #[test]
    fn the_body_is_as_long_as_content_length_says_or_all_there_is() {
        let shorter = request(&OPTIONS.replace("Length: 4", "Length: 3"));
        assert_eq!((shorter.body(), shorter.trailing()), (&b"bod"[..], 1));
        assert!(shorter.bytes().ends_with(b"\r\n\r\nbod"));
        let open = request(&OPTIONS.replace("Content-Length: 4\r\n", ""));
        assert_eq!((open.body(), open.trailing()), (&b"body"[..], 0));
    }

    #[test]
    fn only_a_request_with_via_and_cseq_that_is_no_ack_can_be_answered() {
        let bad = |text: &str| malformed(text).request.is_some();
        let text = OPTIONS.replace("Call-ID: abc", "Call-ID: a b");
        assert!(bad(&text));
        assert!(bad(&text.replace("From: ", "X: ").replace("To: ", "X: ")));
        assert!(!bad(&text.replace("Via", "X")));
        assert!(!bad(&text.replace("CSeq", "X")));
        assert!(!bad(&text.replace("OPTIONS", "ACK")));
        assert!(!bad(&text.replace("OPTIONS", "ACK").replacen("ACK", "AC[", 1)));
        assert!(!bad(&text.replace("OPTIONS sip:1@a.example", "ACK  sip:1@a.example")));
        assert!(!bad(&text.replace("OPTIONS sip:1@a.example SIP/2.0", "SIP/2.0 200 OK")));
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let fits = Limits { message: OPTIONS.len(), headers: 10, header: 44, values: 5 };
        assert!(read(OPTIONS.as_bytes(), &fits).is_ok());
        for (limits, found) in [
            (Limits { message: OPTIONS.len() - 1, ..fits }, Fault::TooLarge),
            (Limits { headers: 9, ..fits }, Fault::TooManyHeaders),
            (Limits { header: 43, ..fits }, Fault::HeaderTooLong),
            (Limits { values: 4, ..fits }, Fault::TooManyValues),
        ] {
            let malformed = read(OPTIONS.as_bytes(), &limits).expect_err("over the limit");
            assert_eq!(malformed.fault, found);
            assert_eq!(
                malformed.request.is_some(),
                found != Fault::HeaderTooLong,
                "{found:?}: the long one is the Via"
            );
        }
    }

    #[test]
    fn commas_that_separate_nothing_are_no_values() {
        let limits = Limits { values: 5, ..Limits::default() };
        let text = OPTIONS.replace("Supported: timer", "Contact: \"a,b,c,d,e,f,g,h\" <sip:i@j>\r\nSupported: timer");
        assert!(read(text.as_bytes(), &limits).is_ok());
    }
}
