//! The client against a server that answers as it is told.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use gopay_psp_client::http::{Client, SendError};
use gopay_psp_client::{Credentials, GetTxStatus, StatusAnswer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn client(url: String) -> Client {
    // A second test of the process finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    Client::new(http.build().unwrap(), url, Credentials::new("l", "p", "c"))
}

fn question() -> GetTxStatus {
    GetTxStatus { tx_id: "7".parse().unwrap() }
}

/// Asks a server that answers once with these bytes; the outcome, and the request as it came.
async fn ask(answer: &'static str) -> (Result<StatusAnswer, SendError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        while !request.ends_with("&txid=7") {
            let mut bytes = [0; 1_024];
            let count = stream.read(&mut bytes).await.unwrap();
            request.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    let outcome = client(url).send(&question()).await;
    (outcome, server.await.unwrap())
}

#[tokio::test]
async fn an_answer_is_read_whatever_the_status() {
    let (outcome, request) = ask(
        "HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\nREQUESTSTATUS=FAILED&REQUESTFAILREASON=SYSTEM_ERROR&STATUS=FAILED&TXID=0&ERRMSG=busy",
    )
    .await;
    let StatusAnswer::Failed(failure) = outcome.unwrap() else { panic!("{request}") };
    assert!(failure.ask_again());
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.contains("txtype=GETTXSTATUS&login=l&password=p&contractid=c"), "{request}");
}

#[tokio::test]
async fn what_never_left_is_told_from_what_may_have_arrived() {
    for (answer, status) in [
        ("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n<html>", Some(502)),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\nconnection: close\r\n\r\n",
            Some(302),
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\nSTATUS=", None),
        ("", None),
    ] {
        let error = ask(answer).await.0.unwrap_err();
        assert!(error.may_have_arrived(), "{error:?}");
        match (error, status) {
            (SendError::Unreadable { status, .. }, Some(expected)) => assert_eq!(status, expected),
            (SendError::OutcomeUnknown(_), None) => {}
            (error, _) => panic!("{answer:?}: {error:?}"),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = client(url).send(&question()).await.unwrap_err();
    assert!(!error.may_have_arrived(), "{error:?}");
}
