//! What happens in the shop: payments of a quarter over New Year, played through the real store.

use std::time::Duration;

use futures::future::join_all;
use gopay_core::ids::{IdGenerator, RefundId, TxId};
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{Channel, Closure, Event};
use gopay_core::refund::{
    ChargedBack, MidtransRefund, REFUND_WINDOW_MAX, RefundOutcome, RefundRequest, RefundTerms,
    SeenBack, SeenRefund,
};
use gopay_core::time::Timestamp;
use gopay_store::Store as _;
use gopay_store_sqlite::SqliteStore;
use gopay_testkit::{Dice, sample};

use crate::shop::{SECOND, at};

/// How money went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    Refund,
    /// In Midtrans' dashboard: nobody asked us.
    Dashboard,
    Chargeback,
}

/// A payment, and what is written of it that is not so.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    pub(crate) tx_id: TxId,
    pub(crate) contract: &'static str,
    pub(crate) called: Timestamp,
    pub(crate) rupiah: u64,
    pub(crate) failed: bool,
    /// FAILED first, and paid so much later.
    pub(crate) late: Option<Duration>,
    pub(crate) back: Option<(Timestamp, u64, Back, RefundId)>,
    /// The kind of break that it is to be.
    pub(crate) planted: &'static str,
}

impl Sale {
    pub(crate) fn paid_at(&self) -> Timestamp {
        self.called.after(40 * SECOND).after(self.late.unwrap_or_default())
    }

    pub(crate) fn sen(&self) -> u64 {
        self.rupiah * 100
    }

    pub(crate) fn midtrans_id(&self) -> String {
        format!("m-{}", self.tx_id)
    }
}

/// Kinds that are planted in single payments, in turn.
pub(crate) const IN_PAYMENTS: [&str; 13] = [
    "missing_at_midtrans",
    "missing_here",
    "amount_differs",
    "status_differs",
    "refund_differs",
    "fee_differs",
    "wrong_currency",
    "duplicate",
    "id_differs",
    "late_success",
    "chargeback",
    "not_paid_out",
    "paid_out_twice",
];

pub(crate) const FIRST: &str = "2025-11-01T00:00:00Z";
/// Exports end with this moment: the last UTC day of theirs is not complete.
pub(crate) const LAST: &str = "2026-01-30T16:59:59Z";

/// The quarter of so many payments. The stall has none in the week before Christmas, but gives back
/// what it sold the week before: its settlement is negative.
pub(crate) fn quarter(count: u64) -> Vec<Sale> {
    let mut dice = Dice::new(11);
    let mut ids: Vec<IdGenerator> = (0..4).map(IdGenerator::new).collect();
    let (first, last) = (at(FIRST), at(LAST));
    let span = last.as_millis() - first.as_millis() - 600_000;
    let mut sales = Vec::new();
    for number in 0..count {
        let millis = u64::try_from(span).expect("it fits") / count * number + dice.below(1_000);
        let called = first.after(Duration::from_millis(60_000 + millis));
        let stall = number % 3 == 1;
        let christmas = called >= at("2025-12-20T00:00:00Z") && called < at("2025-12-27T00:00:00Z");
        let contract = if stall && !christmas { "STALL" } else { "SHOP" };
        let shard = usize::try_from(number % 4).expect("it fits");
        let tx_id = ids[shard].next_tx(called);
        let mut sale = Sale {
            tx_id,
            contract,
            called,
            rupiah: 1 + dice.below(2_000_000),
            failed: dice.chance(60),
            late: None,
            back: None,
            planted: "",
        };
        // Across midnight, and for the last of the year across New Year.
        if !sale.failed && dice.chance(20) {
            sale.late = Some(Duration::from_secs(3_600 * dice.between(1, 40)));
        }
        plant(&mut sale, number, count);
        let advent = called >= at("2025-12-12T00:00:00Z") && called < at("2025-12-20T00:00:00Z");
        let all = contract == "STALL" && advent;
        if !sale.failed && sale.planted.is_empty() && (all || dice.chance(40)) {
            give_back(&mut sale, all, &mut dice, &mut ids[shard]);
        }
        sales.push(sale);
    }
    sales
}

fn plant(sale: &mut Sale, number: u64, count: u64) {
    let every = 30;
    let cutoff = at("2026-01-30T00:00:00Z");
    // Away from the edges: what is due there is not due yet.
    let edge = number < count / 50
        || sale.called > cutoff.before(Duration::from_secs(12 * 86_400))
        || near_overlap(sale.called);
    if number.is_multiple_of(every) && !edge {
        let turn = usize::try_from(number / every).expect("it fits") % IN_PAYMENTS.len();
        (sale.planted, sale.failed, sale.late) = (IN_PAYMENTS[turn], false, None);
        sale.failed = sale.planted == "late_success";
    } else if number.is_multiple_of(5) && sale.called >= cutoff.after(SECOND * 3_600) {
        (sale.planted, sale.failed, sale.late) = ("timing", false, None);
    }
}

/// Two exports have these days, so that a row is there twice and no duplicate.
pub(crate) fn near_overlap(called: Timestamp) -> bool {
    ["2025-11-30", "2025-12-31", "2026-01-15"].iter().any(|day| {
        let midnight = at(&format!("{day}T00:00:00Z"));
        called >= midnight.before(SECOND * 86_400) && called < midnight.after(SECOND * 86_400)
    })
}

fn give_back(sale: &mut Sale, all: bool, dice: &mut Dice, ids: &mut IdGenerator) {
    let christmas = at("2025-12-22T03:00:00Z");
    let (how, rupiah, day) = match dice.below(12) {
        _ if all => (Back::Refund, sale.rupiah, christmas),
        0 => (Back::Dashboard, sale.rupiah.div_ceil(2), sale.paid_at()),
        1 => (Back::Chargeback, sale.rupiah, sale.paid_at()),
        // Late: as much as three weeks after.
        _ => {
            let days = Duration::from_secs(86_400 * dice.below(22));
            (Back::Refund, sale.rupiah.div_ceil(3), sale.paid_at().after(days))
        }
    };
    let when = day.after(Duration::from_secs(60 + dice.below(7_200)));
    if when < at(LAST) {
        sale.back = Some((when, rupiah, how, ids.next_refund_of(sale.tx_id, when)));
    }
}

/// Plays payments, many at once.
pub(crate) async fn play(store: &SqliteStore, sales: &[&Sale]) {
    for chunk in sales.chunks(128) {
        join_all(chunk.iter().map(|sale| one(store, sale))).await;
    }
}

async fn one(store: &SqliteStore, sale: &Sale) {
    let Sale { tx_id, called, .. } = *sale;
    let payment = sample::payment_with(tx_id.get(), called, |record| {
        record.contract = sale.contract.into();
        record.channel = Some(Channel::Live);
        record.amount = Some(Rupiah::new(sale.rupiah).expect("an amount"));
    });
    store.payment_create(&payment, "{}", &[]).await.expect("created");
    let opened = Event::ChargeCreated {
        midtrans_tx_id: sale.midtrans_id(),
        deeplink: "https://gopay.example/x".into(),
    };
    let done = called.after(40 * SECOND);
    let paid = Event::Paid {
        midtrans_tx_id: sale.midtrans_id(),
        paid_at: Some(sale.paid_at().before(SECOND).whole_seconds()),
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    };
    let failed = Event::Closed(Closure::Expired);
    let mut steps = vec![(opened, called.after(SECOND))];
    if sale.failed || sale.late.is_some() {
        steps.push((failed, done));
    }
    if !sale.failed {
        steps.push((paid, sale.paid_at()));
    }
    for (event, now) in steps {
        store.payment_apply(tx_id, &event, None, &[], now).await.expect("applied");
    }
    if let Some(back) = sale.back {
        went_back(store, sale, back).await;
    }
}

async fn went_back(
    store: &SqliteStore,
    sale: &Sale,
    (now, rupiah, how, refund_id): (Timestamp, u64, Back, RefundId),
) {
    let midtrans = |at: Timestamp| MidtransRefund {
        id: Some(format!("9{refund_id}")),
        at: Some(at.whole_seconds()),
        funds_confirmed_at: None,
    };
    if how == Back::Refund {
        let request = RefundRequest {
            refund_id,
            tx_id: sale.tx_id,
            psp: "testclient".into(),
            contract: sale.contract.into(),
            merchant_refund_id: Some(format!("back-{refund_id}")),
            currency: "IDR".into(),
            amount: Sen::new(rupiah * 100),
            descriptor: None,
            terms: RefundTerms { allowed: true, window: REFUND_WINDOW_MAX },
        };
        store.refund_reserve(&request, now).await.expect("reserved");
        let made = now.after(2 * SECOND);
        let outcome = RefundOutcome::Made(midtrans(made));
        store.refund_resolve(refund_id, outcome, &[], made).await.expect("resolved");
        return;
    }
    let amount = Rupiah::new(rupiah).expect("an amount");
    let seen = match how {
        Back::Chargeback => {
            SeenBack { charged_back: Some(ChargedBack::Whole), ..SeenBack::default() }
        }
        Back::Refund | Back::Dashboard => SeenBack {
            total: None,
            refunds: vec![SeenRefund {
                key: Some("by hand".into()),
                amount,
                midtrans: midtrans(now),
            }],
            ..SeenBack::default()
        },
    };
    let ids = [refund_id];
    let found = store.refund_record_elsewhere(sale.tx_id, &seen, &ids, now).await;
    assert_eq!(found.expect("recorded").len(), 1, "{sale:?}");
}
