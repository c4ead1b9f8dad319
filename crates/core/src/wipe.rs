//! Overwriting what nobody needs any more, before its memory goes to others.

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
