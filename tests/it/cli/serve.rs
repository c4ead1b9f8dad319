//! `serve`, `migrate` and `check-config`: configs, stores, ports, logs, signals.

use super::*;

#[test]
fn check_config_reports_every_problem_with_its_key() {
    let setup = Setup::new();
    let good = setup.run("check-config", &[]);
    assert_eq!(good.code, 0, "{good:?}");
    assert_eq!(good.out, format!("{}: valid\n", text(&setup.config)));
    // Receivers on this machine are a risk that a test takes, and is told about.
    assert!(good.err.contains("warning: delivery.allow_private: 127.0.0.0/8"), "{good:?}");
    let bad = r#"
        speed = 9
        [listen]
        psp = "here"
        pps = "127.0.0.1:1"
        [limits]
        session = "2h"
        [store]
        url = "postgres://localhost"
        [midtrans.test]
        base_url = "ftp://x"
        server_key = "env:GOPAY_TEST_NOT_SET"
        [[client]]
        login = "a"
        password_hash = "plain-password"
        shared_secret = "file:/nowhere/at/all"
        notification_secrets = []
        [[contract]]
        id = "C"
        client = "b"
        channels = ["testchannel", "livechannel"]
    "#;
    std::fs::write(&setup.config, bad).expect("written");
    let checked = setup.run("check-config", &[]);
    assert_eq!((checked.code, checked.out.as_str()), (1, ""), "{checked:?}");
    for key in [
        "speed: unknown key",
        "listen.psp: ",
        "listen.pps: unknown key",
        "limits.session: ",
        "store.url: ",
        "midtrans.test.base_url: ",
        "midtrans.test.server_key: ",
        "client \"a\".password_hash: ",
        "client \"a\".shared_secret: ",
        "client \"a\".notification_secrets: ",
        "contract \"C\".client: ",
        "contract \"C\".channels: ",
    ] {
        assert!(checked.err.contains(key), "{key} in {}", checked.err);
    }
    assert!(checked.err.lines().all(|line| line.contains("; valid: ")), "{}", checked.err);
    // A hash that is none may be the password itself.
    assert!(!checked.err.contains("plain-password"), "{}", checked.err);
    // All commands refuse it alike: the answer is "no".
    for command in ["serve", "migrate"] {
        let ended = setup.run(command, &[]);
        assert_eq!((ended.code, &ended.err), (1, &checked.err), "{command}");
    }
    let ended = setup.run("explain", &["1"]);
    assert_eq!((ended.code, &ended.err), (1, &checked.err));
    let translated = setup.run("translate", &[]);
    assert_eq!(translated.code, 1, "an invalid config is a \"no\" here, too: {translated:?}");
}

#[test]
fn what_check_config_calls_valid_is_what_serve_starts_with() {
    let setup = Setup::new();
    let good = std::fs::read_to_string(&setup.config).expect("text");
    let midtrans = "\"http://127.0.0.1:1\"";
    for (from, to, key) in [
        ("SB-Mid-server-demo", " SB-Mid-server-demo", "midtrans.test.server_key"),
        ("SB-Mid-server-demo", "SB-Mid-server-d\u{e9}mo", "midtrans.test.server_key"),
        ("SB-Mid-server-demo", "SB:Mid-server-demo", "midtrans.test.server_key"),
        (midtrans, "\"http://127.0.0.1:1/v2\"", "midtrans.test.base_url"),
        (midtrans, "\"http://user@127.0.0.1:1\"", "midtrans.test.base_url"),
        (midtrans, "\"http://127.0.0.1:1?a=b\"", "midtrans.test.base_url"),
    ] {
        std::fs::write(&setup.config, good.replacen(from, to, 1)).expect("written");
        for command in ["check-config", "serve"] {
            let ended = setup.run(command, &[]);
            assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{command}, {to}: {ended:?}");
            let lines: Vec<&str> = ended.err.lines().collect();
            assert_eq!(lines.len(), 1, "{command}, {to}: {ended:?}");
            assert!(lines[0].contains(&format!(": {key}: ")), "{command}, {to}: {ended:?}");
        }
    }
    // A line break at the end of a variable is not part of the key.
    std::fs::write(&setup.config, good.replace("SB-Mid-server-demo", "env:GOPAY_TEST_KEY"))
        .expect("written");
    let output = program()
        .args(["check-config", "--config", text(&setup.config)])
        .env("GOPAY_TEST_KEY", "SB-Mid-server-demo\n")
        .output()
        .expect("the program runs");
    assert_eq!(ended(&output).code, 0, "{output:?}");
}

#[test]
fn a_config_that_is_not_there_or_not_toml_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none.toml");
    for command in ["check-config", "serve", "migrate", "translate"] {
        let ended = run(&[command, "--config", text(&missing)]);
        assert!(matches!(ended.code, 1 | 3), "{command}: {ended:?}");
        assert!(ended.err.contains("none.toml") && ended.err.contains("No such file"), "{ended:?}");
        assert!(ended.out.is_empty(), "{ended:?}");
    }
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "[listen]\n\npsp = \n").expect("written");
    let ended = run(&["check-config", "--config", text(&broken)]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("line 3"), "{ended:?}");
    std::fs::write(&broken, [0xff, 0xfe]).expect("written");
    assert_eq!(run(&["check-config", "--config", text(&broken)]).code, 1);
    assert_eq!(run(&["check-config", "--config", text(folder.path())]).code, 1);
}

#[test]
fn migrate_makes_the_store_and_may_be_repeated() {
    let setup = Setup::new();
    let first = setup.run("migrate", &[]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.out.contains("schema version "), "{first:?}");
    assert!(setup.store().exists());
    let again = setup.run("migrate", &[]);
    assert_eq!((again.code, again.out), (0, first.out));
    // Something else under that name is not a store, and stays as it is.
    std::fs::write(setup.store(), "not a database, but somebody's text\n".repeat(100))
        .expect("written");
    for command in ["migrate", "serve"] {
        let ended = setup.run(command, &[]);
        assert_eq!(ended.code, 3, "{command}: {ended:?}");
        assert!(ended.err.contains("gopay.db"), "{ended:?}");
    }
    let kept = std::fs::read_to_string(setup.store()).expect("text");
    assert!(kept.starts_with("not a database"));
}

#[test]
fn a_store_that_cannot_be_written_is_an_error() {
    let setup = Setup::new();
    std::fs::write(setup.folder.path().join("file"), "").expect("written");
    // A file is no folder, whoever runs this; a folder is no file.
    std::fs::create_dir(setup.folder.path().join("folder")).expect("a folder");
    for store in ["file/gopay.db", "folder"] {
        setup.write(store, 1);
        for command in ["migrate", "serve"] {
            let ended = setup.run(command, &[]);
            assert_eq!(ended.code, 3, "{command}, {store}: {ended:?}");
            assert!(ended.err.contains(store), "{command}, {store}: {ended:?}");
        }
        let ended = setup.run("explain", &["1"]);
        assert_eq!(ended.code, 3, "{store}: {ended:?}");
    }
}

#[test]
fn serve_makes_no_store_in_the_place_of_one_that_went() {
    let setup = Setup::new();
    let refused = || {
        let ended = setup.run("serve", &[]);
        assert_eq!(ended.code, 3, "{ended:?}");
        for words in ["gopay.db holds no store", "store.url", "`gopay-adapter migrate`"] {
            assert!(ended.err.contains(words), "{words}: {ended:?}");
        }
    };
    refused();
    assert!(!setup.folder.path().join("sub").exists(), "not even the folder is made");
    assert_eq!(setup.run("migrate", &[]).code, 0);
    std::fs::remove_file(setup.store()).expect("it was there");
    refused();
    assert!(!setup.store().exists());
    std::fs::write(setup.store(), "").expect("written");
    refused();
    assert_eq!(std::fs::read(setup.store()).expect("it is there"), b"");
    drop(setup.serve());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let any = "127.0.0.1:0";
    for args in [
        &["simulate", "--listen", &address][..],
        &["demo", "--listen", &address, "--admin-listen", any, "--simulator-listen", any],
        &["demo", "--listen", any, "--admin-listen", &address, "--simulator-listen", any],
        &["demo", "--listen", any, "--admin-listen", any, "--simulator-listen", &address],
    ] {
        let ended = run(args);
        assert_eq!(ended.code, 3, "{args:?}: {ended:?}");
        assert!(ended.err.contains(&address), "{args:?}: {ended:?}");
        assert!(ended.out.is_empty(), "{args:?}: {ended:?}");
    }
}

#[test]
fn errors_are_told_whatever_is_logged() {
    let setup = Setup::new();
    for (args, told) in [
        (&["explain", "--config", text(&setup.config), "1"][..], "cannot open the store"),
        (&["translate", "--in", "/nowhere/at/all"], "cannot read /nowhere/at/all"),
        (&["hash-password"], "a password of 1 to 1024 bytes is wanted"),
        (&["simulate", "--config", "/nowhere/at/all"], "cannot read /nowhere/at/all"),
    ] {
        for log in ["off", "error", "trace"] {
            let ended = run(&[&["--log", log], args].concat());
            assert_eq!(ended.code, 3, "{args:?}: {ended:?}");
            assert_eq!(ended.err.matches(told).count(), 1, "{args:?}: {ended:?}");
        }
    }
}

#[test]
fn the_log_is_json_where_it_is_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = run(&["--log-format", "json", "simulate", "--listen", &address]);
    assert_eq!(ended.code, 3, "{ended:?}");
    for line in objects(&ended.err) {
        assert_eq!(line["level"], "ERROR", "{line}");
        let message = line["fields"]["message"].as_str().expect("text");
        assert!(message.contains(&address), "{line}");
    }
}

#[test]
fn a_worker_listens_for_operators_only_and_a_hangup_stops_nothing() {
    let setup = Setup::new();
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let child = program()
        .args(["--log", "warn", "serve", "--role", "worker", "--config", text(&setup.config)])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut worker = Running(child);
    wait_for(&format!("http://127.0.0.1:{}/health/ready", setup.admin));
    assert!(std::net::TcpStream::connect(("127.0.0.1", setup.psp)).is_err());
    let pid = worker.0.id().to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status().expect("kill runs");
    assert!(signal("-HUP").success());
    wait_for(&format!("http://127.0.0.1:{}/health/ready", setup.admin));
    assert!(worker.0.try_wait().expect("a state").is_none(), "it goes on");
}

#[test]
fn a_hangup_while_it_starts_ends_no_server() {
    use std::os::unix::process::ExitStatusExt as _;
    let setup = Setup::new();
    assert_eq!(setup.run("migrate", &[]).code, 0);
    let config = std::fs::read(&setup.config).expect("a config");
    // A config that is not there yet keeps the process in its first steps.
    let slow = setup.folder.path().join("slow.toml");
    let start = |command: &str| {
        let _ = std::fs::remove_file(&slow);
        rustix::fs::mkfifoat(rustix::fs::CWD, &slow, rustix::fs::Mode::RWXU).expect("a pipe");
        let child = program()
            .args(["--log", "warn", command, "--config", text(&slow)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let pipe = std::fs::OpenOptions::new().write(true).open(&slow).expect("it reads");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
        (Running(child), pipe)
    };
    let (mut server, mut pipe) = start("serve");
    pipe.write_all(&config).expect("taken");
    drop(pipe);
    wait_for(&format!("http://127.0.0.1:{}/health/ready", setup.admin));
    assert!(server.0.try_wait().expect("a state").is_none(), "it goes on");
    // What serves nothing ends by it.
    let (mut check, _pipe) = start("check-config");
    let ended = check.0.wait().expect("it ends");
    assert_eq!(ended.signal(), Some(1), "{ended:?}");
}

#[test]
fn only_the_owner_may_read_what_holds_payments() {
    use std::os::unix::fs::PermissionsExt as _;
    let setup = Setup::new();
    let _serving = setup.serve();
    let copy = setup.folder.path().join("sub/copy.db");
    assert_eq!(setup.run("backup", &["--out", text(&copy)]).code, 0);
    let mut seen = 0;
    for entry in std::fs::read_dir(setup.folder.path().join("sub")).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("known").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{entry:?}");
        seen += 1;
    }
    assert!(seen >= 4, "store, write-ahead log, lock and copy: {seen}");
}

#[test]
fn check_config_online_says_whether_midtrans_takes_the_key() {
    let setup = Setup::new();
    let (simulator, port) = simulate();
    setup.write("gopay.db", port);
    let good = setup.run("check-config", &["--online"]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.ends_with(": valid\n"), "{good:?}");

    let config = std::fs::read_to_string(&setup.config).expect("text");
    let other = config.replace("SB-Mid-server-demo", "SB-Mid-server-other");
    std::fs::write(&setup.config, other).expect("written");
    assert_eq!(setup.run("check-config", &[]).code, 0, "a key of the right form");
    let refused = setup.run("check-config", &["--online"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    let said = "midtrans.test.server_key: Midtrans does not take it (refused 401";
    assert!(refused.err.contains(said), "{refused:?}");

    drop(simulator);
    let silent = setup.run("check-config", &["--online"]);
    assert_eq!((silent.code, silent.out.as_str()), (1, ""), "{silent:?}");
    let said = "midtrans.test.base_url: no answer that says whether the key is taken";
    assert!(silent.err.contains(said), "{silent:?}");
}
