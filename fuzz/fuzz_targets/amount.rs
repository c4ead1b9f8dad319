//! Decimal amounts, against arithmetic on the digits themselves.
#![no_main]

use gopay_core::money::{AmountError, Rupiah, sen_from_decimal_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let got = sen_from_decimal_text(text).map(gopay_core::money::Sen::get);
    let expected = sen(text);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // More digits than this may be refused as no number, whatever they say.
    if digits > 28 && got == Err(AmountError::NotANumber) {
        return;
    }
    assert_eq!(got, expected, "{text:?}");

    let rupiah = Rupiah::from_decimal_text(text);
    match (rupiah, expected) {
        (Ok(rupiah), Ok(sen)) => {
            assert_eq!(rupiah.get().checked_mul(100), Some(sen));
            assert!((1..=Rupiah::MAX).contains(&rupiah.get()));
            assert_eq!(Rupiah::from_decimal_text(&rupiah.decimal_text()), Ok(rupiah));
        }
        (Ok(rupiah), Err(error)) => panic!("{text:?} is {rupiah:?}, but {error}"),
        (Err(_), Ok(sen)) => {
            assert!(sen == 0 || sen % 100 != 0 || sen > Rupiah::MAX * 100, "{text:?}");
        }
        (Err(_), Err(_)) => {}
    }
});

/// `44000`, `44000.00`, `-0.5`: digits, and if there is a point, digits after it.
fn sen(text: &str) -> Result<u64, AmountError> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = rest.split_once('.').unwrap_or((rest, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return Err(AmountError::NotANumber);
    }
    let (hundredths, finer) = part.split_at_checked(2).unwrap_or((part, ""));
    if finer.bytes().any(|digit| digit != b'0') {
        return Err(AmountError::NotWhole);
    }
    let all = format!("{whole}{hundredths:0<2}");
    let significant = all.trim_start_matches('0');
    let sen = if significant.is_empty() { Ok(0) } else { significant.parse() };
    match sen {
        Ok(sen) if sen == 0 || !negative => Ok(sen),
        Ok(_) | Err(_) => Err(AmountError::OutOfRange),
    }
}
