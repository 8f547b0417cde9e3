//! Peers that say exactly what a test writes: SIP as text, with no help from the engine's reader or writer.

use std::net::SocketAddr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::world::{Seen, World};

/// Where the scripted trunk is.
pub const TRUNK: &str = "192.0.2.1:5060";

/// Where the first, second and third phone of a world are.
pub const ASHA: &str = "198.51.100.1:5060";
pub const RAVI: &str = "198.51.100.2:5060";
pub const MINA: &str = "198.51.100.3:5060";

/// A body that nobody but its receiver reads.
pub const BODY: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";

/// One end of a dialog, as it writes itself.
#[derive(Clone, Debug)]
pub struct Party {
    pub address: String,
    pub call_id: String,
    /// From of what it sends, with its tag.
    pub local: String,
    /// To of what it sends, with the other's tag once that is known.
    pub remote: String,
    /// The Request-URI of what it sends.
    pub target: String,
    /// Route of what it sends.
    pub routes: Vec<String>,
    pub cseq: u32,
    /// The branch of what it sent last.
    pub branch: String,
    branches: u32,
}

impl Party {
    /// A caller at that address, before it has said anything. `name` makes its Call-ID, tag and branches its own.
    pub fn caller(address: &str, name: &str, uri: &str) -> Party {
        Party {
            address: address.to_owned(),
            call_id: format!("{name}@caller.example"),
            local: format!("<sip:+919811112222@caller.example>;tag=from-{name}"),
            remote: format!("<{uri}>"),
            target: uri.to_owned(),
            routes: Vec::new(),
            cseq: 0,
            branch: String::new(),
            branches: 0,
        }
    }

    /// The callee that answers that INVITE, with that tag.
    pub fn callee(address: &str, invite: &Seen, tag: &str) -> Party {
        Party {
            address: address.to_owned(),
            call_id: invite.header("Call-ID").unwrap(),
            local: format!("{};tag={tag}", invite.header("To").unwrap()),
            remote: invite.header("From").unwrap(),
            target: between(&invite.header("Contact").unwrap()),
            routes: invite.headers("Record-Route"),
            cseq: 0,
            branch: String::new(),
            branches: 0,
        }
    }

    /// The next request, with a CSeq of its own.
    pub fn request(&mut self, method: &str, extra: &str, body: &str) -> String {
        self.cseq += 1;
        self.request_with(method, self.cseq, extra, body)
    }

    /// A request with that CSeq and a branch of its own.
    pub fn request_with(&mut self, method: &str, cseq: u32, extra: &str, body: &str) -> String {
        self.branches += 1;
        let tag = |end: &str| end.split("tag=").nth(1).unwrap_or_default().to_owned();
        self.branch = format!("z9hG4bK-{}-{}-{method}-{}", tag(&self.local), tag(&self.remote), self.branches);
        self.write(method, cseq, extra, body)
    }

    /// CANCEL of what was sent last.
    pub fn cancel(&mut self, extra: &str) -> String {
        self.write("CANCEL", self.cseq, extra, "")
    }

    /// ACK, by the branch of what was sent last: of a failure.
    pub fn ack_failure(&mut self, response: &Seen) -> String {
        let remote = std::mem::replace(&mut self.remote, response.header("To").unwrap());
        let ack = self.write("ACK", self.cseq, "", "");
        self.remote = remote;
        ack
    }

    /// ACK of a 2xx.
    pub fn ack(&mut self) -> String {
        self.request_with("ACK", self.cseq, "", "")
    }

    fn write(&self, method: &str, cseq: u32, extra: &str, body: &str) -> String {
        let routes: String = self.routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let hops = if extra.to_ascii_lowercase().contains("max-forwards:") { "" } else { "Max-Forwards: 70\r\n" };
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch={};rport\r\n{routes}{hops}From: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:me@{}>\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            self.target,
            self.address,
            self.branch,
            self.local,
            self.remote,
            self.call_id,
            self.address,
            body.len()
        )
    }

    /// A response that makes a dialog: the other's tag, target and the way to it (RFC 3261 §12.1.2).
    pub fn learn(&mut self, response: &Seen) {
        self.remote = response.header("To").unwrap();
        if let Some(contact) = response.header("Contact") {
            self.target = between(&contact);
        }
        self.routes = response.headers("Record-Route");
        self.routes.reverse();
    }
}

/// A response to a request: `status` is code and phrase; `tag`, if any, goes on a To that has none.
pub fn respond(request: &Seen, status: &str, tag: &str, extra: &str, body: &str) -> String {
    let mut out = format!("SIP/2.0 {status}\r\n");
    for via in request.headers("Via") {
        out.push_str(&format!("Via: {via}\r\n"));
    }
    for route in request.headers("Record-Route") {
        out.push_str(&format!("Record-Route: {route}\r\n"));
    }
    let mut to = request.header("To").unwrap();
    if !to.contains("tag=") && !tag.is_empty() {
        to.push_str(&format!(";tag={tag}"));
    }
    out.push_str(&format!(
        "From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        request.header("From").unwrap(),
        request.header("Call-ID").unwrap(),
        request.header("CSeq").unwrap(),
        body.len()
    ));
    out
}

/// `<uri>;params` → `uri`.
pub fn between(name_addr: &str) -> String {
    let after = name_addr.split('<').nth(1).unwrap_or(name_addr);
    after.split('>').next().unwrap_or(after).to_owned()
}

/// The branch of the topmost Via.
pub fn branch(seen: &Seen) -> String {
    let via = seen.header("Via").unwrap();
    via.split("branch=").nth(1).unwrap().split([';', ',']).next().unwrap().to_owned()
}

/// What a call from the scripted trunk to sales is made of.
pub fn from_trunk(name: &str) -> Party {
    Party::caller(TRUNK, name, "sip:+918041234567@203.0.113.10")
}

/// A call from the scripted trunk that the scripted phone at `phone` has answered and the trunk acknowledged; both ends.
pub fn talk(world: &mut World, name: &str, phone: &str, extra_of_200: &str) -> (Party, Party) {
    let mut caller = from_trunk(name);
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(phone, "INVITE");
    let callee = Party::callee(phone, &rung, &format!("to-{name}"));
    let extra = format!("Contact: <sip:phone@{phone}>\r\n{extra_of_200}");
    world.say(phone, &respond(&rung, "200 OK", &format!("to-{name}"), &extra, ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    world.expect(phone, "ACK");
    (caller, callee)
}

/// A call that the scripted ends hang up: BYE from `by`, 200 from `other`.
pub fn hang_up(world: &mut World, by: &mut Party, other: &str) {
    let address = by.address.clone();
    let bye = by.request("BYE", "", "");
    world.say(&address, &bye);
    let bye = world.expect(other, "BYE");
    world.say(other, &respond(&bye, "200 OK", "", "", ""));
    world.expect(&address, "SIP/2.0 200");
}

/// What phones say of themselves: a request without it is too short to earn both challenges (invariant 20).
const USUAL: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY, REFER, MESSAGE\r\n\
                     Supported: path, gruu, outbound, timer, 100rel, replaces\r\nUser-Agent: a desk phone\r\n";

/// Registers `extension` of acme from a scripted address (SHA-256, RFC 7616), at the socket `to`, with two requests, the
/// first numbered `cseq`.
pub fn register(world: &mut World, to: &str, from: &str, contact: &str, extension: &str, call_id: &str, cseq: u32) {
    let aor = format!("sip:{extension}@acme.example");
    let request = |cseq: u32, authorization: &str| {
        format!(
            "REGISTER sip:acme.example SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-{call_id}-{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{aor}>;tag=reg\r\nTo: <{aor}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <{contact}>\r\nExpires: 3600\r\n{USUAL}{authorization}Content-Length: 0\r\n\r\n"
        )
    };
    world.say_to(to, from, &request(cseq, ""));
    let challenge = world.expect(from, "SIP/2.0 401");
    let challenge = challenge.headers("WWW-Authenticate").into_iter().find(|line| line.contains("SHA-256")).unwrap();
    let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let hex = |text: String| Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let secret = hex(format!("{extension}:acme.example:secret-{extension}"));
    let what = hex("REGISTER:sip:acme.example".to_owned());
    let response = hex(format!("{secret}:{nonce}:00000001:abcd:auth:{what}"));
    let authorization = format!(
        "Authorization: Digest username=\"{extension}\", realm=\"acme.example\", nonce=\"{nonce}\", \
         uri=\"sip:acme.example\", response=\"{response}\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"abcd\"\r\n"
    );
    world.say_to(to, from, &request(cseq + 1, &authorization));
    world.expect(from, "SIP/2.0 200");
}

/// Whole seconds.
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The port and address a text names.
pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
