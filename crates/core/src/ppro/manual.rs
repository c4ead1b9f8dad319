//! What is said of each parameter to people and programs: which calls take it, and what would pass.
//! Guides, descriptions and collections are made of this.
//!
//! The checks do not read it. Tests hold it against them at each boundary, so that neither can be
//! changed alone. Source: `docs/psp-guide.md`, "Calls", "TRANSACTION", "Refunds".

use crate::money::Rupiah;
use crate::ppro::call::TxType;
use crate::ppro::field::Field;

/// How a value looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One of these words.
    Words(&'static [&'static str]),
    /// So many characters; `pattern` is a regular expression that every good value matches.
    Text {
        /// Characters at least.
        min: u32,
        /// Characters at most; none: as many as the body holds.
        max: Option<u32>,
        /// A regular expression without surprises, as in JSON Schema.
        pattern: Option<&'static str>,
    },
    /// An absolute address of at most so many characters.
    Address {
        /// Characters at most.
        max: u32,
    },
    /// Digits: an amount in sen, a multiple of 100.
    Amount,
    /// A cart in JSON.
    Cart,
}

/// A parameter, as it is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// How its values look.
    pub shape: Shape,
    /// What it is, in a line.
    pub text: &'static str,
    /// A value that passes.
    pub example: &'static str,
}

/// How much a call needs a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it the call is refused.
    Mandatory,
    /// Mandatory unless the contract has one.
    UnlessConfigured,
    /// May be left out.
    Optional,
}

const fn text(min: u32, max: u32) -> Shape {
    Shape::Text { min, max: Some(max), pattern: None }
}

const fn like(min: u32, max: u32, pattern: &'static str) -> Shape {
    Shape::Text { min, max: Some(max), pattern: Some(pattern) }
}

const FREE: Shape = Shape::Text { min: 0, max: None, pattern: None };
const FILLED: Shape = Shape::Text { min: 1, max: None, pattern: None };
const ID: Shape = Shape::Text { min: 1, max: None, pattern: Some("^[1-9][0-9]{0,18}$") };
const REFERENCE: Shape = like(1, 40, "^[A-Za-z0-9.,_-]+$");
const PART: Shape = text(0, 255);
const POSTAL: Shape = like(0, 255, "^[A-Za-z0-9 -]*$");

const fn row(shape: Shape, example: &'static str, text: &'static str) -> Described {
    Described { shape, text, example }
}

/// What is said of a parameter.
#[must_use]
#[rustfmt::skip]
pub const fn described(field: Field) -> Described {
    use Field as F;
    match field {
        F::Returnmode => row(Shape::Words(&["urlencodeext"]), "urlencodeext", "Encoding of the answer"),
        F::Txtype => row(Shape::Words(&TX_TYPES), "TRANSACTION", "Which call it is"),
        F::Login => row(FILLED, "testclient", "The PSP"),
        F::Password => row(FILLED, "test123", "Its password"),
        F::Contractid => row(FILLED, "TESTCONTRACT", "The merchant's contract"),
        F::Channel => row(Shape::Words(&["testchannel", "livechannel"]), "testchannel", "The simulator or sandbox, or Midtrans' production"),
        F::Tag => row(Shape::Words(&["gopay"]), "gopay", "The method"),
        F::Countrycode => row(Shape::Words(&["ID"]), "ID", "The country"),
        F::Currency => row(Shape::Words(&["IDR"]), "IDR", "The currency"),
        F::Amount => row(Shape::Amount, "1000000", "In sen: 1 IDR is 100"),
        F::Merchanttxid => row(REFERENCE, "ORDER-20250621-0001", "The PSP's reference of the transaction; repeats are allowed"),
        F::Merchantredirecturl => row(Shape::Address { max: 255 }, "https://shop.example/return", "Where the shopper's browser returns to"),
        F::Accountholdername => row(text(3, 100), "Siti Rahma", "The shopper's name"),
        F::Notificationurl => row(Shape::Address { max: 255 }, "https://psp.example/notify", "Where notifications go"),
        F::Sellingpoint => row(text(0, 50), "Jakarta 3", "A mark for reports"),
        F::Soldservice => row(text(0, 50), "groceries", "A mark for reports"),
        F::Preferredlanguage => row(FREE, "id", "Language of the shopper's pages: id or en; others are ignored"),
        F::Nonce => row(like(1, 255, "^[ -~]+$"), "ORDER-20250621-0001-try-1", "Makes the call repeatable"),
        F::Txid => row(ID, "123887123", "The transaction"),
        F::Refundid => row(ID, "223887123", "The refund"),
        F::Merchantrefundid => row(REFERENCE, "RF-1", "The PSP's reference of the refund; repeats are allowed"),
        F::DeeplinkCallbackUrl => row(Shape::Address { max: 2_000 }, "https://shop.example/app/", "Where the GoPay app returns to, without query and fragment"),
        F::Email => row(text(1, 255), "siti@example.org", "The shopper's e-mail address"),
        F::Phone => row(Shape::Text { min: 1, max: None, pattern: Some(r"^\+[1-9](?:[ ().-]{0,3}[0-9]){4,14}$") }, "+628123456789", "The shopper's phone, with + and country code"),
        F::BillingFirstName | F::ShippingFirstName => row(PART, "Siti", "First name of the address"),
        F::BillingLastName | F::ShippingLastName => row(PART, "Rahma", "Last name of the address"),
        F::BillingPhone | F::ShippingPhone => row(PART, "0812 3456 789", "Phone of the address, in any form"),
        F::BillingLine1 | F::ShippingLine1 => row(PART, "Jalan Sudirman 1", "Street and number, all lines in one"),
        F::BillingCity | F::ShippingCity => row(PART, "Jakarta", "City of the address"),
        F::BillingPostalCode | F::ShippingPostalCode => row(POSTAL, "10220", "Postal code of the address"),
        F::BillingCountry => row(like(2, 2, "^[A-Z]{2}$"), "ID", "Country of the address, ISO 3166-1 alpha-2"),
        F::ShippingCountry => row(like(0, 2, "^([A-Z]{2})?$"), "ID", "Country of the address, ISO 3166-1 alpha-2, or empty"),
        F::DynamicDescriptor => row(FREE, "Toko Siti", "Text for the shopper's proof of payment or refund"),
        F::Orderitems => row(Shape::Cart, r#"[{"name":"table","price":"2000.00","quantity":2},{"name":"Laptop 2.0","price":"3000.00","quantity":2}]"#, "The cart: prices in rupiah with .00, which add up to amount"),
    }
}

/// Every `txtype`, by each of its names.
const TX_TYPES: [&str; 9] = [
    "TRANSACTION",
    "GETTXSTATUS",
    "GETTXSTATUSBYMERCHANTTXID",
    "REFUND",
    "GETREFUNDSTATUS",
    "GETREFUNDSTATUSBYMERCHANTREFUNDID",
    "GETREFUNDBYMERCHANTREFUNDID",
    "CANCELTX",
    "REQUESTDATA",
];

/// Every call, in the order of the guide.
pub const CALLS: [TxType; 8] = [
    TxType::Transaction,
    TxType::GetTxStatus,
    TxType::GetTxStatusByMerchantTxId,
    TxType::Refund,
    TxType::GetRefundStatus,
    TxType::GetRefundStatusByMerchantRefundId,
    TxType::CancelTx,
    TxType::RequestData,
];

/// What a call does, in a line.
#[must_use]
pub const fn does(call: TxType) -> &'static str {
    match call {
        TxType::Transaction => "Opens a payment",
        TxType::GetTxStatus => "Tells a payment's state",
        TxType::GetTxStatusByMerchantTxId => "Tells a payment's state, by the PSP's reference",
        TxType::Refund => "Gives money back",
        TxType::GetRefundStatus => "Tells a refund's state",
        TxType::GetRefundStatusByMerchantRefundId => {
            "Tells a refund's state, by the PSP's reference"
        }
        TxType::CancelTx => "Ends a pending payment",
        TxType::RequestData => "Nothing: no GoPay payment has such data",
    }
}

/// How much a call needs a parameter; none: it does not look at it.
#[must_use]
pub const fn need(call: TxType, field: Field) -> Option<Need> {
    use Field as F;
    use Need::{Mandatory, Optional, UnlessConfigured};
    match field {
        F::Returnmode | F::Txtype | F::Login | F::Password | F::Contractid => Some(Mandatory),
        F::Txid => {
            let asked = matches!(call, TxType::GetTxStatus | TxType::Refund | TxType::CancelTx);
            when(asked, Mandatory)
        }
        F::Refundid => when(matches!(call, TxType::GetRefundStatus), Mandatory),
        F::Merchantrefundid if matches!(call, TxType::Refund) => Some(Optional),
        F::Merchantrefundid => {
            when(matches!(call, TxType::GetRefundStatusByMerchantRefundId), Mandatory)
        }
        F::Merchanttxid if matches!(call, TxType::Transaction) => Some(Optional),
        F::Merchanttxid => when(matches!(call, TxType::GetTxStatusByMerchantTxId), Mandatory),
        F::Currency | F::Amount => when(moves_money(call), Mandatory),
        F::DynamicDescriptor => when(moves_money(call), Optional),
        F::Channel | F::Tag | F::Countrycode | F::Accountholdername | F::Orderitems => {
            of_transaction(call, Mandatory)
        }
        F::Merchantredirecturl | F::Notificationurl => of_transaction(call, UnlessConfigured),
        F::Sellingpoint
        | F::Soldservice
        | F::Preferredlanguage
        | F::Nonce
        | F::DeeplinkCallbackUrl
        | F::Email
        | F::Phone
        | F::BillingFirstName
        | F::BillingLastName
        | F::BillingPhone
        | F::BillingLine1
        | F::BillingCity
        | F::BillingPostalCode
        | F::BillingCountry
        | F::ShippingFirstName
        | F::ShippingLastName
        | F::ShippingPhone
        | F::ShippingLine1
        | F::ShippingCity
        | F::ShippingPostalCode
        | F::ShippingCountry => of_transaction(call, Optional),
    }
}

const fn moves_money(call: TxType) -> bool {
    matches!(call, TxType::Transaction | TxType::Refund)
}

const fn of_transaction(call: TxType, need: Need) -> Option<Need> {
    when(matches!(call, TxType::Transaction), need)
}

const fn when(taken: bool, need: Need) -> Option<Need> {
    if taken { Some(need) } else { None }
}

/// The least and the most that a payment may be, in sen: of a verified and of any wallet.
pub const AMOUNT_MIN_SEN: u64 = 100;
/// See [`AMOUNT_MIN_SEN`].
pub const AMOUNT_MAX_SEN: u64 = Rupiah::MAX * 100;
/// See [`AMOUNT_MIN_SEN`]; under a contract without KYC.
pub const AMOUNT_MAX_UNVERIFIED_SEN: u64 = Rupiah::MAX_UNVERIFIED * 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ppro::call;
    use crate::ppro::form::{Form, Scratch};
    use crate::ppro::reply::encode;
    use crate::ppro::transaction::{Kyc, Terms, check};
    use crate::rejection::{First, Rejection, Rule, Subject};

    /// A call with an example of each parameter that it takes, one of them changed or left out.
    fn body(tx_type: TxType, changed: Option<(Field, Option<&str>)>) -> String {
        let taken = Field::ALL.iter().filter(|field| need(tx_type, **field).is_some());
        let pairs = taken.filter_map(|field| {
            let value = match (changed, *field) {
                (Some((other, value)), field) if other == field => value?,
                (_, Field::Txtype) => tx_type.name(),
                (_, field) => described(field).example,
            };
            Some(format!("{}={}", field.name(), encode(value)))
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The first fault of a call.
    fn fault(tx_type: TxType, body: &str, terms: Terms<'_>) -> Option<Rejection> {
        let mut scratch = Scratch::new();
        let (form, items) = Form::decode(body.as_bytes(), &mut scratch);
        if let Err(rejection) = call::open(&form) {
            return Some(rejection);
        }
        let one = |field| call::required(&form, field).err();
        match tx_type {
            TxType::Transaction => {
                let mut first = First::default();
                check(&form, items, terms, &mut first);
                first.0
            }
            TxType::Refund => one(Field::Txid).or_else(|| call::refund(&form).err()),
            TxType::GetTxStatus | TxType::CancelTx => one(Field::Txid),
            TxType::GetTxStatusByMerchantTxId => one(Field::Merchanttxid),
            TxType::GetRefundStatus => one(Field::Refundid),
            TxType::GetRefundStatusByMerchantRefundId => one(Field::Merchantrefundid),
            TxType::RequestData => None,
        }
    }

    fn rule(rejection: Option<Rejection>, field: Field) -> Option<Rule> {
        let rejection = rejection?;
        assert_eq!(rejection.subject, Subject::Field(field), "{rejection:?}");
        Some(rejection.rule)
    }

    #[test]
    fn a_call_of_examples_passes_and_without_what_is_mandatory_it_does_not() {
        let bare = Terms { has_redirect_url: false, has_notification_url: false, ..Terms::OPEN };
        for call in CALLS {
            assert_eq!(fault(call, &body(call, None), bare), None, "{call:?}");
            for field in Field::ALL {
                let without = body(call, Some((*field, None)));
                let found = fault(call, &without, bare).map(|it| it.rule);
                let configured = fault(call, &without, Terms::OPEN);
                match need(call, *field) {
                    Some(Need::Mandatory) => {
                        let first = [Rule::Returnmode, Rule::Txtype];
                        let wanted = first.get(field.index()).copied().unwrap_or(Rule::Missing);
                        assert_eq!(found, Some(wanted), "{call:?} {field:?}");
                    }
                    Some(Need::UnlessConfigured) => {
                        assert_eq!((found, configured), (Some(Rule::Missing), None), "{field:?}");
                    }
                    Some(Need::Optional) | None => assert_eq!(found, None, "{call:?} {field:?}"),
                }
            }
        }
    }

    #[test]
    fn every_txtype_that_is_read_is_named() {
        for name in TX_TYPES {
            assert!(TxType::from_name(name).is_some(), "{name}");
        }
        for call in CALLS {
            assert!(TX_TYPES.contains(&call.name()), "{call:?}");
        }
    }

    /// So many characters of the example's form.
    fn of_length(field: Field, length: u32) -> String {
        let length = usize::try_from(length).unwrap();
        let shape = described(field).shape;
        let (start, fill, end) = match (field, shape) {
            (Field::Email, _) => {
                // Labels of a domain have 63 characters at most.
                let domain = format!("{}.example", vec!["d".repeat(60); 3].join("."));
                return format!("{}@{domain}", "l".repeat(length - domain.len() - 1));
            }
            (_, Shape::Address { .. }) => ("https://shop.example/", "x", ""),
            (Field::BillingPostalCode | Field::ShippingPostalCode, _) => ("", "7", ""),
            _ => ("", "x", ""),
        };
        let fill = fill.repeat(length.saturating_sub(start.len() + end.len()));
        [start, &fill, end].concat()
    }

    #[test]
    fn lengths_are_those_of_the_checks() {
        let call = TxType::Transaction;
        let found = |field: Field, length: u32| {
            let value = of_length(field, length);
            assert_eq!(crate::text::chars(&value), length, "{field:?}");
            rule(fault(call, &body(call, Some((field, Some(&value)))), Terms::OPEN), field)
        };
        let mut seen = 0;
        for field in Field::ALL.iter().copied().filter(|field| need(call, *field).is_some()) {
            let (min, max) = match described(field).shape {
                // A country is an assigned code: other lengths are no code at all.
                Shape::Text { max: Some(2), .. } => continue,
                Shape::Text { min, max: Some(max), .. } => (min, max),
                Shape::Address { max } => (1, max),
                Shape::Text { .. } | Shape::Words(_) | Shape::Amount | Shape::Cart => continue,
            };
            seen += 1;
            assert_eq!(found(field, max), None, "{field:?} of {max}");
            let got = max + 1;
            assert_eq!(found(field, got), Some(Rule::TooLong { max, got }), "{field:?}");
            let short = body(
                call,
                Some((
                    field,
                    Some(&"x".repeat(usize::try_from(min).unwrap() - usize::from(min > 0))),
                )),
            );
            let short = rule(fault(call, &short, Terms::OPEN), field);
            match (min, need(call, field)) {
                (0, _) => assert_eq!(short, None, "{field:?}"),
                (1, Some(Need::Mandatory)) => assert_eq!(short, Some(Rule::Missing), "{field:?}"),
                (min, _) => {
                    let got = min - 1;
                    assert_eq!(short, Some(Rule::TooShort { min, got }), "{field:?}");
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn words_patterns_and_amounts_are_those_of_the_checks() {
        let call = TxType::Transaction;
        let found = |field: Field, value: &str, terms| {
            fault(call, &body(call, Some((field, Some(value)))), terms).map(|it| it.rule)
        };
        for field in Field::ALL.iter().copied().filter(|field| need(call, *field).is_some()) {
            match described(field).shape {
                Shape::Words(words) if field != Field::Txtype => {
                    for word in words {
                        assert_eq!(found(field, word, Terms::OPEN), None, "{field:?} {word}");
                        let other = format!("{word}x");
                        assert!(found(field, &other, Terms::OPEN).is_some(), "{field:?} {other}");
                    }
                }
                Shape::Text { pattern: Some(pattern), .. } => {
                    let pattern = regex::Regex::new(pattern).unwrap();
                    let good = described(field).example;
                    for value in
                        [good, "ä", "a/b", "a b", "\u{7f}", "ID", "id", "+1", "+62 812-3", ""]
                    {
                        let passes = found(field, value, Terms::OPEN).is_none();
                        assert!(!passes || pattern.is_match(value), "{field:?} {value:?}");
                    }
                    assert!(pattern.is_match(good), "{field:?}");
                }
                Shape::Text { .. }
                | Shape::Words(_)
                | Shape::Address { .. }
                | Shape::Amount
                | Shape::Cart => {}
            }
        }
        let unverified = Terms { kyc: Kyc::Unverified, ..Terms::OPEN };
        for (sen, terms, wanted) in [
            (AMOUNT_MIN_SEN, Terms::OPEN, None),
            (AMOUNT_MAX_SEN, Terms::OPEN, None),
            (AMOUNT_MAX_SEN + 100, Terms::OPEN, Some(Rule::AmountTooLarge)),
            (AMOUNT_MAX_UNVERIFIED_SEN, unverified, None),
            (AMOUNT_MAX_UNVERIFIED_SEN + 100, unverified, Some(Rule::AmountNeedsKyc)),
            (AMOUNT_MIN_SEN - 100, Terms::OPEN, Some(Rule::AmountNotPositive)),
        ] {
            let price = format!("{}.00", sen / 100);
            let cart = format!(r#"[{{"name":"x","price":"{price}","quantity":1}}]"#);
            let text = body(call, Some((Field::Amount, Some(&sen.to_string()))));
            let text = text.replace(&encode(described(Field::Orderitems).example), &encode(&cart));
            assert_eq!(fault(call, &text, terms).map(|it| it.rule), wanted, "{sen}");
        }
    }
}
