//! Who may call, and under which terms: PSPs, their contracts, and their passwords.

use std::collections::HashMap;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use gopay_core::account::AccountName;
use gopay_core::payment::Channel;
use gopay_core::ppro::transaction::{Kyc, Terms};
use gopay_core::refund::RefundTerms;
use secrecy::{ExposeSecret as _, SecretString};

use crate::credentials::{Attempt, Certificate, Credentials};

/// A PSP.
#[derive(Debug)]
pub struct Psp {
    /// `login`.
    pub login: String,
    /// Argon2 hashes in PHC form, as `hash-password` prints them: of the password, and of the one
    /// before while it is replaced.
    pub password_hashes: Vec<SecretString>,
    /// Key the return hash: the first makes it; the others are there for rotation.
    pub shared_secrets: Vec<SecretString>,
    /// Keys notifications: the first signs; the others are there for rotation.
    pub notification_secrets: Vec<SecretString>,
    /// The receiver's answer must begin with `OK` to count.
    pub require_ok_body: bool,
    /// Which certificates it may show; empty: it needs none.
    pub certificates: Vec<CertificateOf>,
    /// Calls that it may have under way at once; none: as many as any.
    pub concurrent_calls: Option<usize>,
    /// Calls that it may make in a second; none: as many as any.
    pub calls_per_second: Option<u32>,
}

/// By what a certificate is known to be a PSP's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateOf {
    /// SHA-256 of its DER form.
    Fingerprint([u8; 32]),
    /// Its subject in the form of RFC 4514, whoever of the authorities signed it.
    Subject(String),
}

impl Psp {
    /// Whether a caller with this certificate can be this PSP.
    fn admits(&self, certificate: Option<&Certificate>) -> bool {
        let is = |known: &CertificateOf| {
            certificate.is_some_and(|shown| match known {
                CertificateOf::Fingerprint(fingerprint) => *fingerprint == shown.fingerprint,
                CertificateOf::Subject(subject) => *subject == *shown.subject,
            })
        };
        self.certificates.is_empty() || self.certificates.iter().any(is)
    }
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
    /// Its accounts at Midtrans; in channels that are not named, it takes that of the channel.
    pub midtrans: Vec<(Channel, AccountName)>,
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

    /// The account of its payments in a channel; none: that of the channel.
    #[must_use]
    pub fn account(&self, channel: Channel) -> Option<&AccountName> {
        self.midtrans.iter().find(|(of, _)| *of == channel).map(|(_, name)| name)
    }

    /// Whether no money of it is ever real.
    pub(crate) fn only_test(&self) -> bool {
        self.channels.iter().all(|channel| *channel == Channel::Test)
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
    /// Hashes that each password is held against: the most that a PSP has, so that the time tells
    /// nothing.
    rounds: usize,
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
        let rounds = psps.values().map(|psp| psp.password_hashes.len()).max().unwrap_or(0);
        Self { psps, contracts: contracts.collect(), credentials, rounds }
    }

    /// Takes over from the directory before: who waits for a verification, who failed lately, and
    /// which passwords were verified, as far as their hashes are still here.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        let Self { psps, contracts, credentials, rounds } = self;
        let credentials = credentials.following(&before.credentials, |login, hash| {
            psps.get(login).is_some_and(|psp| {
                psp.password_hashes.iter().any(|it| it.expose_secret() == hash.expose_secret())
            })
        });
        Self { psps, contracts, credentials, rounds }
    }

    pub(crate) fn psps(&self) -> impl Iterator<Item = &Psp> {
        self.psps.values()
    }

    pub(crate) fn contracts(&self) -> impl Iterator<Item = &Contract> {
        self.contracts.values()
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

    /// Whether there is such a login, and the certificate belongs to it.
    pub(crate) fn knows(&self, login: &str, certificate: Option<&Certificate>) -> bool {
        self.psps.get(login).is_some_and(|psp| psp.admits(certificate))
    }

    /// What to hold a password against. An unknown login takes as long as a wrong password.
    pub(crate) fn attempt(&self, login: &str, password: &str, known: bool) -> Attempt {
        let psp = self.psps.get(login).or_else(|| self.psps.values().next());
        let hashes = psp.map_or(&[][..], |psp| &psp.password_hashes);
        let hashes = hashes.iter().cycle().take(if hashes.is_empty() { 0 } else { self.rounds });
        Attempt {
            login: login.to_owned(),
            password: password.to_owned().into(),
            hashes: hashes.cloned().collect(),
            known,
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
    PasswordHash::new(hash.expose_secret()).is_ok_and(|hash| hash.hash.is_some())
}
