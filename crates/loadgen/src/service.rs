//! The product's own service and listener on a store that keeps nothing.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use gopay_core::payment::Channel;
use gopay_core::ppro::transaction::Kyc;
use gopay_http::guard::{Access, Rules};
use gopay_http::{App, AppParts, Exposition};
use gopay_inbound::{Bounds, Ending, Listener};
use gopay_midtrans_client::{Endpoint, MidtransClient};
use gopay_outbound::{AddressPolicy, HttpTransport, HyperTransport};
use gopay_service::{
    Contract, Directory, MidtransAccount, MidtransAccounts, Operators, Parties, Parts, Psp,
    Service, Settings, SystemClock,
};
use tokio::task::JoinSet;

use crate::null::NullStore;
use crate::source::SERVER_KEY;

/// Serves until a signal, with Midtrans at `midtrans`.
pub(crate) async fn run(listen: SocketAddr, midtrans: SocketAddr) -> anyhow::Result<()> {
    let Ending { draining, stop, .. } = gopay_inbound::on_signals(Duration::ZERO)?;
    let listener = gopay_inbound::bind(listen).await?;
    let address = listener.local_addr()?;
    let app = App::from(AppParts {
        bodies: gopay_http::Bodies::default(),
        service: service(address, midtrans)?,
        limits: gopay_http::Limits::default(),
        access: Access::new(Rules {
            hosts: Vec::new(),
            operators: Operators::new(Vec::new(), [0; 32]),
        }),
        reload: OnceLock::new(),
        breaks: None,
        directory: OnceLock::new(),
        adjustments: None,
        metrics: Exposition::install()?,
        draining,
    });
    let routes = Router::new()
        .merge(gopay_http::psp::router(app.clone()))
        .merge(gopay_http::public::router(app.clone()))
        .merge(gopay_http::admin::router(app.clone()));
    let mut tasks = JoinSet::new();
    let routes = gopay_http::listener(routes, &app, gopay_http::Serves::default());
    let listener = Listener::new(listener, Bounds::connections(4_096));
    gopay_inbound::serve(&mut tasks, listener, routes, &stop);
    crate::serve::announce(address);
    gopay_inbound::finish(tasks, stop, app.service.until_idle()).await;
    Ok(())
}

fn service(address: SocketAddr, midtrans: SocketAddr) -> anyhow::Result<Service> {
    let to_midtrans = HyperTransport::builder(AddressPolicy::any()).build_hyper()?;
    let to_receivers = HttpTransport::builder(AddressPolicy::any()).build()?;
    let mut endpoint = Endpoint::new(format!("http://{midtrans}"), SERVER_KEY.into());
    endpoint.notification_url = Some(format!("http://{address}/midtrans/notification"));
    let client = MidtransClient::new(Arc::new(to_midtrans), endpoint)?;
    let psp = Psp {
        login: "testclient".to_owned(),
        password_hashes: vec![crate::stage::password_hash()?.into()],
        shared_secrets: vec!["examplesharedsecret".into()],
        notification_secrets: vec!["examplenotificationsecret".into()],
        require_ok_body: false,
        certificates: Vec::new(),
        concurrent_calls: None,
        calls_per_second: None,
    };
    let contract = Contract {
        id: "TESTCONTRACT".to_owned(),
        psp: "testclient".to_owned(),
        enabled: true,
        channels: vec![Channel::Test],
        midtrans: Vec::new(),
        kyc: Kyc::Unverified,
        notification_url: None,
        redirect_url: None,
        return_schemes: None,
        refunds: true,
    };
    let mut salt = [0; 32];
    gopay_service::os_random(&mut salt);
    Ok(Service::new(Parts {
        settings: Settings {
            public_base_url: format!("http://{address}"),
            session: Settings::SESSION_MAX,
            refund_window: gopay_core::refund::REFUND_WINDOW_MAX,
            delivery_schedule: Settings::default_schedule(),
            delivery_timeout: Duration::from_secs(30),
            delivery_concurrency: 256,
            delivery_concurrency_per_receiver: 16,
            checks_per_second: 200,
            concurrent_calls: 1_024,
            concurrent_calls_per_client: 512,
            calls_per_second_per_client: None,
            test_quotas: false,
            allow_http_receivers: false,
            under_way_max: Settings::UNDER_WAY_MAX,
            instance: 0,
            rand_pair: true,
        },
        parties: Parties {
            directory: Arc::new(Directory::new(vec![psp], vec![contract], salt)),
            midtrans: MidtransAccounts::new([MidtransAccount::new(
                Channel::Test,
                client,
                vec![SERVER_KEY.into()],
            )]),
            page_keys: Vec::new(),
        },
        store: Arc::new(NullStore::default()),
        receivers: Arc::new(to_receivers),
        clock: Arc::new(SystemClock),
        random: Box::new(gopay_service::pooled_random),
    }))
}
