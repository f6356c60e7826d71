//! `match`: whether other members hold an identifier, and what they may ask about here.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use sealwire_schemas::identifier::{Identifier, IdentifierType, UnknownIdentifierType};
use sealwire_schemas::{FieldClass, Standard};
use sealwire_wire::id::{MemberId, is_word};
use serde_json::{Map, Value, json};

use super::client::{Client, Connection};
use super::output::{Exit, Failure, Output, finding_text};
use super::publish;
use crate::matching::MAX_LIST_BYTES;

/// Questions on one page.
const PAGE: usize = 500;

/// What `match` can do.
#[derive(Debug, Subcommand)]
pub enum MatchCommand {
    /// Ask members whether they hold identifiers. What is asked is shown to nobody; that something
    /// was asked, how much and what for is counted in both sides' logs.
    Ask(AskArgs),
    /// Load the list of what other members may match here, in the place of the one before.
    Load(LoadArgs),
    /// End matching in a community: its list is removed.
    Unload(UnloadArgs),
    /// Print how many identifiers of which types may be matched here, and what for.
    Lists(Connection),
    /// Print how many questions were put to whom and by whom, and what for.
    Log(LogArgs),
}

/// Arguments of `match ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// What is identified: container, air-waybill, vessel or company.
    #[arg(value_parser = kind)]
    pub kind: IdentifierType,
    /// The identifiers of that type, at most 32. Other users of this machine can see them among its
    /// processes; --file keeps them out of there.
    #[arg(value_name = "IDENTIFIER", required_unless_present = "file")]
    pub identifiers: Vec<String>,
    /// Read the identifiers from this file instead, one on each line; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "identifiers")]
    pub file: Option<PathBuf>,
    /// The community in which to ask.
    #[arg(long, value_name = "ID")]
    pub community: String,
    /// What for: a purpose of the community's agreement.
    #[arg(long, value_parser = purpose)]
    pub purpose: String,
    /// Members to ask, separated by commas; without it all others of the community.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub of: Vec<MemberId>,
    /// For each hit make an assistance request to the member that has it, from this record of your
    /// own, and print it. A request for information about a company needs a party in the record.
    #[arg(long, value_name = "TEMPLATE")]
    pub request: Option<PathBuf>,
    /// Publish these requests, each to its member alone, instead of printing them.
    #[arg(long, requires = "request")]
    pub publish: bool,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `match load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The list, a type and an identifier on each line, such as container,CSQU3054383; - is standard
    /// input.
    #[arg(value_name = "FILE")]
    pub list: PathBuf,
    /// The community in which it may be matched.
    #[arg(long, value_name = "ID")]
    pub community: String,
    /// What for: purposes of the community's agreement, separated by commas.
    #[arg(long, value_delimiter = ',', required = true, value_parser = purpose)]
    pub purpose: Vec<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `match unload`.
#[derive(Debug, Args)]
pub struct UnloadArgs {
    /// The community.
    #[arg(long, value_name = "ID")]
    pub community: String,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

/// Arguments of `match log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Begin after this place.
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// The node.
    #[command(flatten)]
    pub connection: Connection,
}

fn kind(text: &str) -> Result<IdentifierType, UnknownIdentifierType> {
    text.parse()
}

fn purpose(text: &str) -> Result<String, String> {
    let refused = || "a purpose is a word such as risk-analysis".to_owned();
    is_word(text).then(|| text.to_owned()).ok_or_else(refused)
}

/// Does it.
pub fn run(command: &MatchCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        MatchCommand::Ask(args) => ask(args, output),
        MatchCommand::Load(args) => {
            let list = text_of(&args.list)?;
            let path = format!(
                "/v1/match/lists?community={}&purposes={}",
                community(&args.community)?,
                args.purpose.join(",")
            );
            load(&args.connection, &path, list.as_bytes(), output)
        }
        MatchCommand::Unload(args) => unload(args, output),
        MatchCommand::Lists(connection) => {
            let lists = connection.open()?.get("/v1/match/lists")?.accepted()?.json()?;
            let text: Vec<String> = lists.as_array().into_iter().flatten().map(list_line).collect();
            let text = if text.is_empty() { "nothing".to_owned() } else { text.join("\n") };
            output.say(&lists, text)?;
            Ok(Exit::Done)
        }
        MatchCommand::Log(args) => log(args, output),
    }
}

fn community(text: &str) -> Result<&str, Failure> {
    let refused = || Failure::usage(format!("cannot name a community {text:?}: it is no word"));
    is_word(text).then_some(text).ok_or_else(refused)
}

fn load(connection: &Connection, path: &str, list: &[u8], output: Output) -> Result<Exit, Failure> {
    let listed = connection.open()?.post(path, None, list)?.accepted()?.json()?;
    output.say(&listed, list_line(&listed))?;
    Ok(Exit::Done)
}

fn unload(args: &UnloadArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let lists = client.get("/v1/match/lists")?.accepted()?.json()?;
    let of = |list: &&Value| list.get("community").and_then(Value::as_str) == Some(&args.community);
    let Some(list) = lists.as_array().into_iter().flatten().find(of) else {
        let name = &args.community;
        return Err(Failure::Refused(format!("cannot remove the list of {name}: there is none")));
    };
    let purposes = list.get("purposes").and_then(Value::as_array).into_iter().flatten();
    let purposes: Vec<&str> = purposes.filter_map(Value::as_str).collect();
    let path = format!(
        "/v1/match/lists?community={}&purposes={}",
        community(&args.community)?,
        purposes.join(",")
    );
    load(&args.connection, &path, b"", output)
}

/// One list on one line.
fn list_line(list: &Value) -> String {
    let text = |key: &str| list.get(key).and_then(Value::as_str).unwrap_or("?");
    let purposes = list.get("purposes").and_then(Value::as_array).into_iter().flatten();
    let purposes: Vec<&str> = purposes.filter_map(Value::as_str).collect();
    let sizes = list.get("identifiers").and_then(Value::as_object).into_iter().flatten();
    let sizes: Vec<String> = sizes.map(|(kind, count)| format!("{count} {kind}")).collect();
    let sizes = if sizes.is_empty() { "nothing".to_owned() } else { sizes.join(", ") };
    format!("{}: {sizes}; for {}", text("community"), purposes.join(", "))
}

fn ask(args: &AskArgs, output: Output) -> Result<Exit, Failure> {
    let texts = match &args.file {
        None => args.identifiers.clone(),
        Some(file) => {
            let text = text_of(file)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(str::to_owned).collect()
        }
    };
    for (number, text) in texts.iter().enumerate() {
        Identifier::parse(args.kind, text).map_err(|cause| {
            Failure::usage(format!(
                "cannot ask: identifier {}: {cause}\nhint: correct it; nobody was asked",
                number + 1
            ))
        })?;
    }
    // Before anything is asked: a template that cannot be used is found out now.
    let template = args.request.as_ref().map(template).transpose()?;
    let client = args.connection.open()?;
    let body = json!({
        "community": args.community, "purpose": args.purpose, "type": args.kind.as_str(),
        "identifiers": texts, "of": args.of,
    });
    let answers = client.post("/v1/match", None, body.to_string().as_bytes())?;
    let mut answers = answers.accepted()?.json()?;
    let mut requests = Vec::new();
    let mut lines = Vec::new();
    let (mut hits, mut unanswered) = (0_usize, 0_usize);
    for answer in answers.get("members").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or("?");
        let list = |key: &str| {
            let items = answer.get(key).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).collect::<Vec<_>>()
        };
        let member = text("member");
        if answer.get("answered") != Some(&Value::Bool(true)) {
            unanswered += 1;
            lines.push(format!("{member}: not answered: {} ({})", text("detail"), text("code")));
        }
        for identifier in list("hits") {
            hits += 1;
            lines.push(format!("{member}: hit {identifier}"));
            if let Some(template) = &template {
                requests.push((member.to_owned(), request(args, template, member, identifier)?));
            }
        }
        lines.extend(list("misses").into_iter().map(|miss| format!("{member}: no hit {miss}")));
    }
    let mut made = Vec::new();
    for (member, record) in requests {
        made.push(match args.publish {
            true => {
                let published = publish_to(&client, args, &member, record)?;
                lines.push(publish::text(&published));
                published
            }
            false => {
                lines.push(format!("{record:#}"));
                record
            }
        });
    }
    if template.is_some()
        && let Some(answers) = answers.as_object_mut()
    {
        answers.insert("requests".to_owned(), Value::Array(made));
    }
    output.say(&answers, lines.join("\n"))?;
    Ok(match (hits, unanswered) {
        (1.., _) => Exit::Done,
        (0, 0) => Exit::Refused,
        (0, _) => Exit::Undecided,
    })
}

/// An assistance request that the member's own people have written, to be completed.
fn template(file: &PathBuf) -> Result<Map<String, Value>, Failure> {
    match publish::parse(&publish::read(file)?)? {
        Value::Object(record)
            if record.get("kind").and_then(Value::as_str) == Some("assistance-request") =>
        {
            Ok(record)
        }
        _ => Err(Failure::usage(format!(
            "cannot use {}: it is no record of kind assistance-request\n\
             hint: write one with everything but the member and the identifier",
            file.display()
        ))),
    }
}

/// The template with today's date, the purpose, the member, and the identifier in its place.
fn request(
    args: &AskArgs,
    template: &Map<String, Value>,
    member: &str,
    identifier: &str,
) -> Result<Value, Failure> {
    let mut record = Value::Object(template.clone());
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    if let Some(record) = record.as_object_mut() {
        record.remove("id");
        record.insert("issueDate".to_owned(), json!(today));
        record.insert("requestedMember".to_owned(), json!([member]));
    }
    let set = |record: &mut Value, path: &[&str], value: Value| {
        let mut at = record;
        for key in path {
            at = match at.as_object_mut() {
                Some(object) => object.entry(*key).or_insert_with(|| json!({})),
                None => return,
            };
        }
        *at = value;
    };
    set(&mut record, &["handling", "purpose"], json!([args.purpose]));
    match args.kind {
        IdentifierType::Container => {
            set(&mut record, &["consignment", "transportEquipment"], json!([{"id": identifier}]));
        }
        IdentifierType::Vessel => {
            let means = ["consignment", "borderTransportMeans"];
            set(&mut record, &[means[0], means[1], "modeCode"], json!("1"));
            set(&mut record, &[means[0], means[1], "imoNumber"], json!(identifier));
        }
        IdentifierType::AirWaybill => {
            let document = json!([{"typeCode": "air-waybill", "id": identifier}]);
            set(&mut record, &["consignment", "transportContractDocument"], document);
        }
        IdentifierType::Company => {
            let field = if sealwire_schemas::check::lei(identifier) { "lei" } else { "eori" };
            let party = record.pointer_mut("/party/0").and_then(Value::as_object_mut);
            let party = party.ok_or_else(|| {
                Failure::usage(
                    "cannot make the request: the template names no party to which the company's \
                     number could belong\nhint: give it a party with role and name",
                )
            })?;
            party.insert(field.to_owned(), json!(identifier));
        }
    }
    Ok(record)
}

/// Publishes a request to its member alone, with every class that it has.
fn publish_to(
    client: &Client,
    args: &AskArgs,
    member: &str,
    record: Value,
) -> Result<Value, Failure> {
    let valid = Standard::v1().accept(record).map_err(|findings| {
        let findings = findings.iter().filter_map(|f| serde_json::to_value(f).ok());
        let text: Vec<String> = findings.map(|f| finding_text(&f)).collect();
        Failure::Refused(format!("cannot publish the request to {member}\n{}", text.join("\n")))
    })?;
    let named =
        [FieldClass::Operational, FieldClass::Commercial, FieldClass::Nominal, FieldClass::Text];
    let parts = valid.split();
    let classes = named.iter().filter(|class| parts.contains_key(class));
    let audiences: Map<String, Value> =
        classes.map(|class| (class.as_str().to_owned(), json!([member]))).collect();
    let body = json!({
        "community": args.community, "record": valid.into_value(), "to": [member],
        "audiences": audiences,
    });
    let key = uuid::Uuid::new_v4().to_string();
    publish::send(client, &key, body.to_string().as_bytes())
}

fn log(args: &LogArgs, output: Output) -> Result<Exit, Failure> {
    let client = args.connection.open()?;
    let mut after = args.after.clone();
    loop {
        let from = after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        let page = client.get(&format!("/v1/matches?limit={PAGE}{from}"))?.accepted()?.json()?;
        for asked in page.get("matches").and_then(Value::as_array).into_iter().flatten() {
            output.say(asked, log_line(asked))?;
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) if page.get("more") == Some(&Value::Bool(true)) => {
                after = Some(next.to_owned());
            }
            _ => return Ok(Exit::Done),
        }
    }
}

/// Questions of one request on one line.
fn log_line(asked: &Value) -> String {
    let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or("-");
    let time = asked
        .get("at")
        .and_then(Value::as_i64)
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| "?".to_owned(), |time| time.to_string());
    let count = asked.get("count").and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{} {time} {} {} {count} {} in {} for {} by {}",
        text("cursor"),
        text("side"),
        text("member"),
        text("type"),
        text("community"),
        text("purpose"),
        text("principal"),
    )
}

fn text_of(file: &PathBuf) -> Result<String, Failure> {
    let limit = MAX_LIST_BYTES as u64 + 1;
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(limit).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))
        .map_err(|cause| Failure::usage(format!("{cause:#}\nhint: give a text file, or -")))?;
    if text.len() > MAX_LIST_BYTES {
        let text = format!("cannot read {}: more than {MAX_LIST_BYTES} bytes", file.display());
        return Err(Failure::usage(text));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(kind: IdentifierType) -> AskArgs {
        AskArgs {
            kind,
            identifiers: vec![],
            file: None,
            community: "seizures".to_owned(),
            purpose: "risk-analysis".to_owned(),
            of: vec![],
            request: None,
            publish: false,
            connection: Connection::default(),
        }
    }

    #[test]
    fn a_hit_of_every_type_becomes_a_valid_request_to_its_member() {
        let bytes =
            include_bytes!("../../../schemas/examples/assistance-request-01-refrigerants.json");
        let Value::Object(mut template) = serde_json::from_slice(bytes).unwrap() else { panic!() };
        template.remove("consignment");
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let day = |days: i64| json!(today.saturating_add(jiff::Span::new().days(days)).to_string());
        let later = day(30);
        for (key, value) in [("replyDue", later.clone()), ("interimReplyDue", later.clone())] {
            template.insert(key.to_owned(), value);
        }
        let handling = template["handling"].as_object_mut().unwrap();
        handling.insert("feedbackDue".to_owned(), later);
        handling.insert("reviewDate".to_owned(), day(300));
        handling.insert("retainUntil".to_owned(), day(301));
        for (kind, identifier, at) in [
            (IdentifierType::Container, "MSKU6011672", "/consignment/transportEquipment/0/id"),
            (IdentifierType::Vessel, "9074729", "/consignment/borderTransportMeans/imoNumber"),
            (
                IdentifierType::AirWaybill,
                "020-43210985",
                "/consignment/transportContractDocument/0/id",
            ),
            (IdentifierType::Company, "529900T8BM49AURSDO55", "/party/0/lei"),
            (IdentifierType::Company, "GB123456789000", "/party/0/eori"),
        ] {
            let made = request(&asking(kind), &template, "SG", identifier).unwrap();
            assert_eq!(made.pointer(at), Some(&json!(identifier)));
            assert_eq!(made["requestedMember"], json!(["SG"]));
            assert_eq!(made["handling"]["purpose"], json!(["risk-analysis"]));
            let verdict = Standard::v1().validate(&made);
            assert!(verdict.is_ok(), "{kind}: {:?}", verdict.err());
        }
        template.remove("party");
        let company = asking(IdentifierType::Company);
        assert!(request(&company, &template, "SG", "GB123456789000").is_err());
    }

    #[test]
    fn a_list_and_a_question_are_one_line_each() {
        let list = json!({"community": "seizures", "purposes": ["risk-analysis"],
                          "identifiers": {"container": 2, "vessel": 1}});
        assert_eq!(list_line(&list), "seizures: 2 container, 1 vessel; for risk-analysis");
        let asked = json!({"cursor": "00", "at": 0, "side": "asked", "member": "SG",
            "principal": "duty", "community": "seizures", "purpose": "risk-analysis",
            "type": "container", "count": 3});
        assert_eq!(
            log_line(&asked),
            "00 1970-01-01T00:00:00Z asked SG 3 container in seizures for risk-analysis by duty"
        );
    }
}
