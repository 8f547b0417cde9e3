//! The HTTP interface, as programs use it: HTTP to a real daemon inside the test.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unreachable_pub)]

mod children;
#[path = "http/house.rs"]
mod house;
#[path = "http/roles.rs"]
mod roles;
#[allow(dead_code)]
mod stage;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use children::no_child_begins;
use house::{House, Reply, bodies};
use serde_json::json;
use stage::{PATIENCE, Stage};
use switchboard::daemon::StartError;
use switchboard::peer::{Behaviour, CallEvent, CallKey, PhoneEvent};

/// A house in which 221's phone has answered a call that still goes on.
fn talking() -> (House, Stage, CallKey) {
    let house = House::new();
    let mut stage = Stage::new(house.port);
    stage.phone("asha", "221", "a password of hers", "127.6.9.2", Behaviour::answer_after(Duration::ZERO));
    stage.trunk("127.6.8.1", Behaviour::ring_only());
    stage.until("asha is registered", |stage| {
        stage.phone_saw("asha", |event| matches!(event, PhoneEvent::Registered { .. }))
    });
    let call = stage.with_trunk(|trunk, now| trunk.call(now, "+918041234567", "+919811112222"));
    stage.until("she answers", |stage| stage.trunk_saw(call, |event| matches!(event, CallEvent::Answered { .. })));
    (house, stage, call)
}

fn hang_up(stage: &mut Stage, call: CallKey) {
    stage.with_trunk(|trunk, now| trunk.hang_up(now, call));
    stage.until("it has ended", |stage| stage.trunk_saw(call, |event| matches!(event, CallEvent::Ended { .. })));
}

#[test]
fn a_call_is_seen_by_those_it_concerns() {
    let (house, mut stage, call) = talking();
    let seen = house.until("administrator", "/v1/calls", |reply| reply.body["calls"][0]["state"] == "talking");
    let view = &seen.body["calls"][0];
    assert_eq!(view["number"], "+918041234567");
    assert_eq!(view["caller"], "+919811112222");
    assert_eq!((&view["company"], &view["place"], &view["with"]), (&json!("acme"), &json!("sales"), &json!(["221"])));
    let started = view["started-at"].as_str().unwrap();
    assert!(started.ends_with("+05:30"), "on the company's clock: {started}");
    for (token, calls) in [("acme", 1), ("manager", 1), ("agent-221", 1), ("agent-222", 0), ("globex", 0)] {
        let reply = house.get(token, "/v1/calls");
        assert_eq!(reply.body["calls"].as_array().unwrap().len(), calls, "{token}: {:?}", reply.body);
    }
    hang_up(&mut stage, call);
    house.until("acme", "/v1/calls", |reply| reply.body["calls"] == json!([]));
}

#[test]
fn a_person_busy_for_another_company_shows_as_busy_and_no_more() {
    let (house, _stage, _) = talking();
    let of = |token: &str| house.until(token, "/v1/agents/globex/305", |reply| reply.body["state"] != "not-registered");
    // Asha is 305 at globex, with no phone there: seen through her mobile.
    let all = of("administrator");
    assert_eq!(all.body["state"], "on-call", "{:?}", all.body);
    assert!(all.body["evidence"].as_str().unwrap().starts_with("at acme since "), "{:?}", all.body);
    let globex = of("globex");
    assert_eq!(globex.body["state"], "on-call");
    assert!(globex.body["evidence"].as_str().unwrap().starts_with("at another company since "), "{:?}", globex.body);

    let asked = json!({ "to": "+442079460123" });
    let reply = house.post("globex", "/v1/explain", &asked);
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert_eq!(reply.body["steps"][0]["members"][0]["skip"], "on-call", "{:?}", reply.body);
    assert!(!reply.body.to_string().contains("acme"), "{:?}", reply.body);
    assert!(house.post("administrator", "/v1/explain", &asked).body.to_string().contains("at acme since"));
}

#[test]
fn what_another_company_has_is_as_if_it_were_nowhere() {
    let house = House::new();
    for (other, nowhere) in [
        ("/v1/calls?company=globex", "/v1/calls?company=nobody"),
        ("/v1/agents?company=globex", "/v1/agents?company=nobody"),
        ("/v1/agents/globex/305", "/v1/agents/nobody/305"),
        ("/v1/agents/globex/305", "/v1/agents/acme/999"),
        ("/v1/registrations?company=globex", "/v1/registrations?company=nobody"),
        ("/v1/queues?company=globex", "/v1/queues?company=nobody"),
    ] {
        let (other, nowhere) = (house.get("acme", other), house.get("acme", nowhere));
        assert_eq!((other.status, &other.body), (404, &nowhere.body));
    }
    let of_number = |number: &str| house.post("acme", "/v1/explain", &json!({ "to": number }));
    let (other, nowhere) = (of_number("+442079460123"), of_number("+442079460999"));
    assert_eq!((other.status, &other.body), (404, &nowhere.body));
    for with in [
        json!({ "from": "221@acme" }),
        json!({ "trunk": "airtle" }),
        json!({ "from": "221@acme", "trunk": "airtel" }),
        // A time that London has not, and India has.
        json!({ "at": "2026-03-29 01:30" }),
        json!({ "at": "soon" }),
    ] {
        let of_number = |number: &str| {
            let mut asked = with.clone();
            asked["to"] = json!(number);
            house.post("acme", "/v1/explain", &asked)
        };
        let (other, nowhere) = (of_number("+442079460123"), of_number("+442079460999"));
        assert_eq!((other.status, &other.body), (nowhere.status, &nowhere.body), "{with}");
        assert_eq!(other.status, if with["at"] == "soon" { 400 } else { 404 }, "{with}");
    }
    let wrong = house.post("acme", "/v1/explain", &json!({ "to": "+918041234567", "trunk": "airtle" }));
    assert_eq!(wrong.status, 400, "of its own it is told: {}", wrong.text);
    for asked in [
        json!({ "to": "305@globex", "from": "221@acme" }),
        json!({ "to": "+918041234567", "away": ["305@globex"] }),
        json!({ "to": "+918041234567", "busy": ["gita"] }),
        json!({ "to": "+918041234567", "user": "305@globex" }),
    ] {
        let reply = house.post("acme", "/v1/explain", &asked);
        assert_eq!(reply.status, 404, "{asked}: {:?}", reply.body);
        assert!(!reply.body.to_string().contains("globex"), "{:?}", reply.body);
    }
}

#[test]
fn switches_are_set_and_seen() {
    let house = House::new();
    let own = "/v1/agents/acme/221/take-calls";
    let listed = || house.get("acme", "/v1/agents").body["agents"][0]["takes-calls"].clone();
    assert_eq!(listed(), json!(true));
    let off = house.put("agent-221", own, &json!({ "take-calls": false }));
    assert_eq!((off.status, &off.body["takes-calls"], &off.body["state"]), (200, &json!(false), &json!("away")));
    assert_eq!(listed(), json!(false), "in the listing that is kept, too");
    assert_eq!(house.get("acme", "/v1/agents/acme/221").body["state"], "away");
    assert_eq!(house.put("agent-221", own, &json!({ "take-calls": true })).body["takes-calls"], true);
    let paused = house.put("acme", "/v1/agents/acme/221/paused", &json!({ "paused": true }));
    assert_eq!((paused.status, &paused.body["state"]), (200, &json!("paused")));
    assert_eq!(house.put("acme", "/v1/agents/acme/221/paused", &json!({ "paused": false })).body["paused"], false);
    // By names as they are configured only: what is none is no user.
    assert_eq!(house.put("acme", "/v1/agents/acme.example/221/paused", &json!({ "paused": true })).status, 404);
}

#[test]
fn explain_answers_as_the_command_does() {
    let house = House::new();
    let reply = house.post("acme", "/v1/explain", &json!({ "to": "+918041234567", "at": "2026-11-22 10:00" }));
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert_eq!(reply.body["route"]["to"], "department:sales");
    assert_eq!(reply.body["at"], "2026-11-22T10:00:00+05:30");
    assert_eq!(reply.body["steps"][0]["members"][1]["extension"], "222");
    assert_eq!(reply.body["answer"]["cause"], "unavailable");
    let reply = house.post("administrator", "/v1/explain", &json!({ "to": "+918041234567", "trunk": "airtle" }));
    assert_eq!(reply.status, 400);
    assert!(reply.body["detail"].as_str().unwrap().contains("airtel"), "{:?}", reply.body);
}

#[test]
fn a_call_is_in_the_log_of_those_it_concerns() {
    let (house, mut stage, call) = talking();
    hang_up(&mut stage, call);
    let logged =
        house.until("acme", "/v1/log", |reply| reply.body["calls"].as_array().is_some_and(|calls| !calls.is_empty()));
    let row = &logged.body["calls"][0];
    assert_eq!((&row["outcome"], &row["answered-by"]), (&json!("answered"), &json!(["221"])), "{row}");
    assert!(row["started-at"].as_str().unwrap().ends_with("+05:30"), "{row}");
    let path = format!("/v1/log/{}", row["call"].as_str().unwrap());
    for (token, status, members) in [
        ("administrator", 200, &["221", "222"][..]),
        ("acme", 200, &["221", "222"]),
        ("manager", 200, &["221", "222"]),
        ("overseer", 200, &["221", "222"]),
        ("agent-221", 200, &["221"]),
        ("agent-222", 404, &[]),
        ("globex", 404, &[]),
    ] {
        let reply = house.get(token, &path);
        assert_eq!(reply.status, status, "{token}: {}", reply.text);
        let listed = house.get(token, "/v1/log").body["calls"].as_array().unwrap().len();
        assert_eq!(listed == 1, status == 200, "{token}");
        if status == 200 {
            let steps = reply.body["decision"]["steps"].as_array().unwrap();
            let of = steps[0]["members"].as_array().unwrap().iter().map(|member| member["extension"].as_str().unwrap());
            assert_eq!(of.collect::<Vec<_>>(), members, "{token}");
        } else {
            assert_eq!(reply.body, house.get(token, "/v1/log/c999").body, "{token}");
        }
    }
    let found = |query: &str| {
        let reply = house.get("acme", &format!("/v1/log?{query}"));
        assert_eq!(reply.status, 200, "{query}: {}", reply.text);
        reply.body["calls"].as_array().unwrap().len()
    };
    assert_eq!(found("which=answered&caller=%2B919811112222&number=%2B918041234567&user=221@acme"), 1);
    for nothing in
        ["which=missed", "caller=%2B910000000000", "user=222@acme", "outcome=busy", "since=2100-01-01T00:00:00Z"]
    {
        assert_eq!(found(nothing), 0, "{nothing}");
    }
    let report = house.until("manager", "/v1/report?company=acme", |reply| reply.body["totals"]["answered"] == 1);
    assert_eq!((&report.body["timezone"], &report.body["totals"]["missed"]), (&json!("Asia/Kolkata"), &json!(0)));
    assert_eq!(house.get("globex", "/v1/report").body["totals"]["calls"], 0);
}

#[test]
fn an_agent_that_called_another_company_reads_nothing_of_how_it_is_run() {
    let house = House::new();
    let mut stage = Stage::new(house.port);
    stage.phone("asha", "221", "a password of hers", "127.6.9.3", Behaviour::ring_only());
    stage.until("asha is registered", |stage| {
        stage.phone_saw("asha", |event| matches!(event, PhoneEvent::Registered { .. }))
    });
    // Nobody there is registered but by a mobile whose person, herself, is calling.
    stage.with_phone("asha", |phone, now| phone.call(now, "sip:+442079460123@acme.example"));
    stage.until("it is refused", |stage| {
        stage.phone_saw("asha", |event| matches!(event, PhoneEvent::Call(_, CallEvent::Refused { .. })))
    });
    let logged = house.until("agent-221", "/v1/log", |reply| reply.body["calls"][0]["call"].is_string());
    let row = &logged.body["calls"][0];
    assert_eq!((&row["number"], &row["from-user"]), (&json!("+442079460123"), &json!("221@acme")), "{row}");
    assert!(row["status"].as_u64().unwrap() >= 400 && row["outcome"].is_string(), "{row}");
    let path = format!("/v1/log/{}", row["call"].as_str().unwrap());
    let one = house.get("agent-221", &path);
    assert_eq!((one.status, &one.body["decision"]["steps"]), (200, &json!([])), "{}", one.text);
    for text in [&logged.text, &one.text] {
        for inside in ["globex", "desk", "305", "306", "gita", "\"place\"", "passed", "label"] {
            assert!(!text.contains(inside), "{inside}: {text}");
        }
    }
    let own = house.get("globex", &path);
    assert_eq!(own.body["decision"]["steps"][0]["department"], "desk", "{}", own.text);
    assert_eq!(house.get("acme", &path).status, 404);
}

#[test]
fn the_log_is_read_page_by_page() {
    let house = House::new();
    let mut stage = Stage::new(house.port);
    stage.trunk("127.6.8.2", Behaviour::ring_only());
    // Nobody is registered: each is refused.
    for caller in ["+919811110001", "+919811110002", "+919811110003"] {
        let call = stage.with_trunk(|trunk, now| trunk.call(now, "+918041234567", caller));
        stage.until("it is refused", |stage| stage.trunk_saw(call, |event| matches!(event, CallEvent::Refused { .. })));
    }
    house.until("acme", "/v1/log?which=missed", |reply| {
        reply.body["calls"].as_array().is_some_and(|calls| calls.len() == 3)
    });
    let first = house.get("acme", "/v1/log?limit=2").body;
    let callers = |page: &serde_json::Value| {
        page["calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["caller"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(callers(&first), ["+919811110003", "+919811110002"]);
    let second = house.get("acme", &format!("/v1/log?limit=2&after={}", first["next"].as_str().unwrap())).body;
    assert_eq!((callers(&second), second.get("next")), (vec!["+919811110001".to_owned()], None));
    assert_eq!(second["calls"][0]["outcome"], "unavailable");
}

#[test]
fn metrics_tell_of_calls_that_are_over() {
    let (house, mut stage, call) = talking();
    hang_up(&mut stage, call);
    let line = "switchboard_calls_total{company=\"acme\",cause=\"answered\",status=\"200\"} 1";
    let reply = house.until("administrator", "/metrics", |reply| reply.text.contains(line));
    assert!(reply.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"), "{reply:?}");
    for line in [
        "switchboard_offers_total{company=\"acme\",outcome=\"answered\"} 1",
        "switchboard_skips_total{company=\"acme\",reason=\"not-registered\"} 1",
        "switchboard_answer_delay_seconds_count{company=\"acme\"} 1",
        "switchboard_answer_delay_seconds_bucket{le=\"+Inf\",company=\"acme\"} 1",
        "switchboard_registrations 1.0",
        "switchboard_reload_success 1.0",
    ] {
        assert!(reply.text.lines().any(|said| said == line), "no {line} in\n{}", reply.text);
    }
    let steps = reply.text.lines().find_map(|line| line.strip_prefix("switchboard_engine_step_seconds_count "));
    assert!(steps.unwrap().parse::<u64>().unwrap() > 5, "{steps:?}");
    assert!(!reply.text.contains("9811112222") && !reply.text.contains("\"221"), "no person is named:\n{}", reply.text);
}

#[test]
fn a_company_that_is_gone_leaves_the_metrics() {
    let (house, mut stage, call) = talking();
    hang_up(&mut stage, call);
    house.until("administrator", "/metrics", |reply| reply.text.contains("switchboard_calls_total{company=\"acme\""));
    fs::remove_file(house.path().join("companies/acme.toml")).unwrap();
    house.write_machine(0, |token| ["administrator", "globex"].contains(&token));
    let reply = house.post("administrator", "/v1/reload", &json!(null));
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    house.until("administrator", "/metrics", |reply| !reply.text.contains("acme"));
}

#[test]
fn a_reload_gives_its_changes_or_every_problem() {
    let house = House::new();
    let company = house.path().join("companies/acme.toml");
    let good = fs::read_to_string(&company).unwrap();
    fs::write(&company, good.replace("Asia/Kolkata", "Asia/Kolkatta").replace("\"222\"]", "\"999\"]")).unwrap();
    let reply = house.post("administrator", "/v1/reload", &json!(null));
    assert_eq!((reply.status, reply.header("content-type")), (422, "application/problem+json"));
    let problems = reply.body["problems"].as_array().unwrap();
    assert!(problems.len() >= 2, "{problems:?}");
    assert!(problems[0]["file"].as_str().unwrap().ends_with("acme.toml"), "{problems:?}");

    fs::write(&company, good.replace("Asha Rao", "Asha R.")).unwrap();
    let reply = house.post("administrator", "/v1/reload", &json!(null));
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert!(reply.body["changes"].as_str().unwrap().contains("name"), "{:?}", reply.body);
    assert_eq!(house.get("administrator", "/v1/agents/acme/221").body["name"], "Asha R.");
    assert_eq!(house.get("administrator", "/v1/status").body["last-reload"]["adopted"], true);
}

#[test]
fn a_token_that_is_taken_away_is_nobodys_at_once() {
    let house = House::new();
    assert_eq!(house.get("manager", "/v1/calls").status, 200);
    house.write_machine(0, |token| token != "manager");
    assert!(house.handle.reload().unwrap().is_adopted());
    assert_eq!(house.get("manager", "/v1/calls").status, 401);
    assert_eq!(house.get("acme", "/v1/calls").status, 200);
}

#[test]
fn the_address_moves_with_the_configuration_or_the_reload_is_refused() {
    let house = House::new();
    let before = house.handle.http_address().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = taken.local_addr().unwrap();
    house.write_machine(taken_address.port(), |_| true);
    let outcome = house.handle.reload().unwrap();
    assert!(!outcome.is_adopted());
    assert!(format!("{outcome:?}").contains(&taken_address.to_string()), "it is named: {outcome:?}");
    assert_eq!(house.handle.http_address(), Some(before));
    assert_eq!(house.get("acme", "/v1/calls").status, 200, "served as before");

    let alone = no_child_begins();
    drop(taken);
    assert!(house.handle.reload().unwrap().is_adopted());
    drop(alone);
    assert_eq!(house.handle.http_address(), Some(taken_address));
    assert_eq!(house.get("acme", "/v1/calls").status, 200, "served there");
    let deadline = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(before).is_ok() {
        assert!(std::time::Instant::now() < deadline, "the old address is still served");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_taken_address_is_a_refusal_to_start_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = House::try_new(taken.local_addr().unwrap().port()).unwrap_err();
    assert!(matches!(error, StartError::Http(_)), "{error}");
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
}

#[test]
fn who_shows_no_known_token_is_told_nothing() {
    let house = House::new();
    let known = house.token("acme");
    for (name, authorization) in [
        ("none", None),
        ("unknown", Some("Bearer sb_nobody".to_owned())),
        ("another scheme", Some(format!("Basic {known}"))),
        ("empty", Some("Bearer ".to_owned())),
        ("its hash", Some(format!("Bearer {}", house::hash_of("acme")))),
        ("too much", Some(format!("Bearer {known}x"))),
    ] {
        for path in ["/v1/calls", "/metrics", "/openapi.json", "/v1/nothing", "/nothing", "/", "/v1/agents/acme/221"] {
            let reply = house.say("GET", path, authorization.as_deref(), None);
            assert_eq!(reply.status, 401, "{name} {path}");
            assert!(reply.header("www-authenticate").starts_with("Bearer"), "{reply:?}");
            assert_eq!(reply.body, house.say("GET", "/v1/calls", None, None).body, "all alike");
        }
        // What balancers ask holds no data.
        for path in ["/health", "/ready"] {
            let reply = house.say("GET", path, authorization.as_deref(), None);
            assert_eq!(reply.status, 200, "{name} {path}");
            assert!(!reply.text.contains("acme"), "{reply:?}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_answered_as_a_problem() {
    let house = House::new();
    let put = "/v1/agents/acme/221/paused";
    let long = format!("{{\"paused\": {}true}}", " ".repeat(70_000));
    for (method, path, kind, body, status) in [
        ("GET", "/v1/calls?compny=acme", None, None, 400),
        ("GET", "/v1/calls?company=acme&company=acme", None, None, 400),
        ("GET", "/v1/log?limit=0", None, None, 400),
        ("GET", "/v1/log?since=yesterday", None, None, 400),
        ("GET", "/v1/log?after=here", None, None, 400),
        ("GET", "/v1/agents?company=acme&department=none", None, None, 404),
        ("GET", "/v1/agents/acme/%FF", None, None, 400),
        ("GET", "/v1/nothing", None, None, 404),
        ("DELETE", "/v1/calls", None, None, 405),
        ("PUT", put, Some("application/json"), Some("{"), 400),
        ("PUT", put, Some("application/json"), Some("{}"), 400),
        ("PUT", put, Some("application/json"), Some("{\"paused\": 1}"), 400),
        ("PUT", put, Some("application/json"), Some("{\"paused\": true, \"why\": 1}"), 400),
        ("PUT", put, Some("text/plain"), Some("{\"paused\": true}"), 415),
        ("PUT", put, Some("application/json"), Some(long.as_str()), 413),
        ("POST", "/v1/explain", Some("application/json"), Some("{\"to\": \"\"}"), 400),
    ] {
        let authorization = format!("Bearer {}", house.token("acme"));
        let reply = house.say(method, path, Some(&authorization), body.map(|body| (kind.unwrap(), body)));
        assert_eq!(reply.status, status, "{method} {path} {:?}", reply.text);
        reply.assert_problem();
        assert_eq!(reply.header("allow").is_empty(), status != 405, "{reply:?}");
    }
}

#[test]
fn nothing_is_shared_with_other_origins_or_kept_on_the_way() {
    let house = House::new();
    let reply = house.get("acme", "/v1/calls");
    assert_eq!(house.get("administrator", "/ready").body["store"], "writing");
    assert_eq!(reply.header("access-control-allow-origin"), "");
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[test]
fn slow_clients_hold_up_nobody() {
    let house = House::new();
    let address = house.handle.http_address().unwrap();
    let mut slow: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /v1/calls HTTP/1.1\r\nHost: x\r\n").unwrap();
    }
    assert_eq!(house.get("acme", "/v1/calls").status, 200);
    // One that never reads its answers: they fill its window, and then nothing more is made for it.
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", house.token("administrator"));
    slow[0].write_all(b"\r\n").unwrap();
    let mut first = [0; 12];
    slow[0].read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 401");
    slow[0].set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    for _ in 0..2000 {
        if slow[0].write_all(request.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(house.get("acme", "/v1/calls").status, 200);
    // The daemon ends at once all the same.
    let House { handle, .. } = house;
    let began = std::time::Instant::now();
    handle.shut_down();
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[test]
fn the_document_names_every_refusal() {
    let house = House::new();
    let reply: Reply = house.get("agent-221", "/openapi.json");
    assert_eq!(reply.status, 200);
    assert!(reply.body["openapi"].as_str().unwrap().starts_with("3.1"), "{:?}", reply.body["openapi"]);
    for (method, path, operation) in bodies::operations(&reply.body) {
        let public = ["/health", "/ready"].contains(&path.as_str());
        for status in ["400", "401", "403", "503"] {
            let named = operation["responses"].get(status).is_some();
            assert_eq!(named, !public || (path == "/ready" && status == "503"), "{method} {path} {status}");
        }
    }
}
