//! The violations of a request body, collected so that one answer lists them all.

use std::fmt;

use crate::lenient::{Object, Scalar};

/// Whether a missing number is a violation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

/// The validation messages so far.
#[derive(Debug, Default)]
pub(crate) struct Violations(pub(crate) Vec<String>);

impl Violations {
    pub(crate) fn add(&mut self, message: &str) {
        self.0.push(message.to_owned());
    }

    pub(crate) fn object<T>(&mut self, value: Option<Object<T>>, path: &str) -> Option<T> {
        match value {
            None => None,
            Some(Object::Good(value)) => Some(value),
            Some(Object::Wrong) => {
                self.add(&format!("{path} must be an object"));
                None
            }
        }
    }

    /// A text of at most `max` characters; the path is only built for a violation.
    pub(crate) fn text<P: fmt::Display>(
        &mut self,
        value: Option<Scalar<'_>>,
        path: impl FnOnce() -> P,
        max: usize,
    ) -> Option<String> {
        let text = match value? {
            Scalar::Text(text) => text.into_owned(),
            // Numbers in text fields are taken as text, as JSON mappers commonly do.
            Scalar::Integer(number) => number.to_string(),
            Scalar::Decimal | Scalar::Flag(_) | Scalar::Other => {
                self.0.push(format!("{} must be a string", path()));
                return None;
            }
        };
        if text.len() > max && text.chars().count() > max {
            self.0.push(format!("{} is too long, maximum length is {max}", path()));
            return None;
        }
        Some(text)
    }

    /// An integer, as a JSON number or as a text of digits. Decimals are refused even when the
    /// fraction is zero.
    pub(crate) fn whole<P: fmt::Display>(
        &mut self,
        value: Option<&Scalar<'_>>,
        path: impl FnOnce() -> P,
        need: Need,
    ) -> Option<i64> {
        match value {
            None => {
                if need == Need::Required {
                    self.0.push(format!("{} is required", path()));
                }
                None
            }
            Some(Scalar::Integer(number)) => Some(*number),
            Some(Scalar::Text(text)) if is_integer_text(text) => match text.parse() {
                Ok(number) => Some(number),
                Err(_) => {
                    self.0.push(format!("{} is not a number", path()));
                    None
                }
            },
            Some(Scalar::Decimal) => {
                self.0.push(format!("{} must be an integer without decimals", path()));
                None
            }
            Some(Scalar::Text(_) | Scalar::Flag(_) | Scalar::Other) => {
                self.0.push(format!("{} is not a number", path()));
                None
            }
        }
    }
}

fn is_integer_text(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
