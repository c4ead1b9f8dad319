//! A merchant's books: a config, a store with payments and refunds at chosen times, and the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use gopay_core::ids::{IdGenerator, RefundId, TxId};
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{Channel, Closure, Event};
use gopay_core::refund::{
    MidtransRefund, REFUND_WINDOW_MAX, RefundOutcome, RefundRequest, RefundTerms,
};
use gopay_core::time::Timestamp;
use gopay_store::{Reserved, Store as _};
use gopay_store_sqlite::{Options, SqliteStore};
use gopay_testkit::sample;
use gopay_testkit::wait::found_blocking;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).expect("a time")
}

/// How a payment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Paid,
    Failed,
    /// FAILED first, and paid so many seconds later.
    Late(u64),
    Open,
}

/// The terms of the shops of most tests: daily in USD with every fee.
pub(crate) const TERMS: &str = r#"
            currency = "USD"
            frequency = "D"
            wire_fee = "1.50"
            monthly_fee = "20.00"
            setup_fee = "7.00"
            reserve_basis_points = 500
            reserve_days = 2
            discount_basis_points = 150
            margin_basis_points = 100
            minimum_transfer = "1.00"
            [contract.settlement.terms.payment]
            acquiring_fee = "0.05"
            processing_fee = "0.02"
            processing_due = "start"
            succeeded_fee = "0.01"
            [contract.settlement.terms.refund]
            acquiring_fee = "0.10"
"#;

/// See the module.
pub(crate) struct Shop {
    pub(crate) folder: tempfile::TempDir,
    ids: Vec<IdGenerator>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let terms = format!("valid_from = \"2026-01-01\"\n{TERMS}");
        Self::with(&[("SHOP", 999, &terms)])
    }

    /// With these contracts, each with its client number and its terms.
    pub(crate) fn with(contracts: &[(&str, u16, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shop = Self { folder, ids: (0..4).map(IdGenerator::new).collect() };
        shop.write_config(contracts);
        let mut rates = "date,base,quote,rate,source\n".to_owned();
        for (day, rate) in [
            ("2025-12-31", "16000.25"),
            ("2026-01-02", "16100.5"),
            ("2026-01-05", "16200"),
            ("2026-01-09", "16150.125"),
            ("2026-01-16", "16175.75"),
            ("2026-01-23", "16180"),
            ("2026-01-30", "16190"),
        ] {
            rates += &format!("{day},USD,IDR,{rate},ECB\n{day},EUR,IDR,1{rate},ECB\n");
        }
        std::fs::write(shop.path("rates.csv"), rates).expect("written");
        shop
    }

    pub(crate) fn write_config(&self, contracts: &[(&str, u16, &str)]) {
        let store = self.path("gopay.db");
        let rates = self.path("rates.csv");
        let mut config = format!(
            r#"
            [store]
            url = "sqlite:{}"
            [public]
            base_url = "https://pay.example"
            [midtrans.live]
            base_url = "https://api.midtrans.com"
            server_key = "Mid-server-of-the-test"
            [settlement]
            rates = "{}"
            [[client]]
            login = "testclient"
            password_hash = '{HASH}'
            shared_secret = "shared-secret-of-the-test"
            notification_secrets = ["notification-secret-of-the-test"]
            "#,
            store.display(),
            rates.display()
        );
        for (id, client, terms) in contracts {
            config += &format!(
                r#"
            [[contract]]
            id = "{id}"
            client = "testclient"
            channels = ["livechannel"]
            [contract.settlement]
            client_number = {client}
            [[contract.settlement.terms]]
            {terms}
            "#
            );
        }
        std::fs::write(self.path("config.toml"), config).expect("written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the sets.
    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// Opens the store. What this process has just closed is still open in a child that another test
    /// is starting, until that child runs its program.
    pub(crate) fn open(&self) -> SqliteStore {
        found_blocking("the file is free", || {
            match SqliteStore::open(&self.path("gopay.db"), Options::default()) {
                Err(error) if format!("{error:?}").contains("is in use by process") => None,
                opened => Some(opened.expect("a store")),
            }
        })
    }

    /// The program, to be run with this config.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
        command.args(["--log", "warn", name, "--config", text(&self.path("config.toml"))]);
        command
    }

    pub(crate) fn run(&self, name: &str, args: &[&str]) -> Ended {
        ended(&self.command(name).args(args).output().expect("the program runs"))
    }

    pub(crate) fn settle(&self, day: &str) -> Ended {
        self.settle_with("D", day, &[])
    }

    pub(crate) fn settle_with(&self, frequency: &str, day: &str, more: &[&str]) -> Ended {
        let out = self.out();
        let args = ["--frequency", frequency, "--period", day, "--out", text(&out), "--by", "ana"];
        self.run("settle", &[&args, more].concat())
    }

    /// Corrections that one person asks for and another approves; the file for `settle`.
    pub(crate) fn approved(&self, name: &str, rows: &[&str]) -> PathBuf {
        let file = self.path(name);
        for approved_by in ["", "budi"] {
            let mut text = "id,contract,amount,reason,by,approved_by\n".to_owned();
            for row in rows {
                text += &format!("{row},ana,{approved_by}\n");
            }
            std::fs::write(&file, text).expect("written");
            self.run("adjust", &["--adjustments", self::text(&file)]).done();
        }
        file
    }

    /// A payment of so many rupiah whose call came at a time, in a shard, and which ended forty
    /// seconds later.
    pub(crate) async fn pay(
        &mut self,
        store: &SqliteStore,
        contract: &str,
        shard: usize,
        (called, rupiah, end): (Timestamp, u64, End),
    ) -> TxId {
        let tx_id = self.ids[shard].next_tx(called);
        let payment = sample::payment_with(tx_id.get(), called, |record| {
            record.contract = contract.into();
            record.channel = Some(Channel::Live);
            record.amount = Some(Rupiah::new(rupiah).expect("an amount"));
        });
        let request =
            r#"{"accountholdername":"Siti Rahma","countrycode":"ID","sellingpoint":"Web"}"#;
        store.payment_create(&payment, request, &[]).await.expect("created");
        let midtrans_tx_id = format!("m-{tx_id}");
        let opened = Event::ChargeCreated {
            midtrans_tx_id: midtrans_tx_id.clone(),
            deeplink: "https://gopay.example/x".into(),
        };
        let done = called.after(40 * SECOND);
        let paid = Event::Paid {
            midtrans_tx_id,
            paid_at: Some(called.after(39 * SECOND)),
            payment_type: Some("gopay".into()),
            payment_option: Some("GOPAY_WALLET".into()),
        };
        let failed = Event::Closed(Closure::Expired);
        let steps = match end {
            End::Open => vec![],
            End::Paid => vec![(paid, done)],
            End::Failed => vec![(failed, done)],
            End::Late(seconds) => {
                vec![(failed, done), (paid, done.after(Duration::from_secs(seconds)))]
            }
        };
        for (event, now) in std::iter::once((opened, called.after(SECOND))).chain(steps) {
            store.payment_apply(tx_id, &event, None, &[], now).await.expect("applied");
        }
        tx_id
    }

    /// A refund of a payment, made at once; its money is back a day later, if it is confirmed.
    pub(crate) async fn refund(
        &mut self,
        store: &SqliteStore,
        contract: &str,
        (tx_id, now, rupiah): (TxId, Timestamp, u64),
        confirmed: bool,
    ) -> RefundId {
        let refund_id = self.ids[usize::from(tx_id.shard())].next_refund_of(tx_id, now);
        let request = RefundRequest {
            refund_id,
            tx_id,
            psp: "testclient".into(),
            contract: contract.into(),
            merchant_refund_id: Some(format!("back-{refund_id}")),
            currency: "IDR".into(),
            amount: Sen::new(rupiah * 100),
            descriptor: None,
            terms: RefundTerms { allowed: true, window: REFUND_WINDOW_MAX },
        };
        let reserved = store.refund_reserve(&request, now).await.expect("reserved");
        assert!(matches!(reserved, Reserved::Admitted(..)), "{reserved:?}");
        let made = now.after(2 * SECOND);
        let midtrans = |funds_confirmed_at| MidtransRefund {
            id: Some(format!("9{refund_id}")),
            at: Some(made.whole_seconds()),
            funds_confirmed_at,
        };
        let outcome = RefundOutcome::Made(midtrans(None));
        store.refund_resolve(refund_id, outcome, &[], made).await.expect("resolved");
        if confirmed {
            let day = now.after(24 * 3_600 * SECOND);
            let outcome = RefundOutcome::Made(midtrans(Some(day.whole_seconds())));
            store.refund_resolve(refund_id, outcome, &[], day).await.expect("resolved");
        }
        refund_id
    }
}

/// Of "test123".
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94";

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// How the program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Done; what it said.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Ended with this code, and this word in what it said.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, word: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(word), "{word:?} in {self:?}");
    }
}

pub(crate) fn ended(output: &Output) -> Ended {
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: told(&output.stdout), err: told(&output.stderr) }
}

/// Every file below a folder, by its path from there.
pub(crate) fn files(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("below");
            found.insert(text(name).to_owned(), std::fs::read(&path).expect("a file"));
        }
    }
    found
}
