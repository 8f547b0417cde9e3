//! A HEPv3 packet (the network protocol specification of sipcapture, revision 37): the magic `HEP3`, the length of the whole, and
//! chunks of vendor, type, length and value, all big-endian. Pure: bytes from values.

use std::net::{IpAddr, SocketAddr};

/// One datagram as it was on the wire, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Captured<'a> {
    /// Who sent it.
    pub(super) from: SocketAddr,
    /// Whom it was sent to.
    pub(super) to: SocketAddr,
    /// Microseconds since 1970.
    pub(super) at: u64,
    /// All of it.
    pub(super) payload: &'a [u8],
    /// Our call's id.
    pub(super) correlation: Option<&'a str>,
}

/// Who captured it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agent<'a> {
    /// The number the collector knows us by.
    pub(super) id: u32,
    /// What the collector wants of us before it believes us; sent in the clear, as the protocol has it.
    pub(super) password: Option<&'a str>,
}

/// Chunk types of the vendor 0.
mod chunk {
    pub(super) const FAMILY: u16 = 0x0001;
    pub(super) const TRANSPORT: u16 = 0x0002;
    pub(super) const IPV4_SOURCE: u16 = 0x0003;
    pub(super) const IPV4_DESTINATION: u16 = 0x0004;
    pub(super) const IPV6_SOURCE: u16 = 0x0005;
    pub(super) const IPV6_DESTINATION: u16 = 0x0006;
    pub(super) const SOURCE_PORT: u16 = 0x0007;
    pub(super) const DESTINATION_PORT: u16 = 0x0008;
    pub(super) const SECONDS: u16 = 0x0009;
    pub(super) const MICROSECONDS: u16 = 0x000a;
    pub(super) const PROTOCOL: u16 = 0x000b;
    pub(super) const AGENT: u16 = 0x000c;
    pub(super) const KEY: u16 = 0x000e;
    pub(super) const PAYLOAD: u16 = 0x000f;
    pub(super) const CORRELATION: u16 = 0x0011;
}

/// `AF_INET` and `AF_INET6` as Linux numbers them, which is what collectors expect.
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;
/// IANA's number.
const UDP: u8 = 17;
/// "Capture protocol types": SIP.
const SIP: u8 = 1;
/// Vendor, type and length of a chunk.
const CHUNK_HEAD: usize = 6;

/// Writes the packet over whatever is in `packet`; `None` where the datagram is too long for one.
pub(super) fn write(packet: &mut Vec<u8>, agent: Agent<'_>, captured: &Captured<'_>) -> Option<()> {
    packet.clear();
    packet.extend_from_slice(b"HEP3\0\0");
    match (captured.from.ip(), captured.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            put(packet, chunk::FAMILY, &[FAMILY_IPV4])?;
            put(packet, chunk::TRANSPORT, &[UDP])?;
            put(packet, chunk::IPV4_SOURCE, &from.octets())?;
            put(packet, chunk::IPV4_DESTINATION, &to.octets())?;
        }
        // Both ends of a flow are of one family; were they not, the longer form says both.
        (from, to) => {
            put(packet, chunk::FAMILY, &[FAMILY_IPV6])?;
            put(packet, chunk::TRANSPORT, &[UDP])?;
            put(packet, chunk::IPV6_SOURCE, &octets(from))?;
            put(packet, chunk::IPV6_DESTINATION, &octets(to))?;
        }
    }
    put(packet, chunk::SOURCE_PORT, &captured.from.port().to_be_bytes())?;
    put(packet, chunk::DESTINATION_PORT, &captured.to.port().to_be_bytes())?;
    // The format's seconds end in 2106.
    let seconds = u32::try_from(captured.at / 1_000_000).unwrap_or(u32::MAX);
    let microseconds = u32::try_from(captured.at % 1_000_000).unwrap_or_default();
    put(packet, chunk::SECONDS, &seconds.to_be_bytes())?;
    put(packet, chunk::MICROSECONDS, &microseconds.to_be_bytes())?;
    put(packet, chunk::PROTOCOL, &[SIP])?;
    put(packet, chunk::AGENT, &agent.id.to_be_bytes())?;
    if let Some(password) = agent.password {
        put(packet, chunk::KEY, password.as_bytes())?;
    }
    if let Some(correlation) = captured.correlation {
        put(packet, chunk::CORRELATION, correlation.as_bytes())?;
    }
    put(packet, chunk::PAYLOAD, captured.payload)?;
    let length = u16::try_from(packet.len()).ok()?.to_be_bytes();
    packet.get_mut(4..6)?.copy_from_slice(&length);
    Some(())
}

fn put(packet: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    let length = u16::try_from(value.len().checked_add(CHUNK_HEAD)?).ok()?;
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(value);
    Some(())
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured<'a>(from: &str, to: &str, payload: &'a [u8]) -> Captured<'a> {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Captured { from, to, at: 1_313_440_459_120_000, payload, correlation: None }
    }

    fn written(agent: Agent<'_>, captured: &Captured<'_>) -> Option<Vec<u8>> {
        let mut packet = b"left from before".to_vec();
        write(&mut packet, agent, captured).map(|()| packet)
    }

    #[test]
    fn the_specifications_example_comes_out_byte_for_byte() {
        // "Example HEP3 packet". Its total length field says 113 octets, and that is what its chunks come to.
        let mut example = b"HEP3\x00\x71".to_vec();
        for chunk in [
            &[0, 0, 0, 1, 0, 7, 0x02][..],
            &[0, 0, 0, 2, 0, 7, 0x11],
            &[0, 0, 0, 3, 0, 10, 0xd4, 0xca, 0x00, 0x01],
            &[0, 0, 0, 4, 0, 10, 0x52, 0x74, 0x00, 0xd3],
            &[0, 0, 0, 7, 0, 8, 0x2e, 0xea],
            &[0, 0, 0, 8, 0, 8, 0x13, 0xc4],
            &[0, 0, 0, 9, 0, 10, 0x4e, 0x49, 0x82, 0xcb],
            &[0, 0, 0, 10, 0, 10, 0x00, 0x01, 0xd4, 0xc0],
            &[0, 0, 0, 11, 0, 7, 0x01],
            &[0, 0, 0, 12, 0, 10, 0x00, 0x00, 0x00, 0xe4],
            b"\x00\x00\x00\x0f\x00\x14INVITE sip:bob",
        ] {
            example.extend_from_slice(chunk);
        }
        let captured = captured("212.202.0.1:12010", "82.116.0.211:5060", b"INVITE sip:bob");
        assert_eq!(written(Agent { id: 228, password: None }, &captured), Some(example));
    }

    #[test]
    fn what_is_longer_than_a_packet_can_say_is_none() {
        let agent = Agent { id: 1, password: None };
        let payload = vec![b'x'; 65_535];
        assert_eq!(written(agent, &captured("192.0.2.1:1", "192.0.2.2:2", &payload)), None);
        // Every chunk is short enough, the whole is not.
        assert_eq!(written(agent, &captured("192.0.2.1:1", "192.0.2.2:2", &payload[..65_500])), None);
        let packet = written(agent, &captured("192.0.2.1:1", "192.0.2.2:2", &payload[..65_000])).unwrap();
        assert_eq!(packet.get(4..6), Some(&u16::try_from(packet.len()).unwrap().to_be_bytes()[..]));
    }
}
