//! A forwarder of TCP connections that can be shut: between the program and what it depends on.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Cut, and new ones are closed at once.
    Cut,
    /// Taken, but nothing passes any more.
    Hanging,
}

/// Ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Gate {
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let way = watch::Sender::new(Way::Open);
        let gate = Self { address, way };
        let ways = gate.way.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(forward(caller, target, ways.subscribe()));
            }
        });
        gate
    }

    pub(crate) fn turn(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn forward(mut caller: TcpStream, target: SocketAddr, mut ways: watch::Receiver<Way>) {
    let way = *ways.borrow_and_update();
    if way == Way::Open {
        let passing = async {
            if let Ok(mut there) = TcpStream::connect(target).await {
                // Either side may hang up.
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut there).await;
            }
        };
        tokio::select! {
            () = passing => return,
            _ = ways.wait_for(|way| *way != Way::Open) => {}
        }
    }
    // A connection that hung once stays useless: it is cut when the gate moves again.
    if *ways.borrow_and_update() == Way::Hanging {
        let _ = ways.changed().await;
    }
}
