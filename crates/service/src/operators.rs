//! Who may use the admin listener: tokens with roles. They are verified as passwords are, each in a
//! lane of its own, so that guessing one delays nobody else.

use std::collections::HashMap;
use std::net::IpAddr;

use metrics::counter;
use secrecy::{ExposeSecret as _, SecretString};

use crate::credentials::{Attempt, Credentials};
use crate::meters;
use crate::thin::{self, UNAUTHENTICATED_PAUSE};

/// What an operator may do, besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Look at sums, lists and metrics, as every operator may.
    Read,
    /// Change how the service runs.
    Operate,
    /// Decide about money.
    Finance,
    /// Enter PSPs, contracts and accounts.
    Directory,
}

impl Role {
    /// The role of a word of the config.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Read, Self::Operate, Self::Finance, Self::Directory];
        all.into_iter().find(|role| role.as_str() == word)
    }

    /// Its word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Finance => "finance",
            Self::Directory => "directory",
        }
    }
}

/// Who holds a token.
#[derive(Clone, Debug)]
pub struct Operator {
    /// How the trail and the log call them.
    pub name: String,
    /// Argon2 hash of the token.
    pub hash: SecretString,
    /// What they may do.
    pub roles: Vec<Role>,
}

impl Operator {
    /// The hash of their token, to tell whether it is still the same.
    #[must_use]
    pub fn token_hash(&self) -> &str {
        self.hash.expose_secret()
    }

    /// Whether they may do what one of these roles may.
    #[must_use]
    pub fn may(&self, one_of: &[Role]) -> bool {
        one_of.contains(&Role::Read) || self.roles.iter().any(|role| one_of.contains(role))
    }
}

/// All operators.
pub struct Operators {
    by_name: HashMap<String, Operator>,
    credentials: Credentials,
}

impl std::fmt::Debug for Operators {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Operators({})", self.by_name.len())
    }
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLetIn {
    /// No such name, or not its token.
    Wrong,
    /// Too many attempts; the token was not looked at.
    TooOften,
}

/// Why somebody is refused at the admin listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No token was shown.
    Missing,
    /// No such name, or not its token.
    Token,
    /// Too many wrong tokens; this one was not looked at.
    Pause,
    /// The token is good, and its roles are not for this.
    Role,
    /// A name that leads here, or a page of somebody else's.
    Page,
}

impl Refused {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Token => "token",
            Self::Pause => "pause",
            Self::Role => "role",
            Self::Page => "page",
        }
    }
}

/// Lets operators see that somebody was refused: each is counted, one in a second of each kind is
/// logged. `who` is a name of the config, `what` was asked for.
pub fn tell_refused_operator(why: Refused, who: Option<&str>, what: &str, source: IpAddr) {
    let why = why.as_str();
    counter!(meters::OPERATOR_REFUSALS, "why" => why).increment(1);
    let fault = format!("an operator was refused: {why}");
    if let Some(repeats) = thin::due(&fault, UNAUTHENTICATED_PAUSE) {
        tracing::warn!(%source, who, what, why, repeats, "an operator was refused");
    }
}

impl Operators {
    /// Operators; `salt` must be random.
    #[must_use]
    pub fn new(operators: Vec<Operator>, salt: [u8; 32]) -> Self {
        let by_name: HashMap<String, Operator> =
            operators.into_iter().map(|one| (one.name.clone(), one)).collect();
        let credentials = Credentials::new(by_name.keys(), salt);
        Self { by_name, credentials }
    }

    /// Takes over from those before what was verified against hashes that are still here.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        let Self { by_name, credentials } = self;
        let credentials = credentials.following(&before.credentials, |name, hash| {
            let known = by_name.get(name).map(|it| it.hash.expose_secret());
            known == Some(hash.expose_secret())
        });
        Self { by_name, credentials }
    }

    /// Nobody is asked for a token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The operator of this name, whatever token somebody has shown.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Operator> {
        self.by_name.get(name)
    }

    /// Who holds this token.
    ///
    /// # Errors
    /// [`NotLetIn`].
    pub async fn identify(
        &self,
        name: &str,
        token: &str,
        source: IpAddr,
    ) -> Result<&Operator, NotLetIn> {
        let operator = self.by_name.get(name);
        let gate = &self.credentials;
        if let Some(operator) = operator
            && gate.is_cached(name, token)
        {
            return Ok(operator);
        }
        let known = operator.is_some();
        let may_try = gate.may_try(source, name, known);
        let Some(_place) = may_try.then(|| gate.wait(name, known)).flatten() else {
            return Err(NotLetIn::TooOften);
        };
        // A name that nobody has takes as long as a wrong token.
        let hash = operator.or_else(|| self.by_name.values().next()).map(|it| it.hash.clone());
        let good = gate
            .verify(Attempt {
                login: name.to_owned(),
                password: token.to_owned().into(),
                hashes: hash.into_iter().collect(),
                known,
            })
            .await;
        gate.tried(source, name, known, good);
        operator.filter(|_| good).ok_or(NotLetIn::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, token: &str, roles: &[Role]) -> Operator {
        let hash = crate::hash_password(token, &[3; 16]).unwrap().into();
        Operator { name: name.to_owned(), hash, roles: roles.to_vec() }
    }

    #[tokio::test]
    async fn a_token_is_good_for_its_name_and_its_roles_until_it_is_replaced() {
        let source = IpAddr::from([192, 0, 2, 1]);
        let sri = || operator("sri", "one", &[Role::Finance]);
        let before = Operators::new(vec![sri(), operator("ops", "two", &[Role::Operate])], [0; 32]);
        for (name, token, good) in
            [("sri", "one", true), ("sri", "two", false), ("nobody", "one", false)]
        {
            assert_eq!(before.identify(name, token, source).await.is_ok(), good, "{name} {token}");
        }
        let sees = before.identify("sri", "one", source).await.unwrap();
        assert!(sees.may(&[Role::Read]) && sees.may(&[Role::Operate, Role::Finance]));
        assert!(!sees.may(&[Role::Operate]));
        let after = Operators::new(vec![operator("sri", "three", &[Role::Finance])], [0; 32]);
        let after = after.following(&before);
        assert_eq!(after.identify("sri", "one", source).await.err(), Some(NotLetIn::Wrong));
        assert!(after.identify("sri", "three", source).await.is_ok());
        assert!(after.identify("ops", "two", source).await.is_err(), "gone");
    }
}
