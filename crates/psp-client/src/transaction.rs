//! TRANSACTION: opening a payment.

use std::fmt;

use crate::answer::TransactionAnswer;
use crate::call::Call;
use crate::cart::Cart;
use crate::form::Form;
use crate::pairs::{AnswerError, Pairs};

/// Where a payment is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// At the simulator or the sandbox.
    Test,
    /// With real money.
    Live,
}

impl Channel {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "testchannel",
            Self::Live => "livechannel",
        }
    }
}

/// An address of the shopper; what is `None` is not sent.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each says what it is")]
pub struct Address {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub phone: Option<String>,
    /// All lines joined into one.
    pub line: Option<String>,
    pub city: Option<String>,
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<String>,
}

/// Opens a payment. What is not set is not sent; the adapter or the contract then has a default.
///
/// Source: `docs/psp-guide.md`, "TRANSACTION".
///
/// ```
/// use gopay_psp_client::{
///     Call as _, Cart, Channel, FailReason, Item, Transaction, TransactionAnswer,
/// };
/// let cart = Cart::new([Item::new("Kopi", 45_000, 1)])?;
/// let call = Transaction::new(Channel::Test, &cart, "Siti Rahma")
///     .notification_url("https://psp.example/notify")
///     .email("siti@example.org");
/// let refused = b"STATUS=FAILED&TXID=0&FAILREASON=INPUT_DATA&ERRMSG=Authentication%20failed";
/// let TransactionAnswer::Refused(failure) = call.read(refused)? else { panic!() };
/// assert_eq!(failure.reason, FailReason::InputData);
/// assert!(call.read(b"<html>502 Bad Gateway</html>").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Transaction {
    form: Form<'static>,
}

impl Transaction {
    /// With all that must be there: the cart makes `amount`, too; the name is the shopper's.
    #[must_use]
    pub fn new(channel: Channel, cart: &Cart, account_holder: impl Into<String>) -> Self {
        let form = Form::new()
            .with("tag", "gopay")
            .with("countrycode", "ID")
            .with("currency", "IDR")
            .with("amount", cart.amount().to_string())
            .with("channel", channel.as_str())
            .with("accountholdername", account_holder.into())
            .with("transientin.orderitems", cart.json());
        Self { form }
    }

    /// Any parameter by its name: one that this builder does not know, or another value for one
    /// that it does.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.form.set(name.into(), value.into());
        self
    }

    /// Leaves a parameter out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.form.remove(name);
        self
    }

    /// The PSP's reference. Keep it unique: a lost answer is looked up by it.
    #[must_use]
    pub fn merchant_tx_id(self, reference: impl Into<String>) -> Self {
        self.parameter("merchanttxid", reference)
    }

    /// Makes the call safe to repeat: the same content gets the same answer. Take a new one for
    /// every new or corrected call.
    #[must_use]
    pub fn nonce(self, nonce: impl Into<String>) -> Self {
        self.parameter("nonce", nonce)
    }

    /// Where the shopper goes at the end.
    #[must_use]
    pub fn redirect_url(self, url: impl Into<String>) -> Self {
        self.parameter("merchantredirecturl", url)
    }

    /// Where final states are told.
    #[must_use]
    pub fn notification_url(self, url: impl Into<String>) -> Self {
        self.parameter("notificationurl", url)
    }

    /// Where the GoPay app returns to, instead of the adapter's page.
    #[must_use]
    pub fn deeplink_callback_url(self, url: impl Into<String>) -> Self {
        self.parameter("specin.deeplinkcallbackurl", url)
    }

    /// The shopper's e-mail address.
    #[must_use]
    pub fn email(self, address: impl Into<String>) -> Self {
        self.parameter("specin.email", address)
    }

    /// The shopper's phone, with `+` and country code.
    #[must_use]
    pub fn phone(self, number: impl Into<String>) -> Self {
        self.parameter("specin.phone", number)
    }

    /// Text for the shopper's proof of payment.
    #[must_use]
    pub fn dynamic_descriptor(self, text: impl Into<String>) -> Self {
        self.parameter("specin.dynamicdescriptor", text)
    }

    /// A mark for reports.
    #[must_use]
    pub fn selling_point(self, mark: impl Into<String>) -> Self {
        self.parameter("sellingpoint", mark)
    }

    /// A mark for reports.
    #[must_use]
    pub fn sold_service(self, mark: impl Into<String>) -> Self {
        self.parameter("soldservice", mark)
    }

    /// Who pays.
    #[must_use]
    pub fn billing(self, address: Address) -> Self {
        self.address(address, ["billingaddr", "billingphone", "billingcntrycde"])
    }

    /// Who gets the goods.
    #[must_use]
    pub fn shipping(self, address: Address) -> Self {
        self.address(address, ["shippingaddr", "shippingphone", "shippingcntrycde"])
    }

    fn address(mut self, address: Address, [prefix, phone, country]: [&str; 3]) -> Self {
        // The odd spellings are PPRO's.
        for (name, value) in [
            (format!("specin.{prefix}firstname"), address.first_name),
            (format!("specin.{prefix}lastname"), address.last_name),
            (format!("specin.{phone}"), address.phone),
            (format!("specin.{prefix}line1"), address.line),
            (format!("specin.{prefix}city"), address.city),
            (format!("specin.{prefix}postalcde"), address.postal_code),
            (format!("specin.{country}"), address.country),
        ] {
            if let Some(value) = value {
                self.form.set(name, value);
            }
        }
        self
    }
}

/// Names of parameters only.
impl fmt::Debug for Transaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Transaction").field(&self.form).finish()
    }
}

impl Call for Transaction {
    type Answer = TransactionAnswer;
    const TXTYPE: &'static str = "TRANSACTION";

    fn write<'a>(&'a self, form: &mut Form<'a>) {
        form.extend(self.form.iter());
    }

    fn meaning(pairs: &Pairs<'_>) -> Result<TransactionAnswer, AnswerError> {
        TransactionAnswer::of(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Credentials;
    use crate::cart::Item;

    fn call() -> Transaction {
        let cart = Cart::new([Item::new("Kopi", 45_000, 1)]).unwrap();
        Transaction::new(Channel::Live, &cart, "Siti Rahma")
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let body = call().body(&Credentials::new("l", "p", "c"));
        assert_eq!(
            body,
            "returnmode=urlencodeext&txtype=TRANSACTION&login=l&password=p&contractid=c&tag=gopay&countrycode=ID&currency=IDR&amount=4500000&channel=livechannel&accountholdername=Siti%20Rahma&transientin.orderitems=%5B%7B%22name%22%3A%22Kopi%22%2C%22price%22%3A%2245000.00%22%2C%22quantity%22%3A1%7D%5D"
        );
    }

    /// The names as the guide lists them.
    #[test]
    fn every_builder_writes_the_name_of_the_guide() {
        let address = |of: &str| Address {
            first_name: Some(format!("{of}1")),
            last_name: Some(format!("{of}2")),
            phone: Some(format!("{of}3")),
            line: Some(format!("{of}4")),
            city: Some(format!("{of}5")),
            postal_code: Some(format!("{of}6")),
            country: Some(format!("{of}7")),
        };
        let call = call()
            .merchant_tx_id("a")
            .redirect_url("b")
            .notification_url("c")
            .selling_point("d")
            .sold_service("e")
            .nonce("f")
            .deeplink_callback_url("g")
            .email("h")
            .phone("i")
            .dynamic_descriptor("j")
            .billing(address("k"))
            .shipping(address("l"))
            .parameter("preferredlanguage", "m");
        for (name, value) in [
            ("merchanttxid", "a"),
            ("merchantredirecturl", "b"),
            ("notificationurl", "c"),
            ("sellingpoint", "d"),
            ("soldservice", "e"),
            ("nonce", "f"),
            ("specin.deeplinkcallbackurl", "g"),
            ("specin.email", "h"),
            ("specin.phone", "i"),
            ("specin.dynamicdescriptor", "j"),
            ("specin.billingaddrfirstname", "k1"),
            ("specin.billingaddrlastname", "k2"),
            ("specin.billingphone", "k3"),
            ("specin.billingaddrline1", "k4"),
            ("specin.billingaddrcity", "k5"),
            ("specin.billingaddrpostalcde", "k6"),
            ("specin.billingcntrycde", "k7"),
            ("specin.shippingaddrfirstname", "l1"),
            ("specin.shippingaddrlastname", "l2"),
            ("specin.shippingphone", "l3"),
            ("specin.shippingaddrline1", "l4"),
            ("specin.shippingaddrcity", "l5"),
            ("specin.shippingaddrpostalcde", "l6"),
            ("specin.shippingcntrycde", "l7"),
            ("preferredlanguage", "m"),
        ] {
            assert_eq!(call.form.get(name), Some(value), "{name}");
        }
        assert_eq!(call.form.iter().count(), 7 + 25);
    }

    #[test]
    fn a_parameter_is_replaced_or_left_out() {
        let call = call().parameter("amount", "1").without("tag");
        assert_eq!((call.form.get("amount"), call.form.get("tag")), (Some("1"), None));
    }
}
