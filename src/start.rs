//! Puts an adapter together and runs it: what `serve` and `demo` share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use axum::Router;
use gopay_http::guard::{Access, Rules};
use gopay_http::{App, AppParts, Bodies, Exposition};
use gopay_inbound::{Bounds, Listener, LoadedTls, Stop, Tls, TlsError, TlsFile, TlsFiles};
use gopay_midtrans_client::{Endpoint, EndpointError, MidtransClient};
use gopay_outbound::{AddressPolicy, BuildError, HttpTransport, HyperTransport, Transport};
use gopay_service::desk::BreakReview;
use gopay_service::{
    Clock, Directory, MidtransAccount, MidtransAccounts, Operators, Parties, Parts, Service,
    Settings, Traced,
};
use gopay_store::Database;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::args::Role;
use crate::config::{Account, Config, Listen, Problem};
use crate::finance::desk::{StoredAdjustments, TermsInForce};
use crate::silence::Noticed;
use crate::store::Engine;

/// The service and what it stands on.
pub(crate) struct Adapter {
    pub(crate) service: Service,
    pub(crate) store: Engine,
    pub(crate) app: App,
    /// What corrections go by.
    pub(crate) terms: Arc<TermsInForce>,
}

/// What is served to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// The Simple API, to PSPs.
    Psp,
    /// Pages to shoppers, notifications from Midtrans.
    Public,
    /// Health, metrics and the console, to operators.
    Admin,
}

/// The listeners of an adapter, bound.
pub(crate) struct Listeners(Vec<Bound>);

/// One listener, and what it serves.
struct Bound {
    wanted: SocketAddr,
    listener: Listener,
    tls: Option<Tls>,
    faces: Vec<Face>,
}

/// The TLS of each face that has one, loaded.
#[derive(Debug, Default)]
pub(crate) struct LoadedFaces(Vec<(Face, LoadedTls)>);

impl LoadedFaces {
    pub(crate) fn take(&mut self, face: Face) -> Option<LoadedTls> {
        let at = self.0.iter().position(|(own, _)| *own == face)?;
        Some(self.0.swap_remove(at).1)
    }

    fn load(listen: &Listen, problems: &mut Vec<Problem>) -> Self {
        let mut loaded = Vec::new();
        for (face, section, files) in [
            (Face::Psp, "psp_tls", &listen.psp_tls),
            (Face::Public, "public_tls", &listen.public_tls),
            (Face::Admin, "admin_tls", &listen.admin_tls),
        ] {
            match files.as_ref().map(TlsFiles::load) {
                None => {}
                Some(Ok(tls)) => loaded.push((face, tls)),
                Some(Err(error)) => problems.push(bad_file(section, &error)),
            }
        }
        Self(loaded)
    }
}

fn bad_file(section: &str, error: &TlsError) -> Problem {
    let (key, wanted) = match error.role {
        TlsFile::Certificates => {
            ("certificates", "PEM: the listener's certificate, then those of who signed it")
        }
        TlsFile::Key => ("key", "PEM: the private key of the first certificate"),
        TlsFile::Authorities => ("client_ca", "PEM: certificates of who signs the clients'"),
        TlsFile::Revoked => ("client_crl", "PEM: a revocation list of each authority"),
    };
    Problem { key: format!("listen.{section}.{key}"), wrong: error.described(), wanted }
}

impl Listeners {
    /// Binds what an instance of this role serves; equal addresses share a listener. Who only
    /// works has nothing to say to PSPs and shoppers.
    pub(crate) async fn bind(
        listen: &Listen,
        mut loaded: LoadedFaces,
        role: Role,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let bounds = Bounds::connections(connections);
        let proxies = listen.proxy.clone().map(Arc::new);
        let all =
            [(Face::Psp, listen.psp), (Face::Public, listen.public), (Face::Admin, listen.admin)];
        let mut bound: Vec<Bound> = Vec::new();
        for (face, wanted) in all {
            if role == Role::Worker && face != Face::Admin {
                continue;
            }
            match bound.iter_mut().find(|bound| bound.wanted == wanted) {
                Some(shared) => shared.faces.push(face),
                None => {
                    let socket = gopay_inbound::bind(wanted).await?;
                    let tls = loaded.take(face).map(Tls::new);
                    let believed = proxies.clone().filter(|_| face != Face::Admin);
                    let listener =
                        Listener::new(socket, bounds).with_tls(tls.clone()).with_proxies(believed);
                    bound.push(Bound { wanted, listener, tls, faces: vec![face] });
                }
            }
        }
        Ok(Self(bound))
    }

    /// The TLS of each listener, under the first of its faces.
    pub(crate) fn tls(&self) -> Vec<(Face, Tls)> {
        let own = |bound: &Bound| Some((*bound.faces.first()?, bound.tls.clone()?));
        self.0.iter().filter_map(own).collect()
    }

    /// Where a face is reached; none if it is not served.
    pub(crate) fn address(&self, face: Face) -> Option<SocketAddr> {
        let bound = self.0.iter().find(|bound| bound.faces.contains(&face))?;
        bound.listener.address().ok()
    }

    /// Starts serving.
    fn serve(self, app: &App, tasks: &mut JoinSet<()>, stop: &Stop) {
        /// A renewed certificate is in use within this time.
        const LOOK_AGAIN: Duration = Duration::from_secs(30);
        for Bound { listener, tls, faces, .. } in self.0 {
            let routes = faces.iter().fold(Router::new(), |routes, face| {
                routes.merge(match face {
                    Face::Psp => gopay_http::psp::router(app.clone()),
                    Face::Public => gopay_http::public::router(app.clone()),
                    Face::Admin => gopay_http::admin::router(app.clone())
                        .merge(gopay_console::router(app.clone(), tls.is_some())),
                })
            });
            let serves = gopay_http::Serves {
                calls: faces.contains(&Face::Psp),
                shoppers: faces.contains(&Face::Public),
                operators: faces.contains(&Face::Admin),
            };
            let routes = gopay_http::listener(routes, app, serves);
            gopay_inbound::serve(tasks, listener, routes, stop);
            if let Some(tls) = tls {
                tasks.spawn(tls.watch_files(LOOK_AGAIN, stop.clone()));
            }
        }
    }
}

/// Everything that can fail to be made of a config, made. No socket and no store was opened.
pub(crate) struct Prepared {
    /// What is left of it.
    pub(crate) config: Config,
    pub(crate) parties: Parties,
    pub(crate) rules: Rules,
    pub(crate) tls: LoadedFaces,
    receivers: HttpTransport,
}

/// Hosts of receivers to which connections are kept: descriptors, which PSPs must not use up.
const KEPT_RECEIVERS_MAX: usize = 64;

/// Makes of a config all that `serve` needs and that can fail: `check-config` does no more and no
/// less, so a config that it calls valid is one that `serve` starts with.
///
/// # Errors
/// What cannot be made, with the key that it comes from.
pub(crate) fn prepare(mut config: Config) -> Result<Prepared, Vec<Problem>> {
    let mut problems = Vec::new();
    let tls = LoadedFaces::load(&config.listen, &mut problems);
    let parties = parties(&mut config).map_err(|more| problems.extend(more));
    let receivers = HttpTransport::builder(config.delivery.policy())
        .connect_timeout(Duration::from_secs(5).min(config.delivery.timeout / 2))
        // There may be thousands of receivers, and few hear twice in a second.
        .idle_timeout(Duration::from_secs(3))
        .kept_hosts_max(KEPT_RECEIVERS_MAX)
        .build()
        .map_err(|error| problems.push(no_transport("delivery", &error)));
    let admin = std::mem::take(&mut config.admin);
    match (receivers, parties) {
        (Ok(receivers), Ok(parties)) if problems.is_empty() => Ok(Prepared {
            config,
            parties,
            rules: Rules { hosts: admin.hosts, operators: Operators::new(admin.operators, salt()) },
            tls,
            receivers,
        }),
        _ => Err(problems),
    }
}

/// Who may call, and whom we call: all that the directory says.
///
/// # Errors
/// What cannot be made, with the key that it comes from.
pub(crate) fn parties(config: &mut Config) -> Result<Parties, Vec<Problem>> {
    let mut problems = Vec::new();
    let midtrans = upstreams(config, &mut problems);
    let page_keys = std::mem::take(&mut config.page_keys);
    let (clients, contracts) =
        (std::mem::take(&mut config.clients), std::mem::take(&mut config.contracts));
    if !problems.is_empty() {
        return Err(problems);
    }
    let directory = Arc::new(Directory::new(clients, contracts, salt()));
    Ok(Parties { directory, midtrans, page_keys })
}

fn salt() -> [u8; 32] {
    let mut salt = [0; 32];
    gopay_service::os_random(&mut salt);
    salt
}

/// The way to the account's Midtrans. Accounts with one time-out of connections share the connections,
/// those of a config that is read later, too.
fn transport_of(account: &Account) -> Result<Arc<dyn Transport>, Problem> {
    static SHARED: Mutex<BTreeMap<Duration, Weak<Traced>>> = Mutex::new(BTreeMap::new());
    let timeout = account.connect_timeout;
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(transport) = shared.get(&timeout).and_then(Weak::upgrade) {
        return Ok(transport);
    }
    let built =
        HyperTransport::builder(AddressPolicy::any()).connect_timeout(timeout).build_hyper();
    let built = built.map_err(|error| no_transport(&account.section(), &error))?;
    let transport = Arc::new(Traced(Arc::new(built)));
    shared.insert(timeout, Arc::downgrade(&transport));
    Ok(transport)
}

fn upstreams(config: &mut Config, problems: &mut Vec<Problem>) -> MidtransAccounts {
    /// Of each account where there are several: a quarter of what one PSP may have under way, so that
    /// one account that is silent leaves room for the others.
    const CALLS_MAX: usize = 128;
    let notify = format!("{}/midtrans/notification", config.base_url);
    let accounts = std::mem::take(&mut config.accounts);
    let calls_max = (accounts.len() > 1).then_some(CALLS_MAX);
    let read = |account: Account| {
        let transport = transport_of(&account);
        let made = transport.and_then(|transport| upstream(account, &notify, calls_max, transport));
        made.map_err(|problem| problems.push(problem)).ok()
    };
    MidtransAccounts::new(accounts.into_iter().filter_map(read).collect::<Vec<_>>())
}

fn upstream(
    account: Account,
    notify: &str,
    calls_max: Option<usize>,
    transport: Arc<dyn Transport>,
) -> Result<MidtransAccount, Problem> {
    let section = account.section();
    let digest = account.digest(notify, calls_max);
    let Account { channel, name, base_url, server_keys, timeout, refund_path, .. } = account;
    // The config has one at least.
    let server_key = server_keys.first().cloned().unwrap_or_default();
    let mut endpoint = Endpoint::new(base_url, server_key);
    endpoint.timeout = timeout;
    endpoint.refund_path = refund_path;
    endpoint.notification_url = Some(notify.to_owned());
    endpoint.calls_max = calls_max;
    let label = section.strip_prefix("midtrans.").unwrap_or(&section);
    let transport = Arc::new(Noticed::new(transport, label.into()));
    let client = MidtransClient::new(transport, endpoint).map_err(|error| {
        let (key, wanted) = match error {
            EndpointError::BaseUrl => (format!("{section}.base_url"), "scheme and host only"),
            EndpointError::ServerKey => (format!("{section}.server_key"), "a server key"),
            EndpointError::NotificationUrl => ("public.base_url".to_owned(), "without a comma"),
        };
        Problem { key, wrong: error.to_string(), wanted }
    })?;
    let made = MidtransAccount::new(channel, client, server_keys).made_of(digest);
    Ok(match name {
        Some(name) => made.named(name),
        None => made,
    })
}

/// The transport needs the system's root certificates.
fn no_transport(key: &str, error: &BuildError) -> Problem {
    Problem {
        key: key.to_owned(),
        wrong: gopay_service::chain(error),
        wanted: "a system with root certificates (package ca-certificates)",
    }
}

/// Opens the store, which only `create` may make, and puts an adapter together.
pub(crate) async fn build(
    prepared: Prepared,
    create: bool,
    clock: Arc<dyn Clock>,
    metrics: Exposition,
    draining: watch::Receiver<bool>,
) -> anyhow::Result<Adapter> {
    let config = &prepared.config;
    let store = Engine::open(&config.store, &config.keys, config.connections, create).await?;
    let limits = gopay_http::Limits {
        call_bytes_max: config.limits.call_bytes,
        notification_bytes_max: config.limits.notification_bytes,
        body_timeout: config.limits.body_timeout,
    };
    let Prepared { mut config, parties, rules, receivers, .. } = prepared;
    let terms = Arc::new(TermsInForce::new(std::mem::take(&mut config.settlement.accounts)));
    let breaks = review(store.handle(), Arc::clone(&clock));
    let adjustments = Arc::new(StoredAdjustments {
        store: store.handle(),
        clock: Arc::clone(&clock),
        terms: Arc::clone(&terms),
    });
    let service = service(config, parties, receivers, store.handle(), clock);
    let app = App::from(AppParts {
        service: service.clone(),
        limits,
        bodies: Bodies::default(),
        access: Access::new(rules),
        reload: OnceLock::new(),
        breaks,
        directory: OnceLock::new(),
        adjustments: Some(adjustments),
        metrics,
        draining,
    });
    Ok(Adapter { service, store, app, terms })
}

/// Breaks of reconciliation, in a program that knows their rules.
#[cfg(feature = "reconcile")]
fn review(store: Arc<dyn Database>, clock: Arc<dyn Clock>) -> Option<Arc<dyn BreakReview>> {
    Some(Arc::new(crate::reconciliation::review::StoredReview { store, clock }))
}

/// See above.
#[cfg(not(feature = "reconcile"))]
fn review(_: Arc<dyn Database>, _: Arc<dyn Clock>) -> Option<Arc<dyn BreakReview>> {
    None
}

fn service(
    config: Config,
    parties: Parties,
    receivers: HttpTransport,
    store: Arc<dyn Database>,
    clock: Arc<dyn Clock>,
) -> Service {
    let calls = config.limits.of_calls();
    Service::new(Parts {
        settings: Settings {
            public_base_url: config.base_url,
            session: config.limits.session,
            refund_window: config.limits.refund_window,
            delivery_schedule: config.delivery.schedule,
            delivery_timeout: config.delivery.timeout,
            delivery_concurrency: config.delivery.concurrency,
            delivery_concurrency_per_receiver: config.delivery.concurrency_per_receiver,
            checks_per_second: config.limits.checks_per_second,
            allow_http_receivers: config.delivery.allow_http,
            concurrent_calls: calls.concurrent_calls,
            concurrent_calls_per_client: calls.concurrent_calls_per_client,
            calls_per_second_per_client: calls.calls_per_second_per_client,
            test_quotas: calls.test_quotas,
            under_way_max: config.under_way_max,
            instance: config.instance,
            rand_pair: true,
        },
        parties,
        store,
        receivers: Arc::new(Traced(Arc::new(receivers))),
        clock,
        random: Box::new(gopay_service::pooled_random),
    })
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    /// Threads that look up names and read files. A name server that does not answer must not cost
    /// hundreds of them.
    const BLOCKING_MAX: usize = 32;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.enable_all().max_blocking_threads(BLOCKING_MAX).build()?)
}

/// Runs an adapter to its stop, then closes the store.
pub(crate) async fn run_adapter(
    adapter: Adapter,
    listeners: Listeners,
    role: Role,
    stop: Stop,
) -> anyhow::Result<Outcome> {
    let Adapter { service, store, app, .. } = adapter;
    let mut tasks = JoinSet::new();
    if role != Role::Api {
        service.reclaim().await;
    }
    listeners.serve(&app, &mut tasks, &stop);
    tasks.spawn(service.clone().watch_store(stop.clone()));
    if role != Role::Api {
        tasks.spawn(gopay_service::loops::run(service.clone(), stop.clone()));
    }
    // Calls whose callers have hung up run on without a connection.
    gopay_inbound::finish(tasks, stop, service.until_idle()).await;
    drop((service, app));
    store.close().await?;
    Ok(Outcome::Done)
}
