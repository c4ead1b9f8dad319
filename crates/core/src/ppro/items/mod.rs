//! `transientin.orderitems`: a JSON array of `{"name", "price", "quantity"}`.
//!
//! Source: `docs/psp-guide.md`, "Order items". Read by hand rather than by `serde_json`, because a
//! refusal must name the item and the member, and because a cart of hundreds of items is the
//! largest part of a call.
//!
//! Reading order: `item` (the result), `reader` (every rule and message), `fast` (nearly every
//! item, without messages).

mod fast;
mod item;
mod reader;

pub use item::Item;
pub use reader::{ITEMS_MAX, read};

pub(crate) use reader::read_padded;
