//! Accounts at Midtrans: that of each channel, and any number with names of their own. A payment
//! keeps the account that it was opened in, and never crosses to another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gopay_core::account::AccountName;
use gopay_core::midtrans::{Notification, UnverifiedNotification};
use gopay_core::payment::{Channel, PaymentRecord};
use gopay_core::ppro::hash;
use gopay_midtrans_client::MidtransClient;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

/// All accounts.
#[derive(Default)]
pub struct MidtransAccounts {
    test: Option<Arc<MidtransAccount>>,
    live: Option<Arc<MidtransAccount>>,
    named: HashMap<AccountName, Arc<MidtransAccount>>,
    /// When a notification was last held against every key.
    searched: Mutex<Option<Instant>>,
}

/// One account at Midtrans.
pub struct MidtransAccount {
    /// Where its payments are.
    pub channel: Channel,
    /// Its name; none: it is that of its channel.
    pub name: Option<AccountName>,
    /// Calls it.
    pub client: MidtransClient,
    /// Each verifies its notifications; there are two while the key is replaced.
    server_keys: Vec<SecretString>,
    /// Of each key, what it stands for where the config has no keys of pages.
    page_keys: Vec<SecretString>,
    /// Tells settings from others; none: they are like no others.
    settings: Option<[u8; 32]>,
}

/// A call that Midtrans does not let us make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarredCall {
    /// The account's channel.
    pub channel: Channel,
    /// The account, as it is called in the log.
    pub account: String,
    /// Which call.
    pub call: &'static str,
    /// Midtrans' code.
    pub code: u16,
}

impl MidtransAccount {
    /// The account of a channel that is called by `client`, and whose notifications are signed with
    /// any of the keys.
    #[must_use]
    pub fn new(channel: Channel, client: MidtransClient, server_keys: Vec<SecretString>) -> Self {
        let derived = |key: &SecretString| hash::page_key(key.expose_secret()).into();
        let page_keys = server_keys.iter().map(derived).collect();
        Self { channel, name: None, client, server_keys, page_keys, settings: None }
    }

    /// The same under a name of its own.
    #[must_use]
    pub fn named(mut self, name: AccountName) -> Self {
        self.name = Some(name);
        self
    }

    /// The same with a digest of what it was made of, by which [`MidtransAccounts::following`] goes.
    #[must_use]
    pub fn made_of(mut self, settings: [u8; 32]) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Its section of the config: `test`, `live`, or its name.
    #[must_use]
    pub fn label(&self) -> &str {
        match (&self.name, self.channel) {
            (Some(name), _) => name.as_str(),
            (None, Channel::Test) => "test",
            (None, Channel::Live) => "live",
        }
    }

    pub(crate) fn page_keys(&self) -> &[SecretString] {
        &self.page_keys
    }

    /// The notification, if one of the keys has signed it.
    pub(crate) fn verify(&self, unverified: &UnverifiedNotification) -> Option<Notification> {
        let verified = |key: &SecretString| unverified.clone().verify(key.expose_secret()).ok();
        self.server_keys.iter().find_map(verified)
    }
}

impl MidtransAccounts {
    /// These accounts; of several of one name, or of one channel without a name, the last.
    #[must_use]
    pub fn new(accounts: impl IntoIterator<Item = MidtransAccount>) -> Self {
        let mut all = Self::default();
        for account in accounts {
            let account = Arc::new(account);
            match (&account.name, account.channel) {
                (Some(name), _) => drop(all.named.insert(name.clone(), account)),
                (None, Channel::Test) => all.test = Some(account),
                (None, Channel::Live) => all.live = Some(account),
            }
        }
        all
    }

    /// Takes over from those before the accounts whose settings are the same, with what is known of
    /// them: that Midtrans bars a call, or is silent.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        let earlier = |account: &Arc<MidtransAccount>| {
            let same = before.get(account.channel, account.name.as_ref())?;
            let is_same = account.settings.is_some() && account.settings == same.settings;
            is_same.then(|| Arc::clone(same))
        };
        let channels = self.test.iter_mut().chain(&mut self.live);
        for account in channels.chain(self.named.values_mut()) {
            if let Some(earlier) = earlier(account) {
                *account = earlier;
            }
        }
        self
    }

    /// Those that are not among others: new ones, and those with other settings.
    #[must_use]
    pub fn without(&self, others: &Self) -> Vec<Arc<MidtransAccount>> {
        let is_new = |account: &&Arc<MidtransAccount>| {
            let same = others.get(account.channel, account.name.as_ref());
            same.is_none_or(|same| !Arc::ptr_eq(same, account))
        };
        let channels = self.test.iter().chain(&self.live);
        channels.chain(self.named.values()).filter(is_new).cloned().collect()
    }

    /// Those with names of their own.
    #[must_use]
    pub fn named(&self) -> Vec<Arc<MidtransAccount>> {
        self.named.values().cloned().collect()
    }

    /// That of a channel, if it has one.
    #[must_use]
    pub fn of(&self, channel: Option<Channel>) -> Option<&MidtransAccount> {
        self.get(channel?, None).map(Arc::as_ref)
    }

    /// That of a payment: the one it was opened in.
    #[must_use]
    pub fn of_payment(&self, payment: &PaymentRecord) -> Option<&MidtransAccount> {
        self.get(payment.channel?, payment.account.as_ref()).map(Arc::as_ref)
    }

    /// The account of a name, or that of the channel without one. One of the other channel is none.
    fn get(&self, channel: Channel, name: Option<&AccountName>) -> Option<&Arc<MidtransAccount>> {
        match (name, channel) {
            (Some(name), _) => self.named.get(name).filter(|account| account.channel == channel),
            (None, Channel::Test) => self.test.as_ref(),
            (None, Channel::Live) => self.live.as_ref(),
        }
    }

    /// Those of the channels.
    pub(crate) fn of_channels(&self) -> impl Iterator<Item = &MidtransAccount> {
        self.test.iter().chain(&self.live).map(Arc::as_ref)
    }

    /// Each, those of the channels first.
    pub fn all(&self) -> impl Iterator<Item = &MidtransAccount> {
        self.of_channels().chain(self.named.values().map(Arc::as_ref))
    }

    /// Whether a channel has any account.
    pub(crate) fn serves(&self, channel: Channel) -> bool {
        self.all().any(|account| account.channel == channel)
    }

    /// The account that has signed a notification, and the notification. Each is asked for: with many
    /// of them at most so often that unauthenticated callers cannot keep a core busy; none then.
    pub(crate) fn signed(
        &self,
        unverified: &UnverifiedNotification,
    ) -> Result<Option<(&MidtransAccount, Notification)>, TooOften> {
        /// A search through ten thousand keys takes some 10 ms.
        const PAUSE: Duration = Duration::from_millis(200);
        const FEW: usize = 64;
        let signed = |account| Some((account, MidtransAccount::verify(account, unverified)?));
        if let Some(signed) = self.of_channels().find_map(signed) {
            return Ok(Some(signed));
        }
        if self.named.len() > FEW {
            let mut searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if searched.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
                return Err(TooOften);
            }
            *searched = Some(now);
        }
        Ok(self.named.values().map(Arc::as_ref).find_map(signed))
    }

    /// The calls that Midtrans did not let us make when they were tried last, at most so many.
    pub(crate) fn barred(&self, max: usize) -> Vec<BarredCall> {
        let of = |account: &MidtransAccount| {
            let (channel, label) = (account.channel, account.label().to_owned());
            let calls = account.client.barred().into_iter();
            let calls = calls.map(move |(call, code)| BarredCall {
                channel,
                account: label.clone(),
                call,
                code: code.get(),
            });
            calls.collect::<Vec<_>>()
        };
        self.all().filter(|account| account.client.any_barred()).flat_map(of).take(max).collect()
    }
}

/// See [`MidtransAccounts::signed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften;

#[cfg(test)]
mod tests {
    use gopay_core::ids::TxId;
    use gopay_core::money::Rupiah;
    use gopay_core::payment::{NewPayment, Payment};
    use gopay_core::time::Timestamp;
    use gopay_midtrans_client::Endpoint;
    use gopay_outbound::{AddressPolicy, HttpTransport};

    use super::*;

    fn account(channel: Channel, name: Option<&str>, key: &str) -> MidtransAccount {
        let transport = HttpTransport::builder(AddressPolicy::any()).build().unwrap();
        let endpoint = Endpoint::new("https://api.midtrans.com", key.to_owned().into());
        let client = MidtransClient::new(Arc::new(transport), endpoint).unwrap();
        let account = MidtransAccount::new(channel, client, vec![key.to_owned().into()]);
        match name {
            Some(name) => account.named(name.parse().unwrap()),
            None => account,
        }
    }

    fn record(channel: Option<Channel>, name: Option<&str>) -> PaymentRecord {
        let new = NewPayment {
            tx_id: TxId::new(7).unwrap(),
            psp: "testclient".into(),
            contract: "TESTCONTRACT".into(),
            channel,
            account: name.map(|name| name.parse().unwrap()),
            merchant_tx_id: None,
            redirect_secret: "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy".into(),
            merchant_redirect_url: None,
            notification_url: None,
            nonce: None,
            created_at: Timestamp::from_micros(0),
            session: Duration::from_secs(3_600),
        };
        Payment::open(new, Rupiah::new(10_000).unwrap()).into_record()
    }

    #[test]
    fn a_payment_has_the_account_of_its_name_or_of_its_channel_and_never_crosses() {
        use Channel::{Live, Test};
        let accounts = MidtransAccounts::new([
            account(Test, None, "t"),
            account(Live, None, "l"),
            account(Live, Some("shop"), "s"),
        ]);
        for (channel, name, label) in [
            (Some(Test), None, Some("test")),
            (Some(Live), None, Some("live")),
            (Some(Live), Some("shop"), Some("shop")),
            (Some(Test), Some("shop"), None),
            (Some(Live), Some("gone"), None),
            (None, None, None),
            (None, Some("shop"), None),
        ] {
            let found = accounts.of_payment(&record(channel, name));
            assert_eq!(found.map(MidtransAccount::label), label, "{channel:?} {name:?}");
        }
        assert_eq!(accounts.all().count(), 3);
        assert!(accounts.serves(Live) && !MidtransAccounts::default().serves(Live));
    }

    #[test]
    fn an_account_with_the_same_settings_stays_and_others_are_new() {
        let named = |name: &str, key: &str, settings: [u8; 32]| {
            account(Channel::Live, Some(name), key).made_of(settings)
        };
        let before = MidtransAccounts::new([
            named("same", "a", [1; 32]),
            named("changed", "b", [2; 32]),
            named("gone", "c", [3; 32]),
            account(Channel::Live, None, "l"),
        ]);
        let after = MidtransAccounts::new([
            named("same", "a", [1; 32]),
            named("changed", "b", [4; 32]),
            account(Channel::Live, None, "l"),
        ]);
        let after = after.following(&before);
        let kept = |name: Option<&str>| {
            let name = name.map(|name| name.parse().unwrap());
            let pair = [&before, &after].map(|all| all.get(Channel::Live, name.as_ref()).cloned());
            let [Some(before), Some(after)] = pair else { return None };
            Some(Arc::ptr_eq(&before, &after))
        };
        assert_eq!(kept(Some("same")), Some(true));
        assert_eq!(kept(Some("changed")), Some(false));
        assert_eq!(kept(Some("gone")), None);
        assert_eq!(kept(None), Some(false), "nobody said what it was made of");
        let new: Vec<_> = after.without(&before);
        let labels: Vec<_> = new.iter().map(|account| account.label()).collect();
        assert_eq!(labels, ["live", "changed"]);
    }

    #[tokio::test(start_paused = true)]
    async fn unauthenticated_callers_cannot_have_many_keys_tried_all_the_time() {
        let body = |key: &str| {
            let text = ["71", "200", "100.00", key].concat();
            let digest = <sha2::Sha512 as sha2::Digest>::digest(text);
            let signature: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let body = serde_json::json!({
                "order_id": "71", "status_code": "200", "gross_amount": "100.00",
                "transaction_status": "settlement", "signature_key": signature,
            });
            Notification::parse(body.to_string().as_bytes()).unwrap()
        };
        let of = |count: usize| {
            let one = account(Channel::Live, None, "live");
            let named = (0..count).map(|number| {
                account(Channel::Live, Some(&format!("a{number}")), &format!("key-{number}"))
            });
            MidtransAccounts::new(named.chain([one]))
        };
        let label = |accounts: &MidtransAccounts, key: &str| {
            let signed = accounts.signed(&body(key))?;
            Ok::<_, TooOften>(signed.map(|(account, _)| account.label().to_owned()))
        };
        let few = of(3);
        for _ in 0..5 {
            assert_eq!(label(&few, "forged"), Ok(None));
            assert_eq!(label(&few, "key-2"), Ok(Some("a2".to_owned())));
        }
        let many = of(65);
        assert_eq!(label(&many, "forged"), Ok(None));
        assert_eq!(label(&many, "key-64"), Err(TooOften));
        assert_eq!(label(&many, "live"), Ok(Some("live".to_owned())), "it needs no search");
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(label(&many, "key-64"), Ok(Some("a64".to_owned())));
    }
}
