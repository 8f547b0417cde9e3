//! Trunks in use: calls at once, new calls a second, and where each trunk's proxy is.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Engine;
use crate::config::Config;
use crate::id::TrunkId;
use crate::number::E164;
use crate::routing::{Trunk, Unreachable};
use crate::time::{Instant, Now};

/// One trunk's use.
#[derive(Clone, Debug, Default)]
pub(super) struct TrunkUse {
    /// Calls in both directions.
    pub(super) calls: u32,
    /// Calls that may still begin in this second's allowance, in thousandths: a bucket that refills steadily.
    tokens: u64,
    refilled_at: Instant,
    /// Where its proxy is, from a look-up of its name.
    pub(super) addresses: Vec<SocketAddr>,
}

impl Engine {
    /// whether a trunk may begin one more call now; counts it against the trunk's rate.
    ///
    /// # Errors
    /// What shows that it may not: `60 of 60 calls`.
    pub(super) fn admit_trunk_call(&mut self, now: Now, trunk: &Trunk) -> Result<(), String> {
        let usage = self.trunk_use.entry(trunk.id.clone()).or_default();
        if let Some(most) = trunk.max_calls.filter(|most| usage.calls >= *most) {
            return Err(format!("{} of {most} calls", usage.calls));
        }
        let Some(rate) = trunk.max_calls_per_second else { return Ok(()) };
        let full = u64::from(rate) * 1000;
        if usage.refilled_at == Instant::ORIGIN {
            usage.tokens = full;
            usage.refilled_at = now.mono;
        }
        // Whole milliseconds are refilled, and the rest of the time passed is kept for the next look.
        let passed = u64::try_from(now.mono.since(usage.refilled_at).as_millis()).unwrap_or(u64::MAX);
        usage.tokens = full.min(usage.tokens.saturating_add(passed.saturating_mul(u64::from(rate))));
        usage.refilled_at += Duration::from_millis(passed);
        if usage.tokens < 1000 {
            return Err(format!("{rate} new calls a second"));
        }
        usage.tokens -= 1000;
        Ok(())
    }

    pub(super) fn count_trunk_up(&mut self, trunk: &TrunkId) {
        self.trunk_use.entry(trunk.clone()).or_default().calls += 1;
    }

    pub(super) fn count_trunk_down(&mut self, trunk: &TrunkId) {
        if let Some(usage) = self.trunk_use.get_mut(trunk) {
            assert!(usage.calls > 0, "a call of a trunk's is counted down once");
            usage.calls -= 1;
        }
    }

    /// Where a trunk's proxy is: its address, or what its name was last found to mean.
    pub(super) fn proxy_addresses(&self, trunk: &Trunk) -> SmallVec<[SocketAddr; 2]> {
        let Some(proxy) = &trunk.proxy else { return SmallVec::new() };
        match proxy.host.parse() {
            Ok(address) => std::iter::once(SocketAddr::new(address, proxy.port.unwrap_or(5060))).collect(),
            Err(_) => {
                self.trunk_use.get(&trunk.id).map(|usage| usage.addresses.iter().copied().collect()).unwrap_or_default()
            }
        }
    }

    /// Whether an address is one of a trunk's, by a version of the configuration: one it sends from, or its proxy's.
    pub(super) fn is_of_trunk(&self, config: &Config, trunk: &TrunkId, address: SocketAddr) -> bool {
        let Some(trunk) = config.plan.trunks.get(trunk) else { return false };
        let ip = address.ip().to_canonical();
        let sends = trunk
            .sources
            .iter()
            .any(|source| source.net.contains(&ip) && source.port.is_none_or(|port| port == address.port()));
        sends || self.proxy_addresses(trunk).contains(&address)
    }

    /// Request-URI and addresses of a number behind a trunk.
    ///
    /// # Errors
    /// Why it cannot be reached just now.
    pub(super) fn trunk_destination(
        &self,
        config: &Config,
        trunk: &TrunkId,
        number: &E164,
    ) -> Result<(Bytes, SmallVec<[SocketAddr; 2]>), Unreachable> {
        let trunk = config.plan.trunks.get(trunk).ok_or(Unreachable::Gone)?;
        let calls = self.trunk_use.get(&trunk.id).map_or(0, |usage| usage.calls);
        if trunk.max_calls.is_some_and(|most| calls >= most) {
            return Err(Unreachable::AtLimit);
        }
        let proxy = trunk.proxy.as_ref().ok_or(Unreachable::NoProxy)?;
        let addresses = self.proxy_addresses(trunk);
        if addresses.is_empty() {
            return Err(Unreachable::NoAddress);
        }
        let host = if proxy.host.contains(':') { format!("[{}]", proxy.host) } else { proxy.host.clone() };
        let uri = match proxy.port {
            Some(port) => format!("sip:{number}@{host}:{port}"),
            None => format!("sip:{number}@{host}"),
        };
        Ok((Bytes::from(uri), addresses))
    }
}
