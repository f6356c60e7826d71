//! Matching against a long list: what one node needs before the first question of a day, and for
//! each question after it, beside the bare function on the same cores.
//!
//! One member lists containers, the other asks. The first question waits until the tags are made
//! and sent; those after it are one blinded element each.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sealwire_schemas::check;
use sealwire_wire::message::{About, Blinded, Request, Response, Tags};
use sealwire_wire::oprf::{MatchKey, Questions, Scope};
use serde_json::{Value, json};

use super::process::{self, COMMUNITY, FEDERATION, MEMBERS, Node, Place};
use super::{quantile, row, tell};

/// Identifiers on the list.
const LISTED: usize = 100_000;
/// Questions one at a time.
const QUESTIONS: usize = 50;
/// Tags that the bare function makes.
const PURE: usize = 2_000;
/// Longest time for the first answer.
const FIRST: Duration = Duration::from_secs(180);
const PURPOSE: &str = "risk-analysis";

/// Lists, asks, and tells both.
pub fn run(binary: &Path, dir: &Path, places: [&Place; 2], cores: usize) -> anyhow::Result<()> {
    let [asker, holder] = [Node::start(binary, places[0])?, Node::start(binary, places[1])?];
    let limit = Duration::from_secs(60);
    process::wait("the asker to know the holder", limit, || asker.holds(MEMBERS[1], 2))?;
    process::wait("the holder to know the asker", limit, || holder.holds(MEMBERS[0], 2))?;
    let containers = containers(LISTED + 1)?;
    let (held, absent) = containers.split_at(LISTED);
    let file = dir.join("containers.csv");
    let mut out = BufWriter::new(File::create(&file)?);
    for number in held {
        writeln!(out, "container,{number}")?;
    }
    out.flush()?;
    let config = places[1].dir.join("sealwire.toml");
    let begun = Instant::now();
    let load = ["--community", COMMUNITY, "--purpose", PURPOSE];
    let loaded = process::clean(binary)
        .args(["match", "load"])
        .arg(&file)
        .args(load)
        .arg("--config")
        .arg(&config)
        .output()?;
    ensure!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    tell(
        &format!("matching: {LISTED} identifiers loaded"),
        &format!("{:.2} s", begun.elapsed().as_secs_f64()),
        "",
        "",
    )?;

    let (tag_us, question_us) = pure(held.first().context("a container")?)?;
    let token = process::token(binary, places[0], "targeting", "match")?;
    let ask = |number: &str| -> anyhow::Result<Value> {
        let body = json!({"community": COMMUNITY, "purpose": PURPOSE, "type": "container",
                          "identifiers": [number]});
        let mut connection = asker.connect_as(&token)?;
        let (status, answer) = connection.call("POST", "/v1/match", body.to_string().as_bytes())?;
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    };
    let hits = |answer: &Value| {
        let hits = answer.pointer("/members/0/hits").and_then(Value::as_array);
        hits.map(Vec::len).filter(|_| answer.pointer("/members/0/answered") == Some(&true.into()))
    };
    let first = held.first().context("a container")?;
    let begun = Instant::now();
    process::wait("the first answer", FIRST, || Ok(hits(&ask(first)?) == Some(1)))?;
    let time = begun.elapsed().as_secs_f64();
    let bare = tag_us * LISTED as f64 / cores as f64 / 1e6;
    row(
        "the first question of an asker, purpose and day",
        &format!("{time:.1} s"),
        &format!("the bare function on {cores} cores {bare:.1} s"),
        &format!("{:.2} ×", time / bare),
        "≤ 2 ×",
        time <= 2.0 * bare,
    )?;
    let mut times = Vec::new();
    let asked = held.iter().step_by(LISTED / QUESTIONS).chain(absent);
    for (number, expected) in asked.map(|number| (number, usize::from(!absent.contains(number)))) {
        let begun = Instant::now();
        ensure!(hits(&ask(number)?) == Some(expected), "a wrong answer");
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let (median, late) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    row(
        "a question after it, by HTTP, p50",
        &format!("{median:.1} ms"),
        &format!("blind, evaluate, prove and verify {:.2} ms", question_us / 1e3),
        &format!("{:.1} ×", median / (question_us / 1e3)),
        "≤ 50 ms",
        median <= 50.0,
    )?;
    tell("the same, p99", &format!("{late:.1} ms"), "", "")?;
    let (list, question) = sizes()?;
    tell("bytes once for an asker, purpose and day", &format!("{list} bytes"), "", "")?;
    tell("bytes of a question, both ways", &format!("{question} bytes"), "", "")
}

/// Microseconds for one tag, and for one question from blinding to the verified tag.
fn pure(identifier: &str) -> anyhow::Result<(f64, f64)> {
    let key = MatchKey::from_seed(&[7; 32])?;
    let (asker, responder) = (MEMBERS[0].parse()?, MEMBERS[1].parse()?);
    let scope = Scope {
        federation: FEDERATION,
        community: COMMUNITY,
        agreement: "measured-1",
        purpose: PURPOSE,
        kind: "container",
        asker: &asker,
        responder: &responder,
        epoch: 1,
        day: 20_000,
        serial: 1,
    };
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).expect("random bytes");
    let begun = Instant::now();
    for _ in 0..PURE {
        std::hint::black_box(key.tag(&scope, identifier)?);
    }
    let tag = begun.elapsed().as_secs_f64() * 1e6 / PURE as f64;
    let begun = Instant::now();
    for _ in 0..QUESTIONS {
        let (questions, blinded) = Questions::blind(vec![identifier.to_owned()], random)?;
        let (evaluated, proof) = key.evaluate(&scope, &blinded, random)?;
        questions.tags(&scope, &key.public(), &evaluated, &proof)?;
    }
    Ok((tag, begun.elapsed().as_secs_f64() * 1e6 / QUESTIONS as f64))
}

/// Bytes of the tags as they travel, and of all messages of a question after them.
fn sizes() -> anyhow::Result<(usize, usize)> {
    let about = || About {
        community: COMMUNITY.to_owned(),
        purpose: PURPOSE.to_owned(),
        kind: "container".to_owned(),
    };
    let serial = 1_796_000_000;
    let count = sealwire_wire::seal::padded_len(LISTED);
    let tags = Tags { epoch: 1, day: 20_000, serial, tags: vec![0; 8 * count] };
    let messages = [
        Request::MatchTags { about: about(), have: serial }.to_bytes(),
        Response::Taken.to_bytes(),
        Request::Match(Blinded { about: about(), serial, elements: vec![[0; 32]] }).to_bytes(),
        Response::Matched(vec![[0; 32]], [0; 64]).to_bytes(),
    ];
    let question = messages.iter().map(Vec::len).sum();
    Ok((Response::MatchTags(tags).to_bytes().len(), question))
}

/// Container numbers with their check digits, no two the same.
fn containers(count: usize) -> anyhow::Result<Vec<String>> {
    let with_digit = |serial: usize| {
        let body = format!("MSKU{serial:06}");
        (0..10).map(|digit| format!("{body}{digit}")).find(|number| check::container(number))
    };
    let numbers: Vec<String> = (0..1_000_000).filter_map(with_digit).take(count).collect();
    ensure!(numbers.len() == count, "too few container numbers");
    Ok(numbers)
}
