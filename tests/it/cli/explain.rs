//! `explain`, beside a running `serve` and by itself.

use super::*;

#[test]
fn explain_needs_a_store_and_a_transaction() {
    let setup = Setup::new();
    let none = setup.run("explain", &["1"]);
    assert_eq!(none.code, 3, "{none:?}");
    assert!(!setup.store().exists(), "looking makes nothing");
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let unknown = setup.run("explain", &["1"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""), "{unknown:?}");
    assert!(unknown.err.contains("no transaction 1"), "{unknown:?}");
}

/// By a merchanttxid in any case, with and without the config's contracts, and by Midtrans' id.
fn explain_takes_any_id(setup: &Setup, txid: &str, simulator: u16, story: &str) {
    let url = format!("http://127.0.0.1:{simulator}/simulator/v1/transactions/{txid}");
    let held: Value = serde_json::from_str(&get(&url)).expect("JSON");
    let midtrans_id = held["transaction_id"].as_str().expect("an id");
    let store = format!("sqlite:{}", setup.store().display());
    for id in [txid, "order-explain-1", midtrans_id] {
        let by_store = run(&["explain", "--store", &store, id]);
        assert_eq!((by_store.code, by_store.err.as_str()), (0, ""), "{id}: {by_store:?}");
        assert_eq!(setup.run("explain", &[id]).out, by_store.out, "{id}");
        let header = |story: &str| story.lines().next().map(str::to_owned);
        assert_eq!(header(&by_store.out), header(story), "{id}");
        let json = setup.run("explain", &["--json", id]);
        let json: Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json[0]["transaction"]["txid"], *txid, "{id}");
        assert_eq!(json[0]["transaction"]["amount_sen"], 1_000_000, "{id}");
    }
    let none = setup.run("explain", &["ORDER-NOBODY"]);
    assert_eq!((none.code, none.out.as_str()), (1, ""), "{none:?}");
}

/// Control characters and direction marks are shown, not acted out.
fn nothing_from_outside_writes_lines_of_the_story(
    setup: &Setup,
    open: &impl Fn(&[(&str, &str)]) -> crate::support::Answer,
) {
    let forged = "\u{1b}[2J\n  state succeeded\u{202e}";
    let answer = open(&[("specin.dynamicdescriptor", forged), ("merchanttxid", "FORGED-1")]);
    for options in [&[][..], &["--json"]] {
        let told = setup.run("explain", &[options, &[&answer["TXID"]]].concat());
        assert_eq!(told.code, 0, "{told:?}");
        let acts = |char: char| char != '\n' && gopay_core::text::is_unprintable(char);
        assert!(!told.out.contains(acts), "{}", told.out);
        let lines =
            told.out.lines().filter(|line| line.trim_start().starts_with("state succeeded"));
        assert_eq!(lines.count(), 0, "{}", told.out);
        assert!(told.out.contains("202e"), "{}", told.out);
    }
}

#[test]
fn explain_beside_a_running_serve_masks_personal_data() {
    let setup = Setup::new();
    let (_simulator, port) = simulate();
    setup.write("sub/gopay.db", port);
    let mut serving = setup.serve();

    let personal = [
        ("accountholdername", "Kartini Wulandari"),
        ("specin.email", "wulandari@shopper.example"),
        ("specin.phone", "+6281377700099"),
        ("specin.billingaddrline1", "Jalan Melati 77"),
        ("specin.shippingaddrcity", "Purwokerto"),
        ("specin.unheard", "Kartini unheard"),
    ];
    let more =
        [("merchanttxid", "ORDER-EXPLAIN-1"), ("notificationurl", "https://psp.example/notify")];
    let open = |changes: &[(&str, &str)]| {
        let pairs = crate::support::example(&[&personal[..], &more[..], changes].concat());
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        post(setup.psp, crate::support::body("TRANSACTION", &pairs))
    };
    let good = open(&[]);
    assert_eq!(good["STATUS"], "PENDING", "{good:?}");
    let bad = open(&[("amount", "1000050")]);
    assert_eq!(bad["STATUS"], "FAILED", "{bad:?}");

    let story = setup.run("explain", &[&good["TXID"]]);
    assert_eq!((story.code, story.err.as_str()), (0, ""), "{story:?}");
    for part in [
        good["TXID"].as_str(),
        "ORDER-EXPLAIN-1",
        "testclient",
        "TESTCONTRACT",
        "amount=1000000",
        "pending",
        "\"gross_amount\":10000",
    ] {
        assert!(story.out.contains(part), "{part} in {}", story.out);
    }
    // A cause stands before what it led to.
    let sent = story.out.find("charge_sent").expect("the call");
    assert!(sent < story.out.find("\"charge_created\"").expect("the state"), "{}", story.out);
    explain_takes_any_id(&setup, &good["TXID"], port, &story.out);
    nothing_from_outside_writes_lines_of_the_story(&setup, &open);
    let refused = setup.run("explain", &[&bad["TXID"]]);
    assert_eq!(refused.code, 0, "{refused:?}");
    for part in [
        "failed",
        "INPUT_DATA",
        "amount_not_whole",
        "psp-guide",
        "amount=1000050 asked; the call was refused",
    ] {
        assert!(refused.out.contains(part), "{part} in {}", refused.out);
    }
    let secrets = ["test123", "secret-of-the-test", "SB-Mid-server-demo", "Laptop"];
    for hidden in personal.map(|(_, value)| value).iter().chain(&secrets) {
        for shown in [&story, &refused] {
            assert!(!shown.out.contains(hidden), "{hidden} in {}", shown.out);
        }
    }
    // Neither password nor cart are kept anywhere.
    for name in ["gopay.db", "gopay.db-wal"] {
        let bytes = std::fs::read(setup.folder.path().join("sub").join(name)).unwrap_or_default();
        let kept = String::from_utf8_lossy(&bytes);
        assert!(!kept.contains("test123") && !kept.contains("Laptop"), "{name}");
    }
    assert_eq!(setup.run("explain", &["999"]).code, 1);

    // A copy taken while it runs holds the payment, and never overwrites.
    let copy = setup.folder.path().join("copy.db");
    let copy = copy.to_str().expect("text");
    let first = setup.run("backup", &["--out", copy]);
    assert_eq!(first.code, 0, "{first:?}");
    let config = setup.folder.path().join("copy.toml");
    std::fs::write(&config, format!("[store]\nurl = \"sqlite:{copy}\"\n")).expect("written");
    let config = config.to_str().expect("text");
    let told = program().args(["explain", "--config", config, &good["TXID"]]).output();
    let told = String::from_utf8(told.expect("it runs").stdout).expect("text");
    assert_eq!(told, story.out);
    assert_eq!(setup.run("backup", &["--out", copy]).code, 3);

    // The store belongs to one process at a time.
    let second = Setup { psp: free_port(), admin: free_port(), ..Setup::new() };
    let theirs = std::fs::read_to_string(&setup.config).expect("text");
    let mine = theirs
        .replace(&format!(":{}\"", setup.psp), &format!(":{}\"", second.psp))
        .replace(&format!(":{}\"", setup.admin), &format!(":{}\"", second.admin));
    std::fs::write(&second.config, mine).expect("written");
    for command in ["serve", "migrate"] {
        let ended = second.run(command, &[]);
        assert_eq!(ended.code, 3, "{command}: {ended:?}");
        assert!(ended.err.contains("in use by"), "{command}: {ended:?}");
    }
    // And so do the addresses, which are told before the store is looked at.
    let ended = setup.run("serve", &[]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains(&format!("127.0.0.1:{}", setup.psp)), "{ended:?}");
    assert!(serving.0.try_wait().expect("a state").is_none(), "the first goes on");

    // Told to stop, it finishes and says that all is well; then the store is free.
    let pid = serving.0.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    assert!(told.success());
    assert_eq!(serving.0.wait().expect("it ends").code(), Some(0));
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let later = setup.run("explain", &[&good["TXID"]]);
    assert!(later.out.contains("ORDER-EXPLAIN-1"), "{later:?}");
}
