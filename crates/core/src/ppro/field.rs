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
        let name = Name::of(window, length)?;
        let place = usize::from(*TABLE.get(name.hash(FACTOR))?);
        let (known, bytes) = (NAMES.get(place)?, LENGTHS.get(place)?);
        // The words do not show whether U+0000 is part of the name; its length does.
        let same = known.is(name) & (usize::from(*bytes) == length);
        if same { Self::ALL.get(place).copied() } else { None }
    }

    /// Whether the name starts with `transientin.`; such parameters are passed on, never stored.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.name().starts_with("transientin.")
    }
}

/// The length of the longest name, in bytes.
pub(crate) const NAME_MAX: usize = 32;

/// A name as four words, padded with zeros, so that names are compared without a loop.
#[derive(Clone, Copy)]
struct Name([u64; 4]);

impl Name {
    #[inline]
    fn of(window: &[u8; NAME_MAX], length: usize) -> Option<Self> {
        let [mask_0, mask_1, mask_2, mask_3] = MASKS.get(length)?;
        let [word_0, word_1, word_2, word_3] = words(window);
        Some(Self([word_0 & mask_0, word_1 & mask_1, word_2 & mask_2, word_3 & mask_3]))
    }

    /// Whether they are equal, without a branch for each word.
    #[inline]
    const fn is(self, other: Self) -> bool {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h) == 0
    }

    /// The slot in the hash table; a different one for every name that we know.
    #[inline]
    const fn hash(self, factor: u64) -> usize {
        let [word_0, word_1, word_2, word_3] = self.0;
        // Names differ in one of the first two words or in one of the last two.
        let mixed = (word_0 ^ word_2).wrapping_add((word_1 ^ word_3).rotate_left(32));
        narrow(mixed.wrapping_mul(factor) >> (64 - TABLE_BITS))
    }
}

const TABLE_BITS: u32 = 8;
const FREE: u8 = u8::MAX;

/// For each length, which bytes of a window belong to the name.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const MASKS: [[u64; 4]; NAME_MAX + 1] = {
    let mut masks = [[0; 4]; NAME_MAX + 1];
    let mut length = 0;
    while length <= NAME_MAX {
        let mut bytes = [0; NAME_MAX];
        let mut at = 0;
        while at < length {
            bytes[at] = 0xff;
            at += 1;
        }
        masks[length] = words(&bytes);
        length += 1;
    }
    masks
};

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

#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const NAMES: [Name; Field::COUNT] = {
    let mut names = [Name([0; 4]); Field::COUNT];
    let mut field = 0;
    while field < Field::COUNT {
        let name = Field::ALL[field].name().as_bytes();
        let mut bytes = [0; NAME_MAX];
        let mut at = 0;
        while at < name.len() {
            bytes[at] = name[at];
            at += 1;
        }
        names[field] = Name(words(&bytes));
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

const TABLE: [u8; 1 << TABLE_BITS] = table(FACTOR).expect("the factor was chosen for that");

/// The field in each slot; `None` if two fields share one.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const fn table(factor: u64) -> Option<[u8; 1 << TABLE_BITS]> {
    let mut table = [FREE; 1 << TABLE_BITS];
    let mut field = 0;
    while field < Field::COUNT {
        let place = NAMES[field].hash(factor);
        if table[place] != FREE {
            return None;
        }
        #[expect(clippy::as_conversions, reason = "there are fewer than 64 fields")]
        {
            table[place] = field as u8;
        }
        field += 1;
    }
    Some(table)
}

#[expect(clippy::as_conversions, reason = "a hash of eight bits")]
const fn narrow(hash: u64) -> usize {
    hash as usize
}

#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const fn words(bytes: &[u8; NAME_MAX]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    [
        u64::from_le_bytes(words[0]),
        u64::from_le_bytes(words[1]),
        u64::from_le_bytes(words[2]),
        u64::from_le_bytes(words[3]),
    ]
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
        for other in
            ["", "Amount", "amoun", "amounts", "amount\0", &"x".repeat(32), &"x".repeat(33)]
        {
            assert_eq!(Field::from_name(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Field::from_name(b"specin.unknown"), None);
    }
}
