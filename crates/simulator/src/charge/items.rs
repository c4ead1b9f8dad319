//! Rules of `item_details`.

use super::TEXT_CHARS_MAX;
use super::request::RawItem;
use crate::lenient::{List, Object, Scalar};
use crate::validation::{Need, Violations};

const ITEM_CHARS_MAX: usize = 50;

pub(super) fn check(
    items: Option<List<Object<RawItem<'_>>>>,
    gross_amount: Option<u64>,
    limit: bool,
    violations: &mut Violations,
) {
    let items = match items {
        None => return,
        Some(List::Wrong) => return violations.add("item_details must be an array"),
        Some(List::Good(items)) => items,
    };
    if items.is_empty() {
        return;
    }
    let violations_before = violations.0.len();
    let mut sum = 0_i128;
    for (index, item) in items.into_iter().enumerate() {
        let Object::Good(item) = item else {
            violations.add(&format!("item_details[{index}] must be an object"));
            continue;
        };
        sum = sum.saturating_add(check_one(item, index, limit, violations));
    }
    // With a broken item the sum says nothing.
    let comparable = violations.0.len() == violations_before;
    if comparable && gross_amount.is_some_and(|amount| i128::from(amount) != sum) {
        violations.add("transaction_details.gross_amount is not equal to the sum of item_details");
    }
}

fn check_one(item: RawItem<'_>, index: usize, limit: bool, violations: &mut Violations) -> i128 {
    let path = |field: &'static str| move || format!("item_details[{index}].{field}");
    let length = if limit { ITEM_CHARS_MAX } else { TEXT_CHARS_MAX };
    let price = violations.whole(item.price.as_ref(), path("price"), Need::Required).unwrap_or(0);
    let quantity =
        violations.whole(item.quantity.as_ref(), path("quantity"), Need::Required).unwrap_or(1);
    if quantity < 1 {
        violations
            .add(&format!("item_details[{index}].quantity must be greater than or equal to 1"));
    }
    if item.name.as_ref().is_none_or(Scalar::is_empty) {
        violations.add(&format!("item_details[{index}].name is required"));
    }
    for (value, field) in [
        (item.name, "name"),
        (item.id, "id"),
        (item.brand, "brand"),
        (item.category, "category"),
        (item.merchant_name, "merchant_name"),
        (item.url, "url"),
    ] {
        violations.text(value, path(field), length);
    }
    i128::from(price).saturating_mul(i128::from(quantity))
}
