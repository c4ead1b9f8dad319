//! The closed list of rules, and all that is said about each.

use std::fmt;

use crate::payment::FailReason;

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
    /// The body is no form, but this.
    NotAForm(&'static str),
    /// The pairs are joined by `&amp;`, as in a page.
    EscapedAmpersands,
    /// Parameters of the body are in the query of the address.
    InQuery,
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
    /// PPRO's tag for tests of methods that have no simulator of their own.
    GenericTestTag,
    /// The contract does not use this channel, but the named one.
    ChannelNotInContract(&'static str),
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
    /// Characters that show nothing.
    Blank,
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
    /// The address has a scheme of the system or of the browser.
    SystemScheme,
    /// The address is private, and the operator allows no calls to it.
    PrivateAddress,
    /// The port is one that the operator allows no calls to.
    BlockedPort,
    /// A receiver is to be called by `http` on `livechannel`, which the operator does not allow.
    PlainReceiver,
    /// `http` on `livechannel`.
    HttpOnTestOnly,
    /// The address has a query or a fragment, and GoPay appends a query to whatever it is given.
    UrlHasQuery,
    /// The query has a `txid` or a `cs`, which are added at the return.
    UrlHasReturnParameter,
    /// A return address of an app that the contract does not list.
    SchemeNotOfContract,
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

/// What is said about a broken rule.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    /// A stable word that is never reused.
    pub(super) code: &'static str,
    /// What is wrong.
    pub(super) problem: Problem,
    /// What would pass.
    pub(super) wanted: &'static str,
    /// PPRO's reason.
    pub(super) reason: FailReason,
    /// The heading of `docs/psp-guide.md` behind the rule, unless the subject has one of its own.
    pub(super) source: &'static str,
}

/// What is wrong, and how the message is made of it.
#[derive(Clone, Copy)]
pub(super) enum Problem {
    /// The whole message, in PPRO's own words (`docs/psp-guide.md`, "Reasons").
    Said(&'static str),
    /// A phrase that follows the subject.
    Plain(&'static str),
    /// A phrase that follows the subject, with these figures in the places of its `{}`, in order.
    Figures(&'static str, [i128; 2]),
    /// The only value that would pass. The message does not repeat it as what would pass.
    MustBe(&'static str),
}

pub(super) const ENCODING: &str = "psp-guide: Encoding";

/// A row of the table.
const fn row(code: &'static str, problem: Problem, wanted: &'static str) -> Facts {
    Facts { code, problem, wanted, reason: FailReason::InputData, source: "psp-guide: TRANSACTION" }
}

impl Facts {
    const fn reason(self, reason: FailReason) -> Self {
        Self { reason, ..self }
    }

    const fn source(self, source: &'static str) -> Self {
        Self { source, ..self }
    }
}

const EXAMPLE: &str = r#"[{"name":"table","price":"2000.00","quantity":2}]"#;

impl Rule {
    /// The table of all rules: code, problem, what would pass, and what only a few have.
    #[rustfmt::skip]
    pub(super) fn facts(self) -> Facts {
        use Problem::{Figures, MustBe, Plain, Said};
        match self {
            Self::Returnmode => row("returnmode", Said("Invalid returnmode, must be urlencodeext"), "urlencodeext"),
            Self::Txtype => row("txtype", Said("Invalid txtype"), "TRANSACTION, GETTXSTATUS, GETTXSTATUSBYMERCHANTTXID, REFUND, GETREFUNDSTATUS, GETREFUNDSTATUSBYMERCHANTREFUNDID, CANCELTX, REQUESTDATA"),
            Self::Credentials => row("credentials", Said("Authentication failed"), "a login with its own password and contractid"),
            Self::ContractDisabled => row("contract_disabled", Plain("the contract is disabled"), "a contract that is enabled").reason(FailReason::LocalDecline),
            Self::BodyTooLong { max } => row("body_too_long", Figures("more than {} bytes", [max.into(), 0]), "a smaller body"),
            Self::TooManyParameters { max } => row("too_many_parameters", Figures("more than {} parameters", [max.into(), 0]), "fewer parameters"),
            Self::NotAForm(shape) => row("not_a_form", Plain(shape), "name=value pairs joined by &").source(ENCODING),
            Self::EscapedAmpersands => row("escaped_ampersands", Plain("pairs are joined by &amp;"), "pairs joined by & alone").source(ENCODING),
            Self::InQuery => row("in_query", Plain("parameters are in the query of the address"), "all parameters in the body").source(ENCODING),
            Self::Repeated => row("repeated", Plain("sent more than once"), "send it once").source(ENCODING),
            Self::BadEscape => row("bad_escape", Plain("broken percent-encoding"), "% and two hex digits").source(ENCODING),
            Self::NotUtf8 => row("not_utf8", Plain("not UTF-8"), "UTF-8, percent-encoded").source(ENCODING),
            Self::HasNul => row("has_nul", Plain("holds U+0000"), "text without U+0000").source(ENCODING),
            Self::Missing => row("missing", Plain("missing"), "send it with a value"),
            Self::TooLong { max, got } => row("too_long", Figures("{} characters, at most {} allowed", [got.into(), max.into()]), "a shorter value"),
            Self::TooShort { min, got } => row("too_short", Figures("{} characters, at least {} needed", [got.into(), min.into()]), "a longer value"),
            Self::MustBe(value) => row("must_be", MustBe(value), value),
            Self::GenericTestTag => row("generic_test_tag", Plain("stands for methods without a simulator of their own"), "gopay, which has one on testchannel"),
            Self::ChannelNotInContract(other) => row("channel_not_in_contract", Plain("not a channel of the contract"), other),
            Self::AmountForm => row("amount_form", Plain("not a whole number"), "digits only, in sen: 1 IDR is 100"),
            Self::AmountNotPositive => row("amount_not_positive", Plain("below the minimum"), "at least 100, which is 1 IDR"),
            Self::AmountNotWhole => row("amount_not_whole", Plain("not whole rupiah"), "a multiple of 100, since 1 IDR is 100"),
            Self::AmountTooLarge => row("amount_too_large", Plain("above the limit"), "at most 2000000000 (IDR 20,000,000)"),
            Self::AmountNeedsKyc => row("amount_needs_kyc", Plain("above the limit"), "at most 200000000 (IDR 2,000,000), as the contract is without KYC"),
            Self::ReferenceForm => row("reference_form", Plain("has a character that is not allowed"), "letters, digits and .,-_ only"),
            Self::NotAscii => row("not_ascii", Plain("has a character outside printable ASCII"), "printable ASCII only"),
            Self::NonceReused => row("nonce_reused", Plain("used before for a call with other content"), "a new nonce for a new call"),
            Self::Blank => row("blank", Plain("blanks only"), "a name that can be read"),
            Self::LineBreak => row("line_break", Plain("holds a line break"), "one line"),
            Self::EmailForm => row("email_form", Plain("not an e-mail address"), "an address such as name@example.org"),
            Self::PhoneForm => row("phone_form", Plain("not an international phone number"), "+ and country code, such as +628123456789"),
            Self::WebUrlForm => row("web_url_form", Plain("not a valid URL"), "an absolute http or https URL"),
            Self::AppUrlForm => row("app_url_form", Plain("not a valid URL"), "an absolute URL such as https://shop.example/ or shopapp://paid"),
            Self::SystemScheme => row("system_scheme", Plain("a scheme of the system or the browser"), "https or an app's own scheme"),
            Self::PrivateAddress => row("private_address", Plain("a private address, which is never called"), "a public address"),
            Self::BlockedPort => row("blocked_port", Plain("a port that is never called"), "port 443 or 80, or one that the operator has allowed"),
            Self::PlainReceiver => row("plain_receiver", Plain("http, with which nobody is told of real money"), "an https URL"),
            Self::HttpOnTestOnly => row("http_on_test_only", Plain("http is for testchannel only"), "an https URL or an app's own scheme"),
            Self::UrlHasQuery => row("url_has_query", Plain("has a query or fragment"), "a URL without ? and #, as GoPay appends ?order_id="),
            Self::SchemeNotOfContract => row("scheme_not_of_contract", Plain("not an app of the contract"), "https, or a scheme of the contract's return_schemes"),
            Self::UrlHasReturnParameter => row("url_has_return_parameter", Plain("has a txid or cs parameter"), "a URL without txid and cs, which are added to it"),
            Self::CountryForm => row("country_form", Plain("not a country code"), "an ISO 3166-1 alpha-2 code such as ID"),
            Self::PostalCodeForm => row("postal_code_form", Plain("not a postal code"), "letters, digits, - and space only"),
            Self::TooManySpecin { got } => row("too_many_specin", Figures("{} specin parameters", [got.into(), 0]), "at most 29 specin parameters"),
            Self::DiffersFromTransaction => row("differs_from_transaction", Plain("differs from the transaction's"), "the value of the TRANSACTION call, or none"),
            Self::JsonForm { at } => row("json_form", Figures("not valid JSON at byte {}", [at.into(), 0]), "a JSON array of items"),
            Self::NotAnArray => row("not_an_array", Plain("not an array"), EXAMPLE),
            Self::NoItems => row("no_items", Plain("no items"), "at least one item"),
            Self::TooManyItems { max } => row("too_many_items", Figures("more than {} items", [max.into(), 0]), "fewer items"),
            Self::ItemNotObject => row("item_not_object", Plain("not an object"), EXAMPLE),
            Self::MemberMissing => row("member_missing", Plain("missing"), "name, price and quantity in every item"),
            Self::MemberRepeated => row("member_repeated", Plain("sent more than once"), "each member once"),
            Self::NameType => row("name_type", Plain("not a string"), "a string"),
            Self::NameEmpty => row("name_empty", Plain("empty"), "a name of at least 1 character"),
            Self::PriceType => row("price_type", Plain("not a string"), "a string in rupiah with cents, such as \"2000.00\""),
            Self::PriceForm => row("price_form", Plain("not a price"), "a string in rupiah with cents, such as \"2000.00\""),
            Self::PriceCents => row("price_cents", Plain("has cents"), "whole rupiah: cents must be 00"),
            Self::PriceTooLarge => row("price_too_large", Plain("too large"), "at most 13 digits before the point"),
            Self::QuantityType => row("quantity_type", Plain("not an integer"), "an integer of at least 1"),
            Self::QuantityTooSmall => row("quantity_too_small", Plain("below 1"), "an integer of at least 1"),
            Self::QuantityTooLarge => row("quantity_too_large", Plain("too large"), "at most 9 digits"),
            Self::LineTooLarge => row("line_too_large", Plain("price times quantity is too large"), "at most 9999999999999 rupiah a line"),
            Self::SumDiffers { sum, amount } => row("sum_differs", Figures("items make {}, amount is {}", [sum, amount.into()]), "prices times quantities must add up to amount"),
            Self::MixedUnits { sum, amount } => row("mixed_units", Figures("amount is {}, items make {}: major and minor units mixed up", [amount.into(), sum]), "1 IDR is amount 100"),
        }
    }
}

impl Problem {
    /// Writes what is wrong, without the subject.
    pub(super) fn write(self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Said(text) | Self::Plain(text) => out.write_str(text),
            Self::MustBe(value) => write!(out, "must be {value}"),
            Self::Figures(text, figures) => {
                let mut parts = text.split("{}");
                out.write_str(parts.next().unwrap_or_default())?;
                figures
                    .iter()
                    .zip(parts)
                    .try_for_each(|(figure, part)| write!(out, "{figure}{part}"))
            }
        }
    }
}
