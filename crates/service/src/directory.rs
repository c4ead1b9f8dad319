//! Who may call, and under which terms: PSPs, their contracts, and their passwords.

use std::collections::HashMap;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use gopay_core::payment::Channel;
use gopay_core::ppro::transaction::{Kyc, Terms};
use gopay_core::refund::RefundTerms;
use secrecy::{ExposeSecret as _, SecretString};

use crate::credentials::Credentials;

/// A PSP.
#[derive(Debug)]
pub struct Psp {
    /// `login`.
    pub login: String,
    /// Argon2 hash in PHC form, as `hash-password` prints it.
    pub password_hash: SecretString,
    /// Keys the return hash and our own page codes.
    pub shared_secret: SecretString,
    /// Keys notifications: the first signs; the others are there for rotation.
    pub notification_secrets: Vec<SecretString>,
    /// The receiver's answer must begin with `OK` to count.
    pub require_ok_body: bool,
}

/// A merchant's contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// `contractid`.
    pub id: String,
    /// The login of its PSP.
    pub psp: String,
    /// Calls of a disabled contract are declined.
    pub enabled: bool,
    /// Which channels it may use.
    pub channels: Vec<Channel>,
    /// How well its shoppers' wallets are known.
    pub kyc: Kyc,
    /// Where its PSP is told unless the call says otherwise.
    pub notification_url: Option<String>,
    /// Where its shoppers return unless the call says otherwise.
    pub redirect_url: Option<String>,
    /// The schemes, in lower case, of the apps that its shoppers may return to; none: those of any
    /// app.
    pub return_schemes: Option<Vec<String>>,
    /// Whether it may refund.
    pub refunds: bool,
}

impl Contract {
    /// What its TRANSACTION calls are checked against.
    #[must_use]
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            test_channel: self.channels.contains(&Channel::Test),
            live_channel: self.channels.contains(&Channel::Live),
            kyc: self.kyc,
            has_redirect_url: self.redirect_url.is_some(),
            has_notification_url: self.notification_url.is_some(),
            app_schemes: self.return_schemes.as_deref(),
        }
    }

    pub(crate) fn refund_terms(&self, window: Duration) -> RefundTerms {
        RefundTerms { allowed: self.refunds, window }
    }
}

/// All psps and contracts.
pub struct Directory {
    psps: HashMap<String, Psp>,
    contracts: HashMap<String, Contract>,
    credentials: Credentials,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Directory({} clients, {} contracts)", self.psps.len(), self.contracts.len())
    }
}

impl Directory {
    /// A directory; `salt` must be random.
    #[must_use]
    pub fn new(psps: Vec<Psp>, contracts: Vec<Contract>, salt: [u8; 32]) -> Self {
        let psps: HashMap<String, Psp> =
            psps.into_iter().map(|psp| (psp.login.clone(), psp)).collect();
        let contracts = contracts.into_iter().map(|contract| (contract.id.clone(), contract));
        let credentials = Credentials::new(psps.keys(), salt);
        Self { psps, contracts: contracts.collect(), credentials }
    }

    pub(crate) fn logins(&self) -> impl Iterator<Item = &str> {
        self.psps.keys().map(String::as_str)
    }

    pub(crate) fn psp(&self, login: &str) -> Option<&Psp> {
        self.psps.get(login)
    }

    /// A contract of this psp; another's is as good as none.
    pub(crate) fn contract(&self, login: &str, id: &str) -> Option<&Contract> {
        self.contracts.get(id).filter(|contract| contract.psp == login)
    }

    /// What is remembered of passwords, and who may have one verified.
    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Spends the time of a verification whose outcome does not matter.
    pub(crate) async fn spend(&self, login: &str, password: SecretString) {
        if let Some(psp) = self.psps.get(login) {
            self.credentials.spend(login, password, psp.password_hash.clone()).await;
        }
    }

    /// Verifies a password, and remembers a good one.
    ///
    /// An unknown login takes as long as a wrong password.
    pub(crate) async fn verify(&self, login: &str, password: SecretString) -> bool {
        let psp = self.psps.get(login).or_else(|| self.psps.values().next());
        match psp {
            Some(psp) => self.credentials.verify(login, password, psp.password_hash.clone()).await,
            None => false,
        }
    }
}

/// Hashes a password for the config: Argon2id, PHC form.
///
/// # Errors
/// If the salt or the parameters do not suit Argon2, which would be a bug.
pub fn hash_password(
    password: &str,
    salt: &[u8; 16],
) -> Result<String, argon2::password_hash::Error> {
    use argon2::password_hash::PasswordHasher as _;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), salt)?;
    Ok(hash.to_string())
}

/// Whether a text is a password hash that can be verified against.
#[must_use]
pub fn is_password_hash(hash: &SecretString) -> bool {
    PasswordHash::new(hash.expose_secret()).is_ok()
}
