//! The shopper's link in an answer: `actions[]`.

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::lenient::Text;

const DEEPLINK: &str = "deeplink-redirect";

/// The URL of the first action that is named as the deeplink. Order and number of actions vary; an
/// action of another shape is passed over.
#[derive(Default)]
pub(super) struct Actions<'a>(Option<Text<'a>>);

impl Actions<'_> {
    pub(super) fn deeplink(&self) -> Option<&str> {
        self.0.as_ref()?.get()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Actions<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Tolerant::List.deserialize(input).map(Self)
    }
}

/// The members of an action that we read.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Name,
    Url,
    #[serde(other)]
    Other,
}

/// Reads what is expected, and passes over everything else.
#[derive(Clone, Copy, PartialEq)]
enum Tolerant {
    /// A list of actions: gives the URL of the first deeplink.
    List,
    /// An action: gives its URL if it is the deeplink, an absent text if that has no URL.
    Action,
    /// A string.
    Text,
}

impl<'de> DeserializeSeed<'de> for Tolerant {
    type Value = Option<Text<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tolerant {
    type Value = Option<Text<'de>>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok((self == Self::Text).then_some(Text::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok((self == Self::Text).then(|| Text::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if self == Self::List {
            while found.is_none()
                && let Some(url) = list.next_element_seed(Self::Action)?
            {
                found = url;
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut named, mut url) = (false, None);
        while let Some(member) = members.next_key::<Member>()? {
            match member {
                Member::Name if self == Self::Action => {
                    let name = members.next_value_seed(Self::Text)?.unwrap_or_default();
                    named = name.get() == Some(DEEPLINK);
                }
                Member::Url if self == Self::Action => {
                    url = members.next_value_seed(Self::Text)?;
                }
                Member::Name | Member::Url | Member::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(named.then(|| url.unwrap_or_default()))
    }
}
