//! Keys that do not sign: they are in a token that does not answer.

use super::*;
use crate::config::{Pkcs11Keys, TokenName};
use crate::keys::{Key, Token, TokenKey};

/// A key in a token that nobody has logged in to.
fn away(key: &SigningKey) -> Key {
    let settings = Pkcs11Keys {
        module: "/nowhere".into(),
        token: TokenName::Label("away".to_owned()),
        pin_credential: None,
        labels: BTreeMap::new(),
    };
    let public = key.verifying_key().to_bytes();
    Key::Token(TokenKey::new(Arc::new(Token::new(settings)), "key".to_owned(), public))
}

fn unit(member: &MemberId, token: u64, index: u64) -> Unit {
    let statement = signed(member, index, false);
    let entries = vec![Issued { statement, sealed: BTreeMap::new() }];
    Unit { token, entries, facts: Vec::new(), request: None }
}

#[test]
fn nothing_is_logged_that_the_log_key_did_not_sign_for() {
    let (mut world, member) = (World::new(), id("ID"));
    let machine = world.machines.get_mut(&member).unwrap();
    machine.keys.log = away(&key(&member, 1));
    let units = || vec![unit(&member, 7, 0), unit(&member, 8, 1)];
    let orders = machine.handle(Input::Own(units()), 1);
    let refused = orders.iter().map(|order| match order {
        Order::Unsigned { token, .. } => *token,
        other => panic!("{other:?}"),
    });
    assert_eq!(refused.collect::<Vec<_>>(), [7, 8]);
    assert_eq!(machine.own_size(), 0);
    // The token is back: the entries have the same places.
    machine.keys.log = key(&member, 1).into();
    let orders = machine.handle(Input::Own(units()), 2);
    assert!(matches!(&orders[0], Order::Commit(facts) if facts.len() == 3), "{orders:?}");
    assert_eq!(machine.own_size(), 2);
}

#[test]
fn a_head_that_the_cosign_key_did_not_sign_is_cosigned_at_a_later_tick() {
    let (mut world, owner, mirror) = mirroring(4);
    let machine = world.machines.get_mut(&mirror).unwrap();
    let held = machine.mirrors.get_mut(&owner).unwrap();
    held.cosigned = None;
    machine.keys.cosign = away(&key(&mirror, 2));
    let cosigns = |orders: &[Order]| {
        let of_owner = |o: &Order| matches!(o, Order::Cosignature { log, .. } if *log == owner);
        orders.iter().any(of_owner)
    };
    let now = world.now_ms;
    assert!(!cosigns(&machine.handle(Input::Tick, now + 1)));
    machine.keys.cosign = key(&mirror, 2).into();
    assert!(cosigns(&machine.handle(Input::Tick, now + 2)));
}
