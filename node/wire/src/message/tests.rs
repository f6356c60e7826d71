//! Every message is read back as it was written, and nothing else is read.

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
        Response::Registers(vec![vec![1], vec![2]]),
    ] {
        assert_eq!(Response::from_bytes(&response.to_bytes()), Ok(response));
    }
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
