//! Calls: who makes them, and those with few parameters.

use std::fmt;

use crate::answer::{CancelAnswer, Refund, RefundStatusAnswer, StatusAnswer};
use crate::form::Form;
use crate::ids::{RefundId, TxId};
use crate::pairs::{AnswerError, Pairs};

/// The PSP's login, its password, and the merchant's contract.
///
/// ```
/// use gopay_psp_client::Credentials;
/// let psp = Credentials::new("testclient", "test123", "TESTCONTRACT");
/// assert_eq!(
///     psp.form("REQUESTDATA").encode(),
///     "returnmode=urlencodeext&txtype=REQUESTDATA&login=testclient&password=test123&contractid=TESTCONTRACT"
/// );
/// ```
#[derive(Clone)]
pub struct Credentials {
    login: String,
    password: String,
    contract: String,
}

impl Credentials {
    /// As agreed with the operator of the adapter.
    #[must_use]
    pub fn new(
        login: impl Into<String>,
        password: impl Into<String>,
        contract: impl Into<String>,
    ) -> Self {
        Self { login: login.into(), password: password.into(), contract: contract.into() }
    }

    /// The parameters of every call. Whoever needs a call that this client has no builder for adds
    /// the rest.
    #[must_use]
    pub fn form<'a>(&'a self, txtype: &'a str) -> Form<'a> {
        Form::new()
            .with("returnmode", "urlencodeext")
            .with("txtype", txtype)
            .with("login", &self.login)
            .with("password", &self.password)
            .with("contractid", &self.contract)
    }
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = out.debug_struct("Credentials");
        shown.field("login", &self.login).field("contract", &self.contract).finish_non_exhaustive()
    }
}

/// A call of the Simple API.
pub trait Call {
    /// What comes back.
    type Answer;

    /// The word of `txtype`.
    const TXTYPE: &'static str;

    /// Adds the call's own parameters.
    fn write<'a>(&'a self, form: &mut Form<'a>);

    /// What an answer means to this call.
    ///
    /// # Errors
    /// [`AnswerError::Missing`], [`AnswerError::Unexpected`].
    fn meaning(pairs: &Pairs<'_>) -> Result<Self::Answer, AnswerError>;

    /// The body to send by `POST`, as `application/x-www-form-urlencoded`.
    fn body(&self, psp: &Credentials) -> String {
        let mut form = psp.form(Self::TXTYPE);
        self.write(&mut form);
        form.encode()
    }

    /// Reads the body that came back, whatever the HTTP status.
    ///
    /// # Errors
    /// [`AnswerError`]; whether the call was carried out is then unknown.
    fn read(&self, answer: &[u8]) -> Result<Self::Answer, AnswerError> {
        Self::meaning(&Pairs::read(answer)?)
    }
}

/// Asks for the state of a payment. Ask after each notification and each return of a shopper;
/// nothing else says whether it was paid.
///
/// ```
/// use gopay_psp_client::{Call as _, Credentials, GetTxStatus, PaymentState, StatusAnswer};
/// let call = GetTxStatus { tx_id: "123887123".parse()? };
/// let body = call.body(&Credentials::new("l", "p", "c"));
/// assert!(body.ends_with("&txid=123887123"));
/// let paid = b"REQUESTSTATUS=SUCCEEDED&STATUS=SUCCEEDED&TXID=123887123&FUNDSSTATUS=WAITING&ERRMSG=";
/// let StatusAnswer::Found(payment) = call.read(paid)? else { panic!() };
/// assert_eq!(payment.state, PaymentState::Succeeded);
/// // This says nothing about the payment, although its STATUS is FAILED.
/// let failed = b"REQUESTSTATUS=FAILED&REQUESTFAILREASON=SYSTEM_ERROR&STATUS=FAILED&TXID=0&ERRMSG=";
/// assert!(matches!(call.read(failed)?, StatusAnswer::Failed(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GetTxStatus {
    /// The payment.
    pub tx_id: TxId,
}

impl Call for GetTxStatus {
    type Answer = StatusAnswer;
    const TXTYPE: &'static str = "GETTXSTATUS";

    fn write<'a>(&'a self, form: &mut Form<'a>) {
        form.push("txid", self.tx_id.to_string());
    }

    fn meaning(pairs: &Pairs<'_>) -> Result<StatusAnswer, AnswerError> {
        StatusAnswer::of(pairs)
    }
}

/// The same by the PSP's own reference: for a TRANSACTION call whose answer was lost.
#[derive(Clone, Debug)]
pub struct GetTxStatusByMerchantTxId {
    /// The reference; letters are the same in either case.
    pub merchant_tx_id: String,
}

impl Call for GetTxStatusByMerchantTxId {
    type Answer = StatusAnswer;
    const TXTYPE: &'static str = "GETTXSTATUSBYMERCHANTTXID";

    fn write<'a>(&'a self, form: &mut Form<'a>) {
        form.push("merchanttxid", &self.merchant_tx_id);
    }

    fn meaning(pairs: &Pairs<'_>) -> Result<StatusAnswer, AnswerError> {
        StatusAnswer::of(pairs)
    }
}

/// Ends a pending payment.
#[derive(Clone, Copy, Debug)]
pub struct CancelTx {
    /// The payment.
    pub tx_id: TxId,
}

impl Call for CancelTx {
    type Answer = CancelAnswer;
    const TXTYPE: &'static str = "CANCELTX";

    fn write<'a>(&'a self, form: &mut Form<'a>) {
        form.push("txid", self.tx_id.to_string());
    }

    fn meaning(pairs: &Pairs<'_>) -> Result<CancelAnswer, AnswerError> {
        CancelAnswer::of(pairs)
    }
}

/// Gives money back: REFUND. Every call is a refund of its own; never repeat one blindly.
///
/// ```
/// use gopay_psp_client::{Call as _, Credentials, RefundCall, RefundState};
/// let call = RefundCall::new("123887123".parse()?, 200_000).merchant_refund_id("RF-1");
/// let body = call.body(&Credentials::new("l", "p", "c"));
/// assert!(body.ends_with("&txid=123887123&currency=IDR&amount=200000&merchantrefundid=RF-1"));
/// let made = call.read(b"STATUS=SUCCEEDED&REFUNDID=223887123&MERCHANTREFUNDID=RF-1&ERRMSG=")?;
/// assert_eq!(made.state, RefundState::Succeeded);
/// assert!(call.read(b"STATUS=PENDING&REFUNDID=223887123&ERRMSG=").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RefundCall {
    tx_id: TxId,
    sen: u64,
    merchant_refund_id: Option<String>,
    descriptor: Option<String>,
}

impl RefundCall {
    /// Of a payment, so many sen: a multiple of 100, at most what is left.
    #[must_use]
    pub const fn new(tx_id: TxId, sen: u64) -> Self {
        Self { tx_id, sen, merchant_refund_id: None, descriptor: None }
    }

    /// The PSP's reference. Without one a refund whose answer is lost cannot be looked up.
    #[must_use]
    pub fn merchant_refund_id(mut self, reference: impl Into<String>) -> Self {
        self.merchant_refund_id = Some(reference.into());
        self
    }

    /// What the shopper reads in the GoPay history.
    #[must_use]
    pub fn dynamic_descriptor(mut self, text: impl Into<String>) -> Self {
        self.descriptor = Some(text.into());
        self
    }
}

impl Call for RefundCall {
    type Answer = Refund;
    const TXTYPE: &'static str = "REFUND";

    fn write<'a>(&'a self, form: &mut Form<'a>) {
        form.push("txid", self.tx_id.to_string());
        form.push("currency", "IDR");
        form.push("amount", self.sen.to_string());
        form.extend(self.merchant_refund_id.as_deref().map(|text| ("merchantrefundid", text)));
        form.extend(self.descriptor.as_deref().map(|text| ("specin.dynamicdescriptor", text)));
    }

    fn meaning(pairs: &Pairs<'_>) -> Result<Refund, AnswerError> {
        Refund::of_call(pairs)
    }
}

/// Asks for the state of a refund.
#[derive(Clone, Copy, Debug)]
pub struct GetRefundStatus {
    /// The refund.
    pub refund_id: RefundId,
}

impl Call for GetRefundStatus {
    type Answer = RefundStatusAnswer;
    const TXTYPE: &'static str = "GETREFUNDSTATUS";

    fn write<'a>(&'a self, form: &mut Form<'a>) {
        form.push("refundid", self.refund_id.to_string());
    }

    fn meaning(pairs: &Pairs<'_>) -> Result<RefundStatusAnswer, AnswerError> {
        RefundStatusAnswer::of(pairs)
    }
}

/// The same by the PSP's own reference: for a REFUND call whose answer was lost.
#[derive(Clone, Debug)]
pub struct GetRefundStatusByMerchantRefundId {
    /// The reference; letters are the same in either case.
    pub merchant_refund_id: String,
}

impl Call for GetRefundStatusByMerchantRefundId {
    type Answer = RefundStatusAnswer;
    const TXTYPE: &'static str = "GETREFUNDSTATUSBYMERCHANTREFUNDID";

    fn write<'a>(&'a self, form: &mut Form<'a>) {
        form.push("merchantrefundid", &self.merchant_refund_id);
    }

    fn meaning(pairs: &Pairs<'_>) -> Result<RefundStatusAnswer, AnswerError> {
        RefundStatusAnswer::of(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_sends_its_own_parameters() {
        let psp = Credentials::new("l", "p w", "c");
        let tx_id: TxId = "7".parse().unwrap();
        let head = |txtype: &str| {
            format!("returnmode=urlencodeext&txtype={txtype}&login=l&password=p%20w&contractid=c")
        };
        for (body, txtype, rest) in [
            (GetTxStatus { tx_id }.body(&psp), "GETTXSTATUS", "&txid=7"),
            (
                GetTxStatusByMerchantTxId { merchant_tx_id: "a,b".into() }.body(&psp),
                "GETTXSTATUSBYMERCHANTTXID",
                "&merchanttxid=a%2Cb",
            ),
            (CancelTx { tx_id }.body(&psp), "CANCELTX", "&txid=7"),
            (
                RefundCall::new(tx_id, 100).dynamic_descriptor("a b").body(&psp),
                "REFUND",
                "&txid=7&currency=IDR&amount=100&specin.dynamicdescriptor=a%20b",
            ),
            (
                GetRefundStatus { refund_id: "8".parse().unwrap() }.body(&psp),
                "GETREFUNDSTATUS",
                "&refundid=8",
            ),
            (
                GetRefundStatusByMerchantRefundId { merchant_refund_id: "r".into() }.body(&psp),
                "GETREFUNDSTATUSBYMERCHANTREFUNDID",
                "&merchantrefundid=r",
            ),
        ] {
            assert_eq!(body, head(txtype) + rest);
        }
    }

    #[test]
    fn no_password_shows_in_a_log() {
        let shown = format!("{:?}", Credentials::new("testclient", "test123", "TESTCONTRACT"));
        assert!(shown.contains("testclient") && !shown.contains("test123"), "{shown}");
    }
}
