//! What is private stays so: overwriting what nobody needs any more, before its memory goes to others,
//! and printing nothing of what is held.

/// `Debug` of a type that holds personal data or a secret: its name alone.
///
/// ```
/// struct Shopper(&'static str);
/// gopay_core::shows_nothing!("Shopper", Shopper);
/// assert_eq!(format!("{:?}", Shopper("Kartini")), "Shopper(..)");
/// ```
#[macro_export]
macro_rules! shows_nothing {
    ($name:literal, $type:ty) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(concat!($name, "(..)"))
            }
        }
    };
}

/// Fills with zeros what holds a secret.
///
/// The compiler may not leave that out although nobody reads it again. It costs what filling costs, a
/// few dozen bytes a nanosecond, where volatile writes would take one byte at a time.
///
/// ```
/// let mut password = *b"secret";
/// gopay_core::wipe::wipe(&mut password);
/// assert_eq!(password, [0; 6]);
/// ```
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}
