//! Who runs a command. Where people log in, their login will be given here.

/// The user of the system.
pub(crate) fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let number = || format!("uid {}", rustix::process::getuid().as_raw());
    named.filter(|name| !name.is_empty()).unwrap_or_else(number)
}
