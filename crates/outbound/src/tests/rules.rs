//! Requests and answers, what may have been seen, and who may be called.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::peer::{Peer, peer};
use super::*;

async fn ask(behaviour: Peer, timeout: Duration) -> Vec<Result<Incoming, TransportError>> {
    let mut answers = Vec::new();
    for transport in under(AddressPolicy::any()) {
        let (address, _) = peer(behaviour).await;
        let request = Outgoing { timeout, ..get(format!("http://{address}/")) };
        answers.push(transport.send(request).await);
    }
    answers
}

#[tokio::test]
async fn a_request_arrives_as_it_was_given_and_connections_are_kept() {
    for transport in under(AddressPolicy::any()) {
        let (address, seen) =
            peer(Peer::Answers("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")).await;
        let request = Outgoing {
            method: Method::Post,
            headers: vec![("X-Some", "value".into()), ("content-type", "text/plain".into())],
            body: Bytes::from_static(b"hello"),
            ..get(format!("http://{address}/a%20b?c=d#e"))
        };
        for _ in 0..3 {
            let answer = transport.send(request.clone()).await.unwrap();
            let expected = Incoming { status: 404, body: Bytes::from_static(b"gone"), date: None };
            assert_eq!(answer, expected);
        }
        let empty = Outgoing { body: Bytes::new(), ..request };
        transport.send(empty).await.unwrap();
        // Of a plain path, which is not parsed once the host is known.
        transport.send(get(format!("http://{address}/v2/a_b-1/status"))).await.unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.connections, 1);
        assert_eq!(seen.requests.len(), 5);
        let first = &seen.requests[0];
        assert!(first.starts_with("POST /a%20b?c=d HTTP/1.1\r\n"), "{first}");
        let host = format!("host: {address}");
        for line in ["x-some: value", "content-type: text/plain", "content-length: 5", &host] {
            assert!(first.contains(&format!("\r\n{line}\r\n")), "{line} in {first}");
        }
        assert!(first.contains("\r\nuser-agent: gopay-adapter/"), "{first}");
        assert!(first.ends_with("\r\n\r\nhello"), "{first}");
        assert!(seen.requests[3].contains("\r\ncontent-length: 0\r\n"), "{}", seen.requests[3]);
        let last = &seen.requests[4];
        assert!(last.starts_with("GET /v2/a_b-1/status HTTP/1.1\r\n"), "{last}");
        assert!(!last.contains("content-length"), "{last}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    for (status, transport) in [301, 302, 303, 307, 308]
        .into_iter()
        .flat_map(|status| under(AddressPolicy::any()).map(|way| (status, way)))
    {
        let (elsewhere, untouched) = peer(Peer::HangsUp).await;
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: http://{elsewhere}/\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let (address, seen) = peer(Peer::Answers(answer.leak())).await;
        let request = Outgoing { method: Method::Post, ..get(format!("http://{address}/")) };
        let answer = transport.send(request).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(seen.lock().unwrap().requests.len(), 1);
        assert_eq!(untouched.lock().unwrap().connections, 0);
    }
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let ten = format!("{chunked}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n").leak();
    let eleven = format!("{chunked}5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n").leak();
    let endless = format!("{chunked}ffff\r\n{}", "0".repeat(0xfff)).leak();
    for (behaviour, read) in [
        (Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"), true),
        (Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a"), false),
        // The announced length alone is enough; the rest is not waited for.
        (Peer::AnswersInPart("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), false),
        (Peer::Answers(ten), true),
        (Peer::Answers(eleven), false),
        (Peer::AnswersInPart(endless), false),
    ] {
        for answer in ask(behaviour, LONG).await {
            match answer {
                Ok(answer) => {
                    assert!(read);
                    assert_eq!(answer.body, "0123456789");
                }
                Err(error @ TransportError::Unknown(_)) => {
                    assert!(!read);
                    assert_eq!(fault(&error), Some(&TransportReason::TooLong(10)));
                }
                Err(error @ TransportError::NotSent(_)) => panic!("{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn after_the_request_left_every_failure_is_unknown() {
    for (behaviour, timeout, timed_out) in [
        (Peer::StaysSilent, SHORT, true),
        (Peer::AnswersInPart("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0"), SHORT, true),
        (Peer::AnswersInPart("HTTP/1.1 200 OK\r\nContent-"), SHORT, true),
        (Peer::AnswersAndEnds("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0"), LONG, false),
        (Peer::AnswersAndEnds("HTTP/1.1 200 OK\r\nContent-"), LONG, false),
        (
            Peer::AnswersAndEnds("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01"),
            LONG,
            false,
        ),
        (Peer::HangsUp, LONG, false),
        (Peer::Answers("not HTTP at all\r\n\r\n"), LONG, false),
    ] {
        for answer in ask(behaviour, timeout).await {
            let error = answer.unwrap_err();
            assert!(matches!(error, TransportError::Unknown(_)), "{error:?}");
            assert_eq!(
                fault(&error) == Some(&TransportReason::TimedOut(SHORT)),
                timed_out,
                "{error:?}"
            );
        }
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (plain, _) = peer(Peer::Answers("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")).await;
    // Accepts the connection and never takes part in the TLS handshake.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for transport in both(&HttpTransport::builder(AddressPolicy::any()).connect_timeout(SHORT)) {
        for url in [
            format!("http://{refusing}/"),
            format!("https://{plain}/"),
            format!("https://{}/", silent.local_addr().unwrap()),
            "http://name.invalid/".into(),
        ] {
            let error = transport.send(get(url.as_str())).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{url}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_not_sent() {
    for transport in under(AddressPolicy::any()) {
        for (url, expected) in [
            ("", TransportReason::Url(url::ParseError::RelativeUrlWithoutBase)),
            ("/path", TransportReason::Url(url::ParseError::RelativeUrlWithoutBase)),
            ("http://", TransportReason::Url(url::ParseError::EmptyHost)),
            ("ftp://127.0.0.1/", TransportReason::Scheme),
            ("file:///etc/passwd", TransportReason::Scheme),
            ("gopher://127.0.0.1/", TransportReason::Scheme),
        ] {
            let error = transport.send(get(url)).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{url}: {error:?}");
            assert_eq!(fault(&error), Some(&expected), "{url}");
        }
        for (name, value) in [("a b", "x"), ("ok", "x\r\ny: z")] {
            let headers = vec![(name, value.to_owned())];
            let request = Outgoing { headers, ..get("http://127.0.0.1:9/") };
            let error = transport.send(request).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{name}: {error:?}");
            assert_eq!(fault(&error), Some(&TransportReason::Header(name)));
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_called() {
    let (address, seen) = peer(Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let port = address.port();
    for public in under(AddressPolicy::public(Vec::new())) {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "0",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "10.0.0.1",
            "169.254.169.254",
            "192.168.0.1",
            "[fe80::1]",
            "[fd00::1]",
            "100.64.0.1",
        ] {
            let error = public.send(get(format!("http://{host}:{port}/"))).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{host}: {error:?}");
            assert!(
                matches!(fault(&error), Some(TransportReason::AddressBlocked(_))),
                "{host}: {error:?}"
            );
            let known = public.refuses(&format!("http://{host}:{port}/"));
            assert_eq!(known, Some(Refusal::Address), "{host}");
        }
        for host in ["localhost", "LOCALHOST", "localhost."] {
            let error = public.send(get(format!("http://{host}:{port}/"))).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{host}: {error:?}");
            let known = public.refuses(&format!("http://{host}:{port}/"));
            assert_eq!(known, Some(Refusal::Address), "{host}");
        }
        for url in ["https://psp.example/notify", "http://8.8.8.8/", "http://[2606:4700::1]/"] {
            assert_eq!(public.refuses(url), None, "{url}");
        }
    }
    let any_port = AddressPolicy::public(Vec::new()).with_ports(vec![port]);
    for transport in under(any_port) {
        let error = transport.send(get(format!("http://localhost:{port}/"))).await.unwrap_err();
        assert_eq!(fault(&error), Some(&TransportReason::HostBlocked));
    }
    assert_eq!(seen.lock().unwrap().connections, 0);

    for allowed in under(AddressPolicy::public(vec!["127.0.0.0/8".parse().unwrap()])) {
        assert_eq!(allowed.refuses("http://10.0.0.1/"), Some(Refusal::Address));
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(allowed.refuses(&format!("http://{host}:{port}/")), None);
            assert!(allowed.send(get(format!("http://{host}:{port}/"))).await.is_ok(), "{host}");
        }
    }
}

/// A name server of somebody who means harm: a public address at first, this machine from then
/// on, and now and then both.
#[tokio::test]
async fn a_name_that_changes_its_address_leads_to_no_private_one() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let (address, seen) = peer(Peer::Answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let policy = AddressPolicy::public(Vec::new()).with_ports(vec![address.port()]);
    let mut builder = HttpTransport::builder(policy).connect_timeout(Duration::from_millis(50));
    builder.look_up = |_| {
        let public = SocketAddr::from(([192, 88, 98, 1], 0));
        let private = SocketAddr::from(([127, 0, 0, 1], 0));
        let answer = match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => vec![public],
            1 | 2 => vec![private],
            _ => vec![private, public],
        };
        Ok(answer)
    };
    let url = format!("http://rebinding.example:{}/", address.port());
    for transport in both(&builder) {
        ASKED.store(0, Ordering::Relaxed);
        for _ in 0..5 {
            let error = transport.send(get(url.clone())).await.unwrap_err();
            assert!(matches!(error, TransportError::NotSent(_)), "{error:?}");
        }
        assert!(ASKED.load(Ordering::Relaxed) >= 5, "each connection looks up anew");
    }
    assert_eq!(seen.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn ports_of_other_services_are_not_called() {
    let private: Vec<_> = vec!["127.0.0.0/8".parse().unwrap()];
    let public = AddressPolicy::public;
    let usual = under(public(Vec::new()));
    let more = under(public(Vec::new()).with_ports(vec![8443]));
    let near = under(public(private.clone()));
    for (url, refused) in [
        ("https://psp.example/", [false, false, false]),
        ("http://psp.example/", [false, false, false]),
        ("http://8.8.8.8:443/", [false, false, false]),
        ("https://psp.example:8443/", [true, false, false]),
        ("https://8.8.8.8:8443/", [true, false, true]),
        ("http://8.8.8.8:25/", [true, true, true]),
        // Whether it is near is known when it is looked up.
        ("http://psp.example:6379/", [true, true, false]),
        ("http://127.0.0.1:6379/", [true, true, false]),
    ] {
        for ((usual, more), near) in usual.iter().zip(&more).zip(&near) {
            let got = [usual, more, near].map(|transport| transport.refuses(url).is_some());
            assert_eq!(got, refused, "{url}");
        }
    }
    for usual in usual {
        let error = usual.send(get("http://8.8.8.8:25/")).await.unwrap_err();
        assert_eq!(fault(&error), Some(&TransportReason::PortBlocked(25)));
    }
    // A name on another port may only lead to where any port may be called.
    let mut builder = HttpTransport::builder(public(private));
    builder.look_up = |_| Ok(vec![SocketAddr::from(([8, 8, 8, 8], 0))]);
    for far in both(&builder) {
        let error = far.send(get("http://psp.example:6379/")).await.unwrap_err();
        assert_eq!(fault(&error), Some(&TransportReason::HostBlocked));
    }
}
