//! A failure as a drawing: who sent what to whom, the daemon in the middle.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::history::{Datagram, Entry, History, MILLISECOND, Role, What};

/// The most lines of a drawing.
const MOST: usize = 160;

/// What went over the wire in the call that the entry at `place` belongs to, up to a little after it, and what else happened meanwhile.
/// Without a call there: everything that was on the wire shortly before.
pub fn draw(history: &History, place: usize) -> String {
    // Another call may tell more than the one in which it shows.
    let chosen = std::env::var("SIM_CALL").ok();
    let call_id = history.entries.get(place).and_then(|entry| datagram(entry)).and_then(call_of);
    let call_id = chosen.as_deref().or(call_id);
    let whole = std::env::var_os("SIM_WHOLE").is_some();
    let mut lines = Vec::new();
    let names = names(history);
    for (at, entry) in history.entries.iter().enumerate().take(place + 40) {
        if let Some(line) = line(history, &names, entry, call_id) {
            let mark = if at == place { ">>" } else { "  " };
            lines.push(format!("{mark} {:9.3} {line}", entry.at as f64 / 1e9));
            if let (true, Some(datagram)) = (whole, datagram(entry)) {
                lines.push(datagram.bytes.escape_ascii().to_string().replace("\\r\\n", "\n       "));
            }
        }
    }
    let skipped = lines.len().saturating_sub(MOST);
    let mut text = String::new();
    if skipped > 0 {
        let _ = writeln!(text, "   … {skipped} lines before these");
    }
    for line in lines.into_iter().skip(skipped) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn datagram(entry: &Entry) -> Option<&Datagram> {
    match &entry.what {
        What::Put(datagram)
        | What::Heard(datagram)
        | What::Sent(datagram)
        | What::Delivered(datagram)
        | What::Undeliverable(datagram) => Some(datagram),
        _ => None,
    }
}

fn call_of(datagram: &Datagram) -> Option<&str> {
    Some(datagram.message.as_ref()?.call_id()).filter(|call_id| !call_id.is_empty())
}

fn names(history: &History) -> BTreeMap<SocketAddr, String> {
    let model = &history.models[0];
    let name = |role: &Role| match role {
        Role::Switchboard => "switchboard".to_owned(),
        Role::Phone(place) => {
            let owner = &history.phones[*place];
            format!("{}@{}", owner.extension, owner.company)
        }
        Role::Trunk(place) => model.trunks.get(*place).map_or("trunk".to_owned(), |trunk| trunk.id.clone()),
        Role::Attacker(_) => "attacker".to_owned(),
    };
    history.cast.iter().map(|(address, role)| (*address, name(role))).collect()
}

fn line(
    history: &History,
    names: &BTreeMap<SocketAddr, String>,
    entry: &Entry,
    call_id: Option<&str>,
) -> Option<String> {
    let name = |address: &SocketAddr| names.get(address).cloned().unwrap_or_else(|| address.to_string());
    let belongs = |datagram: &Datagram| call_id.is_none() || call_of(datagram) == call_id;
    let label = |datagram: &Datagram| match &datagram.message {
        Some(message) => match message.to_tag() {
            Some(tag) => format!("{} to-tag {tag}", message.label()),
            None => message.label(),
        },
        None => format!("{} bytes that are no message", datagram.bytes.len()),
    };
    match &entry.what {
        What::Put(_) | What::Delivered(_) | What::Fired | What::Audited(..) => None,
        What::Heard(datagram) if belongs(datagram) => {
            Some(format!("{:>20} ──{}──► ", name(&datagram.from), label(datagram)))
        }
        What::Sent(datagram) if belongs(datagram) => {
            Some(format!("{:>20}      ──{}──► {}", "", label(datagram), name(&datagram.to)))
        }
        What::Undeliverable(datagram) if belongs(datagram) => {
            Some(format!("undeliverable: {} to {}", label(datagram), name(&datagram.to)))
        }
        What::Heard(_) | What::Sent(_) | What::Undeliverable(_) => None,
        What::Changed(number, change) => {
            let longest = if std::env::var_os("SIM_WHOLE").is_some() { usize::MAX } else { 110 };
            let text = format!("{change:?}");
            Some(format!("     change {}: {}", number.0, text.chars().take(longest).collect::<String>()))
        }
        What::Durable(_) => None,
        What::Adopted(version) => Some(format!("version {version} of the configuration is adopted")),
        What::Refused(problems) => Some(format!("a configuration with {} problems is refused", problems.len())),
        What::Commanded(command, reply) => Some(format!("{command}: {reply}")),
        What::Recorded(record) => {
            let (by, status) = (record.ended_by.as_str(), record.status);
            Some(format!("     record of {}: {by} {status}", record.decision.number))
        }
        What::Killed => Some("killed".to_owned()),
        What::Started(_, version) => Some(format!("started with version {version} of {}", history.models.len())),
        What::Stood(length) => Some(format!("stood still for {} ms", length / MILLISECOND)),
        What::ClockJumped(millis) => Some(format!("the wall's clock jumped by {millis} ms")),
        What::FaultsEnded => Some("the faults end".to_owned()),
        What::Defect(words) => Some(format!("defect: {words}")),
    }
}
