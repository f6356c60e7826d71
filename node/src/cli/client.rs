//! The client of a node's HTTP interface, as the commands and the demonstration use it.
//!
//! A token is sent over plain HTTP to this machine only. Redirects and proxies are not followed.

use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sealwire_schemas::{Language, UnknownLanguage};
use serde_json::Value;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use zeroize::Zeroizing;

use super::output::Failure;
use crate::config::{CONFIG_FILE, Config};

/// Variable that holds the token itself.
pub const TOKEN_VARIABLE: &str = "SEALWIRE_TOKEN";
/// Largest answer read, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// Longest line of an event stream, in bytes.
const MAX_EVENT_LINE: u64 = 8 * 1024 * 1024;
/// Largest token or certificate file, in bytes.
const MAX_SMALL_FILE_BYTES: u64 = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Three keep-alive comments of the stream.
const STREAM_READ_TIMEOUT: Duration = Duration::from_secs(45);

/// Which node, and as whom.
#[derive(Debug, Clone, Default, Args)]
pub struct Connection {
    /// The configuration file with the [client] section; sealwire.toml here if there is one.
    #[arg(long, env = "SEALWIRE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the node, instead of the configured one.
    #[arg(long, env = "SEALWIRE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// File with the bearer token, instead of the configured one. SEALWIRE_TOKEN goes before both.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificates to trust for https, PEM, instead of the configured ones.
    #[arg(long, value_name = "FILE")]
    pub ca_certificate: Option<PathBuf>,
    /// The language of findings: en, fr or id.
    #[arg(long, env = "SEALWIRE_LANGUAGE", default_value = "en", value_parser = language)]
    pub language: Language,
}

/// Reads `--language`.
pub fn language(tag: &str) -> Result<Language, UnknownLanguage> {
    tag.parse()
}

impl Connection {
    /// Finds out address and token, and makes the client.
    pub fn open(&self) -> Result<Client, Failure> {
        let beside = Path::new(CONFIG_FILE);
        let file = self.config.as_deref().or_else(|| beside.exists().then_some(beside));
        let config = file.map(Config::load).transpose().map_err(Failure::usage)?;
        let client = config.as_ref().map(|config| &config.client);
        let url = self.url.clone().or_else(|| client.map(|c| c.url.clone())).ok_or_else(|| {
            Failure::usage("cannot find the node: no address\nhint: give --config or --url")
        })?;
        let token = match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => Zeroizing::new(token),
            Err(_) => {
                let file = self.token_file.as_ref().or_else(|| client.map(|c| &c.token_file));
                let file = file.ok_or_else(|| {
                    Failure::usage(format!(
                        "cannot ask the node: no token\n\
                         hint: give --config or --token-file, or set {TOKEN_VARIABLE}"
                    ))
                })?;
                read_token(file)?
            }
        };
        let ca = self
            .ca_certificate
            .as_deref()
            .or_else(|| client.and_then(|client| client.ca_certificate.as_deref()));
        Ok(Client { language: self.language, ..Client::new(&url, token, ca)? })
    }
}

/// A client of one node as one principal.
pub struct Client {
    calls: ureq::Agent,
    streams: ureq::Agent,
    url: String,
    token: Zeroizing<String>,
    language: Language,
}

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .context("cannot read the node's answer: it is not JSON")
            .map_err(Failure::Fault)
    }

    /// The answer if it is one, the node's problem document if it refused.
    pub fn accepted(self) -> Result<Self, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(problem) if problem.get("code").is_some() => Err(Failure::Problem(problem)),
            _ => Err(Failure::Fault(anyhow::anyhow!(
                "cannot read the node's answer: status {} without a problem document\n\
                 hint: is this the address of a sealwire node?",
                self.status
            ))),
        }
    }
}

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its id: the cursor.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl Client {
    /// A client for a node's address.
    pub fn new(
        url: &str,
        token: Zeroizing<String>,
        ca_certificate: Option<&Path>,
    ) -> Result<Self, Failure> {
        let url = url.trim_end_matches('/').to_owned();
        if !is_https(&url) && !is_local(&url) {
            return Err(Failure::usage(format!(
                "cannot send a token to {url}: it is neither https nor on this machine\n\
                 hint: give an https address, and --ca-certificate for an authority of your own"
            )));
        }
        let roots = match ca_certificate {
            Some(file) => RootCerts::new_with_certs(&certificates(file)?),
            None => RootCerts::WebPki,
        };
        let tls = TlsConfig::builder().root_certs(roots).build();
        let base = || {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .proxy(None)
                .timeout_connect(Some(CONNECT_TIMEOUT))
                .tls_config(tls.clone())
        };
        let calls = base().timeout_global(Some(CALL_TIMEOUT)).build().new_agent();
        let streams = base().timeout_per_read(Some(STREAM_READ_TIMEOUT)).build().new_agent();
        Ok(Self { calls, streams, url, token, language: Language::default() })
    }

    /// Asks for a resource.
    pub fn get(&self, path: &str) -> Result<Answer, Failure> {
        let request = self.request(Method::GET, path).body(()).map_err(Failure::fault)?;
        self.answer(self.calls.run(request))
    }

    /// Sends JSON.
    pub fn post(&self, path: &str, key: Option<&str>, body: &[u8]) -> Result<Answer, Failure> {
        let mut request = self
            .request(Method::POST, path)
            .header("content-type", "application/json")
            .header("accept-language", self.language.as_str());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(body).map_err(Failure::usage)?;
        self.answer(self.calls.run(request))
    }

    /// Reads events from `path` until `each` says stop, or the stream ends. `Ok` is an orderly
    /// end; the caller resumes from the last id it saw.
    pub fn events(
        &self,
        path: &str,
        last_event_id: &str,
        mut each: impl FnMut(Event) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let request = self
            .request(Method::GET, path)
            .header("accept", "text/event-stream")
            .header("last-event-id", last_event_id)
            .body(())
            .map_err(Failure::fault)?;
        let response = self.streams.run(request).map_err(|e| self.unreachable(e))?;
        if !response.status().is_success() {
            return self.read(response)?.accepted().map(|_| ());
        }
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut reader = BufReader::new(body);
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            let read = (&mut reader).take(MAX_EVENT_LINE).read_line(&mut line)?;
            if read == 0 {
                return Ok(());
            }
            if let Some(whole) = take_line(&mut event, line.trim_end_matches(['\r', '\n'])) {
                each(whole)?;
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> ureq::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", *self.token))
    }

    fn answer(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, Failure> {
        self.read(response.map_err(|e| self.unreachable(e))?)
    }

    fn read(&self, response: ureq::http::Response<ureq::Body>) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let body = response.into_body().into_with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        let body = body.map_err(|e| self.unreachable(e))?;
        Ok(Answer { status, body })
    }

    fn unreachable(&self, cause: ureq::Error) -> Failure {
        Failure::Fault(anyhow::anyhow!(
            "cannot reach the node at {}: {cause}\nhint: is it running? see `sealwire run`",
            self.url
        ))
    }
}

/// Reads a token from its file.
pub fn read_token(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let refused = |cause: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "cannot read the token in {}: {cause}\n\
             hint: `sealwire token new` makes a token; give its file with --token-file",
            file.display()
        ))
    };
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|cause| refused(&cause))?);
    let token = text.trim();
    if token.is_empty() || token.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(refused(&"it is not one token on one line"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let refused = |cause: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "cannot use the certificates in {}: {cause}\nhint: give a PEM file",
            file.display()
        ))
    };
    let mut pem = Vec::new();
    std::fs::File::open(file)
        .and_then(|f| f.take(MAX_SMALL_FILE_BYTES).read_to_end(&mut pem))
        .map_err(|cause| refused(&cause))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|cause| refused(&cause))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(refused(&"there is none")) } else { Ok(found) }
}

fn is_https(url: &str) -> bool {
    url.starts_with("https://")
}

/// Whether a plain address leads to this machine.
fn is_local(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Adds a line to an event; gives the event when the line ends it.
fn take_line(event: &mut Event, line: &str) -> Option<Event> {
    if line.is_empty() {
        let whole = std::mem::take(event);
        return (!whole.data.is_empty()).then_some(whole);
    }
    let (field, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.strip_prefix(' ').unwrap_or(value);
    match field {
        "id" => value.clone_into(&mut event.id),
        "event" => value.clone_into(&mut event.name),
        "data" => {
            if !event.data.is_empty() {
                event.data.push('\n');
            }
            event.data.push_str(value);
        }
        _ => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_leaves_this_machine_over_tls_only() {
        let open = |url: &str| Client::new(url, Zeroizing::new("swt_x".to_owned()), None);
        for good in [
            "https://node.example.org",
            "http://127.0.0.1:8443/",
            "http://[::1]:80",
            "http://localhost:1",
        ] {
            assert!(open(good).is_ok(), "{good}");
        }
        for bad in [
            "http://192.0.2.1:80",
            "http://localhost.example.org",
            "http://127.0.0.1@x.org",
            "http://127.evil.org",
            "ftp://127.0.0.1",
            "",
        ] {
            assert!(open(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn events_are_read_line_by_line() {
        let mut event = Event::default();
        let mut whole = Vec::new();
        for line in [": keep-alive", "", "id: 7", "event: record", "data: {\"a\":", "data:1}", ""] {
            whole.extend(take_line(&mut event, line));
        }
        let data = "{\"a\":\n1}".to_owned();
        assert_eq!(whole, [Event { id: "7".into(), name: "record".into(), data }]);
        assert_eq!(event, Event::default());
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(lines in proptest::collection::vec(".{0,40}", 0..20)) {
            let mut event = Event::default();
            for line in &lines {
                let _ = take_line(&mut event, line);
            }
        }
    }
}
