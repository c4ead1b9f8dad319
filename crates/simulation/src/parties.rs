//! Who is who: two PSPs with three contracts, two accounts at Midtrans, and their secrets.

use std::sync::{Arc, OnceLock};

use gopay_core::payment::Channel;
use gopay_core::ppro::transaction::Kyc;
use gopay_psp_client::Credentials;
use gopay_service::{Contract, Directory, Psp as ConfiguredPsp, hash_password};

pub(crate) const ADAPTER: &str = "https://adapter.example";
pub(crate) const MIDTRANS: &str = "https://midtrans.example";
pub(crate) const TEST_KEY: &str = "SB-Mid-server-simulated";
pub(crate) const LIVE_KEY: &str = "Mid-server-simulated";
pub(crate) const PASSWORD: &str = "open sesame";

/// A PSP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Psp {
    pub(crate) number: usize,
    pub(crate) login: &'static str,
    pub(crate) notification_secret: &'static str,
    /// Its receiver answers with `OK`, or it does not count.
    pub(crate) says_ok: bool,
}

pub(crate) const PSPS: [Psp; 2] = [
    Psp { number: 0, login: "alpha", notification_secret: "alpha tells", says_ok: false },
    Psp { number: 1, login: "beta", notification_secret: "beta tells", says_ok: true },
];

/// A merchant's contract.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merchant {
    pub(crate) contract: &'static str,
    pub(crate) psp: Psp,
    pub(crate) channel: Channel,
}

pub(crate) const MERCHANTS: [Merchant; 3] = [
    Merchant { contract: "ALPHA1", psp: PSPS[0], channel: Channel::Test },
    Merchant { contract: "ALPHA2", psp: PSPS[0], channel: Channel::Live },
    Merchant { contract: "BETA1", psp: PSPS[1], channel: Channel::Live },
];

/// The PSP whose receiver a host name is, if any.
pub(crate) fn psp_of_host(host: &str) -> Option<Psp> {
    PSPS.into_iter().find(|psp| host == format!("{}.example", psp.login))
}

/// All clients and contracts, shared by all runs so that passwords are verified once.
pub(crate) fn directory() -> Arc<Directory> {
    static DIRECTORY: OnceLock<Arc<Directory>> = OnceLock::new();
    Arc::clone(DIRECTORY.get_or_init(|| Arc::new(make_directory())))
}

fn make_directory() -> Directory {
    let hash = hash_password(PASSWORD, &[7; 16]).expect("the parameters suit Argon2");
    let clients = PSPS.map(|psp| ConfiguredPsp {
        login: psp.login.into(),
        password_hashes: vec![hash.clone().into()],
        shared_secrets: vec!["shared".to_owned().into()],
        notification_secrets: vec![psp.notification_secret.to_owned().into()],
        require_ok_body: psp.says_ok,
        certificates: Vec::new(),
        concurrent_calls: None,
        calls_per_second: None,
    });
    let contracts = MERCHANTS.map(|merchant| Contract {
        id: merchant.contract.into(),
        psp: merchant.psp.login.into(),
        enabled: true,
        channels: vec![merchant.channel],
        midtrans: Vec::new(),
        kyc: Kyc::Verified,
        notification_url: Some(format!("https://{}.example/notify", merchant.psp.login)),
        redirect_url: Some("https://shop.example/back".into()),
        return_schemes: None,
        refunds: true,
    });
    Directory::new(clients.into(), contracts.into(), [9; 32])
}

/// A call's body with credentials.
pub(crate) fn body(merchant: &Merchant, txtype: &str, pairs: &[(&str, &str)]) -> String {
    let psp = Credentials::new(merchant.psp.login, PASSWORD, merchant.contract);
    let mut form = psp.form(txtype);
    form.extend(pairs.iter().copied());
    form.encode()
}
