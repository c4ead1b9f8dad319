//! Pairs as a form body.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but letters, digits and `-._~`: a space becomes `%20`, a plus sign `%2B`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The pairs of a form body, in the order in which they are sent.
///
/// Source: `docs/psp-guide.md`, "Encoding". Nothing is checked here but the encoding: a call that
/// breaks a rule can be written, too.
///
/// ```
/// use gopay_psp_client::Form;
/// let form = Form::new().with("accountholdername", "Siti Rahma").with("specin.phone", "+62 8");
/// assert_eq!(form.encode(), "accountholdername=Siti%20Rahma&specin.phone=%2B62%208");
/// ```
#[derive(Clone, Default)]
pub struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    /// No pairs.
    #[must_use]
    pub const fn new() -> Self {
        Self { pairs: Vec::new() }
    }

    /// Adds a pair at the end. An earlier pair of the same name stays, which the adapter refuses.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.push(name, value);
        self
    }

    /// The same in place.
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.pairs.push((name.into(), value.into()));
    }

    /// Gives a name this value, and no other: in its old place, or at the end if it is new.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        match self.pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.pairs.push((name, value)),
        }
    }

    /// Takes all pairs of a name away.
    pub fn remove(&mut self, name: &str) {
        self.pairs.retain(|(known, _)| known != name);
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_ref())
    }

    /// Name and value of each pair.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The body: `application/x-www-form-urlencoded`, UTF-8.
    #[must_use]
    pub fn encode(&self) -> String {
        let bytes = self.pairs.iter().map(|(name, value)| name.len() + value.len() + 2);
        // A quarter more: where nearly everything is escaped, it grows.
        let mut body = String::with_capacity(bytes.sum::<usize>().saturating_mul(5) / 4);
        for (name, value) in &self.pairs {
            if !body.is_empty() {
                body.push('&');
            }
            body.extend(utf8_percent_encode(name, ESCAPED));
            body.push('=');
            body.extend(utf8_percent_encode(value, ESCAPED));
        }
        body
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> Extend<(N, V)> for Form<'a> {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        self.pairs.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Form<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut form = Self::new();
        form.extend(pairs);
        form
    }
}

/// Names only: values are passwords and personal data.
impl fmt::Debug for Form<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_percent_encoded_and_never_hold_a_plus() {
        for (value, expected) in [
            ("", "a="),
            ("a b", "a=a%20b"),
            ("a+b", "a=a%2Bb"),
            ("-._~", "a=-._~"),
            ("a=b&c", "a=a%3Db%26c"),
            ("\u{e9}\0", "a=%C3%A9%00"),
        ] {
            assert_eq!(Form::new().with("a", value).encode(), expected);
        }
    }

    #[test]
    fn a_pair_is_replaced_where_it_stands() {
        let mut form: Form<'_> = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        form.set("b", "4");
        form.set("c", "5");
        assert_eq!(form.encode(), "a=1&b=4&a=3&c=5");
        form.remove("a");
        assert_eq!((form.get("a"), form.get("b")), (None, Some("4")));
        assert_eq!(form.encode(), "b=4&c=5");
    }

    #[test]
    fn no_value_shows_in_a_log() {
        let form = Form::new().with("password", "test123");
        assert_eq!(format!("{form:?}"), r#"["password"]"#);
    }
}
