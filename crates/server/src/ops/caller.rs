//! Who asks: the address at the other end, or the one that a trusted proxy tells.
//!
//! Invariant: an address is only taken from a header if every machine between its owner and this one is trusted.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Addresses of the header that are looked at, from its end: no request goes through more proxies.
const MAX_HOPS: usize = 16;

/// The address of who made a request that came from `peer`.
pub(super) fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut caller = peer.to_canonical();
    let values = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
    for hop in hops.take(MAX_HOPS) {
        if !is_trusted(&caller) {
            break;
        }
        match parse(hop.trim()) {
            Some(address) => caller = address,
            // What stands left of nonsense is no better.
            None => break,
        }
    }
    caller
}

/// An address, which some proxies write with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let address = address.or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_believed_as_far_as_trust_goes() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "::1/128"].map(|n| n.parse().unwrap()).into();
        for (peer, headers, caller_is) in [
            ("192.0.2.1", vec![], "192.0.2.1"),
            ("192.0.2.1", vec!["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", vec!["198.51.100.7"], "198.51.100.7"),
            (
                "10.0.0.1",
                vec!["203.0.113.9, 198.51.100.7"],
                "198.51.100.7",
            ),
            ("10.0.0.1", vec!["203.0.113.9,10.1.1.1"], "203.0.113.9"),
            ("10.0.0.1", vec!["203.0.113.9", "10.1.1.1"], "203.0.113.9"),
            ("10.0.0.1", vec!["203.0.113.9:4711"], "203.0.113.9"),
            ("::1", vec!["[2001:db8::1]:80"], "2001:db8::1"),
            ("::1", vec!["[2001:db8::1]"], "2001:db8::1"),
            ("::ffff:10.0.0.1", vec!["::ffff:192.0.2.5"], "192.0.2.5"),
            ("10.0.0.1", vec!["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
        ] {
            let mut map = HeaderMap::new();
            for header in &headers {
                map.append(FORWARDED_FOR, header.parse().unwrap());
            }
            let found = caller(peer.parse().unwrap(), &map, &trusted);
            assert_eq!(found.to_string(), caller_is, "{peer} {headers:?}");
        }
    }
}
