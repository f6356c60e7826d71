//! What privacy costs: `cargo bench -p sealwire --bench privacy [-- PARTS]`.
//!
//! Sealing and opening a record of 3 KiB for 1, 20 and 186 members, with an audience secret at hand
//! and without, beside the encryption and signature that it cannot do without; release decisions;
//! the erasure of parts from a store on a disk. Everything in one process, without a network.

#![allow(
    dead_code,
    unused_imports,
    reason = "parts of the node are measured, all of them compiled"
)]

#[path = "../src/journal/mod.rs"]
mod journal;
#[path = "../src/refusal.rs"]
mod refusal;
#[path = "../src/release/mod.rs"]
mod release;
#[path = "../src/store/mod.rs"]
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use anyhow::Context as _;
use ed25519_dalek::{Signer as _, SigningKey};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use sealwire_schemas::FieldClass;
use sealwire_wire::cbor::{self, Value};
use sealwire_wire::id::{Digest, MemberId, RecordId};
use sealwire_wire::message::Item;
use sealwire_wire::part::{Disclosure, Part, commitment_of_bytes};
use sealwire_wire::register::Community;
use sealwire_wire::seal::{self, AudienceContext, AudienceSecret, PartContext, SealSecretKey};
use sealwire_wire::statement::{self, Body, Claims, Manifest, PartRef, RecordManifest};
use store::{Erasure, Fact};

/// Parts erased unless asked otherwise.
const PARTS: u64 = 10_000;
/// How long one figure is measured.
const MEASURED: Duration = Duration::from_millis(500);
/// Bytes of the values of a record.
const RECORD: usize = 3 * 1024;

/// The allocator of the node.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<mimalloc::MiMalloc> =
    zeroizing_alloc::ZeroAlloc(mimalloc::MiMalloc);

fn main() -> anyhow::Result<()> {
    let asked = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let parts: u64 = asked.map_or(Ok(PARTS), |text| text.parse()).context("how many parts?")?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!("load average at the start {load}"))?;
    say("| what | figure |")?;
    say("|---|---|")?;
    sealing()?;
    releasing()?;
    erasing(parts)
}

/// The mean time of a call, over many.
fn time<T>(mut call: impl FnMut() -> T) -> Duration {
    black_box(call());
    let (begun, mut calls) = (Instant::now(), 0u32);
    while begun.elapsed() < MEASURED {
        black_box(call());
        calls += 1;
    }
    begun.elapsed() / calls.max(1)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn member(index: usize) -> anyhow::Result<MemberId> {
    Ok(format!("ID-{index}").parse()?)
}

/// A part of 3 KiB in 24 fields.
fn part() -> anyhow::Result<Part> {
    let field = |n: usize| Disclosure {
        salt: [n as u8; 16],
        value: Value::from("x".repeat(RECORD / 24)),
        pointer: format!("/goodsItem/0/description{n:02}"),
    };
    Ok(Part::new((0..24).map(field).collect())?)
}

fn sealing() -> anyhow::Result<()> {
    let originator: MemberId = "ID".parse()?;
    let record = RecordId::new(1_790_000_000_000, &[7; 10]);
    let (part, key) = (part()?.to_bytes(), SigningKey::from_bytes(&[1; 32]));
    let commitment = commitment_of_bytes(&record, "core", &part)?;
    let context = PartContext {
        originator: &originator,
        record: &record,
        class: "core",
        commitment: &commitment,
    };
    let secret = AudienceSecret::from_bytes([9; 32]);
    let sealed = seal::seal_part(&secret, context, &part, [2; 12]);
    // What no design can do without: the AEAD over the padded length, and a signature over a manifest.
    let aead = Aes256Gcm::new_from_slice(&[3; 32])?;
    let nonce = Nonce::try_from([4; 12].as_slice())?;
    let plain = vec![5; sealed.len()];
    let bare_seal = time(|| (aead.encrypt(&nonce, plain.as_slice()), key.sign(&[6; 600])));
    let cipher = aead.encrypt(&nonce, plain.as_slice()).map_err(|e| anyhow::anyhow!("{e}"))?;
    let (signature, public) = (key.sign(&[6; 600]), key.verifying_key());
    let bare_open = time(|| {
        (aead.decrypt(&nonce, cipher.as_slice()), public.verify_strict(&[6; 600], &signature))
    });
    let warm_seal =
        time(|| (seal::seal_part(&secret, context, &part, [2; 12]), key.sign(&[6; 600])));
    let warm_open = time(|| {
        (seal::open_part(&secret, context, &sealed), public.verify_strict(&[6; 600], &signature))
    });
    for (what, warm, bare) in [("seal", warm_seal, bare_seal), ("open", warm_open, bare_open)] {
        say(&format!(
            "| {what} 3 KiB with the audience secret at hand, for any number of members | {:.1} µs = {:.2} x AEAD and signature alone ({:.1} µs) |",
            micros(warm),
            micros(warm) / micros(bare),
            micros(bare)
        ))?;
    }
    let mut rng = UnwrapErr(SysRng);
    for members in [1, 20, 186] {
        let mut keys = BTreeMap::new();
        for index in 0..members {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&(index as u64 + 1).to_be_bytes());
            keys.insert(member(index)?, SealSecretKey::from_seed(seed));
        }
        let publics = keys.iter().map(|(id, key)| Ok((id.clone(), key.public()?)));
        let publics: BTreeMap<_, _> = publics.collect::<anyhow::Result<_>>()?;
        let audience = [8; 16];
        let context_of = AudienceContext { originator: &originator, audience: &audience };
        let recipients: Vec<_> = publics.iter().collect();
        let wrap = seal::wrap(&secret, context_of, &recipients, &mut rng)?;
        let cold_seal = time(|| seal::wrap(&secret, context_of, &recipients, &mut rng)) + warm_seal;
        let (first, secret_key) = keys.first_key_value().context("a member")?;
        let said = secret.commitment(&audience);
        let cold_open =
            time(|| seal::unwrap(&wrap, context_of, first, secret_key, &said)) + warm_open;
        say(&format!(
            "| the first of a day, for {members} members | seal {:.2} ms, open {:.2} ms, wraps {} bytes |",
            micros(cold_seal) / 1e3,
            micros(cold_open) / 1e3,
            wrap.len()
        ))?;
    }
    Ok(())
}

fn releasing() -> anyhow::Result<()> {
    let members = (0..186).map(member).collect::<anyhow::Result<BTreeSet<_>>>()?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let community = Community {
        id: "substances".into(),
        title: "Substances".into(),
        agreement: "A-1".into(),
        members: members.clone(),
        kinds: words(&["lab-alert"]),
        classes: words(&["open", "core", "operational", "commercial", "nominal", "text"]),
        tlp_ceiling: "AMBER".into(),
        purposes: words(&["customs-enforcement"]),
        retention_days: 365,
        class_retention_days: BTreeMap::new(),
        witnesses: 1,
        delivery: None,
        directions: BTreeMap::new(),
    };
    let handling = release::Handling::of(&serde_json::json!(
        {"tlp": "AMBER", "pap": "GREEN", "purpose": ["customs-enforcement"]}
    ));
    let originator = member(0)?;
    let standing = release::Standing { active: true, direction: Some(release::Direction::Both) };
    let audiences: BTreeMap<FieldClass, Option<BTreeSet<MemberId>>> =
        FieldClass::ALL.into_iter().map(|class| (class, Some(members.clone()))).collect();
    let id = RecordId::new(1_790_000_000_000, &[7; 10]);
    let shared = release::Shared {
        id: &id,
        originator: &originator,
        standing,
        community: Some(&community),
        kind: "lab-alert",
        handling: &handling,
        to: None,
        audiences: &audiences,
    };
    let all = time(|| {
        let mut seen = 0;
        for member in &members {
            let asker =
                release::Asker { member, standing, purpose: None, day: "2026-11-30", grants: &[] };
            for class in FieldClass::ALL {
                let decision = release::class(&shared, &asker, class);
                seen += usize::from(decision.sees == release::Sees::Value);
            }
        }
        seen
    });
    let decisions = members.len() * FieldClass::ALL.len();
    say(&format!(
        "| release decisions, one core | {:.0} per second (186 members, 8 classes) |",
        decisions as f64 / all.as_secs_f64()
    ))
}

fn erasing(parts: u64) -> anyhow::Result<()> {
    let around = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let data = around.path().join("data");
    store::create(&data)?;
    let log: MemberId = "SG".parse()?;
    let (mut writer, reader) =
        store::open(&data, &"ID".parse()?, Box::new(|_, _, _| BTreeMap::new()))?;
    let key = SigningKey::from_bytes(&[1; 32]);
    let records: Vec<RecordId> = (0..parts)
        .map(|index| {
            let mut random = [1; 10];
            random[2..].copy_from_slice(&index.to_be_bytes());
            RecordId::new(1_790_000_000_000, &random)
        })
        .collect();
    let mut facts = Vec::new();
    for (index, record) in (0..).zip(&records) {
        let (statement, sealed) = entry(&key, &log, record, index)?;
        let digests = vec![Digest::of(&statement)];
        facts.push(Fact::Leaves { log: log.clone(), from: index, digests });
        let item = Item { index, statement, proof: Vec::new(), sealed };
        facts.push(Fact::Entry { log: log.clone(), received_at: 1, item });
        if facts.len() >= 512 {
            writer.commit(&std::mem::take(&mut facts))?;
        }
    }
    writer.commit(&facts)?;
    writer.settle()?;
    let before = size_of(&data.join("journal"))?;
    let begun = Instant::now();
    let facts: Vec<Fact> = records
        .iter()
        .map(|record| {
            Fact::Erasure(Erasure {
                record: *record,
                originator: log.clone(),
                classes: BTreeSet::from(["nominal".to_owned()]),
                rule: "retention-ended".to_owned(),
                at: 1,
            })
        })
        .collect();
    for facts in facts.chunks(500) {
        writer.commit(facts)?;
    }
    let unreadable = begun.elapsed();
    let purge = writer.purge(|_, _| false)?.context("something to purge")?;
    let done = purge.run(2)?;
    let erased = done.len();
    for facts in done.chunks(500) {
        writer.commit(facts)?;
    }
    let gone = begun.elapsed();
    anyhow::ensure!(erased as u64 == parts && reader.unpurged(1).is_empty(), "not all are gone");
    writer.settle()?;
    say(&format!(
        "| erasure of {parts} parts, in a journal of {:.0} MB | unreadable after {:.2} s, bytes out of the journal after {:.2} s, out of the log files after {:.2} s |",
        before as f64 / 1e6,
        unreadable.as_secs_f64(),
        gone.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    ))
}

type Sealed = BTreeMap<String, Vec<u8>>;

fn entry(
    key: &SigningKey,
    log: &MemberId,
    record: &RecordId,
    index: u64,
) -> anyhow::Result<(Vec<u8>, Sealed)> {
    let part = PartRef { commitment: Digest([3; 32]), length: 1024, audience: [4; 16] };
    let manifest = RecordManifest {
        kind: "lab-alert".into(),
        community: "labs".into(),
        to: None,
        schema: "urn:schema".into(),
        schema_digest: Digest([7; 32]),
        code_lists: BTreeMap::new(),
        handling: cbor::map([("tlp", Value::from("AMBER"))]).into(),
        relation: None,
        parts: ["core", "nominal", "open"].map(|class| (class.to_owned(), part)).into(),
    };
    let mut nonce = [5; 32];
    nonce[..8].copy_from_slice(&index.to_be_bytes());
    let manifest = Manifest {
        federation: "bench.example".into(),
        register: 1,
        nonce,
        heads: BTreeMap::new(),
        body: Body::Record(manifest),
    };
    let claims = Claims { issuer: log.clone(), subject: *record, issued_at: 1_790_000_000 };
    let statement = statement::sign(key, claims, manifest)?.bytes().to_vec();
    let sealed =
        ["core", "nominal", "open"].map(|class| (class.to_owned(), vec![index as u8 | 1; 1000]));
    Ok((statement, sealed.into()))
}

fn size_of(dir: &std::path::Path) -> anyhow::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(dir)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
