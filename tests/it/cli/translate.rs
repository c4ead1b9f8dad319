//! `translate`: offline, over lines of form bodies.

use super::*;

/// Translates lines that come in two parts, a while apart; what standard error is told.
fn translated_slowly(error: Stdio) -> std::process::Child {
    let mut child = program()
        .args(["translate", "--out", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(error)
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let part = format!("{GOOD}\n").repeat(4_096);
    std::thread::spawn(move || {
        for _ in 0..2 {
            stdin.write_all(part.as_bytes()).expect("it reads");
            std::thread::sleep(std::time::Duration::from_millis(400));
        }
    });
    child
}

#[test]
fn long_work_says_how_far_it_is_to_a_terminal_and_to_nobody_else() {
    use rustix::pty;
    let terminal = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).expect("a pty");
    pty::grantpt(&terminal).and_then(|()| pty::unlockpt(&terminal)).expect("a pty");
    let name = pty::ptsname(&terminal, Vec::new()).expect("a name");
    let side = std::fs::OpenOptions::new().write(true).open(name.to_str().expect("text"));
    let mut child = translated_slowly(side.expect("opened").into());
    assert!(child.wait().expect("it ends").success());
    let mut shown = vec![0; 4_096];
    let mut terminal = std::fs::File::from(terminal);
    let read = terminal.read(&mut shown).expect("what it told");
    let shown = String::from_utf8_lossy(&shown[..read]).into_owned();
    assert!(shown.contains(" bytes, ") && shown.contains(" in a second"), "{shown:?}");

    let quiet = translated_slowly(Stdio::piped()).wait_with_output().expect("it ends");
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{quiet:?}");
}

#[test]
fn translate_gives_a_line_for_each_line() {
    let mut input = Vec::new();
    for line in [
        GOOD.as_bytes(),
        b"",
        b"  ",
        b"\xff\xfe\x00\x01",
        b"tag=%ff&amount=%",
        b"{\"tag\":\"gopay\"}",
        b"txtype=REFUND&txid=1",
        b"txtype=TRANSACTION",
    ] {
        input.extend_from_slice(line);
        input.extend_from_slice(b"\r\n");
    }
    input.extend_from_slice(&b"a".repeat(1_000_000));
    input.push(b'\n');
    // The last one has no end of line.
    input.extend_from_slice(GOOD.as_bytes());
    let ended = fed(&["--log", "trace", "translate"], &input);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.ends_with("}\n"));
    let lines = objects(&ended.out);
    assert_eq!(lines.len(), 10);
    for (at, line) in lines.iter().enumerate() {
        let object = line.as_object().expect("an object");
        assert_eq!(object.len(), 1, "{line}");
        if matches!(at, 0 | 9) {
            let charge = &line["charge"];
            assert_eq!(charge["transaction_details"]["gross_amount"], 10_000);
            assert_eq!(charge["transaction_details"]["order_id"], (at + 1).to_string());
            continue;
        }
        let rejected = line["rejected"].as_array().expect("rejections");
        assert_eq!(rejected.len(), 1, "the first fault only: {line}");
        let keys: BTreeSet<&str> =
            rejected[0].as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["field", "got", "rule", "source", "wanted"].into());
    }
    assert_eq!(lines[6]["rejected"][0]["field"], "txtype");
    assert_eq!(lines[8]["rejected"][0]["rule"], "body_too_long");
    assert_eq!(fed(&["translate"], b"").out, "", "nothing in, nothing out");
}

#[test]
fn translate_explains_every_fault_without_personal_data() {
    let body = "channel=prod&tag=ovo&amount=10.5&accountholdername=Li&specin.email=kartini-at-shopper&specin.phone=081377700099&specin.billingaddrcity=Purwokerto%0ABarat&transientin.orderitems=%5B%7B%22name%22%3A%22Melati%22%2C%22price%22%3A1%7D%5D";
    let first = fed(&["translate"], body.as_bytes());
    assert_eq!(objects(&first.out)[0]["rejected"].as_array().map(Vec::len), Some(1));
    let ended = fed(&["translate", "--explain"], body.as_bytes());
    assert_eq!(ended.code, 0, "{ended:?}");
    let line = objects(&ended.out).remove(0);
    let rejected = line["rejected"].as_array().expect("rejections");
    let rules: Vec<(&str, &str)> = rejected
        .iter()
        .map(|one| (one["field"].as_str().expect("text"), one["rule"].as_str().expect("text")))
        .collect();
    assert_eq!(
        rules,
        [
            ("returnmode", "returnmode"),
            ("txtype", "txtype"),
            ("login", "missing"),
            ("password", "missing"),
            ("contractid", "missing"),
            ("channel", "must_be"),
            ("tag", "must_be"),
            ("countrycode", "missing"),
            ("currency", "missing"),
            ("amount", "amount_form"),
            ("accountholdername", "too_short"),
            ("specin.email", "email_form"),
            ("specin.phone", "phone_form"),
            ("specin.billingaddrcity", "line_break"),
            ("transientin.orderitems[0].price", "price_type"),
            ("transientin.orderitems[0].quantity", "member_missing"),
        ]
    );
    assert_eq!(rejected[5]["got"], "prod");
    for one in rejected {
        let full = |key: &str| one[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(full("wanted") && full("source"), "{one}");
    }
    for personal in ["kartini", "0813777", "Purwokerto", "Melati"] {
        assert!(!ended.out.contains(personal) && !ended.err.contains(personal), "{ended:?}");
    }
}

#[test]
fn translate_takes_files_and_the_rules_of_a_contract() {
    let setup = Setup::new();
    let (input, output) = (setup.folder.path().join("in"), setup.folder.path().join("out"));
    // 1,000,001.00 and 3,000.00 rupiah, two of each.
    let dear = GOOD.replace("amount=1000000", "amount=200600200");
    let dear = dear.replace("2000.00", "1000001.00");
    let dear = format!("{dear}&notificationurl=https%3A%2F%2Fpsp.example%2F");
    let told = format!("{GOOD}&notificationurl=https%3A%2F%2Fpsp.example%2F");
    let live = told.replace("testchannel", "livechannel");
    let long = format!("{told}&unknown={}", "x".repeat(8_192));
    let lines = [&dear, GOOD, &told, &live, &long].map(|line| format!("{line}\n"));
    std::fs::write(&input, lines.concat()).expect("written");
    let files = ["--in", text(&input), "--out", text(&output)];
    let open = run(&[&["translate"][..], &files].concat());
    assert_eq!((open.code, open.out.as_str()), (0, ""), "{open:?}");
    let first = objects(&std::fs::read_to_string(&output).expect("text"));
    let charged = |line: &Value| line.get("charge").is_some();
    assert!(first.iter().all(charged), "without a contract all is allowed: {first:#?}");

    let held = setup.run("translate", &[&["--contract", "TESTCONTRACT"][..], &files].concat());
    assert_eq!(held.code, 0, "{held:?}");
    let lines = objects(&std::fs::read_to_string(&output).expect("text"));
    let fault = |line: &Value| {
        let one = &line["rejected"][0];
        format!("{} {}", one["field"].as_str().unwrap_or(""), one["rule"].as_str().unwrap_or(""))
    };
    assert_eq!(fault(&lines[0]), "amount amount_needs_kyc");
    assert_eq!(fault(&lines[1]), "notificationurl missing", "the contract has no address");
    assert!(charged(&lines[2]), "{}", lines[2]);
    assert_eq!(lines[2]["charge"]["custom_expiry"]["expiry_duration"], 1_800);
    assert_eq!(fault(&lines[3]), "channel channel_not_in_contract");
    assert_eq!(fault(&lines[4]), "body body_too_long");

    let unknown = setup.run("translate", &["--contract", "OTHER", "--in", text(&input)]);
    assert_ne!(unknown.code, 0, "{unknown:?}");
    assert!(unknown.err.contains("OTHER") && unknown.out.is_empty(), "{unknown:?}");
    let missing = setup.folder.path().join("none/none");
    for args in [["--in", text(&missing)], ["--out", text(&missing)], ["--in", "/"]] {
        let ended = fed(&[&["translate"][..], &args].concat(), GOOD.as_bytes());
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{args:?}: {ended:?}");
    }
}

#[test]
fn translate_goes_on_for_thousands_of_lines() {
    const LINES: usize = 5_000;
    let input: String = (0..LINES)
        .map(|number| if number % 5 == 0 { "channel=x\n".to_owned() } else { format!("{GOOD}\n") })
        .collect();
    let ended = fed(&["translate", "--progress"], input.as_bytes());
    assert_eq!(ended.code, 0);
    let (mut charges, mut rejected) = (0, 0);
    for (at, line) in ended.out.lines().enumerate() {
        if line.starts_with("{\"charge\":") {
            assert!(line.contains(&format!("\"order_id\":\"{}\"", at + 1)), "{line}");
            charges += 1;
        } else {
            assert!(line.starts_with("{\"rejected\":"), "{line}");
            rejected += 1;
        }
    }
    assert_eq!((charges, rejected), (LINES * 4 / 5, LINES / 5));
    assert!(ended.err.contains("5000 lines, 1000 rejected"), "{}", ended.err);
}

#[test]
fn translate_stops_quietly_when_nobody_reads_on() {
    let mut child = program()
        .arg("translate")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let line = format!("{GOOD}\n");
    // Far more than pipes and buffers hold; the writing ends when the program does.
    let feeding = std::thread::spawn(move || while stdin.write_all(line.as_bytes()).is_ok() {});
    let mut out = child.stdout.take().expect("piped");
    let mut beginning = [0; 64];
    out.read_exact(&mut beginning).expect("output");
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("fed");
    let ended = ended(&output);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
}
