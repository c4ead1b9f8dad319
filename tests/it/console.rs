//! The console over HTTP: who is let in, what their role lets them do, what forms must repeat, and what
//! is recorded of it.
#![allow(clippy::unwrap_used, reason = "a surprise fails the test")]

use std::process::Command;

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use serde_json::{Value, json};

use crate::support::Demo;
use crate::support::served::{Served, rates_of, settled_day, with_operators, with_settlements};

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1/notify";

/// Somebody with a browser.
struct Browser<'a> {
    demo: &'a Demo,
    cookie: Option<String>,
}

/// What a browser is shown.
struct Shown {
    status: u16,
    /// Where it is sent.
    to: String,
    text: String,
}

impl Shown {
    /// The value of the first field of a name.
    fn field(&self, name: &str) -> &str {
        let mark = format!("name=\"{name}\" value=\"");
        let (_, rest) =
            self.text.split_once(&mark).unwrap_or_else(|| panic!("{name} in {}", self.text));
        rest.split('"').next().unwrap()
    }

    /// The first field of a name in the form that is sent to an address, as it is marked up.
    fn tag(&self, action: &str, name: &str) -> &str {
        let of_form = self.text.split_once(&format!("method=\"post\" action=\"{action}\""));
        let (_, form) = of_form.unwrap_or_else(|| panic!("{action} in {}", self.text));
        let (form, _) = form.split_once("</form>").unwrap();
        let mark = format!(" name=\"{name}\"");
        let tag = form.split('<').find(|tag| tag.contains(&mark));
        tag.unwrap_or_else(|| panic!("{name} in {form}"))
    }

    /// The form is there again, with what was typed into a field, which is marked if it is wrong.
    fn keeps(&self, action: &str, name: &str, value: &str, wrong: bool) {
        let tag = self.tag(action, name);
        let typed = value.is_empty() || tag.contains(&format!("value=\"{value}\""));
        assert!(typed && tag.contains("aria-invalid") == wrong, "{name}={value}: {tag}");
    }
}

impl<'a> Browser<'a> {
    const fn new(demo: &'a Demo) -> Self {
        Self { demo, cookie: None }
    }

    /// One that has logged in.
    async fn of(demo: &'a Demo, name: &str) -> Self {
        let mut browser = Self::new(demo);
        let shown = browser.login(name, &format!("token-of-{name}")).await;
        assert_eq!((shown.status, shown.to.as_str()), (303, "/console"), "{name}");
        browser
    }

    async fn login(&mut self, name: &str, token: &str) -> Shown {
        let key = self.get("/console/login").await.field("key").to_owned();
        self.post("/console/login", &[("key", &key), ("name", name), ("token", token)]).await
    }

    async fn get(&self, path: &str) -> Shown {
        let mut request = self.demo.http.get(format!("{}{path}", self.demo.admin));
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        shown(request.send().await.unwrap()).await.0
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Shown {
        let request = self.demo.http.post(format!("{}{path}", self.demo.admin));
        let mut request = request
            .header(ORIGIN, &self.demo.admin)
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let body = serde_urlencoded::to_string(form).unwrap();
        let (shown, cookie) = shown(request.body(body).send().await.unwrap()).await;
        if let Some(cookie) = cookie {
            assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        shown
    }

    /// Sends the form of a page, with the key of the page.
    async fn send(&mut self, page: &str, path: &str, form: &[(&str, &str)]) -> Shown {
        let key = self.get(page).await.field("key").to_owned();
        self.post(path, &[&[("key", key.as_str())], form].concat()).await
    }
}

async fn shown(answer: reqwest::Response) -> (Shown, Option<String>) {
    let header = |name| {
        let value = answer.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let (to, cookie) = (header(LOCATION).unwrap_or_default(), header(SET_COOKIE));
    let policy = answer.headers().get("content-security-policy").expect("a policy");
    let policy = policy.to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let status = answer.status().as_u16();
    (Shown { status, to, text: answer.text().await.unwrap() }, cookie)
}

/// The transaction as JSON of the admin listener.
async fn told(demo: &Demo, name: &str, path: &str) -> Value {
    let url = format!("{}/admin/v1/{path}", demo.admin);
    let request = demo.http.get(url).basic_auth(name, Some(format!("token-of-{name}")));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn who_has_no_session_is_asked_for_a_token_and_a_wrong_one_opens_nothing() {
    let served = Served::start(&with_operators(NOBODY, &[("reader", "read")])).await;
    let mut browser = Browser::new(&served);
    for path in [
        "/console",
        "/console/",
        "/console/transactions?state=pending",
        "/console/transactions.csv",
        "/console/transactions/1",
        "/console/attention",
        "/console/audit",
        "/console/parties",
    ] {
        let shown = browser.get(path).await;
        assert_eq!(shown.status, 303, "{path}");
        assert!(shown.to.starts_with("/console/login?to=%2Fconsole"), "{}", shown.to);
        assert!(!shown.text.contains("testclient"));
    }
    for (name, token) in [("reader", "wrong"), ("nobody", "token-of-reader"), ("", "")] {
        assert_eq!(browser.login(name, token).await.status, 401, "{name}");
        assert_eq!(browser.cookie, None);
    }
    // A login form of somebody else's page.
    let form = [("key", "guessed"), ("name", "reader"), ("token", "token-of-reader")];
    assert_eq!(browser.post("/console/login", &form).await.status, 403);
    assert_eq!(browser.login("reader", "token-of-reader").await.status, 303);
    assert_eq!(browser.get("/console").await.status, 200);
    let made_up = Browser { demo: &served, cookie: Some("gopay_console=0123".to_owned()) };
    assert_eq!(made_up.get("/console").await.status, 303);
    let kept = browser.cookie.clone();
    assert_eq!(browser.send("/console", "/console/logout", &[]).await.to, "/console/login");
    browser.cookie = kept;
    assert_eq!(browser.get("/console").await.status, 303, "the session is over");
    assert_eq!(browser.get("/console.css").await.status, 200, "there is nothing in it");
}

#[tokio::test]
async fn a_form_counts_from_a_page_of_the_console_in_the_same_session_only() {
    let served =
        Served::start(&with_operators(NOBODY, &[("ops", "operate"), ("other", "operate")])).await;
    let txid = served.pending().await;
    let (page, path) =
        (format!("/console/transactions/{txid}"), format!("/console/transactions/{txid}/cancel"));
    let mut ops = Browser::of(&served, "ops").await;
    let other = Browser::of(&served, "other").await;
    let foreign = other.get(&page).await.field("key").to_owned();
    for key in ["", "guessed", &foreign] {
        let shown = ops.post(&path, &[("key", key), ("reason", "a test")]).await;
        assert_eq!(shown.status, 403, "{key}");
    }
    let key = ops.get(&page).await.field("key").to_owned();
    let url = format!("{}{path}", served.admin);
    let body = format!("key={key}&reason=a+test");
    const FORM: &str = "application/x-www-form-urlencoded";
    for (what, header, value, kind) in [
        ("another origin", "origin", "https://page.example", FORM),
        ("no origin of a page", "origin", "null", FORM),
        ("another site", "sec-fetch-site", "cross-site", FORM),
        ("a name that leads here", "host", "rebinding.example", FORM),
        ("no form", "origin", served.admin.as_str(), "text/plain"),
    ] {
        let request = served.http.post(&url).header(header, value).header("content-type", kind);
        let request = request.header(COOKIE, ops.cookie.as_deref().unwrap());
        let status = request.body(body.clone()).send().await.unwrap().status().as_u16();
        assert!(matches!(status, 403 | 415), "{what}: {status}");
    }
    assert_eq!(served.status(&txid).await["STATUS"], "PENDING");
    assert_eq!(ops.post(&path, &[("key", &key), ("reason", "a test")]).await.status, 303);
    served.until_status(&txid, "FAILED").await;
}

#[tokio::test]
async fn roles_hold_and_what_was_done_is_in_the_trail_and_in_the_audit() {
    let operators = [("reader", "read"), ("ops", "operate"), ("sri", "finance")];
    let served = Served::start(&with_operators(NOBODY, &operators)).await;
    let txid = served.paid().await;
    let page = format!("/console/transactions/{txid}");
    let mut reader = Browser::of(&served, "reader").await;
    let mut ops = Browser::of(&served, "ops").await;
    let mut sri = Browser::of(&served, "sri").await;
    let refundid = sri.get(&page).await.field("refundid").to_owned();
    let refund = [
        ("reason", "broken cup"),
        ("amount", "4.000"),
        ("refundid", refundid.as_str()),
        ("merchantrefundid", "R-1"),
    ];
    let to = format!("{page}/refund");
    assert_eq!(reader.send(&page, &to, &refund).await.status, 403);
    assert_eq!(ops.send(&page, &to, &refund).await.status, 403);
    for act in ["cancel", "ask", "redeliver"] {
        let to = format!("{page}/{act}");
        assert_eq!(sri.send(&page, &to, &[("reason", "x")]).await.status, 403, "{act}");
    }
    // The same form twice refunds once.
    for _ in 0..2 {
        let shown = sri.send(&page, &to, &refund).await;
        assert_eq!((shown.status, shown.to), (303, format!("{page}?done=refund")));
    }
    for (name, value, status) in [
        ("amount", "7000", 409),
        ("amount", "0", 400),
        ("amount", "1,5", 400),
        ("reason", "", 400),
        ("merchantrefundid", "not a reference", 400),
        ("refundid", "1", 409),
        ("refundid", &txid, 409),
    ] {
        let fresh = sri.get(&page).await.field("refundid").to_owned();
        let mut form = refund.to_vec();
        form.retain(|(other, _)| !matches!(*other, "refundid") && *other != name);
        if name != "refundid" {
            form.push(("refundid", &fresh));
        }
        form.push((name, value));
        let shown = sri.send(&page, &to, &form).await;
        assert_eq!(shown.status, status, "{name}={value}");
        assert!(shown.text.contains("<b>Not done. </b>"), "{name}={value}: {}", shown.text);
        for (field, usual) in &refund {
            let wrong = *field == name;
            match *field {
                // An id that cannot be used is not offered again.
                "refundid" if name == "refundid" => {
                    assert!(!shown.tag(&to, field).contains(&format!("\"{value}\"")));
                }
                "refundid" => shown.keeps(&to, field, &fresh, false),
                _ if *field == name => shown.keeps(&to, field, value, wrong),
                _ => shown.keeps(&to, field, usual, false),
            }
        }
    }
    // A form's own address is no page: it leads to the one that has the form.
    let led = sri.get(&to).await;
    assert_eq!((led.status, led.to), (303, page.clone()));
    assert_eq!(
        ops.send(&page, &format!("{page}/redeliver"), &[("reason", "lost")]).await.status,
        303
    );
    let desk = told(&served, "reader", &format!("transactions/{txid}")).await;
    let desk = &desk[0];
    assert_eq!(desk["refund"]["left_sen"], json!(600_000));
    let refunds = desk["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 1);
    assert_eq!(refunds[0]["refundid"], json!(refundid));
    assert_eq!(refunds[0]["merchantrefundid"], json!("R-1"));
    // The PSP finds it by either id.
    let asked = served.call("GETREFUNDSTATUS", &[("refundid", &refundid)]).await;
    assert_eq!(
        (asked["STATUS"].as_str(), asked["MERCHANTREFUNDID"].as_str()),
        ("SUCCEEDED", "R-1")
    );
    let trail = desk["trail"].as_array().unwrap();
    let acts = trail.iter().filter(|line| line["kind"] == "operator").map(|line| &line["detail"]);
    let acts: Vec<&Value> = acts.collect();
    assert_eq!(acts[0]["what"], json!("refund"));
    assert_eq!((&acts[0]["by"], &acts[0]["reason"]), (&json!("sri"), &json!("broken cup")));
    assert_eq!((&acts[1]["what"], &acts[1]["by"]), (&json!("redeliver"), &json!("ops")));
    assert_eq!(acts.len(), 2, "what was refused is not in the trail");
    let audit = told(&served, "reader", "audit").await;
    let rows = audit["rows"].as_array().unwrap();
    assert_eq!(rows[0]["who"], json!("ops"));
    assert_eq!(rows[0]["what"], json!(format!("POST {page}/redeliver")));
    assert_eq!((&rows[0]["why"], &rows[0]["status"]), (&json!("lost"), &json!(303)));
    let of_sri: Vec<u64> = rows
        .iter()
        .filter(|row| row["who"] == "sri")
        .map(|row| row["status"].as_u64().unwrap())
        .collect();
    assert_eq!(of_sri, [409, 409, 400, 400, 400, 400, 409, 303, 303], "newest first");
    let first = told(&served, "reader", "audit?who=SRI&order=oldest&limit=3").await;
    let next = format!("audit?who=SRI&order=oldest&limit=9&after={}", first["next"]);
    let rest = told(&served, "reader", &next).await;
    assert_eq!(
        (column(&first, "status"), rest["next"].clone()),
        (json!([303, 303, 409]), json!(null))
    );
    assert_eq!(column(&rest, "status"), json!([400, 400, 400, 400, 409, 409]));
    assert_eq!(
        column(&told(&served, "reader", "audit?what=ReDeliver").await, "who"),
        json!(["ops"])
    );
    let shown = reader.get("/console/audit?what=redeliver&order=oldest").await.text;
    assert!(shown.contains("/redeliver</code>") && !shown.contains("/refund</code>"), "{shown}");
    let file = reader.get("/console/audit.csv?who=sri&order=oldest").await.text;
    assert_eq!(file.lines().nth(1).unwrap().rsplit(',').next(), Some("303"), "{file}");
    // A wrong word is named, and what else was asked for stays.
    let shown = reader.get("/console/audit?who=sri&order=up").await.text;
    assert!(
        shown.contains("order: must be newest or oldest") && shown.contains("value=\"sri\""),
        "{shown}"
    );
    let log = served.log();
    assert!(!log.contains("token-of"), "{log}");
}

#[tokio::test]
async fn what_others_wrote_is_text_and_no_cell_is_a_formula() {
    let demo = Demo::start().await;
    let answer = demo.transaction(&[("merchanttxid", "-1-cmd")]).await;
    let bad = demo
        .transaction(&[
            ("contractid", "x"),
            ("specin.dynamicdescriptor", "<script>alert(1)</script>"),
        ])
        .await;
    assert_eq!(bad["STATUS"], "FAILED");
    let browser = Browser::new(&demo);
    let page = browser.get(&format!("/console/transactions/{}", answer["TXID"])).await;
    assert_eq!(page.status, 200);
    for query in ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>"] {
        let query = serde_urlencoded::to_string([("id", query), ("contract", query)]).unwrap();
        for path in ["transactions", "refunds", "deliveries", "attention", "audit"] {
            let shown = browser.get(&format!("/console/{path}?{query}")).await;
            assert_eq!(shown.status, 200, "{path}");
            assert!(
                !shown.text.contains("<script>alert") && !shown.text.contains("<img"),
                "{path}"
            );
        }
    }
    let file = browser.get("/console/transactions.csv").await;
    assert_eq!(file.status, 200);
    let lines: Vec<&str> = file.text.lines().collect();
    assert!(lines[0].starts_with("called_at,txid,merchanttxid,"), "{}", lines[0]);
    assert!(lines.iter().any(|line| line.contains(",'-1-cmd,")), "{}", file.text);
}

#[tokio::test]
async fn lists_go_on_by_key_whatever_comes_meanwhile() {
    let demo = Demo::start().await;
    let mut txids = Vec::new();
    for number in 0..5 {
        let reference = format!("ORDER-{number}");
        txids.push(demo.transaction(&[("merchanttxid", &reference)]).await["TXID"].clone());
    }
    txids.reverse();
    let browser = Browser::new(&demo);
    let ids = |text: &str| -> Vec<String> {
        let links = text.split("<a href=\"/console/transactions/").skip(1);
        links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let mut path = "/console/transactions?limit=2&state=pending".to_owned();
    let mut seen = Vec::new();
    loop {
        let shown = browser.get(&path).await;
        seen.extend(ids(&shown.text));
        let Some((before, _)) = shown.text.split_once("\" rel=\"next\"") else { break };
        let next = before.rsplit("href=\"").next().unwrap().replace("&amp;", "&");
        assert!(next.contains("state=pending") && next.contains("limit=2"), "{next}");
        path = next;
        demo.pending().await;
    }
    assert_eq!(seen, txids, "each once, newest first");
    let oldest = browser.get("/console/transactions?order=oldest&limit=1").await;
    assert_eq!(ids(&oldest.text), txids[4..]);
    let found = browser.get("/console/transactions?id=order-3").await;
    assert_eq!(found.to, format!("/console/transactions/{}", txids[1]));
    let amount = browser.get("/console/transactions?amount=10.000&limit=500").await;
    assert!(ids(&amount.text).len() >= 5);
    assert!(ids(&browser.get("/console/transactions?amount=10.001").await.text).is_empty());
    assert!(browser.get("/console/transactions?amount=1,5").await.text.contains("amount: must be"));
    let file = browser.get("/console/transactions.csv?state=pending&order=oldest").await;
    let column: Vec<&str> =
        file.text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    txids.reverse();
    assert_eq!(column[..5], txids[..]);
}

/// A column of the rows of a list.
fn column(list: &Value, name: &str) -> Value {
    list["rows"].as_array().unwrap().iter().map(|row| row[name].clone()).collect()
}

#[tokio::test]
async fn breaks_are_listed_by_risk_or_age_and_narrowed_to_a_kind() {
    let served = Served::start(&with_operators(NOBODY, &[("ana", "finance")])).await;
    let mut report =
        "Order ID,Payment type,Currency,Amount,Transaction status,Transaction Time\n".to_owned();
    for (order, amount) in [(2, "9800.00"), (3, "25000.00"), (4, "1800.00"), (5, "9800.00")] {
        report.push_str(&format!(
            "730000000000000000{order},gopay,IDR,{amount},settlement,2026-10-05 13:15:00\n"
        ));
    }
    std::fs::write(served.folder().join("report.csv"), report).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .current_dir(served.folder())
        .args(["reconcile", "--today", "2026-11-03", "--config", "config.toml"])
        .args(["--report", "report.csv", "--out", "out"])
        .status();
    assert_eq!(run.unwrap().code(), Some(1));
    let by_id = told(&served, "ana", "breaks").await;
    let mut ids: Vec<&str> = by_id["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["break_id"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted(), "{ids:?}");
    // A page at a time, and none is missed or told twice, though two are alike.
    let (mut risks, mut seen, mut after) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = told(&served, "ana", &format!("breaks?order=risk&limit=1&after={after}")).await;
        let row = &page["rows"][0];
        risks.push(row["at_risk"].as_str().unwrap().to_owned());
        seen.push(row["break_id"].as_str().unwrap().to_owned());
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    assert_eq!(risks, ["25000.00", "9800.00", "9800.00", "1800.00"]);
    seen.sort_unstable();
    ids.sort_unstable();
    assert_eq!(seen, ids);
    let listed = async |query: &str| told(&served, "ana", &format!("breaks?{query}")).await;
    assert_eq!(column(&listed("order=age").await, "break_id"), json!(ids));
    assert_eq!(column(&listed("kind=missing_here").await, "break_id"), json!(ids));
    assert_eq!(listed("kind=duplicate").await["rows"], json!([]));
    let ana = Browser::of(&served, "ana").await;
    let shown = ana.get("/console/reconciliation?order=risk&kind=missing_here").await.text;
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} in {shown}"));
    assert!(at("Rp\u{a0}25.000") < at("Rp\u{a0}1.800"));
    // There is no story of what is missing here.
    assert!(!shown.contains("/console/transactions/73000"), "{shown}");
    let runs = ana.get("/console/runs.csv").await.text;
    assert_eq!(runs.lines().count(), 2, "{runs}");
    assert!(runs.lines().nth(1).unwrap().starts_with("1,default,"), "{runs}");
    let wrong = ana.get("/console/reconciliation?kind=lost").await;
    assert!(wrong.text.contains("kind: must be one of missing_at_midtrans"), "{}", wrong.text);
}

#[tokio::test]
async fn corrections_are_listed_from_either_end() {
    const PAGE: &str = "/console/adjustments";
    let day = settled_day();
    let config = with_settlements(&with_operators(NOBODY, &[("ana", "finance")]), &day);
    let served = Served::start_with(&config, &[("rates.csv", &rates_of(&day))]).await;
    let mut ana = Browser::of(&served, "ana").await;
    for id in ["C-1", "C-2", "C-3"] {
        let form = [
            ("act", "ask"),
            ("id", id),
            ("contract", "TESTCONTRACT"),
            ("amount", "1.00"),
            ("reason", "x"),
        ];
        assert_eq!(ana.send(PAGE, PAGE, &form).await.status, 303);
    }
    for (query, ids) in [
        ("", json!(["C-3", "C-2", "C-1"])),
        ("order=oldest", json!(["C-1", "C-2", "C-3"])),
        ("order=oldest&limit=2", json!(["C-1", "C-2"])),
    ] {
        let listed = told(&served, "ana", &format!("adjustments?{query}")).await;
        assert_eq!(column(&listed, "id"), ids, "{query}");
        if !listed["next"].is_null() {
            let rest = format!("adjustments?{query}&after={}", listed["next"]);
            assert_eq!(column(&told(&served, "ana", &rest).await, "id"), json!(["C-3"]));
        }
    }
    let file = ana.get("/console/adjustments.csv?order=oldest").await.text;
    assert!(file.lines().nth(1).unwrap().contains(",C-1,"), "{file}");
}

#[tokio::test]
async fn a_break_is_decided_by_two_people_in_two_acts() {
    let served =
        Served::start(&with_operators(NOBODY, &[("ana", "finance"), ("budi", "finance")])).await;
    let report = "Order ID,Payment type,Currency,Amount,Transaction status,Transaction Time\n\
                  7300000000000000002,gopay,IDR,9800.00,settlement,2026-10-05 13:15:00\n";
    std::fs::write(served.folder().join("report.csv"), report).unwrap();
    let run = || {
        let args = ["reconcile", "--today", "2026-11-03", "--config", "config.toml"];
        let output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
            .current_dir(served.folder())
            .args(args)
            .args(["--report", "report.csv", "--out", "out"])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run().0, Some(1), "{}", run().1);
    let breaks = told(&served, "ana", "breaks").await;
    let one = &breaks["rows"][0];
    assert_eq!((&one["kind"], &one["theirs"]), (&json!("missing_here"), &json!("9800.00")));
    let id = one["break_id"].as_str().unwrap().to_owned();
    let page = format!("/console/breaks/{id}?");
    let mut ana = Browser::of(&served, "ana").await;
    let mut budi = Browser::of(&served, "budi").await;
    let version = one["version"].as_str().unwrap().to_owned();
    let decide = [
        ("act", "decide"),
        ("decision", "accept"),
        ("reason", "a test order"),
        ("version", version.as_str()),
    ];
    // Nobody approves what nobody has decided.
    let early = [
        ("act", "approve"),
        ("decision", "accept"),
        ("reason", "x"),
        ("decided_by", "ana"),
        ("version", &version),
    ];
    let shown = budi.send(&page, &page, &early).await;
    assert_eq!(shown.status, 409);
    let unexplained: Vec<_> =
        decide.iter().map(|pair| if pair.0 == "reason" { ("reason", "") } else { *pair }).collect();
    let shown = ana.send(&page, &page, &unexplained).await;
    shown.keeps(&page, "reason", "", true);
    assert!(shown.tag(&page, "decision").contains("value=\"accept\" required checked"));
    assert_eq!(ana.send(&page, &page, &decide).await.status, 303);
    let shown = budi.get(&page).await;
    assert!(shown.text.contains("waits for approval"), "{}", shown.text);
    let (version, decided_by) =
        (shown.field("version").to_owned(), shown.field("decided_by").to_owned());
    let approve = [
        ("act", "approve"),
        ("decision", "accept"),
        ("reason", "a test order"),
        ("decided_by", decided_by.as_str()),
        ("version", version.as_str()),
    ];
    let own = ana.send(&page, &page, &approve).await;
    assert_eq!(own.status, 409, "{}", own.text);
    assert!(own.text.contains("another person"), "{}", own.text);
    // A list that was overtaken.
    assert_eq!(budi.send(&page, &page, &decide).await.status, 409);
    assert_eq!(budi.send(&page, &page, &approve).await.status, 303);
    let after = told(&served, "ana", "breaks?which=all").await;
    assert_eq!(after["rows"][0]["decided"]["holds"], json!(true));
    assert_eq!(after["rows"][0]["decided"]["approved_by"], json!("budi"));
    assert_eq!(told(&served, "ana", "breaks?which=undecided").await["rows"], json!([]));
    // The next run goes by it.
    assert_eq!(run().0, Some(0), "{}", run().1);
    let runs = told(&served, "ana", "reconciliations").await;
    assert!(runs["rows"].as_array().unwrap().len() >= 2);
}

#[tokio::test]
async fn personal_data_is_erased_in_the_console_once_nothing_needs_it() {
    let operators = [("ops", "operate"), ("sri", "finance")];
    let served = Served::start(&with_operators(NOBODY, &operators)).await;
    let (paid, refused) = (served.paid().await, served.transaction(&[("amount", "150")]).await);
    assert_eq!(refused["STATUS"], "FAILED");
    let mut ops = Browser::of(&served, "ops").await;
    let mut sri = Browser::of(&served, "sri").await;
    let reason = [("reason", "the shopper asks for it")];
    let page = format!("/console/transactions/{paid}");
    let shown = ops.send(&page, &format!("{page}/erase"), &reason).await;
    assert_eq!(shown.status, 409);
    assert!(shown.text.contains("it can be refunded until"), "{}", shown.text);
    let page = format!("/console/transactions/{}", refused["TXID"]);
    assert_eq!(sri.send(&page, &format!("{page}/erase"), &reason).await.status, 403);
    assert!(ops.get(&page).await.text.contains("Erase personal data"));
    let shown = ops.send(&page, &format!("{page}/erase"), &reason).await;
    assert_eq!((shown.status, shown.to), (303, format!("{page}?done=erase")));
    let after = ops.get(&page).await.text;
    assert!(after.contains("Personal data was erased on"), "{after}");
    assert!(!after.contains("Erase personal data"), "once is enough: {after}");
}

#[tokio::test]
async fn a_refused_call_names_every_fault_to_operators() {
    let demo = Demo::start().await;
    let answer = demo.transaction(&[("countrycode", "SG"), ("amount", "1.5")]).await;
    assert_eq!(answer["ERRMSG"], "countrycode: must be ID", "the PSP is told the first");
    let browser = Browser::new(&demo);
    let page = browser.get(&format!("/console/transactions/{}", answer["TXID"])).await.text;
    for fault in ["<code>countrycode</code>: ID", "<code>amount</code>: digits only"] {
        assert!(page.contains(fault), "{fault} in {page}");
    }
}

/// Runs the program in the folder of a config; what it prints.
fn run(served: &Served, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .current_dir(served.folder())
        .args(["--log", "off"])
        .args(args)
        .args(["--config", "config.toml"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn one_asks_for_a_correction_another_approves_it_and_the_next_settlement_takes_it() {
    const PAGE: &str = "/console/adjustments";
    let (day, operators) =
        (settled_day(), [("reader", "read"), ("ana", "finance"), ("budi", "finance")]);
    let config = with_settlements(&with_operators(NOBODY, &operators), &day);
    let served = Served::start_with(&config, &[("rates.csv", &rates_of(&day))]).await;
    let mut reader = Browser::of(&served, "reader").await;
    let mut ana = Browser::of(&served, "ana").await;
    let mut budi = Browser::of(&served, "budi").await;
    let form = |changes: &[(&'static str, &'static str)]| {
        let mut form = vec![
            ("act", "ask"),
            ("id", "C-1"),
            ("contract", "TESTCONTRACT"),
            ("amount", "12.50"),
            ("reason", "=charged twice"),
        ];
        form.retain(|(name, _)| changes.iter().all(|(other, _)| other != name));
        [form, changes.to_vec()].concat()
    };
    let key = reader.get("/console").await.field("key").to_owned();
    let sent = [&[("key", key.as_str())], form(&[]).as_slice()].concat();
    assert_eq!(reader.post(PAGE, &sent).await.status, 403);
    for (name, value, status) in [
        ("amount", "0", 400),
        ("amount", "1.005", 400),
        ("amount", "1,50", 400),
        ("reason", "", 400),
        ("id", "", 400),
        ("contract", "OTHER", 404),
    ] {
        let shown = ana.send(PAGE, PAGE, &form(&[(name, value)])).await;
        assert_eq!(shown.status, status, "{name}={value}: {}", shown.text);
        for (field, usual) in form(&[(name, value)]) {
            if matches!(field, "id" | "amount" | "reason") {
                shown.keeps(PAGE, field, usual, field == name);
            }
        }
    }
    assert_eq!(ana.send(PAGE, PAGE, &form(&[])).await.to, format!("{PAGE}?done=asked"));
    assert!(ana.get(PAGE).await.text.contains("waits for approval"));
    let approval = [("act", "approve"), ("asked_by", "ana")];
    assert_eq!(
        ana.send(PAGE, PAGE, &form(&approval)).await.status,
        400,
        "nobody approves their own"
    );
    let other = [approval.as_slice(), &[("amount", "13.00")]].concat();
    assert_eq!(budi.send(PAGE, PAGE, &form(&other)).await.status, 409, "not what was asked for");
    assert_eq!(budi.send(PAGE, PAGE, &form(&approval)).await.to, format!("{PAGE}?done=approved"));
    assert_eq!(budi.send(PAGE, PAGE, &form(&approval)).await.status, 409, "it is approved already");
    let file = reader.get("/console/adjustments.csv?state=approved").await.text;
    assert!(file.contains(",C-1,TESTCONTRACT,USD,1250,'=charged twice,ana,budi,"), "{file}");
    assert_eq!(reader.get("/console/adjustments.csv?state=asked").await.text.lines().count(), 1);

    let settled = run(
        &served,
        &[
            "settle",
            "--frequency",
            "D",
            "--period",
            &day,
            "--out",
            "sets",
            "--by",
            "ana",
            "--approved",
        ],
    );
    assert!(settled.contains("transfer 12.50 USD"), "{settled}");
    let told = told(&served, "reader", "adjustments").await;
    let row = &told["rows"][0];
    assert_eq!((&row["by"], &row["approved_by"]), (&json!("ana"), &json!("budi")));
    assert!(row["settled_in"].as_str().unwrap().starts_with("D 2"), "{row}");
    let page = reader.get("/console/settlements/1-999").await.text;
    for part in
        ["Adjustment", "USD\u{a0}12.50", "=charged twice; asked for by ana, approved by budi"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    let file = reader.get("/console/settlements/1-999/settlements.csv").await.text;
    assert!(file.lines().count() == 2 && file.contains(",USD,0,0,1250,0,16190,"), "{file}");
    // Taken once: the same command makes the same set again.
    let again = run(
        &served,
        &[
            "settle",
            "--frequency",
            "D",
            "--period",
            &day,
            "--out",
            "sets",
            "--by",
            "ana",
            "--approved",
        ],
    );
    assert!(again.contains("was closed before"), "{again}");
    assert_eq!(
        ana.send(PAGE, PAGE, &form(&[("amount", "1.00")])).await.status,
        409,
        "its id is used"
    );
}
