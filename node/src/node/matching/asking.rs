//! Asks other members.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sealwire_schemas::identifier::{Identifier, IdentifierType};
use sealwire_wire::id::MemberId;
use sealwire_wire::message::{About, Blinded, Request, Response, Tags};
use sealwire_wire::oprf::{Questions, TAG_LEN};
use sealwire_wire::statement::MatchSide;
use serde::Serialize;
use tokio::task::JoinSet;

use super::{Matching, NotAnswered, PREPARING, fault, lock, preparing, random, refuse};
use crate::node::driver::unix_ms;
use crate::refusal::Refusal;
use crate::release;
use crate::store::{Asked, DAY_SECS};

/// How long all members together have to answer: less than a request of the interface may take.
const ANSWER_WAIT: Duration = Duration::from_secs(25);
/// How often tags that are being made are asked for again, or anew once they are over.
const MAX_ATTEMPTS: usize = 5;
/// Most sets of other members' tags kept in memory.
const MAX_SETS: usize = 64;

/// What is to be asked.
#[derive(Debug, Clone)]
pub struct Asking {
    /// In which community.
    pub community: String,
    /// What for.
    pub purpose: String,
    /// The type of the identifiers.
    pub kind: IdentifierType,
    /// The identifiers, 1 to [`sealwire_wire::oprf::MAX_QUESTIONS`].
    pub identifiers: Vec<Identifier>,
    /// Which members; without any all others of the community.
    pub of: BTreeSet<MemberId>,
}

/// What members answered.
#[derive(Debug, Clone, Serialize)]
pub struct Answers {
    /// In which community.
    pub community: String,
    /// What for.
    pub purpose: String,
    /// The type of the identifiers.
    #[serde(rename = "type")]
    pub kind: String,
    /// The members that were asked, each with its answer or why there is none.
    pub members: Vec<MemberAnswer>,
}

/// What one member answered.
#[derive(Debug, Clone, Serialize)]
pub struct MemberAnswer {
    /// Who.
    pub member: MemberId,
    /// Whether it answered.
    pub answered: bool,
    /// Identifiers that it holds, in their one form.
    pub hits: Vec<String>,
    /// Identifiers that it does not hold.
    pub misses: Vec<String>,
    /// It holds at most so many of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_at_most: Option<usize>,
    /// Why it did not answer: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Matching {
    /// Asks members whether they hold identifiers.
    pub async fn ask(
        self: &Arc<Self>,
        principal: &str,
        asking: Asking,
    ) -> Result<Answers, Refusal> {
        let register = self.context.register();
        let Some(community) = register.community(&asking.community) else {
            return Err(Refusal::new(
                "unknown-community",
                422,
                "cannot ask: the register has no such community",
                "see `sealwire register show`",
            ));
        };
        let members = match asking.of.is_empty() {
            true => community.members.clone(),
            false => asking.of.clone(),
        };
        let members: Vec<MemberId> =
            members.into_iter().filter(|member| *member != self.context.own).collect();
        // Nobody is asked what the agreement covers for nobody.
        let may = |member: &MemberId| {
            let own = &self.context.own;
            release::matching(&register, &asking.community, &asking.purpose, own, member)
        };
        if let Some(rule) = members.iter().try_for_each(may).err()
            && members.iter().all(|member| may(member).is_err())
        {
            let hint = "an agreement that covers assistance-request and the purpose, and members \
                        of it, can be asked; see `sealwire register show`";
            return Err(Refusal::new(rule.id(), 403, format!("cannot ask: {}", rule.why()), hint));
        }
        let about = About {
            community: asking.community.clone(),
            purpose: asking.purpose.clone(),
            kind: asking.kind.to_string(),
        };
        let until = tokio::time::Instant::now() + ANSWER_WAIT;
        let mut asked = JoinSet::new();
        for member in members.clone() {
            let refused = may(&member).err();
            let (this, about) = (Arc::clone(self), about.clone());
            let (by, identifiers) = (principal.to_owned(), asking.identifiers.clone());
            asked.spawn(async move {
                if let Some(rule) = refused {
                    let text = format!("cannot ask: {}", rule.why());
                    return unanswered(member, refuse(rule.id(), text));
                }
                let one = this.ask_one(&member, &about, &by, &identifiers);
                let answer = tokio::time::timeout_at(until, one).await;
                let late = || refuse("no-answer", "cannot ask: no answer in time".to_owned());
                match answer.unwrap_or_else(|_| Err(late())) {
                    Ok(answer) => answer,
                    Err(why) => unanswered(member, why),
                }
            });
        }
        let mut answers = asked.join_all().await;
        answers.sort_by(|a, b| a.member.cmp(&b.member));
        let About { community, purpose, kind } = about;
        Ok(Answers { community, purpose, kind, members: answers })
    }

    async fn ask_one(
        &self,
        member: &MemberId,
        about: &About,
        by: &str,
        identifiers: &[Identifier],
    ) -> Result<MemberAnswer, NotAnswered> {
        for _ in 0..MAX_ATTEMPTS {
            let tags = match self.tags_of(member, about).await {
                Err(NotAnswered { code, .. }) if code == PREPARING => continue,
                tags => tags?,
            };
            match self.ask_with(member, about, by, identifiers, &tags).await {
                // The day has turned, or the list: with the tags of now it is asked anew.
                Err(NotAnswered { code, .. }) if code == "match-tags-over" => continue,
                answer => return answer,
            }
        }
        Err(preparing())
    }

    /// The tags that a member gives us now.
    async fn tags_of(&self, member: &MemberId, about: &About) -> Result<Arc<Tags>, NotAnswered> {
        let place = (member.clone(), about.clone());
        let known = lock(&self.theirs).get(&place).cloned();
        let have = known.as_ref().map_or(0, |tags| tags.serial);
        let request = Request::MatchTags { about: about.clone(), have };
        let tags = match (self.request(member, &request).await?, known) {
            (Response::Taken, Some(known)) => known,
            (Response::MatchTags(tags), _) => Arc::new(tags),
            _ => return Err(unfit()),
        };
        // Its clock and ours may stand on two sides of a midnight, and not further apart.
        let (today, announced) =
            (unix_ms() / 1000 / DAY_SECS, self.context.match_key(member).map(|(epoch, _)| epoch));
        if tags.day.abs_diff(today) > 1 {
            return Err(unfit());
        }
        if announced != Some(tags.epoch) {
            let text = "cannot ask: its match key has not arrived here yet";
            return Err(refuse("match-key-unknown", text.to_owned()));
        }
        let mut theirs = lock(&self.theirs);
        if theirs.len() >= MAX_SETS && !theirs.contains_key(&place) {
            let oldest = theirs.iter().min_by_key(|(_, tags)| tags.serial);
            let oldest = oldest.map(|(place, _)| place.clone());
            oldest.map(|oldest| theirs.remove(&oldest));
        }
        theirs.insert(place, Arc::clone(&tags));
        Ok(tags)
    }

    async fn ask_with(
        &self,
        member: &MemberId,
        about: &About,
        by: &str,
        identifiers: &[Identifier],
        tags: &Tags,
    ) -> Result<MemberAnswer, NotAnswered> {
        let announced = self.context.match_key(member);
        let (_, public) = announced.filter(|(epoch, _)| *epoch == tags.epoch).ok_or_else(unfit)?;
        let texts = identifiers.iter().map(|identifier| identifier.as_str().to_owned());
        let (questions, elements) =
            Questions::blind(texts.collect(), random).map_err(|_| fault())?;
        let asked = Asked {
            side: MatchSide::Asked,
            with: member.clone(),
            at: unix_ms() / 1000,
            by: by.to_owned(),
            about: about.clone(),
            count: elements.len() as u64,
        };
        self.keep(asked).await.map_err(|refusal| refuse(&refusal.code, refusal.message))?;
        let request =
            Request::Match(Blinded { about: about.clone(), serial: tags.serial, elements });
        let Response::Matched(evaluated, proof) = self.request(member, &request).await? else {
            return Err(unfit());
        };
        let parties = (&self.context.own, member);
        let found = self
            .within(about, parties, (tags.epoch, tags.day, tags.serial), |scope| {
                questions.tags(scope, &public, &evaluated, &proof)
            })
            .ok_or_else(fault)?
            .map_err(|e| {
                tracing::warn!(%member, cause = %e, "refused the answer to a question");
                refuse("match-proof-invalid", e.to_string())
            })?;
        let (held, _) = tags.tags.as_chunks::<TAG_LEN>();
        let (mut hits, mut misses) = (Vec::new(), Vec::new());
        for (identifier, tag) in identifiers.iter().zip(&found) {
            let list = if held.binary_search(tag).is_ok() { &mut hits } else { &mut misses };
            list.push(identifier.as_str().to_owned());
        }
        Ok(MemberAnswer {
            member: member.clone(),
            answered: true,
            hits,
            misses,
            of_at_most: Some(held.len()),
            code: None,
            detail: None,
        })
    }

    async fn request(&self, member: &MemberId, request: &Request) -> Result<Response, NotAnswered> {
        let peer = self.context.register().member(member).map(|m| m.peer_id.clone());
        let peer = peer.ok_or_else(unfit)?;
        let bytes = self.gossip.request(&peer, request.to_bytes()).await;
        let bytes = bytes.map_err(|cause| refuse("no-answer", cause.to_string()))?;
        match Response::from_bytes(&bytes) {
            Ok(Response::Refused { code, text }) => Err(NotAnswered { code, text }),
            Ok(response) => Ok(response),
            Err(cause) => {
                tracing::warn!(%member, %cause, "a peer gave a malformed answer");
                Err(unfit())
            }
        }
    }
}

fn unanswered(member: MemberId, NotAnswered { code, text }: NotAnswered) -> MemberAnswer {
    MemberAnswer {
        member,
        answered: false,
        hits: Vec::new(),
        misses: Vec::new(),
        of_at_most: None,
        code: Some(code),
        detail: Some(text),
    }
}

fn unfit() -> NotAnswered {
    refuse("no-answer", "cannot ask: the member's answer does not fit the question".to_owned())
}
