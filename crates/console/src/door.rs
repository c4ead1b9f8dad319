//! Who is let in: sessions of operators who have shown their token. They are in memory, so a restart
//! asks for the token again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gopay_service::{Operator, Operators, Role};
use subtle::ConstantTimeEq as _;

/// The cookie.
pub(crate) const COOKIE: &str = "gopay_console";

/// A session that nobody uses ends.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// Every session ends, so that the token is asked for once a shift.
const AGE_MAX: Duration = Duration::from_secs(12 * 3600);

/// Sessions at once; the one that was used least lately makes room.
const SESSIONS_MAX: usize = 1_000;

/// Sessions, and what guards the forms of who has none.
pub(crate) struct Door {
    sessions: Mutex<HashMap<String, Session>>,
    /// In forms of who has no session: the login, and everything where nobody is asked for a token.
    form_key: String,
}

struct Session {
    name: String,
    /// Of the token that was shown: another token is another session.
    hash: String,
    form_key: String,
    began: Instant,
    used: Instant,
}

/// Who is in, what they may, and what their forms must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The name of their token; none where nobody is asked for one.
    pub(crate) name: Option<String>,
    pub(crate) operate: bool,
    pub(crate) finance: bool,
    pub(crate) form_key: String,
}

fn secret() -> String {
    let mut bytes = [0_u8; 32];
    gopay_service::os_random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two secrets are one, without telling how far they agree.
pub(crate) fn same(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

impl Door {
    pub(crate) fn new() -> Self {
        Self { sessions: Mutex::default(), form_key: secret() }
    }

    /// What the form of the login must repeat.
    pub(crate) fn form_key(&self) -> &str {
        &self.form_key
    }

    /// A session of somebody who has just shown their token: the value of the cookie.
    pub(crate) fn open(&self, operator: &Operator) -> String {
        let now = Instant::now();
        let (key, mut sessions) = (secret(), self.sessions());
        sessions.retain(|_, session| session.is_good(now));
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| sessions.remove(&key));
        }
        let session = Session {
            name: operator.name.clone(),
            hash: operator.token_hash().to_owned(),
            form_key: secret(),
            began: now,
            used: now,
        };
        sessions.insert(key.clone(), session);
        key
    }

    /// Ends a session.
    pub(crate) fn close(&self, key: &str) {
        self.sessions().remove(key);
    }

    /// Who comes with this cookie; none if they have to show their token. Roles, and whether the token
    /// is good at all, are those of now. What nobody does by hand does not count as `used`.
    pub(crate) fn admit(
        &self,
        operators: &Operators,
        key: Option<&str>,
        used: bool,
    ) -> Option<Admitted> {
        if operators.is_empty() {
            let form_key = self.form_key.clone();
            return Some(Admitted { name: None, operate: true, finance: true, form_key });
        }
        let (key, now) = (key?, Instant::now());
        let mut sessions = self.sessions();
        let session = sessions.get_mut(key)?;
        let operator = operators.named(&session.name);
        let operator = operator.filter(|operator| operator.token_hash() == session.hash);
        let (Some(operator), true) = (operator, session.is_good(now)) else {
            sessions.remove(key);
            return None;
        };
        if used {
            session.used = now;
        }
        Some(Admitted {
            name: Some(operator.name.clone()),
            operate: operator.may(&[Role::Operate]),
            finance: operator.may(&[Role::Finance]),
            form_key: session.form_key.clone(),
        })
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_good(&self, now: Instant) -> bool {
        let age = |since: Instant| now.saturating_duration_since(since);
        age(self.used) < IDLE_MAX && age(self.began) < AGE_MAX
    }
}

/// The session in a `Cookie` header.
pub(crate) fn cookie_of(header: &str) -> Option<&str> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// A `Set-Cookie` header: of a session, or of its end.
pub(crate) fn set_cookie(key: Option<&str>, secure: bool) -> String {
    let (value, age) = key.map_or(("", "; Max-Age=0"), |key| (key, ""));
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/console; HttpOnly; SameSite=Strict{secure}{age}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operators(list: &[(&str, &str, Role)]) -> Operators {
        let operator = |(name, token, role): &(&str, &str, Role)| Operator {
            name: (*name).to_owned(),
            hash: gopay_service::hash_password(token, &[3; 16]).unwrap().into(),
            roles: vec![*role],
        };
        Operators::new(list.iter().map(operator).collect(), [0; 32])
    }

    #[test]
    fn a_session_is_good_for_its_token_and_its_present_roles() {
        let door = Door::new();
        let before = operators(&[("sri", "one", Role::Finance), ("ops", "two", Role::Operate)]);
        let key = door.open(before.named("sri").unwrap());
        let sri = door.admit(&before, Some(&key), true).unwrap();
        assert_eq!((sri.name.as_deref(), sri.operate, sri.finance), (Some("sri"), false, true));
        assert!(door.admit(&before, None, true).is_none());
        assert!(door.admit(&before, Some("another"), true).is_none());
        let other = door.open(before.named("ops").unwrap());
        assert_ne!(door.admit(&before, Some(&other), true).unwrap().form_key, sri.form_key);
        let promoted = operators(&[("sri", "one", Role::Operate)]);
        assert!(door.admit(&promoted, Some(&key), true).unwrap().operate);
        let replaced = operators(&[("sri", "three", Role::Finance)]);
        assert!(door.admit(&replaced, Some(&key), true).is_none(), "another token");
        assert!(door.admit(&promoted, Some(&key), true).is_none(), "it stays closed");
        assert!(door.admit(&promoted, Some(&other), true).is_none(), "gone");
    }

    #[test]
    fn a_session_ends_by_itself_and_by_hand() {
        let door = Door::new();
        let list = operators(&[("sri", "one", Role::Finance)]);
        for (idle, age, good) in [
            (Duration::ZERO, Duration::ZERO, true),
            (IDLE_MAX, Duration::ZERO, false),
            (Duration::ZERO, AGE_MAX, false),
        ] {
            let key = door.open(list.named("sri").unwrap());
            if let Some(session) = door.sessions().get_mut(&key) {
                session.used = session.used.checked_sub(idle).unwrap();
                session.began = session.began.checked_sub(age).unwrap();
            }
            assert_eq!(door.admit(&list, Some(&key), true).is_some(), good, "{idle:?} {age:?}");
            door.close(&key);
            assert!(door.admit(&list, Some(&key), true).is_none());
        }
    }

    #[test]
    fn cookies_are_read_and_written() {
        for (header, key) in [
            ("gopay_console=abc", Some("abc")),
            ("a=1; gopay_console=abc; b=2", Some("abc")),
            ("xgopay_console=abc", None),
            ("", None),
        ] {
            assert_eq!(cookie_of(header), key, "{header}");
        }
        let plain = "gopay_console=k; Path=/console; HttpOnly; SameSite=Strict";
        assert_eq!(set_cookie(Some("k"), false), plain);
        assert_eq!(set_cookie(Some("k"), true), format!("{plain}; Secure"));
        assert!(set_cookie(None, false).ends_with("; Max-Age=0"));
    }
}
