//! Corners 57 and 58: nonces that have grown old, and credentials that say too little (RFC 7616, RFC 3261 §22).

use std::time::Duration;

use super::super::companies::one_company;
use super::super::raw::{Account, Ask, Challenge, challenges, only, tell};
use super::super::world::World;

const DEVICE: &str = "198.51.100.77:5060";
const ASHA: Account<'static> = Account { name: "221", password: "secret-221" };
const USUAL: &str =
    "Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE, PUBLISH";

fn world() -> World {
    World::new(one_company("[departments.sales]\nmembers = [\"221\"]\n", &[("221", "")]))
}

fn ask() -> Ask {
    Ask::register("221").line(USUAL).line("Contact: <sip:221@198.51.100.77:5060>")
}

/// The challenges that a REGISTER is answered with.
fn challenged(world: &mut World, text: &str) -> Vec<Challenge> {
    let answers = tell(world, DEVICE, text);
    let (answer, status) = only(&answers);
    assert_eq!(status, 401);
    challenges(answer)
}

fn granted(world: &mut World, text: &str) -> bool {
    let answers = tell(world, DEVICE, text);
    only(&answers).1 == 200
}

/// RFC 7616 §3.3, §3.4: the right password under an old nonce is asked again with `stale=true` and a nonce that
/// serves; each count of a nonce serves once, the next one again.
#[test]
fn corner_57_an_old_nonce_is_stale_and_each_count_serves_once() {
    let mut world = world();
    let first = challenged(&mut world, &ask().text()).remove(0);
    assert!(!first.stale);
    let mut asked = ask();
    for count in [1, 2] {
        asked = asked.next();
        assert!(granted(&mut world, &asked.clone().proven(&ASHA, &first, count).text()), "count {count}");
    }
    asked = asked.next();
    let again = challenged(&mut world, &asked.clone().proven(&ASHA, &first, 2).text());
    assert!(again.iter().all(|challenge| challenge.nonce != first.nonce), "a count that was used");

    world.pass(Duration::from_secs(301));
    asked = asked.next();
    let fresh = challenged(&mut world, &asked.clone().proven(&ASHA, &first, 3).text());
    assert!(fresh.iter().all(|challenge| challenge.stale));
    let guess = Account { password: "guess", ..ASHA };
    asked = asked.next();
    let told = challenged(&mut world, &asked.clone().proven(&guess, &first, 4).text());
    assert!(told.iter().all(|challenge| !challenge.stale), "stale is for who knows the password");
    assert!(granted(&mut world, &asked.next().proven(&ASHA, &fresh[0], 1).text()));
    world.end();
}

/// RFC 7616 §3.3, §3.4, RFC 8760 §2.4: credentials with an algorithm that was not offered, or without qop, prove
/// nothing: a fresh challenge, and nothing is remembered.
#[test]
fn corner_58_an_unknown_algorithm_or_no_qop_gets_a_fresh_challenge_and_leaves_nothing() {
    type Change = fn(&str) -> String;
    let changes: [(&str, Change); 5] = [
        ("unknown algorithm", |text| text.replace("algorithm=SHA-256", "algorithm=SHA-512-256")),
        ("session algorithm", |text| text.replace("algorithm=SHA-256", "algorithm=SHA-256-sess")),
        ("no qop", |text| text.replace(", qop=auth", "")),
        ("no count", |text| text.replace(", nc=00000001", "")),
        ("no qop, cnonce and count: RFC 2069", |text| text.replace(", cnonce=\"0a4f113b\", qop=auth, nc=00000001", "")),
    ];
    let mut world = world();
    for (name, change) in changes {
        let mut first = ask();
        first.call_id = name.replace(' ', "-");
        let challenge = challenged(&mut world, &first.text()).remove(0);
        let proven = first.next().proven(&ASHA, &challenge, 1).text();
        let changed = change(&proven);
        assert_ne!(changed, proven, "{name}");
        let fresh = challenged(&mut world, &changed);
        assert!(fresh.iter().all(|one| one.nonce != challenge.nonce && !one.stale), "{name}");
        assert!(world.engine.audit().is_empty(), "{name}");
        assert!(world.shelf.bindings.is_empty(), "{name}");
        assert!(granted(&mut world, &proven), "the count is not spent: {name}");
        let mut away = ask();
        away.call_id = format!("away-{}", name.replace(' ', "-"));
        away.cseq = 5;
        away.lines[1].push_str(";expires=0");
        let challenge = challenged(&mut world, &away.text()).remove(0);
        assert!(granted(&mut world, &away.next().proven(&ASHA, &challenge, 1).text()));
        world.settle();
    }
    world.end();
}
