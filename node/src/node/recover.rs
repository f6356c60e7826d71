//! Taking back entries of our own log that were lost here, after an old backup was restored.
//!
//! They are our own signed entries, which peers hold as they hold any other: an entry for a whole
//! community with all of it, one for named members with those. They come back in order, since our
//! log is nothing but its entries; where nobody gives the next one, the rest waits, and so does
//! every signature. What comes back is the statement and the sealed parts; the secret of an audience
//! is then asked of its members. A part that was sealed to nobody else stays closed.

use sealwire_wire::message::{Request, Response};

use crate::exchange::Input;
use crate::sync;

use super::peers::Peers;

impl Peers {
    /// One round: the first peer, beginning with another one each time, that can give the next
    /// entries of ours gives as many as it can.
    pub(super) async fn recover(&self, round: u64) {
        let Some(known) = self.guard.behind() else { return };
        let own = &self.context.own;
        let ours = self.context.reader.size(own);
        if ours >= known {
            self.guard.caught_up(ours);
            return;
        }
        let peers = self.guard.peers();
        let turn = usize::try_from(round % peers.len().max(1) as u64).unwrap_or(0);
        let mut asked = Vec::new();
        for peer in peers.iter().cycle().skip(turn).take(peers.len()) {
            let request = Request::Pull { log: own.clone(), from: ours };
            let Some(answer) = self.ask(peer, &request).await else { continue };
            asked.push(peer.clone());
            let Response::Range(range) = answer else { continue };
            match sync::recovered(&self.context, &range) {
                Ok(Input::Recovered { entries, .. }) if entries.is_empty() => {}
                Ok(input) => {
                    if let Input::Recovered { entries, .. } = &input {
                        let count = entries.len();
                        tracing::warn!(%peer, from = ours, count, "took back entries of our own log");
                    }
                    self.guard.stuck(None);
                    self.tell(input).await;
                    return;
                }
                Err(cause) => tracing::warn!(%peer, %cause, "refused what was given back"),
            }
        }
        asked.sort();
        self.guard.stuck(Some((ours, asked)));
    }
}
