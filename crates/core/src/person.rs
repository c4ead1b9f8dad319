//! People who answer for something.
//!
//! A name is what somebody typed; where people log in, it is their login. Either way it is compared
//! here, so that nobody approves what they have asked for under another spelling of one name.

/// Whether two names are one person's, whatever their letter case and blanks.
///
/// ```
/// use gopay_core::person::same_person;
/// assert!(same_person("Ana  Putri", " ana putri"));
/// assert!(!same_person("Ana", "Budi"));
/// ```
#[must_use]
pub fn same_person(one: &str, other: &str) -> bool {
    key(one) == key(other)
}

/// Letters and digits in lower case. Blanks, marks and signs that are not seen make no other person.
fn key(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_name_however_it_is_typed() {
        for (one, other, same) in [
            ("Ana", "ANA", true),
            ("Ana", " a n a ", true),
            ("Ana Putri", "ana\u{a0}putri", true),
            ("Ana\u{200b}", "Ana", true),
            ("ana.putri", "Ana Putri", true),
            ("Ågot", "ågot", true),
            ("Ana", "Anna", false),
            ("Ana", "Budi", false),
            ("user1", "user2", false),
        ] {
            assert_eq!(same_person(one, other), same, "{one:?} and {other:?}");
        }
    }
}
