//! What peers write: requests from templates, answers made of what they were sent. Shares no code with the reader and
//! the writer that are tested.

use sha2::{Digest as _, Sha256};

use crate::targets::choices::Choices;

/// The value of the first field with that name.
pub fn field<'a>(message: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(message, name).next()
}

/// The values of all fields with that name.
pub fn fields<'a>(message: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let lines = message.split(|byte| *byte == b'\n').skip(1).map(|line| line.trim_ascii_end());
    lines.take_while(|line| !line.is_empty()).filter_map(move |line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (written, value) = line.split_at(colon);
        written.eq_ignore_ascii_case(name.as_bytes()).then(|| value[1..].trim_ascii())
    })
}

/// The first word of the first line.
pub fn method(message: &[u8]) -> &[u8] {
    message.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// The status; `None` for a request.
pub fn status(message: &[u8]) -> Option<u16> {
    let code = message.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

pub fn is_request(message: &[u8]) -> bool {
    !message.is_empty() && !message.starts_with(b"SIP/2.0 ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What stands between `<` and `>`.
fn inside(value: &[u8]) -> Option<&[u8]> {
    let start = value.iter().position(|byte| *byte == b'<')? + 1;
    let length = value[start..].iter().position(|byte| *byte == b'>')?;
    Some(&value[start..start + length])
}

/// A call by a trunk.
pub fn invite(choices: &mut Choices<'_>, at: &str) -> Vec<u8> {
    let number = choices.of(&[
        "+918041234567",
        "08041234567",
        "+493012345678",
        "+493012345679",
        "0049301234567",
        "%2b918041234567",
        "221",
        "",
    ]);
    let which = choices.below(6);
    let branch = choices.below(8);
    let caller = choices.of(&["+919811112222", "+919811113333", "anonymous", "+4930999"]);
    let hops = choices.of(&["Max-Forwards: 70\r\n", "", "Max-Forwards: 0\r\n", "Max-Forwards: 1\r\n"]);
    let more = choices.of(&[
        "",
        "Supported: timer, 100rel\r\nSession-Expires: 90;refresher=uac\r\n",
        "Require: 100rel\r\n",
        "P-Asserted-Identity: <tel:+919811114444>\r\nPrivacy: id\r\n",
        "Proxy-Require: x\r\n",
        "Max-Breadth: 1\r\n",
        "Route: <sip:203.0.113.10;lr>, <sip:192.0.2.9;lr>\r\n",
        "Record-Route: <sip:192.0.2.3;lr>\r\nX-Odd : \"<,>\"\r\n y\r\n",
    ]);
    format!(
        "INVITE sip:{number}@203.0.113.10 SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bKi{which}-{branch}\r\n{hops}\
         From: <sip:{caller}@192.0.2.1>;tag=f{which}\r\nTo: <sip:{number}@203.0.113.10>\r\nCall-ID: call-{which}@{at}\r\n\
         CSeq: {cseq} INVITE\r\nContact: <sip:c@{at}>\r\n{more}Content-Length: 4\r\n\r\nv=0\n",
        cseq = 1 + branch,
    )
    .into_bytes()
}

/// A call of one extension to another, or a request of any method, by a user.
pub fn request(choices: &mut Choices<'_>, at: &str, user: &str, domain: &str) -> Vec<u8> {
    let method = choices.of(&["INVITE", "OPTIONS", "MESSAGE", "BYE", "SUBSCRIBE", "ACK", "CANCEL", "PRACK", "invite"]);
    let to = choices.of(&["221", "222", "223", "999", "+918041234567"]);
    let which = choices.below(16);
    format!(
        "{method} sip:{to}@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bKr{which}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@{domain}>;tag=u{which}\r\nTo: <sip:{to}@{domain}>\r\nCall-ID: own-{which}@{at}\r\n\
         CSeq: {which} {method}\r\nContact: <sip:{user}@{at}>\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// A registration.
pub fn register(choices: &mut Choices<'_>, at: &str, user: &str, domain: &str, cseq: u32) -> Vec<u8> {
    let contacts = match choices.below(8) {
        0 => "Contact: *\r\nExpires: 0\r\n".to_owned(),
        1 => String::new(),
        2 => format!("Contact: <sip:{user}@{at}>;expires=0\r\n"),
        3 => format!("Contact: <sip:{user}@{at};ob>;+sip.instance=\"<urn:uuid:1>\";reg-id=1;q=0.5\r\nExpires: 300\r\n"),
        4 => format!("Contact: <sip:{user}@{at}>, <sip:{user}@{at};x=y>;expires=60\r\nPath: <sip:192.0.2.77;lr>\r\n"),
        5 => format!("Contact: <sip:{user}@{at}>\r\nExpires: 5\r\n"),
        _ => format!("Contact: <sip:{user}@{at}>\r\nExpires: 3600\r\n"),
    };
    let which = choices.below(3);
    format!(
        "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bKg{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@{domain}>;tag=g{which}\r\nTo: <sip:{user}@{domain}>\r\nCall-ID: reg-{which}@{at}\r\n\
         CSeq: {cseq} REGISTER\r\n{contacts}User-Agent: fuzz\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// The same request again, with what a challenge asked for.
pub fn proven(request: &[u8], challenge: &[u8], user: &str, count: u32) -> Vec<u8> {
    let (name, answer) = match status(challenge) {
        Some(407) => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => ("WWW-Authenticate", "Authorization"),
    };
    let Some(asked) = fields(challenge, name).map(text).find(|value| value.contains("SHA-256")) else {
        return request.to_vec();
    };
    let param = |name: &str| {
        let start = asked.find(&format!("{name}=")).map_or(0, |at| at + name.len() + 1);
        asked[start..].split(',').next().unwrap_or_default().trim().trim_matches('"').to_owned()
    };
    let (realm, nonce) = (param("realm"), param("nonce"));
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let uri = text(line.split(|byte| *byte == b' ').nth(1).unwrap_or_default());
    let hash = |text: String| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secret = hash(format!("{user}:{realm}:secret-{user}"));
    let what = hash(format!("{}:{uri}", text(method(request))));
    let response = hash(format!("{secret}:{nonce}:{count:08x}:c:auth:{what}"));
    let credentials = format!(
        "{answer}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=SHA-256, \
         response=\"{response}\", cnonce=\"c\", qop=auth, nc={count:08x}\r\n"
    );
    // In front of the last field, under a branch and a CSeq of its own.
    let again = text(request).replacen("branch=z9hG4bK", &format!("branch=z9hG4bKp{count}"), 1);
    let cseq = text(field(request, "CSeq").unwrap_or_default());
    let (number, method) = cseq.split_once(' ').unwrap_or(("1", "REGISTER"));
    let next = number.parse::<u32>().unwrap_or(0) % 1_000_000 + count;
    let again = again.replacen(&format!("CSeq: {cseq}\r\n"), &format!("CSeq: {next} {method}\r\n"), 1);
    again.replacen("Content-Length:", &format!("{credentials}Content-Length:"), 1).into_bytes()
}

/// An answer to a request that was sent to a peer.
pub fn answer(choices: &mut Choices<'_>, request: &[u8], at: &str) -> Vec<u8> {
    let status = choices.of(&[
        "200 OK",
        "180 Ringing",
        "100 Trying",
        "183 Session Progress",
        "486 Busy Here",
        "603 Decline",
        "302 Moved",
        "503 No",
        "401 Unauthorized",
        "487 Request Terminated",
        "481 No Such Call",
        "199 Early",
        "600 Busy",
        "408 Timeout",
    ]);
    let tag = choices.below(4);
    let more = choices.of(&[
        "",
        "Require: timer\r\nSession-Expires: 90;refresher=uas\r\n",
        "Retry-After: 5\r\n",
        "RSeq: 1\r\n",
    ]);
    let mut out = format!("SIP/2.0 {status}\r\n").into_bytes();
    for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
        for value in fields(request, name) {
            out.extend_from_slice(format!("{name}: ").as_bytes());
            out.extend_from_slice(value);
            if name == "To" && tag > 0 && !value.windows(5).any(|five| five == b";tag=") {
                out.extend_from_slice(format!(";tag=t{tag}").as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(format!("Contact: <sip:p@{at}>\r\n{more}Content-Length: 0\r\n\r\n").as_bytes());
    out
}

/// CANCEL of a request that was sent to Switchboard, or ACK of a failure of it.
pub fn like(request: &[u8], method: &str, to: Option<&[u8]>) -> Vec<u8> {
    let line = text(request.split(|byte| *byte == b'\r').next().unwrap_or_default());
    let uri = line.split(' ').nth(1).unwrap_or("sip:x");
    let mut out = format!("{method} {uri} SIP/2.0\r\n").into_bytes();
    let mut put = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    };
    put("Via", field(request, "Via").unwrap_or_default());
    put("From", field(request, "From").unwrap_or_default());
    put("To", to.or(field(request, "To")).unwrap_or_default());
    put("Call-ID", field(request, "Call-ID").unwrap_or_default());
    let number = text(field(request, "CSeq").unwrap_or_default());
    put("CSeq", format!("{} {method}", number.split(' ').next().unwrap_or("1")).as_bytes());
    put("Max-Forwards", b"70");
    put("Content-Length", b"0");
    out.extend_from_slice(b"\r\n");
    out
}

/// Which end of a dialog writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Caller,
    Callee,
}

/// A request inside the dialog that a response to an INVITE made: by the caller who got it, or by the callee who sent it.
pub fn inside_dialog(choices: &mut Choices<'_>, response: &[u8], end: End, at: &str) -> Vec<u8> {
    let method = choices.of(&["ACK", "BYE", "INVITE", "INFO", "PRACK", "UPDATE", "REFER", "CANCEL"]);
    let branch = choices.byte();
    let (from, to) = match end {
        End::Caller => ("From", "To"),
        End::Callee => ("To", "From"),
    };
    let target = field(response, "Contact").and_then(inside).unwrap_or(b"sip:x@203.0.113.10");
    let mut routes: Vec<&[u8]> = fields(response, "Record-Route").collect();
    if end == End::Caller {
        routes.reverse();
    }
    let mut out = format!("{method} ").into_bytes();
    out.extend_from_slice(target);
    out.extend_from_slice(format!(" SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKd{branch}\r\n").as_bytes());
    for route in routes {
        out.extend_from_slice(b"Route: ");
        out.extend_from_slice(route);
        out.extend_from_slice(b"\r\n");
    }
    for (name, source) in [("From", from), ("To", to), ("Call-ID", "Call-ID")] {
        out.extend_from_slice(format!("{name}: ").as_bytes());
        out.extend_from_slice(field(response, source).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
    let number = if method == "ACK" {
        let cseq = text(field(response, "CSeq").unwrap_or_default());
        cseq.split(' ').next().unwrap_or("1").to_owned()
    } else {
        (u32::from(branch) + 10).to_string()
    };
    let more = choices.of(&["", "Session-Expires: 90;refresher=uac\r\n", "Max-Forwards: 0\r\n"]);
    let tail = format!("CSeq: {number} {method}\r\nContact: <sip:c@{at}>\r\n{more}Content-Length: 0\r\n\r\n");
    out.extend_from_slice(tail.as_bytes());
    out
}

/// Up to three changes somewhere: bytes put in, taken out or written over.
pub fn damaged(choices: &mut Choices<'_>, mut letter: Vec<u8>) -> Vec<u8> {
    for _ in 0..choices.below(4) {
        let at = usize::from(choices.word()) % (letter.len() + 1);
        let goes = (at + choices.below(24)).min(letter.len());
        let comes = choices.some(24);
        letter.splice(at..goes, comes.iter().copied());
    }
    letter
}
