//! When a head is cosigned with ML-DSA-44 too, and how often that is kept.

use super::*;

/// A mirror of four entries with a key of ML-DSA-44, which it has used for none yet.
fn with_pq() -> (World, MemberId, MemberId) {
    let (mut world, owner, mirror) = mirroring(4);
    let machine = world.machines.get_mut(&mirror).unwrap();
    machine.keys.cosign_pq = Some(Arc::new(MlDsaKey::from_seed(&[9; 32])));
    (world, owner, mirror)
}

/// The sizes that are cosigned with ML-DSA-44 in these orders; each in a note that leaves.
fn cosigned(orders: &[Order], owner: &MemberId) -> Vec<u64> {
    let facts = orders.iter().filter_map(|order| match order {
        Order::Commit(facts) => Some(facts),
        _ => None,
    });
    let pq = facts.flatten().filter_map(|fact| match fact {
        Fact::PqCosignature { log, size, line, .. } if log == owner => Some((*size, line.clone())),
        _ => None,
    });
    let pq: Vec<(u64, String)> = pq.collect();
    for (_, line) in &pq {
        let leaves =
            |order: &Order| matches!(order, Order::Cosignature { note, .. } if note.contains(line));
        assert!(orders.iter().any(leaves), "a cosignature is sent to the owner");
    }
    pq.into_iter().map(|(size, _)| size).collect()
}

/// The owner's log grows by one, and the mirror hears of it.
fn grow(world: &mut World, owner: &MemberId, mirror: &MemberId) -> Vec<Order> {
    let size = world.machines[owner].own_size();
    world.publish(owner);
    world.queue.clear();
    let head = world.stores[owner][owner].signed_head(owner, size as usize + 1);
    let entries = world.taken(owner, owner, mirror, size..size + 1);
    if entries.is_empty() {
        let leaves = vec![world.stores[owner][owner].leaves[size as usize]];
        let denial = denial(owner, owner, mirror, size..size + 1);
        let ranged = Ranged {
            log: owner.clone(),
            peer: owner.clone(),
            head,
            from: size,
            leaves,
            consistency: Vec::new(),
            entries: Vec::new(),
            denial,
        };
        return world.machines.get_mut(mirror).unwrap().handle(Input::Ranged(ranged), world.now_ms);
    }
    let input = Input::Announced { log: owner.clone(), head, entries };
    world.machines.get_mut(mirror).unwrap().handle(input, world.now_ms)
}

fn tick(world: &mut World, mirror: &MemberId, ms: u64) -> Vec<Order> {
    world.now_ms += ms;
    world.machines.get_mut(mirror).unwrap().handle(Input::Tick, world.now_ms)
}

#[test]
fn a_busy_log_is_cosigned_with_mldsa_once_in_ten_seconds_and_its_last_head_always() {
    let (mut world, owner, mirror) = with_pq();
    let mut made = cosigned(&tick(&mut world, &mirror, 1), &owner);
    let begun = world.now_ms;
    for _ in 0..200 {
        world.now_ms += 10;
        made.extend(cosigned(&grow(&mut world, &owner, &mirror), &owner));
    }
    assert_eq!(made, [4], "not for each of 200 heads in two seconds");
    let quiet = world.now_ms;
    let orders = tick(&mut world, &mirror, begun + PQ_EVERY_MS - quiet);
    assert_eq!(cosigned(&orders, &owner), [204], "the last head, without anything new");
    let orders = tick(&mut world, &mirror, 10 * PQ_EVERY_MS);
    assert_eq!(cosigned(&orders, &owner), [0; 0], "once");
}

#[test]
fn one_that_is_asked_for_is_made_at_once_but_not_more_than_once_a_second() {
    let (mut world, owner, mirror) = with_pq();
    tick(&mut world, &mirror, 1);
    grow(&mut world, &owner, &mirror);
    let ask = |world: &mut World, ms: u64| {
        world.now_ms += ms;
        let machine = world.machines.get_mut(&mirror).unwrap();
        cosigned(&machine.handle(Input::PqAsked(owner.clone()), world.now_ms), &owner)
    };
    assert_eq!(ask(&mut world, 0), [0; 0], "too soon after the last");
    assert_eq!(ask(&mut world, PQ_ASKED_EVERY_MS), [5]);
    assert_eq!(ask(&mut world, PQ_ASKED_EVERY_MS), [0; 0], "of the same head");
}

#[test]
fn the_owner_keeps_what_it_is_sent_at_a_bounded_rate() {
    let (mut world, owner, mirror) = with_pq();
    let machine = world.machines.get_mut(&owner).unwrap();
    let mut kept = |size: u64, now_ms: u64| {
        let (by, pq) = (mirror.clone(), Some((1, format!("line {size}"))));
        let cosigned = Cosigned { by, size, time: 1, line: "line".to_owned(), pq };
        let orders = machine.handle(Input::Cosigned(cosigned), now_ms);
        let [Order::Commit(facts)] = orders.as_slice() else { panic!("{orders:?}") };
        facts.iter().filter(|fact| matches!(fact, Fact::PqCosignature { .. })).count()
    };
    assert_eq!(kept(4, 1_000_000), 1);
    assert_eq!(kept(4, 2_000_000), 0, "sent again");
    assert_eq!(kept(5, 1_000_000 + PQ_TAKEN_EVERY_MS - 1), 0);
    assert_eq!(kept(5, 1_000_000 + PQ_TAKEN_EVERY_MS), 1);
}
