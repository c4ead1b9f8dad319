//! The parameters of every call, by name.

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(, $personal:ident)?;)+) => {
        /// A parameter that we know. Declared in the order in which faults are reported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $variant,)+ }

        impl Field {
            /// Every parameter, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The parameter of a decoded name; names are case-sensitive.
            #[must_use]
            pub fn from_name(name: &[u8]) -> Option<Self> {
                $(if name == $name.as_bytes() {
                    return Some(Self::$variant);
                })+
                None
            }

            /// Whether values must not be shown to anybody: personal data and credentials.
            #[must_use]
            pub const fn is_personal(self) -> bool {
                match self { $(Self::$variant => fields!(@personal $($personal)?),)+ }
            }
        }
    };
    (@personal) => { false };
    (@personal personal) => { true };
}

fields! {
    /// Encoding of the answer; `urlencodeext`.
    Returnmode = "returnmode";
    /// Which call it is.
    Txtype = "txtype";
    /// The PSP.
    Login = "login";
    /// Its password.
    Password = "password", personal;
    /// The merchant's contract.
    Contractid = "contractid";
    /// `testchannel` or `livechannel`.
    Channel = "channel";
    /// The method: `gopay`.
    Tag = "tag";
    /// `ID`.
    Countrycode = "countrycode";
    /// `IDR`.
    Currency = "currency";
    /// In sen: 1 IDR is `100`.
    Amount = "amount";
    /// The PSP's reference of the transaction.
    Merchanttxid = "merchanttxid";
    /// Where the shopper goes at the end.
    Merchantredirecturl = "merchantredirecturl";
    /// The shopper's name.
    Accountholdername = "accountholdername", personal;
    /// Where the PSP is told.
    Notificationurl = "notificationurl";
    /// Reporting mark.
    Sellingpoint = "sellingpoint";
    /// Reporting mark.
    Soldservice = "soldservice";
    /// Accepted and ignored.
    Preferredlanguage = "preferredlanguage";
    /// Makes a call repeatable.
    Nonce = "nonce";
    /// Our id of a transaction.
    Txid = "txid";
    /// Our id of a refund.
    Refundid = "refundid";
    /// The PSP's reference of a refund.
    Merchantrefundid = "merchantrefundid";
    /// Where the GoPay app returns to.
    DeeplinkCallbackUrl = "specin.deeplinkcallbackurl";
    /// The shopper's e-mail.
    Email = "specin.email", personal;
    /// The shopper's phone.
    Phone = "specin.phone", personal;
    /// Billing first name.
    BillingFirstName = "specin.billingaddrfirstname", personal;
    /// Billing last name.
    BillingLastName = "specin.billingaddrlastname", personal;
    /// Billing phone.
    BillingPhone = "specin.billingphone", personal;
    /// Billing address, in one line.
    BillingLine1 = "specin.billingaddrline1", personal;
    /// Billing city.
    BillingCity = "specin.billingaddrcity", personal;
    /// Billing postal code.
    BillingPostalCode = "specin.billingaddrpostalcde", personal;
    /// Billing country, ISO 3166-1 alpha-2.
    BillingCountry = "specin.billingcntrycde";
    /// Shipping first name.
    ShippingFirstName = "specin.shippingaddrfirstname", personal;
    /// Shipping last name.
    ShippingLastName = "specin.shippingaddrlastname", personal;
    /// Shipping phone.
    ShippingPhone = "specin.shippingphone", personal;
    /// Shipping address, in one line.
    ShippingLine1 = "specin.shippingaddrline1", personal;
    /// Shipping city.
    ShippingCity = "specin.shippingaddrcity", personal;
    /// Shipping postal code.
    ShippingPostalCode = "specin.shippingaddrpostalcde", personal;
    /// Shipping country, ISO 3166-1 alpha-2.
    ShippingCountry = "specin.shippingcntrycde";
    /// Text for the shopper's proof of payment.
    DynamicDescriptor = "specin.dynamicdescriptor";
    /// The cart, a JSON array.
    Orderitems = "transientin.orderitems", personal;
}

impl Field {
    /// The place in [`Field::ALL`].
    #[must_use]
    #[expect(clippy::as_conversions, reason = "a fieldless repr(u8) enum has no other conversion")]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the name starts with `specin.`; such parameters are stored.
    #[must_use]
    pub fn is_specin(self) -> bool {
        self.name().starts_with("specin.")
    }

    /// Whether the name starts with `transientin.`; such parameters are passed on, never stored.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.name().starts_with("transientin.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_agree() {
        for (place, field) in Field::ALL.iter().enumerate() {
            assert_eq!(field.index(), place);
            assert_eq!(Field::from_name(field.name().as_bytes()), Some(*field));
        }
        assert_eq!(Field::from_name(b"Amount"), None);
        assert_eq!(Field::from_name(b"specin.unknown"), None);
    }
}
