//! What is left of secrets in the memory of the running program.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use memchr::memmem;

use crate::support::served::{Served, hash_password};
use crate::support::wire::SERVER_KEY;

const PSP: (&str, &str, &str) = ("alpha", "a-password-to-be-forgotten", "A-1");

fn config() -> String {
    let (login, password, contract) = PSP;
    let hash = hash_password(password);
    format!(
        "[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
         [[client]]\nlogin = \"{login}\"\npassword_hash = \"{hash}\"\n\
         shared_secret = \"a-shared-secret\"\nnotification_secrets = [\"a-notification-secret\"]\n\
         [[contract]]\nid = \"{contract}\"\nclient = \"{login}\"\n\
         notification_url = \"https://psp.example/notify\"\n\
         redirect_url = \"https://shop.example/return\"\n"
    )
}

/// What stands before the bytes, wherever they are in what the process can write to.
fn in_memory(pid: u32, bytes: &[u8]) -> Vec<String> {
    const BEFORE: usize = 400;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the maps");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the memory of a child");
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().expect("a range"), words.next().expect("access"));
        let (from, until) = range.split_once('-').expect("a range");
        let [from, until] =
            [from, until].map(|at| u64::from_str_radix(at, 16).expect("hexadecimal"));
        let mut content = vec![0; usize::try_from(until - from).expect("it fits")];
        // Some are the kernel's, and some go while they are read.
        if !access.starts_with("rw") || memory.read_exact_at(&mut content, from).is_err() {
            continue;
        }
        for at in memmem::find_iter(&content, bytes) {
            let before = &content[at.saturating_sub(BEFORE)..at];
            found.push(String::from_utf8_lossy(before).into_owned());
        }
    }
    found
}

#[tokio::test]
async fn a_password_stays_in_what_its_connection_has_read_alone() {
    let served = Served::start(&config()).await;
    for number in 0..20 {
        let reference = format!("R-{number}");
        let opened = served.open_as(PSP, &[("merchanttxid", &reference)]).await;
        assert_eq!(opened["STATUS"], "PENDING");
        served.call_as(PSP, "GETTXSTATUS", &[("txid", &opened["TXID"])]).await;
        let wrong = (PSP.0, "a-wrong-password-to-be-forgotten", PSP.2);
        if number % 10 == 0 {
            served.call_as(wrong, "GETTXSTATUS", &[("txid", &opened["TXID"])]).await;
        }
    }
    for secret in [PSP.1, "a-wrong-password-to-be-forgotten"] {
        for before in in_memory(served.pid(), secret.as_bytes()) {
            // The server's buffer of the connection, which the next request overwrites.
            let read = before.contains(" HTTP/1.1\r\n") && before.contains("\r\n\r\n");
            assert!(read, "{secret} stands behind {before:?}");
        }
    }
    for secret in ["a-shared-secret", "a-notification-secret", SERVER_KEY] {
        let found = in_memory(served.pid(), secret.as_bytes());
        assert_eq!(found.len(), 1, "{secret} is kept once: {found:?}");
    }
}
