//! The 24 classes of vulnerability found in SIP servers (checklists §2), each with a test that says what is true here
//! instead. `docs/security.md` is the chapter that names them; `chapter` holds it to the tests there are.

mod calls;
mod chapter;
mod floods;
mod identity;
mod passwords;
mod wire;

use std::time::Duration;

use switchboard::peer::Behaviour;

use super::companies::one_company;
use super::raw::{Account, Ask, challenges, status, tell};
use super::world::{Seen, World};

const SALES: &str = "[departments.sales]\nmembers = [\"222\"]\nring = \"20s\"\n";
const STRANGER: &str = "198.51.100.250:5060";
const ASHA: Account<'static> = Account { name: "221", password: "secret-221" };
const RAVI: Account<'static> = Account { name: "222", password: "secret-222" };
/// Where the world puts its first and second phone, and the trunk.
const DESK: &str = "198.51.100.1:5060";
const OTHER_DESK: &str = "198.51.100.2:5060";
const TRUNK: &str = "192.0.2.1:5060";
/// What phones say of themselves: a request without it is too short to earn both challenges.
const USUAL: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY, REFER, MESSAGE\r\n\
                     Supported: path, gruu, outbound, timer, 100rel, replaces\r\nUser-Agent: a desk phone";

/// 221 and 222 are registered; 222 is in sales; 223 is not there, 224's account is not in use.
fn world() -> World {
    let users = [("221", ""), ("222", ""), ("223", ""), ("224", "status = \"disabled\"")];
    let mut world = World::new(one_company(SALES, &users));
    world.trunk("airtel", TRUNK);
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    world.phone("ravi", "222", "acme.example", Behaviour::ring_only());
    world.pass(Duration::from_secs(60));
    world
}

/// The next call of the trunk's is answered, and nothing is left: whatever came before did no harm.
fn still_serves(mut world: World) {
    world.pass(Duration::from_secs(40));
    world.phone_mut("ravi").behave(Behaviour::answer_after(Duration::from_millis(300)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_secs(2));
    assert!(world.answered("airtel", call), "{:?}", world.call_events("airtel", call));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

/// A request, its challenge, and the request with credentials: what the second was, and what was sent because of it.
fn proven(world: &mut World, from: &str, account: &Account<'_>, ask: Ask) -> (String, Vec<Seen>) {
    // Of its own, whoever else asked before: a branch names a transaction.
    let unique: String =
        format!("{}{from}{}", ask.call_id, ask.cseq).chars().filter(char::is_ascii_alphanumeric).collect();
    let mut ask = ask.line(USUAL);
    ask.branch = format!("z9hG4bK-1{unique}");
    let challenged = tell(world, from, &ask.text());
    let challenge = challenged.iter().flat_map(challenges).next();
    let challenge = challenge.unwrap_or_else(|| panic!("no challenge to {}: {challenged:?}", ask.text()));
    let mut ask = ask.next();
    ask.branch = format!("z9hG4bK-2{unique}");
    let text = ask.proven(account, &challenge, 1).text();
    let sent = tell(world, from, &text);
    (text, sent)
}

/// The last status sent to an address.
fn heard(sent: &[Seen], at: &str) -> Option<u16> {
    sent.iter().filter(|seen| seen.to.to_string() == at && seen.bytes.starts_with(b"SIP/2.0")).map(status).next_back()
}

/// How often something was counted.
fn counted(world: &mut World, name: &str) -> u64 {
    super::raw::daemon(world).counters.get(name).copied().unwrap_or_default()
}

/// Small random numbers, the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }
}
