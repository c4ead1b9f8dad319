//! Why a call is refused: a rule of one closed list, and what it is about. The list, with the code,
//! the problem and what would pass of every rule, is the table in `rule`.

mod rule;

use std::fmt;

pub use rule::Rule;
use rule::{ENCODING, Facts, Problem};

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
    pub fn code(&self) -> &'static str {
        self.rule.facts().code
    }

    /// PPRO's reason: a wrong call is `INPUT_DATA`, a contract that is off is our decision.
    #[must_use]
    pub fn fail_reason(&self) -> FailReason {
        self.rule.facts().reason
    }

    /// What is wrong, without the value sent.
    #[must_use]
    pub fn problem(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.rule.facts().problem.write(&mut text);
        text
    }

    /// What would pass.
    #[must_use]
    pub fn wanted(&self) -> &'static str {
        self.rule.facts().wanted
    }

    /// Where the rule comes from: a heading of `docs/psp-guide.md`.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self.subject {
            Subject::Item(..) | Subject::Field(Field::Orderitems) => "psp-guide: Order items",
            Subject::Field(Field::Amount) => "psp-guide: Amounts and limits",
            Subject::Body | Subject::Other(_) => ENCODING,
            Subject::Field(_) => self.rule.facts().source,
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
    pub fn write_message(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Facts { problem, wanted, .. } = self.rule.facts();
        match problem {
            Problem::Said(message) => out.write_str(message),
            Problem::MustBe(_) => {
                write!(out, "{}: ", self.subject)?;
                problem.write(out)
            }
            Problem::Plain(_) | Problem::Figures(..) => {
                write!(out, "{}: ", self.subject)?;
                problem.write(out)?;
                write!(out, "; {wanted}")
            }
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
    /// Takes one fault; returns whether to go on.
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

/// The most faults kept. A cart may be wrong in every item; nobody reads more than this.
const ALL_MAX: usize = 100;

impl Sink for All {
    fn reject(&mut self, rejection: Rejection) -> Flow {
        self.0.push(rejection);
        if self.0.len() < ALL_MAX { Flow::Continue } else { Flow::Stop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rule, with figures.
    fn every_rule() -> Vec<Rule> {
        vec![
            Rule::Returnmode,
            Rule::Txtype,
            Rule::Credentials,
            Rule::ContractDisabled,
            Rule::BodyTooLong { max: 65_536 },
            Rule::TooManyParameters { max: 200 },
            Rule::NotAForm("JSON instead of a form"),
            Rule::EscapedAmpersands,
            Rule::InQuery,
            Rule::Repeated,
            Rule::BadEscape,
            Rule::NotUtf8,
            Rule::HasNul,
            Rule::Missing,
            Rule::TooLong { max: 40, got: 41 },
            Rule::TooShort { min: 3, got: 2 },
            Rule::MustBe("IDR"),
            Rule::GenericTestTag,
            Rule::ChannelNotInContract("testchannel"),
            Rule::AmountForm,
            Rule::AmountNotPositive,
            Rule::AmountNotWhole,
            Rule::AmountTooLarge,
            Rule::AmountNeedsKyc,
            Rule::ReferenceForm,
            Rule::NotAscii,
            Rule::NonceReused,
            Rule::Blank,
            Rule::LineBreak,
            Rule::EmailForm,
            Rule::PhoneForm,
            Rule::WebUrlForm,
            Rule::AppUrlForm,
            Rule::SystemScheme,
            Rule::PrivateAddress,
            Rule::BlockedPort,
            Rule::PlainReceiver,
            Rule::HttpOnTestOnly,
            Rule::UrlHasQuery,
            Rule::UrlHasReturnParameter,
            Rule::SchemeNotOfContract,
            Rule::CountryForm,
            Rule::PostalCodeForm,
            Rule::TooManySpecin { got: 30 },
            Rule::DiffersFromTransaction,
            Rule::JsonForm { at: 43 },
            Rule::NotAnArray,
            Rule::NoItems,
            Rule::TooManyItems { max: 1_000 },
            Rule::ItemNotObject,
            Rule::MemberMissing,
            Rule::MemberRepeated,
            Rule::NameType,
            Rule::NameEmpty,
            Rule::PriceType,
            Rule::PriceForm,
            Rule::PriceCents,
            Rule::PriceTooLarge,
            Rule::QuantityType,
            Rule::QuantityTooSmall,
            Rule::QuantityTooLarge,
            Rule::LineTooLarge,
            Rule::SumDiffers { sum: -5, amount: u64::MAX },
            Rule::MixedUnits { sum: 100, amount: 10_000 },
        ]
    }

    /// Codes and messages are a promise to PSPs: `rules.txt` changes only on purpose. Columns:
    /// code, reason, source, what would pass, message.
    #[test]
    fn codes_and_messages_stay_byte_for_byte() {
        let lines: Vec<String> = every_rule()
            .into_iter()
            .map(|rule| {
                let rejection = Rejection::of(Field::Tag, rule);
                format!(
                    "{} | {} | {} | {} | {rejection}\n",
                    rejection.code(),
                    rejection.fail_reason().as_str(),
                    rejection.source(),
                    rejection.wanted()
                )
            })
            .collect();
        assert_eq!(lines.concat(), include_str!("rules.txt"));
    }

    #[test]
    fn no_two_rules_share_a_code() {
        let mut codes: Vec<&str> =
            every_rule().into_iter().map(|rule| Rejection::of(Field::Tag, rule).code()).collect();
        let rules = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), rules);
    }

    #[test]
    fn the_subject_says_where_to_read() {
        for (subject, rule, name, source) in [
            (Subject::Field(Field::Tag), Rule::Missing, "tag", "psp-guide: TRANSACTION"),
            (Subject::Field(Field::Tag), Rule::NotUtf8, "tag", "psp-guide: Encoding"),
            (
                Subject::Field(Field::Amount),
                Rule::NotUtf8,
                "amount",
                "psp-guide: Amounts and limits",
            ),
            (
                Subject::Field(Field::Orderitems),
                Rule::HasNul,
                "transientin.orderitems",
                "psp-guide: Order items",
            ),
            (
                Subject::Item(7, None),
                Rule::ItemNotObject,
                "transientin.orderitems[7]",
                "psp-guide: Order items",
            ),
            (
                Subject::Item(0, Some(Member::Price)),
                Rule::PriceForm,
                "transientin.orderitems[0].price",
                "psp-guide: Order items",
            ),
            (Subject::Other(2), Rule::Repeated, "unknown parameter 3", "psp-guide: Encoding"),
            (Subject::Body, Rule::BodyTooLong { max: 1 }, "body", "psp-guide: Encoding"),
        ] {
            assert_eq!(subject.to_string(), name);
            assert_eq!(Rejection { subject, rule }.source(), source, "{name}");
        }
    }
}
