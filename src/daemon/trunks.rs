//! Where the trunks' proxies are (RFC 3263): names looked up in the background and again as their time to live ends.
//!
//! One task per trunk whose proxy is written as a name; the engine's loop never waits for any. An address needs no look-up.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::id::TrunkId;
use crate::routing::{Plan, Proxy};

/// A name is not asked for more often, whatever its time to live; also when a failed look-up is tried again.
const SHORTEST: Duration = Duration::from_secs(30);
/// A name is asked for at least so often.
const LONGEST: Duration = Duration::from_secs(3600);
/// RFC 3261 §18.2.1: the port of SIP over UDP.
const SIP_PORT: u16 = 5060;

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) trunk: TrunkId,
    /// The proxy that was looked up: by now the configuration may name another.
    pub(super) proxy: Proxy,
    /// Where it is, best first.
    pub(super) addresses: Vec<SocketAddr>,
}

/// Where the proxies are that were found.
#[derive(Debug, Default)]
pub(super) struct Known {
    addresses: BTreeMap<TrunkId, (Proxy, Vec<SocketAddr>)>,
}

impl Known {
    /// Takes in what was found; `false` where this plan does not ask for it any more.
    pub(super) fn learn(&mut self, plan: &Plan, found: Found) -> bool {
        let wanted = proxy_of(plan, &found.trunk) == Some(&found.proxy);
        if wanted {
            self.addresses.insert(found.trunk, (found.proxy, found.addresses));
        }
        wanted
    }

    /// Goes over to another plan. What is known of a proxy that changed is forgotten; gives the trunks it was known of.
    pub(super) fn follow(&mut self, plan: &Plan) -> Vec<TrunkId> {
        let stale = |(trunk, (proxy, _)): (&TrunkId, &(Proxy, Vec<SocketAddr>))| {
            (proxy_of(plan, trunk) != Some(proxy)).then(|| trunk.clone())
        };
        let forgotten: Vec<TrunkId> = self.addresses.iter().filter_map(stale).collect();
        self.addresses.retain(|trunk, _| !forgotten.contains(trunk));
        forgotten
    }

    /// Each trunk with its proxy's addresses.
    pub(super) fn all(&self) -> impl Iterator<Item = (&TrunkId, &Vec<SocketAddr>)> {
        self.addresses.iter().map(|(trunk, (_, addresses))| (trunk, addresses))
    }
}

fn proxy_of<'a>(plan: &'a Plan, trunk: &TrunkId) -> Option<&'a Proxy> {
    plan.trunks.get(trunk)?.proxy.as_ref()
}

/// All look-ups that go on.
#[derive(Debug)]
pub(super) struct Lookups {
    found: mpsc::Sender<Found>,
    running: BTreeMap<TrunkId, (Proxy, JoinHandle<()>)>,
}

impl Lookups {
    /// None yet; what is found is sent to `found`.
    pub(super) fn new(found: mpsc::Sender<Found>) -> Lookups {
        Lookups { found, running: BTreeMap::new() }
    }

    /// Looks up what this plan names, and nothing else any more. Must be called inside the runtime.
    pub(super) fn follow(&mut self, plan: &Plan) {
        let wanted = named_proxies(plan);
        self.running.retain(|trunk, (proxy, task)| {
            let stays = wanted.get(trunk) == Some(proxy);
            if !stays {
                task.abort();
            }
            stays
        });
        for (trunk, proxy) in wanted {
            let found = self.found.clone();
            let start = |trunk: TrunkId, proxy: Proxy| tokio::spawn(look_up_for_ever(trunk, proxy, found));
            self.running.entry(trunk.clone()).or_insert_with(|| (proxy.clone(), start(trunk, proxy)));
        }
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        for (_, task) in self.running.values() {
            task.abort();
        }
    }
}

/// The proxies that are written as names.
fn named_proxies(plan: &Plan) -> BTreeMap<TrunkId, Proxy> {
    let proxy = |(id, trunk): (&TrunkId, &Arc<crate::routing::Trunk>)| {
        let proxy = trunk.proxy.clone().filter(|proxy| proxy.host.parse::<IpAddr>().is_err())?;
        Some((id.clone(), proxy))
    };
    plan.trunks.iter().filter_map(proxy).collect()
}

async fn look_up_for_ever(trunk: TrunkId, proxy: Proxy, found: mpsc::Sender<Found>) {
    let mut resolver = None;
    let mut last: Option<Vec<SocketAddr>> = None;
    loop {
        let pause = match look_up(&mut resolver, &proxy).await {
            Ok((addresses, valid)) => {
                if last.as_ref() != Some(&addresses) {
                    tracing::info!(%trunk, "proxy {} is at {addresses:?}", proxy.host);
                    last = Some(addresses.clone());
                    let what = Found { trunk: trunk.clone(), proxy: proxy.clone(), addresses };
                    if found.send(what).await.is_err() {
                        return;
                    }
                }
                valid.clamp(SHORTEST, LONGEST)
            }
            Err(error) => {
                // What was found before may still be right: a DNS server that is down for a while stops no calls.
                tracing::warn!(%trunk, "cannot find proxy {}: {error}; calls out through it use {}", proxy.host, match &last {
                    Some(_) => "what was found before",
                    None => "nothing until it is found",
                });
                // The system's resolver configuration may have changed.
                resolver = None;
                SHORTEST
            }
        };
        tokio::time::sleep(pause).await;
    }
}

type Valid = (Vec<SocketAddr>, Duration);

async fn look_up(resolver: &mut Option<TokioResolver>, proxy: &Proxy) -> Result<Valid, String> {
    let resolver = match resolver {
        Some(resolver) => resolver,
        None => {
            let made = TokioResolver::builder_tokio().and_then(|builder| builder.build());
            resolver.insert(made.map_err(|error| error.to_string())?)
        }
    };
    // RFC 3263 §4.2: a port is written: A and AAAA alone. None: SRV, and A and AAAA of the name itself where there is none.
    let Some(port) = proxy.port else {
        let services = services(resolver, &proxy.host).await;
        if let Some((services, valid)) = services {
            let (mut addresses, mut shortest) = (Vec::new(), valid);
            let mut failure = None;
            for Service { host, port, .. } in services {
                match hosts(resolver, &host, port).await {
                    Ok((more, valid)) => {
                        addresses.extend(more);
                        shortest = shortest.min(valid);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            return match failure {
                Some(error) if addresses.is_empty() => Err(error),
                Some(_) | None => Ok((addresses, shortest)),
            };
        }
        return hosts(resolver, &proxy.host, SIP_PORT).await;
    };
    hosts(resolver, &proxy.host, port).await
}

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    priority: u16,
    weight: u16,
    host: String,
    port: u16,
}

async fn services(resolver: &TokioResolver, host: &str) -> Option<(Vec<Service>, Duration)> {
    let lookup = resolver.srv_lookup(format!("_sip._udp.{}.", host.trim_end_matches('.'))).await.ok()?;
    let valid = remaining(lookup.valid_until());
    let service = |data: &RData| match data {
        RData::SRV(srv) => {
            Some(Service { priority: srv.priority, weight: srv.weight, host: srv.target.to_utf8(), port: srv.port })
        }
        _ => None,
    };
    let services = lookup.answers().iter().filter_map(|record| service(&record.data)).collect();
    let services = best_first(services);
    (!services.is_empty()).then_some((services, valid))
}

/// RFC 2782: by priority; among equals the heavier first (calls are not spread by weight: the first that answers is used).
/// A target of `.` says that the service is decidedly not there.
fn best_first(mut services: Vec<Service>) -> Vec<Service> {
    services.retain(|service| service.host != "." && !service.host.is_empty());
    services.sort_by(|a, b| a.priority.cmp(&b.priority).then(b.weight.cmp(&a.weight)).then(a.host.cmp(&b.host)));
    services
}

async fn hosts(resolver: &TokioResolver, host: &str, port: u16) -> Result<Valid, String> {
    let lookup = resolver.lookup_ip(host).await.map_err(|error| error.to_string())?;
    let addresses = lookup.iter().map(|ip| SocketAddr::new(ip, port)).collect();
    Ok((addresses, remaining(lookup.valid_until())))
}

fn remaining(until: std::time::Instant) -> Duration {
    until.saturating_duration_since(std::time::Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::DialRules;
    use crate::routing::Trunk;

    /// A trunk's name and its proxy's host and port.
    type Written = (&'static str, Option<(&'static str, Option<u16>)>);

    fn plan(proxies: &[Written]) -> Plan {
        let trunk = |(id, proxy): &Written| {
            let id = TrunkId::new(id);
            let trunk = Trunk {
                id: id.clone(),
                sources: Vec::new(),
                proxy: proxy.map(|(host, port)| Proxy { host: host.into(), port }),
                dial: DialRules::default(),
                max_calls: None,
                max_calls_per_second: None,
            };
            (id, Arc::new(trunk))
        };
        Plan { trunks: proxies.iter().map(trunk).collect(), ..Plan::default() }
    }

    fn service(priority: u16, weight: u16, host: &str) -> Service {
        Service { priority, weight, host: host.into(), port: 5060 }
    }

    #[test]
    fn only_names_are_looked_up() {
        let plan = plan(&[
            ("address", Some(("192.0.2.1", None))),
            ("six", Some(("2001:db8::1", Some(5060)))),
            ("name", Some(("sip.example.net", None))),
            ("none", None),
        ]);
        assert_eq!(named_proxies(&plan).into_keys().collect::<Vec<_>>(), [TrunkId::new("name")]);
    }

    #[test]
    fn a_proxy_that_changed_is_not_where_the_old_one_was() {
        let at = |host: &'static str| plan(&[("t", Some((host, None))), ("stays", Some(("s.example.net", None)))]);
        let found = |trunk: &str, host: &str, address: &str| Found {
            trunk: TrunkId::new(trunk),
            proxy: Proxy { host: host.into(), port: None },
            addresses: vec![address.parse().unwrap()],
        };
        let (old, new) = (at("old.example.net"), at("new.example.net"));
        let mut known = Known::default();
        assert!(known.learn(&old, found("t", "old.example.net", "192.0.2.1:5060")));
        assert!(known.learn(&old, found("stays", "s.example.net", "192.0.2.9:5060")));
        assert_eq!(known.follow(&new), [TrunkId::new("t")]);
        assert_eq!(known.all().map(|(trunk, _)| trunk.as_str()).collect::<Vec<_>>(), ["stays"]);
        // A look-up that was on its way while the configuration changed.
        assert!(!known.learn(&new, found("t", "old.example.net", "192.0.2.1:5060")));
        assert!(known.learn(&new, found("t", "new.example.net", "192.0.2.2:5060")));
        assert_eq!(known.follow(&plan(&[])).len(), 2, "trunks that are gone");
    }

    #[test]
    fn services_go_by_priority_then_weight() {
        let services = vec![service(20, 99, "c."), service(10, 1, "b."), service(10, 50, "a.")];
        let hosts: Vec<_> = best_first(services).into_iter().map(|service| service.host).collect();
        assert_eq!(hosts, ["a.", "b.", "c."]);
    }

    #[test]
    fn a_service_that_is_decidedly_not_there_is_none() {
        assert_eq!(best_first(vec![service(0, 0, ".")]), []);
    }

    #[tokio::test]
    async fn a_look_up_goes_on_while_its_proxy_stays_and_ends_with_it() {
        let (found, _keep) = mpsc::channel(1);
        let mut lookups = Lookups::new(found);
        // `.invalid` never resolves (RFC 6761); nothing is awaited here anyway.
        lookups.follow(&plan(&[("a", Some(("a.invalid", None))), ("b", Some(("b.invalid", None)))]));
        let a = lookups.running[&TrunkId::new("a")].1.id();
        lookups.follow(&plan(&[("a", Some(("a.invalid", None))), ("b", Some(("b.invalid", Some(5070))))]));
        assert_eq!(lookups.running[&TrunkId::new("a")].1.id(), a, "unchanged, undisturbed");
        assert_eq!(lookups.running[&TrunkId::new("b")].0.port, Some(5070));
        lookups.follow(&plan(&[]));
        assert!(lookups.running.is_empty());
    }
}
