//! `[[contract]]`: a merchant of a PSP

use gopay_core::payment::Channel;
use gopay_core::ppro::check;
use gopay_core::ppro::transaction::Kyc;
use gopay_service::Contract;

use super::section::Section;

pub(super) fn read_contract(contract: &mut Section<'_>) -> Option<Contract> {
    let id = contract.required("id");
    if id.as_deref().is_some_and(|id| check::reference(id).is_err()) {
        contract.problem("id", "not a contract id", "1 to 40 letters, digits and .,-_");
    }
    let client = contract.required("client");
    let mut enabled = true;
    contract.flag("enabled", &mut enabled);
    let channels = match contract.texts("channels") {
        None => vec![Channel::Test],
        Some(words) => {
            let channels: Option<Vec<_>> =
                words.iter().map(|word| Channel::from_word(word)).collect();
            match channels {
                Some(channels) if !channels.is_empty() => channels,
                _ => {
                    let wanted = "a list of testchannel and livechannel";
                    contract.problem("channels", "not channels", wanted);
                    Vec::new()
                }
            }
        }
    };
    let kyc = match contract.text("kyc").as_deref() {
        None | Some("unverified") => Kyc::Unverified,
        Some("verified") => Kyc::Verified,
        Some(_) => {
            contract.problem("kyc", "not a rule", "verified or unverified");
            Kyc::Unverified
        }
    };
    let notification_url = contract.url("notification_url");
    let redirect_url = contract.url("redirect_url");
    let mut refunds = true;
    contract.flag("refunds", &mut refunds);
    Some(Contract {
        id: id?,
        client: client?,
        enabled,
        channels,
        kyc,
        notification_url,
        redirect_url,
        refunds,
    })
}
