//! The section `[p2p]`.

use std::net::IpAddr;

use toml::de::DeTable;

use super::Walk;
use crate::config::{DEFAULT_P2P_LISTEN, MAX_P2P_LISTEN};

impl Walk<'_> {
    pub(super) fn p2p(&mut self, root: &DeTable<'_>) -> Option<Vec<String>> {
        const HINT: &str =
            "multiaddresses such as \"/ip4/0.0.0.0/tcp/4001\" or \"/ip4/0.0.0.0/udp/4001/quic-v1\"";
        let Some((value, line)) = self.find(root, "p2p", "listen") else {
            return Some(DEFAULT_P2P_LISTEN.map(str::to_owned).to_vec());
        };
        let Some(items) = value.as_array() else {
            let text = format!("accept p2p.listen: {} in the place of a list", value.type_str());
            self.problem(line, text, HINT);
            return None;
        };
        if items.is_empty() || items.len() > MAX_P2P_LISTEN {
            let text = format!(
                "accept p2p.listen: {} addresses, at least 1 and at most {MAX_P2P_LISTEN}",
                items.len()
            );
            self.problem(line, text, HINT);
            return None;
        }
        let mut addresses = Vec::new();
        let mut accepted = true;
        for item in items.iter() {
            match item.get_ref().as_str() {
                Some(address) if is_multiaddress(address) => addresses.push(address.to_owned()),
                other => {
                    let found = other.unwrap_or_else(|| item.get_ref().type_str());
                    let line = self.line(&item.span());
                    let text = format!("accept p2p.listen {found:?}: it is no multiaddress");
                    self.problem(line, text, HINT);
                    accepted = false;
                }
            }
        }
        accepted.then_some(addresses)
    }
}

/// The form only; whether the transport exists is known where the address is used.
fn is_multiaddress(text: &str) -> bool {
    let mut steps = text.split('/');
    steps.next() == Some("")
        && matches!(steps.next(), Some("ip4" | "ip6"))
        && steps.next().is_some_and(|host| host.parse::<IpAddr>().is_ok())
        && matches!(steps.next(), Some("tcp" | "udp"))
        && steps.next().is_some_and(|port| port.parse::<u16>().is_ok())
        && matches!((steps.next(), steps.next()), (None | Some("quic-v1"), None))
}
