//! Personal data sealed at rest, for every engine: a store before the store.
//!
//! Each payment has a data key of its own, drawn at random, under which its call, its kept answer, its
//! secret, its addresses and what its trail tells are sealed. The data key is stored with the payment,
//! wrapped in a key of the config. So a key of the config is changed by wrapping some 80 bytes a
//! payment anew, and what is left of a payment in logs, free pages and copies is unreadable when its
//! data key is destroyed.
//!
//! Ids, references, amounts, states and times stay plain: rules, look-ups and books need them.
//!
//! Reading order: `value` (one value), `ring` (the keys), `cache` (data keys at hand), `store` (the
//! layer), `check` (the keys of a config against a store), `rekey` (what an operator does when a key is replaced).

mod cache;
mod check;
mod directory;
mod rekey;
mod ring;
mod store;
mod value;

pub use check::{KeysError, check_keys};
pub use rekey::{Rekeyed, rekey};
pub use ring::{KeyProof, KeyRing, WrappedKey};
pub use store::{SealedStore, erased_detail};
pub use value::{DataKey, KEY_LEN, Place, SealError, SecretKey, is_sealed, unguessable};
