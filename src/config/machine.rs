//! `switchboard.toml`: the machine's own settings and its trunks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::company::ReadFile;
use super::tree::{At, Finding, Findings, Table, Wrong};
use super::words::{self, Bounds};
use super::{Control, Hep, Log, Sip, State, hep, log};
use crate::auth::{Offer, Offered};
use crate::id::TrunkId;
use crate::number::DialRules;
use crate::routing::{Source, Trunk};

/// The most calls a limit may name: far beyond what one machine carries.
pub(super) const MOST_CALLS: u32 = 1_000_000;

/// How long call records are kept where nobody says: a year, and a month to look back on it.
const KEEP_CALLS: Duration = Duration::from_secs(400 * 24 * 3600);

/// Everything of `switchboard.toml`, and where its trunks stand.
pub(super) struct Machine {
    pub(super) sip: Sip,
    pub(super) control: Control,
    pub(super) state: State,
    pub(super) log: Log,
    pub(super) hep: Option<Hep>,
    pub(super) trunks: BTreeMap<TrunkId, Arc<Trunk>>,
    /// Where each trunk stands, also of those with problems.
    pub(super) places: BTreeMap<TrunkId, At>,
    /// Trunks whose `proxy` is written, with a problem.
    pub(super) faulty_proxies: BTreeSet<TrunkId>,
    /// The file itself.
    pub(super) at: At,
}

/// Reads it, but for the tokens of `[control]`, which name what is in other files. Relative paths are relative to `directory`, the one
/// the file is in.
pub(super) fn read(root: &Table<'_>, directory: &Path, read_file: ReadFile<'_>, findings: &mut Findings) -> Machine {
    root.allow(&["sip", "control", "state", "log", "hep", "trunks"], findings);
    let sip = sip(root, findings);
    let control = root.table("control", findings);
    control.allow(&["socket", "http", "tokens"], findings);
    let socket = control.value("socket").and_then(|value| value.read(findings, path));
    let http = control.value("http").and_then(|value| value.read(findings, words::socket_address));
    let state = root.table("state", findings);
    state.allow(&["directory", "journal", "keep-calls"], findings);
    let state_directory = state.value("directory").and_then(|value| value.read(findings, path));
    let journal = state.value("journal").and_then(|value| value.read(findings, path));
    let keep_calls =
        state.value("keep-calls").and_then(|value| value.read(findings, |text| words::duration(text, Bounds::RECORDS)));
    let (trunks, places) = trunks(&root.table("trunks", findings), findings);
    let proxy_written = |id: &&TrunkId| {
        root.value("trunks")
            .and_then(|trunks| trunks.peek_table())
            .and_then(|trunks| trunks.value(id.as_str()).and_then(|trunk| trunk.peek_table()))
            .is_none_or(|trunk| trunk.value("proxy").is_some())
    };
    let faulty = |id: &&TrunkId| trunks.get(*id).is_none_or(|trunk| trunk.proxy.is_none());
    let faulty_proxies = places.keys().filter(faulty).filter(proxy_written).cloned().collect();
    Machine {
        faulty_proxies,
        sip,
        control: Control {
            socket: directory.join(socket.unwrap_or_else(|| PathBuf::from("/run/switchboard/control.sock"))),
            http,
            tokens: Vec::new(),
        },
        state: State {
            directory: state_directory.map(|path| directory.join(path)),
            journal: journal.map(|path| directory.join(path)),
            keep_calls: keep_calls.unwrap_or(KEEP_CALLS),
        },
        log: log::read(root, findings),
        hep: hep::read(root, directory, read_file, findings),
        trunks,
        places,
        at: root.at.clone(),
    }
}

fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() || text.contains('\0') {
        return Err(Wrong::new(format!("`{}` is not a path", text.escape_debug()), "like \"/var/lib/switchboard\""));
    }
    Ok(PathBuf::from(text))
}

fn sip(root: &Table<'_>, findings: &mut Findings) -> Sip {
    let table = root.table("sip", findings);
    table.allow(
        &[
            "listen",
            "advertise",
            "max-call",
            "sha-256",
            "md5",
            "registration-default",
            "registration-max",
            "registration-min",
        ],
        findings,
    );
    let mut duration = |name: &str, bounds: Bounds, default: u64| {
        let read = table.value(name).and_then(|value| value.read(findings, |text| words::duration(text, bounds)));
        read.unwrap_or(Duration::from_secs(default))
    };
    let max_call = duration("max-call", Bounds::CALL, 4 * 3600);
    let registration_default = duration("registration-default", Bounds::REGISTRATION, 3600);
    let registration_max = duration("registration-max", Bounds::REGISTRATION, 7200);
    let registration_min = duration("registration-min", Bounds::REGISTRATION, 60);
    let listen = listen(&table, findings);
    let advertise = advertise(&table, &listen, findings);
    let sip = Sip {
        listen,
        advertise,
        max_call,
        algorithms: algorithms(&table, findings),
        registration_default,
        registration_max,
        registration_min,
    };
    // RFC 3261 §10.3 item 7: 423 only for "an expiration interval […] smaller than one hour".
    let too_long = registration_min > Duration::from_secs(Bounds::SHORTEST_REGISTRATION.most);
    if let Some(value) = table.value("registration-min").filter(|_| too_long) {
        findings.report(
            Finding::new(
                &value.at,
                "`registration-min` is longer than an hour: a phone that asks for an hour may not be refused",
            )
            .label("more than 1h")
            .help("at most 1h (RFC 3261 §10.3), like \"60s\""),
        );
    }
    for (low_name, low, high_name, high) in [
        ("registration-min", registration_min, "registration-default", registration_default),
        ("registration-default", registration_default, "registration-max", registration_max),
    ] {
        // What is not written has its default, which cannot be pointed at.
        let written = table.value(low_name).or(table.value(high_name));
        if let Some(value) = written.filter(|_| low > high && !(too_long && low_name == "registration-min")) {
            let (low, high) = (words::duration_words(low), words::duration_words(high));
            findings.report(
                Finding::new(&value.at, format!("`{low_name}` ({low}) is longer than `{high_name}` ({high})"))
                    .help("registration-min ≤ registration-default ≤ registration-max; they are 60s, 1h and 2h where they are not written"),
            );
        }
    }
    sip
}

/// `advertise`, if it can be in Via and Record-Route of at least one listener.
fn advertise(table: &Table<'_>, listen: &[SocketAddr], findings: &mut Findings) -> Option<String> {
    let value = table.value("advertise")?;
    let host = value.read(findings, words::host)?;
    let Ok(address) = host.parse::<IpAddr>() else { return Some(host) };
    if address.is_unspecified() {
        findings.report(
            Finding::new(&value.at, format!("`{host}` is nobody's address: no answer would come back"))
                .label("nobody's")
                .help("the address others reach this machine by, like \"203.0.113.10\"; or leave `advertise` out"),
        );
        return None;
    }
    let fits = |listener: &SocketAddr| listener.is_ipv4() == address.is_ipv4();
    if !listen.is_empty() && !listen.iter().any(fits) {
        let (family, example) = match address {
            IpAddr::V4(_) => ("IPv4", "udp:0.0.0.0:5060"),
            IpAddr::V6(_) => ("IPv6", "udp:[::]:5060"),
        };
        findings.report(
            Finding::new(
                &value.at,
                format!("`{host}` is an {family} address, and nothing in `listen` is: it would never be used"),
            )
            .label(family)
            .help(format!(
                "listen on {family} too, like \"{example}\", or advertise an address of what is listened on"
            )),
        );
        return None;
    }
    Some(host)
}

/// Which digest algorithms are offered: both, unless one is switched off.
fn algorithms(table: &Table<'_>, findings: &mut Findings) -> Offer {
    let mut offered = |name: &str| match table.value(name).and_then(|value| value.flag(findings)) {
        Some(false) => Offered::No,
        Some(true) | None => Offered::Yes,
    };
    let offer = Offer::of(offered("sha-256"), offered("md5"));
    if let (None, Some(value)) = (offer, table.value("md5")) {
        findings.report(
            Finding::new(&value.at, "neither SHA-256 nor MD5 is offered: no phone could register")
                .help("leave one of `sha-256 = false` and `md5 = false` out"),
        );
    }
    offer.unwrap_or(Offer::Sha256AndMd5)
}

fn listen(table: &Table<'_>, findings: &mut Findings) -> Vec<SocketAddr> {
    let help = "`listen = [\"udp:0.0.0.0:5060\"]` under `[sip]` takes calls on every IPv4 address of the machine";
    let Some(value) = table.value("listen") else {
        table.missing("listen", help, findings);
        return Vec::new();
    };
    let Some(list) = value.list(findings) else { return Vec::new() };
    if list.is_empty() {
        findings.report(Finding::new(&value.at, "`listen` is empty: nothing could call").label("empty").help(help));
    }
    let mut read: Vec<(SocketAddr, At)> = Vec::new();
    for value in list {
        let Some(address) = value.read(findings, words::listen) else { continue };
        if let Some((other, at)) = read.iter().find(|(other, _)| same_socket(*other, address)) {
            let message = format!("`udp:{address}` cannot be listened on: `udp:{other}` takes it already");
            findings.report(
                Finding::new(&value.at, message)
                    .label("again here")
                    .related(at, "first here")
                    .help("take one of them away"),
            );
        }
        read.push((address, value.at.clone()));
    }
    read.into_iter().map(|(address, _)| address).collect()
}

/// Whether binding one keeps the other from being bound. Port 0 is any free one. IPv6 sockets take no IPv4.
fn same_socket(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

type Trunks = (BTreeMap<TrunkId, Arc<Trunk>>, BTreeMap<TrunkId, At>);

fn trunks(table: &Table<'_>, findings: &mut Findings) -> Trunks {
    let (mut trunks, mut places) = (BTreeMap::new(), BTreeMap::new());
    let mut sources: Vec<(TrunkId, Source, At)> = Vec::new();
    for entry in table.entries() {
        if let Err(wrong) = words::identifier(entry.name, "trunk") {
            findings.wrong(&entry.at, wrong);
        }
        let id = TrunkId::new(entry.name);
        places.insert(id.clone(), entry.at.clone());
        if let Some(table) = entry.value.table(findings) {
            let trunk = trunk(&id, &table, &mut sources, findings);
            trunks.insert(id, Arc::new(trunk));
        }
    }
    overlaps(&sources, findings);
    (trunks, places)
}

fn trunk(id: &TrunkId, table: &Table<'_>, sources: &mut Vec<(TrunkId, Source, At)>, findings: &mut Findings) -> Trunk {
    table.allow(
        &[
            "sources",
            "proxy",
            "country-code",
            "national-prefix",
            "international-prefix",
            "max-calls",
            "max-calls-per-second",
        ],
        findings,
    );
    let written = table.value("sources").and_then(|value| value.list(findings)).unwrap_or_default();
    let mut own = Vec::new();
    for value in written {
        if let Some(source) = value.read(findings, words::source) {
            sources.push((id.clone(), source, value.at.clone()));
            own.push(source);
        }
    }
    if table.value("sources").is_none() && table.value("proxy").is_none() {
        findings.report(
            Finding::new(
                &table.at,
                format!("trunk `{id}` has neither `sources` nor `proxy`: no call could come or go through it"),
            )
            .help("`sources = [\"192.0.2.0/28\"]` for calls in, `proxy = \"sip:192.0.2.1:5060\"` for calls out")
            .absent_from(table.at.file),
        );
    }
    let mut limit = |name: &str| table.value(name).and_then(|value| value.whole(1..=MOST_CALLS, findings));
    let (max_calls, max_calls_per_second) = (limit("max-calls"), limit("max-calls-per-second"));
    Trunk {
        id: id.clone(),
        sources: own,
        proxy: table.value("proxy").and_then(|value| value.read(findings, words::proxy)),
        dial: dial_rules(table, findings),
        max_calls,
        max_calls_per_second,
    }
}

fn dial_rules(table: &Table<'_>, findings: &mut Findings) -> DialRules {
    let prefix = |text: &str| words::digits(text, 5, "a prefix", "0");
    let rules = DialRules {
        country_code: table.value("country-code").and_then(|value| value.read(findings, words::country_code)),
        national_prefix: table.value("national-prefix").and_then(|value| value.read(findings, prefix)),
        international_prefix: table.value("international-prefix").and_then(|value| value.read(findings, prefix)),
    };
    if let (Some(value), None) = (table.value("national-prefix"), table.value("country-code")) {
        findings.report(
            Finding::new(&value.at, "`national-prefix` means nothing without `country-code`")
                .help("add `country-code`, like \"91\": it takes the place of the national prefix")
                .absent_from(table.at.file),
        );
    }
    if let (Some(national), Some(value)) = (&rules.national_prefix, table.value("international-prefix"))
        && rules.international_prefix.as_ref() == Some(national)
    {
        findings.report(
            Finding::new(&value.at, format!("both prefixes are `{national}`: a number could be read in two ways"))
                .help("in most countries the national prefix is \"0\" and the international one \"00\""),
        );
    } else if let (Some(national), Some(international), Some(value)) =
        (&rules.national_prefix, &rules.international_prefix, table.value("national-prefix"))
        && national.starts_with(international.as_str())
    {
        // the international prefix is tried first.
        findings.report(
            Finding::new(&value.at, format!("no number is ever read as national: whatever begins with `{national}` begins with the international prefix `{international}`"))
                .label(format!("begins with `{international}`"))
                .help("in most countries the national prefix is \"0\" and the international one \"00\""),
        );
    }
    rules
}

/// Reports sources that two trunks have alike. One inside another is no such case: the narrower network is meant, and a port
/// before none.
fn overlaps(sources: &[(TrunkId, Source, At)], findings: &mut Findings) {
    let mut first: BTreeMap<(IpNet, Option<u16>), (&TrunkId, &At)> = BTreeMap::new();
    for (trunk, source, at) in sources {
        let Some((other, other_at)) = first.get(&(source.net, source.port)).copied() else {
            first.insert((source.net, source.port), (trunk, at));
            continue;
        };
        let (message, help) = if other == trunk {
            (format!("trunk `{trunk}` has this source twice"), "take one away")
        } else {
            (
                format!("trunks `{other}` and `{trunk}` have the same source: nobody could tell their calls apart"),
                "give each trunk its own address, or the port it sends from (\"192.0.2.5:5080\")",
            )
        };
        findings.report(
            Finding::new(at, message)
                .label(format!("trunk `{trunk}`"))
                .related(other_at, format!("trunk `{other}`"))
                .help(help),
        );
    }
}
