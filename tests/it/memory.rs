//! What is left of secrets in the memory of the running program.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use memchr::memmem;

use crate::support::served::{Served, hash_password};
use crate::support::wire::SERVER_KEY;
use crate::support::{Answer, body_as, decode, example};
use gopay_psp_client::Credentials;

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

/// Threads that handle calls and notifications.
fn workers(pid: u32) -> usize {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads");
    let names = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("comm")));
    names.flatten().filter(|name| name.starts_with("tokio")).count()
}

/// Sends a call as a client that says much of itself, so that what it read stays known by its head.
async fn call(served: &Served, password: &str, txtype: &str, pairs: &[(&str, &str)]) -> Answer {
    let body = body_as(&Credentials::new(PSP.0, password, PSP.2), txtype, pairs);
    let request =
        served.http.post(format!("{}/", served.adapter)).header("x-head", HEAD.repeat(64));
    let answer = request.body(body).send().await.expect("an answer");
    decode(&answer.text().await.expect("text"))
}

/// Stands in heads only.
const HEAD: &str = "head-of-a-request";

#[tokio::test]
async fn a_password_stays_in_what_its_connection_has_read_alone() {
    const WRONG: &str = "a-wrong-password-to-be-forgotten";
    let wiping = [("_RJEM_MALLOC_CONF", "junk:free")];
    let served = Served::start_under(&wiping, &config()).await;
    for number in 0..40 {
        let reference = format!("R-{number}");
        let order = example(&[("merchanttxid", &reference)]);
        let order: Vec<_> =
            order.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let opened = call(&served, PSP.1, "TRANSACTION", &order).await;
        assert_eq!(opened["STATUS"], "PENDING", "{opened:?}");
        let status = [("txid", opened["TXID"].as_str())];
        call(&served, PSP.1, "GETTXSTATUS", &status).await;
        if number % 20 == 0 {
            call(&served, WRONG, "GETTXSTATUS", &status).await;
        }
    }
    for secret in [PSP.1, WRONG] {
        for before in in_memory(served.pid(), secret.as_bytes()) {
            // The server's buffer of a connection, which the next request overwrites.
            assert!(before.contains(HEAD), "{secret} stands behind {before:?}");
        }
    }
    for secret in ["a-shared-secret", "a-notification-secret", SERVER_KEY] {
        let found = in_memory(served.pid(), secret.as_bytes());
        // One is in use; a signature that was checked leaves another on the stack of its thread.
        let most = 1 + workers(served.pid());
        assert!((1..=most).contains(&found.len()), "{secret} is kept: {found:?}");
    }
}
