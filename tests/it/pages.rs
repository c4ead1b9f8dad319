//! The shopper's way: to GoPay, through the wallet, and back to the merchant.
use crate::support::served::{Served, with_operators};
use crate::support::wire::{SHARED_SECRET, expect, nested};
use crate::support::{Answer, Demo, encode};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

const PHONE: &str =
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36";
const DESKTOP: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36";
const SHOP: &str = "https://shop.example/return";

async fn open(demo: &Demo, changes: &[(&str, &str)]) -> Answer {
    let mut all = vec![("merchantredirecturl", SHOP)];
    all.extend(changes);
    let answer = demo.transaction(&all).await;
    assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
    answer
}

/// Where the merchant expects the shopper.
fn home(answer: &Answer, base_with_joint: &str) -> String {
    let txid = &answer["TXID"];
    let cs = nested(txid, &answer["REDIRECTSECRET"], SHARED_SECRET);
    format!("{base_with_joint}txid={txid}&cs={cs}")
}

/// The wallet's address and, from it, the one that the app returns to.
async fn deeplink(demo: &Demo, answer: &Answer) -> (String, String) {
    let (status, location, _) = demo.browse(&answer["REDIRECTURL"], PHONE).await;
    assert_eq!(status, 302);
    let query = location.split_once('?').expect("a query").1;
    let back = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "callback_url")
        .expect("a return address");
    let back = back.1.into_owned();
    (location, back)
}

// --- to GoPay ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_phone_is_led_to_the_app_and_a_desktop_is_told_to_use_one() {
    let demo = Demo::start().await;
    let answer = open(&demo, &[]).await;
    let url = &answer["REDIRECTURL"];
    let checkout = demo.upstream(&answer["TXID"]).await["checkout_url"].clone();
    for agent in [
        PHONE,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
        "Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1.15",
    ] {
        let (status, location, _) = demo.browse(url, agent).await;
        assert_eq!((status, location.as_str()), (302, checkout.as_str().expect("text")));
    }
    for agent in [DESKTOP, "curl/8.5.0", "-"] {
        let (status, location, page) = demo.browse(url, agent).await;
        assert_eq!((status, location.as_str()), (200, ""), "{agent}");
        assert!(page.contains("phone"), "{page}");
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("Siti") && !page.contains(&answer["REDIRECTSECRET"]), "{page}");
    }
    assert_eq!(demo.status(&answer["TXID"]).await["STATUS"], "PENDING", "looking changes nothing");
}

const IPAD: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15";

/// What a link of the page that holds this text leads to.
fn link(page: &str, text: &str) -> String {
    let before = page.split(text).next().expect("a beginning");
    assert!(before.len() < page.len(), "no {text:?} in {page}");
    let href = before.rsplit("href=\"").next().expect("a link").split('"').next().expect("its end");
    href.replace("&amp;", "&")
}

#[tokio::test]
async fn a_tablet_or_a_phone_that_looks_like_a_computer_finds_every_way_on() {
    let demo = Demo::start().await;
    let answer = open(&demo, &[]).await;
    let url = &answer["REDIRECTURL"];
    let (checkout, _) = deeplink(&demo, &answer).await;
    for agent in [IPAD, DESKTOP] {
        let (status, _, page) = demo.browse(url, agent).await;
        assert_eq!(status, 200, "{agent}");
        assert_eq!(link(&page, "Test channel: go on"), checkout, "{agent}");
        let shop = home(&answer, "https://shop.example/return?");
        assert_eq!(link(&page, "Back to the shop"), shop, "{agent}");
        assert!(page.contains("<svg class=\"qr\"") && !page.contains("style="), "{page}");
        assert!(page.len() < 16_384, "{} bytes", page.len());
        for part in ["Rp\u{a0}10.000", "To shop.example", "Time left: ", "not a payment code"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        // The address that is carried to the phone works there, and has no secret of the PSP's.
        let carried = page.split("<code>").nth(1).expect("an address");
        let carried = carried.split("</code>").next().expect("its end");
        assert!(carried.starts_with(&demo.adapter), "{carried}");
        assert_eq!(demo.browse(carried, PHONE).await.1, checkout);
        assert_eq!(demo.browse(carried, agent).await.0, 200);
        let forged = format!("{}0", carried.split_at(carried.len() - 1).0);
        let other = format!("{}1", carried.split_at(carried.len() - 1).0);
        let forged = if forged == carried { other } else { forged };
        assert_eq!(demo.browse(&forged, PHONE).await.0, 404);
    }
    let hinted = demo.http.get(url).header("user-agent", DESKTOP).header("sec-ch-ua-mobile", "?1");
    assert_eq!(hinted.send().await.expect("a page").status(), 302, "the hint decides");
    demo.wallet(&answer["TXID"], "pay", json!({})).await;
    demo.until_status(&answer["TXID"], "SUCCEEDED").await;
    let (status, location, _) = demo.browse(url, IPAD).await;
    assert_eq!((status, location), (302, home(&answer, "https://shop.example/return?")));
}

#[tokio::test]
async fn a_form_that_posts_itself_leads_to_the_app_as_well() {
    let demo = Demo::start().await;
    let answer = open(&demo, &[]).await;
    let url = &answer["REDIRECTURL"];
    let (path, query) = url.split_once('?').expect("a query");
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let text = |from: &[(String, String)]| {
        encode(from.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    };
    let form = "application/x-www-form-urlencoded";
    for (target, body) in [
        (url.clone(), String::new()),
        (path.to_owned(), text(&pairs)),
        (format!("{path}?{}", text(&pairs[..1])), text(&pairs[1..])),
    ] {
        for (agent, expected) in [(PHONE, 302), (DESKTOP, 200)] {
            let request = demo.http.post(&target).header("user-agent", agent);
            let request = request.header("content-type", form).body(body.clone());
            let reply = request.send().await.expect("a page");
            assert_eq!(reply.status(), expected, "{target} {body}");
        }
    }
    let reply = demo.http.post(path).body("x".repeat(100_000)).send().await.expect("a page");
    assert_eq!(reply.status(), 404);
}

#[tokio::test]
async fn a_changed_address_tells_nothing() {
    let demo = Demo::start().await;
    let (one, other) = (open(&demo, &[]).await, open(&demo, &[]).await);
    let parts = |answer: &Answer| -> Vec<(String, String)> {
        let query = answer["REDIRECTURL"].split_once('?').expect("a query").1;
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    };
    let (mine, theirs) = (parts(&one), parts(&other));
    let path = format!("{}/ti/gopay", demo.adapter);
    let (_, unknown_page) = demo.get(&format!("{path}?tx=999&rs=a&cs=b")).await;
    let (_, back) = deeplink(&demo, &one).await;
    let return_code = back.split('/').find(|part| part.len() == 64).expect("a code").to_owned();
    let mut tried = 0;
    for (at, (name, value)) in mine.iter().enumerate() {
        let (head, last) = value.split_at(value.len() - 1);
        let swapped = if last == "7" { "8" } else { "7" };
        for forged in [
            format!("{head}{swapped}"),
            head.to_owned(),
            format!("{value}0"),
            format!("{value} "),
            String::new(),
            theirs[at].1.clone(),
            value.to_uppercase(),
            format!("0{value}"),
            return_code.clone(),
        ] {
            if forged == *value {
                continue;
            }
            let mut pairs = mine.clone();
            pairs[at].1.clone_from(&forged);
            let query = encode(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            for agent in [PHONE, DESKTOP] {
                let (status, location, page) = demo.browse(&format!("{path}?{query}"), agent).await;
                assert_eq!((status, location.as_str()), (404, ""), "{name}={forged:?}");
                assert_eq!(page, unknown_page, "{name}={forged:?} is told from an unknown one");
            }
            tried += 1;
        }
        let pairs = mine.iter().filter(|(other, _)| other != name);
        let query = encode(pairs.map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(demo.browse(&format!("{path}?{query}"), PHONE).await.0, 404, "no {name}");
    }
    assert!(tried > 20, "{tried}");
    assert_eq!(demo.browse(&one["REDIRECTURL"], PHONE).await.0, 302, "the true one still works");
}

#[tokio::test]
async fn every_page_carries_the_headers_that_protect_it() {
    let demo = Demo::start().await;
    let answer = open(&demo, &[]).await;
    let (_, back) = deeplink(&demo, &answer).await;
    let bad = format!("{}/ti/gopay?tx=1", demo.adapter);
    for (url, agent, status) in [
        (&answer["REDIRECTURL"], DESKTOP, 200),
        (&answer["REDIRECTURL"], PHONE, 302),
        (&bad, PHONE, 404),
        (&back, PHONE, 302),
    ] {
        let request = demo.http.get(url).header("user-agent", agent);
        let reply = request.send().await.expect("a page");
        assert_eq!(reply.status(), status, "{url}");
        let header = |name: &str| {
            let value = reply.headers().get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{url}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{url}: {policy}");
        assert!(!policy.contains("unsafe"), "{url}: {policy}");
        assert_eq!(header("x-frame-options"), "DENY", "{url}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{url}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{url}");
        assert_eq!(header("cache-control"), "no-store", "{url}");
        assert!(reply.headers().get("set-cookie").is_none(), "{url}");
    }
}

// --- back to the merchant ------------------------------------------------------------------------

#[tokio::test]
async fn a_payment_that_is_over_leads_to_the_merchant() {
    let demo = Demo::start().await;
    for (action, status) in
        [("pay", "SUCCEEDED"), ("deny", "FAILED"), ("expire", "FAILED"), ("cancel", "FAILED")]
    {
        let answer = open(&demo, &[]).await;
        let (_, back) = deeplink(&demo, &answer).await;
        demo.wallet(&answer["TXID"], action, json!({})).await;
        demo.until_status(&answer["TXID"], status).await;
        let expected = home(&answer, "https://shop.example/return?");
        let returned = format!("{back}&result=success");
        for (url, agent) in [
            (&answer["REDIRECTURL"], PHONE),
            (&answer["REDIRECTURL"], DESKTOP),
            (&back, PHONE),
            (&returned, PHONE),
        ] {
            let (code, location, _) = demo.browse(url, agent).await;
            assert_eq!((code, &location), (302, &expected), "{action}");
        }
    }
}

#[tokio::test]
async fn a_session_that_is_over_leads_to_the_merchant_even_before_the_payment_has_failed() {
    let demo = Demo::start().await;
    demo.silence().await;
    let answer = open(&demo, &[]).await;
    // Midtrans is silent, so the payment is pending for up to a quarter of an hour more.
    let dead = json!({"on": "status", "action": {"http": {"status": 503}}, "times": Value::Null});
    demo.fault(dead).await;
    demo.advance("1h1s").await;
    let expected = home(&answer, "https://shop.example/return?");
    for agent in [PHONE, DESKTOP] {
        let (status, location, _) = demo.browse(&answer["REDIRECTURL"], agent).await;
        assert_eq!((status, &location), (302, &expected));
    }
    assert_eq!(demo.status(&answer["TXID"]).await["STATUS"], "PENDING");
}

#[tokio::test]
async fn the_merchants_own_query_and_fragment_stay() {
    let demo = Demo::start().await;
    for (url, before, fragment) in [
        ("https://shop.example/r", "https://shop.example/r?", ""),
        ("https://shop.example/r?", "https://shop.example/r?", ""),
        ("https://shop.example/r?a=1", "https://shop.example/r?a=1&", ""),
        ("https://shop.example/r?a=1&", "https://shop.example/r?a=1&", ""),
        ("https://shop.example/r#top", "https://shop.example/r?", "#top"),
        (
            "https://shop.example/r?a=%26%3D&b=c%20d#/x?y=z",
            "https://shop.example/r?a=%26%3D&b=c%20d&",
            "#/x?y=z",
        ),
        ("http://shop.example:8080/r?tx=own", "http://shop.example:8080/r?tx=own&", ""),
        ("shopapp://paid", "shopapp://paid?", ""),
    ] {
        let answer = open(&demo, &[("merchantredirecturl", url)]).await;
        demo.wallet(&answer["TXID"], "pay", json!({})).await;
        demo.until_status(&answer["TXID"], "SUCCEEDED").await;
        let (status, location, _) = demo.browse(&answer["REDIRECTURL"], PHONE).await;
        assert_eq!(status, 302);
        assert_eq!(location, home(&answer, before) + fragment, "{url}");
    }
}

#[tokio::test]
async fn the_contracts_return_address_serves_calls_without_one() {
    let demo = Demo::start().await;
    let answer = demo.transaction(&[]).await;
    demo.wallet(&answer["TXID"], "pay", json!({})).await;
    demo.until_status(&answer["TXID"], "SUCCEEDED").await;
    let (_, location, _) = demo.browse(&answer["REDIRECTURL"], PHONE).await;
    assert_eq!(location, home(&answer, &format!("{}/shop/return?", demo.simulator)));
}

#[tokio::test]
async fn a_return_while_pending_asks_midtrans() {
    let demo = Demo::start().await;
    demo.silence().await;
    let answer = open(&demo, &[]).await;
    let (_, back) = deeplink(&demo, &answer).await;
    let expected = home(&answer, "https://shop.example/return?");
    // Nothing has happened, whatever the app says.
    let (status, location, _) = demo.browse(&format!("{back}&result=success"), PHONE).await;
    assert_eq!((status, &location), (302, &expected));
    assert_eq!(demo.status(&answer["TXID"]).await["STATUS"], "PENDING");
    demo.wallet(&answer["TXID"], "pay", json!({})).await;
    let (status, location, _) = demo.browse(&format!("{back}&result=failure"), PHONE).await;
    assert_eq!((status, &location), (302, &expected));
    assert_eq!(demo.status(&answer["TXID"]).await["STATUS"], "SUCCEEDED", "known at once");
    demo.until_notified(&answer["TXID"], 1).await;
}

#[tokio::test]
async fn a_return_with_a_changed_address_tells_nothing() {
    let demo = Demo::start().await;
    let (one, other) = (open(&demo, &[]).await, open(&demo, &[]).await);
    let (_, back) = deeplink(&demo, &one).await;
    let redirect_code = one["REDIRECTURL"].rsplit_once("cs=").expect("a code").1;
    let code = back.split('/').find(|part| part.len() == 64).expect("a code");
    for forged in [
        back.replace(code, redirect_code),
        back.replace(code, &nested(&one["TXID"], &one["REDIRECTSECRET"], SHARED_SECRET)),
        back.replace(&one["TXID"], &other["TXID"]),
        back.replace(code, ""),
        format!("{}/return/gopay", demo.adapter),
        format!("{}/return/gopay?tx={}&cs={redirect_code}", demo.adapter, one["TXID"]),
    ] {
        let (status, location, _) = demo.browse(&forged, PHONE).await;
        assert_eq!((status, location.as_str()), (404, ""), "{forged}");
    }
}

#[tokio::test]
async fn the_app_returns_to_the_merchants_app_if_the_call_says_so() {
    let demo = Demo::start().await;
    for url in ["https://shop.example/app/", "someapps://callback"] {
        let answer = open(&demo, &[("specin.deeplinkcallbackurl", url)]).await;
        let (_, back) = deeplink(&demo, &answer).await;
        assert_eq!(back, format!("{url}?order_id={}", answer["TXID"]));
    }
}

// --- PPRO's sandbox form -------------------------------------------------------------------------

#[tokio::test]
async fn the_sandbox_form_leads_back_to_the_merchant_with_the_chosen_result() {
    let demo = Demo::start().await;
    let phrase =
        |status: &'static str, reason: &'static str| [("STATUS", status), ("FAILREASON", reason)];
    for (result, outcome) in [
        ("succeeded", phrase("SUCCEEDED", "")),
        ("failed_user_abort", phrase("FAILED", "USER_ABORT")),
        ("failed_timeout", phrase("FAILED", "TIMEOUT")),
        ("failed_remote_decline", phrase("FAILED", "REMOTE_DECLINE")),
        ("failed_unknown", phrase("FAILED", "UNKNOWN")),
        ("failed_remote_error", phrase("FAILED", "UNKNOWN")),
        ("pending", phrase("PENDING", "")),
    ] {
        let answer = open(&demo, &[]).await;
        let (checkout, _) = deeplink(&demo, &answer).await;
        let (status, _, page) = demo.browse(&checkout, PHONE).await;
        assert_eq!(status, 200);
        let selects = page.matches("name=\"result\"").count();
        assert_eq!(selects, 1, "one select[name=result]: {page}");
        assert!(page.contains("<select id=\"result\" name=\"result\">"), "{page}");
        assert!(page.contains("id=\"submitbutton\""), "{page}");
        assert!(page.contains(&format!("<option value=\"{result}\">")), "{page}");
        let form = [("result", result)];
        let reply = demo.http.post(&checkout).header("user-agent", PHONE);
        let reply = reply.header("content-type", "application/x-www-form-urlencoded");
        let reply = reply.body(encode(form)).send().await.expect("an answer");
        assert_eq!(reply.status(), 303, "{result}");
        let back = reply.headers()["location"].to_str().expect("text").to_owned();
        let (status, location, _) = demo.browse(&back, PHONE).await;
        assert_eq!((status, location), (302, home(&answer, "https://shop.example/return?")));
        // The return has asked Midtrans, so the PSP's question is answered at once.
        expect(&demo.status(&answer["TXID"]).await, &outcome);
    }
}

#[tokio::test]
async fn the_wallet_page_pays_with_the_right_pin_only() {
    let demo = Demo::start().await;
    let answer = open(&demo, &[]).await;
    let (checkout, _) = deeplink(&demo, &answer).await;
    let submit = async |wallet: &str, pin: &str, action: &str| {
        let body = encode([("wallet", wallet), ("pin", pin), ("action", action)]);
        let request = demo.http.post(&checkout).body(body);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(submit("verified", "000000", "pay").await, 200, "wrong PIN: try again");
    assert_eq!(submit("empty", "123456", "pay").await, 200, "no money: try again");
    assert_eq!(submit("verified", "", "decline").await, 303);
    assert_eq!(demo.status(&answer["TXID"]).await["STATUS"], "PENDING");
    assert_eq!(submit("verified", "123456", "pay").await, 303);
    demo.until_status(&answer["TXID"], "SUCCEEDED").await;
}

#[tokio::test]
async fn the_demo_shop_takes_a_shopper_through_and_back() {
    let demo = Demo::start().await;
    let bought = demo.http.post(format!("{}/shop/buy", demo.simulator)).send().await;
    let bought = bought.expect("an answer");
    assert_eq!(bought.status(), 303);
    let redirect = bought.headers()["location"].to_str().expect("text").to_owned();
    let (_, checkout, _) = demo.browse(&redirect, PHONE).await;
    let reply = demo.http.post(&checkout).body("result=succeeded").send().await.expect("answer");
    let back = reply.headers()["location"].to_str().expect("text").to_owned();
    let (_, shop, _) = demo.browse(&back, PHONE).await;
    let (status, _, page) = demo.browse(&shop, PHONE).await;
    assert_eq!(status, 200);
    for part in
        ["SUCCEEDED", "cs is right", "Rp\u{a0}134.000", "transientin.orderitems", "REDIRECTSECRET"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let txid = shop.split("txid=").nth(1).and_then(|rest| rest.split('&').next()).expect("a TXID");
    demo.until_notified(txid, 1).await;
    let order = format!("{}/shop/orders/{txid}", demo.simulator);
    for (amount, status, says) in [
        ("4000", 303, ""),
        ("ten", 200, "whole number"),
        ("130001", 200, "INPUT_DATA"),
        ("130000", 303, ""),
    ] {
        let call = demo.http.post(format!("{order}/refund")).body(format!("amount={amount}"));
        let reply = call.send().await.expect("an answer");
        assert_eq!(reply.status(), status, "{amount}");
        assert!(reply.text().await.expect("text").contains(says), "{amount}");
    }
    assert_eq!(demo.upstream(txid).await["refunded"], 134_000);
    let (_, _, page) = demo.browse(&order, PHONE).await;
    for part in
        ["the hash is right", "Rp\u{a0}134.000 given back", "merchantrefundid", "nothing goes back"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    // Another site's page buys nothing, and a stranger's name shows nothing.
    let buy = demo.http.post(format!("{}/shop/buy", demo.simulator));
    let foreign = buy.header("origin", "https://evil.example").send().await.expect("an answer");
    assert_eq!(foreign.status(), 403);
    let rebound = demo.http.get(&order).header("host", "evil.example").send().await;
    assert_eq!(rebound.expect("an answer").status(), 403);
}

// --- languages, browsers inside apps, and what has no way on ---------------------------------------

async fn browse_in(demo: &Demo, url: &str, agent: &str, language: &str) -> (u16, String, String) {
    let request =
        demo.http.get(url).header("user-agent", agent).header("accept-language", language);
    let answer = request.send().await.expect("a page");
    let refresh = answer.headers().get("refresh").map(|value| value.to_str().expect("text"));
    let refresh = refresh.unwrap_or_default().to_owned();
    (answer.status().as_u16(), refresh, answer.text().await.expect("text"))
}

#[tokio::test]
async fn each_page_speaks_one_language_that_the_browser_prefers() {
    let demo = Demo::start().await;
    let answer = open(&demo, &[]).await;
    for (language, tag, says, never) in [
        ("id-ID,id;q=0.9,en;q=0.8", "id", "Sisa waktu", "Time left"),
        ("en-US,en;q=0.9", "en", "Time left", "Sisa waktu"),
        ("nl", "en", "Time left", "Sisa waktu"),
    ] {
        let (status, refresh, page) =
            browse_in(&demo, &answer["REDIRECTURL"], DESKTOP, language).await;
        assert_eq!(status, 200);
        assert!(page.contains(&format!("<html lang=\"{tag}\">")), "{language}: {page}");
        assert!(page.contains(says) && !page.contains(never), "{language}: {page}");
        assert!(page.len() < 12_000, "{} bytes", page.len());
        // It looks again at an address that works after a form as well.
        let again = refresh.split_once(";url=").expect("an address").1;
        assert!(again.starts_with("/ti/gopay/"), "{refresh}");
        let (_, _, page) =
            browse_in(&demo, &format!("{}{again}", demo.adapter), DESKTOP, language).await;
        assert!(page.contains(says), "{language}: {page}");
    }
}

/// A computer cannot open the address of an app: it is told what is known instead.
#[tokio::test]
async fn who_cannot_be_led_to_the_shops_app_is_told_what_is_known() {
    let demo = Demo::start().await;
    for (actions, says, waits) in [
        (&["pay"][..], "GoPay has confirmed the payment", false),
        (&["deny"], "GoPay has declined the payment. Nothing was charged", false),
        (&["expire"], "GoPay says that nothing was charged", false),
        (&["cancel"], "Nothing was charged", false),
        (&["expire", "settle-late"], "GoPay has confirmed the payment", false),
        (&[], "GoPay has not confirmed the payment yet", true),
    ] {
        let answer = open(&demo, &[("merchantredirecturl", "shopapp://paid")]).await;
        let (_, back) = deeplink(&demo, &answer).await;
        for action in actions {
            demo.wallet(&answer["TXID"], action, json!({})).await;
        }
        let status = match actions {
            [] => "PENDING",
            ["pay"] | [_, "settle-late"] => "SUCCEEDED",
            _ => "FAILED",
        };
        demo.until_status(&answer["TXID"], status).await;
        let (code, refresh, page) = browse_in(&demo, &back, DESKTOP, "en").await;
        assert_eq!(code, 200, "{actions:?}");
        assert!(page.contains(says), "{actions:?}: {page}");
        assert_eq!(!refresh.is_empty(), waits, "{actions:?}");
        let shop = home(&answer, "shopapp://paid?");
        assert_eq!(link(&page, "Open the shop's app"), shop, "{actions:?}");
        let (code, location, _) = demo.browse(&back, PHONE).await;
        assert_eq!((code, location), (302, shop), "{actions:?}");
    }
}

#[tokio::test]
async fn the_call_chooses_the_language_if_the_pages_speak_it() {
    let demo = Demo::start().await;
    for (preferred, browser, tag) in [
        ("id", "en", "id"),
        ("ID-id", "en", "id"),
        ("en", "id", "en"),
        ("klingon", "id", "id"),
        ("", "id", "id"),
    ] {
        let answer = open(&demo, &[("preferredlanguage", preferred)]).await;
        let (_, _, page) = browse_in(&demo, &answer["REDIRECTURL"], DESKTOP, browser).await;
        assert!(page.contains(&format!("<html lang=\"{tag}\">")), "{preferred} {browser}: {page}");
    }
}

#[tokio::test]
async fn the_browser_inside_another_app_gets_a_button_and_a_way_out() {
    const FACEBOOK: &str = "Mozilla/5.0 (Linux; Android 13; SM-A536B; wv) AppleWebKit/537.36 Version/4.0 Chrome/110.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/402.1.0.24.84;]";
    const INSTAGRAM: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 270.0.0.13.83";
    let demo = Demo::start().await;
    let answer = open(&demo, &[]).await;
    let (checkout, _) = deeplink(&demo, &answer).await;
    let shop = home(&answer, "https://shop.example/return?");
    for (agent, out) in [(FACEBOOK, true), (INSTAGRAM, false)] {
        let (status, _, page) = demo.browse(&answer["REDIRECTURL"], agent).await;
        assert_eq!(status, 200, "{agent}");
        assert_eq!(link(&page, "Open the GoPay app"), checkout);
        assert_eq!(link(&page, "Back to the shop"), shop);
        assert_eq!(page.contains("href=\"intent://127.0.0.1"), out, "{page}");
        assert_eq!(page.contains("Open in browser"), !out, "{page}");
        assert!(page.len() < 6_000, "{} bytes", page.len());
    }
}

#[tokio::test]
async fn a_browser_that_goes_astray_gets_a_page_and_a_program_what_it_had() {
    let demo = Demo::start().await;
    for (path, status) in [("/", 405), ("/nothing", 404), ("/midtrans/notification", 405)] {
        let url = format!("{}{path}", demo.adapter);
        let page = demo.http.get(&url).header("accept", "text/html,*/*;q=0.8").send().await;
        let page = page.expect("a page");
        assert_eq!(page.status(), status, "{path}");
        assert_eq!(page.headers().get("allow").is_some(), status == 405, "{path}");
        assert!(page.headers()["content-security-policy"].to_str().is_ok());
        assert!(page.text().await.expect("text").contains("go back to the shop"), "{path}");
        let program = demo.http.get(&url).header("accept", "*/*").send().await.expect("an answer");
        assert_eq!(program.status(), status, "{path}");
        assert_eq!(program.text().await.expect("text"), "", "{path}");
    }
    for (path, kind) in [("/ti/gopay.css", "text/css"), ("/ti/gopay.svg", "image/svg+xml")] {
        for listener in [&demo.adapter, &demo.admin] {
            let url = format!("{listener}{path}?v=1");
            let answer = demo.http.get(url).send().await.expect("a file");
            let header = |name| answer.headers()[name].to_str().expect("text");
            assert!(header("content-type").starts_with(kind), "{listener}{path}");
            assert!(header("cache-control").contains("immutable"));
        }
    }
}

#[tokio::test]
async fn operators_are_led_to_the_console_and_told_of_nothing_that_is_elsewhere() {
    let served = Served::start(&with_operators("http://127.0.0.1:1/notify", &[])).await;
    let asked = async |path: &str| {
        let request = served.http.get(format!("{}{path}", served.admin));
        request.header("accept", "text/html").send().await.expect("an answer")
    };
    let root = asked("/").await;
    assert_eq!(
        (root.status().as_u16(), &root.headers()["location"]),
        (303, &HeaderValue::from_static("/console"))
    );
    for path in ["/nothing", "/console/nothing"] {
        let page = asked(path).await;
        assert_eq!(page.status(), 404, "{path}");
        let text = page.text().await.expect("a page");
        assert!(text.contains("href=\"/console\"") && !text.contains("the shop"), "{text}");
        // What it names is there, on this listener too.
        let sheet =
            text.split("stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!(asked(sheet.expect("a sheet")).await.status(), 200);
    }
}
