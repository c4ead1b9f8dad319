//! Where an answer says that the shopper goes on.

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::wire::Text;

const DEEPLINK: &str = "deeplink-redirect";

/// The URL of the first action that is named as the deeplink. Order and number of actions vary, and
/// one that is not as it is described does not count.
#[derive(Default)]
pub(super) struct Actions<'a>(Option<Text<'a>>);

impl Actions<'_> {
    pub(super) fn deeplink(&self) -> Option<&str> {
        self.0.as_ref()?.get()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Actions<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Tolerant { depth: Depth::List }).map(Self)
    }
}

/// One entry of the list: its URL if it is the deeplink.
struct Action<'a>(Option<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Action<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Tolerant { depth: Depth::Action }).map(Self)
    }
}

enum Depth {
    List,
    Action,
}

/// Reads a list of objects and passes over everything else.
struct Tolerant {
    depth: Depth,
}

impl<'de> Visitor<'de> for Tolerant {
    /// An entry that is named as the deeplink has one, even if that is none.
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

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        match self.depth {
            Depth::List => {
                while found.is_none()
                    && let Some(Action(url)) = list.next_element()?
                {
                    found = url;
                }
            }
            Depth::Action => {}
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut named, mut url) = (false, Text::default());
        while let Some(key) = members.next_key::<Text<'de>>()? {
            match (&self.depth, key.get()) {
                (Depth::Action, Some("name")) => {
                    named = members.next_value::<Text<'de>>()?.get() == Some(DEEPLINK);
                }
                (Depth::Action, Some("url")) => url = members.next_value()?,
                (Depth::Action | Depth::List, _) => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(named.then_some(url))
    }
}
