//! The shape of a charge request: each field as sent, before any rule.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::lenient::{List, Object, Scalar};

#[derive(Deserialize)]
pub(super) struct RawCharge<'a> {
    #[serde(borrow, default)]
    pub(super) payment_type: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) transaction_details: Option<Object<RawDetails<'a>>>,
    #[serde(borrow, default)]
    pub(super) item_details: Option<List<Object<RawItem<'a>>>>,
    #[serde(borrow, default)]
    pub(super) customer_details: Option<Object<RawCustomer<'a>>>,
    #[serde(borrow, default)]
    pub(super) gopay: Option<Object<RawGopay<'a>>>,
    #[serde(borrow, default)]
    pub(super) custom_expiry: Option<Object<RawExpiry<'a>>>,
    #[serde(borrow, default)]
    pub(super) custom_field1: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) custom_field2: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) custom_field3: Option<Scalar<'a>>,
    #[serde(default)]
    pub(super) metadata: Option<Object<Map<String, Value>>>,
}

#[derive(Deserialize)]
pub(super) struct RawDetails<'a> {
    #[serde(borrow, default)]
    pub(super) order_id: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) gross_amount: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawItem<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) price: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) quantity: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) brand: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) category: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) merchant_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) url: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawCustomer<'a> {
    #[serde(borrow, default)]
    pub(super) first_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) last_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) email: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) phone: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) billing_address: Option<Object<RawAddress<'a>>>,
    #[serde(borrow, default)]
    pub(super) shipping_address: Option<Object<RawAddress<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct RawAddress<'a> {
    #[serde(borrow, default)]
    pub(super) first_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) last_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) email: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) phone: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) address: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) city: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) postal_code: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) country_code: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawGopay<'a> {
    #[serde(borrow, default)]
    pub(super) enable_callback: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) callback_url: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawExpiry<'a> {
    #[serde(borrow, default)]
    pub(super) order_time: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) expiry_duration: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) unit: Option<Scalar<'a>>,
}
