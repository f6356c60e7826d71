//! Facts are read back as they were written, and nothing else is read.

use super::*;
use crate::store::HoldStep;
use crate::store::matches::Asked;
use proptest::prelude::*;
use sealwire_wire::message::About;
use sealwire_wire::statement::MatchSide;

fn facts() -> Vec<Fact> {
    let log: MemberId = "ID".parse().unwrap();
    let by: MemberId = "SG".parse().unwrap();
    let sealed = BTreeMap::from([("core".to_owned(), vec![1; 70])]);
    vec![
        Fact::Entry {
            log: log.clone(),
            received_at: 7,
            item: Item { index: 3, statement: vec![9; 300], proof: vec![], sealed: sealed.clone() },
        },
        Fact::Checkpoint { log: log.clone(), note: "a\n".into() },
        Fact::Leaves { log: log.clone(), from: 4, digests: vec![Digest([5; 32]); 3] },
        Fact::Cosignature {
            log: log.clone(),
            by: by.clone(),
            size: 9,
            time: 10,
            line: "line".into(),
        },
        Fact::PqCosignature {
            log: log.clone(),
            by: by.clone(),
            size: 9,
            time: 11,
            line: "longer".into(),
        },
        Fact::Register { bytes: vec![1, 2] },
        Fact::Denial { log: log.clone(), bytes: vec![3], ranges: vec![(1, 2), (5, 9)] },
        Fact::Secret { audience: [1; 16], originator: log.clone(), sealed: vec![2; 60] },
        Fact::Parts { log: log.clone(), index: 3, sealed },
        Fact::Decision(Decision::Quarantined { log, index: 1, code: "c".into(), text: "t".into() }),
        Fact::Decision(Decision::Idempotent {
            principal: "p".into(),
            key: "k".into(),
            request: Digest([1; 32]),
            index: 2,
        }),
        Fact::Decision(Decision::HeadAccepted {
            size: 7,
            root: Digest([3; 32]),
            at: 5,
            reason: "r".into(),
        }),
        Fact::Decision(Decision::RefusedBy {
            member: by.clone(),
            index: 1,
            code: "c".into(),
            text: "t".into(),
        }),
        Fact::Read {
            log: by.clone(),
            read: Read {
                at: 1,
                by: "b".into(),
                record: RecordId::new(5, &[8; 10]),
                class: "c".into(),
                purpose: "p".into(),
            },
        },
        Fact::Reads {
            subject: RecordId::new(6, &[8; 10]),
            log: by.clone(),
            count: 2,
            part: vec![4; 30],
        },
        Fact::Erasure(Erasure {
            record: RecordId::new(7, &[8; 10]),
            originator: by.clone(),
            classes: ["nominal", "text"].map(str::to_owned).into(),
            rule: "retention-ended".into(),
            at: 9,
        }),
        Fact::Purged(Purged {
            log: by.clone(),
            index: 4,
            classes: ["nominal".to_owned()].into(),
            audiences: vec![[7; 16]],
            at: 10,
        }),
        Fact::Hold(Hold {
            record: RecordId::new(7, &[8; 10]),
            originator: by.clone(),
            step: HoldStep::LiftAsked,
            by: "p".into(),
            at: 11,
            until: "2026-11-30".into(),
            reason: "r".into(),
        }),
        Fact::Review(Review {
            record: RecordId::new(7, &[8; 10]),
            by: "p".into(),
            at: 12,
            until: "2026-11-30".into(),
            reason: "r".into(),
        }),
        Fact::Match(Match::Asked(Asked {
            side: MatchSide::Answered,
            with: by.clone(),
            at: 7,
            by: "p".into(),
            about: About { community: "c".into(), purpose: "p".into(), kind: "container".into() },
            count: 3,
        })),
        Fact::Match(Match::Counted {
            subject: RecordId::new(6, &[8; 10]),
            side: MatchSide::Asked,
            with: by.clone(),
            day: 9,
            count: 2,
        }),
    ]
}

#[test]
fn every_fact_is_read_back() {
    for fact in facts() {
        assert_eq!(Fact::from_frame(&fact.to_frame()), Ok(fact));
    }
}

#[test]
fn what_goes_from_a_fact_leaves_zeros_of_the_same_length() {
    for fact in facts() {
        let (before, after) = (fact.to_frame(), fact.clone().without(|class| class == "core"));
        let frame = after.to_frame();
        assert_eq!((before.kind, before.payload.len()), (frame.kind, frame.payload.len()));
        let changes = matches!(fact, Fact::Entry { .. } | Fact::Parts { .. } | Fact::Secret { .. });
        assert_eq!(before != frame, changes, "{fact:?}");
        assert_eq!(fact.clone().without(|_| false) != fact, matches!(fact, Fact::Secret { .. }));
    }
}

#[test]
fn refuses_unknown_kinds_and_cut_payloads() {
    assert_eq!(
        Fact::from_frame(&Frame { kind: 77, payload: vec![0x80] }),
        Err(FactError::Kind(77))
    );
    for fact in facts() {
        let mut frame = fact.to_frame();
        frame.payload.pop();
        assert!(Fact::from_frame(&frame).is_err(), "{fact:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(
        kind in 0u8..30,
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Fact::from_frame(&Frame { kind, payload });
    }

    #[test]
    fn a_flipped_byte_never_panics(which in 0usize..21, at in 0usize..200, to in any::<u8>()) {
        let mut frame = facts().swap_remove(which).to_frame();
        if let Some(byte) = frame.payload.get_mut(at) {
            *byte = to;
        }
        if let Ok(read) = Fact::from_frame(&frame) {
            prop_assert_eq!(read.to_frame(), frame);
        }
    }
}
