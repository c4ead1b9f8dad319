//! What all calls share, and the calls other than TRANSACTION.
//!
//! Source: `docs/psp-guide.md`, "Calls".

use sha2::{Digest as _, Sha256};

use crate::ids::{RefundId, TxId};
use crate::money::Sen;
use crate::ppro::check;
use crate::ppro::field::Field;
use crate::ppro::form::Form;
use crate::ppro::transaction::{Checker, Stopped};
use crate::rejection::{First, Flow, Rejection, Rule, Sink, Subject};
use crate::text::{cut, push_json_escaped_within, push_json_string};
use crate::wipe::wipe;

/// Which call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxType {
    /// Opens a payment.
    Transaction,
    /// Asks for a payment by our id.
    GetTxStatus,
    /// Asks for a payment by the PSP's reference.
    GetTxStatusByMerchantTxId,
    /// Gives money back.
    Refund,
    /// Asks for a refund by our id.
    GetRefundStatus,
    /// Asks for a refund by the PSP's reference; PPRO's pages use two names for it.
    GetRefundStatusByMerchantRefundId,
    /// Ends a pending payment.
    CancelTx,
    /// Asks for data that no GoPay payment has.
    RequestData,
}

impl TxType {
    /// The call of a `txtype`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "TRANSACTION" => Self::Transaction,
            "GETTXSTATUS" => Self::GetTxStatus,
            "GETTXSTATUSBYMERCHANTTXID" => Self::GetTxStatusByMerchantTxId,
            "REFUND" => Self::Refund,
            "GETREFUNDSTATUS" => Self::GetRefundStatus,
            "GETREFUNDBYMERCHANTREFUNDID" | "GETREFUNDSTATUSBYMERCHANTREFUNDID" => {
                Self::GetRefundStatusByMerchantRefundId
            }
            "CANCELTX" => Self::CancelTx,
            "REQUESTDATA" => Self::RequestData,
            _ => return None,
        })
    }

    /// The name of the call, of two the shorter.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "TRANSACTION",
            Self::GetTxStatus => "GETTXSTATUS",
            Self::GetTxStatusByMerchantTxId => "GETTXSTATUSBYMERCHANTTXID",
            Self::Refund => "REFUND",
            Self::GetRefundStatus => "GETREFUNDSTATUS",
            Self::GetRefundStatusByMerchantRefundId => "GETREFUNDBYMERCHANTREFUNDID",
            Self::CancelTx => "CANCELTX",
            Self::RequestData => "REQUESTDATA",
        }
    }
}

/// The parameters of every call.
#[derive(Clone, Copy)]
pub struct Envelope<'f> {
    /// Which call it is.
    pub tx_type: TxType,
    /// The PSP.
    pub login: &'f str,
    /// Its password.
    pub password: &'f str,
    /// The merchant's contract.
    pub contract: &'f str,
}

impl std::fmt::Debug for Envelope<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Envelope({:?}, contract {})", self.tx_type, self.contract)
    }
}

/// The call of a form, whatever else is wrong with it; decides the shape of the answer.
#[must_use]
pub fn tx_type(form: &Form<'_>) -> Option<TxType> {
    TxType::from_name(form.get(Field::Txtype)?)
}

/// The parameters of every call, in the order in which they are checked.
const COMMON: [Field; 5] =
    [Field::Returnmode, Field::Txtype, Field::Login, Field::Password, Field::Contractid];

/// Which of the parameters of every call were sent, with or without a fault.
#[must_use]
pub fn common_sent(form: &Form<'_>) -> [bool; COMMON.len()] {
    COMMON.map(|field| form.has_any(&[field]))
}

/// Reports the faults of the parameters of every call, in the order of [`open`]. Of a body that is
/// no form nothing else is worth reporting.
pub fn common_faults(form: &Form<'_>, sink: &mut impl Sink) -> Flow {
    for field in COMMON {
        let Err(rejection) = common(form, field) else { continue };
        if sink.reject(rejection) == Flow::Stop || rejection.subject == Subject::Body {
            return Flow::Stop;
        }
    }
    Flow::Continue
}

/// One of the parameters of every call.
fn common<'f>(form: &Form<'f>, field: Field) -> Result<&'f str, Rejection> {
    let (returnmode, txtype) = (field == Field::Returnmode, field == Field::Txtype);
    let rule = if returnmode {
        Rule::Returnmode
    } else if txtype {
        Rule::Txtype
    } else {
        Rule::Missing
    };
    let refused = Rejection::of(field, rule);
    if returnmode && let Some(rejection) = form.spoilt_parameter() {
        return Err(rejection);
    }
    // With too many parameters, one that looks missing may not have been read.
    let absent = || form.body_fault().or(form.shape_fault()).unwrap_or(refused);
    let value = match form.fault(field) {
        Some(rejection) => return Err(rejection),
        None => form.get(field).ok_or_else(absent)?,
    };
    let good = if returnmode {
        value == "urlencodeext"
    } else if txtype {
        TxType::from_name(value).is_some()
    } else {
        !value.is_empty()
    };
    if good { Ok(value) } else { Err(refused) }
}

/// Reads the parameters of every call.
///
/// # Errors
/// The first fault, in the order `returnmode`, `txtype`, `login`, `password`, `contractid`.
pub fn open<'f>(form: &Form<'f>) -> Result<Envelope<'f>, Rejection> {
    common(form, Field::Returnmode)?;
    let tx_type = TxType::from_name(common(form, Field::Txtype)?)
        .ok_or(Rejection::of(Field::Txtype, Rule::Txtype))?;
    Ok(Envelope {
        tx_type,
        login: common(form, Field::Login)?,
        password: common(form, Field::Password)?,
        contract: common(form, Field::Contractid)?,
    })
}

/// Reads one parameter that must be there.
///
/// # Errors
/// Its encoding fault, or that it is missing.
pub fn required<'f>(form: &Form<'f>, field: Field) -> Result<&'f str, Rejection> {
    match form.fault(field) {
        Some(rejection) => Err(rejection),
        None => form.filled(field).ok_or(Rejection::of(field, Rule::Missing)),
    }
}

/// Reads `txid`. `Ok(None)`: not a number that we could have issued, so no payment has it.
///
/// # Errors
/// As [`required`].
pub fn tx_id(form: &Form<'_>) -> Result<Option<TxId>, Rejection> {
    required(form, Field::Txid).map(|text| text.parse().ok())
}

/// Reads `refundid`, as [`tx_id`].
///
/// # Errors
/// As [`required`].
pub fn refund_id(form: &Form<'_>) -> Result<Option<RefundId>, Rejection> {
    required(form, Field::Refundid).map(|text| text.parse().ok())
}

/// A well-formed REFUND call. Whether it is admitted depends on the payment.
#[derive(Clone, Copy)]
pub struct RefundCall<'f> {
    /// The PSP's reference.
    pub merchant_refund_id: Option<&'f str>,
    /// Must equal the transaction's.
    pub currency: &'f str,
    /// In sen.
    pub amount: Sen,
    /// Text for the shopper's GoPay history.
    pub descriptor: Option<&'f str>,
}

crate::shows_nothing!("RefundCall", RefundCall<'_>);

/// Checks a REFUND call but for its `txid`.
///
/// # Errors
/// The first fault, in the order: too many parameters, `merchantrefundid`, `currency`, `amount`,
/// `specin.dynamicdescriptor`, then encoding faults of any other parameter.
pub fn refund<'f>(form: &Form<'f>) -> Result<RefundCall<'f>, Rejection> {
    if let Some(rejection) = form.body_fault() {
        return Err(rejection);
    }
    let mut first = First::default();
    let mut checker = Checker { form, sink: &mut first, good: true };
    let call = read_refund(&mut checker);
    match (call, first.0) {
        (Ok(Some(call)), None) => form.any_fault().map_or(Ok(call), Err),
        (_, Some(rejection)) => Err(rejection),
        (_, None) => Err(Rejection::of(Field::Amount, Rule::Missing)),
    }
}

fn read_refund<'f>(
    checker: &mut Checker<'_, 'f, First>,
) -> Result<Option<RefundCall<'f>>, Stopped> {
    let merchant_refund_id = checker
        .optional(Field::Merchantrefundid, |value| check::reference(value).map(|()| value))?;
    let currency = checker.required(Field::Currency, Ok)?;
    let amount = checker.required(Field::Amount, check::amount)?;
    let descriptor = checker.optional(Field::DynamicDescriptor, Ok)?;
    Ok(currency.zip(amount).map(|(currency, amount)| RefundCall {
        merchant_refund_id,
        currency,
        amount: Sen::new(amount),
        descriptor,
    }))
}

/// The longest name or value of a record, in characters. No parameter that is used may be longer
/// (`docs/psp-guide.md`, "TRANSACTION"); unknown ones, and those that are refused, may be as long as
/// the body.
const RECORDED_CHARS_MAX: usize = 2_048;

/// The record of a call: its parameters as a JSON object of strings, in a fixed order, without
/// `password`, `transientin.*` (PPRO: never stored) and parameters with an encoding fault. What is
/// longer than 2,048 characters is cut.
#[must_use]
pub fn record(form: &Form<'_>) -> String {
    // A member takes four bytes more than a parameter, and what is escaped more than that.
    let cart = form.get(Field::Orderitems).map_or(0, str::len);
    let mut out = Vec::with_capacity(form.text_bytes().saturating_sub(cart) + RECORD_SLACK);
    for (field, value) in form.sent() {
        if !matches!(field, Field::Password | Field::Returnmode) && !field.is_transient() {
            out.extend_from_slice(field.member().as_bytes());
            push_json_escaped_within(&mut out, cut(value, RECORDED_CHARS_MAX), form.padded());
            out.push(b'"');
        }
    }
    for (name, value) in form.other_specin() {
        out.push(b',');
        push_json_string(&mut out, cut(name, RECORDED_CHARS_MAX));
        out.push(b':');
        push_json_string(&mut out, cut(value, RECORDED_CHARS_MAX));
    }
    // Each member brings a comma before it; the first one's becomes the brace.
    match out.first_mut() {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    // Made of strings.
    String::from_utf8(out).unwrap_or_default()
}

/// Room for the quotes of the members and for blocks that are written whole.
const RECORD_SLACK: usize = 256;

/// The fingerprint of a call's content: a digest of every parameter but `password`, transient ones
/// included. A repeat under the same nonce must have the same.
#[must_use]
pub fn fingerprint(form: &Form<'_>) -> [u8; 32] {
    // All content at once: the digest takes many small pieces slowly.
    const LENGTHS: usize = 2 * size_of::<usize>() * Field::COUNT;
    let mut content = Vec::with_capacity(form.text_bytes() + LENGTHS);
    let mut add = |name: &str, value: &str| {
        for part in [name, value] {
            content.extend_from_slice(&part.len().to_le_bytes());
            content.extend_from_slice(part.as_bytes());
        }
    };
    for (field, value) in form.sent() {
        if field != Field::Password {
            add(field.name(), value);
        }
    }
    // Two calls that differ only in the order of parameters are the same.
    let mut others: Vec<(&str, &str)> = form.other_specin().collect();
    others.sort_unstable();
    for (name, value) in others {
        add(name, value);
    }
    let digest = Sha256::digest(&content);
    wipe(&mut content);
    digest.into()
}

/// Checks that the `specin.*` of a `CANCELTX` are those of the transaction's record.
///
/// # Errors
/// The first parameter that differs, or has a fault.
pub fn same_specin(form: &Form<'_>, record: &str) -> Result<(), Rejection> {
    let stored: std::collections::BTreeMap<String, String> =
        serde_json::from_str(record).unwrap_or_default();
    let differs = |name: &str, value: &str| {
        let kept = stored.get(cut(name, RECORDED_CHARS_MAX));
        kept.is_none_or(|kept| kept != cut(value, RECORDED_CHARS_MAX))
    };
    for field in Field::ALL.iter().filter(|field| field.is_specin()) {
        if let Some(rejection) = form.fault(*field) {
            return Err(rejection);
        }
        if form.get(*field).is_some_and(|value| differs(field.name(), value)) {
            return Err(Rejection::of(*field, Rule::DiffersFromTransaction));
        }
    }
    for (place, (name, value)) in (0..).zip(form.other_specin()) {
        if differs(name, value) {
            let subject = Subject::Other(place);
            return Err(Rejection { subject, rule: Rule::DiffersFromTransaction });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ppro::form::Scratch;

    const COMMON: &str = "returnmode=urlencodeext&txtype=REFUND&login=l&password=p&contractid=c";

    fn with_form<T>(body: &str, run: impl FnOnce(&Form<'_>) -> T) -> T {
        let mut scratch = Scratch::new();
        let (form, _) = Form::decode(body.as_bytes(), &mut scratch);
        run(&form)
    }

    #[test]
    fn common_parameters_are_checked_in_order() {
        for (drop, add, message) in [
            ("", "", None),
            ("returnmode=urlencodeext", "", Some("Invalid returnmode, must be urlencodeext")),
            (
                "returnmode=urlencodeext",
                "returnmode=urlencode",
                Some("Invalid returnmode, must be urlencodeext"),
            ),
            ("txtype=REFUND", "", Some("Invalid txtype")),
            ("txtype=REFUND", "txtype=refund", Some("Invalid txtype")),
            ("login=l", "", Some("login: missing; send it with a value")),
            ("password=p", "password=", Some("password: missing; send it with a value")),
            ("contractid=c", "", Some("contractid: missing; send it with a value")),
            ("", "login=l", Some("login: sent more than once; send it once")),
        ] {
            let body = format!("{}&{add}", COMMON.replace(drop, ""));
            let got =
                with_form(&body, |form| open(form).map(|_| ()).map_err(|fault| fault.to_string()));
            assert_eq!(got.err().as_deref(), message, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_form_is_told_so() {
        const JSON: &str = "body: JSON instead of a form; name=value pairs joined by &";
        const AMP: &str = "body: pairs are joined by &amp;; pairs joined by & alone";
        for (body, message) in [
            (COMMON.replace('&', "&amp;"), AMP),
            (COMMON.replace('&', "&AMP;"), AMP),
            (COMMON.replace('&', "&#38;"), AMP),
            (COMMON.replace("&login", "&amp;login"), AMP),
            // Nothing that is needed is missing, and what was meant would be lost.
            (format!("{COMMON}&amp;merchanttxid=1"), AMP),
            (format!("{COMMON}&amp;specin.new=1"), AMP),
            (r#"{"returnmode":"urlencodeext","txtype":"REFUND"}"#.to_owned(), JSON),
            ("\r\n [{\"returnmode\": \"a&b=%zz\"}]".to_owned(), JSON),
            (
                "--x\r\nContent-Disposition: form-data; name=\"txtype\"\r\n\r\nREFUND\r\n--x--"
                    .to_owned(),
                "body: multipart instead of a form; name=value pairs joined by &",
            ),
            (
                "<?xml version=\"1.0\"?><call/>".to_owned(),
                "body: XML instead of a form; name=value pairs joined by &",
            ),
            (
                crate::ppro::reply::encode(COMMON),
                "body: percent-encoded as a whole instead of value by value; name=value pairs joined by &",
            ),
            ("nothing=known".to_owned(), "Invalid returnmode, must be urlencodeext"),
            (String::new(), "Invalid returnmode, must be urlencodeext"),
            ("a=%7B&%7B=1".to_owned(), "Invalid returnmode, must be urlencodeext"),
        ] {
            let got = with_form(&body, |form| open(form).map(|_| ()));
            assert_eq!(got.unwrap_err().to_string(), message, "{body}");
        }
        // What is missing nothing is nobody's mistake.
        let body = format!("%7Ba=1&{COMMON}&amp;note=1");
        assert!(with_form(&body, |form| open(form).is_ok()));
    }

    #[test]
    fn all_faults_of_the_common_parameters_are_reported_in_order() {
        let faults = |body: &str| {
            let mut all = crate::rejection::All::default();
            let _ = with_form(body, |form| common_faults(form, &mut all));
            all.0.iter().map(|fault| fault.subject.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(faults(COMMON), [""; 0]);
        assert_eq!(
            faults("returnmode=x&txtype=y&login=&password=%zz"),
            ["returnmode", "txtype", "login", "password", "contractid"]
        );
        assert_eq!(faults("{}"), ["body"]);
    }

    #[test]
    fn both_names_of_the_refund_look_up_work() {
        for name in ["GETREFUNDBYMERCHANTREFUNDID", "GETREFUNDSTATUSBYMERCHANTREFUNDID"] {
            assert_eq!(TxType::from_name(name), Some(TxType::GetRefundStatusByMerchantRefundId));
        }
        assert_eq!(TxType::from_name("GETXSTATUS"), None);
    }

    #[test]
    fn refund_faults_name_their_field() {
        for (body, expected) in [
            ("currency=IDR&amount=100", Ok(100)),
            ("currency=IDR&amount=100&merchantrefundid=a%20b", Err("reference_form")),
            ("amount=100", Err("missing")),
            ("currency=IDR", Err("missing")),
            ("currency=IDR&amount=1.0", Err("amount_form")),
            ("currency=IDR&amount=100&specin.dynamicdescriptor=%ff", Err("not_utf8")),
            ("currency=IDR&amount=100&tag=%zz", Err("bad_escape")),
            ("currency=IDR&amount=100&foo=1&foo=2", Err("repeated")),
        ] {
            let got = with_form(body, |form| {
                refund(form).map(|call| call.amount.get()).map_err(|fault| fault.code())
            });
            assert_eq!(got, expected, "{body}");
        }
    }

    #[test]
    fn the_record_cuts_what_is_too_long_and_still_knows_it() {
        let long = "ä".repeat(100_000);
        let body = format!("specin.dynamicdescriptor={long}&specin.{long}=x&specin.own={long}");
        let kept = with_form(&body, record);
        assert!(kept.len() < 4 * 2 * RECORDED_CHARS_MAX, "{} bytes", kept.len());
        assert!(with_form(&body, |form| same_specin(form, &kept).is_ok()));
        let other = "specin.own=x";
        assert!(with_form(other, |form| same_specin(form, &kept).is_err()));
    }

    #[test]
    fn the_record_keeps_neither_password_nor_transient_input() {
        let body = "login=l&password=hunter2&specin.email=a%40b.example&specin.own=%22&transientin.orderitems=%5B%5D&foo=1";
        let kept = with_form(body, record);
        assert_eq!(kept, r#"{"login":"l","specin.email":"a@b.example","specin.own":"\""}"#);
        for (cancel, good) in [
            ("specin.email=a%40b.example", true),
            ("txid=1", true),
            ("specin.own=%22", true),
            ("specin.email=other%40b.example", false),
            ("specin.phone=%2B6281", false),
            ("specin.own=x", false),
        ] {
            assert_eq!(
                with_form(cancel, |form| same_specin(form, &kept).is_ok()),
                good,
                "{cancel}"
            );
        }
    }

    /// Fingerprints are stored: one of an older version must be equal.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_fingerprint_is_the_digest_of_lengths_and_texts() {
        let body = "specin.own=1&amount=100&specin.a=2&transientin.orderitems=x&specin.email=a%40b.example&password=p";
        let expected = "ca72eb1dea1a55f757f669cfd153b3719b16fb16325a9d6da7f5a0d24d52814a";
        assert_eq!(hex::encode(with_form(body, fingerprint)), expected);
    }

    #[test]
    fn the_fingerprint_sees_content_and_not_form() {
        let print = |body: &str| with_form(body, fingerprint);
        let base = print("amount=100&specin.email=a%40b.example&transientin.orderitems=x");
        assert_eq!(
            base,
            print("specin.email=a@b.example&amount=%3100&transientin.orderitems=x&password=p")
        );
        assert_ne!(base, print("amount=100&specin.email=a%40b.example&transientin.orderitems=y"));
        assert_eq!(print("specin.x=1&specin.y=2"), print("specin.y=2&specin.x=1"));
        assert_ne!(print("specin.x=1&specin.y=2"), print("specin.x=2&specin.y=1"));
        assert_ne!(base, print("amount=1&specin.email=00a%40b.example&transientin.orderitems=x"));
    }
}
