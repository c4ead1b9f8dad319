//! TRANSACTION: from a decoded form to an [`TransactionRequest`], or to the reasons why not.
//!
//! Faults are found in one fixed order: common parameters (see [`super::call`]), then too many
//! parameters, then the parameters in the order of [`Field`], each first by encoding, then presence, length and form;
//! then the number of `specin.*` and unknown parameters; then the cart, item by item; then the
//! sum; last the limits. Source: `docs/psp-guide.md`, "TRANSACTION".

use crate::money::{Rupiah, Sen};
use crate::payment::Channel;
use crate::ppro::check;
use crate::ppro::field::Field;
use crate::ppro::form::Form;
use crate::ppro::items::{self, Item};
use crate::rejection::{Flow, Rejection, Rule, Sink, Subject};

/// The most `specin.*` parameters in one call.
pub const SPECIN_MAX: u32 = 29;

/// How well the contract knows its shoppers' wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kyc {
    /// Up to IDR 20,000,000; GoPay decides by wallet.
    Verified,
    /// Up to IDR 2,000,000.
    Unverified,
}

/// What a contract allows and has configured.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// May use `testchannel`.
    pub test_channel: bool,
    /// May use `livechannel`.
    pub live_channel: bool,
    /// See [`Kyc`].
    pub kyc: Kyc,
    /// Whether the contract has a return address, so that a call need not bring one.
    pub has_redirect_url: bool,
    /// Whether the contract has a notification address, so that a call need not bring one.
    pub has_notification_url: bool,
    /// The schemes, in lower case, of the apps that shoppers may return to; none: those of any app.
    pub app_schemes: Option<&'t [String]>,
}

impl Terms<'static> {
    /// Everything allowed and configured, for a dry run without a contract.
    pub const OPEN: Self = Self {
        test_channel: true,
        live_channel: true,
        kyc: Kyc::Verified,
        has_redirect_url: true,
        has_notification_url: true,
        app_schemes: None,
    };
}

/// One party's address; what was not sent, or sent empty, is absent.
#[derive(Clone, Copy, Default)]
pub struct Address<'f> {
    /// At most 255 characters, as all of these.
    pub first_name: Option<&'f str>,
    /// Last name.
    pub last_name: Option<&'f str>,
    /// Phone, in any form.
    pub phone: Option<&'f str>,
    /// All lines in one.
    pub line: Option<&'f str>,
    /// City.
    pub city: Option<&'f str>,
    /// Letters, digits, `-`, space.
    pub postal_code: Option<&'f str>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<&'f str>,
}

crate::shows_nothing!("Address", Address<'_>);

/// A TRANSACTION call that passed every check. Borrows from the decoded form.
#[derive(Clone, Copy)]
pub struct TransactionRequest<'f> {
    /// Where it goes.
    pub channel: Channel,
    /// What it costs; equals the sum of the items.
    pub amount: Rupiah,
    /// The PSP's reference.
    pub merchant_tx_id: Option<&'f str>,
    /// Where the shopper goes at the end, if the call says so.
    pub merchant_redirect_url: Option<&'f str>,
    /// The shopper's name, 3 to 100 characters.
    pub account_holder: &'f str,
    /// Where notifications to the PSP go, if the call says so.
    pub notification_url: Option<&'f str>,
    /// Makes the call repeatable.
    pub nonce: Option<&'f str>,
    /// Where the GoPay app returns to, if not to us.
    pub deeplink_callback_url: Option<&'f str>,
    /// The shopper's e-mail.
    pub email: Option<&'f str>,
    /// The shopper's phone.
    pub phone: Option<&'f str>,
    /// Who pays.
    pub billing: Address<'f>,
    /// Who receives.
    pub shipping: Address<'f>,
    /// Text for the proof of payment.
    pub descriptor: Option<&'f str>,
    /// The cart as sent; names of items are ranges of it.
    pub items_text: &'f str,
    /// The cart.
    pub items: &'f [Item],
    /// All of the above texts, followed by readable filler bytes, so that they can be copied in
    /// whole blocks.
    pub(crate) padded: &'f [u8],
    /// Where in `padded` the cart begins.
    pub(crate) items_start: usize,
}

crate::shows_nothing!("TransactionRequest", TransactionRequest<'_>);

/// Checks everything but credentials; reports faults in order of precedence.
///
/// Gives an order if and only if nothing was reported.
pub fn check<'f>(
    form: &Form<'f>,
    items: &'f mut Vec<Item>,
    terms: Terms<'_>,
    sink: &mut impl Sink,
) -> Option<TransactionRequest<'f>> {
    let mut checker = Checker { form, sink, good: true };
    let order = checker.order(items, terms).ok().flatten()?;
    checker.good.then_some(order)
}

/// The sink wants no more faults.
pub(crate) struct Stopped;

/// Reads parameters and reports their faults.
pub(crate) struct Checker<'a, 'f, S> {
    pub(crate) form: &'a Form<'f>,
    pub(crate) sink: &'a mut S,
    pub(crate) good: bool,
}

impl<'f, S: Sink> Checker<'_, 'f, S> {
    pub(crate) fn report(&mut self, rejection: Rejection) -> Result<(), Stopped> {
        let flow = self.sink.reject(rejection);
        self.note(flow)
    }

    fn note(&mut self, flow: Flow) -> Result<(), Stopped> {
        self.good = false;
        match flow {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(Stopped),
        }
    }

    /// Reports a fault of encoding or presence, as opposed to a fault of the value.
    #[cold]
    fn absent(&mut self, field: Field, needed: bool) -> Result<(), Stopped> {
        match self.form.fault(field) {
            Some(rejection) => self.report(rejection),
            // It may be there under a name that its separator has spoilt.
            None if needed => {
                self.report(self.form.shape_fault().unwrap_or(Rejection::of(field, Rule::Missing)))
            }
            None => Ok(()),
        }
    }

    #[cold]
    fn wrong(&mut self, field: Field, rule: Rule) -> Result<(), Stopped> {
        self.report(Rejection::of(field, rule))
    }

    /// A parameter that may be absent; if sent, it must pass, even if empty.
    #[inline(always)]
    pub(crate) fn optional<T>(
        &mut self,
        field: Field,
        check: impl FnOnce(&'f str) -> Result<T, Rule>,
    ) -> Result<Option<T>, Stopped> {
        let Some(value) = self.form.get(field) else {
            if self.form.is_faulty(field) {
                self.absent(field, false)?;
            }
            return Ok(None);
        };
        match check(value) {
            Ok(good) => Ok(Some(good)),
            Err(rule) => self.wrong(field, rule).map(|()| None),
        }
    }

    /// A parameter that must be there and not empty.
    #[inline(always)]
    pub(crate) fn required<T>(
        &mut self,
        field: Field,
        check: impl FnOnce(&'f str) -> Result<T, Rule>,
    ) -> Result<Option<T>, Stopped> {
        let Some(value) = self.form.filled(field) else {
            return self.absent(field, true).map(|()| None);
        };
        match check(value) {
            Ok(good) => Ok(Some(good)),
            Err(rule) => self.wrong(field, rule).map(|()| None),
        }
    }

    /// A parameter with one allowed value.
    #[inline(always)]
    fn constant(&mut self, field: Field, wanted: &'static str) -> Result<(), Stopped> {
        let check = |value: &str| if value == wanted { Ok(()) } else { Err(Rule::MustBe(wanted)) };
        self.required(field, check).map(|_| ())
    }

    /// An address part of PPRO's form `.{0,255}`; an empty one counts as absent.
    #[inline]
    fn part(&mut self, field: Field) -> Result<Option<&'f str>, Stopped> {
        let form = self.form;
        let value = self.optional(field, |value| line(form, value, 0, 255))?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// A first or last name of PPRO's form `.{0,255}`.
    #[inline]
    fn name(&mut self, field: Field) -> Result<Option<&'f str>, Stopped> {
        let form = self.form;
        let value = self.optional(field, |value| {
            let value = line(form, value, 0, 255)?;
            check::name(value).map(|()| value)
        })?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn postal_code(&mut self, field: Field) -> Result<Option<&'f str>, Stopped> {
        let value = self.optional(field, |value| check::postal_code(value).map(|()| value))?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn order(
        &mut self,
        items: &'f mut Vec<Item>,
        terms: Terms<'_>,
    ) -> Result<Option<TransactionRequest<'f>>, Stopped> {
        if let Some(rejection) = self.form.body_fault() {
            // A parameter that looks missing below may not have been read.
            self.report(rejection)?;
        }
        let channel = self.channel(terms)?;
        self.tag()?;
        self.constant(Field::Countrycode, "ID")?;
        self.constant(Field::Currency, "IDR")?;
        let amount = self.required(Field::Amount, check::amount)?;
        let amount = self.amount(amount)?;
        let merchant_tx_id =
            self.optional(Field::Merchanttxid, |value| check::reference(value).map(|()| value))?;
        let form = self.form;
        let http = channel != Some(Channel::Live);
        let redirect_url = |value: &'f str| {
            check::redirect_url_within(value, form.behind(value), http)?;
            check::app_scheme(value, terms.app_schemes).map(|()| value)
        };
        let merchant_redirect_url =
            self.given(Field::Merchantredirecturl, terms.has_redirect_url, redirect_url)?;
        let account_holder = self.required(Field::Accountholdername, |value| {
            let value = line(form, value, 3, 100)?;
            check::name(value).map(|()| value)
        })?;
        let web_url =
            |value: &'f str| check::web_url_within(value, form.behind(value)).map(|()| value);
        let notification_url =
            self.given(Field::Notificationurl, terms.has_notification_url, web_url)?;
        for field in [Field::Sellingpoint, Field::Soldservice] {
            self.optional(field, |value| line(form, value, 0, 50))?;
        }
        self.optional(Field::Preferredlanguage, |_| Ok(()))?;
        let nonce =
            self.optional(Field::Nonce, |value| check::ascii(value, 255).map(|()| value))?;
        let deeplink_callback_url = self.optional(Field::DeeplinkCallbackUrl, |value| {
            check::app_url_within(value, form.behind(value), http)?;
            check::app_scheme(value, terms.app_schemes).map(|()| value)
        })?;
        let email = self.optional(Field::Email, |value| {
            check::email_within(value, form.behind(value)).map(|()| value)
        })?;
        let phone = self.optional(Field::Phone, |value| check::phone(value).map(|()| value))?;
        let billing = self.billing()?;
        let shipping = self.shipping()?;
        let descriptor = self.optional(Field::DynamicDescriptor, Ok)?;
        self.parameters()?;
        let items_text = self.required(Field::Orderitems, Ok)?;
        let padded = form.padded().get(form.start(Field::Orderitems)..).unwrap_or_default();
        let sum = match items_text.map(|text| items::read_padded(text, padded, items, self.sink)) {
            Some(Ok(sum)) => Some(sum),
            Some(Err(flow)) => self.note(flow).map(|()| None)?,
            None => None,
        };
        if let (Some(sum), Some(amount)) = (sum, amount) {
            self.sum(sum, amount)?;
        }
        let amount = match amount {
            Some(amount) => self.limits(amount, terms)?,
            None => None,
        };
        let (Some(channel), Some(amount), Some(account_holder), Some(items_text)) =
            (channel, amount, account_holder, items_text)
        else {
            return Ok(None);
        };
        Ok(Some(TransactionRequest {
            channel,
            amount,
            merchant_tx_id,
            merchant_redirect_url,
            account_holder,
            notification_url,
            nonce,
            deeplink_callback_url,
            email,
            phone,
            billing,
            shipping,
            descriptor,
            items_text,
            items,
            padded: form.padded(),
            items_start: form.start(Field::Orderitems),
        }))
    }

    /// `gopay`. PPRO's generic test tag stands for methods that have no simulator of their own.
    fn tag(&mut self) -> Result<(), Stopped> {
        self.required(Field::Tag, |value| match value {
            "gopay" => Ok(()),
            "dumbdummy" => Err(Rule::GenericTestTag),
            _ => Err(Rule::MustBe("gopay")),
        })
        .map(|_| ())
    }

    fn channel(&mut self, terms: Terms<'_>) -> Result<Option<Channel>, Stopped> {
        self.required(Field::Channel, |value| match Channel::from_word(value) {
            None => Err(Rule::MustBe("testchannel or livechannel")),
            Some(Channel::Test) if terms.test_channel => Ok(Channel::Test),
            Some(Channel::Live) if terms.live_channel => Ok(Channel::Live),
            // A contract has one channel at least.
            Some(Channel::Test) => Err(Rule::ChannelNotInContract("livechannel")),
            Some(Channel::Live) => Err(Rule::ChannelNotInContract("testchannel")),
        })
    }

    /// The amount alone: positive and whole. Its limits are checked last.
    fn amount(&mut self, amount: Option<u64>) -> Result<Option<Sen>, Stopped> {
        let rule = match amount {
            None => return Ok(None),
            Some(0) => Rule::AmountNotPositive,
            Some(sen) if !sen.is_multiple_of(100) => Rule::AmountNotWhole,
            Some(sen) => return Ok(Some(Sen::new(sen))),
        };
        self.report(Rejection::of(Field::Amount, rule)).map(|()| None)
    }

    /// An address that the contract may supply instead.
    #[inline]
    fn given(
        &mut self,
        field: Field,
        configured: bool,
        check: impl FnOnce(&'f str) -> Result<&'f str, Rule>,
    ) -> Result<Option<&'f str>, Stopped> {
        if configured { self.optional(field, check) } else { self.required(field, check) }
    }

    fn billing(&mut self) -> Result<Address<'f>, Stopped> {
        const FIELDS: [Field; 7] = [
            Field::BillingFirstName,
            Field::BillingLastName,
            Field::BillingPhone,
            Field::BillingLine1,
            Field::BillingCity,
            Field::BillingPostalCode,
            Field::BillingCountry,
        ];
        if !self.form.has_any(&FIELDS) {
            return Ok(Address::default());
        }
        Ok(Address {
            first_name: self.name(Field::BillingFirstName)?,
            last_name: self.name(Field::BillingLastName)?,
            phone: self.part(Field::BillingPhone)?,
            line: self.part(Field::BillingLine1)?,
            city: self.part(Field::BillingCity)?,
            postal_code: self.postal_code(Field::BillingPostalCode)?,
            // PPRO's form is `.{2}`, so that an empty one does not pass.
            country: self
                .optional(Field::BillingCountry, |value| check::country(value).map(|()| value))?,
        })
    }

    fn shipping(&mut self) -> Result<Address<'f>, Stopped> {
        const FIELDS: [Field; 7] = [
            Field::ShippingFirstName,
            Field::ShippingLastName,
            Field::ShippingPhone,
            Field::ShippingLine1,
            Field::ShippingCity,
            Field::ShippingPostalCode,
            Field::ShippingCountry,
        ];
        if !self.form.has_any(&FIELDS) {
            return Ok(Address::default());
        }
        Ok(Address {
            first_name: self.name(Field::ShippingFirstName)?,
            last_name: self.name(Field::ShippingLastName)?,
            phone: self.part(Field::ShippingPhone)?,
            line: self.part(Field::ShippingLine1)?,
            city: self.part(Field::ShippingCity)?,
            postal_code: self.postal_code(Field::ShippingPostalCode)?,
            // PPRO's form is `.{0,255}` here, so that an empty one passes; any other must be a code.
            country: self
                .optional(Field::ShippingCountry, |value| match value {
                    "" => Ok(None),
                    value => check::country(value).map(|()| Some(value)),
                })?
                .flatten(),
        })
    }

    /// Faults of the parameters as a set.
    fn parameters(&mut self) -> Result<(), Stopped> {
        let got = self.form.specin_count();
        if got > SPECIN_MAX {
            self.report(Rejection { subject: Subject::Body, rule: Rule::TooManySpecin { got } })?;
        }
        for field in [Field::Txid, Field::Refundid, Field::Merchantrefundid] {
            // These parameters belong to other calls, but a broken one means a broken body.
            self.optional(field, |_| Ok(()))?;
        }
        match self.form.other_fault().filter(|fault| fault.subject != Subject::Body) {
            Some(rejection) => self.report(rejection),
            None => Ok(()),
        }
    }

    /// The items (rupiah) must add up to the amount (sen).
    fn sum(&mut self, rupiah: i128, amount: Sen) -> Result<(), Stopped> {
        let sum = rupiah.saturating_mul(100);
        let sen = i128::from(amount.get());
        if sum == sen {
            return Ok(());
        }
        let amount = amount.get();
        let rejection = if sum == sen.saturating_mul(100) {
            Rejection::of(Field::Amount, Rule::MixedUnits { sum, amount })
        } else if sum.saturating_mul(100) == sen {
            Rejection::of(Field::Orderitems, Rule::MixedUnits { sum, amount })
        } else {
            Rejection::of(Field::Orderitems, Rule::SumDiffers { sum, amount })
        };
        self.report(rejection)
    }

    fn limits(&mut self, amount: Sen, terms: Terms<'_>) -> Result<Option<Rupiah>, Stopped> {
        let rule = match Rupiah::from_sen(amount) {
            Err(_) => Rule::AmountTooLarge,
            Ok(rupiah) if terms.kyc == Kyc::Unverified && rupiah.get() > Rupiah::MAX_UNVERIFIED => {
                Rule::AmountNeedsKyc
            }
            Ok(rupiah) => return Ok(Some(rupiah)),
        };
        self.report(Rejection::of(Field::Amount, rule)).map(|()| None)
    }
}

/// PPRO's `.{min,max}`.
#[inline]
fn line<'f>(form: &Form<'_>, value: &'f str, min: u32, max: u32) -> Result<&'f str, Rule> {
    check::length(value, min, max)?;
    if form.may_break() {
        check::one_line(value)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ppro::form::Scratch;
    use crate::ppro::reply::encode;
    use crate::rejection::{All, First};

    const ITEMS: &str = r#"[{"name":"table","price":"2000.00","quantity":2},{"name":"Laptop 2.0","price":"3000.00","quantity":2}]"#;

    /// PPRO's own example, as pairs that a test changes.
    fn example() -> Vec<(&'static str, String)> {
        [
            ("tag", "gopay"),
            ("countrycode", "ID"),
            ("currency", "IDR"),
            ("amount", "1000000"),
            ("channel", "testchannel"),
            ("merchanttxid", "ORDER-20250621-0001"),
            ("merchantredirecturl", "https://shop.example/return"),
            ("notificationurl", "https://psp.example/notify"),
            ("accountholdername", "Siti Rahma"),
            ("specin.email", "siti@example.org"),
            ("specin.phone", "+628123456789"),
            ("transientin.orderitems", ITEMS),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }

    fn body(pairs: &[(&str, String)]) -> String {
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        pairs.join("&")
    }

    const CLOSED: Terms<'static> = Terms {
        app_schemes: None,
        test_channel: true,
        live_channel: false,
        kyc: Kyc::Unverified,
        has_redirect_url: false,
        has_notification_url: false,
    };

    fn first_code(pairs: &[(&str, String)], terms: Terms<'_>) -> Option<(String, &'static str)> {
        let mut scratch = Scratch::new();
        let body = body(pairs);
        let (form, items) = Form::decode(body.as_bytes(), &mut scratch);
        let mut sink = First::default();
        let order = check(&form, items, terms, &mut sink);
        assert_eq!(order.is_some(), sink.0.is_none(), "{body}");
        sink.0.map(|rejection| {
            let message = rejection.failure().message;
            let mut whole = String::new();
            rejection.write_message(&mut whole).unwrap();
            assert!(whole.chars().count() <= 128, "{whole}");
            assert!(message.starts_with(&rejection.subject.to_string()), "{message}");
            (rejection.subject.to_string(), rejection.code())
        })
    }

    #[test]
    fn the_published_example_passes() {
        let mut scratch = Scratch::new();
        let body = body(&example());
        let (form, items) = Form::decode(body.as_bytes(), &mut scratch);
        let order = check(&form, items, CLOSED, &mut First::default()).unwrap();
        assert_eq!(order.amount.get(), 10_000);
        assert_eq!(order.items.len(), 2);
        assert_eq!(order.email, Some("siti@example.org"));
        assert_eq!(order.channel, Channel::Test);
        assert!(order.billing.city.is_none());
    }

    /// One row per rule: the parameter, its value (none: not sent), and the code.
    #[test]
    fn each_parameter_has_its_rules() {
        let text = |length: usize| Some("x".repeat(length));
        let s = |value: &str| Some(value.to_owned());
        #[rustfmt::skip]
        let rows: Vec<(&'static str, Option<String>, Option<&str>)> = vec![
            ("channel", None, Some("missing")), ("channel", s(""), Some("missing")),
            ("channel", s("prod"), Some("must_be")), ("channel", s("livechannel"), Some("channel_not_in_contract")),
            ("tag", None, Some("missing")), ("tag", s("ovo"), Some("must_be")), ("tag", s("GOPAY"), Some("must_be")),
            ("tag", s("dumbdummy"), Some("generic_test_tag")),
            ("countrycode", None, Some("missing")), ("countrycode", s("SG"), Some("must_be")), ("countrycode", s("IDN"), Some("must_be")),
            ("currency", None, Some("missing")), ("currency", s("USD"), Some("must_be")), ("currency", s("idr"), Some("must_be")),
            ("amount", None, Some("missing")), ("amount", s(""), Some("missing")), ("amount", s("0"), Some("amount_not_positive")),
            ("amount", s("150"), Some("amount_not_whole")), ("amount", s("1000001"), Some("amount_not_whole")),
            ("amount", s("-100"), Some("amount_form")), ("amount", s("10000.00"), Some("amount_form")),
            ("amount", s("99999999999999999999"), Some("amount_too_large")),
            ("amount", s("1000100"), Some("sum_differs")), ("amount", s("10000"), Some("mixed_units")), ("amount", s("100000000"), Some("mixed_units")),
            ("merchanttxid", None, None), ("merchanttxid", s(""), Some("too_short")), ("merchanttxid", text(40), None),
            ("merchanttxid", text(41), Some("too_long")), ("merchanttxid", s("a b"), Some("reference_form")),
            ("merchantredirecturl", None, Some("missing")), ("merchantredirecturl", s("shop"), Some("web_url_form")),
            ("merchantredirecturl", s("shopapp://paid"), None), ("merchantredirecturl", s("http://shop.example/"), None),
            ("merchantredirecturl", s("tel:+6281"), Some("system_scheme")), ("merchantredirecturl", s("https://shop.example/?txid=1"), Some("url_has_return_parameter")),
            ("accountholdername", None, Some("missing")), ("accountholdername", s("Li"), Some("too_short")),
            ("accountholdername", s("Ani"), None), ("accountholdername", text(100), None), ("accountholdername", text(101), Some("too_long")),
            ("accountholdername", Some("\u{e9}".repeat(100)), None), ("accountholdername", s("a\nbc"), Some("line_break")),
            ("accountholdername", s("   "), Some("blank")), ("accountholdername", s("\u{a0}\u{200b}\u{3000}"), Some("blank")),
            ("specin.billingaddrfirstname", s(" "), Some("blank")), ("specin.billingaddrlastname", s(" "), Some("blank")),
            ("specin.shippingaddrfirstname", s("\u{3164}"), Some("blank")), ("specin.shippingaddrlastname", s("  "), Some("blank")),
            ("specin.billingaddrcity", s(" "), None),
            ("notificationurl", None, Some("missing")), ("notificationurl", s("ftp://psp.example/"), Some("web_url_form")),
            ("sellingpoint", text(50), None), ("sellingpoint", text(51), Some("too_long")),
            ("soldservice", text(51), Some("too_long")),
            ("preferredlanguage", s("klingon"), None),
            ("nonce", s("n-1"), None), ("nonce", s("\u{e9}"), Some("not_ascii")), ("nonce", text(256), Some("too_long")),
            ("specin.deeplinkcallbackurl", s("shopapp://paid"), None), ("specin.deeplinkcallbackurl", s("paid"), Some("app_url_form")),
            ("specin.deeplinkcallbackurl", s("shopapp://paid?result=1"), Some("url_has_query")), ("specin.deeplinkcallbackurl", s(""), Some("too_short")),
            ("specin.deeplinkcallbackurl", s("intent://x"), Some("system_scheme")), ("specin.deeplinkcallbackurl", s("http://shop.example/"), None),
            ("specin.email", None, None), ("specin.email", s("siti"), Some("email_form")), ("specin.email", s(""), Some("too_short")),
            ("specin.phone", None, None), ("specin.phone", s("08123456789"), Some("phone_form")), ("specin.phone", s(""), Some("phone_form")),
            ("specin.billingaddrfirstname", text(255), None), ("specin.billingaddrfirstname", text(256), Some("too_long")),
            ("specin.billingaddrlastname", s(""), None), ("specin.billingaddrlastname", text(256), Some("too_long")),
            ("specin.billingphone", s("0812"), None), ("specin.billingphone", text(256), Some("too_long")),
            ("specin.billingaddrline1", s("Jl. Sudirman\n1"), Some("line_break")), ("specin.billingaddrline1", Some("\u{e9}".repeat(256)), Some("too_long")),
            ("specin.billingaddrcity", text(256), Some("too_long")),
            ("specin.billingaddrpostalcde", s("12190-1 A"), None), ("specin.billingaddrpostalcde", s("12190/1"), Some("postal_code_form")),
            ("specin.billingcntrycde", s("ID"), None), ("specin.billingcntrycde", s("SG"), None), ("specin.billingcntrycde", s("XX"), Some("country_form")),
            ("specin.billingcntrycde", s("IDN"), Some("country_form")), ("specin.billingcntrycde", s(""), Some("country_form")),
            ("specin.shippingaddrfirstname", text(256), Some("too_long")), ("specin.shippingaddrlastname", text(256), Some("too_long")),
            ("specin.shippingphone", text(256), Some("too_long")), ("specin.shippingaddrline1", text(256), Some("too_long")),
            ("specin.shippingaddrcity", text(256), Some("too_long")), ("specin.shippingaddrpostalcde", s("a_b"), Some("postal_code_form")),
            ("specin.shippingcntrycde", s(""), None), ("specin.shippingcntrycde", s("Indonesia"), Some("country_form")),
            ("specin.dynamicdescriptor", text(1000), None),
            ("specin.somethingnew", text(1000), None),
            ("transientin.orderitems", None, Some("missing")), ("transientin.orderitems", s("[]"), Some("no_items")),
            ("transientin.orderitems", s("x"), Some("json_form")),
        ];
        for (name, value, code) in rows {
            let mut pairs = example();
            pairs.retain(|(other, _)| *other != name);
            if let Some(value) = &value {
                pairs.push((name, value.clone()));
            }
            let got = first_code(&pairs, CLOSED);
            assert_eq!(got.as_ref().map(|(_, code)| *code), code, "{name}={value:?}");
        }
    }

    #[test]
    fn the_units_message_says_which_side_is_off() {
        for (amount, subject) in [("10000", "amount"), ("100000000", "transientin.orderitems")] {
            let mut pairs = example();
            pairs.iter_mut().find(|(name, _)| *name == "amount").unwrap().1 = amount.to_owned();
            assert_eq!(first_code(&pairs, CLOSED), Some((subject.to_owned(), "mixed_units")));
        }
    }

    #[test]
    fn the_wallet_limits_depend_on_the_contract() {
        let verified = Terms { kyc: Kyc::Verified, ..CLOSED };
        for (rupiah, terms, code) in [
            (1_u64, CLOSED, None),
            (2_000_000, CLOSED, None),
            (2_000_001, CLOSED, Some("amount_needs_kyc")),
            (2_000_001, verified, None),
            (20_000_000, verified, None),
            (20_000_001, verified, Some("amount_too_large")),
            (20_000_001, CLOSED, Some("amount_too_large")),
            (21_474_837, verified, Some("amount_too_large")),
        ] {
            let mut pairs = example();
            let cart = format!(r#"[{{"name":"x","price":"{rupiah}.00","quantity":1}}]"#);
            for (name, value) in &mut pairs {
                match *name {
                    "amount" => *value = (rupiah * 100).to_string(),
                    "transientin.orderitems" => value.clone_from(&cart),
                    _ => {}
                }
            }
            assert_eq!(first_code(&pairs, terms).map(|(_, code)| code), code, "{rupiah}");
        }
    }

    #[test]
    fn shoppers_return_by_http_from_the_test_channel_only() {
        for field in ["merchantredirecturl", "specin.deeplinkcallbackurl", "notificationurl"] {
            for (channel, url, code) in [
                ("testchannel", "http://shop.example/", None),
                ("livechannel", "http://shop.example/", Some("http_on_test_only")),
                ("livechannel", "https://shop.example/", None),
                ("livechannel", "HTTP://shop.example/", Some("http_on_test_only")),
            ] {
                let mut pairs = example();
                pairs.retain(|(name, _)| *name != field && *name != "channel");
                pairs.extend([("channel", channel.to_owned()), (field, url.to_owned())]);
                // A notification is signed, and not a shopper's way.
                let code = code.filter(|_| field != "notificationurl");
                assert_eq!(
                    first_code(&pairs, Terms::OPEN).map(|(_, code)| code),
                    code,
                    "{field} {url}"
                );
            }
        }
    }

    #[test]
    fn shoppers_return_into_the_apps_that_the_contract_lists() {
        let listed = ["someapps".to_owned(), "toko-1".to_owned()];
        for field in ["merchantredirecturl", "specin.deeplinkcallbackurl"] {
            for (schemes, url, code) in [
                (None, "anyapp://callback", None),
                (Some(&listed[..]), "someapps://callback", None),
                (Some(&listed[..]), "SomeApps://callback", None),
                (Some(&listed[..]), "toko-1://callback", None),
                (Some(&listed[..]), "anyapp://callback", Some("scheme_not_of_contract")),
                (Some(&listed[..]), "https://shop.example/", None),
                (Some(&[][..]), "someapps://callback", Some("scheme_not_of_contract")),
                (Some(&[][..]), "http://shop.example/", None),
            ] {
                let mut pairs = example();
                pairs.retain(|(name, _)| *name != field);
                pairs.push((field, url.to_owned()));
                let terms = Terms { app_schemes: schemes, ..Terms::OPEN };
                let got = first_code(&pairs, terms).map(|(_, code)| code);
                assert_eq!(got, code, "{field} {url} {schemes:?}");
            }
        }
    }

    #[test]
    fn at_most_29_specin_parameters() {
        let names: Vec<String> = (0..30).map(|number| format!("specin.x{number}")).collect();
        for (count, code) in [(27, None), (28, Some("too_many_specin"))] {
            let mut pairs = example();
            for name in names.iter().take(count) {
                pairs.push((Box::leak(name.clone().into_boxed_str()), "v".to_owned()));
            }
            assert_eq!(first_code(&pairs, CLOSED).map(|(_, code)| code), code, "{count} more");
        }
    }

    #[test]
    fn faults_come_in_the_documented_order() {
        let mut scratch = Scratch::new();
        let body = "channel=x&tag=y&countrycode=z&currency=q&amount=1.5&merchanttxid=a%20b&merchantredirecturl=u&accountholdername=L&notificationurl=n&sellingpoint=%ff&nonce=%C3%A9&specin.deeplinkcallbackurl=d&specin.email=e&specin.phone=p&specin.billingcntrycde=b&specin.shippingcntrycde=s&transientin.orderitems=%5B%7B%7D%5D";
        let (form, items) = Form::decode(body.as_bytes(), &mut scratch);
        let mut sink = All::default();
        assert!(check(&form, items, CLOSED, &mut sink).is_none());
        let subjects: Vec<String> =
            sink.0.iter().map(|rejection| rejection.subject.to_string()).collect();
        assert_eq!(
            subjects,
            [
                "channel",
                "tag",
                "countrycode",
                "currency",
                "amount",
                "merchanttxid",
                "merchantredirecturl",
                "accountholdername",
                "notificationurl",
                "sellingpoint",
                "nonce",
                "specin.deeplinkcallbackurl",
                "specin.email",
                "specin.phone",
                "specin.billingcntrycde",
                "specin.shippingcntrycde",
                "transientin.orderitems[0].name",
                "transientin.orderitems[0].price",
                "transientin.orderitems[0].quantity",
            ]
        );
    }
}
