//! Which parameter of a call a refusal of Midtrans is about.

use crate::midtrans::Refusal;
use crate::ppro::field::Field;

/// Members of the charge and the parameters that they are made of (`translate::charge`), longer
/// names first where one begins with another.
const MEMBERS: &[(&str, Field)] = &[
    ("billing_address.first_name", Field::BillingFirstName),
    ("billing_address.last_name", Field::BillingLastName),
    ("billing_address.phone", Field::BillingPhone),
    ("billing_address.address", Field::BillingLine1),
    ("billing_address.city", Field::BillingCity),
    ("billing_address.postal_code", Field::BillingPostalCode),
    ("billing_address.country_code", Field::BillingCountry),
    ("shipping_address.first_name", Field::ShippingFirstName),
    ("shipping_address.last_name", Field::ShippingLastName),
    ("shipping_address.phone", Field::ShippingPhone),
    ("shipping_address.address", Field::ShippingLine1),
    ("shipping_address.city", Field::ShippingCity),
    ("shipping_address.postal_code", Field::ShippingPostalCode),
    ("shipping_address.country_code", Field::ShippingCountry),
    ("customer_details.first_name", Field::Accountholdername),
    ("customer_details.email", Field::Email),
    ("customer_details.phone", Field::Phone),
    ("item_details", Field::Orderitems),
    ("transaction_details.gross_amount", Field::Amount),
    ("gross_amount", Field::Amount),
    // Of a refund.
    ("refund_amount", Field::Amount),
    ("amount", Field::Amount),
    ("gopay.callback_url", Field::DeeplinkCallbackUrl),
    ("callback_url", Field::DeeplinkCallbackUrl),
    ("custom_field1", Field::DynamicDescriptor),
];

/// The parameter that a refusal names first, if it names one that the PSP sent.
#[must_use]
pub fn refused_field(refusal: &Refusal) -> Option<Field> {
    let texts = refusal.validation.iter().map(String::as_str).chain([refusal.message.as_str()]);
    texts.into_iter().find_map(named_field)
}

fn named_field(text: &str) -> Option<Field> {
    let places = MEMBERS.iter().filter_map(|(member, field)| Some((text.find(member)?, *field)));
    // Of members at the same place, the first in the table; else the first in the text.
    places.min_by_key(|(place, _)| *place).map(|(_, field)| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_midtrans_names_a_parameter_of_the_call() {
        for (text, field) in [
            ("customer_details.email format is invalid", Some(Field::Email)),
            ("customer_details.phone too long", Some(Field::Phone)),
            ("customer_details.first_name too long", Some(Field::Accountholdername)),
            (
                "customer_details.billing_address.postal_code format is invalid",
                Some(Field::BillingPostalCode),
            ),
            ("customer_details.shipping_address.city too long", Some(Field::ShippingCity)),
            ("item_details Name too long", Some(Field::Orderitems)),
            (
                "transaction_details.gross_amount is not equal to the sum of item_details",
                Some(Field::Amount),
            ),
            ("gopay.callback_url format is invalid", Some(Field::DeeplinkCallbackUrl)),
            ("transaction_details.order_id already used", None),
            ("One or more parameters in the payload is invalid.", None),
            ("", None),
        ] {
            assert_eq!(named_field(text), field, "{text}");
        }
    }
}
