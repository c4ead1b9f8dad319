//! What answers mean.
//!
//! Source: `docs/psp-guide.md`, "Answers" and "Open outcomes".

use std::fmt;

use crate::ids::{RefundId, TxId};
use crate::pairs::{AnswerError, Pairs};
use crate::reason::{FailReason, FundsStatus, RequestFailReason};

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// To decide by.
    pub reason: FailReason,
    /// To be read by engineers; its wording may change.
    pub message: String,
}

impl Failure {
    fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        let reason = FailReason::from(pairs.must("FAILREASON")?.as_ref());
        Ok(Self { reason, message: message(pairs) })
    }
}

fn message(pairs: &Pairs<'_>) -> String {
    pairs.get("ERRMSG").unwrap_or_default().into_owned()
}

fn text(pairs: &Pairs<'_>, key: &str) -> Option<String> {
    pairs.get(key).map(std::borrow::Cow::into_owned)
}

fn unexpected(pairs: &Pairs<'_>, key: &'static str) -> AnswerError {
    AnswerError::Unexpected { key, value: text(pairs, key).unwrap_or_default() }
}

/// Where to send the shopper.
#[derive(Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Send the browser there unchanged, by HTTP 302.
    pub url: String,
    /// Keep it with the order; it proves the shopper's return
    /// ([`shopper_return`](crate::shopper_return)).
    pub secret: String,
}

/// Says that there is one. The address holds the secret.
impl fmt::Debug for Redirect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Redirect").finish_non_exhaustive()
    }
}

/// The state of a payment. `Succeeded` is final; `Failed` may still become `Succeeded`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// The shopper may pay. None: its first answer is not ready; ask again.
    Pending(Option<Redirect>),
    /// The money is there.
    Succeeded,
    /// It was not paid.
    Failed(Failure),
}

/// A payment as an answer tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The adapter's id.
    pub tx_id: TxId,
    /// The PSP's reference, if one was sent.
    pub merchant_tx_id: Option<String>,
    /// What became of it so far.
    pub state: PaymentState,
    /// What is known of the money's movement.
    pub funds: FundsStatus,
    /// `CHANNEL`, as sent.
    pub channel: Option<String>,
}

impl Payment {
    fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        let tx_id = pairs.id("TXID")?.ok_or_else(|| unexpected(pairs, "TXID"))?;
        let state = match pairs.must("STATUS")?.as_ref() {
            "PENDING" => PaymentState::Pending(
                text(pairs, "REDIRECTURL")
                    .zip(text(pairs, "REDIRECTSECRET"))
                    .map(|(url, secret)| Redirect { url, secret }),
            ),
            "SUCCEEDED" => PaymentState::Succeeded,
            "FAILED" => PaymentState::Failed(Failure::of(pairs)?),
            _ => return Err(unexpected(pairs, "STATUS")),
        };
        Ok(Self {
            tx_id,
            merchant_tx_id: text(pairs, "MERCHANTTXID"),
            state,
            funds: FundsStatus::from(pairs.must("FUNDSSTATUS")?.as_ref()),
            channel: text(pairs, "CHANNEL"),
        })
    }
}

/// What came of TRANSACTION.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum TransactionAnswer {
    /// There is a payment; its state may be `Failed`.
    Recorded(Payment),
    /// `TXID=0`: there is no payment, and nothing to ask about.
    Refused(Failure),
}

impl TransactionAnswer {
    pub(crate) fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        match pairs.id::<TxId>("TXID")? {
            Some(_) => Payment::of(pairs).map(Self::Recorded),
            None => Failure::of(pairs).map(Self::Refused),
        }
    }
}

/// The question failed, which says nothing about what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    /// To decide by.
    pub reason: RequestFailReason,
    /// To be read by engineers.
    pub message: String,
}

impl RequestFailure {
    fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        let reason = RequestFailReason::from(pairs.must("REQUESTFAILREASON")?.as_ref());
        Ok(Self { reason, message: message(pairs) })
    }

    /// Whether the same question may get an answer later: the adapter failed, or the outcome is
    /// still open.
    #[must_use]
    pub fn ask_again(&self) -> bool {
        self.reason == RequestFailReason::SystemError
    }
}

/// Whether a call that asks for a state succeeded as a call.
fn was_answered(pairs: &Pairs<'_>) -> Result<bool, AnswerError> {
    match pairs.must("REQUESTSTATUS")?.as_ref() {
        "SUCCEEDED" => Ok(true),
        "FAILED" => Ok(false),
        _ => Err(unexpected(pairs, "REQUESTSTATUS")),
    }
}

/// What came of GETTXSTATUS or GETTXSTATUSBYMERCHANTTXID.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum StatusAnswer {
    /// The payment.
    Found(Payment),
    /// Nothing is known.
    Failed(RequestFailure),
}

impl StatusAnswer {
    pub(crate) fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        if was_answered(pairs)? {
            Payment::of(pairs).map(Self::Found)
        } else {
            RequestFailure::of(pairs).map(Self::Failed)
        }
    }
}

/// What came of CANCELTX.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum CancelAnswer {
    /// It is cancelled. A notification follows.
    Cancelled(Payment),
    /// It was over already, or the shopper was faster: its true state.
    NotPending(Payment),
    /// Not known yet, or there is no such payment.
    Failed(RequestFailure),
}

impl CancelAnswer {
    pub(crate) fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        if was_answered(pairs)? {
            Payment::of(pairs).map(Self::Cancelled)
        } else if pairs.id::<TxId>("TXID")?.is_some() {
            Payment::of(pairs).map(Self::NotPending)
        } else {
            RequestFailure::of(pairs).map(Self::Failed)
        }
    }
}

/// The state of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// The money is back. Final.
    Succeeded,
    /// Nothing goes back. Final.
    Failed(Failure),
    /// Neither yes nor no. Ask by the refund's id, or by `merchantrefundid` if it has none; do not
    /// send another refund meanwhile.
    Open(Failure),
}

/// A refund as an answer tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Refund {
    /// The adapter's id; none if the refund was not recorded, or nobody knows whether it was.
    pub refund_id: Option<RefundId>,
    /// The PSP's reference, if one was sent.
    pub merchant_refund_id: Option<String>,
    /// What became of it so far.
    pub state: RefundState,
}

impl Refund {
    /// As the answer to REFUND tells of it. PPRO has no word for an open refund: two answers stand
    /// for it.
    pub(crate) fn of_call(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        let mut refund = Self::of(pairs)?;
        if let RefundState::Failed(failure) = &refund.state
            && matches!(
                (&failure.reason, refund.refund_id),
                (FailReason::RemoteError, Some(_)) | (FailReason::LocalError, None)
            )
        {
            refund.state = RefundState::Open(failure.clone());
        }
        Ok(refund)
    }

    fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        let refund_id = pairs.id("REFUNDID")?;
        let state = match pairs.must("STATUS")?.as_ref() {
            "SUCCEEDED" => RefundState::Succeeded,
            "FAILED" => RefundState::Failed(Failure::of(pairs)?),
            _ => return Err(unexpected(pairs, "STATUS")),
        };
        Ok(Self { refund_id, merchant_refund_id: text(pairs, "MERCHANTREFUNDID"), state })
    }
}

/// What came of GETREFUNDSTATUS or GETREFUNDSTATUSBYMERCHANTREFUNDID.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum RefundStatusAnswer {
    /// The final word about the refund.
    Found(Refund),
    /// Nothing is known. If [`RequestFailure::ask_again`], the refund may be open.
    Failed(RequestFailure),
}

impl RefundStatusAnswer {
    pub(crate) fn of(pairs: &Pairs<'_>) -> Result<Self, AnswerError> {
        if was_answered(pairs)? {
            Refund::of(pairs).map(Self::Found)
        } else {
            RequestFailure::of(pairs).map(Self::Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Pairs<'_> {
        Pairs::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_transaction_answer_is_a_payment_or_a_refusal() {
        let of = |text: &str| TransactionAnswer::of(&pairs(text));
        let failure = Failure { reason: FailReason::Timeout, message: "over".into() };
        let payment = |state, funds| Payment {
            tx_id: "7".parse().unwrap(),
            merchant_tx_id: None,
            state,
            funds,
            channel: None,
        };
        let redirect = Redirect { url: "https://a/?b=c".into(), secret: "s".into() };
        for (text, expected) in [
            (
                "STATUS=PENDING&TXID=7&RAND1=0&FUNDSSTATUS=WAITING&ERRMSG=&REDIRECTURL=https%3A%2F%2Fa%2F%3Fb%3Dc&REDIRECTSECRET=s",
                payment(PaymentState::Pending(Some(redirect)), FundsStatus::Waiting),
            ),
            (
                "STATUS=PENDING&TXID=7&FUNDSSTATUS=WAITING&ERRMSG=",
                payment(PaymentState::Pending(None), FundsStatus::Waiting),
            ),
            (
                "STATUS=SUCCEEDED&TXID=7&FUNDSSTATUS=RECEIVED&ERRMSG=",
                payment(PaymentState::Succeeded, FundsStatus::Other("RECEIVED".into())),
            ),
            (
                "STATUS=FAILED&TXID=7&FUNDSSTATUS=NOT_EXPECTED&ERRMSG=over&FAILREASON=TIMEOUT",
                payment(PaymentState::Failed(failure.clone()), FundsStatus::NotExpected),
            ),
        ] {
            assert_eq!(of(text), Ok(TransactionAnswer::Recorded(expected)), "{text}");
        }
        assert_eq!(
            of("STATUS=FAILED&TXID=0&ERRMSG=over&FAILREASON=TIMEOUT"),
            Ok(TransactionAnswer::Refused(failure))
        );
        for (text, error) in [
            ("STATUS=PENDING", AnswerError::Missing("TXID")),
            ("STATUS=FAILED&TXID=0", AnswerError::Missing("FAILREASON")),
            (
                "STATUS=NEW&TXID=7&FUNDSSTATUS=WAITING",
                AnswerError::Unexpected { key: "STATUS", value: "NEW".into() },
            ),
            ("STATUS=PENDING&TXID=x", AnswerError::Unexpected { key: "TXID", value: "x".into() }),
        ] {
            assert_eq!(of(text), Err(error), "{text}");
        }
    }

    /// `STATUS=FAILED` of a call that failed says nothing about the payment.
    #[test]
    fn the_request_status_is_read_first() {
        let failed =
            "REQUESTSTATUS=FAILED&REQUESTFAILREASON=TX_NOT_FOUND&STATUS=FAILED&TXID=0&ERRMSG=no";
        let StatusAnswer::Failed(failure) = StatusAnswer::of(&pairs(failed)).unwrap() else {
            panic!("{failed}");
        };
        assert_eq!((failure.reason.as_str(), failure.ask_again()), ("TX_NOT_FOUND", false));
        assert!(matches!(CancelAnswer::of(&pairs(failed)), Ok(CancelAnswer::Failed(_))));
        let paid = "REQUESTSTATUS=FAILED&REQUESTFAILREASON=UNKNOWN&STATUS=SUCCEEDED&TXID=7&FUNDSSTATUS=WAITING&ERRMSG=Transaction%20is%20not%20pending";
        let answer = CancelAnswer::of(&pairs(paid)).unwrap();
        let CancelAnswer::NotPending(payment) = answer else { panic!("{answer:?}") };
        assert_eq!(payment.state, PaymentState::Succeeded);
        let cancelled = "REQUESTSTATUS=SUCCEEDED&STATUS=FAILED&TXID=7&FUNDSSTATUS=NOT_EXPECTED&ERRMSG=c&FAILREASON=CANCELED";
        assert!(matches!(CancelAnswer::of(&pairs(cancelled)), Ok(CancelAnswer::Cancelled(_))));
        assert!(matches!(StatusAnswer::of(&pairs(cancelled)), Ok(StatusAnswer::Found(_))));
        assert_eq!(
            StatusAnswer::of(&pairs("STATUS=PENDING&TXID=7")),
            Err(AnswerError::Missing("REQUESTSTATUS"))
        );
    }

    #[test]
    fn an_open_refund_is_neither_made_nor_failed() {
        let of = |id: &str, status: &str, reason: &str| {
            let reason =
                if reason.is_empty() { String::new() } else { format!("&FAILREASON={reason}") };
            let text = format!("STATUS={status}&REFUNDID={id}&ERRMSG=m{reason}");
            let (call, question) = (
                Refund::of_call(&pairs(&text)).unwrap().state,
                RefundStatusAnswer::of(&pairs(&format!("REQUESTSTATUS=SUCCEEDED&{text}"))).unwrap(),
            );
            let RefundStatusAnswer::Found(found) = question else { panic!("{question:?}") };
            [call, found.state].map(|state| match state {
                RefundState::Succeeded => "succeeded",
                RefundState::Failed(_) => "failed",
                RefundState::Open(_) => "open",
            })
        };
        for (id, status, reason, expected) in [
            ("8", "SUCCEEDED", "", ["succeeded", "succeeded"]),
            ("8", "FAILED", "REMOTE_DECLINE", ["failed", "failed"]),
            // The question has an answer, so it is final.
            ("8", "FAILED", "REMOTE_ERROR", ["open", "failed"]),
            ("8", "FAILED", "LOCAL_ERROR", ["failed", "failed"]),
            ("0", "FAILED", "LOCAL_ERROR", ["open", "failed"]),
            ("0", "FAILED", "INPUT_DATA", ["failed", "failed"]),
        ] {
            assert_eq!(of(id, status, reason), expected, "{id} {status} {reason}");
        }
        let open =
            "REQUESTSTATUS=FAILED&REQUESTFAILREASON=SYSTEM_ERROR&STATUS=FAILED&REFUNDID=0&ERRMSG=m";
        let RefundStatusAnswer::Failed(failure) = RefundStatusAnswer::of(&pairs(open)).unwrap()
        else {
            panic!("{open}");
        };
        assert!(failure.ask_again());
    }

    #[test]
    fn no_redirect_secret_shows_in_a_log() {
        let redirect = Redirect { url: "https://a/?rs=s3cret".into(), secret: "s3cret".into() };
        assert!(!format!("{redirect:?}").contains("s3cret"));
    }
}
