//! `[[contract]]`: a merchant of a PSP

use std::collections::BTreeSet;

use gopay_core::account::AccountName;
use gopay_core::payment::Channel;
use gopay_core::ppro::check;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::transaction::Kyc;
use gopay_core::rejection::Rejection;
use gopay_outbound::Refusal;
use gopay_service::Contract;
use url::Url;

use super::delivery::Delivery;
use super::midtrans::KnownAccounts;
use super::section::Section;
use super::settlement::{ReadTerms, read_terms};

/// What a contract may refer to: what the file has, whether valid or not.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) logins: BTreeSet<String>,
    pub(super) accounts: KnownAccounts,
    pub(super) delivery: Delivery,
}

pub(super) fn read_contract(
    contract: &mut Section<'_>,
    known: &Known,
    terms: &ReadTerms,
) -> Option<Contract> {
    let id = contract.required("id");
    if id.as_deref().is_some_and(|id| check::reference(id).is_err()) {
        contract.problem("id", "not a contract id", "1 to 40 letters, digits and .,-_");
    }
    let client = contract.required("client");
    if client.as_ref().is_some_and(|client| !known.logins.contains(client)) {
        contract.problem("client", "no such client", "the login of a [[client]]");
    }
    let mut enabled = true;
    contract.flag("enabled", &mut enabled);
    let midtrans = read_midtrans(contract, known);
    let channels = read_channels(contract, known, &midtrans);
    let kyc = match contract.text("kyc").as_deref() {
        None | Some("unverified") => Kyc::Unverified,
        Some("verified") => Kyc::Verified,
        Some(_) => {
            contract.problem("kyc", "not a rule", "verified or unverified");
            Kyc::Unverified
        }
    };
    let notification_url = contract.url("notification_url");
    if let Some(url) = &notification_url {
        check_receiver(contract, url, known, channels.contains(&Channel::Live));
    }
    let return_schemes = read_schemes(contract);
    let redirect_url = read_redirect_url(contract, return_schemes.as_deref());
    let plain = redirect_url.as_ref().is_some_and(|url| url.starts_with("http:"));
    if plain && channels.contains(&Channel::Live) {
        contract.warn("redirect_url", "http, on the live channel", "an https URL");
    }
    let mut refunds = true;
    contract.flag("refunds", &mut refunds);
    read_terms(contract, id.as_deref(), terms);
    Some(Contract {
        id: id?,
        psp: client?,
        enabled,
        channels,
        midtrans,
        kyc,
        notification_url,
        redirect_url,
        return_schemes,
        refunds,
    })
}

/// Its accounts, at most one of a channel.
fn read_midtrans(contract: &mut Section<'_>, known: &Known) -> Vec<(Channel, AccountName)> {
    const KEY: &str = "midtrans";
    let mut read: Vec<(Channel, AccountName)> = Vec::new();
    for name in contract.text_or_list(KEY).unwrap_or_default() {
        match (known.accounts.named(&name), name.parse()) {
            (None, _) => {
                let wrong = format!("there is no account {name:?}");
                contract.problem(KEY, &wrong, "the name of a section [midtrans.NAME]");
            }
            (Some(Some(channel)), Ok(_)) if read.iter().any(|(other, _)| *other == channel) => {
                let wrong = format!("two accounts of {}", channel.as_str());
                contract.problem(KEY, &wrong, "one account of each channel");
            }
            // By these names a contract may also name what it would take anyway.
            (Some(Some(_)), Ok(_)) if matches!(name.as_str(), "test" | "live") => {}
            (Some(Some(channel)), Ok(name)) => read.push((channel, name)),
            // What is wrong with the account is said there.
            (Some(_), _) => {}
        }
    }
    read
}

fn read_channels(
    contract: &mut Section<'_>,
    known: &Known,
    midtrans: &[(Channel, AccountName)],
) -> Vec<Channel> {
    const KEY: &str = "channels";
    let channels = match contract.texts(KEY) {
        None if contract.reported(KEY) => return Vec::new(),
        None => vec![Channel::Test],
        Some(words) => {
            let channels: Option<Vec<_>> =
                words.iter().map(|word| Channel::from_word(word)).collect();
            match channels.filter(|channels| !channels.is_empty()) {
                Some(channels) => channels,
                None => {
                    let wanted = "a list of testchannel and livechannel";
                    contract.problem(KEY, "not channels", wanted);
                    return Vec::new();
                }
            }
        }
    };
    for channel in &channels {
        let wanted = match channel {
            Channel::Test => "a section [midtrans.test], or another channel",
            Channel::Live => "a section [midtrans.live], or another channel",
        };
        let own = midtrans.iter().any(|(of, _)| of == channel);
        if !own && !known.accounts.of_channel(*channel) && !contract.reported("midtrans") {
            let wrong = format!("{} has no Midtrans account", channel.as_str());
            contract.problem(KEY, &wrong, wanted);
        }
    }
    for (of, name) in midtrans {
        if !channels.contains(of) {
            let wrong = format!("{name} is an account of {}", of.as_str());
            contract.problem("midtrans", &wrong, "accounts of the contract's channels");
        }
    }
    channels
}

/// Where shoppers return, checked like that of a call. http on the live channel is warned about
/// beside the receiver's.
fn read_redirect_url(contract: &mut Section<'_>, schemes: Option<&[String]>) -> Option<String> {
    const KEY: &str = "redirect_url";
    let url = contract.text(KEY)?;
    let checked = check::redirect_url(&url, true).and_then(|()| check::app_scheme(&url, schemes));
    if let Err(rule) = checked {
        let rejection = Rejection::of(Field::Merchantredirecturl, rule);
        contract.problem(KEY, &rejection.problem(), rejection.wanted());
        return None;
    }
    Some(url)
}

/// Apps that shoppers may return to.
fn read_schemes(contract: &mut Section<'_>) -> Option<Vec<String>> {
    const KEY: &str = "return_schemes";
    let schemes = contract.texts(KEY)?;
    for scheme in &schemes {
        if check::listable_scheme(scheme).is_err() {
            let wrong = format!("{scheme:?} is not the scheme of an app");
            contract.problem(
                KEY,
                &wrong,
                "schemes of apps in lower case, such as [\"someapps\"]; https always passes",
            );
        }
    }
    Some(schemes)
}

/// A receiver that the transport refuses to call would fail at each try.
fn check_receiver(contract: &mut Section<'_>, url: &str, known: &Known, live: bool) {
    const KEY: &str = "notification_url";
    let Ok(url) = Url::parse(url) else { return };
    let policy = known.delivery.policy();
    match policy.refuses(&url) {
        Some(Refusal::Address) => contract.problem(
            KEY,
            "a private address, which is never called",
            "a public address, or one of delivery.allow_private",
        ),
        Some(Refusal::Port) => contract.problem(
            KEY,
            "a port that is never called",
            "port 443 or 80, or one of delivery.allow_ports",
        ),
        None if url.scheme() != "http" || !live => {}
        None if known.delivery.allow_http || policy.is_near(&url) => {
            contract.warn(KEY, "http, on the live channel", "an https URL");
        }
        None => {
            let wanted = "an https URL, or delivery.allow_http";
            contract.problem(KEY, "http, on the live channel", wanted);
        }
    }
}
