//! Order items.

use serde::Serialize;

/// A line of the cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    name: String,
    rupiah: i64,
    quantity: u32,
}

impl Item {
    /// So many of something; the price of one is in whole rupiah. A discount has a price below
    /// zero.
    #[must_use]
    pub fn new(name: impl Into<String>, rupiah: i64, quantity: u32) -> Self {
        Self { name: name.into(), rupiah, quantity }
    }
}

/// Why items make no cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CartError {
    /// The total is below one rupiah, as that of no items is.
    #[error("the items make less than one rupiah")]
    NotPositive,
    /// The total fits no number of 64 bits.
    #[error("the items make more than any number can hold")]
    TooLarge,
}

/// What the shopper buys. It makes `amount` and `transientin.orderitems` of one call, so that the
/// two never differ.
///
/// Source: `docs/psp-guide.md`, "Order items": prices are in rupiah, the amount is in sen.
///
/// ```
/// use gopay_psp_client::{Cart, CartError, Item};
/// let cart = Cart::new([Item::new("Kopi", 45_000, 3), Item::new("Diskon", -5_000, 1)])?;
/// assert_eq!(cart.amount(), 13_000_000);
/// assert_eq!(
///     cart.json(),
///     r#"[{"name":"Kopi","price":"45000.00","quantity":3},{"name":"Diskon","price":"-5000.00","quantity":1}]"#
/// );
/// assert_eq!(Cart::new([]), Err(CartError::NotPositive));
/// # Ok::<(), CartError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart {
    items: Vec<Item>,
    amount: u64,
}

impl Cart {
    /// # Errors
    /// [`CartError`] by the sum of the items.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Result<Self, CartError> {
        let items: Vec<Item> = items.into_iter().collect();
        let mut rupiah = 0_i64;
        for item in &items {
            let line = item.rupiah.checked_mul(i64::from(item.quantity));
            let sum = line.and_then(|line| rupiah.checked_add(line));
            rupiah = sum.ok_or(CartError::TooLarge)?;
        }
        if rupiah <= 0 {
            return Err(CartError::NotPositive);
        }
        let amount = rupiah.unsigned_abs().checked_mul(100).ok_or(CartError::TooLarge)?;
        Ok(Self { items, amount })
    }

    /// The total in sen, hundredths of a rupiah: `amount`.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// The text of `transientin.orderitems`.
    #[must_use]
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            name: &'a str,
            price: String,
            quantity: u32,
        }
        let line = |item: &'_ Item| {
            let price = format!("{}.00", item.rupiah);
            serde_json::to_string(&Line { name: &item.name, price, quantity: item.quantity })
                .expect("text and numbers always have a JSON form")
        };
        format!("[{}]", self.items.iter().map(line).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_checked() {
        for (items, expected) in [
            (vec![Item::new("a", 1, 1)], Ok(100)),
            (vec![Item::new("a", 0, 5)], Err(CartError::NotPositive)),
            (vec![Item::new("a", 5, 1), Item::new("b", -5, 1)], Err(CartError::NotPositive)),
            (vec![Item::new("a", i64::MAX, 2)], Err(CartError::TooLarge)),
            (vec![Item::new("a", i64::MAX, 1)], Err(CartError::TooLarge)),
        ] {
            assert_eq!(Cart::new(items.clone()).map(|cart| cart.amount()), expected, "{items:?}");
        }
    }

    #[test]
    fn names_are_written_as_json_text() {
        let cart = Cart::new([Item::new("\"Bali\"\n\u{e9}", 1, 1)]).unwrap();
        assert_eq!(
            cart.json(),
            "[{\"name\":\"\\\"Bali\\\"\\n\u{e9}\",\"price\":\"1.00\",\"quantity\":1}]"
        );
    }
}
