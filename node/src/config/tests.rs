use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/sealwire/sealwire.toml")).map_err(|e| e.to_string())
}

#[test]
fn the_example_in_deploy_is_read() {
    parse(include_str!("../../../deploy/sealwire.example.toml")).unwrap();
}

#[test]
fn the_sample_is_read_with_its_paths_beside_it() {
    let member = "ID-RCL".parse().unwrap();
    let listen = ["/ip4/0.0.0.0/udp/4001/quic-v1".to_owned()];
    let text = sample(&Sample {
        member: &member,
        http_listen: "127.0.0.1:9000".parse().unwrap(),
        p2p_listen: &listen,
        token: None,
    });
    let config = parse(&text).unwrap();
    assert_eq!(config.member, member);
    assert_eq!(config.register, Path::new("/etc/sealwire/register.json"));
    assert_eq!(config.data_dir, Path::new("/etc/sealwire/data"));
    assert_eq!(config.keys_dir, Path::new("/etc/sealwire/keys"));
    assert_eq!(config.http.listen.port(), 9000);
    assert_eq!(config.p2p_listen, listen);
    assert_eq!(config.client.url, "http://127.0.0.1:9000");
    assert_eq!(config.client.token_file, Path::new("/etc/sealwire/operator.token"));
    assert_eq!(config.register_digest, None);
    let commented_out_settings_are_right_too =
        text.replace("# [http.tls]", "[http.tls]").replace("# certificate =", "certificate =");
    let all = commented_out_settings_are_right_too
        .replace("# key =", "key =")
        .replace("# url =", "url =")
        .replace("# ca-certificate", "ca-certificate")
        .replace("# [codes]", "[codes]")
        .replace("# un-locode", "un-locode");
    assert_eq!(config.locodes, None);
    let config = parse(&all).unwrap();
    assert_eq!(config.locodes.unwrap(), Path::new("/etc/sealwire/un-locode.txt"));
    assert_eq!(config.http.tls.unwrap().key, Path::new("/etc/sealwire/tls/key.pem"));
    assert_eq!(config.client.ca_certificate.unwrap(), Path::new("/etc/sealwire/tls/ca.pem"));
}

#[test]
fn key_life_is_bounded_and_a_credential_is_one_file_name() {
    let keys = |text: &str| parse(&format!("member = \"ID\"\n[keys]\n{text}"));
    let life =
        keys("credential = \"sealwire-passphrase\"\nepoch-days = 7\ngrace-days = 0").unwrap();
    assert_eq!(life.keys.credential.as_deref(), Some("sealwire-passphrase"));
    let days = |time: Duration| time.as_secs() / 86_400;
    assert_eq!((days(life.keys.epoch), days(life.keys.grace)), (7, 0));
    let life = keys("").unwrap().keys;
    assert_eq!((days(life.epoch), days(life.grace), life.credential), (31, 14, None));
    for bad in [
        "credential = \"../x\"",
        "credential = \"/etc/passwd\"",
        "credential = \"\"",
        "credential = \"a/\"",
        "epoch-days = 0",
        "epoch-days = 32",
        "grace-days = 93",
    ] {
        assert!(keys(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_member_alone_is_enough_and_keys_stand_beside_the_data() {
    let config = parse("member = \"SG\"\n[data]\ndir = \"/srv/sealwire/data\"").unwrap();
    assert_eq!(config.keys_dir, Path::new("/srv/sealwire/keys"));
    assert_eq!(config.http.listen.to_string(), DEFAULT_HTTP_LISTEN);
    assert!(config.http.tls.is_none());
}

#[test]
fn all_errors_are_reported_at_once_with_line_and_remedy() {
    let text = r#"member = "Indonesia"
regsiter = "register.json"
register-digest = "fa9e"
[http]
listen = "0.0.0.0:8443"
[p2p]
listen = ["/ip4/0.0.0.0/tcp/4001", "0.0.0.0:4001"]
[log]
format = "xml"
filter = 3
[client]
url = "ftp://node"
[metrics]
on = true
"#;
    let expected = r#"/etc/sealwire/sealwire.toml:1: cannot accept member "Indonesia": it is no member id
  hint: this administration's id in the register, such as "ID" or "ID-RCL"
/etc/sealwire/sealwire.toml:2: cannot accept regsiter: there is no such setting
  hint: the settings are member, register and register-digest; the sections [data], [keys], [keys.pkcs11], [http], [http.tls], [p2p], [codes], [reads], [traffic], [log] and [client]
/etc/sealwire/sealwire.toml:3: cannot accept register-digest "fa9e": it is no SHA-256 digest
  hint: 64 hexadecimal digits, as `sealwire register show` prints them
/etc/sealwire/sealwire.toml:5: cannot accept http.listen "0.0.0.0:8443": outside loopback and without TLS
  hint: give [http.tls] certificate and key, or listen on 127.0.0.1
/etc/sealwire/sealwire.toml:7: cannot accept p2p.listen "0.0.0.0:4001": it is no multiaddress
  hint: multiaddresses such as "/ip4/0.0.0.0/tcp/4001" or "/ip4/0.0.0.0/udp/4001/quic-v1"
/etc/sealwire/sealwire.toml:9: cannot accept log.format "xml": it is no such format
  hint: "text" or "json"
/etc/sealwire/sealwire.toml:10: cannot accept log.filter: integer in the place of a text
  hint: write it in double quotes
/etc/sealwire/sealwire.toml:12: cannot accept client.url "ftp://node": it is no http address
  hint: such as "http://127.0.0.1:8443"
/etc/sealwire/sealwire.toml:13: cannot accept metrics: there is no such setting
  hint: the settings are member, register and register-digest; the sections [data], [keys], [keys.pkcs11], [http], [http.tls], [p2p], [codes], [reads], [traffic], [log] and [client]"#;
    assert_eq!(parse(text).unwrap_err(), expected);
}

#[test]
fn a_fingerprint_is_pinned_as_it_is_printed_or_as_digits() {
    let digits = "ab12".repeat(16);
    let groups = vec!["ab12"; 16].join(" ");
    for text in [&digits, &groups] {
        let config = parse(&format!("member = \"ID\"\nregister-digest = \"{text}\"")).unwrap();
        assert_eq!(config.register_digest.unwrap().to_string(), digits);
    }
}

#[test]
fn a_syntax_error_has_its_line() {
    let refused = parse("member = \"ID\"\nregister = oops\n").unwrap_err();
    assert!(refused.starts_with("/etc/sealwire/sealwire.toml:2: cannot read TOML: "), "{refused}");
    let twice = parse("member = \"ID\"\nmember = \"SG\"\n").unwrap_err();
    assert!(twice.contains(":2: cannot read TOML: duplicate key"), "{twice}");
}

#[test]
fn tls_needs_both_files_and_opens_other_addresses() {
    let text = "member = \"ID\"\n[http]\nlisten = \"[::]:443\"\n[http.tls]\nkey = \"k.pem\"\n";
    let refused = parse(text).unwrap_err();
    assert!(refused.contains("find http.tls.certificate: it is missing"), "{refused}");
    let config = parse(&format!("{text}certificate = \"c.pem\"\n")).unwrap();
    assert_eq!(config.client.url, "https://[::]:443");
    assert!(parse("member = \"ID\"\n[http]\nlisten = \"[::ffff:127.0.0.1]:80\"").is_ok());
}

#[test]
fn a_node_is_told_all_files_that_are_missing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(CONFIG_FILE);
    std::fs::write(&file, "member = \"ID\"\n[data]\ndir = \"d\"\n").unwrap();
    let refused = Config::load_for_run(&file).unwrap_err().to_string();
    for part in [":1: cannot use keys.dir", ":1: cannot use register", ":3: cannot use data.dir"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::create_dir(dir.path().join("keys")).unwrap();
    std::fs::write(dir.path().join("register.json"), "{}").unwrap();
    assert!(Config::load_for_run(&file).is_ok());
    let missing = Config::load(&dir.path().join("none.toml")).unwrap_err().to_string();
    assert!(missing.contains("sealwire init"), "{missing}");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn arbitrary_settings_never_panic(
        section in "(member|register|data|http|http.tls|p2p|log|client)",
        key in "(member|dir|listen|tls|filter|format|url|token-file)",
        value in "(1|true|\"\"|\"x\"|\\[\\]|\\[1\\]|\\{\\}|1979-05-27)",
    ) {
        let _ = parse(&format!("member = \"ID\"\n[{section}]\n{key} = {value}\n"));
        let _ = parse(&format!("{section} = {value}\n{key} = {value}\n"));
    }
}

#[test]
fn a_token_is_named_once_with_labels_of_its_own_and_never_with_its_pin() {
    let token = |text: &str| parse(&format!("member = \"ID\"\n[keys.pkcs11]\n{text}"));
    let good = "module = \"p11.so\"\ntoken = \"customs\"\nsign = \"a\"\nlog = \"b\"\npin-credential = \"pin\"";
    let keys = token(good).unwrap().keys.token.unwrap();
    assert_eq!(keys.module, Path::new("/etc/sealwire/p11.so"));
    assert_eq!(keys.token, TokenName::Label("customs".to_owned()));
    assert_eq!(
        keys.labels.into_iter().collect::<Vec<_>>(),
        [("log", "b".into()), ("sign", "a".into())]
    );
    let serial =
        token("module = \"p\"\nserial = \"00ff\"\ncosign = \"c\"").unwrap().keys.token.unwrap();
    assert_eq!(serial.token, TokenName::Serial("00ff".to_owned()));
    assert_eq!(parse("member = \"ID\"").unwrap().keys.token, None);
    for (bad, said) in [
        ("token = \"t\"\nsign = \"a\"", "find keys.pkcs11.module"),
        ("module = \"p\"\nsign = \"a\"", "find one token"),
        ("module = \"p\"\ntoken = \"t\"\nserial = \"s\"\nsign = \"a\"", "find one token"),
        ("module = \"p\"\ntoken = \"t\"", "find the keys of keys.pkcs11"),
        ("module = \"p\"\ntoken = \"t\"\nsign = \"a\"\nlog = \"a\"", "two have one label"),
        ("module = \"p\"\ntoken = \"t\"\nsign = \" a\"", "keys.pkcs11.sign"),
        ("module = \"p\"\ntoken = \"\"\nsign = \"a\"", "keys.pkcs11.token"),
        (
            "module = \"p\"\ntoken = \"t\"\nsign = \"a\"\npin = \"1234\"",
            "keys.pkcs11.pin: there is no such setting",
        ),
        ("module = \"p\"\ntoken = \"t\"\nsign = \"a\"\nnode = \"n\"", "there is no such setting"),
        (
            "module = \"p\"\ntoken = \"t\"\nsign = \"a\"\npin-credential = \"../p\"",
            "pin-credential",
        ),
    ] {
        let problem = token(bad).unwrap_err().to_string();
        assert!(problem.contains(said), "{bad}: {problem}");
        assert!(!problem.contains("1234"), "{problem}");
    }
}

#[test]
fn a_publishing_tick_is_bounded() {
    let traffic = |text: &str| parse(&format!("member = \"ID\"\n[traffic]\n{text}"));
    let good = traffic("tick = \"10s\"\nentries = 8").unwrap().traffic.unwrap();
    assert_eq!((good.tick.as_secs(), good.entries), (10, 8));
    assert_eq!(traffic("tick = \"1s\"").unwrap().traffic.unwrap().entries, 4);
    assert_eq!(traffic("").unwrap().traffic, None);
    assert_eq!(parse("member = \"ID\"").unwrap().traffic, None);
    for bad in [
        "tick = \"0s\"",
        "tick = \"31s\"",
        "tick = \"10\"",
        "tick = 10",
        "tick = \"-1s\"",
        "entries = 4",
        "tick = \"10s\"\nentries = 1",
        "tick = \"10s\"\nentries = 257",
    ] {
        assert!(traffic(bad).unwrap_err().contains("traffic"), "{bad}");
    }
}
