//! `sealwire register`: governors make keys, edit a draft, sign it one after the other, and read
//! the result.
//!
//! Everything happens on files, so that each governor can sign on a machine without a network.
//! What may be in a register is decided by `sealwire_wire::register`; here are only the files.

pub(super) mod files;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use sealwire_schemas::Standard;
use sealwire_wire::id::{Digest, MemberId, ed25519_thumbprint};
use sealwire_wire::register::{Community, Draft, KeyUse, RegisterError, Status};
use serde_json::{Value, json};

use files::{
    Mode, exists, in_file, read_draft, read_governor, read_governor_secret, read_introduction,
    read_register, write,
};

const SECONDS_PER_DAY: i64 = 86_400;

/// Make, sign and read the federation's register.
#[derive(Debug, clap::Subcommand)]
pub enum RegisterCommand {
    /// Make a governor's key: FILE is secret, FILE.pub.json is for the others.
    Governor(GovernorArgs),
    /// Begin a draft: of a new federation, or of the version after a signed register.
    New(NewArgs),
    /// Add a member or a community to a draft. Signatures that were there are removed.
    #[command(subcommand)]
    Add(AddCommand),
    /// Suspend a member in a draft, let it take part again, or mark it as having left.
    Status(StatusArgs),
    /// Give a member in a draft a further key, or end one.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Sign a draft as one governor; with enough signatures it becomes a register.
    Sign(SignArgs),
    /// Print a register or draft: members, communities, signatures, expiry and fingerprint.
    Show(ShowArgs),
}

/// Arguments of `register governor`.
#[derive(Debug, clap::Args)]
pub struct GovernorArgs {
    /// Name of the governor's seat, such as ID or jakarta.
    #[arg(long)]
    pub seat: String,
    /// Where to write the secret key; FILE.pub.json is written beside it.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `register new`.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// Name of the federation, such as example.org.
    #[arg(long, required_unless_present = "from", conflicts_with = "from")]
    pub federation: Option<String>,
    /// Continue this signed register: the draft is its next version.
    #[arg(long, value_name = "REGISTER")]
    pub from: Option<PathBuf>,
    /// How many governors must sign.
    #[arg(long, value_name = "K", required_unless_present = "from")]
    pub threshold: Option<u32>,
    /// Public files of all governors. With --from they replace the governors there were.
    #[arg(long, value_name = "PUB", num_args = 1.., required_unless_present = "from")]
    pub governor: Vec<PathBuf>,
    /// After how many days the version expires.
    #[arg(long, value_name = "N", default_value_t = 365,
          value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub expires_days: u32,
    /// Where to write the draft.
    #[arg(long, value_name = "FILE", default_value = "register.draft.json")]
    pub out: PathBuf,
}

/// What `register add` can add.
#[derive(Debug, clap::Subcommand)]
pub enum AddCommand {
    /// Add members by the files with which they introduce themselves.
    Member(MemberArgs),
    /// Add a community.
    Community(Box<CommunityArgs>),
}

/// Arguments of `register add member`.
#[derive(Debug, clap::Args)]
pub struct MemberArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// Files that `sealwire init` wrote. A member that is there with the same keys gets its names,
    /// roles and addresses from the file.
    #[arg(required = true, value_name = "MEMBER.json")]
    pub introductions: Vec<PathBuf>,
}

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
    /// Cosignatures of other members after which an entry counts as witnessed.
    #[arg(long, value_name = "K")]
    pub witnesses: u32,
    /// Put it in the place of the community with this id.
    #[arg(long)]
    pub replace: bool,
}

/// Arguments of `register status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The member.
    #[arg(long, value_name = "ID")]
    pub member: MemberId,
    /// active, suspended (nothing from or to it, earlier entries stay valid) or left (taken out
    /// of all communities as well).
    pub status: Status,
}

/// What can be done with a member's keys.
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Add a key that counts from a leaf index of the member's own log.
    Add(AddKeyArgs),
    /// End or revoke a key: what it signed from a leaf index on does not count.
    End(EndKeyArgs),
}

/// Arguments of `register key add`.
#[derive(Debug, clap::Args)]
pub struct AddKeyArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The member.
    #[arg(long, value_name = "ID")]
    pub member: MemberId,
    /// What the key is for: node, log, cosign or sign.
    #[arg(long, value_name = "USE")]
    pub r#use: KeyUse,
    /// The public Ed25519 key, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub public: Digest,
    /// First leaf index of the member's own log for which it counts.
    #[arg(long, value_name = "INDEX")]
    pub from: u64,
    /// The COSE thumbprint of the key that it takes the place of: that one ends at the same index.
    /// A log, cosign or node key is only one at a time.
    #[arg(long, value_name = "DIGEST")]
    pub replaces: Option<Digest>,
}

/// Arguments of `register key end`.
#[derive(Debug, clap::Args)]
pub struct EndKeyArgs {
    /// The draft to change.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The member.
    #[arg(long, value_name = "ID")]
    pub member: MemberId,
    /// The key's COSE thumbprint, as `register show` prints it.
    #[arg(long, value_name = "DIGEST")]
    pub thumbprint: Digest,
    /// First leaf index of the member's own log for which it counts no more: after a theft, the
    /// index up to which other members had cosigned.
    #[arg(long, value_name = "INDEX")]
    pub until: u64,
}

/// Arguments of `register sign`.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The draft to sign; the signature is added to it.
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// The governor's secret file.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The signed register that this version follows; needed from version 2 on.
    #[arg(long, value_name = "REGISTER")]
    pub previous: Option<PathBuf>,
    /// Where to write the register once enough governors have signed.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `register show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// A register or a draft.
    pub file: PathBuf,
    /// Check as well that it may follow this signed register.
    #[arg(long, value_name = "REGISTER")]
    pub previous: Option<PathBuf>,
}

/// Runs one command: data to standard output, as JSON if `json`.
pub fn run(command: RegisterCommand, json: bool) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("cannot read the clock")?;
    let now_unix = i64::try_from(now.as_secs()).context("cannot read the clock")?;
    let report = execute(command, now_unix)?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", report.json)?;
    } else {
        writeln!(out, "{}", report.text.trim_end())?;
    }
    Ok(out.flush()?)
}

/// What a command has to say, in both forms.
#[derive(Debug)]
struct Report {
    text: String,
    json: Value,
}

fn execute(command: RegisterCommand, now_unix: i64) -> Result<Report> {
    match command {
        RegisterCommand::Governor(args) => governor(&args),
        RegisterCommand::New(args) => new(&args, now_unix),
        RegisterCommand::Add(AddCommand::Member(args)) => add_member(&args),
        RegisterCommand::Add(AddCommand::Community(args)) => add_community(*args),
        RegisterCommand::Status(args) => status(&args),
        RegisterCommand::Key(KeyCommand::Add(args)) => add_key(&args),
        RegisterCommand::Key(KeyCommand::End(args)) => end_key(&args),
        RegisterCommand::Sign(args) => sign(&args),
        RegisterCommand::Show(args) => show::show(&args, now_unix),
    }
}

fn governor(args: &GovernorArgs) -> Result<Report> {
    let (keyid, public_path) = files::make_governor(&args.seat, &args.out)?;
    let (secret, public) = (args.out.display(), public_path.display());
    let seat = &args.seat;
    Ok(Report {
        text: format!(
            "made the key of governor {seat}, key id {keyid}\n\
             keep secret: {secret}\ngive to the other governors: {public}"
        ),
        json: json!({"seat": seat, "keyid": keyid, "secret": args.out, "public": public_path}),
    })
}

fn new(args: &NewArgs, now_unix: i64) -> Result<Report> {
    let expires = now_unix + i64::from(args.expires_days) * SECONDS_PER_DAY;
    let mut draft = match (&args.from, &args.federation) {
        (Some(from), _) => Draft::next(&read_register(from)?, expires)?,
        (None, Some(federation)) => Draft::new(federation, 1, expires)?,
        (None, None) => bail!("cannot begin a draft: hint: give --federation or --from"),
    };
    if !args.governor.is_empty() {
        for seat in draft.seats() {
            draft.remove_seat(&seat)?;
        }
    }
    for path in &args.governor {
        let (seat, public) = read_governor(path)?;
        draft.add_seat(&seat, &public).with_context(|| in_file(path))?;
    }
    if let Some(threshold) = args.threshold {
        draft.set_threshold(threshold);
    }
    pin_standard(&mut draft);
    draft.check()?;
    write(&args.out, &draft.to_bytes(), Mode::New)?;
    let (version, federation) = (draft.version(), draft.federation());
    let (threshold, seats) = (draft.threshold(), draft.seats());
    Ok(Report {
        text: format!(
            "began version {version} of {federation}: {threshold} of {} governors must sign ({})\n\
             draft: {}",
            seats.len(),
            seats.join(", "),
            args.out.display()
        ),
        json: json!({"version": version, "federation": federation, "threshold": threshold,
                     "seats": seats, "draft": args.out}),
    })
}

/// Pins the schemas and code lists with which this program was built.
fn pin_standard(draft: &mut Draft) {
    let standard = Standard::v1();
    for kind in standard.kinds() {
        draft.set_schema(kind.name(), kind.schema_id(), Digest(kind.digest()));
    }
    for (list, edition) in standard.code_lists() {
        draft.set_code_list(list, edition);
    }
}

fn add_member(args: &MemberArgs) -> Result<Report> {
    let mut draft = read_draft(&args.draft)?;
    let mut text = String::new();
    let mut added = Vec::new();
    for path in &args.introductions {
        let introduction = read_introduction(path)?;
        draft.add_member(&introduction).with_context(|| in_file(path))?;
        let (member, print) = (introduction.member(), introduction.fingerprint());
        text.push_str(&format!(
            "added member {member}; compare by telephone before you sign: {print}\n"
        ));
        added.push(json!({"member": member, "fingerprint": print}));
    }
    draft.check()?;
    write(&args.draft, &draft.to_bytes(), Mode::Replace)?;
    Ok(Report { text, json: json!({"added": added, "draft": args.draft}) })
}

fn add_community(args: CommunityArgs) -> Result<Report> {
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
        witnesses: args.witnesses,
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

fn status(args: &StatusArgs) -> Result<Report> {
    let StatusArgs { draft, member, status } = args;
    edit(draft, |draft| draft.set_status(member, *status))?;
    Ok(Report {
        text: format!("{member} is {status} in the draft"),
        json: json!({"member": member, "status": status.as_str(), "draft": draft}),
    })
}

fn add_key(args: &AddKeyArgs) -> Result<Report> {
    let AddKeyArgs { draft, member, r#use, public, from, replaces } = args;
    edit(draft, |draft| {
        if let Some(old) = replaces {
            draft.end_key(member, old, *from)?;
        }
        draft.add_key(member, *r#use, &public.0, *from)
    })?;
    let thumbprint = ed25519_thumbprint(&public.0);
    Ok(Report {
        text: format!("added a {} key of {member} from leaf index {from}: {thumbprint}", r#use),
        json: json!({"member": member, "use": r#use.as_str(), "thumbprint": thumbprint,
                     "from": from, "draft": draft}),
    })
}

fn end_key(args: &EndKeyArgs) -> Result<Report> {
    let EndKeyArgs { draft, member, thumbprint, until } = args;
    edit(draft, |draft| draft.end_key(member, thumbprint, *until))?;
    Ok(Report {
        text: format!("ended a key of {member} at leaf index {until}: {thumbprint}"),
        json: json!({"member": member, "thumbprint": thumbprint, "until": until, "draft": draft}),
    })
}

/// Changes a draft file; a change that the register's rules refuse leaves it as it was.
fn edit(path: &Path, change: impl FnOnce(&mut Draft) -> Result<(), RegisterError>) -> Result<()> {
    let mut draft = read_draft(path)?;
    change(&mut draft).with_context(|| in_file(path))?;
    draft.check().with_context(|| in_file(path))?;
    write(path, &draft.to_bytes(), Mode::Replace)
}

fn sign(args: &SignArgs) -> Result<Report> {
    let mut draft = read_draft(&args.draft)?;
    let previous = args.previous.as_deref().map(read_register).transpose()?;
    if draft.version() > 1 && previous.is_none() {
        bail!(
            "cannot sign version {}: it follows another version\n\
             hint: give the signed register of version {} with --previous",
            draft.version(),
            draft.version() - 1
        );
    }
    if let Some(out) = &args.out {
        ensure!(!out.exists(), exists(out));
    }
    let key = read_governor_secret(&args.key)?;
    let signed = draft.sign(&key, previous.as_ref()).with_context(|| in_file(&args.draft))?;
    write(&args.draft, &draft.to_bytes(), Mode::Replace)?;
    let seat = signed.seat;
    let print = draft.fingerprint();
    let (register, missing) = match draft.finish(previous.as_ref()) {
        Ok(register) => (Some(register), None),
        Err(too_few) => (None, Some(too_few.to_string())),
    };
    let mut text = format!("signed as governor {seat}\n");
    if let Some(missing) = &missing {
        text.push_str(&format!("not complete yet: {missing}\n"));
    }
    if let Some(register) = &register {
        text.push_str(&format!("complete: version {} may be used\n", register.version()));
        if let Some(out) = &args.out {
            write(out, register.bytes(), Mode::New)?;
            text.push_str(&format!("register: {}\n", out.display()));
        }
    }
    text.push_str(&format!("fingerprint: {print}"));
    let written = register.as_ref().and(args.out.as_ref());
    Ok(Report {
        text,
        json: json!({"seat": seat, "complete": register.is_some(), "missing": missing,
                     "fingerprint": print, "draft": args.draft, "register": written}),
    })
}

/// The items of a list on the command line, each once.
fn distinct<T: Ord + std::fmt::Display>(option: &str, items: Vec<T>) -> Result<BTreeSet<T>> {
    let mut set = BTreeSet::new();
    for item in items {
        if let Some(again) = set.replace(item) {
            bail!("cannot read {option}: {again} is there twice\nhint: name it once");
        }
    }
    Ok(set)
}
