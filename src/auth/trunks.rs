//! Which trunk an address belongs to (product §1). UDP source addresses can be forged; that is the bargain trunks
//! offer, and why an [`Origin::Trunk`] only ever reaches configured numbers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::routing::{Plan, Trunk};

use super::{Origin, TrunkProof};

/// The sources of one prefix length: network and port, and whose they are. IPv4 and IPv6 share a table of their
/// length: the network in the key tells them apart.
type Sources = BTreeMap<(IpNet, Option<u16>), Arc<Trunk>>;

/// The sources of all trunks, arranged by how specific they are.
#[derive(Clone, Debug, Default)]
pub struct Trunks {
    /// One table for each prefix length in use, longest first.
    by_length: Vec<(u8, Sources)>,
}

impl Trunks {
    /// The sources of a plan's trunks. A source that two trunks claim goes to the first of them by name: `check`
    /// refuses such a configuration, and here it must at least not depend on chance.
    pub fn new(plan: &Plan) -> Trunks {
        let mut by_length: BTreeMap<u8, Sources> = BTreeMap::new();
        for trunk in plan.trunks.values() {
            for source in &trunk.sources {
                let net = canonical(source.net);
                let table = by_length.entry(net.prefix_len()).or_default();
                table.entry((net, source.port)).or_insert_with(|| Arc::clone(trunk));
            }
        }
        Trunks { by_length: by_length.into_iter().rev().collect() }
    }

    /// The trunk that sends from this address: the longest prefix wins, and of one prefix the source with the port.
    /// An IPv4 address that reached us over an IPv6 socket (`::ffff:192.0.2.1`) is the IPv4 address.
    pub fn identify(&self, source: SocketAddr) -> Option<Origin> {
        let address = source.ip().to_canonical();
        self.by_length.iter().find_map(|(length, table)| {
            // A prefix longer than the address is of the other family.
            let net = IpNet::new(address, *length).ok()?.trunc();
            let trunk = table.get(&(net, Some(source.port()))).or_else(|| table.get(&(net, None)))?;
            Some(Origin::Trunk(TrunkProof { trunk: Arc::clone(trunk) }))
        })
    }
}

/// The network without host bits; one that lies inside `::ffff:0:0/96` as the IPv4 network it means.
fn canonical(net: IpNet) -> IpNet {
    let net = net.trunc();
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(96)) {
        (IpAddr::V4(address), Some(length)) if net.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), length).unwrap_or(net)
        }
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TrunkId;
    use crate::number::DialRules;
    use crate::routing::Source;

    /// A trunk's name, and its sources: network and port.
    type Named<'a> = (&'a str, &'a [(&'a str, Option<u16>)]);

    fn plan(trunks: &[Named<'_>]) -> Plan {
        let trunks = trunks.iter().map(|(name, sources)| {
            let trunk = Trunk {
                id: TrunkId::new(name),
                sources: sources.iter().map(|(net, port)| Source { net: net.parse().unwrap(), port: *port }).collect(),
                proxy: None,
                dial: DialRules::default(),
                max_calls: None,
                max_calls_per_second: None,
            };
            (trunk.id.clone(), Arc::new(trunk))
        });
        Plan { trunks: trunks.collect(), ..Plan::default() }
    }

    fn who(trunks: &Trunks, source: &str) -> Option<String> {
        trunks.identify(source.parse().unwrap()).map(|origin| match origin {
            Origin::Trunk(proof) => proof.trunk().id.to_string(),
            Origin::User(_) => unreachable!("an address proves no user"),
        })
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        let trunks = Trunks::new(&plan(&[
            ("a-wide", &[("192.0.2.0/24", None)]),
            ("b-one", &[("192.0.2.7/32", None)]),
            ("c-half", &[("192.0.2.0/25", None)]),
        ]));
        assert_eq!(who(&trunks, "192.0.2.7:5060").as_deref(), Some("b-one"));
        assert_eq!(who(&trunks, "192.0.2.8:5060").as_deref(), Some("c-half"));
        assert_eq!(who(&trunks, "192.0.2.128:5060").as_deref(), Some("a-wide"));
        assert_eq!(who(&trunks, "192.0.3.1:5060"), None);
    }

    #[test]
    fn a_port_is_more_specific_only_at_the_same_prefix() {
        let trunks = Trunks::new(&plan(&[
            ("any-port", &[("192.0.2.1/32", None)]),
            ("one-port", &[("192.0.2.1/32", Some(5080)), ("192.0.2.0/24", Some(5090))]),
            ("only-port", &[("198.51.100.1/32", Some(5060))]),
        ]));
        assert_eq!(who(&trunks, "192.0.2.1:5080").as_deref(), Some("one-port"));
        assert_eq!(who(&trunks, "192.0.2.1:5060").as_deref(), Some("any-port"));
        assert_eq!(who(&trunks, "192.0.2.1:5090").as_deref(), Some("any-port"), "the longer prefix comes first");
        assert_eq!(who(&trunks, "192.0.2.2:5090").as_deref(), Some("one-port"));
        assert_eq!(who(&trunks, "198.51.100.1:5061"), None);
    }

    #[test]
    fn mapped_addresses_are_the_ipv4_addresses_they_hold() {
        let trunks =
            Trunks::new(&plan(&[("v4", &[("192.0.2.0/28", None)]), ("mapped", &[("::ffff:198.51.100.0/120", None)])]));
        assert_eq!(who(&trunks, "[::ffff:192.0.2.3]:5060").as_deref(), Some("v4"));
        assert_eq!(who(&trunks, "198.51.100.9:5060").as_deref(), Some("mapped"));
        assert_eq!(who(&trunks, "[::ffff:198.51.100.9]:5060").as_deref(), Some("mapped"));
    }

    #[test]
    fn families_do_not_leak_into_each_other() {
        let trunks = Trunks::new(&plan(&[
            ("six", &[("2001:db8::/32", None), ("::/1", None)]),
            ("four", &[("32.1.13.184/32", None)]),
        ]));
        assert_eq!(who(&trunks, "[2001:db8::1]:5060").as_deref(), Some("six"));
        assert_eq!(who(&trunks, "32.1.13.184:5060").as_deref(), Some("four"));
        assert_eq!(who(&trunks, "10.0.0.1:5060"), None, "::/1 holds no IPv4 address");
        assert_eq!(who(&trunks, "[::ffff:10.0.0.1]:5060"), None, "nor does it hold a mapped one");
    }

    #[test]
    fn a_trunk_without_sources_matches_nothing() {
        let trunks = Trunks::new(&plan(&[("silent", &[])]));
        for source in ["0.0.0.0:0", "192.0.2.1:5060", "[::]:0", "[::1]:5060"] {
            assert_eq!(who(&trunks, source), None);
        }
        assert_eq!(who(&Trunks::default(), "192.0.2.1:5060"), None);
    }

    #[test]
    fn host_bits_in_a_source_do_not_matter() {
        let trunks = Trunks::new(&plan(&[("loose", &[("192.0.2.77/24", None)])]));
        assert_eq!(who(&trunks, "192.0.2.1:5060").as_deref(), Some("loose"));
    }

    #[test]
    fn a_source_claimed_twice_goes_to_the_first_name() {
        let trunks = Trunks::new(&plan(&[("beta", &[("192.0.2.1/32", None)]), ("alpha", &[("192.0.2.1/32", None)])]));
        assert_eq!(who(&trunks, "192.0.2.1:5060").as_deref(), Some("alpha"));
    }
}
