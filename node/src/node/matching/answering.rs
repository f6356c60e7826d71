//! Answers other members' questions.

use std::sync::Arc;
use std::time::Duration;

use sealwire_wire::id::MemberId;
use sealwire_wire::message::{About, Blinded, Request, Response, Tags};
use sealwire_wire::oprf::MatchKey;
use sealwire_wire::statement::MatchSide;

use super::{Matching, NotAnswered, fault, preparing, random, refuse};
use crate::matching::{TagSet, make};
use crate::node::driver::unix_ms;
use crate::release;
use crate::store::{Asked, DAY_SECS};

/// How long a request waits for tags that are being made; the asker then asks again.
const MAKING_WAIT: Duration = Duration::from_secs(8);

impl Matching {
    /// Answers a member's request; `None` if it is of another sort.
    pub async fn answer(self: &Arc<Self>, asker: &MemberId, request: &Request) -> Option<Response> {
        let answered = match request {
            Request::MatchTags { about, have } => self.tags(asker, about, *have).await,
            Request::Match(blinded) => self.matched(asker, blinded).await,
            _ => return None,
        };
        Some(answered.unwrap_or_else(|NotAnswered { code, text }| Response::Refused { code, text }))
    }

    /// Whether and of which list `asker` may be answered: when that was loaded.
    fn may_ask(&self, asker: &MemberId, about: &About) -> Result<u64, NotAnswered> {
        let (register, own) = (self.context.register(), &self.context.own);
        release::matching(&register, &about.community, &about.purpose, asker, own)
            .map_err(|rule| refuse(rule.id(), format!("cannot answer: {}", rule.why())))?;
        let listed = self.lists.of(&about.community).filter(|listed| {
            listed.purposes.contains(&about.purpose) && listed.identifiers.contains_key(&about.kind)
        });
        listed.map(|listed| listed.loaded).ok_or_else(|| {
            let text = "cannot answer: nothing of this type may be matched here for this purpose";
            refuse("match-not-offered", text.to_owned())
        })
    }

    /// The tags that `asker` is given now.
    async fn tags(
        self: &Arc<Self>,
        asker: &MemberId,
        about: &About,
        have: u64,
    ) -> Result<Response, NotAnswered> {
        let loaded = self.may_ask(asker, about)?;
        self.left_today(asker, unix_ms() / 1000)?;
        let (epoch, key) = self.own_key()?;
        let current =
            || self.ours.current(asker, about, (epoch, loaded), unix_ms() / 1000).ok_or(());
        let set = match current() {
            Ok(set) => set,
            Err(()) => {
                let until = tokio::time::Instant::now() + MAKING_WAIT;
                let making = tokio::time::timeout_at(until, Arc::clone(&self.making).lock_owned());
                let held = making.await.map_err(|_| preparing())?;
                // Another request may have made them while this one waited.
                match current() {
                    Ok(set) => set,
                    Err(()) => {
                        let (this, asker, about) = (Arc::clone(self), asker.clone(), about.clone());
                        let task = tokio::task::spawn_blocking(move || {
                            let made = this.make(&key, epoch, loaded, &asker, &about);
                            drop(held);
                            made
                        });
                        let made = tokio::time::timeout_at(until, task);
                        made.await.map_err(|_| preparing())?.map_err(|_| fault())??
                    }
                }
            }
        };
        if set.serial == have {
            return Ok(Response::Taken);
        }
        let TagSet { epoch, day, serial, .. } = *set;
        Ok(Response::MatchTags(Tags { epoch, day, serial, tags: set.tags.clone() }))
    }

    fn make(
        &self,
        key: &MatchKey,
        epoch: u64,
        loaded: u64,
        asker: &MemberId,
        about: &About,
    ) -> Result<Arc<TagSet>, NotAnswered> {
        let begun = std::time::Instant::now();
        let identifiers =
            self.lists.identifiers(&about.community, &about.kind).map_err(|cause| {
                tracing::error!(%cause, "cannot read a list of identifiers");
                fault()
            })?;
        let serial = unix_ms() / 1000;
        let day = serial / DAY_SECS;
        let parties = (asker, &self.context.own);
        let tags = self
            .within(about, parties, (epoch, day, serial), |scope| {
                make(key, scope, &identifiers, random)
            })
            .ok_or_else(fault)?
            .map_err(|e| refuse("match-not-offered", e.to_string()))?;
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(member = %asker, identifiers = identifiers.len(), elapsed_ms, "made the tags of a list");
        Ok(self.ours.keep(asker, about, TagSet { epoch, day, serial, loaded, tags }))
    }

    /// Evaluates blinded identifiers, once it is durable how many.
    async fn matched(&self, asker: &MemberId, asked: &Blinded) -> Result<Response, NotAnswered> {
        let loaded = self.may_ask(asker, &asked.about)?;
        let (epoch, key) = self.own_key()?;
        let now = unix_ms() / 1000;
        let set = self.ours.current(asker, &asked.about, (epoch, loaded), now);
        let set = set.filter(|set| set.serial == asked.serial).ok_or_else(|| {
            refuse("match-tags-over", "cannot answer: the tags at hand are over".to_owned())
        })?;
        let count = asked.elements.len() as u64;
        let (with, about) = (asker.clone(), asked.about.clone());
        let counting = self.counting.lock().await;
        if self.left_today(asker, now)? < count {
            return Err(limit(self.questions_a_day));
        }
        self.keep(Asked {
            side: MatchSide::Answered,
            with,
            at: now,
            by: String::new(),
            about,
            count,
        })
        .await
        .map_err(|refusal| refuse(&refusal.code, refusal.message))?;
        drop(counting);
        let parties = (asker, &self.context.own);
        let (elements, proof) = self
            .within(&asked.about, parties, (set.epoch, set.day, set.serial), |scope| {
                key.evaluate(scope, &asked.elements, random)
            })
            .ok_or_else(fault)?
            .map_err(|e| refuse("request-malformed", e.to_string()))?;
        Ok(Response::Matched(elements, proof))
    }

    /// How many questions a member may still put today, if any.
    fn left_today(&self, asker: &MemberId, now: u64) -> Result<u64, NotAnswered> {
        let reader = &self.context.reader;
        let asked = reader.asked_on(MatchSide::Answered, now / DAY_SECS, asker);
        let asked = asked.map_err(|_| fault())?;
        let left = self.questions_a_day.saturating_sub(asked);
        if left == 0 { Err(limit(self.questions_a_day)) } else { Ok(left) }
    }

    fn own_key(&self) -> Result<(u64, MatchKey), NotAnswered> {
        self.context.keys.matching.newest().ok_or_else(|| {
            refuse("match-not-offered", "cannot answer: there is no match key yet".to_owned())
        })
    }
}

fn limit(a_day: u64) -> NotAnswered {
    let text = format!("cannot answer: a member may put {a_day} questions a day, UTC");
    refuse("match-limit", text)
}
