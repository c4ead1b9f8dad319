//! Rules of `customer_details`.

use super::TEXT_CHARS_MAX;
use super::request::{RawAddress, RawCustomer};
use crate::lenient::Object;
use crate::validation::Violations;

pub(super) fn check(customer: Option<Object<RawCustomer<'_>>>, violations: &mut Violations) {
    let Some(customer) = violations.object(customer, "customer_details") else {
        return;
    };
    for (value, field) in [
        (customer.first_name, "customer_details.first_name"),
        (customer.last_name, "customer_details.last_name"),
        (customer.email, "customer_details.email"),
        (customer.phone, "customer_details.phone"),
    ] {
        violations.text(value, || field, TEXT_CHARS_MAX);
    }
    check_address(customer.billing_address, "customer_details.billing_address", violations);
    check_address(customer.shipping_address, "customer_details.shipping_address", violations);
}

fn check_address(
    address: Option<Object<RawAddress<'_>>>,
    parent: &'static str,
    violations: &mut Violations,
) {
    let Some(address) = violations.object(address, parent) else {
        return;
    };
    let path = |field: &'static str| move || format!("{parent}.{field}");
    let postal_code = violations.text(address.postal_code, path("postal_code"), TEXT_CHARS_MAX);
    let is_postal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b' ');
    if postal_code.is_some_and(|code| !code.bytes().all(is_postal)) {
        violations.add(&format!("{parent}.postal_code contains characters that are not allowed"));
    }
    let country_code = violations.text(address.country_code, path("country_code"), TEXT_CHARS_MAX);
    // Only IDN is documented as supported, but what happens to other countries is unverified: any
    // alpha-3 code passes, anything else cannot be one.
    let is_alpha3 =
        |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if country_code.is_some_and(|code| !is_alpha3(&code)) {
        violations.add(&format!("{parent}.country_code must be an ISO 3166-1 alpha-3 code"));
    }
    for (value, field) in [
        (address.first_name, "first_name"),
        (address.last_name, "last_name"),
        (address.email, "email"),
        (address.phone, "phone"),
        (address.address, "address"),
        (address.city, "city"),
    ] {
        violations.text(value, path(field), TEXT_CHARS_MAX);
    }
}
