//! Scripted faults: what may go wrong on the way, on demand.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::random::Random;

/// Which calls a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// `POST /v2/charge`.
    Charge,
    /// `GET /v2/{id}/status`.
    Status,
    /// `POST /v2/{id}/cancel`.
    Cancel,
    /// `POST /v2/{id}/expire`.
    Expire,
    /// Both refund endpoints.
    Refund,
    /// Outgoing notifications, at the moment they are queued.
    Notification,
}

/// When the time of a delay passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The call is taken up only afterwards.
    Before,
    /// The call has had its effect already; the answer is late.
    #[default]
    After,
}

/// How a provider error 900 shows (`docs/midtrans.md`, "Provider codes").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Body code 500; no transaction.
    #[default]
    Error,
    /// Body code 202 and a denied transaction.
    Deny,
}

/// What goes wrong. In JSON the name alone, `"lost_after"`, or an object with the name as its only
/// key: `{"delay": {"ms": 500}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// The connection closes without answer; nothing happened.
    LostBefore {},
    /// The connection closes without answer; everything happened.
    LostAfter {},
    /// The answer takes longer, or the notification is due later.
    Delay {
        /// How much longer, in milliseconds.
        ms: u64,
        /// Whether the delay passes before or after the effect of the call; means nothing for a
        /// notification.
        #[serde(default)]
        when: When,
    },
    /// This HTTP status; nothing happened.
    Http {
        /// The status.
        status: u16,
        /// The body as it is; absent: a Midtrans-like body with the status as its code.
        #[serde(default)]
        body: Option<String>,
    },
    /// This HTTP status; everything happened.
    HttpAfter {
        /// The status.
        status: u16,
        /// As in `http`.
        #[serde(default)]
        body: Option<String>,
    },
    /// GoPay refuses the charge with this `channel_response_code`.
    ProviderError {
        /// The code.
        code: u16,
        /// For code 900 only.
        #[serde(default)]
        shape: Shape,
    },
    /// Everything happened; the answer is not JSON.
    Garbage {},
    /// Everything happened; the answer breaks off in the middle.
    Truncate {},
    /// Everything happened; the answer is 200 with an empty body.
    Empty {},
    /// GET status shows the state of some time ago.
    StaleStatus {
        /// How long ago, in seconds.
        seconds: u64,
    },
    /// The provider (202) or Midtrans (412, 414) refuses the refund.
    RefundRefused {
        /// 202, 412 or 414.
        status_code: u16,
    },
    /// The notification is never sent.
    Drop {},
    /// The notification is sent this many times more.
    Duplicate {
        /// Copies, 1 to 100.
        n: u8,
    },
    /// The notification is held back until the next one of the same transaction went ahead, for
    /// 60 seconds at most.
    Reorder {},
    /// The signature is made with another key.
    ForgeSignature {},
    /// One rupiah more than charged, correctly signed.
    WrongAmount {},
    /// A fee on top of the charge, which the shopper pays: `gross_amount` has it, and
    /// `extra_info.gross_amount_info` explains it.
    CustomerFee {
        /// The fee, 1 to 1,000,000 rupiah.
        rupiah: u64,
    },
    /// The payload looks as if the QR code had been scanned.
    AsQris {},
    /// `fraud_status` is an empty text.
    EmptyFraudStatus {},
    /// Fields that no documentation names, one of each JSON type.
    UnknownFields {},
    /// Another `payment_option_type`, such as `GOPAY_COINS`.
    PaymentOption {
        /// 1 to 50 upper-case letters and underscores.
        option: String,
    },
    /// The notification has no `transaction_id`.
    WithoutTransactionId {},
    /// The notification's `refunds[]` have no `refund_key`.
    WithoutRefundKey {},
    /// The bank confirms the refund after this time, instead of the configured one.
    BankConfirms {
        /// On the simulator's clock, in milliseconds; at most 30 days.
        after_ms: u64,
    },
}

/// The longest scripted time until the bank confirms a refund.
pub(crate) const BANK_CONFIRMS_MS_MAX: u64 = 30 * 86_400_000;
/// The highest fee of [`Action::CustomerFee`], in rupiah.
const CUSTOMER_FEE_MAX: u64 = 1_000_000;
const PAYMENT_OPTION_CHARS_MAX: usize = 50;

/// A fault as it is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls it waits for.
    pub on: On,
    /// What it does.
    #[serde(deserialize_with = "action")]
    pub action: Action,
    /// How often it fires; absent: once; null: always.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// How likely it fires on a matching call, in thousandths; absent: surely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability_permille: Option<u16>,
    /// Only calls about this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// How many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
const fn once() -> Option<u32> {
    Some(1)
}

/// Takes `"lost_after"` for `{"lost_after": {}}`.
fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
    let mut value = Value::deserialize(deserializer)?;
    if let Value::String(name) = value {
        value = Value::Object(Map::from_iter([(name, Value::Object(Map::new()))]));
    }
    serde_json::from_value(value).map_err(D::Error::custom)
}

impl Fault {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn check(&self) -> Result<(), String> {
        use Action as A;
        let fits = match &self.action {
            A::LostBefore {} | A::LostAfter {} | A::Garbage {} | A::Truncate {} | A::Empty {} => {
                self.on != On::Notification
            }
            A::Http { status, .. } | A::HttpAfter { status, .. } => {
                if !(200..=599).contains(status) {
                    return Err(format!("status {status} is not between 200 and 599"));
                }
                self.on != On::Notification
            }
            A::Delay { .. } => true,
            A::ProviderError { .. } => self.on == On::Charge,
            A::StaleStatus { .. } => self.on == On::Status,
            A::RefundRefused { status_code } => {
                if !matches!(status_code, 202 | 412 | 414) {
                    return Err(format!("status_code {status_code} is not 202, 412 or 414"));
                }
                self.on == On::Refund
            }
            A::Duplicate { n } => {
                if !(1..=100).contains(n) {
                    return Err(format!("n {n} is not between 1 and 100"));
                }
                self.on == On::Notification
            }
            A::CustomerFee { rupiah } => {
                if !(1..=CUSTOMER_FEE_MAX).contains(rupiah) {
                    return Err(format!("rupiah {rupiah} is not between 1 and 1000000"));
                }
                self.on_status_or_notification()
            }
            A::PaymentOption { option } => {
                let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
                let length = 1..=PAYMENT_OPTION_CHARS_MAX;
                if !length.contains(&option.len()) || !option.bytes().all(is_letter) {
                    return Err("option is not 1 to 50 upper-case letters and _".to_owned());
                }
                self.on_status_or_notification()
            }
            A::BankConfirms { after_ms } => {
                if *after_ms > BANK_CONFIRMS_MS_MAX {
                    return Err(format!("after_ms {after_ms} is above 30 days"));
                }
                self.on == On::Refund
            }
            A::WrongAmount {} | A::AsQris {} | A::EmptyFraudStatus {} | A::UnknownFields {} => {
                self.on_status_or_notification()
            }
            A::Drop {}
            | A::Reorder {}
            | A::ForgeSignature {}
            | A::WithoutTransactionId {}
            | A::WithoutRefundKey {} => self.on == On::Notification,
        };
        if !fits {
            return Err("this action does not apply to what \"on\" names".to_owned());
        }
        match self.probability_permille {
            Some(permille) if permille > 1_000 => {
                Err("probability_permille is above 1000".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Fault {
    fn on_status_or_notification(&self) -> bool {
        matches!(self.on, On::Status | On::Notification)
    }
}

/// A fault in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Armed {
    /// Its number.
    pub id: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub fault: Fault,
    /// How often it can still fire; null: always.
    pub remaining: Option<u32>,
    /// How often it fired.
    pub fired: u64,
}

/// The list of faults, at most so many; earlier ones go first.
#[derive(Debug)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    last_id: u64,
    max: usize,
}

/// A fault of the list, as a saved state has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedFault {
    id: u64,
    fault: Fault,
    remaining: Option<u32>,
    fired: u64,
}

impl Faults {
    pub(crate) fn saved(&self) -> (u64, Vec<SavedFault>) {
        let saved = |armed: &Armed| SavedFault {
            id: armed.id,
            fault: armed.fault.clone(),
            remaining: armed.remaining,
            fired: armed.fired,
        };
        (self.last_id, self.armed.iter().map(saved).collect())
    }

    pub(crate) fn restore(&mut self, last_id: u64, saved: Vec<SavedFault>) {
        self.last_id = last_id;
        self.armed = saved
            .into_iter()
            .map(|SavedFault { id, fault, remaining, fired }| Armed { id, fault, remaining, fired })
            .collect();
    }

    pub(crate) const fn new(max: usize) -> Self {
        Self { armed: Vec::new(), last_id: 0, max }
    }

    /// Arms a fault. If there is no room, one that cannot fire any more makes it.
    pub(crate) fn add(&mut self, fault: Fault) -> Result<u64, String> {
        if self.armed.len() >= self.max {
            let spent = self.armed.iter().position(|armed| armed.remaining == Some(0));
            let spent = spent.ok_or_else(|| format!("{} faults are armed already", self.max))?;
            self.armed.remove(spent);
        }
        self.last_id += 1;
        let remaining = fault.times;
        self.armed.push(Armed { id: self.last_id, fault, remaining, fired: 0 });
        Ok(self.last_id)
    }

    pub(crate) fn list(&self) -> &[Armed] {
        &self.armed
    }

    pub(crate) fn clear(&mut self) -> usize {
        let count = self.armed.len();
        self.armed.clear();
        count
    }

    /// Whether finding out the order of such a call is worth it.
    pub(crate) fn wants_order(&self, on: On) -> bool {
        self.armed.iter().any(|armed| armed.fault.on == on && armed.fault.order_id.is_some())
    }

    /// The first fault that fires on this call.
    pub(crate) fn pick(
        &mut self,
        on: On,
        order_id: Option<&str>,
        random: &mut Random,
    ) -> Option<Action> {
        self.armed.iter_mut().find_map(|armed| armed.fire(on, order_id, random))
    }
}

impl Armed {
    fn fire(&mut self, on: On, order_id: Option<&str>, random: &mut Random) -> Option<Action> {
        let about = self.fault.order_id.as_deref().is_none_or(|wanted| order_id == Some(wanted));
        if self.fault.on != on || !about || self.remaining == Some(0) {
            return None;
        }
        if self.fault.skip > 0 {
            self.fault.skip -= 1;
            return None;
        }
        let likely = self.fault.probability_permille.map(u64::from);
        if likely.is_some_and(|permille| random.between(0, 999) >= permille) {
            return None;
        }
        self.remaining = self.remaining.map(|left| left.saturating_sub(1));
        self.fired += 1;
        Some(self.fault.action.clone())
    }
}

/// How a provider's refusal of a charge shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProviderRefusal {
    /// A transaction that is denied from the start.
    Denied { fraud: bool, message: &'static str },
    /// No transaction, only this body code under this HTTP status.
    Refused { code: u16, http: u16, message: &'static str },
}

/// The table of provider codes (`docs/midtrans.md`, "Provider codes"). Codes that are not in it
/// are explained upstream as internal errors.
pub(crate) const fn provider_refusal(code: u16, shape: Shape) -> ProviderRefusal {
    use ProviderRefusal::{Denied, Refused};
    match (code, shape) {
        (201, _) => Denied { fraud: false, message: "Insufficient balance" },
        (4060, _) => Denied { fraud: true, message: "Denied by fraud validation" },
        (900, Shape::Deny) => Denied { fraud: false, message: "Generic service error" },
        (310, _) => Refused { code: 400, http: 400, message: "Malformed data was sent to GoPay" },
        (2701, _) => Refused { code: 400, http: 400, message: "Currency is not supported" },
        (153, _) => Refused { code: 400, http: 400, message: "Payment token is invalid" },
        (5009, _) => Refused { code: 400, http: 400, message: "Challenge token has expired" },
        (2901, _) => Refused { code: 406, http: 200, message: "Duplicate transaction at GoPay" },
        (132, _) => Refused { code: 406, http: 200, message: "Transaction is in progress" },
        (303 | 2903, _) => {
            Refused { code: 402, http: 200, message: "Merchant settings are missing at GoPay" }
        }
        (112, _) => Refused { code: 402, http: 200, message: "GoPay user is blocked" },
        (110, _) => {
            Refused { code: 402, http: 200, message: "Merchant is not authorised at GoPay" }
        }
        (1703, _) => Refused { code: 402, http: 400, message: "Merchant is not active at GoPay" },
        (902, _) => Refused { code: 413, http: 200, message: "GoPay could not read the request" },
        (101, _) => Refused { code: 404, http: 200, message: "GoPay wallet does not exist" },
        _ => Refused {
            code: 500,
            http: 200,
            message: "GoPay had an unexpected error. Please retry.",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Result<Fault, String> {
        let fault: Fault = serde_json::from_str(json).map_err(|error| error.to_string())?;
        fault.check().map(|()| fault)
    }

    #[test]
    fn faults_are_read_strictly() {
        for (json, good) in [
            (r#"{"on":"charge","action":"lost_before"}"#, true),
            (r#"{"on":"charge","action":{"lost_before":{}}}"#, true),
            (r#"{"on":"refund","action":{"delay":{"ms":5}}}"#, true),
            (r#"{"on":"refund","action":{"delay":{"ms":5,"when":"before"}},"times":null}"#, true),
            (r#"{"on":"notification","action":{"delay":{"ms":5}},"times":3,"skip":1}"#, true),
            (
                r#"{"on":"charge","action":{"http":{"status":503}},"probability_permille":500}"#,
                true,
            ),
            (r#"{"on":"charge","action":{"http":{"status":503,"body":"x"}},"order_id":"A"}"#, true),
            (r#"{"on":"charge","action":{"provider_error":{"code":900,"shape":"deny"}}}"#, true),
            (r#"{"on":"status","action":{"stale_status":{"seconds":5}}}"#, true),
            (r#"{"on":"refund","action":{"refund_refused":{"status_code":202}}}"#, true),
            (r#"{"on":"notification","action":{"duplicate":{"n":2}}}"#, true),
            (r#"{"on":"notification","action":"forge_signature"}"#, true),
            (r#"{"on":"status","action":{"customer_fee":{"rupiah":71}}}"#, true),
            (r#"{"on":"notification","action":{"customer_fee":{"rupiah":1000000}}}"#, true),
            (r#"{"on":"status","action":{"customer_fee":{"rupiah":0}}}"#, false),
            (r#"{"on":"status","action":{"customer_fee":{"rupiah":1000001}}}"#, false),
            (r#"{"on":"charge","action":{"customer_fee":{"rupiah":71}}}"#, false),
            (r#"{"on":"status","action":"wrong_amount"}"#, true),
            (r#"{"on":"status","action":"as_qris"}"#, true),
            (r#"{"on":"status","action":"empty_fraud_status"}"#, true),
            (r#"{"on":"status","action":"unknown_fields"}"#, true),
            (r#"{"on":"refund","action":"unknown_fields"}"#, false),
            (r#"{"on":"status","action":{"payment_option":{"option":"GOPAY_COINS"}}}"#, true),
            (r#"{"on":"status","action":{"payment_option":{"option":""}}}"#, false),
            (r#"{"on":"status","action":{"payment_option":{"option":"a\"b"}}}"#, false),
            (r#"{"on":"notification","action":"without_transaction_id"}"#, true),
            (r#"{"on":"status","action":"without_transaction_id"}"#, false),
            (r#"{"on":"notification","action":"without_refund_key"}"#, true),
            (r#"{"on":"refund","action":{"bank_confirms":{"after_ms":86400000}}}"#, true),
            (r#"{"on":"refund","action":{"bank_confirms":{"after_ms":2592000001}}}"#, false),
            (r#"{"on":"status","action":{"bank_confirms":{"after_ms":1}}}"#, false),
            (r#"{"on":"charge","action":"explode"}"#, false),
            (r#"{"on":"charge","action":"delay"}"#, false),
            (r#"{"on":"charge","action":{"delay":{"ms":5,"who":1}}}"#, false),
            (r#"{"on":"charge","action":{"lost_before":{"x":1}}}"#, false),
            (r#"{"on":"charge","action":{"garbage":{},"empty":{}}}"#, false),
            (r#"{"on":"charge"}"#, false),
            (r#"{"on":"payout","action":"garbage"}"#, false),
            (r#"{"on":"charge","action":"garbage","time":1}"#, false),
            (r#"{"on":"charge","action":"drop"}"#, false),
            (r#"{"on":"notification","action":"garbage"}"#, false),
            (r#"{"on":"cancel","action":{"provider_error":{"code":201}}}"#, false),
            (r#"{"on":"charge","action":{"stale_status":{"seconds":5}}}"#, false),
            (r#"{"on":"charge","action":{"http":{"status":99}}}"#, false),
            (r#"{"on":"refund","action":{"refund_refused":{"status_code":404}}}"#, false),
            (r#"{"on":"notification","action":{"duplicate":{"n":0}}}"#, false),
            (r#"{"on":"charge","action":"garbage","probability_permille":1001}"#, false),
        ] {
            assert_eq!(fault(json).is_ok(), good, "{json}: {:?}", fault(json));
        }
        assert_eq!(fault(r#"{"on":"charge","action":"empty"}"#).unwrap().times, Some(1));
        assert_eq!(fault(r#"{"on":"charge","action":"empty","times":null}"#).unwrap().times, None);
    }

    #[test]
    fn a_fault_fires_on_matching_calls_after_the_skipped_ones_and_no_more_often_than_asked() {
        let mut random = Random::new(1);
        let mut faults = Faults::new(9);
        faults
            .add(
                fault(r#"{"on":"charge","action":"empty","times":2,"skip":1,"order_id":"A"}"#)
                    .unwrap(),
            )
            .unwrap();
        assert!(faults.wants_order(On::Charge));
        assert!(!faults.wants_order(On::Status));
        let calls = [
            (On::Status, Some("A"), false),
            (On::Charge, Some("B"), false),
            (On::Charge, None, false),
            (On::Charge, Some("A"), false), // skipped
            (On::Charge, Some("A"), true),
            (On::Charge, Some("A"), true),
            (On::Charge, Some("A"), false), // used up
        ];
        for (step, (on, order, fires)) in calls.into_iter().enumerate() {
            assert_eq!(faults.pick(on, order, &mut random).is_some(), fires, "{step}");
        }
        assert_eq!(faults.list()[0].fired, 2);
        assert_eq!(faults.clear(), 1);
        assert_eq!(faults.clear(), 0);
    }

    #[test]
    fn probability_is_in_thousandths() {
        for (permille, low, high) in [(0, 0, 0), (500, 400, 600), (1_000, 1_000, 1_000)] {
            let mut random = Random::new(3);
            let mut faults = Faults::new(9);
            faults
                .add(Fault {
                    on: On::Status,
                    action: Action::Empty {},
                    times: None,
                    probability_permille: Some(permille),
                    order_id: None,
                    skip: 0,
                })
                .unwrap();
            let mut fired = 0;
            for _ in 0..1_000 {
                fired += i32::from(faults.pick(On::Status, None, &mut random).is_some());
            }
            assert!((low..=high).contains(&fired), "{permille}: {fired}");
        }
    }

    #[test]
    fn provider_codes_show_as_documented() {
        for (code, body, http) in [
            (310, 400, 400),
            (2701, 400, 400),
            (153, 400, 400),
            (5009, 400, 400),
            (2901, 406, 200),
            (132, 406, 200),
            (303, 402, 200),
            (2903, 402, 200),
            (112, 402, 200),
            (110, 402, 200),
            (1703, 402, 400),
            (902, 413, 200),
            (101, 404, 200),
            (900, 500, 200),
            (901, 500, 200),
        ] {
            match provider_refusal(code, Shape::Error) {
                ProviderRefusal::Refused { code: found, http: under, .. } => {
                    assert_eq!((found, under), (body, http), "{code}");
                }
                ProviderRefusal::Denied { .. } => panic!("{code} is no denial"),
            }
        }
        for (code, shape, suspicious) in
            [(201, Shape::Error, false), (4060, Shape::Error, true), (900, Shape::Deny, false)]
        {
            assert!(
                matches!(provider_refusal(code, shape), ProviderRefusal::Denied { fraud, .. } if fraud == suspicious),
                "{code}"
            );
        }
    }
}
