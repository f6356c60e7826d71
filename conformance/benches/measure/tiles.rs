//! Tiles under load: what the node answers, beside a static file server with the same files.
//!
//! Both are asked by `wrk`, one after the other, over connections that are kept, for the same full
//! tiles and entry bundles in turn, with the same token in the request. The client shares the
//! processor's cores with either.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::process::{self, MEMBERS, Node, Place, free_port};
use super::{counted, quantile, row};

/// Full tiles that the log has.
const TILES: u64 = 4;
/// Connections of the client.
const CONNECTIONS: &str = "32";
/// Seconds of one round.
const SECONDS: u64 = 4;
/// Rounds whose median is told.
const ROUNDS: usize = 3;

/// How many full tiles are asked for.
pub fn count() -> u64 {
    counted(TILES)
}

/// Asks both for the full tiles of a log that has them.
pub fn run(dir: &Path, place: &Place, node: &Node) -> anyhow::Result<()> {
    let member = MEMBERS[0];
    let paths: Vec<String> = (0..count())
        .flat_map(|tile| [format!("tile/0/{tile:03}"), format!("tile/entries/{tile:03}")])
        .collect();
    let script = dir.join("tiles.lua");
    let mut text = format!("local paths = {{ \"{}\" }}\nlocal n = 0\n", paths.join("\", \""));
    writeln!(
        text,
        "request = function()\n  n = n + 1\n  return wrk.format(\"GET\", \"/v1/logs/{member}/\" .. \
         paths[n % #paths + 1])\nend"
    )?;
    fs::write(&script, text)?;
    let data = place.dir.join("data");
    let files = paths.iter().map(|path| data.join("logs").join(member).join(path));
    let files: Vec<_> = files.collect();
    process::wait("the log files", Duration::from_secs(30), || {
        Ok(files.iter().all(|file| file.is_file()))
    })?;
    let server = Static::start(dir, &data)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(requests(&script, node.port(), node.token())?);
        theirs.push(requests(&script, server.port, node.token())?);
    }
    let (ours, theirs) = (quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5));
    let what = format!("full tiles and entry bundles, {CONNECTIONS} connections");
    let limit = format!("nginx, the same files {theirs:.0} requests/s");
    let ratio = format!("{:.0} %", 100.0 * ours / theirs);
    let met = ours >= 0.5 * theirs;
    row(&what, &format!("{ours:.0} requests/s"), &limit, &ratio, "≥ 50 %", met)
}

/// Requests a second, each answered with 200.
fn requests(script: &Path, port: u16, token: &str) -> anyhow::Result<f64> {
    let output = Command::new("wrk")
        .args([
            "--threads",
            "1",
            "--connections",
            CONNECTIONS,
            "--duration",
            &counted(SECONDS).to_string(),
        ])
        .arg("--script")
        .arg(script)
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .arg(format!("http://127.0.0.1:{port}/"))
        .stdin(Stdio::null())
        .output()
        .context("cannot run wrk\nhint: install the package of that name")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let clean = !said.contains("Non-2xx") && !said.contains("Socket errors");
    ensure!(output.status.success() && clean, "not every request was answered: {said}");
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.context("wrk tells no rate")?.trim().parse()?)
}

/// nginx with the files of a data directory, a process for each core; it ends with this value.
struct Static {
    own: PathBuf,
    child: Child,
    port: u16,
}

impl Drop for Static {
    fn drop(&mut self) {
        // By its own command, since it has further processes.
        let stopped = nginx(&self.own).args(["-s", "stop"]).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn nginx(own: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(own).arg("-c").arg(own.join("nginx.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Static {
    fn start(dir: &Path, data: &Path) -> anyhow::Result<Self> {
        let port = free_port()?;
        let own = dir.join("nginx");
        fs::create_dir_all(&own)?;
        let (own_text, data) = (own.display(), data.display());
        // The user counts for a superuser alone, whose files nobody else could read.
        let config = format!(
            "daemon off;\nuser root;\nworker_processes auto;\npid {own_text}/pid;\nerror_log {own_text}/error.log;\n\
             events {{ worker_connections 1024; }}\nhttp {{\n access_log off;\n sendfile on;\n \
             tcp_nopush on;\n keepalive_requests 100000000;\n client_body_temp_path {own_text}/body;\n \
             proxy_temp_path {own_text}/proxy;\n fastcgi_temp_path {own_text}/fastcgi;\n \
             uwsgi_temp_path {own_text}/uwsgi;\n scgi_temp_path {own_text}/scgi;\n \
             default_type application/octet-stream;\n server {{\n  listen 127.0.0.1:{port};\n  \
             location /v1/logs/ {{ alias {data}/logs/; }}\n }}\n}}\n"
        );
        fs::write(own.join("nginx.conf"), config)?;
        let hint = "cannot run nginx\nhint: install the package nginx-light";
        let child = nginx(&own).spawn().context(hint)?;
        let server = Self { own: own.clone(), child, port };
        process::wait("nginx to listen", Duration::from_secs(10), || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
        })?;
        Ok(server)
    }
}
