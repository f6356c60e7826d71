//! Communities in a draft: add, change, end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use sealwire_wire::id::MemberId;
use sealwire_wire::register::{Community, Direction};
use serde_json::json;

use super::files::{Delivery, Mode, delivery, in_file, read_draft, write};
use super::{Report, distinct, edit};

/// Arguments of `register add community`.
#[derive(Debug, clap::Args)]
pub struct CommunityArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// Id, such as substances.
    #[arg(long)]
    pub id: String,
    /// Title.
    #[arg(long)]
    pub title: String,
    /// The agreement it rests on.
    #[arg(long)]
    pub agreement: String,
    /// Members, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub members: Vec<MemberId>,
    /// Record kinds, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub kinds: Vec<String>,
    /// Field classes, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub classes: Vec<String>,
    /// Highest TLP label: CLEAR, GREEN, AMBER, AMBER+STRICT or RED.
    #[arg(long)]
    pub tlp: String,
    /// Purposes that the agreement allows, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    pub purposes: Vec<String>,
    /// Longest retention, in days.
    #[arg(long, value_name = "N")]
    pub retention_days: u32,
    /// A class that is kept for a shorter time: CLASS=DAYS.
    #[arg(long = "class-retention", value_name = "CLASS=DAYS", value_parser = class_days)]
    pub class_retention: Vec<(String, u32)>,
    /// Cosignatures of other members after which an entry counts as witnessed.
    #[arg(long, value_name = "K")]
    pub witnesses: u32,
    /// To how many of those to whom it is addressed a record must have come to count as delivered,
    /// or `all`.
    #[arg(long, value_name = "all|K", default_value = "all", value_parser = delivery)]
    pub delivery: Delivery,
    /// What a member may do, where it is less than both: MEMBER=publish or MEMBER=receive.
    #[arg(long = "direction", value_name = "MEMBER=WORD", value_parser = direction)]
    pub directions: Vec<(MemberId, Direction)>,
    /// Put it in the place of the community with this id.
    #[arg(long)]
    pub replace: bool,
}

/// What can be done with a community that is there.
#[derive(Debug, clap::Subcommand)]
pub enum CommunityCommand {
    /// Change what is named; all else stays.
    Change(Box<ChangeArgs>),
    /// Take a community out of the draft: nothing new is shared in it.
    End(EndArgs),
}

/// Arguments of `register community change`.
#[derive(Debug, clap::Args)]
pub struct ChangeArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The community.
    #[arg(long)]
    pub id: String,
    /// Title.
    #[arg(long)]
    pub title: Option<String>,
    /// The agreement it rests on.
    #[arg(long)]
    pub agreement: Option<String>,
    /// Members who join it, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub add_members: Vec<MemberId>,
    /// Members who leave it, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub remove_members: Vec<MemberId>,
    /// Record kinds, separated by commas, in the place of those there were.
    #[arg(long, value_delimiter = ',')]
    pub kinds: Vec<String>,
    /// Field classes, likewise.
    #[arg(long, value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Highest TLP label.
    #[arg(long)]
    pub tlp: Option<String>,
    /// Purposes, separated by commas, in the place of those there were.
    #[arg(long, value_delimiter = ',')]
    pub purposes: Vec<String>,
    /// Longest retention, in days.
    #[arg(long, value_name = "N")]
    pub retention_days: Option<u32>,
    /// A class that is kept for a shorter time from now on: CLASS=DAYS; as long as others with
    /// CLASS=0.
    #[arg(long = "class-retention", value_name = "CLASS=DAYS", value_parser = class_days)]
    pub class_retention: Vec<(String, u32)>,
    /// Cosignatures of other members after which an entry counts as witnessed.
    #[arg(long, value_name = "K")]
    pub witnesses: Option<u32>,
    /// To how many a record must have come to count as delivered, or `all`.
    #[arg(long, value_name = "all|K", value_parser = delivery)]
    pub delivery: Option<Delivery>,
    /// What a member may do from now on: MEMBER=publish, MEMBER=receive or MEMBER=both.
    #[arg(long = "direction", value_name = "MEMBER=WORD", value_parser = any_direction)]
    pub directions: Vec<(MemberId, Option<Direction>)>,
}

/// Arguments of `register community end`.
#[derive(Debug, clap::Args)]
pub struct EndArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The community.
    #[arg(long)]
    pub id: String,
}

pub(super) fn add(args: CommunityArgs) -> Result<Report> {
    let mut draft = read_draft(&args.draft)?;
    let community = Community {
        id: args.id,
        title: args.title,
        agreement: args.agreement,
        members: distinct("--members", args.members)?,
        kinds: distinct("--kinds", args.kinds)?,
        classes: distinct("--classes", args.classes)?,
        tlp_ceiling: args.tlp,
        purposes: distinct("--purposes", args.purposes)?,
        retention_days: args.retention_days,
        class_retention_days: args.class_retention.into_iter().collect(),
        witnesses: args.witnesses,
        delivery: args.delivery.0,
        directions: directed(args.directions)?,
    };
    if args.replace {
        draft.set_community(&community);
    } else {
        draft.add_community(&community)?;
    }
    draft.check()?;
    write(&args.draft, &draft.to_bytes(), Mode::Replace)?;
    let id = community.id;
    Ok(Report {
        text: format!("added community {id}, {} members", community.members.len()),
        json: json!({"community": id, "draft": args.draft}),
    })
}

pub(super) fn run(command: CommunityCommand) -> Result<Report> {
    match command {
        CommunityCommand::Change(args) => change(*args),
        CommunityCommand::End(EndArgs { draft, id }) => {
            edit(&draft, |draft| draft.remove_community(&id))?;
            Ok(Report {
                text: format!("community {id} is ended in the draft"),
                json: json!({"community": id, "draft": draft}),
            })
        }
    }
}

fn change(args: ChangeArgs) -> Result<Report> {
    let mut draft = read_draft(&args.draft)?;
    let summary = draft.summary().with_context(|| in_file(&args.draft))?;
    let Some(mut community) = summary.communities.into_iter().find(|c| c.id == args.id) else {
        bail!(
            "cannot change community {:?}: the draft does not have it\nhint: check the spelling",
            args.id
        );
    };
    let before = community.clone();
    replace(&mut community.title, args.title);
    replace(&mut community.agreement, args.agreement);
    replace(&mut community.tlp_ceiling, args.tlp);
    replace(&mut community.retention_days, args.retention_days);
    for (class, days) in args.class_retention {
        match days {
            0 => community.class_retention_days.remove(&class),
            days => community.class_retention_days.insert(class, days),
        };
    }
    replace(&mut community.witnesses, args.witnesses);
    replace(&mut community.delivery, args.delivery.map(|to| to.0));
    for (option, place, items) in [
        ("--kinds", &mut community.kinds, args.kinds),
        ("--classes", &mut community.classes, args.classes),
        ("--purposes", &mut community.purposes, args.purposes),
    ] {
        replace(place, (!items.is_empty()).then(|| distinct(option, items)).transpose()?);
    }
    community.members.extend(args.add_members);
    for member in &args.remove_members {
        if !community.members.remove(member) {
            bail!(
                "cannot take {member} out of community {}: it is not in it\n\
                 hint: `register show` lists the members",
                args.id
            );
        }
        community.directions.remove(member);
    }
    for (member, direction) in args.directions {
        match direction {
            Some(direction) => community.directions.insert(member, direction),
            None => community.directions.remove(&member),
        };
    }
    if community == before {
        bail!("cannot change community {}: nothing is changed\nhint: see --help", args.id);
    }
    draft.set_community(&community);
    draft.check().with_context(|| in_file(&args.draft))?;
    write(&args.draft, &draft.to_bytes(), Mode::Replace)?;
    Ok(Report {
        text: format!("changed community {}, {} members", args.id, community.members.len()),
        json: json!({"community": args.id, "draft": args.draft}),
    })
}

fn replace<T>(place: &mut T, with: Option<T>) {
    if let Some(value) = with {
        *place = value;
    }
}

fn directed(list: Vec<(MemberId, Direction)>) -> Result<BTreeMap<MemberId, Direction>> {
    let mut directions = BTreeMap::new();
    for (member, direction) in list {
        if directions.insert(member.clone(), direction).is_some() {
            bail!("cannot read --direction: {member} is there twice\nhint: name it once");
        }
    }
    Ok(directions)
}

fn class_days(text: &str) -> Result<(String, u32), String> {
    let pair =
        text.split_once('=').and_then(|(class, days)| Some((class.to_owned(), days.parse().ok()?)));
    pair.ok_or_else(|| "not CLASS=DAYS, such as nominal=30".to_owned())
}

/// Reads `AU=receive`.
fn direction(text: &str) -> Result<(MemberId, Direction), String> {
    match any_direction(text)? {
        (member, Some(direction)) => Ok((member, direction)),
        (member, None) => Err(format!("{member} does both unless you say less; leave it out")),
    }
}

/// Reads `AU=receive`, or `AU=both` as no restriction.
fn any_direction(text: &str) -> Result<(MemberId, Option<Direction>), String> {
    let (member, word) = text.split_once('=').ok_or("expected MEMBER=publish or MEMBER=receive")?;
    let member = member.parse().map_err(|e| format!("{e}"))?;
    let direction = match word {
        "both" => None,
        word => Some(word.parse::<Direction>().map_err(|e| e.to_string())?),
    };
    Ok((member, direction))
}
