//! Settings that both ways over the network share, and what is made of them.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt as _;

use crate::hyper::{Connector, HyperTransport};
use crate::kept::Kept;
use crate::names::{self, LookUp, Names, PolicyResolver};
use crate::pool::Pool;
use crate::{AddressPolicy, Cause, HttpTransport};

/// Settings of an [`HttpTransport`] or a [`HyperTransport`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpTransportBuilder {
    policy: AddressPolicy,
    connect_timeout: Duration,
    idle_timeout: Duration,
    user_agent: &'static str,
    pub(crate) look_up: LookUp,
    kept_hosts_max: Option<usize>,
}

/// The transport could not be set up, for example because the system has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("outgoing HTTP cannot be set up")]
pub struct BuildError(#[source] Cause);

/// Three round trips (name, TCP, TLS) over a bad line take well under a second; five leave room
/// for one lost packet in each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than the 60 s after which common servers and load balancers drop an idle connection:
/// a request on a connection that the peer is dropping ends with an unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection whose peer is gone without a word is noticed after three unanswered probes.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// See [`KEEPALIVE`].
const KEEPALIVE_PROBES: u32 = 3;

/// Bytes that the peer's system does not acknowledge for so long break the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

impl HttpTransportBuilder {
    pub(crate) const fn new(policy: AddressPolicy) -> Self {
        Self {
            policy,
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            user_agent: concat!("gopay-adapter/", env!("CARGO_PKG_VERSION")),
            look_up: names::by_the_system,
            kept_hosts_max: None,
        }
    }

    /// The longest time to look up, connect and agree on TLS; 5 s unless set. Must be below the
    /// time-out of the requests, or a dead host counts as
    /// [`TransportError::Unknown`](crate::TransportError::Unknown).
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an unused connection is kept; 30 s unless set.
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// To how many hosts unused connections are kept at once; to all unless set. For where others name
    /// the hosts.
    pub const fn kept_hosts_max(mut self, hosts: usize) -> Self {
        self.kept_hosts_max = Some(hosts);
        self
    }

    /// The `User-Agent`; the name and version of this program unless set.
    pub const fn user_agent(mut self, user_agent: &'static str) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// Sets the transport up. Installs the process' cryptography first, see [`install_crypto`].
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<HttpTransport, BuildError> {
        install_crypto();
        let names = Names::new(self.look_up);
        let client = self.client(self.policy.clone(), names.clone())?;
        let other_ports = self.policy.for_other_ports().map(|policy| self.client(policy, names));
        let kept = self.kept_hosts_max.map(|max| Kept::new(max, self.idle_timeout));
        Ok(HttpTransport {
            client,
            other_ports: other_ports.transpose()?,
            policy: self.policy,
            kept,
        })
    }

    fn client(&self, policy: AddressPolicy, names: Names) -> Result<reqwest::Client, BuildError> {
        reqwest::Client::builder()
            .dns_resolver(Arc::new(PolicyResolver { policy, names }))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(KEEPALIVE_PROBES)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(self.idle_timeout)
            .user_agent(self.user_agent)
            .build()
            .map_err(|error| BuildError(error.into()))
    }

    /// As [`Self::build`], for a way that costs less a call.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build_hyper(self) -> Result<HyperTransport, BuildError> {
        install_crypto();
        let mut tls =
            ClientConfig::with_platform_verifier().map_err(|error| BuildError(error.into()))?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (names, tls) = (Names::new(self.look_up), Arc::new(tls));
        let connector =
            |policy| self.connector(PolicyResolver { policy, names: names.clone() }, &tls);
        let (usual, other_ports) =
            (connector(self.policy.clone()), self.policy.for_other_ports().map(connector));
        Ok(HyperTransport {
            usual,
            other_ports,
            connect_timeout: self.connect_timeout,
            user_agent: self.user_agent,
            pool: Arc::new(Pool::new(self.idle_timeout, self.kept_hosts_max)),
            policy: self.policy,
        })
    }

    fn connector(&self, resolver: PolicyResolver, tls: &Arc<ClientConfig>) -> Connector {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Of each of the addresses; the time of all is bounded where it is called.
        tcp.set_connect_timeout(Some(self.connect_timeout));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        HttpsConnector::from((tcp, Arc::clone(tls)))
    }
}

/// Makes ring the cryptography of TLS in this process, unless one is chosen already. May be
/// called any number of times.
pub fn install_crypto() {
    // The error is the provider that came too late, which is no fault.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cryptography_can_be_installed_again_and_again() {
        install_crypto();
        install_crypto();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
