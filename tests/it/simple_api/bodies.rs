//! Bodies: how they are sent and encoded, how long and how many they are.

use super::*;

#[tokio::test]
async fn a_line_break_behind_the_body_changes_nothing() {
    let demo = Demo::start().await;
    for end in ["\n", "\r\n"] {
        let (status, text) = demo.post(format!("{PUBLISHED}{end}")).await;
        assert_eq!((status, decode(&text)["STATUS"].as_str()), (200, "PENDING"), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_form_is_told_what_it_is() {
    let demo = Demo::start().await;
    for (query, body, message) in [
        ("", PUBLISHED.replace('&', "&amp;"), "body: pairs are joined by &amp;"),
        ("", r#"{"txtype":"TRANSACTION"}"#.to_owned(), "body: JSON instead of a form"),
        (
            "",
            "--x\r\nContent-Disposition: form-data; name=\"txtype\"\r\n\r\nTRANSACTION\r\n--x--"
                .to_owned(),
            "body: multipart instead of a form",
        ),
        (PUBLISHED, String::new(), "body: parameters are in the query of the address"),
        (
            "login=testclient",
            PUBLISHED.replace("login=testclient&", ""),
            "body: parameters are in the query of the address",
        ),
        ("", String::new(), "Invalid returnmode, must be urlencodeext"),
    ] {
        let url = format!("{}/?{query}", demo.adapter);
        let reply = demo.http.post(url).body(body.clone()).send().await.expect("an answer");
        assert_eq!(reply.status(), 200);
        let text = reply.text().await.expect("text");
        let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
        let answer: std::collections::BTreeMap<String, String> = pairs.collect();
        assert!(answer["ERRMSG"].starts_with(message), "{body}: {answer:?}");
        assert_eq!((answer["STATUS"].as_str(), answer["TXID"].as_str()), ("FAILED", "0"));
    }
    let url = format!("{}/?source=cron", demo.adapter);
    let reply = demo.http.post(url).body(PUBLISHED).send().await.expect("an answer");
    assert!(
        reply.text().await.expect("text").contains("STATUS=PENDING"),
        "any other query is fine"
    );
}

#[tokio::test]
async fn transport() {
    let demo = Demo::start().await;
    let root = format!("{}/", demo.adapter);
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"] {
        let method: reqwest::Method = method.parse().expect("a method");
        let answer = demo.http.request(method.clone(), &root).send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.headers()["allow"], "POST", "{method}");
    }
    let answer = demo.http.post(&root).body(PUBLISHED).send().await.expect("an answer");
    assert_eq!(
        answer.headers()["content-type"],
        "application/x-www-form-urlencoded; charset=UTF-8"
    );
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let request = demo.http.post(&root).header("content-type", kind).body(PUBLISHED);
        let text = request.send().await.expect("an answer").text().await.expect("text");
        assert_eq!(strict(&text).1["STATUS"], "PENDING", "{kind}");
    }
    let body = format!("{PUBLISHED}&filler=");
    let exact = format!("{body}{}", "x".repeat(262_144 - body.len()));
    let (status, text) = demo.post(exact.clone()).await;
    assert_eq!((status, strict(&text).1["STATUS"].as_str()), (200, "PENDING"));
    let (status, text) = demo.post(format!("{exact}x")).await;
    assert_eq!(status, 413);
    let (_, answer) = strict(&text);
    expect(&answer, &[("STATUS", "FAILED"), ("TXID", "0"), ("FAILREASON", "INPUT_DATA")]);
    assert!(answer["ERRMSG"].starts_with("body: "), "{answer:?}");
    let again = demo.transaction(&[]).await;
    assert_eq!(again["STATUS"], "PENDING", "the next call is not affected");
}

/// Most clients read an answer only after they have sent all; a connection that is closed before
/// loses it.
#[tokio::test]
async fn a_body_that_is_far_too_long_is_answered_all_the_same() {
    let demo = Demo::start().await;
    let far = "x".repeat(2_000_000);
    for _ in 0..50 {
        let sent = demo.http.post(format!("{}/", demo.adapter)).body(far.clone()).send().await;
        let answer = sent.expect("an answer, not a dropped connection");
        assert_eq!(answer.status(), 413);
        strict(&answer.text().await.expect("text"));
    }
}

#[tokio::test]
async fn odd_encodings_are_read_as_the_guide_says() {
    let demo = Demo::start().await;
    let base = transaction(&[]);
    let name = "accountholdername=Siti%20Rahma";
    assert!(base.contains(name));
    // Other ways to write the same.
    for body in [
        base.replace(name, "accountholdername=Siti+Rahma"),
        base.replace(name, "%61ccountholdername=Siti%20Rahm%61"),
        base.replace(name, "accountholdername=Siti Rahma"),
        base.replace(name, "accountholdername=Sit\u{ed}+Rahma"),
        base.replace(name, "accountholdername=a=b=c"),
        base.replace('&', "&&&"),
        format!("{}{base}", "&".repeat(10_000)),
        format!("{base}&"),
        format!("{base}&unknown"),
        format!("{base}&{}=1", "k".repeat(100_000)),
        format!("{base}&specin.{}=1", "k".repeat(100_000)),
        format!("{base}&unknown={}", "v".repeat(200_000)),
    ] {
        let shown: String = body.chars().take(200).collect();
        assert_eq!(send(&demo, body).await.1["STATUS"], "PENDING", "{shown}");
    }
    // Faults of one parameter: named, recorded.
    let amount = "amount=1000000";
    for (from, to, subject) in [
        (amount, "amount=%", "amount"),
        (amount, "amount=%1", "amount"),
        (amount, "amount=%zz", "amount"),
        (amount, "amount=1000000%00", "amount"),
        (amount, "amount=1000000&amount=1000000", "amount"),
        (amount, "amount=1000000&%61mount=1000000", "amount"),
        (name, "accountholdername=%ff%fe%fd", "accountholdername"),
        (name, "accountholdername=%c0%80abc", "accountholdername"),
        (name, "accountholdername=%ed%a0%80abc", "accountholdername"),
        (name, "accountholdername=abc%00", "accountholdername"),
        (amount, "amount=1000000&foo=1&foo=1", "unknown parameter 2"),
        (amount, "amount=1000000&foo=%", "unknown parameter 1"),
        (amount, "amount=1000000&f%ffo=1", "unknown parameter 1"),
    ] {
        let (_, answer) = send(&demo, base.replace(from, to)).await;
        assert_eq!(answer["FAILREASON"], "INPUT_DATA", "{to}: {answer:?}");
        assert!(answer["ERRMSG"].starts_with(&format!("{subject}: ")), "{to}: {answer:?}");
        let kept = demo.status(&answer["TXID"]).await;
        assert_eq!(kept["ERRMSG"], answer["ERRMSG"], "{to}");
    }
    let latin = base.replace(name, "accountholdername=Sit?+Rahma").into_bytes();
    let latin: Vec<u8> =
        latin.into_iter().map(|byte| if byte == b'?' { 0xed } else { byte }).collect();
    let (_, answer) = send(&demo, latin).await;
    assert!(answer["ERRMSG"].starts_with("accountholdername: not UTF-8"), "{answer:?}");
    // Faults of the envelope: named, and no transaction is made.
    for (from, to, subject) in [
        ("password=test123", "password=test123&password=test123", "password: "),
        ("contractid=TESTCONTRACT", "contractid=%ff", "contractid: "),
        ("login=testclient", "login=testclient%00", "login: "),
        ("returnmode=urlencodeext", "returnmode=%", "returnmode: "),
        ("txtype=TRANSACTION", "txtype=TRANSACTION&txtype=REFUND", "txtype: "),
    ] {
        let (_, answer) = send(&demo, base.replace(from, to)).await;
        assert_eq!(answer["TXID"], "0", "{to}: {answer:?}");
        assert!(answer["ERRMSG"].starts_with(subject), "{to}: {answer:?}");
    }
    // No form at all.
    let bytes: Vec<u8> = (0..=255).collect();
    let utf16: Vec<u8> = base.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let none = ["", "&", "=", "%", "\0", "{\"txtype\":\"TRANSACTION\"}", "&=&=&%&", ";"];
    let none = none.into_iter().map(|text| text.as_bytes().to_vec());
    let equals = "=".repeat(200_000).into_bytes();
    for body in none.chain([bytes, utf16, equals, base.replace('&', ";").into_bytes()]) {
        let (_, answer) = send(&demo, body).await;
        expect(&answer, &[("STATUS", "FAILED"), ("TXID", "0"), ("FAILREASON", "INPUT_DATA")]);
    }
}

#[tokio::test]
async fn the_number_of_parameters_is_bounded() {
    let demo = Demo::start().await;
    let numbered = |start: &str, count: usize| -> String {
        (0..count).map(|number| format!("&{start}{number}=1")).collect()
    };
    let base = transaction(&[]);
    let sent = base.split('&').count();
    for (body, subject) in [
        (format!("{base}{}", numbered("specin.x", 29)), ""),
        (format!("{base}{}", numbered("specin.x", 30)), "body: "),
        (format!("{base}{}", numbered("x", 200 - sent)), ""),
        (format!("{base}{}", numbered("x", 201 - sent)), "body: "),
        (format!("{base}{}", numbered("x", 5_000)), "body: "),
    ] {
        let (_, answer) = send(&demo, body).await;
        if subject.is_empty() {
            assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
            continue;
        }
        assert!(answer["ERRMSG"].starts_with(subject), "{answer:?}");
        // PPRO: only severe errors, such as failed authentication, have no transaction. Here the
        // credentials stand in front and are right.
        assert_ne!(answer["TXID"], "0", "{answer:?}");
    }
}

#[tokio::test]
async fn what_shoppers_are_called_is_neither_answered_nor_logged() {
    let demo = Logged::start("trace,hyper=info,h2=info");
    let personal = PERSONAL;
    let secrets = ["test123", "examplesharedsecret", "examplenotificationsecret"];
    let mut answers = String::new();
    let opened = demo.post(transaction(&personal)).await;
    assert!(opened.starts_with("STATUS=PENDING"), "{opened}");
    // Each once more with a fault in it: line breaks, no UTF-8, too long, wrong form.
    for (name, value) in personal {
        for bad in [format!("{value}\n"), value.repeat(30), format!("{value}/\0")] {
            answers.push_str(&demo.post(transaction(&[(name, &bad)])).await);
            answers.push('\n');
        }
        let twice = format!("{}&{}", transaction(&personal), encode([(name, value)]));
        answers.push_str(&demo.post(twice).await);
        answers.push('\n');
    }
    let txid = decode(&opened)["TXID"].clone();
    let cancel = [("txid", txid.as_str()), ("specin.email", "else@shopper.example")];
    answers.push_str(&demo.post(body("CANCELTX", &cancel)).await);
    let answered = answers.clone() + &opened;
    let log = demo.end();
    assert!(log.contains(&txid), "the log is that of this run");
    assert!(!log.contains("panicked") && !log.contains("a bug"), "{log}");
    let pieces = || pieces().chain(["else@shopper".to_owned()]);
    assert_without("the log", log.as_bytes(), pieces());
    assert_without("an answer", answered.as_bytes(), pieces());
    assert_without("the log", log.as_bytes(), secrets.map(str::to_owned));
}

#[tokio::test]
async fn a_flood_of_odd_calls_leaves_no_trace_but_its_records() {
    let demo = Demo::start().await;
    let before: Value = demo.totals().await;
    let base = transaction(&[]);
    // Cut a good call at every place: each piece is answered, and none of them is a payment.
    for end in 0..base.len() {
        let piece = base.get(..end).expect("ASCII").to_owned();
        let (_, answer) = send(&demo, piece.clone()).await;
        assert_eq!(answer["STATUS"], "FAILED", "{piece}");
    }
    let after = demo.totals().await;
    assert_eq!(after["succeeded_sen"], before["succeeded_sen"]);
    assert_eq!(demo.all_upstream().await.len(), 0);
}
