//! Why a call is refused: one closed list, each entry with a stable code, the field, what is wrong
//! and what would pass.

use std::fmt;

use crate::payment::{FailReason, Failure};
use crate::ppro::field::Field;

/// A member of an order item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// The item's name.
    Name,
    /// Its price.
    Price,
    /// Its quantity.
    Quantity,
}

impl Member {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Price => "price",
            Self::Quantity => "quantity",
        }
    }
}

/// What a rejection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A parameter.
    Field(Field),
    /// An item of `transientin.orderitems`, counted from 0, and a member of it.
    Item(u32, Option<Member>),
    /// A parameter that we do not know, counted from 0 among those.
    Other(u32),
    /// The body as a whole.
    Body,
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => out.write_str(field.name()),
            Self::Item(index, None) => write!(out, "{}[{index}]", Field::Orderitems.name()),
            Self::Item(index, Some(member)) => {
                write!(out, "{}[{index}].{}", Field::Orderitems.name(), member.name())
            }
            Self::Other(place) => write!(out, "unknown parameter {}", place.saturating_add(1)),
            Self::Body => out.write_str("body"),
        }
    }
}

/// A rule that was broken, with the figures that the message needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `returnmode` is not `urlencodeext`.
    Returnmode,
    /// `txtype` is none that we know.
    Txtype,
    /// Login, password and contract do not belong together.
    Credentials,
    /// The contract is switched off.
    ContractDisabled,
    /// The body is larger than allowed.
    BodyTooLong {
        /// Bytes allowed.
        max: u32,
    },
    /// More parameters than allowed.
    TooManyParameters {
        /// Parameters allowed.
        max: u32,
    },
    /// The parameter occurs twice.
    Repeated,
    /// A `%` that is not followed by two hex digits.
    BadEscape,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
    /// The decoded value holds U+0000.
    HasNul,
    /// Not there, or empty.
    Missing,
    /// More characters than allowed.
    TooLong {
        /// Characters allowed.
        max: u32,
        /// Characters sent.
        got: u32,
    },
    /// Fewer characters than needed.
    TooShort {
        /// Characters needed.
        min: u32,
        /// Characters sent.
        got: u32,
    },
    /// The only value that would pass is another.
    MustBe(&'static str),
    /// The contract does not use this channel.
    ChannelNotInContract,
    /// Not decimal digits.
    AmountForm,
    /// Zero.
    AmountNotPositive,
    /// Not a multiple of 100.
    AmountNotWhole,
    /// Above what any GoPay wallet may pay.
    AmountTooLarge,
    /// Above what a wallet without identity check may pay, and the contract has no other.
    AmountNeedsKyc,
    /// A character outside letters, digits and `.,-_`.
    ReferenceForm,
    /// Not printable ASCII.
    NotAscii,
    /// The contract used this nonce for a call with other content.
    NonceReused,
    /// A line break.
    LineBreak,
    /// Not an e-mail address.
    EmailForm,
    /// Not a phone number with `+` and country code.
    PhoneForm,
    /// Not an absolute `http` or `https` address.
    WebUrlForm,
    /// Not an absolute address of a page or app.
    AppUrlForm,
    /// The address has a `result` parameter, which GoPay adds itself.
    UrlHasResult,
    /// Not an assigned ISO 3166-1 alpha-2 code.
    CountryForm,
    /// Not letters, digits, `-` and space.
    PostalCodeForm,
    /// More `specin.*` parameters than allowed.
    TooManySpecin {
        /// Parameters sent.
        got: u32,
    },
    /// Differs from what the transaction was made with.
    DiffersFromTransaction,
    /// Not JSON.
    JsonForm {
        /// The byte of the decoded value at which reading stopped.
        at: u32,
    },
    /// JSON, but not an array of objects.
    NotAnArray,
    /// An empty array.
    NoItems,
    /// More items than allowed.
    TooManyItems {
        /// Items allowed.
        max: u32,
    },
    /// The array holds something else than objects.
    ItemNotObject,
    /// A member is missing.
    MemberMissing,
    /// A member occurs twice.
    MemberRepeated,
    /// The name is not a string.
    NameType,
    /// The name is empty.
    NameEmpty,
    /// The price is not a string.
    PriceType,
    /// The price is not of the form `2000.00`.
    PriceForm,
    /// The cents are not `00`.
    PriceCents,
    /// The price has too many digits.
    PriceTooLarge,
    /// The quantity is not an integer.
    QuantityType,
    /// The quantity is below 1.
    QuantityTooSmall,
    /// The quantity is too large.
    QuantityTooLarge,
    /// Price times quantity is too large.
    LineTooLarge,
    /// The items do not add up to the amount.
    SumDiffers {
        /// Items, in sen.
        sum: i128,
        /// The amount, in sen.
        amount: u64,
    },
    /// The items add up to exactly a hundred times or a hundredth of the amount.
    MixedUnits {
        /// Items, in sen.
        sum: i128,
        /// The amount, in sen.
        amount: u64,
    },
}

/// A refusal of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What it is about.
    pub subject: Subject,
    /// What is wrong with it.
    pub rule: Rule,
}

impl Rejection {
    /// A refusal because of a parameter.
    #[must_use]
    pub const fn of(field: Field, rule: Rule) -> Self {
        Self { subject: Subject::Field(field), rule }
    }

    /// A stable word that is never reused.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.rule {
            Rule::Returnmode => "returnmode",
            Rule::Txtype => "txtype",
            Rule::Credentials => "credentials",
            Rule::ContractDisabled => "contract_disabled",
            Rule::BodyTooLong { .. } => "body_too_long",
            Rule::TooManyParameters { .. } => "too_many_parameters",
            Rule::Repeated => "repeated",
            Rule::BadEscape => "bad_escape",
            Rule::NotUtf8 => "not_utf8",
            Rule::HasNul => "has_nul",
            Rule::Missing => "missing",
            Rule::TooLong { .. } => "too_long",
            Rule::TooShort { .. } => "too_short",
            Rule::MustBe(_) => "must_be",
            Rule::ChannelNotInContract => "channel_not_in_contract",
            Rule::AmountForm => "amount_form",
            Rule::AmountNotPositive => "amount_not_positive",
            Rule::AmountNotWhole => "amount_not_whole",
            Rule::AmountTooLarge => "amount_too_large",
            Rule::AmountNeedsKyc => "amount_needs_kyc",
            Rule::ReferenceForm => "reference_form",
            Rule::NotAscii => "not_ascii",
            Rule::NonceReused => "nonce_reused",
            Rule::LineBreak => "line_break",
            Rule::EmailForm => "email_form",
            Rule::PhoneForm => "phone_form",
            Rule::WebUrlForm => "web_url_form",
            Rule::AppUrlForm => "app_url_form",
            Rule::UrlHasResult => "url_has_result",
            Rule::CountryForm => "country_form",
            Rule::PostalCodeForm => "postal_code_form",
            Rule::TooManySpecin { .. } => "too_many_specin",
            Rule::DiffersFromTransaction => "differs_from_transaction",
            Rule::JsonForm { .. } => "json_form",
            Rule::NotAnArray => "not_an_array",
            Rule::NoItems => "no_items",
            Rule::TooManyItems { .. } => "too_many_items",
            Rule::ItemNotObject => "item_not_object",
            Rule::MemberMissing => "member_missing",
            Rule::MemberRepeated => "member_repeated",
            Rule::NameType => "name_type",
            Rule::NameEmpty => "name_empty",
            Rule::PriceType => "price_type",
            Rule::PriceForm => "price_form",
            Rule::PriceCents => "price_cents",
            Rule::PriceTooLarge => "price_too_large",
            Rule::QuantityType => "quantity_type",
            Rule::QuantityTooSmall => "quantity_too_small",
            Rule::QuantityTooLarge => "quantity_too_large",
            Rule::LineTooLarge => "line_too_large",
            Rule::SumDiffers { .. } => "sum_differs",
            Rule::MixedUnits { .. } => "mixed_units",
        }
    }

    /// PPRO's reason: a wrong call is `INPUT_DATA`, a contract that is off is our decision.
    #[must_use]
    pub const fn fail_reason(&self) -> FailReason {
        if matches!(self.rule, Rule::ContractDisabled) {
            FailReason::LocalDecline
        } else {
            FailReason::InputData
        }
    }

    /// What would pass.
    #[must_use]
    pub const fn wanted(&self) -> &'static str {
        match self.rule {
            Rule::Returnmode => "urlencodeext",
            Rule::Txtype => {
                "TRANSACTION, GETTXSTATUS, GETTXSTATUSBYMERCHANTTXID, REFUND, GETREFUNDSTATUS, GETREFUNDSTATUSBYMERCHANTREFUNDID, CANCELTX, REQUESTDATA"
            }
            Rule::Credentials => "a login with its own password and contractid",
            Rule::ContractDisabled => "a contract that is enabled",
            Rule::BodyTooLong { .. } => "a smaller body",
            Rule::TooManyParameters { .. } => "fewer parameters",
            Rule::Repeated => "send it once",
            Rule::BadEscape => "% and two hex digits",
            Rule::NotUtf8 => "UTF-8, percent-encoded",
            Rule::HasNul => "text without U+0000",
            Rule::Missing => "send it with a value",
            Rule::TooLong { .. } => "a shorter value",
            Rule::TooShort { .. } => "a longer value",
            Rule::MustBe(value) => value,
            Rule::ChannelNotInContract => "a channel of the contract",
            Rule::AmountForm => "digits only, in sen: 1 IDR is 100",
            Rule::AmountNotPositive => "at least 100, which is 1 IDR",
            Rule::AmountNotWhole => "a multiple of 100, since 1 IDR is 100",
            Rule::AmountTooLarge => "at most 2000000000 (IDR 20,000,000)",
            Rule::AmountNeedsKyc => {
                "at most 200000000 (IDR 2,000,000), as the contract is without KYC"
            }
            Rule::ReferenceForm => "letters, digits and .,-_ only",
            Rule::NotAscii => "printable ASCII only",
            Rule::NonceReused => "a new nonce for a new call",
            Rule::LineBreak => "one line",
            Rule::EmailForm => "an address such as name@example.org",
            Rule::PhoneForm => "+ and country code, such as +628123456789",
            Rule::WebUrlForm => "an absolute http or https URL",
            Rule::AppUrlForm => "an absolute URL such as https://shop.example/ or shopapp://paid",
            Rule::UrlHasResult => "a URL without a result parameter, which GoPay adds",
            Rule::CountryForm => "an ISO 3166-1 alpha-2 code such as ID",
            Rule::PostalCodeForm => "letters, digits, - and space only",
            Rule::TooManySpecin { .. } => "at most 29 specin parameters",
            Rule::DiffersFromTransaction => "the value of the TRANSACTION call, or none",
            Rule::JsonForm { .. } => "a JSON array of items",
            Rule::NotAnArray | Rule::ItemNotObject => {
                "[{\"name\":\"table\",\"price\":\"2000.00\",\"quantity\":2}]"
            }
            Rule::NoItems => "at least one item",
            Rule::TooManyItems { .. } => "fewer items",
            Rule::MemberMissing => "name, price and quantity in every item",
            Rule::MemberRepeated => "each member once",
            Rule::NameType => "a string",
            Rule::NameEmpty => "a name of at least 1 character",
            Rule::PriceType | Rule::PriceForm => {
                "a string in rupiah with cents, such as \"2000.00\""
            }
            Rule::PriceCents => "whole rupiah: cents must be 00",
            Rule::PriceTooLarge => "at most 13 digits before the point",
            Rule::QuantityType | Rule::QuantityTooSmall => "an integer of at least 1",
            Rule::QuantityTooLarge => "at most 9 digits",
            Rule::LineTooLarge => "at most 9999999999999 rupiah a line",
            Rule::SumDiffers { .. } => "prices times quantities must add up to amount",
            Rule::MixedUnits { .. } => "1 IDR is amount 100",
        }
    }

    /// Where the rule comes from: a heading of `docs/psp-guide.md`.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "only encoding faults differ")]
    pub const fn source(&self) -> &'static str {
        match self.subject {
            Subject::Item(..) | Subject::Field(Field::Orderitems) => "psp-guide: Order items",
            Subject::Field(Field::Amount) => "psp-guide: Amounts and limits",
            Subject::Body | Subject::Other(_) => "psp-guide: Encoding",
            Subject::Field(_) => match self.rule {
                Rule::Repeated | Rule::BadEscape | Rule::NotUtf8 | Rule::HasNul => {
                    "psp-guide: Encoding"
                }
                _ => "psp-guide: TRANSACTION",
            },
        }
    }

    /// The failure to answer and store: reason, and field, problem and what would pass in at most
    /// 128 characters.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let mut message = String::with_capacity(Failure::MESSAGE_CHARS_MAX);
        // Writing to a string cannot fail.
        let _ = self.write_message(&mut message);
        Failure::new(self.fail_reason(), &message)
    }

    /// Writes `ERRMSG`: field, problem, what would pass. Never holds the value sent.
    ///
    /// # Errors
    /// Those of `out`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only three messages are PPRO's own words")]
    pub fn write_message(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.rule {
            // These three are PPRO's own words (docs/psp-guide.md, "Reasons").
            Rule::Returnmode => return out.write_str("Invalid returnmode, must be urlencodeext"),
            Rule::Txtype => return out.write_str("Invalid txtype"),
            Rule::Credentials => return out.write_str("Authentication failed"),
            _ => {}
        }
        write!(out, "{}: ", self.subject)?;
        self.write_problem(out)?;
        if !matches!(self.rule, Rule::MustBe(_)) {
            write!(out, "; {}", self.wanted())?;
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only these need figures")]
    fn write_problem(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.rule {
            Rule::BodyTooLong { max } => write!(out, "more than {max} bytes"),
            Rule::TooManyParameters { max } => write!(out, "more than {max} parameters"),
            Rule::TooLong { max, got } => write!(out, "{got} characters, at most {max} allowed"),
            Rule::TooShort { min, got } => write!(out, "{got} characters, at least {min} needed"),
            Rule::TooManySpecin { got } => write!(out, "{got} specin parameters"),
            Rule::JsonForm { at } => write!(out, "not valid JSON at byte {at}"),
            Rule::TooManyItems { max } => write!(out, "more than {max} items"),
            Rule::MustBe(value) => write!(out, "must be {value}"),
            Rule::SumDiffers { sum, amount } => write!(out, "items make {sum}, amount is {amount}"),
            Rule::MixedUnits { sum, amount } => {
                write!(out, "amount is {amount}, items make {sum}: major and minor units mixed up")
            }
            rule => out.write_str(rule.plain_problem()),
        }
    }
}

impl Rule {
    /// The problem, where it needs no figures.
    const fn plain_problem(self) -> &'static str {
        match self {
            Self::Returnmode
            | Self::Txtype
            | Self::Credentials
            | Self::BodyTooLong { .. }
            | Self::TooManyParameters { .. }
            | Self::TooLong { .. }
            | Self::TooShort { .. }
            | Self::TooManySpecin { .. }
            | Self::JsonForm { .. }
            | Self::TooManyItems { .. }
            | Self::MustBe(_)
            | Self::SumDiffers { .. }
            | Self::MixedUnits { .. } => "not valid",
            Self::ContractDisabled => "the contract is disabled",
            Self::Repeated | Self::MemberRepeated => "sent more than once",
            Self::BadEscape => "broken percent-encoding",
            Self::NotUtf8 => "not UTF-8",
            Self::HasNul => "holds U+0000",
            Self::Missing | Self::MemberMissing => "missing",
            Self::ChannelNotInContract => "not a channel of the contract",
            Self::AmountForm => "not a whole number",
            Self::AmountNotPositive => "below the minimum",
            Self::AmountNotWhole => "not whole rupiah",
            Self::AmountTooLarge | Self::AmountNeedsKyc => "above the limit",
            Self::ReferenceForm => "has a character that is not allowed",
            Self::NonceReused => "used before for a call with other content",
            Self::NotAscii => "has a character outside printable ASCII",
            Self::LineBreak => "holds a line break",
            Self::EmailForm => "not an e-mail address",
            Self::PhoneForm => "not an international phone number",
            Self::WebUrlForm | Self::AppUrlForm => "not a valid URL",
            Self::UrlHasResult => "has a result parameter",
            Self::CountryForm => "not a country code",
            Self::PostalCodeForm => "not a postal code",
            Self::DiffersFromTransaction => "differs from the transaction's",
            Self::NotAnArray => "not an array",
            Self::NoItems => "no items",
            Self::ItemNotObject => "not an object",
            Self::NameType | Self::PriceType => "not a string",
            Self::NameEmpty => "empty",
            Self::PriceForm => "not a price",
            Self::PriceCents => "has cents",
            Self::PriceTooLarge | Self::QuantityTooLarge => "too large",
            Self::LineTooLarge => "price times quantity is too large",
            Self::QuantityType => "not an integer",
            Self::QuantityTooSmall => "below 1",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut message = String::new();
        self.write_message(&mut message)?;
        out.write_str(&message)
    }
}

/// Whether to go on after a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Report further faults too.
    Continue,
    /// The first is enough.
    Stop,
}

/// Receives faults in order of precedence.
pub trait Sink {
    /// Takes one; says whether to go on.
    fn reject(&mut self, rejection: Rejection) -> Flow;
}

/// Keeps the first fault and stops.
#[derive(Debug, Default)]
pub struct First(
    /// The first fault.
    pub Option<Rejection>,
);

impl Sink for First {
    fn reject(&mut self, rejection: Rejection) -> Flow {
        self.0.get_or_insert(rejection);
        Flow::Stop
    }
}

/// Keeps all faults, at most a bounded number.
#[derive(Debug, Default)]
pub struct All(
    /// The faults, in order of precedence.
    pub Vec<Rejection>,
);

/// A cart may be wrong in every item; a person reads no more than this.
const ALL_MAX: usize = 100;

impl Sink for All {
    fn reject(&mut self, rejection: Rejection) -> Flow {
        self.0.push(rejection);
        if self.0.len() < ALL_MAX { Flow::Continue } else { Flow::Stop }
    }
}
