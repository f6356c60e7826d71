//! Every message is read back as it was written, and nothing else is read.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

fn item() -> Item {
    Item {
        index: 3,
        statement: vec![1, 2, 3],
        proof: vec![Digest([4; 32])],
        sealed: BTreeMap::from([("core".to_owned(), vec![5; 40])]),
    }
}

fn announcement() -> Announcement {
    Announcement { log: "ID".parse().unwrap(), checkpoint: "note\n".into(), items: vec![item()] }
}

#[test]
fn every_message_is_read_back() {
    let log: MemberId = "ID".parse().unwrap();
    assert_eq!(Announcement::from_bytes(&announcement().to_bytes()), Ok(announcement()));
    for request in [
        Request::Head(log.clone()),
        Request::Pull { log: log.clone(), from: 9 },
        Request::Fetch { log, indexes: vec![1, 5] },
        Request::Push(announcement()),
        Request::Cosigned { note: "n".into() },
        Request::Rewrap { audience: [1; 16] },
        Request::Consistency { log: "SG".parse().unwrap(), size: 3 },
        Request::Quarantined { index: 1, code: "c".into(), text: "t".into() },
        Request::Register { version: 3, digest: Digest([7; 32]) },
        Request::MatchTags { about: about(), have: 5 },
        Request::Match(Blinded { about: about(), serial: 5, elements: vec![[7; 32]; 32] }),
    ] {
        assert_eq!(Request::from_bytes(&request.to_bytes()), Ok(request));
    }
    let range = Range {
        checkpoint: "c".into(),
        from: 1,
        leaves: vec![Digest([1; 32]); 3],
        consistency: vec![],
        items: vec![item()],
        denial: Some(vec![9]),
    };
    for response in [
        Response::Head("n".into()),
        Response::Nothing,
        Response::Range(Range { denial: None, ..range.clone() }),
        Response::Range(range),
        Response::Items { items: vec![item()], denial: None },
        Response::Items { items: vec![], denial: Some(vec![1]) },
        Response::Taken,
        Response::Refused { code: "c".into(), text: "t".into() },
        Response::Wrapped(vec![1]),
        Response::Consistency(Consistency {
            checkpoint: "c".into(),
            root: Digest([2; 32]),
            proof: vec![Digest([3; 32])],
        }),
        Response::Registers(vec![]),
        Response::MatchTags(tags(vec![[1; 8], [2; 8]])),
        Response::Matched(vec![[7; 32], [8; 32]], [9; 64]),
        Response::Registers(vec![vec![1], vec![2]]),
    ] {
        assert_eq!(Response::from_bytes(&response.to_bytes()), Ok(response));
    }
}

fn about() -> About {
    About { community: "labs".into(), purpose: "risk-analysis".into(), kind: "container".into() }
}

fn tags(tags: Vec<[u8; 8]>) -> Tags {
    Tags { epoch: 1, day: 2, serial: 3, tags: tags.concat() }
}

#[test]
fn questions_and_tags_keep_to_their_limits() {
    let asked = |elements| Request::Match(Blinded { about: about(), serial: 5, elements });
    let answered = |elements| Response::Matched(elements, [9; 64]);
    for count in [0, 33] {
        let elements = vec![[7; 32]; count];
        assert!(Request::from_bytes(&asked(elements.clone()).to_bytes()).is_err(), "{count}");
        assert!(Response::from_bytes(&answered(elements).to_bytes()).is_err(), "{count}");
    }
    let unnamed = About { kind: "MSKU6011672".into(), ..about() };
    let unnamed = Request::MatchTags { about: unnamed, have: 0 };
    assert!(Request::from_bytes(&unnamed.to_bytes()).is_err(), "no word");
    let read = |tags: Tags| Response::from_bytes(&Response::MatchTags(tags).to_bytes());
    assert!(read(tags(vec![[2; 8], [1; 8]])).is_err(), "not in order");
    assert!(read(Tags { tags: vec![1; 9], ..tags(vec![]) }).is_err(), "a piece of a tag");
    let most = crate::oprf::MAX_TAGS;
    let many = read(tags(vec![[1; 8]; most]));
    assert!(many.is_ok() && 8 * most < MAX_RESPONSE_BYTES / 2);
    assert!(read(tags(vec![[1; 8]; most + 1])).is_err());
}

#[test]
fn refuses_surplus_arguments_and_unknown_verbs() {
    assert!(Request::from_bytes(&encode_call("head", vec!["ID".into(), 1.into()])).is_err());
    assert!(Request::from_bytes(&encode_call("nonsense", vec![])).is_err());
    assert!(Response::from_bytes(&encode_call("taken", vec![1.into()])).is_err());
    let many = Response::Registers(vec![vec![1]; MAX_REGISTERS + 1]).to_bytes();
    assert!(Response::from_bytes(&many).is_err());
    let short = vec![1.into(), Value::Bytes(vec![7; 31])];
    assert!(Request::from_bytes(&encode_call("register", short)).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Announcement::from_bytes(&bytes);
        let _ = Request::from_bytes(&bytes);
        let _ = Response::from_bytes(&bytes);
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 0usize..120, to in any::<u8>()) {
        let mut bytes = announcement().to_bytes();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        if let Ok(read) = Announcement::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}
