//! What the file may say, what is refused, and what is warned about.

use secrecy::ExposeSecret as _;

use super::delivery::schedule_step;
use super::section::span;
use super::*;

const SHOWN: &str = include_str!("../../docs/config.toml");

fn outside() -> Outside {
    Outside {
        variable: Box::new(|name| {
            // Shells and secret managers often leave a line break.
            name.starts_with("MIDTRANS_SERVER_KEY").then(|| "key-from-env\n".to_owned())
        }),
        file: Box::new(|path| match path {
            "/run/secrets/shared" => Ok("secret-from-file\n".to_owned()),
            "/run/secrets/store" => Ok("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n".to_owned()),
            "/run/secrets/page" => Ok("page-key-from-file\n".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }),
        open_to_all: Box::new(|path| path.ends_with("open")),
    }
}

fn problems(text: &str) -> Vec<String> {
    let problems = parse(text, &outside()).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_shown_config_is_the_default() {
    let shown = parse(SHOWN, &outside()).unwrap().0;
    let default = Config::default();
    assert_eq!(shown.listen, default.listen);
    assert_eq!(shown.base_url, default.base_url);
    assert_eq!(shown.store.name(), default.store.name());
    assert_eq!(shown.connections, default.connections);
    assert_eq!(shown.limits, default.limits);
    assert_eq!(shown.delivery, default.delivery);
    assert_eq!(shown.instance, default.instance);
    assert_eq!(shown.directory, default.directory);
    assert!(shown.clients.is_empty() && shown.contracts.is_empty() && shown.accounts.is_empty());
    assert_eq!(shown.otlp, default.otlp);
}

#[test]
fn the_shown_examples_are_valid() {
    let text: String = SHOWN
        .lines()
        .map(|line| line.strip_prefix("#~ ").unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let config = parse(&text, &outside()).unwrap().0;
    assert_eq!(config.clients.len(), 1);
    assert_eq!(config.contracts.len(), 1);
    let [account] = config.settlement.accounts.as_slice() else { panic!("one account") };
    assert_eq!(account.account.to_string(), "1-999");
    assert_eq!(config.settlement.midtrans_fees.len(), 2);
    assert_eq!(config.keys.ids().collect::<Vec<_>>(), ["2026-11"]);
    let sections: Vec<_> = config.accounts.iter().map(|account| account.section()).collect();
    assert_eq!(sections, ["midtrans.test", "midtrans.warung"]);
    assert_eq!(config.accounts[0].server_keys[0].expose_secret(), "key-from-env");
    assert_eq!(config.otlp.as_deref(), Some("http://127.0.0.1:4318"));
    assert_eq!(config.clients[0].shared_secrets[0].expose_secret(), "secret-from-file");
}

#[test]
fn a_collector_is_an_address_without_a_path_of_its_own() {
    let warned = "telemetry.otlp: http on a public host";
    for (url, said) in [
        ("http://127.0.0.1:4318", None),
        ("http://collector:4318/", None),
        ("https://otlp.example/tenant", None),
        ("http://otlp.example:4318", Some(warned)),
        ("127.0.0.1:4318", Some("telemetry.otlp: not a URL")),
        ("http://127.0.0.1:4318/v1/traces", Some("telemetry.otlp: ends with the path")),
        ("http://127.0.0.1:4318/?key=1", Some("telemetry.otlp: has a query")),
    ] {
        let told = match parse(&format!("[telemetry]\notlp = \"{url}\""), &outside()) {
            Ok((config, _)) => config.warnings.iter().map(ToString::to_string).collect(),
            Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        };
        let about: Vec<&String> = told.iter().filter(|line| line.contains("otlp")).collect();
        assert_eq!(about.len(), usize::from(said.is_some()), "{url}: {told:?}");
        assert!(said.is_none_or(|said| about[0].contains(said)), "{url}: {told:?}");
    }
}

#[test]
fn every_problem_is_reported_with_its_key() {
    let got = problems(
        r#"
        speed = 9
        [listen]
        psp = "here"
        pps = "127.0.0.1:1"
        [public]
        base_url = "https://pay.example/"
        [store]
        url = "postgres://localhost"
        [limits]
        session = "2h"
        refund_window = "soon"
        concurrent_calls = 0
        [midtrans.test]
        base_url = "ftp://x"
        server_key = "env:NOT_SET"
        [delivery]
        schedule = ["often"]
        allow_private = ["ten"]
        [[client]]
        login = "a"
        password_hash = "plain"
        shared_secret = "file:/nowhere"
        [[contract]]
        id = "C 1"
        client = "b"
        channels = ["testchannel", "livechannel"]
        kyc = "perhaps"
        "#,
    );
    let keys: Vec<&str> = got.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(
        keys,
        [
            "listen.psp",
            "listen.pps",
            "public.base_url",
            "store.url",
            "limits.session",
            "limits.refund_window",
            "limits.concurrent_calls",
            "midtrans.test.base_url",
            "midtrans.test.server_key",
            "delivery.schedule",
            "delivery.allow_private",
            "client \"a\".password_hash",
            "client \"a\".shared_secret",
            "client \"a\".notification_secrets",
            "contract \"C 1\".id",
            "contract \"C 1\".client",
            "contract \"C 1\".channels",
            "contract \"C 1\".kyc",
            "speed",
        ]
    );
    assert!(got.iter().all(|problem| problem.contains("; valid: ")), "{got:#?}");
    assert_eq!(problems("[listen\n")[0].split(':').next(), Some("line 1"));
}

#[test]
fn the_store_is_a_file_or_a_database() {
    for (url, name) in [
        ("sqlite:a/b.db", Ok("a/b.db")),
        ("postgres://u:p@db/pay", Ok("postgres database pay at db")),
        ("postgresql://u@/pay?host=/run/pg", Ok("postgres database pay at /run/pg")),
        ("env:STORE_URL", Ok("postgres database pay at there")),
        ("sqlite:", Err("no path")),
        ("sqlite::memory:", Err("a store is a file")),
        ("sqlite:file:a.db", Err("a store is a file")),
        ("sqlite:a.db?mode=ro", Err("without ?")),
        ("mysql://db/pay", Err("not a store")),
        ("env:NOT_SET", Err("the variable NOT_SET is not set")),
        ("postgres://u:hidden@db/pay?sslmode=perhaps", Err("sslmode")),
    ] {
        let outside = Outside {
            variable: Box::new(|name| {
                (name == "STORE_URL").then(|| "postgres://u:p@there/pay".to_owned())
            }),
            ..outside()
        };
        let parsed = parse(&format!("[store]\nurl = \"{url}\""), &outside);
        match (parsed, name) {
            (Ok((config, _)), Ok(name)) => assert_eq!(config.store.name(), name),
            (Err(problems), Err(wrong)) => {
                let text = problems[0].to_string();
                assert!(text.starts_with("store.url: ") && text.contains(wrong), "{text}");
                assert!(!text.contains("hidden"), "{text}");
            }
            (parsed, name) => panic!("{url}: {parsed:?} instead of {name:?}"),
        }
    }
}

#[test]
fn durations_and_schedules_read() {
    for (text, expected) in [
        ("1h", Some(3_600_000)),
        ("15m", Some(900_000)),
        ("250ms", Some(250)),
        ("30d", Some(2_592_000_000)),
        ("1.5h", None),
        ("h", None),
        ("15", None),
        ("99999999999999999999h", None),
    ] {
        assert_eq!(span(text).map(|span| span.as_millis()), expected, "{text}");
    }
    assert_eq!(schedule_step("192 x 15m").unwrap().len(), 192);
    assert_eq!(schedule_step("1001 x 15m"), None);
}

/// A config that is good in every way.
const GOOD: &str = r#"
    [public]
    base_url = "https://pay.example"
    [midtrans.test]
    base_url = "https://api.sandbox.midtrans.com"
    server_key = "SB-Mid-server-EXAMPLE-1"
    [midtrans.live]
    base_url = "https://api.midtrans.com"
    server_key = "Mid-server-EXAMPLE-2"
    [[client]]
    login = "one"
    password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94"
    shared_secret = "shared-secret-of-one"
    notification_secrets = ["notification-secret-of-one"]
    [[contract]]
    id = "C-ONE"
    client = "one"
    channels = ["testchannel", "livechannel"]
    notification_url = "https://psp.example/notify"
    [[store.encryption]]
    id = "2026"
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"#;

/// Problems and warnings of the good config with a change in it.
fn changed(from: &str, to: &str) -> (Vec<String>, Vec<String>) {
    assert!(GOOD.contains(from), "{from}");
    match parse(&GOOD.replacen(from, to, 1), &outside()) {
        Ok((config, _)) => (Vec::new(), config.warnings.iter().map(ToString::to_string).collect()),
        Err(problems) => (problems.iter().map(ToString::to_string).collect(), Vec::new()),
    }
}

#[test]
fn a_good_config_gives_neither_problem_nor_warning() {
    assert_eq!(changed("C-ONE", "C-ONE"), (Vec::new(), Vec::new()));
}

#[test]
fn what_cannot_work_or_would_lose_money_is_refused() {
    const TEST: &str = "https://api.sandbox.midtrans.com";
    const LIVE: &str = "https://api.midtrans.com";
    const KEY: &str = "SB-Mid-server-EXAMPLE-1";
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94";
    for (from, to, expected) in [
        (KEY, " SB-Mid-server-EXAMPLE", "midtrans.test.server_key: holds a blank"),
        (KEY, "SB-Mid-server- EXAMPLE", "midtrans.test.server_key: holds a blank"),
        (KEY, "SB-Mid-client-EXAMPLE", "midtrans.test.server_key: a client key"),
        ("Mid-server-EXAMPLE-2", KEY, "midtrans.live.server_key: a key of the sandbox"),
        (TEST, "https://api.sandbox.midtrans.com/v2", "midtrans.test.base_url: names a path"),
        (TEST, "https://proxy.example/v2/charge", "midtrans.test.base_url: names a path"),
        (TEST, "https://app.sandbox.midtrans.com", "midtrans.test.base_url: not an address"),
        (TEST, LIVE, "midtrans.test.base_url: the production address"),
        (TEST, "https://api.midtrans.com.", "midtrans.test.base_url: the production address"),
        (TEST, "https://api.veritrans.co.id", "midtrans.test.base_url: the production address"),
        (TEST, "https://api.sandbox.midtrans.com/V2", "midtrans.test.base_url: names a path"),
        (TEST, "http://api.sandbox.midtrans.com", "midtrans.test.base_url: http"),
        (LIVE, TEST, "midtrans.live.base_url: the sandbox's address"),
        (LIVE, "http://api.midtrans.com", "midtrans.live.base_url: http"),
        (LIVE, "http://10.0.0.1", "midtrans.live.base_url: http"),
        ("https://pay.example", "http://pay.example", "public.base_url: http on a public host"),
        (HASH, "$2b$12$K3JNi5xUQEppzEYqEXAMPLE", "client \"one\".password_hash: not a hash"),
        (
            HASH,
            "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94",
            "client \"one\".password_hash: not a hash of Argon2id",
        ),
        (
            HASH,
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA",
            "client \"one\".password_hash: not a hash",
        ),
        ("shared-secret-of-one", "x", "client \"one\".shared_secret: a secret that can"),
        ("notification-secret-of-one", "x", "client \"one\".notification_secrets: a secret that"),
        (
            "https://psp.example/notify",
            "http://192.168.1.2/notify",
            "contract \"C-ONE\".notification_url: a private address",
        ),
        (
            "[public]",
            "[listen]\nadmin = \"0.0.0.0:9090\"\npublic = \"0.0.0.0:9090\"\n[public]",
            "listen.admin: the address of public",
        ),
        (
            "[public]",
            "[listen]\nadmin = \"0.0.0.0:8081\"\n[public]",
            "listen.admin: off the loopback address, and nobody is asked",
        ),
        (
            "https://psp.example/notify",
            "http://psp.example/notify",
            "contract \"C-ONE\".notification_url: http, on the live channel",
        ),
        (
            "https://psp.example/notify",
            "https://psp.example:8443/notify",
            "contract \"C-ONE\".notification_url: a port that is never called",
        ),
        ("[public]", "[delivery]\nallow_ports = [0]\n[public]", "delivery.allow_ports: not ports"),
        (
            "[public]",
            "[listen.psp_tls]\ncertificates = \"a\"\n[public]",
            "listen.psp_tls.key: missing",
        ),
        (
            "[public]",
            "[listen.public_tls]\ncertificates = \"a\"\nkey = \"b\"\nmin_version = \"1.1\"\n[public]",
            "listen.public_tls.min_version: not a version",
        ),
        (
            "[public]",
            "[listen.public_tls]\ncertificates = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n[public]",
            "listen.public_tls.client_ca: unknown key",
        ),
        (
            "[public]",
            "[listen.psp_tls]\ncertificates = \"a\"\nkey = \"b\"\nclient_crl = \"c\"\n[public]",
            "listen.psp_tls.client_ca: missing",
        ),
        (
            "[public]",
            "[listen]\npublic = \"127.0.0.1:8080\"\n[listen.psp_tls]\ncertificates = \"a\"\nkey = \"b\"\n[public]",
            "listen.public_tls: not the TLS of psp",
        ),
        (
            "[public]",
            "[listen.psp_tls]\ncertificates = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n[public]",
            "client \"one\".certificates: none",
        ),
        (
            "notification_secrets = [",
            "certificates = [\"subject:CN=one\"]\n    notification_secrets = [",
            "client \"one\".certificates: certificates, and",
        ),
        (
            "notification_secrets = [",
            "certificates = [\"sha256:00\"]\n    notification_secrets = [",
            "client \"one\".certificates: \"sha256:00\" is no certificate",
        ),
        (
            "[public]",
            "[listen.proxy]\nfrom = [\"0.0.0.0/0\"]\nsource = \"x-real-ip\"\n[public]",
            "listen.proxy.from: 0.0.0.0/0 is everybody",
        ),
        (
            "[public]",
            "[listen.proxy]\nsource = \"x-real-ip\"\n[public]",
            "listen.proxy.from: names no networks",
        ),
        (
            "[public]",
            "[listen.proxy]\nfrom = [\"10.0.0.1\"]\nsource = \"a b\"\n[public]",
            "listen.proxy.source: not the name of a header",
        ),
        (
            "[public]",
            "[admin]\nhosts = [\"ops:80\"]\n[public]",
            "admin.hosts: \"ops:80\" is no host name",
        ),
        (
            "[public]",
            "[[admin.token]]\nname = \"sri\"\nhash = \"plain\"\nroles = [\"read\"]\n[public]",
            "admin.token \"sri\".hash: not a hash",
        ),
        (
            "[public]",
            concat!(
                "[[admin.token]]\nname = \"sri\"\nroles = [\"all\"]\nhash = \"",
                "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94",
                "\"\n[public]"
            ),
            "admin.token \"sri\".roles: not roles",
        ),
        (
            "\"shared-secret-of-one\"",
            "[\"shared-secret-of-one\", \"another-one-of-these\", \"and-one-more-secret\"]",
            "client \"one\".shared_secret: not one secret or two",
        ),
        (
            "[public]",
            "[delivery]\nschedule = [\"5 x 0s\"]\n[public]",
            "delivery.schedule: a wait below 1s",
        ),
        (
            "[public]",
            "[delivery]\nallow_private = [\"0.0.0.0/0\"]\n[public]",
            "delivery.allow_private: 0.0.0.0/0",
        ),
        (
            "[public]",
            "[delivery]\nallow_private = [\"::/0\"]\n[public]",
            "delivery.allow_private: ::/0",
        ),
        (
            "[public]",
            "[delivery]\nallow_private = [\"8.8.8.8/32\"]\n[public]",
            "delivery.allow_private: 8.8.8.8/32",
        ),
        (
            "[public]",
            "[delivery]\nallow_private = [\"172.16.0.0/11\"]\n[public]",
            "delivery.allow_private: 172.16.0.0/11",
        ),
        (
            "[public]",
            "[listen]\npsp = \"0.0.0.0:9090\"\nadmin = \"127.0.0.1:9090\"\n[public]",
            "listen.admin: 127.0.0.1:9090 and psp's 0.0.0.0:9090",
        ),
        (
            "[public]",
            "[limits]\nconcurrent_calls = 5\nconcurrent_calls_per_client = 6\n[public]",
            "limits.concurrent_calls_per_client: 6 is above",
        ),
        (
            "[public]",
            "[delivery]\nconcurrency = 5\nconcurrency_per_receiver = 6\n[public]",
            "delivery.concurrency_per_receiver: 6 is above",
        ),
    ] {
        let (problems, _) = changed(from, to);
        assert_eq!(problems.len(), 1, "{to}: {problems:#?}");
        assert!(problems[0].starts_with(expected), "{to}: {problems:#?}");
    }
}

#[test]
fn what_works_but_is_dangerous_is_warned_about() {
    const TEST: &str = "https://api.sandbox.midtrans.com";
    for (from, to, expected) in [
        ("SB-Mid-server-EXAMPLE-1", "Mid-server-EXAMPLE-1", "midtrans.test.server_key: looks like"),
        (TEST, "http://proxy.example", "midtrans.test.base_url: http"),
        (
            "https://api.midtrans.com",
            "http://127.0.0.1:8090",
            "midtrans.live.base_url: http to this",
        ),
        ("https://pay.example", "http://127.0.0.1:8080", "public.base_url: shoppers and Midtrans"),
        ("Mid-server-EXAMPLE-2", "shared-secret-of-one", "client \"one\".shared_secret: the same"),
        (
            "notification-secret-of-one",
            "shared-secret-of-one",
            "client \"one\".notification_secrets: the same",
        ),
        ("shared-secret-of-one", "short-one", "client \"one\".shared_secret: a secret of 9"),
        (
            "shared-secret-of-one",
            "shared-secret-of-one ",
            "client \"one\".shared_secret: a secret with a blank",
        ),
        ("\"shared-secret-of-one\"", "\"file:open\"", "client \"one\".shared_secret: every user"),
        (
            "[[store.encryption]]\n    id = \"2026\"\n    key = ",
            "# ",
            "store.encryption: personal data of the live channel is stored as plain text",
        ),
        ("m=19456,t=2", "m=4096,t=1", "client \"one\".password_hash: its cost is m=4096,t=1,p=1"),
        (
            "[public]",
            "[listen]\nadmin = \"127.0.0.1:8080\"\n[public]",
            "listen.admin: the address of psp",
        ),
        (
            "[public]",
            "[delivery]\nallow_http = true\n[public]",
            "delivery.allow_http: receivers of the live channel by http",
        ),
        ("[public]", "[listen]\npsp = \"0.0.0.0:80\"\n[public]", "listen.psp: beyond this machine"),
        (
            "[public]",
            "[delivery]\nschedule = [\"1000 x 15m\"]\n[public]",
            "delivery.schedule: the last try comes after 10 days",
        ),
        ("[public]", "[delivery]\nschedule = []\n[public]", "delivery.schedule: no retry"),
        (
            "[public]",
            "[delivery]\nallow_private = [\"127.0.0.0/8\"]\n[public]",
            "delivery.allow_private: 127.0.0.0/8",
        ),
        (
            "[public]",
            "[delivery]\nallow_private = [\"169.254.0.0/16\"]\n[public]",
            "delivery.allow_private: 169.254.0.0/16",
        ),
    ] {
        let outside = Outside {
            file: Box::new(|_| Ok("secret-of-a-file-that-is-long".to_owned())),
            ..outside()
        };
        let parsed = parse(&GOOD.replacen(from, to, 1), &outside);
        let (config, _) = parsed.unwrap_or_else(|problems| panic!("{to}: {problems:#?}"));
        let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 1, "{to}: {warnings:#?}");
        assert!(warnings[0].starts_with(expected), "{to}: {warnings:#?}");
    }
    assert!(parse("", &outside()).unwrap().0.warnings[0].to_string().starts_with("client: none"));
}

#[test]
fn one_fault_is_told_once_and_by_name() {
    for (from, to, key) in [
        ("SB-Mid-server-EXAMPLE-1", "env:NOT_SET", "midtrans.test.server_key"),
        ("shared-secret-of-one", "env:NOT_SET", "client \"one\".shared_secret"),
        (
            "channels = [\"testchannel\", \"livechannel\"]",
            "channels = 5",
            "contract \"C-ONE\".channels",
        ),
        ("login = \"one\"", "login = \"other\"", "contract \"C-ONE\".client"),
    ] {
        let (problems, _) = changed(from, to);
        assert_eq!(problems.len(), 1, "{to}: {problems:#?}");
        assert!(problems[0].starts_with(&format!("{key}: ")), "{problems:#?}");
    }
    let twice = format!("{GOOD}\n[[client]]\nlogin = \"one\"\n[[contract]]\nclient = \"one\"");
    let keys = problems(&twice);
    for key in ["client \"one\".login: used twice", "contract #2.id: missing"] {
        assert!(keys.iter().any(|problem| problem.starts_with(key)), "{key} in {keys:#?}");
    }
}

/// The good config with two further accounts of the live channel.
fn with_accounts() -> String {
    let account = |name: &str| {
        format!(
            "[midtrans.{name}]\nchannel = \"livechannel\"\nbase_url = \"https://api.midtrans.com\"\n\
             server_key = \"Mid-server-EXAMPLE-{name}\"\n"
        )
    };
    format!("{}{}{GOOD}", account("warung"), account("toko"))
}

#[test]
fn a_contract_names_its_account_or_takes_that_of_its_channel() {
    use gopay_core::payment::Channel::{Live, Test};
    for (line, live, test) in [
        ("", None, None),
        ("midtrans = \"warung\"", Some("warung"), None),
        ("midtrans = [\"toko\"]", Some("toko"), None),
        ("midtrans = [\"test\", \"toko\"]", Some("toko"), None),
        ("midtrans = \"live\"", None, None),
    ] {
        let to = format!("id = \"C-ONE\"\n{line}\n");
        let text = with_accounts().replacen("id = \"C-ONE\"", &to, 1);
        let (config, _) = parse(&text, &outside()).unwrap_or_else(|no| panic!("{line}: {no:#?}"));
        assert!(config.warnings.is_empty(), "{line}: {:#?}", config.warnings);
        let named = |channel| {
            config.contracts[0].account(channel).map(gopay_core::account::AccountName::as_str)
        };
        assert_eq!((named(Live), named(Test)), (live, test), "{line}");
    }
}

#[test]
fn accounts_that_would_mix_up_money_are_refused_with_their_key() {
    let own = "id = \"C-ONE\"";
    let both = "channels = [\"testchannel\", \"livechannel\"]";
    let live = "[midtrans.live]\n    base_url = \"https://api.midtrans.com\"\n    server_key = \"Mid-server-EXAMPLE-2\"";
    let test = "[midtrans.test]\n    base_url = \"https://api.sandbox.midtrans.com\"\n    server_key = \"SB-Mid-server-EXAMPLE-1\"";
    let named = "[midtrans.warung]\nchannel = \"livechannel\"";
    let contract = "contract \"C-ONE\".midtrans";
    for (changes, expected) in [
        (
            &[(own, "id = \"C-ONE\"\nmidtrans = \"nobody\"")][..],
            format!("{contract}: there is no account"),
        ),
        (&[(own, "id = \"C-ONE\"\nmidtrans = 7")], format!("{contract}: not text")),
        (
            &[(own, "id = \"C-ONE\"\nmidtrans = [\"warung\", \"toko\"]")],
            format!("{contract}: two accounts of livechannel"),
        ),
        (
            &[
                (own, "id = \"C-ONE\"\nmidtrans = \"warung\""),
                (both, "channels = [\"testchannel\"]"),
            ],
            format!("{contract}: warung is an account of livechannel"),
        ),
        (&[(live, "")], "contract \"C-ONE\".channels: livechannel has no Midtrans account".into()),
        (&[(named, "[midtrans.warung]")], "midtrans.warung.channel: missing".into()),
        (
            &[(named, "[midtrans.warung]\nchannel = \"production\"")],
            "midtrans.warung.channel: not a channel".into(),
        ),
        (
            &[("[midtrans.test]", "[midtrans.test]\nchannel = \"livechannel\"")],
            "midtrans.test.channel: another one than that of".into(),
        ),
        (
            &[("[midtrans.warung]", "[midtrans.\"../warung\"]")],
            "midtrans.../warung.name: \"../warung\" is no name of an account".into(),
        ),
        (
            &[("Mid-server-EXAMPLE-warung", "SB-Mid-server-EXAMPLE-1")],
            "midtrans.warung.server_key: a key of the sandbox".into(),
        ),
        (
            &[("SB-Mid-server-EXAMPLE-1", "Mid-server-EXAMPLE-toko")],
            "midtrans.toko.server_key: that of midtrans.test, which is of the other channel".into(),
        ),
        (
            &[
                (test, ""),
                (live, ""),
                (both, "channels = [\"livechannel\"]\n    midtrans = \"warung\""),
            ],
            "public.page_key: missing, and no [midtrans.test]".into(),
        ),
    ] {
        let mut text = with_accounts();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let problems = problems(&text);
        assert_eq!(problems.len(), 1, "{expected}: {problems:#?}");
        assert!(problems[0].starts_with(&expected), "{expected}: {problems:#?}");
    }
    let twins = with_accounts().replacen("EXAMPLE-warung", "EXAMPLE-toko", 1);
    let (config, _) = parse(&twins, &outside()).unwrap();
    let [warning] = config.warnings.as_slice() else { panic!("{:#?}", config.warnings) };
    assert!(warning.to_string().contains("the same secret as midtrans.toko"), "{warning}");
}

#[test]
fn a_share_that_is_not_written_is_lowered_to_its_total() {
    let (config, _) = parse("[limits]\nconcurrent_calls = 5", &outside()).unwrap();
    assert_eq!(config.limits.concurrent_calls_per_client, 5);
}

/// A config with these terms of two contracts of one client number.
fn with_terms(first: &str, second: &str) -> String {
    let contract = |id: &str, terms: &str| {
        format!(
            r#"
            [[contract]]
            id = "{id}"
            client = "a"
            [contract.settlement]
            client_number = 7
            {terms}
            "#
        )
    };
    format!(
        r#"
        [midtrans.test]
        base_url = "https://api.sandbox.midtrans.com"
        server_key = "k"
        [[client]]
        login = "a"
        password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94"
        shared_secret = "shared-secret-of-the-test"
        notification_secrets = ["notification-secret-of-the-test"]
        {}{}
        "#,
        contract("A", first),
        contract("B", second)
    )
}

fn form(delimiter: &str, decimal_mark: &str) -> String {
    format!("delimiter = \"{delimiter}\"\ndecimal_mark = \"{decimal_mark}\"\n")
}

fn from(day: &str, more: &str) -> String {
    let plain = "currency = \"USD\"\nfrequency = \"D\"\n";
    let plain = if more.contains("currency") { "" } else { plain };
    format!("[[contract.settlement.terms]]\nvalid_from = \"{day}\"\n{plain}{more}\n")
}

#[test]
fn terms_that_cannot_be_settled_by_are_refused_with_their_key() {
    let good = from("2026-01-01", "");
    let june = |more: &str| format!("{good}{}", from("2026-06-03", more));
    let weekly = "currency = \"USD\"\nfrequency = \"W\"";
    let euro = "currency = \"EUR\"\nfrequency = \"D\"";
    let terms = |contract: &str, day: &str, key: &str| {
        format!("contract \"{contract}\".settlement.terms \"{day}\".{key}: ")
    };
    for (first, second, wanted) in [
        (good.clone(), good.clone(), None),
        (june(""), good.clone(), None),
        (good.clone(), String::new(), Some("contract \"B\".settlement.terms: missing".to_owned())),
        (june(""), june(euro), Some(terms("B", "2026-06-03", "currency"))),
        (june(weekly), june(weekly), Some(terms("A", "2026-06-03", "frequency"))),
        (format!("{good}{good}"), good.clone(), Some(terms("A", "2026-01-01", "valid_from"))),
        (
            format!(
                "{}{}",
                from("2026-01-01", "valid_until = \"2026-06-02\""),
                from("2026-06-03", "")
            ),
            good.clone(),
            Some(terms("A", "2026-01-01", "valid_until")),
        ),
        (from("2026-01-32", ""), good.clone(), Some(terms("A", "2026-01-32", "valid_from"))),
        (form(";", ",") + &good, form(";", ",") + &good, None),
        (
            form(";", ",") + &good,
            good.clone(),
            Some("contract \"B\".settlement.delimiter: another form".to_owned()),
        ),
        (
            form("|", ",") + &good,
            good.clone(),
            Some("contract \"A\".settlement.delimiter: \"|\"".to_owned()),
        ),
        (
            form(",", ",") + &good,
            good.clone(),
            Some("contract \"A\".settlement.decimal_mark: the same".to_owned()),
        ),
        (
            from("2026-01-01", "wire_fee = \"1.505\""),
            good.clone(),
            Some(terms("A", "2026-01-01", "wire_fee")),
        ),
        (
            from("2026-01-01", "wire_fee = \"-1\""),
            good.clone(),
            Some(terms("A", "2026-01-01", "wire_fee")),
        ),
        (
            from("2026-01-01", "reserve_basis_points = 10001"),
            good.clone(),
            Some(terms("A", "2026-01-01", "reserve_basis_points")),
        ),
        (from("2026-01-01", "speed = 1"), good.clone(), Some(terms("A", "2026-01-01", "speed"))),
        (
            from("2026-01-01", "[contract.settlement.terms.payment]\nacquiring_due = \"later\""),
            good.clone(),
            Some(terms("A", "2026-01-01", "payment.acquiring_due")),
        ),
    ] {
        let found = problems(&with_terms(&first, &second));
        match &wanted {
            None => assert_eq!(found, [""; 0]),
            Some(wanted) => {
                assert!(found.iter().any(|one| one.starts_with(wanted)), "{wanted} in {found:#?}");
            }
        }
    }
}

#[test]
fn keys_of_the_store_are_32_bytes_with_an_id_each() {
    const GOOD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let key = |id: &str, key: &str| format!("[[store.encryption]]\nid = {id:?}\nkey = {key:?}\n");
    let long = "a".repeat(65);
    let no_key = r#"store.encryption "one".key: no key"#;
    for (text, wrong) in [
        (key("one", GOOD), ""),
        (key("2026-11_a.b", GOOD) + &key("one", OTHER), ""),
        (key("one", "secret"), no_key),
        (key("one", &GOOD[4..]), no_key),
        (key("one", &format!("AAAA{GOOD}")), no_key),
        (
            key("one", "env:NOT_SET"),
            r#"store.encryption "one".key: the variable NOT_SET is not set"#,
        ),
        (key("one two", GOOD), r#"store.encryption "one two".id: "one two" is no id"#),
        (key(&long, GOOD), "is no id of a key"),
        (key("one", GOOD) + &key("one", OTHER), r#"store.encryption "one".id: used twice"#),
        (key("one", GOOD) + &key("two", GOOD), "store.encryption: two ids have the same key"),
        ("[[store.encryption]]\nid = \"one\"".to_owned(), r#"store.encryption "one".key: missing"#),
    ] {
        let got = problems(&text).join("\n");
        assert_eq!(got.is_empty(), wrong.is_empty(), "{text}: {got}");
        assert!(got.contains(wrong), "{text}: {got}");
        assert!(!got.contains("secret\n") && !got.contains(GOOD), "{got}");
    }
}

#[test]
fn retention_is_never_shorter_than_refunds_and_late_money() {
    let with = |keys: &str| format!("[limits]\nrefund_window = \"20d\"\n[retention]\n{keys}");
    for (keys, problem) in [
        ("keep = \"22d\"\nfolder = \"a\"", "retention.keep: 22d is out of range"),
        ("keep = \"long\"\nfolder = \"a\"", "retention.keep: \"long\" is not a duration"),
        ("folder = \"a\"", "retention.keep: missing"),
        ("keep = \"400d\"", "retention.folder: missing"),
        ("keep = \"400d\"\nfolder = 7", "retention.folder: not text"),
    ] {
        let got = problems(&with(keys));
        assert_eq!(got.len(), 1, "{got:#?}");
        assert!(got[0].starts_with(problem), "{got:#?}");
    }
    let (config, _) = parse(&with("keep = \"23d\"\nfolder = \"a\""), &outside()).unwrap();
    let kept = config.retention.map(|kept| (kept.keep, kept.folder));
    assert_eq!(kept, Some((Duration::from_secs(23 * 24 * 3600), "a".into())));
    assert_eq!(parse("", &outside()).unwrap().0.retention, None);
}
