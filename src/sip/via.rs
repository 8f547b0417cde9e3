//! Via (RFC 3261 §20.42, RFC 3581, RFC 5118 §4.5).

use super::{Fault, Host, Params, scan, uri};

/// One Via value.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// The whole value as written, without surrounding white space.
    pub text: &'a [u8],
    /// Transport as written (`UDP`).
    pub transport: &'a [u8],
    /// sent-by host as written (`[2001:db8::1]` with its brackets).
    pub host_text: &'a [u8],
    /// sent-by host.
    pub host: Host<'a>,
    /// sent-by port, where written.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value that is the whole of `text`.
    ///
    /// # Errors
    /// The fault that says what is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<Via<'a>, Fault> {
        read(scan::trim(text)).ok_or(Fault::BadVia)
    }

    /// The `branch` parameter.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.value("branch")
    }

    /// `rport` (RFC 3581): `None` absent, `Some(None)` asked for, `Some(Some(port))` filled in. A value that is no port
    /// counts as none.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.find("rport").map(|value| value.and_then(uri::read_port))
    }

    /// `received`, with or without brackets around an IPv6 address (RFC 5118 §4.5).
    pub fn received(&self) -> Option<std::net::IpAddr> {
        self.params.value("received").and_then(uri::read_ip)
    }
}

/// §25.1: white space and folds may stand around both `/`, around the `:` and around every `;`; some must stand between
/// transport and host. Protocol and version are any tokens: only the topmost Via was meant for us.
fn read(text: &[u8]) -> Option<Via<'_>> {
    let (protocol, rest) = scan::split_once(text, b'/')?;
    let (version, rest) = scan::split_once(rest, b'/')?;
    let (transport, rest) = scan::take_until(scan::trim_start(rest), scan::is_space);
    if ![scan::trim(protocol), scan::trim(version), transport].into_iter().all(scan::is_token) {
        return None;
    }
    let (host_text, host, rest) = Host::take(scan::trim_start(rest))?;
    let mut rest = scan::trim_start(rest);
    let mut port = None;
    if let Some(behind) = rest.strip_prefix(b":") {
        let (digits, behind) = scan::take_until(scan::trim_start(behind), |byte| byte == b';' || scan::is_space(byte));
        port = Some(uri::read_port(digits)?);
        rest = scan::trim_start(behind);
    }
    let params = Params(rest);
    params.is_well_formed().then_some(Via { text, transport, host_text, host, port, params })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn via(text: &str) -> Via<'_> {
        Via::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    #[test]
    fn every_part_is_where_it_is() {
        let via = via(" SIP/2.0/UDP host.example.com:5070;branch=z9hG4bKabc;rport;received=192.0.2.7 ");
        assert_eq!(via.text, b"SIP/2.0/UDP host.example.com:5070;branch=z9hG4bKabc;rport;received=192.0.2.7");
        assert_eq!(via.transport, b"UDP");
        assert_eq!(via.host_text, b"host.example.com");
        assert_eq!(via.host, Host::Name(b"host.example.com"));
        assert_eq!(via.port, Some(5070));
        assert_eq!(via.branch(), Some(&b"z9hG4bKabc"[..]));
        assert_eq!(via.rport(), Some(None));
        assert_eq!(via.received(), "192.0.2.7".parse().ok());
    }

    #[test]
    fn white_space_and_folds_may_stand_around_every_separator() {
        // RFC 4475 §3.1.1.1
        let folded = via("SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw");
        assert_eq!(folded.transport, b"UDP");
        assert_eq!(folded.host.ip(), "192.0.2.2".parse().ok());
        assert_eq!(folded.branch(), Some(&b"390skdjuw"[..]));
        let spaced = via("SIP  / 2.0  / TCP     spindle.example.com  : 5071 ;\r\n  branch  =   z9hG4bK9ikj8");
        assert_eq!(spaced.host, Host::Name(b"spindle.example.com"));
        assert_eq!(spaced.port, Some(5071));
        assert_eq!(spaced.branch(), Some(&b"z9hG4bK9ikj8"[..]));
    }

    #[test]
    fn rport_is_absent_asked_for_or_filled_in() {
        assert_eq!(via("SIP/2.0/UDP h").rport(), None);
        assert_eq!(via("SIP/2.0/UDP h;RPORT").rport(), Some(None));
        assert_eq!(via("SIP/2.0/UDP h;rport=5062").rport(), Some(Some(5062)));
        assert_eq!(via("SIP/2.0/UDP h;rport=99999").rport(), Some(None));
    }

    #[test]
    fn received_takes_an_ipv6_address_with_and_without_brackets() {
        let address = "2001:db8::9:255".parse().ok();
        let bare = via("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3");
        assert_eq!(bare.received(), address);
        assert_eq!(bare.branch(), Some(&b"z9hG4bKas3"[..]));
        assert_eq!(bare.host_text, b"[2001:db8::9:1]");
        assert_eq!(bare.port, None);
        assert_eq!(via("SIP/2.0/UDP [2001:db8::9:1]:5070;received=[2001:db8::9:255]").received(), address);
        assert_eq!(via("SIP/2.0/UDP h;received=[192.0.2.1]").received(), None);
        assert_eq!(via("SIP/2.0/UDP h;received=somewhere").received(), None);
        // RFC 5118 §4.10
        assert_eq!(via("SIP/2.0/UDP h;received=[2001:db8:::192.0.2.1]").received(), "2001:db8::192.0.2.1".parse().ok());
    }

    #[test]
    fn any_transport_will_do() {
        // RFC 4475 §3.1.1.10
        for transport in ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP", "WSS"] {
            assert_eq!(
                via(&format!("SIP/2.0/{transport} t1.example.com;branch=z9hG4bK-1")).transport,
                transport.as_bytes()
            );
        }
        assert_eq!(
            via("SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~").branch(),
            Some(&b"z9hG4bK-.!%66*_+`'~"[..])
        );
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for text in [
            "",
            "SIP/2.0",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP;branch=x",
            "/2.0/UDP h",
            "SIP//UDP h",
            "SIP/2.0/ h",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h:0",
            "SIP/2.0/UDP h:65536",
            "SIP/2.0/UDP h:5060x",
            "SIP/2.0/UDP h i",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP [2001:db8::1",
            "SIP/2.0/UDP 192.0.2.15;;", // RFC 4475 §3.1.2.1
            "SIP/2.0/UDP h;branch=\"open",
            "SIP/2.0/UDP h, SIP/2.0/UDP i",
        ] {
            assert_eq!(Via::parse(text.as_bytes()).err(), Some(Fault::BadVia), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Via::parse(&text);
        }

        #[test]
        fn anything_behind_the_transport_is_read_without_panic(rest in "[ -~\r\n]{0,40}") {
            let text = format!("SIP/2.0/UDP h{rest}");
            if let Ok(via) = Via::parse(text.as_bytes()) {
                let _ = (via.rport(), via.received(), via.branch());
            }
        }
    }
}
