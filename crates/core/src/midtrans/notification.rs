//! HTTP notifications of Midtrans. Anybody can send one, so its signature is verified; even then it
//! is unconfirmed until GET status says the same.

use super::code::StatusCode;
use super::order_id::OrderId;
use super::signature;
use super::tx_id::MidtransTxId;
use super::wire::Wire;
use super::words::{FraudStatus, TransactionStatus};
use crate::money::{AmountError, Rupiah};
use crate::time::Timestamp;

/// A body that is not a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// Not a JSON object, or one that names a signed field twice.
    #[error("the notification is not a JSON object")]
    NotJson,
    /// JSON inside a JSON string, as the dashboard's test button has sent it. Nothing to apply,
    /// and no reason to make Midtrans try again.
    #[error("the notification is JSON inside a JSON string")]
    DoubleEncoded,
    /// A field that every notification has is absent.
    #[error("the notification lacks `{0}`")]
    Missing(&'static str),
}

/// The signature is not that of a holder of the server key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match")]
pub struct SignatureError;

/// A notification from whoever knows the URL. It serves only to find the key and verify it.
#[derive(Clone, Debug)]
pub struct UnverifiedNotification {
    claim: Notification,
    /// What is signed, exactly as it was sent.
    order_id: String,
    status_code: String,
    gross_amount: String,
    signature_key: String,
}

/// A notification signed with the server key.
///
/// The signature covers `order_id`, `status_code` and `gross_amount` only, and these are the same
/// for settlement and refund, or for expire, cancel and deny. What it does not cover can have
/// been changed on the way and is called a claim until a status call confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    order_id: OrderId,
    status_code: Option<StatusCode>,
    gross: Result<Rupiah, AmountError>,
    midtrans_tx_id: Option<MidtransTxId>,
    status: TransactionStatus,
    fraud: Option<FraudStatus>,
    settlement_time: Option<Timestamp>,
    payment_type: Option<String>,
    payment_option_type: Option<String>,
}

impl UnverifiedNotification {
    /// Reads the body of a notification. The caller bounds its length.
    ///
    /// ```
    /// use gopay_core::midtrans::{NotificationError, OrderId, UnverifiedNotification};
    /// let body = br#"{"order_id":"1","status_code":"200","gross_amount":"100.00",
    ///     "signature_key":"ab","transaction_id":"A1","transaction_status":"settlement"}"#;
    /// let notification = UnverifiedNotification::parse(body).unwrap();
    /// assert_eq!(notification.order_id(), OrderId::from_wire("1"));
    /// let twice = UnverifiedNotification::parse(br#""{\"order_id\":\"1\"}""#);
    /// assert_eq!(twice.unwrap_err(), NotificationError::DoubleEncoded);
    /// ```
    ///
    /// # Errors
    /// [`NotificationError`], of absent fields the first in the order of the signature.
    pub fn parse(body: &[u8]) -> Result<Self, NotificationError> {
        use NotificationError as E;
        let Some(wire) = Wire::read_object(body) else {
            return Err(if is_double_encoded(body) { E::DoubleEncoded } else { E::NotJson });
        };
        // Nobody can tell which of two values is signed.
        let signed = [&wire.order_id, &wire.status_code, &wire.gross_amount, &wire.signature_key];
        if signed.into_iter().any(Wire::is_unreadable) {
            return Err(E::NotJson);
        }
        let (status, fraud, status_code) = (wire.status(), wire.fraud(), wire.code());
        let gross = wire.gross_amount.sen().unwrap_or(Err(AmountError::NotANumber));
        let need = |text: Option<String>, name| {
            text.filter(|text| !text.is_empty()).ok_or(E::Missing(name))
        };
        let settlement_time = wire.settlement_time.time();
        let payment_type = wire.payment_type.word();
        let payment_option_type = wire.payment_option_type.word();
        let midtrans_tx_id = wire.tx_id().ok();
        let order_id = need(wire.order_id.take(), "order_id")?;
        Ok(Self {
            status_code: need(wire.status_code.take(), "status_code")?,
            gross_amount: need(wire.gross_amount.take(), "gross_amount")?,
            claim: Notification {
                order_id: OrderId::from_wire(&order_id),
                status_code,
                gross: gross.and_then(Rupiah::from_sen),
                midtrans_tx_id,
                status: status.ok_or(E::Missing("transaction_status"))?,
                fraud,
                settlement_time,
                payment_type,
                payment_option_type,
            },
            order_id,
            signature_key: need(wire.signature_key.take(), "signature_key")?,
        })
    }

    /// The claimed number of the payment, to find the server key with.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        self.claim.order_id
    }

    /// The claimed number of the payment as it was sent, of any length and form.
    #[must_use]
    pub fn order_text(&self) -> &str {
        &self.order_id
    }

    /// Checks the signature over the very texts that were sent, in constant time.
    ///
    /// # Errors
    /// [`SignatureError`] if it does not match, and always under an empty key, which anybody has.
    pub fn verify(self, server_key: &str) -> Result<Notification, SignatureError> {
        let expected =
            signature::digits(&self.order_id, &self.status_code, &self.gross_amount, server_key);
        let given = self.signature_key.as_bytes();
        if signature::same(given, expected.as_flattened()) && !server_key.is_empty() {
            Ok(self.claim)
        } else {
            Err(SignatureError)
        }
    }
}

fn is_double_encoded(body: &[u8]) -> bool {
    serde_json::from_slice::<String>(body).is_ok_and(|inner| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&inner).is_ok()
    })
}

impl Notification {
    /// Reads a notification that nobody has verified; see [`UnverifiedNotification::parse`].
    ///
    /// # Errors
    /// [`NotificationError`].
    pub fn parse(body: &[u8]) -> Result<UnverifiedNotification, NotificationError> {
        UnverifiedNotification::parse(body)
    }

    /// Signed: our number of the payment.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// Signed: the code, if it is one.
    #[must_use]
    pub const fn status_code(&self) -> Option<StatusCode> {
        self.status_code
    }

    /// Signed: the amount charged.
    ///
    /// # Errors
    /// [`AmountError`] if it is not an amount that we could have charged.
    pub const fn gross(&self) -> Result<Rupiah, AmountError> {
        self.gross
    }

    /// Not signed: Midtrans' number of the payment, if given: Midtrans' own tool for sending a
    /// notification again leaves it out.
    #[must_use]
    pub const fn midtrans_tx_id(&self) -> Option<&MidtransTxId> {
        self.midtrans_tx_id.as_ref()
    }

    /// Not signed: the state of the payment.
    #[must_use]
    pub const fn claimed_status(&self) -> &TransactionStatus {
        &self.status
    }

    /// Not signed: Midtrans' number of the payment, if it can be read.
    #[must_use]
    pub const fn claimed_tx_id(&self) -> Option<&MidtransTxId> {
        self.midtrans_tx_id.as_ref()
    }

    /// Not signed: what the fraud check says.
    #[must_use]
    pub const fn claimed_fraud(&self) -> Option<&FraudStatus> {
        self.fraud.as_ref()
    }

    /// Not signed: when the shopper paid.
    #[must_use]
    pub const fn claimed_settlement_time(&self) -> Option<Timestamp> {
        self.settlement_time
    }

    /// Not signed: `gopay`, or `qris` if the shopper scanned a QR code; at most 64 characters. Never
    /// decide by it.
    #[must_use]
    pub fn claimed_payment_type(&self) -> Option<&str> {
        self.payment_type.as_deref()
    }

    /// Not signed: which purse of GoPay paid; at most 64 characters.
    #[must_use]
    pub fn claimed_payment_option_type(&self) -> Option<&str> {
        self.payment_option_type.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ChargeReply, CloseReply, RefundReply, StatusReply};
    use super::*;

    const KEY: &str = "SB-Mid-server-EXAMPLE";

    /// The shapes of `docs/midtrans.md`, "Payload fields for GoPay", signed with [`KEY`].
    fn notification(code: &str, status: &str, fields: &str) -> String {
        let signature = signature::sign("PPGO-000001", code, "125000.00", KEY);
        format!(
            r#"{{"transaction_time":"2025-06-21 15:30:00","transaction_status":"{status}",
                "transaction_id":"8b82e549-2a48-47a9-8cb1-fb36060b88f3",
                "status_message":"midtrans payment notification","status_code":"{code}",
                "signature_key":"{signature}","payment_type":"gopay","order_id":"PPGO-000001",
                "gross_amount":"125000.00","fraud_status":"accept","currency":"IDR",
                "merchant_id":"G1","expiry_time":"2025-06-21 15:45:00"{fields}}}"#
        )
    }

    fn verified(body: &str) -> Notification {
        Notification::parse(body.as_bytes()).unwrap().verify(KEY).unwrap()
    }

    #[test]
    fn every_documented_event_verifies_and_reads() {
        use TransactionStatus as T;
        for (code, status, fields, expected) in [
            ("201", "pending", "", T::Pending),
            ("200", "settlement", r#","settlement_time":"2025-06-21 15:34:20""#, T::Settlement),
            ("202", "expire", "", T::Expire),
            ("202", "cancel", "", T::Cancel),
            ("202", "deny", r#","channel_response_code":"900""#, T::Deny),
            ("200", "refund", r#","refund_amount":"125000.00","refunds":[{}]"#, T::Refund),
            ("200", "partial_refund", r#","metadata":{"a":1}"#, T::PartialRefund),
            ("200", "invented", "", T::Unknown("invented".into())),
        ] {
            let notification = verified(&notification(code, status, fields));
            assert_eq!(notification.claimed_status(), &expected);
            assert_eq!(notification.order_id(), OrderId::NotOurs);
            assert_eq!(notification.status_code().unwrap().to_string(), code);
            assert_eq!(notification.gross().map(Rupiah::get), Ok(125_000));
            assert_eq!(notification.claimed_fraud(), Some(&FraudStatus::Accept));
            assert_eq!(
                notification.midtrans_tx_id().map(MidtransTxId::as_str),
                Some("8b82e549-2a48-47a9-8cb1-fb36060b88f3")
            );
        }
        let paid = verified(&notification(
            "200",
            "settlement",
            r#","settlement_time":"2025-06-21 15:34:20","payment_option_type":"PAY_LATER""#,
        ));
        assert_eq!(paid.claimed_payment_type(), Some("gopay"));
        assert_eq!(paid.claimed_payment_option_type(), Some("PAY_LATER"));
        assert_eq!(
            paid.claimed_settlement_time(),
            Timestamp::from_rfc3339("2025-06-21T08:34:20Z").ok()
        );
    }

    #[test]
    fn the_documented_sample_reads_and_needs_its_own_key() {
        let sample = include_bytes!(
            "../../../../tests/fixtures/midtrans/\
             notification-settlement-mt-alt-doc-gopay-qris-pos.json"
        );
        let notification = Notification::parse(sample).unwrap();
        assert_eq!(notification.order_id, "20190904190821463338875755684689");
        assert_eq!(notification.claim.status, TransactionStatus::Settlement);
        assert_eq!(notification.claim.gross().map(Rupiah::get), Ok(100));
        assert_eq!(notification.verify(KEY), Err(SignatureError));
    }

    #[test]
    fn a_change_of_anything_signed_is_noticed() {
        let good = notification("200", "settlement", "");
        for (from, to) in [
            ("PPGO-000001", "PPGO-000002"),
            (r#""status_code":"200""#, r#""status_code":"201""#),
            ("125000.00", "125000.01"),
            ("125000.00", "125000.0"),
            ("125000.00", "125000"),
            (r#""signature_key":"5"#, r#""signature_key":"6"#),
            (r#""signature_key":"5"#, r#""signature_key":""#),
        ] {
            let forged = good.replace(from, to);
            assert_ne!(forged, good);
            let notification = Notification::parse(forged.as_bytes()).unwrap();
            assert_eq!(notification.verify(KEY), Err(SignatureError), "{from} -> {to}");
        }
        let wrong_key = Notification::parse(good.as_bytes()).unwrap().verify("other");
        assert_eq!(wrong_key, Err(SignatureError));
    }

    #[test]
    fn nobody_signs_with_an_empty_key() {
        let signature = signature::sign("PPGO-000001", "200", "125000.00", "");
        let good = notification("200", "settlement", "");
        let ours = signature::sign("PPGO-000001", "200", "125000.00", KEY);
        let forged = good.replace(&ours, &signature);
        let notification = Notification::parse(forged.as_bytes()).unwrap();
        assert_eq!(notification.verify(""), Err(SignatureError));
    }

    #[test]
    fn numbers_sign_like_the_strings_they_replace() {
        let body = notification("200", "settlement", "")
            .replace(r#""125000.00""#, "125000.00")
            .replace(r#""status_code":"200""#, r#""status_code":200"#);
        assert_eq!(verified(&body).gross().map(Rupiah::get), Ok(125_000));
    }

    #[test]
    fn a_number_is_signed_digit_by_digit_as_it_was_sent() {
        use AmountError as E;
        for (gross, expected) in [
            ("125000", Ok(125_000)),
            ("125000.0", Ok(125_000)),
            ("125e3", Ok(125_000)),
            ("125000.005", Err(E::NotWhole)),
            ("18446744073709551616", Err(E::OutOfRange)),
            ("1e999", Err(E::OutOfRange)),
        ] {
            let signature = signature::sign("71", "200", gross, KEY);
            let body = format!(
                r#"{{"order_id":71,"status_code":200,"gross_amount":{gross},
                    "signature_key":"{signature}","transaction_id":"A1",
                    "transaction_status":"settlement"}}"#
            );
            let notification = verified(&body);
            assert_eq!(notification.gross().map(Rupiah::get), expected, "{gross}");
            assert_eq!(notification.order_id(), OrderId::from_wire("71"));
        }
    }

    #[test]
    fn an_empty_claim_counts_as_absent() {
        let body =
            notification("200", "settlement", r#","payment_option_type":"","settlement_time":"""#)
                .replace(r#""fraud_status":"accept""#, r#""fraud_status":"""#)
                .replace(r#""payment_type":"gopay""#, r#""payment_type":"""#);
        let notification = verified(&body);
        assert_eq!(notification.claimed_fraud(), None);
        assert_eq!(notification.claimed_payment_type(), None);
        assert_eq!(notification.claimed_payment_option_type(), None);
        assert_eq!(notification.claimed_settlement_time(), None);
    }

    #[test]
    fn what_is_no_notification_says_why() {
        use NotificationError as E;
        let good = notification("200", "settlement", "");
        let quoted = serde_json::to_string(&good).unwrap();
        let without = |field: &str| good.replace(&format!("\"{field}\""), "\"other\"");
        for (body, expected) in [
            (quoted, E::DoubleEncoded),
            (r#""{}""#.into(), E::DoubleEncoded),
            (r#""hello""#.into(), E::NotJson),
            (String::new(), E::NotJson),
            ("null".into(), E::NotJson),
            ("[]".into(), E::NotJson),
            ("{".into(), E::NotJson),
            ("[".repeat(100_000), E::NotJson),
            ("{\"a\":".repeat(100_000), E::NotJson),
            (good.replacen('{', r#"{"order_id":"2","#, 1), E::NotJson),
            ("{}".into(), E::Missing("order_id")),
            (without("order_id"), E::Missing("order_id")),
            (good.replace("PPGO-000001", ""), E::Missing("order_id")),
            (without("status_code"), E::Missing("status_code")),
            (without("gross_amount"), E::Missing("gross_amount")),
            (without("transaction_status"), E::Missing("transaction_status")),
            (without("signature_key"), E::Missing("signature_key")),
        ] {
            let shown: String = body.chars().take(200).collect();
            assert_eq!(Notification::parse(body.as_bytes()).unwrap_err(), expected, "{shown}");
        }
    }

    #[test]
    fn what_is_not_signed_may_be_missing() {
        let good = notification("200", "settlement", "");
        let id = r#""8b82e549-2a48-47a9-8cb1-fb36060b88f3""#;
        for (body, given) in [
            (good.clone(), true),
            (good.replace(&format!(r#""transaction_id":{id},"#), ""), false),
            (good.replace(id, "null"), false),
            (good.replace(id, r#""""#), false),
            (good.replace("8b82e549", "../"), false),
        ] {
            assert_eq!(verified(&body).midtrans_tx_id().is_some(), given, "{body}");
        }
        for fields in [
            r#","refunds":[{"refund_key":"71","refund_amount":"1.00"}]"#,
            r#","refunds":[{"refund_amount":"1.00"}]"#,
            r#","refunds":[],"refund_amount":"""#,
            r#","refunds":"none""#,
            "",
        ] {
            let refunded = verified(&notification("200", "partial_refund", fields));
            assert_eq!(refunded.claimed_status(), &TransactionStatus::PartialRefund, "{fields}");
        }
    }

    #[test]
    fn an_amount_that_is_none_is_found_when_asked_for() {
        let signature = signature::sign("PPGO-000001", "200", "lots", KEY);
        let ours = signature::sign("PPGO-000001", "200", "125000.00", KEY);
        let body = notification("200", "settlement", "")
            .replace(&ours, &signature)
            .replace("125000.00", "lots");
        assert_eq!(verified(&body).gross(), Err(AmountError::NotANumber));
    }

    /// JSON-like text, which gets further into the readers than random bytes.
    fn near_json() -> impl Strategy<Value = Vec<u8>> {
        let name = prop::sample::select(vec![
            "status_code",
            "transaction_id",
            "order_id",
            "gross_amount",
            "transaction_status",
            "fraud_status",
            "signature_key",
            "settlement_time",
            "refund_amount",
            "refunds",
            "actions",
            "validation_messages",
            "channel_response_code",
            "refund_chargeback_id",
        ]);
        let value = prop_oneof![
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            any::<f64>().prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            prop::sample::select(vec![
                "null",
                "true",
                "[]",
                "{}",
                r#""200""#,
                r#""202""#,
                r#""deny""#,
                r#""refund""#,
                r#""1.00""#,
                r#"[{"refund_amount":"1.00","created_at":"2025-99-99 99:99:99"}]"#,
                r#"[{"name":"deeplink-redirect","url":"::"}]"#,
                r#""9999-12-31 23:59:59""#,
                "1e300",
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::btree_map(name, value, 0..14).prop_map(|fields| {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", fields.join(",")).into_bytes()
        })
    }

    proptest! {
        #[test]
        fn no_bytes_panic_a_reader(
            http in prop_oneof![any::<u16>(), 200_u16..600],
            body in prop_oneof![near_json(), prop::collection::vec(any::<u8>(), 0..300)],
        ) {
            // No body panics, and a server's fault is never a certain answer.
            let charge = ChargeReply::parse(http, &body);
            let status = StatusReply::parse(http, &body);
            let close = CloseReply::parse(http, &body);
            let refund = RefundReply::parse(http, &body);
            if http >= 500 {
                prop_assert_eq!(charge, Ok(ChargeReply::Unclear));
                prop_assert!(matches!(status, Ok(StatusReply::Unclear | StatusReply::Unreadable(_))));
                prop_assert_eq!(close, Ok(CloseReply::Unclear));
                prop_assert_eq!(refund, Ok(RefundReply::Unclear));
            }
            if let Ok(notification) = Notification::parse(&body) {
                prop_assert_eq!(notification.verify(KEY), Err(SignatureError));
            }
        }

        #[test]
        fn what_midtrans_signs_we_verify(
            order in "[A-Za-z0-9~._-]{1,50}",
            amount in 1_u64..=Rupiah::MAX,
            key in "[ -~]{1,60}",
        ) {
            let gross = Rupiah::new(amount).unwrap().decimal_text();
            let signature = signature::sign(&order, "200", &gross, &key);
            let body = format!(
                r#"{{"order_id":"{order}","status_code":"200","gross_amount":"{gross}",
                    "signature_key":"{signature}","transaction_id":"A1",
                    "transaction_status":"settlement"}}"#
            );
            let notification = Notification::parse(body.as_bytes()).unwrap().verify(&key).unwrap();
            prop_assert_eq!(notification.order_id(), OrderId::from_wire(&order));
            prop_assert_eq!(notification.gross().map(Rupiah::get), Ok(amount));
        }
    }
}
