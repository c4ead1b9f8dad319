//! Money that does not fit its payment goes back, as a person decided.

use gopay_core::ids::RefundId;
use gopay_core::midtrans::{StatusReply, StatusView, TransactionStatus};
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{Event, Payment};
use gopay_core::translate::outcome::{RefundAnswer, refund_answer};
use gopay_store::{Note, StoreError};
use serde_json::json;

use crate::describe::{chain, describe_refund};
use crate::{Service, note, observe};

/// Shown to the shopper.
const REASON: &str = "Returned: the amount did not fit the order";

impl Service {
    /// Gives all of it back at Midtrans, under one key. If the outcome stays open, the next check
    /// goes on; if Midtrans refuses, a person must decide again.
    pub(crate) async fn return_money(
        &self,
        payment: &Payment,
        amount: Rupiah,
    ) -> Result<(), StoreError> {
        let mut notes = Vec::new();
        let event = self.try_return(payment, amount, &mut notes).await;
        self.apply(payment.tx_id, &event, None, &notes).await?;
        observe::learn(|seen| seen.outcome = event.word());
        Ok(())
    }

    async fn try_return(&self, payment: &Payment, amount: Rupiah, notes: &mut Vec<Note>) -> Event {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of_payment(payment) else { return Event::NoAnswer };
        // No refund has this number: both come from one generator.
        let Ok(key) = RefundId::new(payment.tx_id.get()) else { return Event::NoAnswer };
        let id = payment.upstream_id();
        let asked = observe::upstream("status", account.client.status(&id)).await;
        let Ok(StatusReply::Found(view)) = asked else { return Event::NoAnswer };
        let amount = match left_to_return(&view, key, amount) {
            None => return Event::NoAnswer,
            Some(None) => return Event::Returned,
            Some(Some(left)) => left,
        };
        // A key of its own for every try, as an earlier refusal must not come back; that the money
        // goes back once is held by `refund_key`.
        let salt = u32::from_le_bytes(self.0.ids.bytes::<4>());
        let repeat = format!("v{key}-{salt:08x}");
        let request = account.client.refund(&id, key, amount, Some(REASON), &repeat);
        let (event, said) = match observe::upstream("refund", request).await {
            Ok(reply) => {
                let event = match refund_answer(&reply) {
                    RefundAnswer::Accepted(_) => Event::Returned,
                    RefundAnswer::Refused(_) => Event::ReturnRefused,
                    RefundAnswer::Unknown(_) => Event::NoAnswer,
                };
                (event, describe_refund(account, &reply))
            }
            Err(error) => (Event::NoAnswer, chain(&error)),
        };
        let detail = json!({"amount_sen": amount.sen(), "refund_key": key, "answer": said});
        notes.push(note("return_sent", detail));
        if event == Event::ReturnRefused {
            let (tx_id, said) = (payment.tx_id, said.as_str());
            tracing::error!(payment.tx_id = %tx_id, said, "money that does not fit cannot be given back; a person must decide again");
        }
        event
    }
}

/// What Midtrans still has of it, by its present word or else by the one that was judged; nothing if
/// it lists what we gave back, or all of it went back in another way. None if nobody can tell how
/// much went back.
fn left_to_return(view: &StatusView, key: RefundId, judged: Rupiah) -> Option<Option<Rupiah>> {
    use TransactionStatus as T;
    if matches!(view.status, T::Refund | T::Chargeback) {
        return Some(None);
    }
    let key = key.to_string();
    let listed = view.refunds.as_ref().map(|refunds| {
        let ours = refunds.iter().any(|refund| refund.key.as_ref() == Some(&key));
        let sum = refunds.iter().fold(0, |sum: u64, one| sum.saturating_add(one.amount.get()));
        (ours, sum)
    });
    if listed.is_some_and(|(ours, _)| ours) {
        return Some(None);
    }
    let gone = match (listed, view.refund_total) {
        (Some((_, sum)), total) => sum.max(total.map_or(0, Sen::get)),
        (None, total) => total?.get(),
    };
    if gone == 0 && matches!(view.status, T::PartialRefund | T::PartialChargeback) {
        return None;
    }
    let there = view.gross.sen.unwrap_or(judged.sen()).get();
    Some(Rupiah::from_sen(Sen::new(there.saturating_sub(gone))).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_left_goes_back_once() {
        let rupiah = |number| Rupiah::new(number).unwrap();
        for (fields, left) in [
            (r#""gross_amount":"10071.00""#, Some(Some(10_071))),
            (r#""gross_amount":"lots""#, Some(Some(10_000))),
            (
                r#""gross_amount":"10071.00","refunds":[{"refund_amount":"71.00"}]"#,
                Some(Some(10_000)),
            ),
            (r#""gross_amount":"10071.00","refunds":[{"refund_amount":"10071.00"}]"#, Some(None)),
            (
                r#""gross_amount":"10071.00","refunds":[{"refund_key":"7","refund_amount":"1.00"}]"#,
                Some(None),
            ),
            (r#""gross_amount":"10071.00","refunds":[{"refund_key":"8"}]"#, None),
            (r#""gross_amount":"10071.00","refund_amount":"5000.00""#, Some(Some(5_071))),
            (
                r#""gross_amount":"10071.00","refund_amount":"5000.00","refunds":[{"refund_key":"8"}]"#,
                Some(Some(5_071)),
            ),
            (r#""gross_amount":"10071.00","transaction_status":"refund""#, Some(None)),
            (r#""gross_amount":"10071.00","transaction_status":"chargeback""#, Some(None)),
            (r#""gross_amount":"10071.00","transaction_status":"partial_chargeback""#, None),
        ] {
            let mut body = format!(r#"{{"status_code":"200",{fields}"#);
            if !fields.contains("transaction_status") {
                body.push_str(r#","transaction_status":"settlement""#);
            }
            body.push('}');
            let Ok(StatusReply::Found(view)) = StatusReply::parse(200, body.as_bytes()) else {
                panic!("{body}")
            };
            let got = left_to_return(&view, RefundId::new(7).unwrap(), rupiah(10_000));
            assert_eq!(got, left.map(|left| left.map(rupiah)), "{fields}");
        }
    }
}
