//! The text of an answer.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Why an answer cannot be read. Whether the call was carried out is then unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is no line of pairs.
    #[error("the answer is not a line of pairs in UTF-8")]
    NotPairs,
    /// A key occurs twice.
    #[error("the answer has {0} twice")]
    Repeated(String),
    /// A key that the answer must have is not there.
    #[error("the answer has no {0}")]
    Missing(&'static str),
    /// A key has a value that it cannot have.
    #[error("the answer has the {key} {value:?}")]
    Unexpected {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

/// The pairs of an answer in the `urlencodeext` form, in the order in which they came.
///
/// Source: `docs/psp-guide.md`, "Encoding": a space is `%20`, a plus sign means itself.
///
/// ```
/// use gopay_psp_client::{AnswerError, Pairs};
/// let pairs = Pairs::read(b"STATUS=FAILED&TXID=0&ERRMSG=Authentication%20failed")?;
/// assert_eq!(pairs.get("ERRMSG").as_deref(), Some("Authentication failed"));
/// assert_eq!(Pairs::read(b"<html>"), Err(AnswerError::NotPairs));
/// # Ok::<(), AnswerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs<'a>(Vec<(&'a str, Cow<'a, str>)>);

impl<'a> Pairs<'a> {
    /// # Errors
    /// [`AnswerError::NotPairs`], [`AnswerError::Repeated`].
    pub fn read(text: &'a [u8]) -> Result<Self, AnswerError> {
        let text = std::str::from_utf8(text).map_err(|_| AnswerError::NotPairs)?;
        let mut pairs: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for pair in text.split('&') {
            let (key, value) = pair.split_once('=').ok_or(AnswerError::NotPairs)?;
            let value = percent_decode_str(value).decode_utf8();
            // An answer has about a dozen pairs.
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(AnswerError::Repeated(key.to_owned()));
            }
            pairs.push((key, value.map_err(|_| AnswerError::NotPairs)?));
        }
        Ok(Self(pairs))
    }

    /// The value of a key, decoded.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
    }

    /// Key and value of each pair.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_ref()))
    }

    pub(crate) fn must(&self, key: &'static str) -> Result<Cow<'a, str>, AnswerError> {
        self.get(key).ok_or(AnswerError::Missing(key))
    }

    /// The id under a key; none if it is `0`.
    pub(crate) fn id<T: std::str::FromStr>(
        &self,
        key: &'static str,
    ) -> Result<Option<T>, AnswerError> {
        let text = self.must(key)?;
        if text == "0" {
            return Ok(None);
        }
        let unexpected = |_| AnswerError::Unexpected { key, value: text.clone().into_owned() };
        text.parse().map(Some).map_err(unexpected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_answer_is_not_read() {
        let error = |text: &[u8]| Pairs::read(text).unwrap_err();
        assert_eq!(error(b""), AnswerError::NotPairs);
        assert_eq!(error(b"STATUS"), AnswerError::NotPairs);
        assert_eq!(error(b"STATUS=FAILED&"), AnswerError::NotPairs);
        assert_eq!(error(b"A=\xff"), AnswerError::NotPairs);
        assert_eq!(error(b"A=%FF"), AnswerError::NotPairs);
        assert_eq!(error(b"A=1&B=2&A=1"), AnswerError::Repeated("A".into()));
    }

    #[test]
    fn a_plus_sign_is_a_plus_sign() {
        let pairs = Pairs::read(b"A=1+1&B=1%2B1%20%C3%A9").unwrap();
        assert_eq!(pairs.get("A").as_deref(), Some("1+1"));
        assert_eq!(pairs.get("B").as_deref(), Some("1+1 \u{e9}"));
        assert_eq!(pairs.get("C"), None);
    }
}
