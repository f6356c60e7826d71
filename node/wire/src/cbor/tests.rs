//! What is refused, and that writing and reading agree.

use super::*;
use proptest::prelude::*;

fn refused(hex_bytes: &str) -> CborError {
    decode("test", &hex::decode(hex_bytes).unwrap(), 64).unwrap_err()
}

#[test]
fn refuses_everything_but_the_deterministic_encoding() {
    let not_deterministic = CborError::NotDeterministic { what: "test" };
    assert_eq!(refused("1817"), not_deterministic, "long form of 23");
    assert_eq!(refused("5f4101ff"), not_deterministic, "indefinite length");
    assert_eq!(refused("a2616201616101"), not_deterministic, "keys out of order");
    assert_eq!(refused("a2616101616101"), not_deterministic, "duplicate key");
    assert_eq!(refused("0101"), not_deterministic, "leftovers");
    assert_eq!(refused("c24101"), not_deterministic, "bignum in disguise");
    assert!(matches!(refused("f93c00"), CborError::Forbidden { .. }), "float");
    assert!(matches!(refused("f6"), CborError::Forbidden { .. }), "null");
    assert!(matches!(refused("81c001"), CborError::Forbidden { .. }), "inner tag");
    assert!(matches!(refused("82"), CborError::Malformed { .. }), "truncated");
    assert!(matches!(refused(&"81".repeat(40)), CborError::Malformed { .. }), "too deep");
}

#[test]
fn map_keys_are_ordered_bytewise_not_by_length_alone() {
    let value = Value::Map(vec![
        (Value::Integer((-1).into()), Value::Bool(true)),
        (Value::Integer(258.into()), Value::Bool(false)),
    ]);
    assert_eq!(hex::encode(encode(&value)), "a2190102f420f5");
}

#[test]
fn a_huge_length_in_a_short_input_is_refused_cheaply() {
    assert!(matches!(refused("9bffffffffffffffff"), CborError::Malformed { .. }));
    assert!(matches!(refused("5b7fffffffffffffff00"), CborError::Malformed { .. }));
}

#[test]
fn a_sequence_is_read_value_by_value() {
    let bytes = hex::decode("01820203616161").unwrap();
    let mut rest = &bytes[..];
    assert_eq!(decode_next("test", &mut rest, 10), Ok(Value::from(1)));
    assert!(decode_next("test", &mut rest, 10).unwrap().is_array());
    assert_eq!(decode_next("test", &mut rest, 10), Ok(Value::from("a")));
    assert!(decode_next("test", &mut rest, 10).is_err(), "a lone head is no value");
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(|u| Value::Integer(u.into())),
        any::<i64>().prop_map(|i| Value::Integer(i.into())),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        "[a-z/é]{0,30}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map("[a-z]{0,30}", inner, 0..6).prop_map(|m| Value::Map(
                m.into_iter().map(|(k, v)| (Value::Text(k), v)).collect()
            )),
        ]
    })
}

/// Encoded maps, some of them damaged.
fn maps() -> impl Strategy<Value = Vec<u8>> {
    let entries = prop::collection::btree_map("[a-z]{0,30}", values(), 0..6);
    let damage = prop::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>()));
    (entries, damage).prop_map(|(entries, damage)| {
        let entries = entries.into_iter().map(|(k, v)| (Value::Text(k), v));
        let mut bytes = encode(&Value::Map(entries.collect()));
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_what_is_read_is_canonical(
        bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        if let Ok(value) = decode("test", &bytes, 200) {
            prop_assert_eq!(&encode(&value), &bytes);
        }
        let array = decode_plain("test", &bytes, 200).ok().and_then(|v| v.into_array().ok());
        let items = array_items("test", &bytes, 200).ok();
        let encoded = array.map(|items| items.iter().map(encode).collect::<Vec<_>>());
        let items = items.map(|items| items.into_iter().map(<[u8]>::to_vec).collect());
        prop_assert_eq!(items, encoded, "both readers agree");
    }

    #[test]
    fn fields_are_those_that_values_have(bytes in maps()) {
        let value = decode_plain("test", &bytes, 4096);
        let values = value.as_ref().ok().and_then(|value| value.as_map());
        let expected: Option<Vec<_>> = values.and_then(|values| {
            values.iter().map(|(key, value)| Some((key.as_text()?, encode(value)))).collect()
        });
        let fields = Fields::of_map("test", &bytes).ok();
        prop_assert_eq!(fields.is_some(), expected.is_some());
        for (name, item) in expected.iter().flatten() {
            let mut fields = Fields::of_map("test", &bytes).unwrap();
            prop_assert_eq!(fields.take(name).unwrap().left(), item);
            prop_assert!(fields.take_opt(name).is_none(), "taken");
            let others = expected.iter().flatten().filter(|(other, _)| other != name);
            prop_assert!(others.into_iter().all(|(other, _)| fields.take_opt(other).is_some()));
            prop_assert!(fields.finish().is_ok());
        }
    }

    #[test]
    fn what_is_written_is_read_back(value in values()) {
        let bytes = encode(&value);
        let read = decode("test", &bytes, 1 << 20).unwrap();
        prop_assert_eq!(&encode(&read), &bytes);
        let wrapped = encode(&Value::Array(vec![value.clone(), value]));
        prop_assert_eq!(array_items("test", &wrapped, 1 << 20).unwrap(), [&bytes, &bytes]);
    }
}

#[test]
fn fields_are_taken_where_they_lie_and_nothing_is_left_over() {
    let encoded = encode(&map([
        ("a", Value::from(7)),
        ("b", Value::from("text")),
        ("c", bytes([1, 2, 3])),
        ("d", Value::from(-1)),
    ]));
    let mut fields = Fields::of_map("test", &encoded).unwrap();
    assert_eq!(fields.take_u64("a"), Ok(7));
    assert_eq!(fields.take_text("b"), Ok("text"));
    assert_eq!(fields.take_fixed("c"), Ok([1, 2, 3]));
    assert!(fields.take_u64("a").is_err(), "taken");
    assert!(fields.take_u64("d").is_err(), "negative");
    assert!(fields.take_opt("e").is_none());
    assert!(fields.finish().is_ok());
    let fields = Fields::of_map("test", &encoded).unwrap();
    assert!(fields.finish().is_err(), "nobody took them");
}

#[test]
fn what_is_read_in_turn_is_exactly_what_was_asked_for() {
    let bytes = hex::decode("d284182a616142ffeea20120046162").unwrap();
    let read = |bytes: &[u8]| {
        let mut strict = Strict::up_to("test", bytes, 15)?;
        strict.tag(18)?;
        strict.array("the whole", 4)?;
        let number = strict.unsigned("number")?;
        let text = strict.text_string("text")?.to_owned();
        let bytes = strict.byte_array("bytes")?;
        strict.labels("labels", 2)?;
        strict.label(1, "one")?;
        let negative = strict.integer("negative")?;
        strict.label(4, "four")?;
        let parsed: char = strict.parsed("parsed", "one letter")?;
        strict.end()?;
        Ok::<_, CborError>((number, text, bytes, negative, parsed))
    };
    assert_eq!(read(&bytes), Ok((42, "a".to_owned(), [0xff, 0xee], -1, 'b')));
    for at in 0..bytes.len() {
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        // Every head but its own number; what a text, a number or a byte string says may differ.
        if ![3, 5, 7, 8, 11, 14].contains(&at) {
            for byte in (0..=u8::MAX).filter(|byte| *byte != bytes[at]) {
                let mut other = bytes.clone();
                other[at] = byte;
                assert!(read(&other).is_err(), "{byte:x} at {at}");
            }
        }
    }
    assert!(read(&[bytes.as_slice(), &[0]].concat()).is_err(), "longer");
    let mut bignum = Strict::new("test", &[0xc2, 0x41, 1]);
    assert_eq!(bignum.tag(18), Err(CborError::NotDeterministic { what: "test" }));
}

#[test]
fn a_map_read_in_turn_has_texts_as_keys_in_order_each_once() {
    let read = |hex_bytes: &str| {
        let (bytes, mut names) = (hex::decode(hex_bytes).unwrap(), Vec::new());
        let mut strict = Strict::new("test", &bytes);
        strict.map("map", |name, value| {
            names.push((name.to_owned(), value.unsigned(name)?));
            Ok(())
        })?;
        strict.end().map(|()| names)
    };
    let ab = vec![("a".to_owned(), 1), ("b".to_owned(), 2)];
    assert_eq!(read("a2616101616202"), Ok(ab));
    assert_eq!(read("a0"), Ok(Vec::new()));
    let bad = [
        "a2616201616102",
        "a2616101616102",
        "a2616101",
        "a10101",
        "a1416101",
        "a161ff01",
        "8101",
        "a161611801",
        "a16161f6",
        "c0a0",
        "a000",
    ];
    for bad in bad {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_stays_encoded_is_the_value_that_it_was() {
    let value = map([("a", Value::from(7)), ("b", Value::Array(vec!["x".into()]))]);
    let encoded = Encoded::from(value.clone());
    assert_eq!(encoded, Encoded::of_item(&encode(&value)));
    assert_eq!((encoded.value(), encoded.to_json()), (value.clone(), to_json(&value)));
}
