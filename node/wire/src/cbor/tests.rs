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
    fn what_is_written_is_read_back(value in values()) {
        let bytes = encode(&value);
        let read = decode("test", &bytes, 1 << 20).unwrap();
        prop_assert_eq!(&encode(&read), &bytes);
        let wrapped = encode(&Value::Array(vec![value.clone(), value]));
        prop_assert_eq!(array_items("test", &wrapped, 1 << 20).unwrap(), [&bytes, &bytes]);
    }
}
