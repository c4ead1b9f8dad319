//! The shopper's two stops with us: on the way to GoPay, and on the way back.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::payment::{Payment, PaymentState};
use gopay_core::ppro::hash::{self, Page};
use gopay_store::StoreError;
use secrecy::ExposeSecret as _;

use crate::Service;

/// Where a shopper goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landing {
    /// The payment waits: to the GoPay app on a phone, else a page that says so.
    GoPay {
        /// Where the GoPay app takes over.
        deeplink: String,
        /// There is no phone behind the test channel: a simulator takes over.
        test: bool,
        /// Our own address, for a browser that is not on the phone to carry over. It has no secret
        /// of the PSP's in it.
        carried: String,
        /// Back to the merchant without paying, if the merchant gave an address.
        merchant: Option<String>,
    },
    /// Over, paid or failed: back to the merchant.
    Merchant(String),
    /// Over, and the merchant gave no address.
    Nowhere,
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
        let test = payment.channel == Some(gopay_core::payment::Channel::Test);
        let open = payment.state == PaymentState::Pending
            && !payment.session_over(self.session_time(payment.channel));
        match &payment.deeplink {
            Some(deeplink) if open => Ok(Landing::GoPay {
                deeplink: deeplink.clone(),
                test,
                carried: self.carried_url(&payment),
                merchant: self.merchant_url(&payment),
            }),
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
        let Ok((event, notes)) = tokio::time::timeout(PATIENCE, self.ask(&payment, vec![])).await
        else {
            return Ok(payment);
        };
        Ok(self.apply(payment.tx_id, &event, None, &notes).await?.payment)
    }

    fn back_to_merchant(&self, payment: &Payment) -> Landing {
        self.merchant_url(payment).map_or(Landing::Nowhere, Landing::Merchant)
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
