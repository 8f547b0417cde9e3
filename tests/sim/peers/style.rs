//! How a peer writes: header names, their order, what else it says of itself, and its session descriptions. The bytes differ from
//! peer to peer; what they mean does not.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::super::dice::Dice;
use super::super::text::{Message, Name};

/// How header names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Usual,
    Compact,
    Lower,
    Upper,
}

/// A part of a message's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Via,
    Route,
    Hops,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    Others,
}

use Part::{CSeq, CallId, Contact, From, Hops, Others, Route, To, Via};

const ORDERS: [[Part; 9]; 4] = [
    [Via, Hops, Route, From, To, CallId, CSeq, Contact, Others],
    [Via, Route, From, To, CallId, CSeq, Hops, Others, Contact],
    [Route, Via, Hops, Contact, To, From, CallId, CSeq, Others],
    [CallId, CSeq, From, To, Via, Others, Hops, Contact, Route],
];

const AGENTS: [&str; 7] = [
    "Yealink SIP-T46U 108.86.0.20",
    "PolyEdge-VVX450/6.4.3",
    "snomD785/10.1.164.15",
    "Linphone/5.2 (belle-sip/5.3)",
    "MicroSIP/3.21.3",
    "Grandstream GXP2170 1.0.11.64",
    "baresip v3.9.0",
];

const DISPLAYS: [&str; 6] = ["", "", "\"Asha Rao\" ", "Ravi ", "\"O\\\"Neil, \\\\ B.; tag=1\" ", "\"Žofie 山田\" "];

const EXTRAS: [&str; 5] = [
    "",
    "",
    "X-Trace: 7f3c;hop=1, second=\"a;b,c\"\r\n",
    "Privacy: none\r\nX-Serial : 00A8-59FD\r\nAccept-Language: en-IN, de;q=0.5\r\n",
    "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nOrganization: Halls of Mirrors\r\nSubject:\r\nX-Note: <sip:not@a.route>\r\n",
];

/// How one peer writes.
#[derive(Clone, Debug)]
pub struct Style {
    names: Names,
    order: usize,
    agent: &'static str,
    pub display: &'static str,
    extra: &'static str,
    /// Fills in `received` and `rport` of what it answers.
    marks: bool,
    /// Asks for `rport` (RFC 3581).
    pub rport: bool,
}

/// What a request says.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub uri: &'a str,
    pub sent_by: &'a str,
    pub branch: &'a str,
    pub routes: &'a [String],
    pub from: &'a str,
    pub to: &'a str,
    pub call_id: &'a str,
    pub cseq: u32,
    /// The whole value.
    pub contact: Option<&'a str>,
    /// More lines, each with its end.
    pub lines: &'a str,
    pub body: &'a str,
}

/// What is wrong with a response that is bent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bend {
    /// The topmost Via has another branch.
    Branch,
    /// The topmost Via is gone.
    NoTopVia,
    /// Only the topmost Via is left.
    OnlyTopVia,
    /// From has another tag.
    FromTag,
    /// To has no tag.
    NoToTag,
    /// The Vias are in the reverse order.
    Reversed,
}

/// What a response says.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub status: u16,
    pub tag: Option<&'a str>,
    pub contact: Option<&'a str>,
    pub lines: &'a str,
    pub body: &'a str,
    pub bend: Option<Bend>,
}

impl Style {
    pub fn drawn(dice: &mut Dice) -> Style {
        Style {
            names: dice.of(&[Names::Usual, Names::Usual, Names::Usual, Names::Compact, Names::Lower, Names::Upper]),
            order: dice.below(ORDERS.len() as u64) as usize,
            agent: dice.of(&AGENTS),
            display: dice.of(&DISPLAYS),
            extra: dice.of(&EXTRAS),
            marks: dice.thousandths(500),
            rport: true,
        }
    }

    fn name(&self, usual: &'static str) -> &'static str {
        let row = match usual {
            "Via" => ["v", "via", "VIA"],
            "From" => ["f", "from", "FROM"],
            "To" => ["t", "to", "TO"],
            "Call-ID" => ["i", "call-id", "CALL-ID"],
            "CSeq" => ["CSeq", "cseq", "CSEQ"],
            "Contact" => ["m", "contact", "CONTACT"],
            "Route" => ["Route", "route", "ROUTE"],
            "Record-Route" => ["Record-Route", "record-route", "RECORD-ROUTE"],
            "Content-Length" => ["l", "content-length", "CONTENT-LENGTH"],
            "Content-Type" => ["c", "content-type", "CONTENT-TYPE"],
            "Max-Forwards" => ["Max-Forwards", "max-forwards", "MAX-FORWARDS"],
            "User-Agent" => ["User-Agent", "user-agent", "USER-AGENT"],
            _ => [usual; 3],
        };
        match self.names {
            Names::Usual => usual,
            Names::Compact => row[0],
            Names::Lower => row[1],
            Names::Upper => row[2],
        }
    }

    fn end(&self, out: &mut String, body: &str) {
        if !body.is_empty() {
            let _ = write!(out, "{}: application/sdp\r\n", self.name("Content-Type"));
        }
        let _ = write!(out, "{}: {}\r\n\r\n{body}", self.name("Content-Length"), body.len());
    }

    pub fn request(&self, request: &Request<'_>) -> Vec<u8> {
        let mut out = String::with_capacity(640 + request.lines.len() + request.body.len());
        let _ = write!(out, "{} {} SIP/2.0\r\n", request.method, request.uri);
        for part in ORDERS[self.order] {
            let _ = match part {
                Via => {
                    let rport = if self.rport { ";rport" } else { "" };
                    let (sent_by, branch) = (request.sent_by, request.branch);
                    write!(out, "{}: SIP/2.0/UDP {sent_by};branch={branch}{rport}\r\n", self.name("Via"))
                }
                Hops => write!(out, "{}: 70\r\n", self.name("Max-Forwards")),
                Route => request.routes.iter().try_for_each(|route| write!(out, "{}: {route}\r\n", self.name("Route"))),
                From => write!(out, "{}: {}\r\n", self.name("From"), request.from),
                To => write!(out, "{}: {}\r\n", self.name("To"), request.to),
                CallId => write!(out, "{}: {}\r\n", self.name("Call-ID"), request.call_id),
                CSeq => write!(out, "{}: {} {}\r\n", self.name("CSeq"), request.cseq, request.method),
                Contact => {
                    request.contact.map_or(Ok(()), |contact| write!(out, "{}: {contact}\r\n", self.name("Contact")))
                }
                Others => {
                    write!(out, "{}: {}\r\n{}{}", self.name("User-Agent"), self.agent, self.extra, request.lines)
                }
            };
        }
        self.end(&mut out, request.body);
        out.into_bytes()
    }

    /// A response to what came from `source`.
    pub fn response(&self, asked: &Message, source: SocketAddr, response: &Response<'_>) -> Vec<u8> {
        let mut out = String::with_capacity(640 + response.lines.len() + response.body.len());
        let status = response.status;
        let _ = write!(out, "SIP/2.0 {status} {}\r\n", reason(status));
        for part in ORDERS[self.order] {
            let _ = match part {
                Via => {
                    self.vias(&mut out, asked, source, response.bend);
                    Ok(())
                }
                // RFC 3261 §12.1.1: in what makes a dialog, as it came.
                Route if (101..300).contains(&status) => asked
                    .all(Name::RecordRoute)
                    .try_for_each(|route| write!(out, "{}: {route}\r\n", self.name("Record-Route"))),
                Route | Hops => Ok(()),
                From => {
                    let from = asked.first(Name::From).unwrap_or_default();
                    let bent = if response.bend == Some(Bend::FromTag) { "x" } else { "" };
                    write!(out, "{}: {from}{bent}\r\n", self.name("From"))
                }
                To => {
                    let to = asked.first(Name::To).unwrap_or_default();
                    let tag = response.tag.filter(|_| asked.to_tag().is_none() && response.bend != Some(Bend::NoToTag));
                    match tag {
                        Some(tag) => write!(out, "{}: {to};tag={tag}\r\n", self.name("To")),
                        None => write!(out, "{}: {to}\r\n", self.name("To")),
                    }
                }
                CallId => write!(out, "{}: {}\r\n", self.name("Call-ID"), asked.call_id()),
                CSeq => write!(out, "{}: {}\r\n", self.name("CSeq"), asked.first(Name::CSeq).unwrap_or_default()),
                Contact => {
                    response.contact.map_or(Ok(()), |contact| write!(out, "{}: {contact}\r\n", self.name("Contact")))
                }
                Others => {
                    write!(out, "{}: {}\r\n{}{}", self.name("User-Agent"), self.agent, self.extra, response.lines)
                }
            };
        }
        self.end(&mut out, response.body);
        out.into_bytes()
    }

    fn vias(&self, out: &mut String, asked: &Message, source: SocketAddr, bend: Option<Bend>) {
        let name = self.name("Via");
        let mut vias: Vec<&str> = asked.all(Name::Via).collect();
        if bend == Some(Bend::Reversed) {
            vias.reverse();
        }
        for (place, via) in vias.into_iter().enumerate() {
            let _ = match (place, bend) {
                (0, Some(Bend::NoTopVia)) => Ok(()),
                (1.., Some(Bend::OnlyTopVia)) => Ok(()),
                (0, Some(Bend::Branch)) => {
                    write!(out, "{name}: {}\r\n", via.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1))
                }
                (0, _) if self.marks => match via.split_once(";rport") {
                    // RFC 3581 §4.
                    Some((before, behind)) if !behind.starts_with('=') => {
                        let (ip, port) = (source.ip(), source.port());
                        write!(out, "{name}: {before};rport={port}{behind};received={ip}\r\n")
                    }
                    _ => write!(out, "{name}: {via}\r\n"),
                },
                (_, _) => write!(out, "{name}: {via}\r\n"),
            };
        }
    }

    /// The ACK of a failure, on its INVITE's branch (RFC 3261 §17.1.1.3).
    pub fn ack_of_failure(&self, invite: &Message, failure: &Message) -> Vec<u8> {
        let mut out = String::with_capacity(400);
        let _ = write!(out, "ACK {} SIP/2.0\r\n", invite.request_uri().unwrap_or_default());
        self.hop_by_hop(&mut out, invite, failure.first(Name::To).unwrap_or_default(), "ACK");
        out.into_bytes()
    }

    /// RFC 3261 §9.1.
    pub fn cancel(&self, invite: &Message) -> Vec<u8> {
        let mut out = String::with_capacity(400);
        let _ = write!(out, "CANCEL {} SIP/2.0\r\n", invite.request_uri().unwrap_or_default());
        self.hop_by_hop(&mut out, invite, invite.first(Name::To).unwrap_or_default(), "CANCEL");
        out.into_bytes()
    }

    fn hop_by_hop(&self, out: &mut String, invite: &Message, to: &str, method: &str) {
        let (number, _) = invite.cseq().unwrap_or_default();
        let _ = write!(out, "{}: {}\r\n", self.name("Via"), invite.first(Name::Via).unwrap_or_default());
        for route in invite.all(Name::Route) {
            let _ = write!(out, "{}: {route}\r\n", self.name("Route"));
        }
        let _ = write!(
            out,
            "{}: 70\r\n{}: {}\r\n{}: {to}\r\n{}: {}\r\n{}: {number} {method}\r\n",
            self.name("Max-Forwards"),
            self.name("From"),
            invite.first(Name::From).unwrap_or_default(),
            self.name("To"),
            self.name("Call-ID"),
            invite.call_id(),
            self.name("CSeq"),
        );
        self.end(out, "");
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        302 => "Moved Temporarily",
        405 => "Method Not Allowed",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        486 => "Busy Here",
        487 => "Request Terminated",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Because",
    }
}

/// A session description; one in twelve has so many candidates that the message passes 1,300 bytes.
pub fn description(dice: &mut Dice, address: SocketAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, session, port) = (address.ip(), dice.roll() >> 34, 10_000 + 2 * dice.below(20_000));
    let mut text = String::with_capacity(512);
    let _ = write!(
        text,
        "v=0\r\no=- {session} 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\n"
    );
    for payload in 0..dice.below(8) {
        let _ = write!(text, "a=rtpmap:{} codec{payload}/8000\r\n", 96 + payload);
    }
    if dice.below(12) == 0 {
        for candidate in 0..16 + dice.below(12) {
            let _ = write!(text, "a=candidate:{candidate} 1 UDP 2130706431 {ip} {} typ host\r\n", port + candidate);
        }
    }
    text.push_str("a=sendrecv\r\n");
    text
}
