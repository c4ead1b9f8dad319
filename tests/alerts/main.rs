//! The alerts, the dashboard and the runbooks that are shipped, against the built program and Debian's
//! Prometheus. The part that waits for things to happen is in `alerts.py`.

use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deploy");

/// Whether these programs are there; where everything must be there, that they are not is a failure.
fn are_there(programs: &[&str]) -> bool {
    let runs = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    let Some(missing) = programs.iter().find(runs) else { return true };
    gopay_testkit::not_tested(&format!("{missing} is missing: the alerts"));
    false
}

fn run(command: &mut Command) -> String {
    let done = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn promtool_finds_no_fault_with_the_rules_and_their_tests_pass() {
    if !are_there(&["promtool"]) {
        return;
    }
    run(Command::new("promtool").current_dir(FOLDER).args([
        "check",
        "rules",
        "prometheus-rules.yml",
    ]));
    let tested = run(Command::new("promtool").current_dir(FOLDER).args([
        "test",
        "rules",
        "prometheus-rules.test.yml",
    ]));
    assert!(tested.contains("SUCCESS"), "{tested}");
}

#[test]
fn every_alert_has_a_runbook_and_a_test_and_every_runbook_an_alert() {
    let read = |path: &str| std::fs::read_to_string(format!("{FOLDER}/{path}")).expect(path);
    let (rules, tests) = (read("prometheus-rules.yml"), read("prometheus-rules.test.yml"));
    let operations = read("../OPERATIONS.md");
    let after = |text: &str, word: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(word));
        lines.map(str::to_owned).collect()
    };
    let alerts = after(&rules, "- alert: ");
    assert!(alerts.len() > 10, "{alerts:?}");
    let mut runbooks = after(&operations, "### Gopay");
    runbooks.iter_mut().for_each(|name| name.insert_str(0, "Gopay"));
    assert_eq!(alerts, runbooks, "in the same order");
    for alert in &alerts {
        let anchor = format!("docs/OPERATIONS.md#{}", alert.to_lowercase());
        assert!(rules.contains(&anchor), "{anchor}");
        let named = format!("alertname: {alert}");
        assert!(tests.matches(&named).count() >= 2, "{alert} fires and does not");
    }
}

#[test]
fn each_alert_fires_once_for_real_and_the_dashboard_is_answered() {
    if !are_there(&["prometheus", "promtool", "python3", "faketime"]) {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/alerts/alerts.py");
    let program = env!("CARGO_BIN_EXE_gopay-adapter");
    println!("{}", run(Command::new("python3").args([script, program, FOLDER])));
}
