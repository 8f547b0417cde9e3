//! Small histories from text: one line an entry, as a ladder is read.
//!
//! ```text
//! 0 trunk > INVITE t1                      heard: at 0 ms, with the Via t1
//! 0 phone0 < INVITE b1/t1                  sent: our branch b1 on top of it
//! 10 phone0 > 180 b1/t1 to=p               a response (CSeq INVITE where no other method follows), with its To tag
//! 20 fired · 30 killed · 40 started t1 b1 · 50 stood 500 · 60 end · 70 claim asha 221@acme 1 ringing · 70 call 1 t1 · 80 over 1
//! ```
//!
//! Further words: `n=` CSeq's number, `call=` Call-ID, `from=` tag, `fu=` From's URI, `uri=`, `q850=`, `elsewhere`, `body=`, `x=` a field
//! X-Other, `hops=` Max-Forwards, `record=no`, `cut` within its header, so that nobody can read it, `nameless` with others' Vias whose
//! branch nobody can, `garbled` with Vias that are none. `started` takes up the call whose INVITE has the Via named first, with the branches that follow.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use switchboard::id::{CallRef, CompanyId, Extension, OfferId, PersonId, TrunkId, UserId};
use switchboard::routing::{Answer, AnswerCause, DecisionRecord};
use switchboard::state::{
    CallRecord, Change, EndedBy, Number, Saved, SavedBranch, SavedCall, SavedClaim, SavedFlow, SavedHold, SavedPeer,
};
use switchboard::time::WallTime;

use super::super::faults::Faults;
use super::super::history::{Datagram, Entry, History, MILLISECOND, PhoneOwner, Role, What};
use super::super::model::{Company, Department, Model, Strategy, Trunk, User};
use super::super::text::Message;
use super::Violation;
use super::wire::Wire;

/// Answered after a second, hung up by the caller.
pub const ANSWERED: &str = "0 trunk > INVITE t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
10 phone0 > 180 b1/t1 to=p
10 trunk < 180 t1 to=p
1000 phone0 > 200 b1/t1 to=p
1000 trunk < 200 t1 to=p
2000 trunk > ACK t1a to=p
2000 phone0 < ACK b4/t1a to=p
6000 trunk > BYE t2 n=2 to=p
6000 phone0 < BYE b2/t2 n=2 to=p
6010 phone0 > 200 b2/t2 BYE n=2 to=p
6010 trunk < 200 t2 BYE n=2 to=p
6020 end
";

/// The same with its claim.
pub const CLAIMED: &str = "0 trunk > INVITE t1
0 claim asha 221@acme 1 ringing
0 call 1 t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
10 phone0 > 180 b1/t1 to=p
10 trunk < 180 t1 to=p
1000 phone0 > 200 b1/t1 to=p
1000 claim asha 221@acme 1 on-call
1000 call 1 t1
1000 trunk < 200 t1 to=p
2000 trunk > ACK t1a to=p
2000 phone0 < ACK b4/t1a to=p
6000 trunk > BYE t2 n=2 to=p
6000 phone0 < BYE b2/t2 n=2 to=p
6010 phone0 > 200 b2/t2 BYE n=2 to=p
6010 over 1
6010 claim asha free
6010 trunk < 200 t2 BYE n=2 to=p
6020 end
";

/// The caller hangs up after a second.
pub const CANCELLED: &str = "0 trunk > INVITE t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
10 phone0 > 180 b1/t1 to=p
10 trunk < 180 t1 to=p
1000 trunk > CANCEL t1
1000 trunk < 200 t1 CANCEL
1000 trunk < 487 t1
1000 phone0 < CANCEL b1
1100 trunk > ACK t1
1200 phone0 > 200 b1 CANCEL
1200 phone0 > 487 b1/t1 to=p
1200 phone0 < ACK b1 to=p
1500 end
";

/// Nobody answers; the caller's ACK takes its time.
pub const REFUSED: &str = "0 trunk > INVITE t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
10 phone0 > 180 b1/t1 to=p
10 trunk < 180 t1 to=p
20000 fired
20000 phone0 < CANCEL b1
20010 phone0 > 200 b1 CANCEL
32000 phone0 > 487 b1/t1 to=p
32000 phone0 < ACK b1 to=p
32000 trunk < 480 t1 q850=19
32500 fired
32500 trunk < 480 t1 q850=19
32600 trunk > ACK t1
";

/// Two ring, one answers.
pub const TWO_PHONES: &str = "0 trunk > INVITE t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
0 phone1 < INVITE b2/t1
10 phone0 > 180 b1/t1 to=p
10 trunk < 180 t1 to=p
20 phone1 > 180 b2/t1 to=q
20 trunk < 180 t1 to=q
1000 phone0 > 200 b1/t1 to=p
1000 trunk < 200 t1 to=p
1000 phone1 < CANCEL b2 elsewhere
1050 phone1 > 200 b2 CANCEL
1050 phone1 > 487 b2/t1 to=q
1050 phone1 < ACK b2 to=q
2000 trunk > ACK t1a to=p
2000 phone0 < ACK b4/t1a to=p
2100 end
";

/// Killed while it rang.
pub const CUT_OFF: &str = "0 trunk > INVITE t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
100 phone0 > 180 b1/t1 to=p
100 trunk < 180 t1 to=p
2000 killed
3000 started t1 b1
3000 trunk < 500 t1 q850=41
3000 phone0 < CANCEL b1
3050 trunk > ACK t1
3100 phone0 > 200 b1 CANCEL
3100 phone0 > 487 b1/t1 to=p
3100 phone0 < ACK b1 to=p
4000 end
";

/// Answered, then asked again within the dialog.
pub const REINVITE: &str = "0 trunk > INVITE t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
10 phone0 > 180 b1/t1 to=p
10 trunk < 180 t1 to=p
1000 phone0 > 200 b1/t1 to=p
1000 trunk < 200 t1 to=p
2000 trunk > ACK t1a to=p
2000 phone0 < ACK b4/t1a to=p
5000 trunk > INVITE t3 n=2 to=p
5000 trunk < 100 t3 n=2 to=p
5000 phone0 < INVITE b3/t3 n=2 to=p
5100 phone0 > 200 b3/t3 n=2 to=p
5100 trunk < 200 t3 n=2 to=p
5200 trunk > ACK t3a n=2 to=p
5200 phone0 < ACK b5/t3a n=2 to=p
5300 end
";

type Judge = fn(&Wire<'_>) -> Vec<Violation>;

fn found(judge: Judge, story: &str) -> Vec<Violation> {
    let history = history(story);
    judge(&Wire::read(&history))
}

/// Nothing is wrong in it.
#[track_caller]
pub fn right(judge: Judge, story: &str) {
    let violations = found(judge, story);
    assert!(violations.is_empty(), "{violations:#?}\nin\n{story}");
}

/// That invariant is seen to be broken.
#[track_caller]
pub fn caught(judge: Judge, invariant: u8, story: &str) {
    let violations = found(judge, story);
    assert!(violations.iter().any(|violation| violation.invariant == invariant), "nothing is found in\n{story}");
}

/// The story without the lines that hold those words.
#[track_caller]
pub fn without(story: &str, words: &str) -> String {
    let left: Vec<&str> = story.lines().filter(|line| !line.contains(words)).collect();
    assert!(left.len() < story.lines().count(), "`{words}` is not in the story");
    left.join("\n") + "\n"
}

const SWITCHBOARD: &str = "192.0.2.1:5060";

fn address(peer: &str) -> SocketAddr {
    let text = match peer {
        "trunk" => "198.51.100.1:5060",
        "phone0" => "203.0.113.10:5060",
        "phone1" => "203.0.113.11:5060",
        "phone2" => "203.0.113.12:5060",
        "phone0b" => "203.0.113.20:5060",
        other => panic!("nobody is called {other}"),
    };
    text.parse().expect("an address")
}

/// Who writes a Via by that name.
fn host(via: &str) -> String {
    match via.as_bytes()[0] {
        b'b' | b'B' => SWITCHBOARD.to_owned(),
        b't' | b'T' => address("trunk").to_string(),
        b'p' => address("phone2").to_string(),
        _ => panic!("whose Via is {via}?"),
    }
}

struct Writing<'s> {
    entries: Vec<Entry>,
    serial: u64,
    changes: u64,
    /// Of requests, by their topmost Via and method: what a start takes up.
    requests: BTreeMap<(&'s str, &'s str), Bytes>,
}

/// The history that a story tells.
#[track_caller]
pub fn history(story: &str) -> History {
    let mut writing = Writing { entries: Vec::new(), serial: 0, changes: 0, requests: BTreeMap::new() };
    let mut before = 0;
    for line in story.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at: u64 = words[0].parse().unwrap_or_else(|_| panic!("no time in `{line}`"));
        assert!(at >= before, "`{line}` comes too late");
        before = at;
        let what = writing.what(&words[1..]);
        let wall = 1_700_000_000_000 + at as i64;
        writing.entries.push(Entry { at: (1_000 + at) * MILLISECOND, wall, what });
    }
    let phones = [("acme", "221"), ("acme", "222"), ("globex", "301"), ("acme", "221")];
    let owner = |(company, extension): (&str, &str)| PhoneOwner {
        company: company.to_owned(),
        extension: extension.to_owned(),
    };
    let cast = [
        (SWITCHBOARD.parse().expect("an address"), Role::Switchboard),
        (address("trunk"), Role::Trunk(0)),
        (address("phone0"), Role::Phone(0)),
        (address("phone1"), Role::Phone(1)),
        (address("phone2"), Role::Phone(2)),
        (address("phone0b"), Role::Phone(3)),
    ];
    History {
        seed: 0,
        faults: Faults::default(),
        models: vec![Arc::new(model())],
        cast: cast.into_iter().collect(),
        phones: phones.into_iter().map(owner).collect(),
        entries: writing.entries,
    }
}

fn model() -> Model {
    let user = |extension: &str, person: &str, mobile: Option<&str>| User {
        extension: extension.to_owned(),
        person: Some(person.to_owned()),
        status: "active",
        take_calls: true,
        hours: None,
        mobile: mobile.map(str::to_owned),
        devices: true,
        ring: 30,
        overflow: Vec::new(),
        password: "secret".to_owned(),
    };
    let company = |id: &str, users: Vec<User>| Company {
        id: id.to_owned(),
        domain: format!("{id}.example"),
        zone: "UTC",
        suspended: false,
        blocked: Vec::new(),
        max_calls: None,
        hours: Vec::new(),
        numbers: Vec::new(),
        departments: vec![Department {
            id: "sales".to_owned(),
            members: users.iter().map(|user| user.extension.clone()).collect(),
            strategy: Strategy::Simultaneous,
            ring: 20,
            wait: 60,
            wrap_up: 0,
            max_ring: 5,
            max_waiting: 5,
            sticky: None,
            hours: None,
            overflow: Vec::new(),
        }],
        users,
    };
    let acme = vec![user("221", "asha", Some("+919810000001")), user("222", "ravi", None)];
    Model {
        listen: vec![SWITCHBOARD.parse().expect("an address")],
        trunks: vec![Trunk { id: "first".to_owned(), address: address("trunk"), country: "91", max_calls: None }],
        companies: vec![
            company("acme", acme),
            company("globex", vec![user("301", "asha", None), user("302", "lena", None)]),
        ],
    }
}

impl<'s> Writing<'s> {
    fn what(&mut self, words: &[&'s str]) -> What {
        let number: u64 = words.get(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        match words[0] {
            "fired" => What::Fired,
            "killed" => What::Killed,
            "end" => What::FaultsEnded,
            "stood" => What::Stood(number * MILLISECOND),
            "started" => {
                let calls = words.get(1).map(|via| self.call(1, via, &words[2..])).into_iter().collect();
                What::Started(Box::new(Saved { last: Number(self.changes), calls, ..Saved::default() }), 0)
            }
            "claim" => {
                let claim = (words[2] != "free").then(|| claim(words[2], words[3], words[4]));
                self.change(Change::Claim { person: PersonId::new(words[1]), claim })
            }
            "call" => {
                let call = self.call(number, words[2], &[]);
                self.change(Change::Call(Box::new(call)))
            }
            "over" => self.change(Change::Over(Box::new(record(number)))),
            peer => self.datagram(peer, words[1], &words[2..]),
        }
    }

    fn change(&mut self, change: Change) -> What {
        self.changes += 1;
        What::Changed(Number(self.changes), Box::new(change))
    }

    fn datagram(&mut self, peer: &str, way: &str, words: &[&'s str]) -> What {
        let (own, other) = (SWITCHBOARD.parse().expect("an address"), address(peer));
        let sent = way == "<";
        let bytes = message(peer, sent, words);
        if words[0].parse::<u16>().is_err() {
            let via = words[1].split('/').next().expect("a Via");
            self.requests.entry((via, words[0])).or_insert(bytes.clone());
        }
        self.serial += 1;
        let is_cut = words.contains(&"cut");
        let bytes = if is_cut { bytes.slice(..bytes.len() - 2) } else { bytes };
        let message = Message::read(&bytes);
        assert_eq!(message.is_none(), is_cut, "{words:?}");
        let (from, to) = if sent { (own, other) } else { (other, own) };
        let datagram = Arc::new(Datagram { id: self.serial, from, to, bytes, message });
        if sent { What::Sent(datagram) } else { What::Heard(datagram) }
    }

    fn call(&self, number: u64, via: &str, branches: &[&str]) -> SavedCall {
        let flow = |peer: &str| SavedFlow { local: SWITCHBOARD.parse().expect("an address"), remote: address(peer) };
        let trunk = || SavedPeer::Trunk(TrunkId::new("first"));
        let branch = |name: &&str| SavedBranch {
            offer: OfferId(1),
            token: 1,
            loop_key: 0,
            sent: self.requests[&(*name, "INVITE")].clone(),
            flow: flow("phone0"),
            peer: trunk(),
            ended: false,
            counted: None,
        };
        SavedCall {
            call: CallRef(number),
            company: Some(CompanyId::new("acme")),
            trunk: Some(TrunkId::new("first")),
            from_user: None,
            caller_label: "anonymous".to_owned(),
            decision: decision(),
            started_at: WallTime::from_unix_millis(0),
            answered_at: None,
            invite: self.requests[&(via, "INVITE")].clone(),
            source: flow("trunk"),
            names: Vec::new(),
            caller: trunk(),
            final_sent: None,
            offers: Vec::new(),
            branches: branches.iter().map(branch).collect(),
            dialogs: Vec::new(),
        }
    }
}

fn decision() -> DecisionRecord {
    let text = r#"{"number":"+918041234567","company":"acme","caller":"anonymous","at":"","route":null,"steps":[],"answer":null}"#;
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {:?}", Answer::new(AnswerCause::Busy, "busy")))
}

fn record(number: u64) -> CallRecord {
    CallRecord {
        call: CallRef(number),
        company: None,
        trunk: None,
        from_user: None,
        sip_call_id: String::new(),
        decision: decision(),
        started_at: WallTime::from_unix_millis(0),
        answered_at: None,
        ended_at: WallTime::from_unix_millis(0),
        answered_by: Vec::new(),
        ended_by: EndedBy::Refused,
        status: 480,
    }
}

fn claim(user: &str, call: &str, hold: &str) -> SavedClaim {
    let (extension, company) = user.split_once('@').expect("a user");
    SavedClaim {
        call: CallRef(call.parse().expect("a call")),
        user: UserId::new(&CompanyId::new(company), &Extension::new(extension)),
        hold: match hold {
            "ringing" => SavedHold::Ringing,
            "on-call" => SavedHold::OnCall,
            "wrap-up" => SavedHold::WrapUp(WallTime::from_unix_millis(2_000_000_000_000)),
            other => panic!("no claim is held for {other}"),
        },
        since: WallTime::from_unix_millis(0),
        behind: None,
    }
}

/// A message: word, Vias, and what else was said of it.
fn message(peer: &str, sent: bool, words: &[&str]) -> Bytes {
    let option = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
    let vias: Vec<&str> = words[1].split('/').collect();
    let status = words[0].parse::<u16>().ok();
    let to_tag = option("to=");
    let method = match status {
        None => words[0],
        Some(_) => {
            words[2..].iter().find(|word| word.bytes().all(|byte| byte.is_ascii_uppercase())).unwrap_or(&"INVITE")
        }
    };
    let uri = match (option("uri="), to_tag, sent) {
        (Some(uri), ..) => uri.to_owned(),
        (None, None, true) if vias[0].starts_with('b') => format!("sip:{peer}@{}", address(peer)),
        // Hop by hop: as their INVITE.
        (None, Some(_), true) if method == "ACK" && vias.len() == 1 => format!("sip:{peer}@{}", address(peer)),
        _ => "sip:221@acme.example".to_owned(),
    };
    let mut text = match status {
        None => format!("{method} {uri} SIP/2.0\r\n"),
        Some(status) => format!("SIP/2.0 {status} Words\r\n"),
    };
    for via in &vias {
        let name = if words.contains(&"nameless") && !via.starts_with('b') { "br`nch" } else { "branch" };
        let protocol = if words.contains(&"garbled") { "SI@/2.0/UDP" } else { "SIP/2.0/UDP" };
        text += &format!("Via: {protocol} {};{name}=z9hG4bK{via};rport\r\n", host(via));
    }
    if status.is_none() {
        let hops = option("hops=").map_or(71 - vias.len() as u64, |hops| hops.parse().expect("hops"));
        text += &format!("Max-Forwards: {hops}\r\n");
        if sent && method == "INVITE" && vias.len() > 1 && to_tag.is_none() && option("record=").is_none() {
            text += &format!("Record-Route: <sip:{SWITCHBOARD};lr;call=1>\r\n");
        }
    }
    let from = option("fu=").unwrap_or("sip:+919811112222@carrier.example");
    text += &format!("From: <{from}>;tag={}\r\n", option("from=").unwrap_or("a"));
    text += "To: <sip:221@acme.example>";
    if let Some(tag) = to_tag {
        text += &format!(";tag={tag}");
    }
    text += &format!("\r\nCall-ID: {}\r\n", option("call=").unwrap_or("c1"));
    text += &format!("CSeq: {} {method}\r\n", option("n=").unwrap_or("1"));
    if let Some(cause) = option("q850=") {
        text += &format!("Reason: Q.850;cause={cause};text=\"words for people\"\r\n");
    }
    if words.contains(&"elsewhere") {
        text += "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
    }
    if let Some(other) = option("x=") {
        text += &format!("X-Other: {other}\r\n");
    }
    let body = option("body=").unwrap_or_default();
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    Bytes::from(text)
}
