//! The shopper's two stops with us: on the way to GoPay, and on the way back.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::money::Rupiah;
use gopay_core::payment::{Channel, ChargeState, FailReason, Payment, PaymentState};
use gopay_core::ppro::hash::{self, Page};
use gopay_core::time::Timestamp;
use gopay_store::StoreError;
use secrecy::ExposeSecret as _;

use crate::Service;
use crate::midtrans::Asked;

/// Where a shopper goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landing {
    /// The payment waits: to the GoPay app on a phone, else a page that says so.
    GoPay(Box<Waiting>),
    /// Nothing more to do here, whatever the outcome: back to the merchant.
    Merchant {
        /// The merchant's address with `txid` and `cs`; none if neither call nor contract has one.
        url: Option<String>,
        /// What a page may say to who cannot be led there.
        known: Known,
    },
}

/// A payment that the shopper can make now.
#[derive(Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Where the GoPay app takes over.
    pub deeplink: String,
    /// There is no phone behind the test channel: a simulator takes over.
    pub test: bool,
    /// Our own address, for a browser that is not on the phone to carry over. It has no secret
    /// of the PSP's in it.
    pub carried: String,
    /// Back to the merchant without paying, if the merchant gave an address.
    pub merchant: Option<String>,
    /// The host of that address, to know the shop by; none for an address in an app.
    pub shop: Option<String>,
    /// What is paid.
    pub amount: Option<Rupiah>,
    /// End of the session.
    pub until: Timestamp,
    /// How long that is.
    pub left: Duration,
}

gopay_core::shows_nothing!("Waiting", Waiting);

/// What a shopper may be told of a payment. Nobody is told that nothing was paid while money may
/// be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// GoPay has confirmed it.
    Paid,
    /// GoPay has neither confirmed it nor said no.
    Open {
        /// Whether the time to pay is over.
        over: bool,
    },
    /// GoPay has said that nobody paid, and that nobody can any more.
    NotPaid(FailReason),
    /// It failed here, and GoPay may hold money all the same, or says what does not fit.
    Unclear,
}

impl Known {
    fn of(payment: &Payment, now: Timestamp) -> Self {
        match &payment.state {
            PaymentState::Succeeded => Self::Paid,
            PaymentState::Initialized | PaymentState::Pending => {
                Self::Open { over: payment.session_over(now) }
            }
            PaymentState::Failed(failure) => match (payment.charge_state, &payment.doubt) {
                (ChargeState::Absent | ChargeState::Closed, None) => Self::NotPaid(failure.reason),
                (
                    ChargeState::Absent
                    | ChargeState::Closed
                    | ChargeState::Unknown
                    | ChargeState::Open
                    | ChargeState::Paid,
                    _,
                ) => Self::Unclear,
            },
        }
    }
}

/// Why a page cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// The address is not one of ours, or was changed.
    BadLink,
    /// The store does not answer.
    Unavailable,
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        crate::describe::log_store_error(&error);
        Self::Unavailable
    }
}

impl Service {
    /// `REDIRECTURL`: checks its codes and says where the shopper goes.
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn redirect_page(&self, tx: &str, rs: &str, cs: &str) -> Result<Landing, PageError> {
        let payment = self.payment_of_page(tx, Page::Redirect, cs).await?;
        if !hash::same_code(&payment.redirect_secret, rs) {
            return Err(PageError::BadLink);
        }
        self.to_gopay(payment).await
    }

    /// The address that a page of [`Landing::GoPay`] offers to be carried to the phone.
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn carried_page(&self, tx: &str, code: &str) -> Result<Landing, PageError> {
        let payment = self.payment_of_page(tx, Page::Redirect, code).await?;
        self.to_gopay(payment).await
    }

    async fn to_gopay(&self, payment: Payment) -> Result<Landing, PageError> {
        // Our clock is a reason to ask; what it says of the session counts if Midtrans' agrees.
        let payment = if payment.state == PaymentState::Pending && payment.session_over(self.now())
        {
            self.fresh(payment).await?
        } else {
            payment
        };
        let now = self.session_time(&payment);
        let open = payment.state == PaymentState::Pending && !payment.session_over(now);
        match &payment.deeplink {
            Some(deeplink) if open => Ok(Landing::GoPay(Box::new(Waiting {
                deeplink: deeplink.clone(),
                test: payment.channel == Some(Channel::Test),
                carried: self.carried_url(&payment),
                merchant: self.merchant_url(&payment),
                shop: payment.merchant_redirect_url.as_deref().and_then(host),
                amount: payment.amount,
                until: payment.deadline_at,
                left: payment.deadline_at.since(now),
            }))),
            _ => Ok(self.back_to_merchant(&payment)),
        }
    }

    /// Where the GoPay app returns to: asks Midtrans if the outcome is not known yet, then sends
    /// the shopper on to the merchant, whatever the outcome.
    ///
    /// # Errors
    /// [`PageError`].
    pub async fn return_page(&self, tx: &str, code: &str) -> Result<Landing, PageError> {
        let payment = self.payment_of_page(tx, Page::Return, code).await?;
        let payment = if payment.state == PaymentState::Pending {
            self.fresh(payment).await?
        } else {
            payment
        };
        Ok(self.back_to_merchant(&payment))
    }

    /// `preferredlanguage` of the call, for a page that is about to be shown; none if the call had none,
    /// or it cannot be read now: a page in another language is better than none.
    pub async fn preferred_language(&self, tx: &str) -> Option<String> {
        /// What a page needs of a call.
        #[derive(serde::Deserialize)]
        struct Call {
            preferredlanguage: Option<String>,
        }
        let call = self.0.store.payment_request(tx.parse().ok()?).await.ok()?;
        serde_json::from_str::<Call>(&call).ok()?.preferredlanguage
    }

    async fn payment_of_page(
        &self,
        tx: &str,
        page: Page,
        code: &str,
    ) -> Result<Payment, PageError> {
        let tx_id: TxId = tx.parse().map_err(|_| PageError::BadLink)?;
        let payment = self.0.store.payment_get(tx_id).await?.ok_or(PageError::BadLink)?;
        if self.parties().opens(page, &payment, code) {
            Ok(payment)
        } else {
            Err(PageError::BadLink)
        }
    }

    /// The payment after asking Midtrans, if that is quick; a shopper does not wait for long.
    async fn fresh(&self, payment: Payment) -> Result<Payment, PageError> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let asking = tokio::time::timeout(PATIENCE, self.ask(&payment, vec![])).await;
        let Ok(Asked { event, notes, .. }) = asking else { return Ok(payment) };
        Ok(self.apply(payment.tx_id, &event, None, &notes).await?.payment)
    }

    fn back_to_merchant(&self, payment: &Payment) -> Landing {
        Landing::Merchant {
            url: self.merchant_url(payment),
            known: Known::of(payment, self.session_time(payment)),
        }
    }

    /// The merchant's address with `txid` and `cs`.
    fn merchant_url(&self, payment: &Payment) -> Option<String> {
        let url = payment.merchant_redirect_url.as_ref()?;
        let parties = self.parties();
        // Without its PSP nobody could check the hash.
        let secret = parties.directory.psp(&payment.psp)?.shared_secrets.first()?;
        let cs = hash::return_cs(payment.tx_id, &payment.redirect_secret, secret.expose_secret());
        Some(hash::merchant_return(url, payment.tx_id, &cs))
    }

    /// The code of `REDIRECTURL` covers its secret, so that this shorter address needs none.
    fn carried_url(&self, payment: &Payment) -> String {
        let (tx, code) = (payment.tx_id, self.page_code(Page::Redirect, payment));
        format!("{}/ti/gopay/{tx}/{code}", self.settings().public_base_url)
    }
}

/// The host of an address on the web.
fn host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use gopay_core::payment::{ChargeState as C, Failure, NewPayment};

    use super::*;

    #[test]
    fn a_shop_is_known_by_the_host_of_its_address() {
        for (url, shop) in [
            ("https://toko.example/kembali?a=1", Some("toko.example")),
            ("http://toko.example:8080", Some("toko.example:8080")),
            ("https://good.example@evil.example/#a", Some("evil.example")),
            ("https://", None),
            ("shopapp://paid", None),
        ] {
            assert_eq!(host(url).as_deref(), shop, "{url}");
        }
    }

    fn payment(state: PaymentState, charge_state: ChargeState) -> Payment {
        let new = NewPayment {
            tx_id: "7".parse().unwrap(),
            psp: "p".into(),
            contract: "c".into(),
            channel: Some(Channel::Test),
            account: None,
            merchant_tx_id: None,
            redirect_secret: String::new(),
            merchant_redirect_url: None,
            notification_url: None,
            nonce: None,
            created_at: Timestamp::from_micros(0),
            session: Duration::from_secs(60),
        };
        let open = Payment::open(new, Rupiah::new(1_000).unwrap());
        let mut record = (*open).clone();
        (record.state, record.charge_state) = (state, charge_state);
        record.final_at = record.state.is_final().then_some(record.created_at);
        Payment::restore(record).unwrap()
    }

    /// What is not over at GoPay is never called unpaid.
    #[test]
    fn nobody_is_told_that_nothing_was_paid_while_money_may_be_there() {
        let failed = || PaymentState::Failed(Failure::new(FailReason::Timeout, "over"));
        let (early, late) = (Timestamp::from_micros(0), Timestamp::from_micros(61_000_000));
        for (state, charge, now, known) in [
            (PaymentState::Pending, C::Open, early, Known::Open { over: false }),
            (PaymentState::Pending, C::Open, late, Known::Open { over: true }),
            (failed(), C::Absent, late, Known::NotPaid(FailReason::Timeout)),
            (failed(), C::Closed, late, Known::NotPaid(FailReason::Timeout)),
            (failed(), C::Unknown, late, Known::Unclear),
            (failed(), C::Open, late, Known::Unclear),
        ] {
            assert_eq!(
                Known::of(&payment(state.clone(), charge), now),
                known,
                "{state:?} {charge:?}"
            );
        }
    }
}
