//! The simulator's commands: `simulate` and `trigger`, and what `demo` prints.

use super::*;

/// What `demo` prints can be pasted: the `curl` again and again, the address, and the commands.
#[test]
fn what_demo_prints_works_as_it_is() {
    let any = "127.0.0.1:0";
    let mut demo = Running(
        program()
            .args(["--log", "warn", "demo", "--listen", any, "--admin-listen", any])
            .args(["--simulator-listen", any])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts"),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines();
    let mut line = |begin: &str| {
        let mut all = lines.by_ref().map(|line| line.expect("text"));
        let found = all.find(|line| line.trim_start().starts_with(begin));
        found.unwrap_or_else(|| panic!("demo prints {begin:?}"))
    };
    let shell = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().expect("a shell");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let curl = line("curl");
    assert_eq!(line("STATUS").split_whitespace().last(), Some("PENDING"));
    let txid = line("TXID").split_whitespace().last().expect("a TXID").to_owned();
    let pay = line("pay it").split_whitespace().last().expect("an address").to_owned();
    assert!(get(&pay).contains("Pay with GoPay on your phone"), "{pay}");
    let paid = line("or ").trim_start().trim_start_matches("or ").to_owned();
    assert_eq!(shell(&paid), format!("{txid}: settlement, 134000 rupiah\n"));
    let read = line("read it").split_whitespace().nth(2).expect("an address").to_owned();
    assert!(get(&read).contains("transientin.orderitems"), "{read}");
    let explain = line("explain it").trim_start().trim_start_matches("explain it").to_owned();
    assert!(shell(&explain).starts_with(&format!("Transaction {txid}\n")), "{explain}");

    if Command::new("curl").arg("--version").output().is_err() {
        return gopay_testkit::not_tested("the curl that demo prints: curl is not installed");
    }
    let told = |answer: &str, key: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key} in {answer}")).to_owned()
    };
    let answers = [shell(&curl), shell(&curl)];
    for answer in &answers {
        assert_eq!(told(answer, "STATUS"), "PENDING");
        assert!(get(&told(answer, "REDIRECTURL")).contains("Rp\u{a0}10.000"), "{answer}");
    }
    for key in ["TXID", "MERCHANTTXID"] {
        assert_ne!(told(&answers[0], key), told(&answers[1], key));
    }
}

#[test]
fn trigger_brings_a_payment_to_any_end() {
    let (simulator, port) = simulate();
    let url = format!("http://127.0.0.1:{port}/");
    let trigger = |args: &[&str]| run(&[&["trigger", "--simulator", &url][..], args].concat());
    for (number, (steps, told)) in [
        (&[&["paid"][..]][..], "settlement, 10000 rupiah"),
        (&[&["declined"]], "deny, 10000 rupiah"),
        (&[&["expired"]], "expire, 10000 rupiah"),
        (&[&["late"]], "settlement, 10000 rupiah"),
        (&[&["declined"], &["late"]], "settlement, 10000 rupiah"),
        (&[&["paid"], &["refund"]], "refund, 10000 rupiah, 10000 refunded"),
        (
            &[&["paid"], &["refund", "--amount", "400"]],
            "partial_refund, 10000 rupiah, 400 refunded",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let order = format!("T-{number}");
        charge_at(port, &order);
        let mut ended = None;
        for step in steps {
            let (outcome, options) = step.split_first().expect("an outcome");
            let done = trigger(&[&[*outcome, &order][..], options].concat());
            assert_eq!((done.code, done.err.as_str()), (0, ""), "{step:?}: {done:?}");
            ended = Some(done.out);
        }
        assert_eq!(ended, Some(format!("{order}: {told}\n")));
    }
    let json = trigger(&["--json", "refund", "T-0", "--amount", "1"]);
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!((&json["order_id"], &json["refunded"]), (&"T-0".into(), &1.into()));
    for (args, code, why) in [
        (&["paid", "T-0"][..], 1, "T-0: the payment is partial_refund already\n"),
        (&["late", "T-0"], 1, "T-0: the payment is partial_refund already\n"),
        (&["late", "nobody"], 1, "nobody: no such transaction\n"),
        (&["refund", "T-0", "--amount", "0"], 1, "T-0: the amount is not between 1 and the 9999"),
        (&["clock", "yesterday"], 1, "advance is not a span"),
        (&["fault", "charge", "explode"], 1, "unknown variant `explode`"),
        (&["fault", "charge", "drop"], 1, "this action does not apply to what"),
        (
            &["fault", "charge", "drop", "--times", "often"],
            3,
            "--times: must be a number or `always`",
        ),
    ] {
        let ended = trigger(args);
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{args:?}: {ended:?}");
        assert!(ended.err.contains(why), "{args:?}: {ended:?}");
    }
    drop(simulator);
    let silent = trigger(&["paid", "T-0"]);
    assert_eq!(silent.code, 3, "{silent:?}");
    assert!(silent.err.contains("is `gopay-adapter simulate` or `demo` running?"), "{silent:?}");
}

#[test]
fn trigger_does_by_one_command_what_the_simulator_does_by_clicking() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("simulator.toml");
    // Nobody listens there: what counts is that it was sent.
    std::fs::write(&config, "notification_url = \"http://127.0.0.1:1/\"\n").expect("written");
    let (simulator, port) = simulate_with(&["--config", config.to_str().expect("text")]);
    let url = format!("http://127.0.0.1:{port}/");
    let ended =
        |args: &[&str]| run(&[&["trigger", "--simulator", &url, "--json"][..], args].concat());
    let trigger = |args: &[&str]| {
        let ended = ended(args);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}: {ended:?}");
        serde_json::from_str::<Value>(&ended.out).expect("JSON")
    };
    charge_at(port, "T-1");
    let queued = |answer: &Value| answer["notifications"]["queued"].as_u64().expect("a number");
    let notified = queued(&trigger(&["notify", "T-1"]));
    let forged = queued(&trigger(&["forge", "T-1"]));
    assert_eq!(forged, notified + 1);
    // There is a last one as soon as one was sent.
    found_blocking("one was sent", || (ended(&["repeat", "T-1"]).code == 0).then_some(()));
    assert!(queued(&trigger(&["repeat", "T-1"])) >= forged + 2);
    let spent = trigger(&["fault", "status", "{\"http\":{\"status\":503}}", "--times", "always"]);
    assert_eq!(spent["id"], 1);
    assert_eq!(trigger(&["fault", "charge", "lost_after", "--order", "T-2"])["id"], 2);
    assert_eq!(trigger(&["no-faults"])["cleared"], 2);
    trigger(&["paid", "T-1"]);
    assert_eq!(trigger(&["chargeback", "T-1", "--amount", "4000"])["charged_back"], 4_000);
    charge_at(port, "T-3");
    trigger(&["clock", "1h"]);
    let late = run(&["trigger", "--simulator", &url, "paid", "T-3"]);
    assert_eq!((late.code, late.err.as_str()), (1, "T-3: the payment is expire already\n"));
    drop(simulator);
}

#[tokio::main(flavor = "current_thread")]
async fn charge_at(port: u16, order: &str) {
    let body = serde_json::json!({
        "payment_type": "gopay",
        "transaction_details": {"order_id": order, "gross_amount": 10_000},
    });
    let url = format!("http://127.0.0.1:{port}/v2/charge");
    let call = client().post(url).basic_auth("SB-Mid-server-demo", Some("")).json(&body);
    let answer: Value = call.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["status_code"], "201", "{answer}");
}
