//! Connections that are kept for the next request, and requests that nobody may send twice.

use std::future::poll_fn;
use std::pin::pin;

use tokio::task::{consume_budget, yield_now};

use super::peer::{Peer, peer};
use super::*;

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn connections_to_more_hosts_than_may_be_kept_end_with_their_answer() {
    for transport in both(&HttpTransport::builder(AddressPolicy::any()).kept_hosts_max(1)) {
        for connections in [1, 3] {
            let (address, seen) = peer(Peer::Answers(EMPTY)).await;
            for _ in 0..3 {
                transport.send(get(format!("http://{address}/"))).await.unwrap();
            }
            assert_eq!(seen.lock().unwrap().connections, connections);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed_in_time() {
    let idle = Duration::from_millis(100);
    for transport in both(&HttpTransport::builder(AddressPolicy::any()).idle_timeout(idle)) {
        let (address, seen) = peer(Peer::Answers(EMPTY)).await;
        for connections in [1, 2] {
            let begun = std::time::Instant::now();
            while begun.elapsed() < idle / 2 {
                transport.send(get(format!("http://{address}/"))).await.unwrap();
            }
            assert_eq!(seen.lock().unwrap().connections, connections);
            let closed = async {
                while seen.lock().unwrap().open > 0 {
                    tokio::time::sleep(idle / 10).await;
                }
            };
            tokio::time::timeout(LONG, closed).await.expect("closed");
        }
    }
}

#[tokio::test]
async fn a_connection_that_its_peer_has_ended_is_replaced_before_anything_is_sent() {
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = peer(Peer::AnswersAndEnds(EMPTY)).await;
        for requests in 1..=20 {
            transport.send(get(format!("http://{address}/"))).await.unwrap();
            while seen.lock().unwrap().open > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The end travels, too.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let seen = seen.lock().unwrap();
            assert_eq!((seen.connections, seen.requests.len()), (requests, requests));
        }
    }
}

#[tokio::test]
async fn a_request_that_a_peer_took_before_it_hung_up_is_unknown_and_not_repeated() {
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = peer(Peer::AnswersOnce(EMPTY)).await;
        for round in 1..=5 {
            let url = format!("http://{address}/");
            transport.send(get(url.as_str())).await.unwrap();
            let error = transport.send(get(url)).await.unwrap_err();
            assert!(matches!(error, TransportError::Unknown(_)), "{error:?}");
            let seen = seen.lock().unwrap();
            assert_eq!((seen.connections, seen.requests.len()), (round, 2 * round));
        }
    }
}

/// The end of a connection and the next request cross at every moment that the machine can think of.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_is_seen_twice_or_lost_without_a_word_whenever_connections_end() {
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = peer(Peer::AnswersAndEnds(EMPTY)).await;
        let callers = (0..4).map(|caller| {
            let transport = Arc::clone(&transport);
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for number in 0..200 {
                    let path = format!("/{caller}-{number}");
                    let outcome = transport.send(get(format!("http://{address}{path}"))).await;
                    outcomes.push((path, outcome));
                    for _ in 0..number % 8 {
                        yield_now().await;
                    }
                }
                outcomes
            })
        });
        let callers: Vec<_> = callers.collect();
        let mut outcomes = Vec::new();
        for caller in callers {
            outcomes.extend(caller.await.unwrap());
        }
        let seen = seen.lock().unwrap();
        for (path, outcome) in outcomes {
            let line = format!("GET {path} HTTP/1.1\r\n");
            let times = seen.requests.iter().filter(|seen| seen.starts_with(&line)).count();
            match outcome {
                Ok(_) => assert_eq!(times, 1, "{path}"),
                Err(TransportError::Unknown(_)) => assert!(times <= 1, "{path}"),
                Err(error @ TransportError::NotSent(_)) => panic!("{path}: {error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_whole_and_leaves_its_connection() {
    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n";
    let early =
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    for text in [plain, chunked, early] {
        for behaviour in [Peer::AnswersSlowly(text), Peer::Answers(text)] {
            for transport in under(AddressPolicy::any()) {
                let (address, seen) = peer(behaviour).await;
                for _ in 0..3 {
                    let answer = transport.send(get(format!("http://{address}/"))).await.unwrap();
                    assert_eq!(answer.body, "0123456789");
                }
                assert_eq!(seen.lock().unwrap().connections, 1);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = peer(Peer::AnswersAndEnds("HTTP/1.0 200 OK\r\n\r\n0123456789")).await;
        for connections in 1..=3 {
            let answer = transport.send(get(format!("http://{address}/"))).await.unwrap();
            assert_eq!(answer.body, "0123456789");
            assert_eq!(seen.lock().unwrap().connections, connections);
        }
    }
}

#[tokio::test]
async fn a_connection_of_which_more_came_than_its_answer_is_not_used_again() {
    let too_much = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = peer(Peer::Answers(too_much)).await;
        for connections in 1..=3 {
            let answer = transport.send(get(format!("http://{address}/"))).await.unwrap();
            assert_eq!(answer.body, "0");
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(seen.lock().unwrap().connections, connections);
        }
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_takes_its_connection_along() {
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = peer(Peer::StaysSilent).await;
        let given_up = transport.send(get(format!("http://{address}/")));
        assert!(tokio::time::timeout(SHORT, given_up).await.is_err());
        let (connections, requests) = {
            let seen = seen.lock().unwrap();
            (seen.connections, seen.requests.len())
        };
        assert_eq!((connections, requests), (1, 1));
        let late = Outgoing { timeout: SHORT, ..get(format!("http://{address}/")) };
        assert!(transport.send(late).await.is_err());
        assert_eq!(seen.lock().unwrap().connections, 2);
    }
}

#[tokio::test]
async fn many_exchanges_at_once_keep_their_connections() {
    const AT_ONCE: usize = 50;
    for transport in under(AddressPolicy::any()) {
        let (address, seen) = peer(Peer::Answers(EMPTY)).await;
        for _ in 0..3 {
            let all = (0..AT_ONCE).map(|_| {
                let transport = Arc::clone(&transport);
                tokio::spawn(async move { transport.send(get(format!("http://{address}/"))).await })
            });
            for one in all.collect::<Vec<_>>() {
                one.await.unwrap().unwrap();
            }
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.requests.len(), 3 * AT_ONCE);
        assert!(seen.connections <= AT_ONCE, "{}", seen.connections);
    }
}

/// A task that has had its share of polls is put off by all that tokio has; an answer must not be lost by
/// that.
#[tokio::test]
async fn a_task_that_has_used_up_its_share_of_polls_has_its_answer_all_the_same() {
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    for (transport, text) in under(AddressPolicy::any())
        .into_iter()
        .flat_map(|way| [(Arc::clone(&way), EMPTY), (way, last)])
    {
        let (address, _) = peer(Peer::Answers(text)).await;
        // Of 128, each time that it is polled.
        for used in 0..128 {
            yield_now().await;
            let request = Outgoing { timeout: LONG / 4, ..get(format!("http://{address}/")) };
            let mut sent = pin!(transport.send(request));
            let answer = poll_fn(|context| {
                for _ in 0..used {
                    assert!(pin!(consume_budget()).poll(context).is_ready());
                }
                sent.as_mut().poll(context)
            });
            answer.await.unwrap();
        }
    }
}

/// Transports outlive their runtime where tests share them.
#[test]
fn what_a_runtime_kept_is_of_no_harm_to_the_next() {
    for transport in under(AddressPolicy::any()) {
        for _ in 0..3 {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (address, seen) = peer(Peer::Answers(EMPTY)).await;
                for _ in 0..3 {
                    transport.send(get(format!("http://{address}/"))).await.unwrap();
                }
                assert_eq!(seen.lock().unwrap().connections, 1);
            });
        }
    }
}
