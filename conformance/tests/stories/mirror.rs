//! Logs over HTTP, for the programs of other members: C2SP tlog-tiles and tlog-witness.

use sealwire_wire::checkpoint::Checkpoint;
use sealwire_wire::id::Digest;
use sealwire_wire::merkle;
use sealwire_wire::note::Note;
use sealwire_wire::statement::leaf_data;
use sealwire_wire::tile::{TileId, TileReader, decode_bundle};
use sealwire_wire::witness::AddCheckpoint;
use serde_json::json;

use crate::world::{Answer, Node, SUBSTANCES, World, numbered, until};

const ORIGIN: &str = "test.sealwire.example/ID";

fn ask(node: &Node, token: &str, path: &str) -> Answer {
    node.send("GET", path, &[("authorization", token)], b"")
}

/// Size and root as a checkpoint of ID says.
fn head(note: &str) -> (u64, String) {
    let mut lines = note.lines();
    assert_eq!(lines.next(), Some(ORIGIN));
    let size = lines.next().unwrap().parse().unwrap();
    (size, lines.next().unwrap().to_owned())
}

/// The tree of ID as its tiles over HTTP tell it.
fn tiles<'a>(
    node: &'a Node,
    token: &'a str,
    size: u64,
) -> TileReader<impl Fn(TileId) -> Option<Vec<u8>> + 'a> {
    TileReader::new(size, move |tile: TileId| {
        let answer = ask(node, token, &format!("/v1/logs/ID/{}", tile.path()));
        (answer.status == 200).then_some(answer.bytes)
    })
}

#[test]
fn another_members_program_mirrors_a_log_and_reads_what_is_addressed_to_it() {
    let world = World::started();
    let node = world.node("ID");
    let tokens =
        ["SG", "AU"].map(|member| node.token(&[member, "--rights", "mirror", "--member", member]));
    let [sg, au] = &tokens;
    let for_all = node.publish(SUBSTANCES, &numbered("M-1"))["index"].clone();
    let named = json!({"community": SUBSTANCES, "record": numbered("M-2"), "to": ["SG"]});
    let named = node.post(named.to_string().as_bytes(), None).with(201);
    let index = named["index"].as_u64().unwrap();

    let checkpoint = ask(node, au, "/v1/logs/ID/checkpoint");
    let (size, root) = head(&checkpoint.text);
    assert_eq!(size, index + 1);
    let tag = checkpoint.header("etag");
    assert!(checkpoint.header("cache-control").contains("no-cache") && !tag.is_empty());
    until("a checkpoint that is the same", || {
        let now = ask(node, au, "/v1/logs/ID/checkpoint").header("etag").to_owned();
        let headers = [("authorization", au.as_str()), ("if-none-match", now.as_str())];
        let answer = node.send("GET", "/v1/logs/ID/checkpoint", &headers, b"");
        if answer.status == 304 { Ok(()) } else { Err(format!("{answer:?}")) }
    });

    // The tree of every size that the log has had, from its tiles.
    for size in 1..=size {
        merkle::root_at(&tiles(node, au, size), size).unwrap();
    }
    let computed = merkle::root_at(&tiles(node, au, size), size).unwrap();
    let note = Note::parse(checkpoint.text.as_bytes()).unwrap();
    assert!(note.text().contains(&root));
    let parsed = Checkpoint::parse(note.text()).unwrap();
    assert_eq!(parsed.root, computed);
    let bundle = ask(node, au, &format!("/v1/logs/ID/tile/entries/000.p/{size}"));
    assert!(bundle.header("cache-control").contains("immutable"));
    let leaves = decode_bundle(&bundle.bytes, u16::try_from(size).unwrap()).unwrap();

    // Statements: to whom they are addressed, and nobody learns which others there are.
    let statement = format!("/v1/logs/ID/statement/{index}");
    let shown = ask(node, sg, &statement);
    assert_eq!(shown.status, 200, "{shown:?}");
    let at = usize::try_from(index).unwrap();
    assert_eq!(leaf_data(&Digest::of(&shown.bytes)), leaves[at]);
    let absent = format!("/v1/logs/ID/statement/{size}");
    let [hidden, absent] =
        [&statement, &absent].map(|path| ask(node, au, path).with(404)["code"].clone());
    assert_eq!(hidden, absent);
    assert_eq!(ask(node, au, &format!("/v1/logs/ID/statement/{for_all}")).status, 200);
    assert_eq!(node.get(&statement).status, 200, "our own auditors see all that is held");

    for (path, status) in [
        (format!("/v1/logs/ID/tile/0/000.p/{}", size + 1), 404),
        ("/v1/logs/ID/tile/0/000.p/0".to_owned(), 404),
        ("/v1/logs/ID/tile/0/..%2f..%2f..%2fkeys%2fdata.key".to_owned(), 404),
        ("/v1/logs/ID/tile/entries/x000/000".to_owned(), 404),
        ("/v1/logs/XX/checkpoint".to_owned(), 404),
        ("/v1/logs/..%2f..%2fkeys/checkpoint".to_owned(), 404),
        ("/v1/records".to_owned(), 403),
        ("/metrics".to_owned(), 403),
    ] {
        assert_eq!(ask(node, au, &path).status, status, "{path}");
    }
    assert_eq!(ask(node, "Bearer swt_none", "/v1/logs/ID/checkpoint").status, 401);
    // What this node mirrors it serves as well.
    assert_eq!(
        ask(world.node("AU"), &world.node("AU").bearer(), "/v1/logs/SG/checkpoint").status,
        200
    );
}

#[test]
fn a_checkpoint_is_cosigned_on_request_once_all_below_it_is_held() {
    let mut world = World::started();
    let token = world.node("AU").token(&["ID", "--rights", "mirror", "--member", "ID"]);
    let id = world.node("ID").publish(SUBSTANCES, &numbered("W-1"))["id"].clone();
    world.delivered("ID", id.as_str().unwrap(), "AU");
    let old = world.node("AU").peer("ID")["cosigned"].as_u64().unwrap();
    // AU misses what follows, and nobody else can tell it.
    world.node_mut("AU").stop();
    world.node("ID").publish(SUBSTANCES, &numbered("W-2"));
    let bearer = world.node("ID").bearer();
    let checkpoint = ask(world.node("ID"), &bearer, "/v1/logs/ID/checkpoint").text;
    let (size, _) = head(&checkpoint);
    assert!(size > old);
    let proof =
        merkle::consistency_proof(&tiles(world.node("ID"), &bearer, size), old, size).unwrap();
    for member in ["ID", "SG"] {
        world.node_mut(member).stop();
    }
    world.node_mut("AU").start();

    let add = |node: &Node, old: u64, proof: &[Digest], checkpoint: &str| {
        let proof = proof.to_vec();
        let request = AddCheckpoint { old, proof, checkpoint: checkpoint.to_owned() };
        let headers = [("authorization", token.as_str())];
        node.send("POST", "/v1/witness/add-checkpoint", &headers, request.to_string().as_bytes())
    };
    let au = world.node("AU");
    let stranger = checkpoint.replacen("/ID\n", "/XX\n", 1);
    let forged = checkpoint.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 1), 1);
    assert_eq!(add(au, old, &proof, &stranger).status, 404);
    assert_eq!(add(au, old, &proof, &forged).status, 403);
    assert_eq!(add(au, size + 1, &proof, &checkpoint).status, 400);
    assert_eq!(add(au, old, &[], &checkpoint).status, 422);
    let conflict = add(au, 0, &[], &checkpoint);
    assert_eq!((conflict.status, conflict.text.as_str()), (409, format!("{old}\n").as_str()));
    assert_eq!(conflict.header("content-type"), "text/x.tlog.size");
    let garbage =
        au.send("POST", "/v1/witness/add-checkpoint", &[("authorization", &token)], b"new 1\n");
    assert_eq!(garbage.with(400)["code"], "add-checkpoint-malformed");
    let own = ask(au, &au.bearer(), "/v1/logs/AU/checkpoint").text;
    assert_eq!(add(au, 0, &[], &own).status, 404, "a member is no witness of its own log");

    // It waits for the entries: they come as soon as their originator is there.
    let same = au.at(au.dir().to_owned());
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            until("a cosignature", || {
                let answer = add(&same, old, &proof, &checkpoint);
                // As C2SP tlog-witness says: not yet, ask again.
                if answer.status == 503 { Err(answer.text) } else { Ok(answer) }
            })
        });
        world.node_mut("ID").start();
        asked.join().unwrap()
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    let note = Note::parse(format!("{checkpoint}{}", answer.text).as_bytes()).unwrap();
    let by_au = note.signatures().iter().filter(|s| s.name() == "test.sealwire.example/AU");
    assert!(by_au.count() >= 1, "{}", answer.text);
    assert!(world.node("AU").peer("ID")["cosigned"].as_u64().unwrap() >= size);
}
