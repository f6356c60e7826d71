//! Logs that contradict themselves, relays that lie, and our own log that comes back.

use super::*;

#[test]
fn a_log_that_contradicts_itself_is_stopped_and_nothing_more_is_taken_from_it() {
    let (mut world, owner, mirror) = mirroring(4);
    let machine = world.machines.get_mut(&mirror).unwrap();
    let orders = machine.handle(range(&owner, &owner, 4, &other_history(&owner, 6)), 1);
    let asked = |order: &Order| matches!(order, Order::Prove { log, .. } if *log == owner);
    assert!(
        matches!(orders.first(), Some(Order::Alarm { log, .. }) if *log == owner),
        "{orders:?}"
    );
    let everybody = machine.connected().len();
    assert_eq!(orders.iter().filter(|order| asked(order)).count(), everybody, "for proof");
    let honest = world.stores[&owner][&owner].clone();
    let later = Input::Announced {
        log: owner.clone(),
        head: honest.signed_head(&owner, 4),
        entries: Vec::new(),
    };
    let machine = world.machines.get_mut(&mirror).unwrap();
    assert!(machine.handle(later, 2).is_empty());
    let later = world.now_ms + 10 * ASK_AFTER_MS;
    let orders = machine.handle(Input::Tick, later);
    assert!(orders.iter().all(|order| {
        !matches!(order, Order::Pull { log, .. } | Order::Cosignature { log, .. } if *log == owner)
    }));
    assert!(orders.iter().any(asked), "until somebody gives it");
    machine.handle(Input::Forked { log: owner.clone(), evidence: "evidence".into() }, later);
    let orders = machine.handle(Input::Tick, later + 10 * ASK_AFTER_MS);
    assert!(!orders.iter().any(asked), "{orders:?}");
}

#[test]
fn evidence_of_a_fork_stops_the_log_for_good_and_is_shown_to_everybody() {
    let (mut world, owner, mirror) = mirroring(4);
    let now_ms = world.now_ms;
    let machine = world.machines.get_mut(&mirror).unwrap();
    let forked = || Input::Forked { log: owner.clone(), evidence: "evidence".into() };
    let orders = machine.handle(forked(), now_ms);
    let alarmed = |order: &Order| matches!(order, Order::Alarm { log, evidence: Some(_), .. } if *log == owner);
    assert_eq!(orders.iter().filter(|order| alarmed(order)).count(), 1, "{orders:?}");
    let accused = |order: &Order| matches!(order, Order::Accuse { log, .. } if *log == owner);
    assert_eq!(orders.iter().filter(|order| accused(order)).count(), machine.connected().len());
    assert!(machine.handle(forked(), now_ms).is_empty(), "told once");
    let later = machine.handle(Input::Connected(id("AU")), now_ms);
    assert!(later.iter().any(accused), "whoever comes later is shown it too: {later:?}");
    assert!(machine.handle(Input::Tick, now_ms + 10 * ASK_AFTER_MS).iter().all(|order| {
        !matches!(order, Order::Pull { log, .. } | Order::Cosignature { log, .. } if *log == owner)
    }));
    let own = Input::Forked { log: mirror.clone(), evidence: "evidence".into() };
    let orders = machine.handle(own, now_ms);
    assert!(matches!(orders.as_slice(), [Order::Alarm { .. }, Order::Accuse { .. }, ..]));
}

#[test]
fn a_relay_that_lies_convicts_nobody_and_is_left_alone_for_a_while() {
    let (mut world, owner, mirror) = mirroring(4);
    let machine = world.machines.get_mut(&mirror).unwrap();
    let lie = range(&id("AU"), &owner, 4, &other_history(&owner, 6));
    let orders = machine.handle(lie, world.now_ms);
    assert!(matches!(orders.as_slice(), [Order::Prove { peer, .. }] if *peer == id("AU")));
    let (_, state) = machine.mirrors().find(|(log, _)| **log == owner).unwrap();
    assert!(!state.stopped && state.frontier.size() == 4);
    world.publish(&owner);
    world.heal();
    assert_eq!(world.stores[&mirror][&owner].leaves.len(), 5, "the honest owner is heard again");
}

#[test]
fn entries_of_our_own_log_come_back_in_order_and_nothing_is_signed_for_it() {
    let (mut world, owner, mirror) = mirroring(6);
    let held = world.stores[&mirror][&owner].clone();
    let head = world.stores[&owner][&owner].signed_head(&owner, 6);
    let given = |range: std::ops::Range<u64>| -> Vec<Authentic> {
        range.map(|index| held.entries[&index].clone()).collect()
    };
    let machine = world.machines.get_mut(&owner).unwrap();
    machine.frontier = held.frontier(2);
    let recovered = |from, entries| Input::Recovered { head: head.clone(), from, entries };
    assert!(machine.handle(recovered(3, given(3..6)), 1).is_empty(), "not where the log ends");
    assert!(machine.handle(recovered(2, given(3..6)), 1).is_empty(), "a gap");
    assert!(machine.handle(recovered(2, Vec::new()), 1).is_empty());

    let committed = |orders: Vec<Order>| match orders.as_slice() {
        [Order::Commit(facts)] => facts.clone(),
        other => panic!("{other:?}"),
    };
    let facts = committed(machine.handle(recovered(2, given(2..4)), 1));
    assert_eq!((facts.len(), machine.own_size()), (2, 4), "two entries, and no checkpoint of four");
    let facts = committed(machine.handle(recovered(4, given(4..6)), 1));
    let [Fact::Entry { .. }, Fact::Entry { .. }, Fact::Checkpoint { note, .. }] = facts.as_slice()
    else {
        panic!("{facts:?}")
    };
    assert_eq!(*note, head.note, "the one that was signed before");
    assert_eq!(machine.frontier.root(), head.checkpoint.root);
}
