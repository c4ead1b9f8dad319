//! What is played: each scene is about a transaction of its own.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::ppro::hash::notification_body;
use gopay_core::time::Timestamp;
use serde::Serialize;

/// What GETTXSTATUS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum State {
    Pending,
    Succeeded,
    Failed,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }
}

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Plain,
    /// Twice, both under way at once.
    TwiceAtOnce,
    /// Piece by piece, as over a bad line.
    Slowly,
    /// Not written by the adapter.
    Forged(Forgery),
}

/// What is wrong with a forged notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// A digit of the hash.
    Digit,
    /// Hashed with another secret.
    Secret,
    /// The hash of another transaction's.
    TxId,
    /// Another time than was hashed.
    Time,
    /// No hash.
    NoHash,
}

/// A message of a scene.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    /// In words.
    pub(crate) what: &'static str,
    /// How long before now the final state was reached.
    age_s: u64,
    /// What GETTXSTATUS says from then on.
    pub(crate) state: State,
    pub(crate) how: How,
    /// Whether it brings something new, so that the endpoint has to ask.
    pub(crate) is_new: bool,
}

/// A scene, and the state that the transaction has at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) messages: &'static [Message],
    pub(crate) ends: State,
}

const fn message(what: &'static str, state: State) -> Message {
    Message { what, age_s: 0, state, how: How::Plain, is_new: true }
}

const fn forged(what: &'static str, forgery: Forgery) -> Message {
    let how = How::Forged(forgery);
    Message { what, age_s: 0, state: State::Pending, how, is_new: false }
}

/// Every scene, in order.
pub(crate) const SCENES: [Scene; 8] = [
    Scene {
        name: "good",
        title: "a transaction is paid",
        messages: &[message("the notification", State::Succeeded)],
        ends: State::Succeeded,
    },
    Scene {
        name: "duplicate",
        title: "the same notification comes again",
        messages: &[
            message("the notification", State::Succeeded),
            Message { is_new: false, ..message("the same again", State::Succeeded) },
        ],
        ends: State::Succeeded,
    },
    Scene {
        name: "twice_at_once",
        title: "the same notification comes twice at the same moment",
        messages: &[Message { how: How::TwiceAtOnce, ..message("both at once", State::Succeeded) }],
        ends: State::Succeeded,
    },
    Scene {
        name: "slow",
        title: "the notification comes piece by piece",
        messages: &[Message { how: How::Slowly, ..message("in pieces", State::Succeeded) }],
        ends: State::Succeeded,
    },
    Scene {
        name: "late_success",
        title: "a transaction fails, and is paid an hour later",
        messages: &[
            Message { age_s: 3_600, ..message("that it failed", State::Failed) },
            message("that it was paid after all", State::Succeeded),
        ],
        ends: State::Succeeded,
    },
    Scene {
        name: "same_second",
        title: "a transaction fails and is paid in the same second: two equal notifications",
        messages: &[
            message("that it failed", State::Failed),
            message("that it was paid, the same bytes", State::Succeeded),
        ],
        ends: State::Succeeded,
    },
    Scene {
        name: "reordered",
        title: "an older notification comes after a newer one",
        messages: &[
            message("the newer", State::Succeeded),
            Message { age_s: 60, is_new: false, ..message("the older", State::Succeeded) },
        ],
        ends: State::Succeeded,
    },
    Scene {
        name: "forged",
        title: "somebody else writes notifications",
        messages: &[
            forged("one digit of sha256hash is wrong", Forgery::Digit),
            forged("hashed with another secret", Forgery::Secret),
            forged("the hash of another txid", Forgery::TxId),
            forged("another finaltimestamp than was hashed", Forgery::Time),
            forged("no sha256hash", Forgery::NoHash),
        ],
        ends: State::Pending,
    },
];

impl Message {
    /// The body, written as the adapter writes it; a forged one then changed.
    pub(crate) fn body(&self, tx_id: TxId, now: Timestamp, secret: &str) -> String {
        let at = now.before(Duration::from_secs(self.age_s));
        let good = notification_body(tx_id, at, secret);
        let How::Forged(forgery) = self.how else { return good };
        match forgery {
            Forgery::Digit => match good.strip_suffix('0') {
                Some(rest) => format!("{rest}1"),
                None => format!("{}0", good.get(..good.len() - 1).unwrap_or_default()),
            },
            Forgery::Secret => notification_body(tx_id, at, &format!("{secret}?")),
            Forgery::TxId => {
                let (own, other) = (tx_id.get(), tx_id.get() ^ 1);
                let other = TxId::new(other).unwrap_or(tx_id);
                let body = notification_body(other, at, secret);
                body.replacen(&format!("txid={other}&"), &format!("txid={own}&"), 1)
            }
            Forgery::Time => {
                let hour = at.before(Duration::from_secs(3_600));
                let encoded = |at: Timestamp| at.utc_seconds().replace(':', "%3A");
                good.replacen(&encoded(at), &encoded(hour), 1)
            }
            Forgery::NoHash => good.split("&sha256hash").next().unwrap_or_default().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use gopay_psp_client::notification::UnverifiedNotification;

    use super::*;

    /// Read by the PSP's side of the interface, which shares no code with what writes them.
    #[test]
    fn only_what_is_not_forged_has_a_good_hash() {
        let tx_id = TxId::new(123_887_123).unwrap();
        let now = Timestamp::from_rfc3339("2025-06-21T08:34:20.5Z").unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for message in SCENES.iter().flat_map(|scene| scene.messages) {
            let body = message.body(tx_id, now, "secret0");
            let read = UnverifiedNotification::read(body.as_bytes());
            let good = read.as_ref().is_ok_and(|read| {
                read.claimed_tx_id().to_string() == "123887123"
                    && read.clone().verify(&["secret0"]).is_ok()
            });
            let forged = matches!(message.how, How::Forged(_));
            assert_eq!(good, !forged, "{message:?}: {body}");
            assert!(!forged || seen.insert(body), "{message:?}");
        }
    }

    #[test]
    fn a_scene_ends_in_the_state_of_its_last_message() {
        for scene in SCENES {
            assert_eq!(scene.messages.last().map(|message| message.state), Some(scene.ends));
        }
    }
}
