//! Reads the TOML of a configuration, setting by setting, and goes on after an error.

mod p2p;
mod pkcs11;
mod traffic;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealwire_wire::id::{Digest, MemberId};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    Client, Config, DEFAULT_EPOCH_DAYS, DEFAULT_FORGET_EVERY_SECS, DEFAULT_GRACE_DAYS,
    DEFAULT_HTTP_LISTEN, DEFAULT_QUESTIONS_A_DAY, DEFAULT_READS_EVERY_SECS, Http, KeyLife, Log,
    MAX_FORGET_EVERY_SECS, MAX_GRACE_DAYS, MAX_QUESTIONS_A_DAY, MAX_READS_EVERY_SECS, Problem,
    Reads, Tls, is_file_name,
};

/// Every section (the empty name is the top of the file) with its keys.
const KEYS: [(&str, &[&str]); 14] = [
    ("", &["member", "register", "register-digest"]),
    ("data", &["dir"]),
    ("keys", &["dir", "credential", "epoch-days", "grace-days", "pkcs11"]),
    ("keys.pkcs11", &["module", "token", "serial", "pin-credential", "sign", "log", "cosign"]),
    ("http", &["listen", "tls"]),
    ("http.tls", &["certificate", "key"]),
    ("p2p", &["listen"]),
    ("codes", &["un-locode"]),
    ("reads", &["every-seconds", "purpose-required"]),
    ("retention", &["every-seconds"]),
    ("traffic", &["tick", "entries"]),
    ("match", &["questions-a-day"]),
    ("log", &["filter", "format"]),
    ("client", &["url", "token-file", "ca-certificate"]),
];

/// Reads a configuration that stands in `file`, or gives all problems in the order of their lines.
pub(super) fn read(text: &str, file: &Path) -> Result<Config, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { text, problems: Vec::new(), lines: BTreeMap::new() };
    for error in errors {
        let line = walk.line(&error.span().unwrap_or_default());
        let text = format!("read TOML: {}", error.message().trim().replace('\n', ", "));
        walk.problem(line, text, "correct the syntax; texts stand in double quotes");
    }
    let base = file.parent().unwrap_or(Path::new("")).to_owned();
    let config = walk.config(root.get_ref(), &base);
    let Walk { mut problems, lines, .. } = walk;
    match config {
        Some(config) if problems.is_empty() => {
            Ok(Config { file: file.to_owned(), lines, ..config })
        }
        _ => {
            problems.sort_by_key(|p| p.line);
            Err(problems)
        }
    }
}

/// Collects settings, their lines and all problems.
struct Walk<'t> {
    text: &'t str,
    problems: Vec<Problem>,
    lines: BTreeMap<String, usize>,
}

type Found<'a, 't> = Option<(&'a DeValue<'t>, usize)>;

impl Walk<'_> {
    fn config(&mut self, root: &DeTable<'_>, base: &Path) -> Option<Config> {
        self.refuse_unknown(root);
        let member = self.member(root);
        let register = self.path(root, "", "register", Some("register.json"), base);
        let register_digest = self.register_digest(root);
        let data_dir = self.path(root, "data", "dir", Some("data"), base);
        let keys_dir = self.keys_dir(root, base, data_dir.as_deref());
        let keys = self.key_life(root, base);
        let http = self.http(root, base);
        let p2p_listen = self.p2p(root);
        let locodes = self.optional_path(root, "codes", "un-locode", base);
        let reads = self.reads(root);
        let forget_every = self.seconds(
            root,
            "retention",
            "every-seconds",
            DEFAULT_FORGET_EVERY_SECS,
            MAX_FORGET_EVERY_SECS,
        );
        let traffic = self.traffic(root);
        let (key, what) = (("match", "questions-a-day"), "it is no number of questions");
        let (default, range) = (DEFAULT_QUESTIONS_A_DAY, 1..=MAX_QUESTIONS_A_DAY);
        let questions_a_day = self.whole(root, key, what, default, range);
        let log = self.log(root);
        let client = self.client(root, base, http.as_ref());
        Some(Config {
            member: member?,
            register: register?,
            register_digest: register_digest?,
            data_dir: data_dir?,
            keys_dir: keys_dir?,
            keys: keys?,
            http: http?,
            p2p_listen: p2p_listen?,
            log: log?,
            client: client?,
            locodes: locodes?,
            reads: reads?,
            forget_every: forget_every?,
            traffic: traffic?,
            questions_a_day: questions_a_day?,
            file: PathBuf::new(),
            lines: BTreeMap::new(),
        })
    }

    fn member(&mut self, root: &DeTable<'_>) -> Option<MemberId> {
        let hint = "this administration's id in the register, such as \"ID\" or \"ID-RCL\"";
        let Some((text, line)) = self.text(root, "", "member") else {
            if !root.contains_key("member") {
                self.problem(1, "find member: it is missing".to_owned(), hint);
            }
            return None;
        };
        let member = text.parse().ok();
        if member.is_none() {
            self.problem(line, format!("accept member {text:?}: it is no member id"), hint);
        }
        member
    }

    /// `None` is a problem that was reported, `Some(None)` is no pin. Blanks are left out, so that
    /// a fingerprint may be copied as it is printed.
    fn register_digest(&mut self, root: &DeTable<'_>) -> Option<Option<Digest>> {
        let Some((text, line)) = self.text(root, "", "register-digest") else { return Some(None) };
        let digits: String = text.split_whitespace().collect();
        let digest = digits.parse().ok();
        if digest.is_none() {
            let text = format!("accept register-digest {text:?}: it is no SHA-256 digest");
            let hint = "64 hexadecimal digits, as `sealwire register show` prints them";
            self.problem(line, text, hint);
        }
        digest.map(Some)
    }

    /// By default the directory `keys` beside the data directory.
    fn keys_dir(
        &mut self,
        root: &DeTable<'_>,
        base: &Path,
        data: Option<&Path>,
    ) -> Option<PathBuf> {
        let given = section(root, "keys").is_some_and(|keys| keys.contains_key("dir"));
        if given {
            return self.path(root, "keys", "dir", None, base);
        }
        Some(data?.parent().unwrap_or(base).join("keys"))
    }

    fn key_life(&mut self, root: &DeTable<'_>, base: &Path) -> Option<KeyLife> {
        let token = self.pkcs11(root, base);
        let credential = match self.text(root, "keys", "credential") {
            Some((name, line)) if !is_file_name(&name) => {
                let text = format!("accept keys.credential {name:?}: it is no name of a file");
                self.problem(
                    line,
                    text,
                    "the name in LoadCredential, such as \"sealwire-passphrase\"",
                );
                return None;
            }
            found => found.map(|(name, _)| name),
        };
        let month = DEFAULT_EPOCH_DAYS;
        let epoch = self.days(root, ("keys", "epoch-days"), month, 1..=month);
        let grace = self.days(root, ("keys", "grace-days"), DEFAULT_GRACE_DAYS, 0..=MAX_GRACE_DAYS);
        Some(KeyLife { credential, epoch: epoch?, grace: grace?, token: token? })
    }

    fn http(&mut self, root: &DeTable<'_>, base: &Path) -> Option<Http> {
        let tls = self.tls(root, base);
        let (text, line) = self
            .text(root, "http", "listen")
            .unwrap_or_else(|| (DEFAULT_HTTP_LISTEN.to_owned(), 1));
        let Ok(listen) = text.parse::<SocketAddr>() else {
            let hint = "an address and a port, such as \"127.0.0.1:8443\"";
            self.problem(line, format!("accept http.listen {text:?}: it is no address"), hint);
            return None;
        };
        let tls = tls?;
        if !is_loopback(listen.ip()) && tls.is_none() {
            let text = format!("accept http.listen {text:?}: outside loopback and without TLS");
            let hint = "give [http.tls] certificate and key, or listen on 127.0.0.1";
            self.problem(line, text, hint);
            return None;
        }
        Some(Http { listen, tls })
    }

    /// `None` is a problem that was reported, `Some(None)` is no TLS.
    fn tls(&mut self, root: &DeTable<'_>, base: &Path) -> Option<Option<Tls>> {
        let Some(table) = section(root, "http.tls") else { return Some(None) };
        let mut missing = false;
        for key in ["certificate", "key"] {
            if !table.contains_key(key) {
                let line = self.section_line(root, "http.tls");
                let hint = "give both files, certificate and key, in PEM";
                self.problem(line, format!("find http.tls.{key}: it is missing"), hint);
                missing = true;
            }
        }
        let certificate = self.path(root, "http.tls", "certificate", None, base);
        let key = self.path(root, "http.tls", "key", None, base);
        if missing {
            return None;
        }
        Some(Some(Tls { certificate: certificate?, key: key? }))
    }

    fn log(&mut self, root: &DeTable<'_>) -> Option<Log> {
        let (filter, line) =
            self.text(root, "log", "filter").unwrap_or_else(|| ("info".to_owned(), 1));
        if let Err(cause) = tracing_subscriber::EnvFilter::builder().parse(&filter) {
            let hint = "a level, or directives such as \"info,sealwire=debug\"";
            self.problem(line, format!("accept log.filter {filter:?}: {cause}"), hint);
        }
        let (format, line) =
            self.text(root, "log", "format").unwrap_or_else(|| ("text".to_owned(), 1));
        let json = match format.as_str() {
            "text" => false,
            "json" => true,
            other => {
                let text = format!("accept log.format {other:?}: it is no such format");
                self.problem(line, text, "\"text\" or \"json\"");
                return None;
            }
        };
        Some(Log { filter, json })
    }

    fn client(&mut self, root: &DeTable<'_>, base: &Path, http: Option<&Http>) -> Option<Client> {
        let token_file = self.path(root, "client", "token-file", Some("operator.token"), base);
        let ca = self.optional_path(root, "client", "ca-certificate", base)?;
        let url = match self.text(root, "client", "url") {
            Some((url, line)) => {
                let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
                if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
                    let text = format!("accept client.url {url:?}: it is no http address");
                    self.problem(line, text, "such as \"http://127.0.0.1:8443\"");
                    return None;
                }
                url.trim_end_matches('/').to_owned()
            }
            None => {
                let http = http?;
                let scheme = if http.tls.is_some() { "https" } else { "http" };
                format!("{scheme}://{}", http.listen)
            }
        };
        Some(Client { url, token_file: token_file?, ca_certificate: ca })
    }

    fn refuse_unknown(&mut self, root: &DeTable<'_>) {
        for (name, keys) in KEYS {
            let Some(table) = section(root, name) else {
                if let Some((value, line)) = self.find_section(root, name) {
                    let text =
                        format!("accept {name}: {} in the place of a section", value.type_str());
                    self.problem(line, text, &format!("write [{name}] on a line of its own"));
                }
                continue;
            };
            for key in table.keys() {
                let known = keys.contains(&key.get_ref().as_ref())
                    || (name.is_empty() && KEYS.iter().any(|(s, _)| *s == key.get_ref().as_ref()));
                if !known {
                    let line = self.line(&key.span());
                    let text =
                        format!("accept {}: there is no such setting", dotted(name, key.get_ref()));
                    let hint = if name.is_empty() {
                        "the settings are member, register and register-digest; the sections [data], [keys], [keys.pkcs11], \
                         [http], [http.tls], [p2p], [codes], [reads], [traffic], [log] and [client]"
                            .to_owned()
                    } else {
                        format!("the settings of [{name}] are {}", keys.join(", "))
                    };
                    self.problem(line, text, &hint);
                }
            }
        }
    }

    /// `None` is a problem that was reported, `Some(None)` is no path.
    fn optional_path(
        &mut self,
        root: &DeTable<'_>,
        name: &str,
        key: &str,
        base: &Path,
    ) -> Option<Option<PathBuf>> {
        let given = section(root, name).is_some_and(|table| table.contains_key(key));
        if given { self.path(root, name, key, None, base).map(Some) } else { Some(None) }
    }

    fn path(
        &mut self,
        root: &DeTable<'_>,
        name: &str,
        key: &str,
        default: Option<&str>,
        base: &Path,
    ) -> Option<PathBuf> {
        let given = section(root, name).is_some_and(|table| table.contains_key(key));
        let text = match (self.text(root, name, key), default) {
            (Some((text, line)), _) => {
                if text.is_empty() || text.contains('\0') {
                    let text = format!("accept {}: it is no path", dotted(name, key));
                    self.problem(line, text, "a path, absolute or relative to this file");
                    return None;
                }
                text
            }
            (None, Some(default)) if !given => default.to_owned(),
            (None, _) => return None,
        };
        Some(base.join(text))
    }

    fn reads(&mut self, root: &DeTable<'_>) -> Option<Reads> {
        let every = self.seconds(
            root,
            "reads",
            "every-seconds",
            DEFAULT_READS_EVERY_SECS,
            MAX_READS_EVERY_SECS,
        );
        let purpose_required = match self.find(root, "reads", "purpose-required") {
            None => Some(false),
            Some((value, line)) => {
                let flag = value.as_bool();
                if flag.is_none() {
                    let text = format!(
                        "accept reads.purpose-required: {} in the place of a boolean",
                        value.type_str()
                    );
                    self.problem(line, text, "true or false");
                }
                flag
            }
        };
        Some(Reads { every: every?, purpose_required: purpose_required? })
    }

    /// A time from 1 second to `max`.
    fn seconds(
        &mut self,
        root: &DeTable<'_>,
        name: &str,
        key: &str,
        default: u64,
        max: u64,
    ) -> Option<Duration> {
        let what = "it is no time in seconds";
        self.whole(root, (name, key), what, default, 1..=max).map(Duration::from_secs)
    }

    fn days(
        &mut self,
        root: &DeTable<'_>,
        key: (&str, &str),
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        let days = self.whole(root, key, "it is no time in days", default, range)?;
        Some(Duration::from_secs(days * 24 * 3600))
    }

    /// A whole number in a range; anything else that is there is reported.
    fn whole(
        &mut self,
        root: &DeTable<'_>,
        (name, key): (&str, &str),
        what: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let Some((value, line)) = self.find(root, name, key) else {
            return Some(default);
        };
        let number =
            value.as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let text = format!("accept {}: {what}", dotted(name, key));
            let (least, most) = range.into_inner();
            self.problem(line, text, &format!("an integer from {least} to {most}"));
        }
        number
    }

    /// A text that is there; anything else that is there is reported.
    fn text(&mut self, root: &DeTable<'_>, name: &str, key: &str) -> Option<(String, usize)> {
        let (value, line) = self.find(root, name, key)?;
        if let Some(text) = value.as_str() {
            return Some((text.to_owned(), line));
        }
        let text =
            format!("accept {}: {} in the place of a text", dotted(name, key), value.type_str());
        self.problem(line, text, "write it in double quotes");
        None
    }

    fn find<'a, 't>(&mut self, root: &'a DeTable<'t>, name: &str, key: &str) -> Found<'a, 't> {
        let value = section(root, name)?.get(key)?;
        let line = self.line(&value.span());
        self.lines.insert(dotted(name, key), line);
        Some((value.get_ref(), line))
    }

    fn find_section<'a, 't>(&self, root: &'a DeTable<'t>, name: &str) -> Found<'a, 't> {
        let mut table = root;
        let mut found: Option<&Spanned<DeValue<'t>>> = None;
        for step in name.split('.') {
            let value = table.get(step)?;
            found = Some(value);
            if let Some(next) = value.get_ref().as_table() {
                table = next;
            }
        }
        found.map(|value| (value.get_ref(), self.line(&value.span())))
    }

    fn section_line(&self, root: &DeTable<'_>, name: &str) -> usize {
        self.find_section(root, name).map_or(1, |(_, line)| line)
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    fn problem(&mut self, line: usize, text: String, hint: &str) {
        self.problems.push(Problem { line, text, hint: hint.to_owned() });
    }
}

fn section<'a, 't>(root: &'a DeTable<'t>, name: &str) -> Option<&'a DeTable<'t>> {
    if name.is_empty() {
        return Some(root);
    }
    name.split('.').try_fold(root, |table, step| table.get(step)?.get_ref().as_table())
}

fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
