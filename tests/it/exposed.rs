//! What an adapter that strangers reach tells them, and how its operators run it: certificates,
//! reloads, tokens, quotas.

use std::process::Command;
use std::time::Instant;

use gopay_core::ppro::hash::{Page, page_code};
use gopay_testkit::authority::{Authority, Valid};
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::served::{Served, hash_password};
use crate::support::wire::{SERVER_KEY, signature};
use crate::support::{Answer, body_as, decode, encode};
use gopay_psp_client::Credentials;

const ALPHA: (&str, &str, &str) = ("alpha", "password-a", "A-1");
const BETA: (&str, &str, &str) = ("beta", "password-b", "B-1");

fn midtrans() -> String {
    format!("[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n")
}

/// A client with a contract; `rest` are further keys of the client.
fn party((login, password, contract): (&str, &str, &str), rest: &str) -> String {
    let hash = hash_password(password);
    party_with((login, contract), &format!("\"{hash}\""), rest)
}

fn party_with((login, contract): (&str, &str), hashes: &str, rest: &str) -> String {
    format!(
        "[[client]]\nlogin = \"{login}\"\npassword_hash = {hashes}\n\
         shared_secret = \"shared-secret-{login}\"\n\
         notification_secrets = [\"notification-secret-{login}\"]\n{rest}\n\
         [[contract]]\nid = \"{contract}\"\nclient = \"{login}\"\n\
         notification_url = \"https://psp.example/notify\"\n\
         redirect_url = \"https://shop.example/return\"\n"
    )
}

async fn status(served: &Served, who: (&str, &str, &str)) -> Answer {
    served.call_as(who, "GETTXSTATUS", &[("txid", "384435242867359744")]).await
}

fn let_in(answer: &Answer) -> bool {
    answer["REQUESTFAILREASON"] == "TX_NOT_FOUND"
}

#[tokio::test]
async fn a_psp_is_its_certificate_and_its_password_together() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let server = servers.server(&["127.0.0.1"]);
    let alpha = clients.client("alpha", 1, Valid::Now);
    let (beta, renewed) =
        (clients.client("beta", 2, Valid::Now), clients.client("beta", 3, Valid::Now));
    let fingerprint = hex::encode(Sha256::digest(&alpha.der));
    let tls = "[listen.psp_tls]\ncertificates = \"{folder}/server.pem\"\nkey = \"{folder}/server.key\"\n\
               client_ca = \"{folder}/clients.pem\"\nclient_crl = \"{folder}/revoked.pem\"\n";
    let config = [
        tls.to_owned(),
        midtrans(),
        party(ALPHA, &format!("certificates = [\"sha256:{fingerprint}\"]")),
        party(BETA, "certificates = [\"subject:CN=beta,O=PSP\"]"),
    ]
    .concat();
    let files = [
        ("server.pem", server.certificate.as_str()),
        ("server.key", &server.key),
        ("clients.pem", clients.certificate()),
        ("revoked.pem", &clients.revoking(&[13])),
    ];
    let served = Served::start_with(&config, &files).await;
    let root = reqwest::Certificate::from_pem(servers.certificate().as_bytes()).unwrap();
    let call = async |identity: Option<&gopay_testkit::authority::Signed>,
                      (login, password, contract)| {
        let builder = reqwest::Client::builder().tls_certs_only([root.clone()]);
        let builder = match identity {
            None => builder,
            Some(signed) => {
                let pem = [signed.certificate.as_str(), &signed.key].concat();
                builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap())
            }
        };
        let body =
            body_as(&Credentials::new(login, password, contract), "GETTXSTATUS", &[("txid", "1")]);
        let http = builder.build().unwrap();
        let answer = http.post(format!("{}/", served.adapter)).body(body).send().await.ok()?;
        Some(answer.text().await.unwrap())
    };
    let refused = call(Some(&alpha), ("alpha", "wrong", "A-1")).await.expect("an answer");
    for (what, identity, who, expected) in [
        ("the pair", Some(&alpha), ALPHA, "TX_NOT_FOUND"),
        ("by its subject", Some(&beta), BETA, "TX_NOT_FOUND"),
        ("by its subject, renewed", Some(&renewed), BETA, "TX_NOT_FOUND"),
        ("another's certificate", Some(&beta), ALPHA, "AUTH_ERROR"),
        ("another's password", Some(&beta), ("beta", "password-a", "B-1"), "AUTH_ERROR"),
        ("another's contract", Some(&alpha), ("alpha", "password-a", "B-1"), "AUTH_ERROR"),
        ("no such login", Some(&alpha), ("nobody", "password-a", "A-1"), "AUTH_ERROR"),
    ] {
        let answer = call(identity, who).await.unwrap_or_else(|| panic!("{what}: no answer"));
        assert!(answer.contains(expected), "{what}: {answer}");
        if expected == "AUTH_ERROR" {
            assert_eq!(without_rand(&answer), without_rand(&refused), "{what}");
        }
    }
    for (what, identity) in [
        ("none", None),
        ("expired", Some(clients.client("beta", 4, Valid::Expired))),
        ("revoked", Some(clients.client("beta", 13, Valid::Now))),
        ("of a stranger", Some(Authority::new("clients").client("beta", 5, Valid::Now))),
    ] {
        assert!(call(identity.as_ref(), BETA).await.is_none(), "{what}");
    }
    std::fs::write(served.folder().join("revoked.pem"), clients.revoking(&[13, 2])).unwrap();
    served.signal(Signal::HUP);
    served.eventually("revoked", async || call(Some(&beta), BETA).await.is_none()).await;
    assert!(call(Some(&renewed), BETA).await.is_some());
}

/// Answers end in a random pair.
fn without_rand(answer: &str) -> Answer {
    let mut answer = decode(answer.trim_end());
    answer.retain(|name, _| !name.starts_with("RAND"));
    answer
}

#[tokio::test]
async fn a_reload_is_used_as_a_whole_or_not_at_all() {
    let (old, new) = (hash_password("old"), hash_password("new"));
    let hashes = |list: &str| midtrans() + &party_with(("alpha", "A-1"), list, "");
    let served = Served::start(&hashes(&format!("\"{old}\""))).await;
    let good = async |password| let_in(&status(&served, ("alpha", password, "A-1")).await);
    let reload = async || {
        let url = format!("{}/admin/v1/reload", served.admin);
        let answer = served.http.post(url).json(&json!({"reason": "a test"})).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert!(good("old").await && !good("new").await);
    // Both, while the PSP changes over.
    served.rewrite(&hashes(&format!("[\"{new}\", \"{old}\"]")));
    assert_eq!(reload().await.0, 200);
    assert!(good("old").await && good("new").await);
    // A mistake anywhere changes nothing, and is told.
    served.rewrite(&(hashes(&format!("\"{new}\"")) + "[delivery]\nspeed = 9\n"));
    let (status_code, told) = reload().await;
    assert_eq!(status_code, 409, "{told}");
    assert!(
        told["problems"][0].as_str().unwrap().starts_with("delivery.speed: unknown key"),
        "{told}"
    );
    assert!(good("old").await, "as before");
    // What was removed is good no more, though it was verified before; a new PSP is let in.
    served.rewrite(&(hashes(&format!("\"{new}\"")) + &party(BETA, "")));
    served.signal(Signal::HUP);
    served.eventually("the old password is removed", async || !good("old").await).await;
    assert!(good("new").await && let_in(&status(&served, BETA).await));
    // By the command, which also says what waits for a restart.
    let limits = "[limits]\nconcurrent_calls = 7\ndrain = \"1s\"\n";
    served.rewrite(&(hashes(&format!("\"{new}\"")) + limits));
    let output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["reload", "--reason", "fewer calls", "--config"])
        .arg(served.folder().join("config.toml"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("reloaded\n"), "{told} {:?}", output.stderr);
    assert!(told.ends_with("\nwaits for a restart: limits\n"), "{told}");
    assert!(!let_in(&status(&served, BETA).await), "gone");
    let log = served.log();
    for line in ["not valid; nothing has changed", "read again and is used", "why=\"a test\""] {
        assert!(log.contains(line), "{line} in {log}");
    }
}

#[tokio::test]
async fn operators_need_a_token_with_the_role_and_what_they_do_is_logged() {
    let token = |name: &str, roles: &str| {
        let hash = hash_password(&format!("token-of-{name}"));
        format!("[[admin.token]]\nname = \"{name}\"\nhash = \"{hash}\"\nroles = [{roles}]\n")
    };
    let config = [
        token("prometheus", "\"read\""),
        token("sri", "\"finance\""),
        token("ops", "\"operate\""),
        midtrans(),
        party(ALPHA, ""),
    ]
    .concat();
    let served = Served::start(&config).await;
    let ask =
        async |method: &str, path: &str, who: Option<(&str, &str)>, headers: &[(&str, &str)]| {
            let url = format!("{}{path}", served.admin);
            let mut request = served.http.request(method.parse().unwrap(), url);
            if let Some((name, token)) = who {
                request = request.basic_auth(name, Some(token));
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.send().await.unwrap().status().as_u16()
        };
    let own = |name| Some((name, format!("token-of-{name}")));
    for (method, path, name, expected) in [
        ("GET", "/health/live", None, 200),
        ("GET", "/health/ready", None, 200),
        ("GET", "/metrics", None, 401),
        ("GET", "/metrics", own("prometheus"), 200),
        ("GET", "/metrics", Some(("prometheus", "token-of-ops".to_owned())), 401),
        ("GET", "/metrics", Some(("nobody", "token-of-ops".to_owned())), 401),
        ("GET", "/admin/v1/totals", own("sri"), 200),
        ("POST", "/admin/v1/reload", None, 401),
        ("POST", "/admin/v1/reload", own("prometheus"), 403),
        ("POST", "/admin/v1/reload", own("sri"), 403),
        ("POST", "/admin/v1/reload", own("ops"), 200),
        ("POST", "/admin/v1/attention/384435242867359744", own("ops"), 403),
        ("POST", "/admin/v1/attention/384435242867359744", own("sri"), 400),
    ] {
        let who = name.as_ref().map(|(name, token)| (*name, token.as_str()));
        assert_eq!(ask(method, path, who, &[]).await, expected, "{method} {path} {who:?}");
    }
    let bearer = [("authorization", "Bearer ops.token-of-ops")];
    assert_eq!(ask("GET", "/metrics", None, &bearer).await, 200);
    // Web pages of others, in the browser of somebody who is let in.
    let ops = Some(("ops", "token-of-ops"));
    for (what, headers, expected) in [
        ("another origin", &[("origin", "https://page.example")][..], 403),
        ("a form", &[("content-type", "text/plain")], 415),
        ("a name that leads here", &[("host", "rebinding.example")], 403),
        ("its own page", &[("sec-fetch-site", "same-origin")], 200),
    ] {
        assert_eq!(ask("POST", "/admin/v1/reload", ops, headers).await, expected, "{what}");
    }
    let request = served.http.get(format!("{}/metrics", served.admin));
    let metrics = request.basic_auth("ops", Some("token-of-ops")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for (why, count) in [("missing", 2), ("token", 2), ("role", 3), ("page", 2), ("pause", 0)] {
        let line = format!("gopay_operator_refusals_total{{why=\"{why}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    let log = served.log();
    assert!(log.contains("who=\"ops\" what=\"POST /admin/v1/reload\""), "{log}");
    for line in [
        "what=\"GET /metrics\" why=\"token\"",
        "who=\"prometheus\" what=\"POST /admin/v1/reload\" why=\"role\"",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert!(!log.contains("token-of"), "{log}");
}

#[tokio::test]
async fn the_simulator_takes_no_orders_from_pages_of_others() {
    let served = Served::start(&(midtrans() + &party(ALPHA, ""))).await;
    let clock = async |headers: &[(&str, &str)]| {
        let url = format!("{}/simulator/v1/clock", served.simulator);
        let mut request = served.http.post(url).body(r#"{"advance":"1s"}"#);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(clock(&[("content-type", "application/json")]).await, 200);
    assert_eq!(clock(&[("origin", "https://page.example")]).await, 403);
    assert_eq!(clock(&[("host", "rebinding.example")]).await, 403);
}

#[tokio::test]
async fn quotas_of_the_test_host_are_counted_for_each_type_once_the_password_is_good() {
    let limits = "[limits]\ntest_quotas = true\n".to_owned();
    let served = Served::start(&[limits, midtrans(), party(ALPHA, "")].concat()).await;
    let pairs = [("merchanttxid", "ORDER-1")];
    let by_reference = async |who| served.call_as(who, "GETTXSTATUSBYMERCHANTTXID", &pairs).await;
    for _ in 0..3 {
        let wrong = by_reference(("alpha", "wrong", "A-1")).await;
        assert_eq!(wrong["REQUESTFAILREASON"], "AUTH_ERROR");
    }
    for number in 1..=50 {
        assert!(let_in(&by_reference(ALPHA).await), "{number}");
    }
    let over = by_reference(ALPHA).await;
    assert_eq!(over["REQUESTFAILREASON"], "SYSTEM_ERROR", "{over:?}");
    assert!(over.values().any(|value| value.contains("Quota exceeded")), "{over:?}");
    assert!(let_in(&status(&served, ALPHA).await), "each type has its own");
}

#[tokio::test]
async fn calls_in_a_second_are_bounded_for_each_client_and_say_how_long_they_took() {
    let slow = party(ALPHA, "calls_per_second = 1");
    let served = Served::start(&[midtrans(), slow, party(BETA, "")].concat()).await;
    let call = async |(login, password, contract)| {
        let body =
            body_as(&Credentials::new(login, password, contract), "GETTXSTATUS", &[("txid", "1")]);
        served.http.post(format!("{}/", served.adapter)).body(body).send().await.unwrap()
    };
    // Verified, which takes its time.
    call(ALPHA).await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(call(ALPHA).await.status().as_u16());
        assert_eq!(call(BETA).await.status().as_u16(), 200);
    }
    assert!(statuses.contains(&503), "{statuses:?}");
    let answer = call(BETA).await;
    let timing = answer.headers()["server-timing"].to_str().unwrap();
    assert!(timing.starts_with("ours;dur=") && timing.contains(", midtrans;dur=0.000"), "{timing}");
}

#[tokio::test]
async fn codes_of_pages_are_no_hash_of_the_shared_secret_and_old_ones_still_open() {
    let served = Served::start(&(midtrans() + &party(ALPHA, ""))).await;
    let opened = served.open_as(ALPHA, &[]).await;
    assert_eq!(opened["STATUS"], "PENDING", "{opened:?}");
    let (txid, secret) = (&opened["TXID"], &opened["REDIRECTSECRET"]);
    let code = |key: &str| page_code(Page::Redirect, txid.parse().unwrap(), secret, key);
    let of_psp = code("shared-secret-alpha");
    assert!(!opened["REDIRECTURL"].contains(&of_psp));
    let page = async |code: &str| {
        let query = encode([("tx", txid.as_str()), ("rs", secret), ("cs", code)]);
        served.browse(&format!("{}/ti/gopay?{query}", served.adapter), "Mozilla/5.0 (X11)").await.0
    };
    let own = opened["REDIRECTURL"].rsplit_once("cs=").unwrap().1.to_owned();
    assert_eq!(page(&own).await, 200);
    assert_eq!(page(&of_psp).await, 200, "made before the update");
    assert_eq!(page(&code("another")).await, 404);
    // A key of its own, and then the next, while the links of the first are about.
    let first = "the first key of the pages";
    let line = format!("page_key = [\"the second key of the pages\", \"{first}\"]");
    served.rewrite_public(&line, &(midtrans() + &party(ALPHA, "")));
    served.signal(Signal::HUP);
    served.eventually("the new keys are used", async || page(&code(first)).await == 200).await;
    assert_eq!(page(&code("the second key of the pages")).await, 200);
    assert_eq!(page(&own).await, 404, "derived keys are no keys beside others");
}

#[tokio::test]
async fn notifications_are_good_under_both_server_keys_and_repeats_are_bounded() {
    let old = "SB-Mid-server-old";
    let two =
        midtrans().replace(&format!("\"{SERVER_KEY}\""), &format!("[\"{SERVER_KEY}\", \"{old}\"]"));
    let limits = "[limits]\nchecks_per_second = 4\n".to_owned();
    let served = Served::start(&[limits, two, party(ALPHA, "")].concat()).await;
    let opened = served.open_as(ALPHA, &[]).await;
    let txid = &opened["TXID"];
    let mut notification = served.notification(txid, "201", "pending").await;
    let gross = notification["gross_amount"].as_str().unwrap().to_owned();
    for (key, expected) in [(old, 200), (SERVER_KEY, 200), ("SB-Mid-server-other", 403)] {
        notification["signature_key"] = signature(txid, "201", &gross, key).into();
        assert_eq!(served.notify(notification.to_string()).await, expected, "{key}");
    }
    // Somebody repeats one that claims what is not so, as fast as they can: 2 a second are asked about.
    let claim = served.notification(txid, "200", "settlement").await.to_string();
    let asked = async || {
        let (_, metrics) = served.get(&format!("{}/metrics", served.admin)).await;
        let requests = metrics.lines().filter(|line| {
            line.starts_with("gopay_midtrans_requests_total") && line.contains("call=\"status\"")
        });
        let counts = requests.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum::<u64>()
    };
    let (before, began) = (asked().await, Instant::now());
    for _ in 0..100 {
        // Looked into, or to come again.
        let answer = served.notify(claim.clone()).await;
        assert!(matches!(answer, 200 | 503), "{answer}");
    }
    let (asked, seconds) = (asked().await - before, began.elapsed().as_secs());
    // Some besides: the first is notification, two may be saved up, and the poll loop asks as well.
    assert!(asked <= 2 * seconds + 10, "{asked} of 100 were asked about in {seconds} s");
    served.wallet(txid, "pay", json!({})).await;
    let who = [("txid", txid.as_str())];
    served
        .eventually("paid", async || {
            served.call_as(ALPHA, "GETTXSTATUS", &who).await["STATUS"] == "SUCCEEDED"
        })
        .await;
}
