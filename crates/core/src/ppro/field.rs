//! The parameters of every call, by name.

use gopay_scan::{STOPS, equal};

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

            /// What stands before its value in a JSON object, behind another member.
            #[must_use]
            pub(crate) const fn member(self) -> &'static str {
                match self { $(Self::$variant => concat!(",\"", $name, "\":\""),)+ }
            }

            /// The parameter of a decoded name; names are case-sensitive.
            #[must_use]
            pub fn from_name(name: &[u8]) -> Option<Self> {
                let mut window = [0; NAME_MAX];
                window.get_mut(..name.len())?.copy_from_slice(name);
                Self::from_window(&window, name.len())
            }

            /// Whether nobody may see its values: personal data and credentials.
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
    /// Where notifications to the PSP go.
    Notificationurl = "notificationurl";
    /// Reporting mark.
    Sellingpoint = "sellingpoint";
    /// Reporting mark.
    Soldservice = "soldservice";
    /// Of the shopper's pages, if they speak it.
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
    /// The position in [`Field::ALL`].
    #[must_use]
    #[expect(clippy::as_conversions, reason = "a fieldless repr(u8) enum has no other conversion")]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the name starts with `specin.`; such parameters are stored.
    #[must_use]
    pub const fn is_specin(self) -> bool {
        matches!(self.name().as_bytes(), [b's', b'p', b'e', b'c', b'i', b'n', b'.', ..])
    }

    /// The parameter whose name is the first `length` bytes of the window.
    #[inline]
    pub(crate) fn from_window(window: &[u8; NAME_MAX], length: usize) -> Option<Self> {
        let field = (*TABLE.get(hash(window, length)?)?)?;
        let (known, bytes) = (NAMES.get(field.index())?, *LENGTHS.get(field.index())?);
        let same =
            u64::from(equal(window, known)) | u64::MAX.wrapping_shl(u32::from(bytes)) == u64::MAX;
        (same & (usize::from(bytes) == length)).then_some(field)
    }

    /// Whether the name starts with `transientin.`; such parameters are passed on, never stored.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.name().starts_with("transientin.")
    }
}

/// The length of the longest name, in bytes.
pub(crate) const NAME_MAX: usize = STOPS;

/// The slot in the hash table of the name that is the first `length` bytes; a different one for every
/// name that we know. `None`: longer than any of them.
#[inline]
fn hash(window: &[u8; NAME_MAX], length: usize) -> Option<usize> {
    let end = window.get(length.saturating_sub(WORD)..)?.first_chunk::<WORD>()?;
    Some(slot(u64::from_le_bytes(*end), length, FACTOR))
}

/// Names differ in their last eight bytes or in their length. Of a shorter one `end` is the beginning
/// of the window, of which the rest is shifted out.
#[inline]
const fn slot(end: u64, length: usize, factor: u64) -> usize {
    let surplus = WORD.saturating_sub(length);
    let end = end << ((surplus * 8) & 63);
    narrow(end.wrapping_add(widen(length)).wrapping_mul(factor) >> (64 - TABLE_BITS))
}

const WORD: usize = 8;
const TABLE_BITS: u32 = 9;

#[expect(clippy::as_conversions, reason = "no name is longer than NAME_MAX")]
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const LENGTHS: [u8; Field::COUNT] = {
    let mut lengths = [0; Field::COUNT];
    let mut field = 0;
    while field < Field::COUNT {
        lengths[field] = Field::ALL[field].name().len() as u8;
        field += 1;
    }
    lengths
};

/// The names, padded with zeros.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const NAMES: [[u8; NAME_MAX]; Field::COUNT] = {
    let mut names = [[0; NAME_MAX]; Field::COUNT];
    let mut field = 0;
    while field < Field::COUNT {
        let name = Field::ALL[field].name().as_bytes();
        let mut at = 0;
        while at < name.len() {
            names[field][at] = name[at];
            at += 1;
        }
        field += 1;
    }
    names
};

/// The first factor under which no two names share a slot.
const FACTOR: u64 = {
    let mut factor = 0x9e37_79b9_7f4a_7c15;
    while table(factor).is_none() {
        factor = (factor ^ (factor >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1;
    }
    factor
};

const TABLE: [Option<Field>; 1 << TABLE_BITS] =
    table(FACTOR).expect("the factor was chosen for that");

/// The field in each slot; `None` if two fields share one.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const fn table(factor: u64) -> Option<[Option<Field>; 1 << TABLE_BITS]> {
    let mut table = [None; 1 << TABLE_BITS];
    let mut field = 0;
    while field < Field::COUNT {
        let (name, length) = (&NAMES[field], Field::ALL[field].name().len());
        let mut end = [0; WORD];
        let mut at = 0;
        while at < WORD {
            end[at] = name[length.saturating_sub(WORD) + at];
            at += 1;
        }
        let place = slot(u64::from_le_bytes(end), length, factor);
        if table[place].is_some() {
            return None;
        }
        table[place] = Some(Field::ALL[field]);
        field += 1;
    }
    Some(table)
}

#[expect(clippy::as_conversions, reason = "a hash of nine bits")]
const fn narrow(hash: u64) -> usize {
    hash as usize
}

#[expect(clippy::as_conversions, reason = "a length")]
const fn widen(length: usize) -> u64 {
    length as u64
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
        for other in [
            "",
            "Amount",
            "amoun",
            "amounts",
            "amount\0",
            "xamount",
            &"x".repeat(32),
            &"x".repeat(33),
        ] {
            assert_eq!(Field::from_name(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Field::from_name(b"specin.unknown"), None);
        // What is behind a name is not part of it, and each of its bytes is.
        for field in Field::ALL {
            let name = field.name().as_bytes();
            let mut window = [b'&'; NAME_MAX];
            window[..name.len()].copy_from_slice(name);
            assert_eq!(Field::from_window(&window, name.len()), Some(*field));
            for at in 0..name.len() {
                window[at] ^= 0x20;
                assert_eq!(Field::from_window(&window, name.len()), None, "{field:?} {at}");
                window[at] ^= 0x20;
            }
        }
    }
}
