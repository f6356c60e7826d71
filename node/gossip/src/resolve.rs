//! Turning a peer's names into addresses, through the system's own resolver, just before a dial.
//! Names are not kept: a peer that moves is found at its next dial.

use std::net::IpAddr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The addresses with every name replaced by what it stands for now; a name that cannot be
/// resolved in time gives none.
pub(crate) async fn resolve(addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut resolved = Vec::with_capacity(addresses.len());
    for address in addresses {
        match name_of(&address) {
            None => resolved.push(address),
            Some((name, family)) => {
                let found = look_up(&name).await.into_iter().filter(|ip| family.holds(*ip));
                resolved.extend(found.take(MAX_ADDRESSES_PER_NAME).filter_map(|ip| {
                    // The name is the first step, as the configuration was checked to be.
                    address.replace(0, |_| Some(Protocol::from(ip)))
                }));
            }
        }
    }
    resolved
}

async fn look_up(name: &str) -> Vec<IpAddr> {
    match tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => found.map(|socket| socket.ip()).collect(),
        Ok(Err(error)) => {
            tracing::debug!(name, %error, "name not resolved");
            Vec::new()
        }
        Err(_) => {
            tracing::debug!(name, "name not resolved in time");
            Vec::new()
        }
    }
}

fn name_of(address: &Multiaddr) -> Option<(String, Family)> {
    match address.iter().next()? {
        Protocol::Dns(name) => Some((name.into_owned(), Family::Any)),
        Protocol::Dns4(name) => Some((name.into_owned(), Family::V4)),
        Protocol::Dns6(name) => Some((name.into_owned(), Family::V6)),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy)]
enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    fn holds(self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ADDRESSES_PER_NAME: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replaces_names_and_leaves_addresses_alone() {
        let given: Vec<Multiaddr> = ["/ip4/192.0.2.7/tcp/1", "/dns4/localhost/udp/2/quic-v1"]
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        let expected: Vec<Multiaddr> = ["/ip4/192.0.2.7/tcp/1", "/ip4/127.0.0.1/udp/2/quic-v1"]
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        assert_eq!(resolve(given).await, expected);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_gives_nothing() {
        let given = vec!["/dns4/no-such-host.invalid/tcp/1".parse().expect("an address")];
        assert_eq!(resolve(given).await, Vec::<Multiaddr>::new());
    }
}
