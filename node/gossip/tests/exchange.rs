//! Stories of several nodes on loopback, over real sockets. Nothing sleeps: each story waits for
//! what it claims, within a time limit.

mod world;

use std::collections::BTreeSet;

use sealwire_gossip::{
    Config, EVENT_QUEUE, EVENT_RESERVE, Event, GossipError, MAX_MESSAGE_BYTES,
    MAX_OUTBOUND_REQUESTS_PER_PEER, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Peer, PublishError,
    Published, Refused, RequestError, Verdict, start,
};
use world::{BOTH, Node, PATIENCE, TOPIC, Transport, line, pair, raw_sender, send_raw, until};

#[tokio::test]
async fn an_accepted_message_travels_on_to_peers_of_peers() {
    for transport in BOTH {
        let (a, mut b, mut c) = line(transport).await;
        let sent = vec![7; MAX_MESSAGE_BYTES];
        assert_eq!(a.handle.publish(TOPIC, sent.clone()).await, Ok(Published::Sent));
        let (from, bytes, ticket) = b.message().await;
        assert_eq!((from, bytes.len()), (a.id(), sent.len()));
        b.handle.verdict(ticket, Verdict::Accept);
        let (from, bytes, _) = c.message().await;
        assert_eq!(from, b.id(), "{transport:?}: handed on by the middle, not sent by the author");
        assert_eq!(bytes, sent);
    }
}

#[tokio::test]
async fn three_nodes_all_hear_each_other() {
    let mut nodes = Vec::new();
    for seed in 1..=3 {
        nodes.push(Node::start(seed, Transport::Quic).await);
    }
    let all: Vec<Peer> = nodes.iter().map(Node::peer).collect();
    for node in &nodes {
        // The list of the whole federation, including the node itself.
        node.handle.set_peers(all.clone()).await.expect("good peers");
    }
    for node in &nodes {
        node.has_subscribers(2).await;
        let sent = node.handle.publish(TOPIC, node.id().into_bytes()).await;
        assert_eq!(sent, Ok(Published::Sent));
    }
    let ids: BTreeSet<_> = nodes.iter().map(Node::id).collect();
    for node in &mut nodes {
        let mut heard = BTreeSet::from([node.id()]);
        while heard != ids {
            let (_, bytes, ticket) = node.message().await;
            let author = String::from_utf8(bytes).expect("a peer id");
            assert!(heard.insert(author), "a copy was heard twice");
            node.handle.verdict(ticket, Verdict::Accept);
        }
    }
}

#[tokio::test]
async fn a_rejected_or_ignored_message_travels_no_further() {
    let (a, mut b, mut c) = line(Transport::Tcp).await;
    let verdicts = [
        (b"forged".to_vec(), Verdict::Reject),
        (b"early".to_vec(), Verdict::Ignore),
        (b"good".to_vec(), Verdict::Accept),
    ];
    for (bytes, verdict) in verdicts {
        a.handle.publish(TOPIC, bytes.clone()).await.expect("to be sent");
        let (_, heard, ticket) = b.message().await;
        assert_eq!(heard, bytes);
        b.handle.verdict(ticket, verdict);
    }
    let (_, first, _) = c.message().await;
    assert_eq!(first, b"good");
    assert_eq!(b.handle.counters().rejected_messages, 1);
}

#[tokio::test]
async fn an_unlisted_peer_is_refused_at_connection_and_gets_nothing() {
    for transport in BOTH {
        let mut node = Node::start(1, transport).await;
        let stranger = Node::start(2, transport).await;
        stranger.lists(&[&node]).await;
        let refused = until(&mut node.events, |event| match event {
            Event::Refused { peer, reason } => Some((peer, reason)),
            Event::Listening { .. } => None,
            other => panic!("{transport:?}: {other:?} before the refusal"),
        })
        .await;
        assert_eq!(refused, (Some(stranger.id()), Refused::NotListed));
        assert_eq!(node.handle.connected(), Vec::<String>::new());
        let unheard = node.handle.publish(TOPIC, b"secret".to_vec()).await;
        assert_eq!(unheard, Err(PublishError::NoPeers(TOPIC.to_owned())));
        let unasked = node.handle.request(&stranger.id(), vec![]).await;
        assert_eq!(unasked, Err(RequestError::NotConnected(stranger.id())));
        assert!(node.handle.counters().refused_connections >= 1);
    }
}

#[tokio::test]
async fn a_request_is_answered_up_to_the_limits() {
    for transport in BOTH {
        let (a, mut b) = pair(transport).await;
        let id = b.id();
        for (asked, answered) in [(0, 3 << 20), (MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES), (1, 0)] {
            let (response, ()) = tokio::join!(a.handle.request(&id, vec![5; asked]), async {
                let (peer, bytes, reply) = b.request().await;
                assert_eq!((peer, bytes.len()), (a.id(), asked));
                reply.send(vec![6; answered]);
            });
            assert_eq!(response.map(|bytes| bytes.len()), Ok(answered), "{transport:?}");
        }
    }
}

#[tokio::test]
async fn a_request_without_an_answer_fails_at_once() {
    let (a, mut b) = pair(Transport::Quic).await;
    let id = b.id();
    let (response, ()) = tokio::join!(a.handle.request(&id, vec![1]), async {
        drop(b.request().await);
    });
    assert_eq!(response, Err(RequestError::Unanswered));
    let (response, ()) = tokio::join!(a.handle.request(&id, vec![1]), async {
        b.request().await.2.send(vec![0; MAX_RESPONSE_BYTES + 1]);
    });
    assert_eq!(response, Err(RequestError::Unanswered));
    assert_eq!(b.handle.counters().dropped_replies, 1);
}

#[tokio::test]
async fn an_oversize_or_malformed_request_is_refused_on_both_sides() {
    let (a, b) = pair(Transport::Tcp).await;
    let large = a.handle.request(&b.id(), vec![0; MAX_REQUEST_BYTES + 1]).await;
    assert_eq!(large, Err(RequestError::TooLarge(MAX_REQUEST_BYTES + 1)));

    let mut node = Node::start(3, Transport::Tcp).await;
    let (key, sender) = raw_sender(9);
    node.handle.set_peers(vec![sender]).await.expect("a good peer");
    let oversize = u32::try_from(MAX_REQUEST_BYTES + 1).expect("small").to_be_bytes();
    let breaches: [&[u8]; 4] = [&oversize, b"", &[0, 0, 0, 3, 1, 2], &[0, 0, 0, 1, 1, 2]];
    for breach in breaches {
        let outcome = send_raw(key.clone(), &node.peer(), breach.to_vec()).await;
        assert!(!matches!(&outcome, Ok(bytes) if !bytes.is_empty()), "{outcome:?}");
    }
    let (good, to) = (vec![0, 0, 0, 1, 8], node.peer());
    let (outcome, ()) = tokio::join!(send_raw(key, &to, good), async {
        let (_, bytes, reply) = node.request().await;
        assert_eq!(bytes, [8], "the first request that reaches the caller is the good one");
        reply.send(vec![9]);
    });
    assert_eq!(outcome.expect("an answer"), [0, 0, 0, 1, 9]);
}

#[tokio::test]
async fn one_peer_has_a_bounded_number_of_requests_under_way() {
    let (a, mut b) = pair(Transport::Tcp).await;
    let id = b.id();
    let held = (0..MAX_OUTBOUND_REQUESTS_PER_PEER).map(|_| a.handle.request(&id, vec![]));
    let held = futures::future::join_all(held);
    let (answers, ()) = tokio::join!(held, async {
        let mut replies = Vec::new();
        while replies.len() < MAX_OUTBOUND_REQUESTS_PER_PEER {
            replies.push(b.request().await.2);
        }
        assert_eq!(a.handle.request(&id, vec![]).await, Err(RequestError::Full));
        replies.into_iter().for_each(|reply| reply.send(vec![1]));
    });
    assert!(answers.iter().all(|answer| answer == &Ok(vec![1])));
}

#[tokio::test]
async fn reconnects_when_the_other_side_restarts() {
    for transport in BOTH {
        let (mut a, b) = pair(transport).await;
        assert_eq!(a.told_connected().await, b.id());
        // The restarted node does not dial, so that it is the other that finds it again.
        let b = b.restart(vec![a.peer_without_address()]).await;
        assert_eq!(a.told_disconnected().await, b.id(), "{transport:?}");
        assert_eq!(a.told_connected().await, b.id(), "{transport:?}");
        a.has_subscribers(1).await;
        assert_eq!(a.handle.publish(TOPIC, b"again".to_vec()).await, Ok(Published::Sent));
    }
}

#[tokio::test]
async fn a_peer_killed_without_a_goodbye_is_heard_again() {
    for transport in BOTH {
        let mut a = Node::start(1, transport).await;
        let known = a.peer();
        let (found, b) = tokio::sync::oneshot::channel();
        let doomed = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let doomed = doomed.expect("a runtime");
        doomed.spawn(async move {
            let b = Node::start(2, transport).await;
            b.handle.set_peers(vec![known]).await.expect("a good peer");
            // Its sockets and timers die with the runtime, in the middle of everything.
            assert!(found.send(b.peer_without_address()).is_ok());
            b.sees(|_| false).await;
        });
        a.handle.set_peers(vec![b.await.expect("a start")]).await.expect("a good peer");
        a.has_subscribers(1).await;
        doomed.shutdown_background();

        let b = Node::start(2, transport).await;
        b.lists(&[&a]).await;
        b.has_subscribers(1).await;
        assert_eq!(b.handle.publish(TOPIC, b"back".to_vec()).await, Ok(Published::Sent));
        assert_eq!(a.message().await.1, b"back", "{transport:?}");
    }
}

#[tokio::test]
async fn finds_a_peer_by_its_name() {
    let (a, b) = (Node::start(1, Transport::Tcp).await, Node::start(2, Transport::Tcp).await);
    b.handle.set_peers(vec![a.peer_without_address()]).await.expect("a good peer");
    let mut named = b.peer();
    named.addresses = vec![b.address.replace("/ip4/127.0.0.1/", "/dns4/localhost/")];
    a.handle.set_peers(vec![named]).await.expect("a good peer");
    a.has_subscribers(1).await;
}

#[tokio::test]
async fn a_full_event_queue_drops_and_counts_but_keeps_running() {
    let (mut a, b) = pair(Transport::Tcp).await;
    let flood = async {
        let mut number = 0_u64;
        while a.handle.counters().dropped_messages == 0 {
            // A full queue towards the peer is part of the flood.
            let _ = b.handle.publish(TOPIC, number.to_be_bytes().to_vec()).await;
            number += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("a drop in time");
    let id = a.id();
    assert_eq!(b.handle.request(&id, vec![]).await, Err(RequestError::Unanswered));
    assert!(a.handle.counters().dropped_requests >= 1);

    // Changes of connection still arrive, in their reserved room and after it.
    b.lists(&[]).await;
    let mut messages = 0;
    until(&mut a.events, |event| match event {
        Event::Message { .. } => {
            messages += 1;
            None
        }
        Event::Disconnected { .. } => Some(()),
        _ => None,
    })
    .await;
    assert!(messages >= EVENT_QUEUE - EVENT_RESERVE - 8, "{messages} messages had been kept");

    b.lists(&[&a]).await;
    let (answer, ()) = tokio::join!(
        async {
            b.sees(|view| view.connected.contains(&id)).await;
            b.handle.request(&id, vec![]).await
        },
        async { a.request().await.2.send(vec![2]) }
    );
    assert_eq!(answer, Ok(vec![2]));
}

#[tokio::test]
async fn a_removed_peer_is_disconnected_and_a_returned_one_connected_again() {
    for transport in BOTH {
        let (mut a, mut b) = pair(transport).await;
        a.lists(&[]).await;
        assert_eq!(a.told_disconnected().await, b.id());
        assert_eq!(b.told_disconnected().await, a.id());
        a.sees(|view| view.connected.is_empty()).await;
        a.lists(&[&b]).await;
        assert_eq!(a.told_connected().await, b.id());
    }
}

#[tokio::test]
async fn a_publication_that_cannot_be_made_says_why() {
    let (a, mut b) = pair(Transport::Tcp).await;
    let large = MAX_MESSAGE_BYTES + 1;
    assert_eq!(a.handle.publish(TOPIC, vec![0; large]).await, Err(PublishError::TooLarge(large)));
    let other = "elsewhere".to_owned();
    let unknown = a.handle.publish(&other, vec![]).await;
    assert_eq!(unknown, Err(PublishError::UnknownTopic(other.clone())));
    assert_eq!(a.handle.publish(TOPIC, b"once".to_vec()).await, Ok(Published::Sent));
    assert_eq!(a.handle.publish(TOPIC, b"once".to_vec()).await, Ok(Published::AlreadySpread));
    b.message().await;
    assert_eq!(b.handle.publish(TOPIC, b"once".to_vec()).await, Ok(Published::AlreadySpread));

    a.handle.set_topics(vec![other.clone()]).await.expect("a good topic");
    b.has_subscribers(0).await;
    let unheard = a.handle.publish(&other, vec![]).await;
    assert_eq!(unheard, Err(PublishError::NoPeers(other)));

    let rest = a.handle.clone();
    a.handle.shutdown().await;
    assert_eq!(rest.publish(TOPIC, vec![]).await, Err(PublishError::Closed));
    assert_eq!(rest.request(&b.id(), vec![]).await, Err(RequestError::Closed));
    assert!(matches!(rest.set_topics(vec![]).await, Err(GossipError::Closed)));
}

#[tokio::test]
async fn a_start_that_cannot_be_made_names_what_is_at_fault() {
    let config = |listen: &str, peer: &str| Config {
        seed: [1; 32],
        listen: vec![listen.to_owned()],
        peers: vec![Peer { peer_id: peer.to_owned(), addresses: vec![] }],
        topics: vec![],
    };
    for transport in BOTH {
        let taken = Node::start(1, transport).await;
        let error = start(config(&taken.address, &taken.id())).expect_err("a taken port");
        assert!(matches!(error, GossipError::Listen { .. }), "{error}");
    }
    let (_, known) = raw_sender(2);
    let error = start(config("/ip4/127.0.0.1/udp/1", &known.peer_id)).expect_err("no protocol");
    assert!(matches!(error, GossipError::AddressKind(_)), "{error}");
    let error = start(config("/ip4/127.0.0.1/tcp/0", "nobody")).expect_err("no peer id");
    assert!(matches!(error, GossipError::PeerId { .. }), "{error}");
}

#[test]
fn a_start_outside_a_runtime_is_refused() {
    let config = Config { seed: [1; 32], listen: vec![], peers: vec![], topics: vec![] };
    assert!(matches!(start(config), Err(GossipError::NoRuntime)));
}
