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
        let fields = Fields::of_map("test", &bytes).ok().map(|fields| fields.into_pairs());
        let fields: Option<Vec<_>> = fields.map(Iterator::collect);
        let expected: Option<Vec<_>> = values.and_then(|values| {
            values.iter().map(|(key, value)| Some((key.as_text()?, encode(value)))).collect()
        });
        let fields: Option<Vec<_>> = fields
            .map(|fields| fields.into_iter().map(|(key, item)| (key, item.to_vec())).collect());
        prop_assert_eq!(fields, expected);
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
    assert_eq!(fields.take_opt("e"), None);
    assert!(fields.finish().is_ok());
    let fields = Fields::of_map("test", &encoded).unwrap();
    assert!(fields.finish().is_err(), "nobody took them");
}

#[test]
fn fields_of_arrays_tags_and_sequences_are_those_named() {
    let array = hex::decode("820102").unwrap();
    let names = ["one", "two"];
    assert_eq!(Fields::of_array("test", &array, &names).unwrap().take_u64("two"), Ok(2));
    assert!(Fields::of_array("test", &array, &["one"]).is_err());
    let tagged = hex::decode("d2820102").unwrap();
    assert!(Fields::of_tagged("test", 18, &tagged, 4, &names).is_ok());
    assert!(Fields::of_tagged("test", 17, &tagged, 4, &names).is_err());
    assert!(Fields::of_tagged("test", 18, &tagged, 3, &names).is_err(), "longer than the limit");
    assert!(Fields::of_array("test", &tagged, &names).is_err(), "a tag that nobody asked for");
    let sequence = hex::decode("82010282030481").unwrap();
    let mut rest = &sequence[..];
    assert_eq!(Fields::of_next("test", &mut rest, 3, &names).unwrap().take_u64("one"), Ok(1));
    assert_eq!(Fields::of_next("test", &mut rest, 3, &names).unwrap().take_u64("one"), Ok(3));
    assert!(Fields::of_next("test", &mut rest, 3, &names).is_err(), "an array cut off");
    let labels = hex::decode("a201020420").unwrap();
    let mut labels = Fields::of_labels("test", &labels).unwrap();
    assert_eq!(labels.take_u64(1_u64), Ok(2));
    assert_eq!(labels.take(4_u64).map(|item| integer("test", item)), Ok(Some(-1)));
    assert!(Fields::of_labels("test", &hex::decode("a12001").unwrap()).is_err(), "below 0");
    for (encoded, expected) in [
        ("1bffffffffffffffff", Some(i128::from(u64::MAX))),
        ("3bffffffffffffffff", Some(-1 - i128::from(u64::MAX))),
        ("4100", None),
    ] {
        assert_eq!(integer("test", &hex::decode(encoded).unwrap()), expected, "{encoded}");
    }
}
