//! Every role before every door: the table is held against the OpenAPI document, so that a route without a row fails.

use serde_json::json;

use crate::house::{House, bodies};

/// Whoever stands before the door, in the order of the table's columns.
const WHO: [Option<&str>; 7] =
    [None, Some("administrator"), Some("acme"), Some("globex"), Some("manager"), Some("overseer"), Some("agent-221")];

/// The operation, how it is asked for, its body, and what each gets.
///
/// Columns: nobody, administrator of all, of acme, of globex, manager of acme, of all, agent 221 of acme.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str, &str, [u16; 7])] = &[
    ("GET", "/health", "/health", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/ready", "/ready", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/metrics", "/metrics", "", [401, 200, 403, 403, 403, 403, 403]),
    ("GET", "/openapi.json", "/openapi.json", "", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/calls", "/v1/calls", "", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/calls", "/v1/calls?company=acme", "", [401, 200, 200, 404, 200, 200, 200]),
    ("GET", "/v1/calls", "/v1/calls?company=globex", "", [401, 200, 404, 200, 404, 200, 404]),
    ("GET", "/v1/agents", "/v1/agents", "", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/agents", "/v1/agents?company=acme&department=sales", "", [401, 200, 200, 404, 200, 200, 200]),
    ("GET", "/v1/agents/{company}/{extension}", "/v1/agents/acme/221", "", [401, 200, 200, 404, 200, 200, 200]),
    ("GET", "/v1/agents/{company}/{extension}", "/v1/agents/acme/222", "", [401, 200, 200, 404, 200, 200, 404]),
    ("GET", "/v1/agents/{company}/{extension}", "/v1/agents/globex/305", "", [401, 200, 404, 200, 404, 200, 404]),
    ("GET", "/v1/registrations", "/v1/registrations?company=acme", "", [401, 200, 200, 404, 200, 200, 403]),
    ("GET", "/v1/queues", "/v1/queues?company=acme", "", [401, 200, 200, 404, 200, 200, 403]),
    ("PUT", "/v1/agents/{company}/{extension}/take-calls", "/v1/agents/acme/221/take-calls", "{\"take-calls\":true}", [401, 200, 200, 404, 403, 403, 200]),
    ("PUT", "/v1/agents/{company}/{extension}/take-calls", "/v1/agents/acme/222/take-calls", "{\"take-calls\":true}", [401, 200, 200, 404, 403, 403, 404]),
    ("PUT", "/v1/agents/{company}/{extension}/paused", "/v1/agents/acme/221/paused", "{\"paused\":false}", [401, 200, 200, 404, 403, 403, 403]),
    ("POST", "/v1/explain", "/v1/explain", "{\"to\":\"+918041234567\"}", [401, 200, 200, 404, 403, 403, 403]),
    ("GET", "/v1/log", "/v1/log", "", [401, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/log", "/v1/log?company=acme", "", [401, 200, 200, 404, 200, 200, 200]),
    ("GET", "/v1/log", "/v1/log?company=globex", "", [401, 200, 404, 200, 404, 200, 404]),
    ("GET", "/v1/log", "/v1/log?user=222@acme", "", [401, 200, 200, 404, 200, 200, 404]),
    // Whose calls are whose is tried with calls in `a_call_is_in_the_log_of_those_it_concerns`.
    ("GET", "/v1/log/{call}", "/v1/log/c999", "", [401, 404, 404, 404, 404, 404, 404]),
    ("GET", "/v1/report", "/v1/report", "", [401, 200, 200, 200, 200, 200, 403]),
    ("GET", "/v1/report", "/v1/report?company=acme", "", [401, 200, 200, 404, 200, 200, 403]),
    ("GET", "/v1/status", "/v1/status", "", [401, 200, 403, 403, 403, 403, 403]),
    ("POST", "/v1/reload", "/v1/reload", "", [401, 200, 403, 403, 403, 403, 403]),
    // The log of a test is not the daemon's: an administrator is told so.
    ("GET", "/v1/log-level", "/v1/log-level", "", [401, 503, 403, 403, 403, 403, 403]),
    ("PUT", "/v1/log-level", "/v1/log-level", "{\"level\":\"info\"}", [401, 503, 403, 403, 403, 403, 403]),
];

#[test]
fn every_role_gets_what_the_table_says_and_every_route_is_in_it() {
    let house = House::new();
    let document = house.get("administrator", "/openapi.json").body;
    let operations = bodies::operations(&document);
    for (method, path, _) in &operations {
        assert!(TABLE.iter().any(|row| (row.0, row.1) == (method, path)), "{method} {path} has no row");
    }
    for (method, route, path, body, expected) in TABLE {
        let operation = operations.iter().find(|(of, at, _)| (of.as_str(), at.as_str()) == (method, route));
        let (_, _, operation) = operation.unwrap_or_else(|| panic!("{method} {route} is not in the document"));
        for (who, expected) in WHO.iter().zip(expected) {
            let authorization = who.map(|who| format!("Bearer {}", house.token(who)));
            let body = (!body.is_empty()).then_some(("application/json", *body));
            let reply = house.say(method, path, authorization.as_deref(), body);
            assert_eq!(reply.status, *expected, "{who:?} {method} {path}: {}", reply.text);
            let described = &operation["responses"][expected.to_string()];
            assert!(described.is_object(), "{method} {route} does not describe {expected}");
            if *expected >= 400 {
                reply.assert_problem();
                assert_eq!(reply.header("www-authenticate").is_empty(), *expected != 401);
            }
            if matches!(expected, 403 | 404) {
                assert!(
                    !reply.text.contains("globex") && !reply.text.contains("305"),
                    "{who:?} {path}: {}",
                    reply.text
                );
            }
        }
    }
}

#[test]
fn listings_hold_only_what_the_token_may_see() {
    let house = House::new();
    let agents = |token: &str| {
        let reply = house.get(token, "/v1/agents");
        let agents = reply.body["agents"].as_array().unwrap().iter();
        agents
            .map(|agent| format!("{}@{}", agent["extension"].as_str().unwrap(), agent["company"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let all = ["221@acme", "222@acme", "305@globex", "306@globex"];
    assert_eq!(agents("administrator"), all);
    assert_eq!(agents("overseer"), all);
    assert_eq!(agents("acme"), &all[..2]);
    assert_eq!(agents("manager"), &all[..2]);
    assert_eq!(agents("globex"), &all[2..]);
    assert_eq!(agents("agent-221"), &all[..1]);
    let paused = house.put("globex", "/v1/agents/globex/305/paused", &json!({ "paused": true }));
    assert_eq!(paused.status, 200);
    assert_eq!(house.get("acme", "/v1/agents/acme/221").body["paused"], false, "one user, not the person");
}
