//! `switchboard.toml`: trunks that too many could pass for, and what is written there to no effect.

use ipnet::IpNet;

use super::super::tree::{Finding, Findings, Table, Value};
use super::super::words;
use super::written::Thing;

/// Warns of the machine's file, where there is no error in it.
pub(in super::super) fn of_machine(root: &Table<'_>, findings: &mut Findings) {
    if findings.has_errors_in(root.at.file) {
        return;
    }
    for entry in Thing::all(root, "trunks") {
        let sources = entry.value("sources").map(Value::peek_list);
        for value in sources.unwrap_or_default() {
            if let Some(Ok(source)) = value.peek_text().map(words::source) {
                wide(entry.name, &value, &source.net, findings);
            }
        }
    }
    let control = root.value("control").and_then(Value::peek_table);
    let tokens =
        control.as_ref().filter(|control| control.value("http").is_none()).and_then(|control| control.entry("tokens"));
    if let Some(tokens) = tokens {
        findings.report(
            Finding::warning(&tokens.at, "there are tokens, and no JSON API to use them with")
                .label("not used")
                .help("`http = \"127.0.0.1:8060\"` under `[control]` opens it; or take the tokens away"),
        );
    }
}

/// A trunk is known by the address its requests come from, and by nothing else.
fn wide(trunk: &str, value: &Value<'_>, net: &IpNet, findings: &mut Findings) {
    let (most, bits) = match net {
        IpNet::V4(_) => (24, 32),
        IpNet::V6(_) => (56, 128),
    };
    if net.prefix_len() >= most || is_private(net) {
        return;
    }
    let free = bits - u32::from(net.prefix_len());
    let addresses = match free {
        // More than that is no number anybody reads.
        0..=32 => format!("{} addresses", 1_u64 << free),
        _ => format!("2^{free} addresses"),
    };
    findings.report(
        Finding::warning(
            &value.at,
            format!("anybody at one of {addresses} can send calls as trunk `{trunk}`: nothing but the address is asked for"),
        )
        .label(format!("wider than /{most}"))
        .help("name the addresses your carrier sends from (\"192.0.2.5\", \"192.0.2.0/28\"): it tells you them if you ask"),
    );
}

/// Whether all of it is out of the internet's reach (RFC 1918, 3927, 4193, 4291, 6598).
fn is_private(net: &IpNet) -> bool {
    const PRIVATE: [(&str, u8); 8] = [
        ("10.0.0.0", 8),
        ("172.16.0.0", 12),
        ("192.168.0.0", 16),
        ("100.64.0.0", 10),
        ("169.254.0.0", 16),
        ("127.0.0.0", 8),
        ("fc00::", 7),
        ("fe80::", 10),
    ];
    PRIVATE.iter().any(|(address, prefix)| {
        let private = address.parse().ok().and_then(|address| IpNet::new(address, *prefix).ok());
        private.is_some_and(|private| private.contains(net))
    })
}
