//! What nobody may find where it does not belong: names and numbers of a shopper, in every field that
//! has any, and secrets.

use super::encode;

/// Every personal field of a call, each with a value that stands nowhere else.
pub(crate) const PERSONAL: [(&str, &str); 13] = [
    ("accountholdername", "Kartini Wulandari"),
    ("specin.email", "wulandari@shopper.example"),
    ("specin.phone", "+6281377700099"),
    ("specin.billingaddrfirstname", "Kartinibill"),
    ("specin.billingaddrlastname", "Wulanbill"),
    ("specin.billingphone", "081377700098"),
    ("specin.billingaddrline1", "Jalan Melati 77"),
    ("specin.billingaddrcity", "Purwokertobill"),
    ("specin.shippingaddrfirstname", "Kartiniship"),
    ("specin.shippingaddrlastname", "Wulanship"),
    ("specin.shippingphone", "081377700097"),
    ("specin.shippingaddrline1", "Jalan Kenanga 78"),
    ("specin.shippingaddrcity", "Purwokertoship"),
];

/// The values as they are and as they stand in a form, and the names in them.
pub(crate) fn pieces() -> impl Iterator<Item = String> {
    let forms = PERSONAL.iter().flat_map(|(_, value)| {
        let encoded: String = encode([("", *value)]).trim_start_matches('=').to_owned();
        [(*value).to_owned(), encoded.replace('+', "%20"), encoded]
    });
    forms.chain(["Kartini", "Wulandari"].map(str::to_owned))
}

/// Fails if a piece stands in the bytes of that name.
pub(crate) fn assert_without(what: &str, bytes: &[u8], pieces: impl IntoIterator<Item = String>) {
    for piece in pieces {
        let found = bytes.windows(piece.len()).any(|window| window == piece.as_bytes());
        assert!(!found, "{piece:?} is in {what}");
    }
}
