//! What is wrong with an endpoint, by what was seen of it.

use gopay_core::translate::outcome::delivery_confirmed;
use serde::Serialize;

use super::play::{Played, REPLY_BYTES_MAX, Seen, Sent};
use super::scene::How;

/// Something that is wrong, or not good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A stable word.
    pub(crate) code: &'static str,
    /// What was seen.
    pub(crate) seen: String,
    /// What to do about it.
    pub(crate) cure: &'static str,
}

/// What is wrong in a scene, and what is only not good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) faults: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
}

/// Answers that take longer are in danger: under load they miss the time-out.
const SLOW_MS: u64 = 5_000;

/// Judges a scene. `require_ok`: the operator has set the client up so that the body must begin so.
pub(crate) fn judge(played: &Played, require_ok: bool) -> Judgement {
    let mut judgement = Judgement::default();
    for (place, sent) in played.sent.iter().enumerate() {
        let forged = matches!(sent.message.how, How::Forged(_));
        for seen in &sent.seen {
            let finding = if forged {
                believed(sent, seen)
            } else {
                unconfirmed(played, sent, seen, require_ok)
            };
            judgement.faults.extend(finding);
        }
        if sent.asked == Some(false) && sent.message.is_new {
            judgement.faults.push(not_asked(sent, place > 0));
        }
        let slowly = sent.message.how == How::Slowly;
        if sent.took_ms > SLOW_MS && !slowly && sent.seen.iter().all(answered) {
            judgement.warnings.push(Finding {
                code: "slow_answer",
                seen: format!("{}: answered after {} ms", sent.what, sent.took_ms),
                cure: "store the notification, answer, and ask GETTXSTATUS afterwards",
            });
        }
    }
    let held = wrong_state(played);
    // Who confirms what is forged and is seen not to believe it has only an unclear answer.
    if held.is_none() && played.holds.is_some() {
        let (believed, faults) =
            judgement.faults.into_iter().partition(|fault| fault.code == "forged_confirmed");
        judgement.faults = faults;
        judgement.warnings.extend::<Vec<_>>(believed);
    }
    judgement.faults.extend(held);
    judgement
}

fn answered(seen: &Seen) -> bool {
    matches!(seen, Seen::Answer { .. })
}

/// Why a notification of the adapter does not count as delivered, if it does not.
fn unconfirmed(played: &Played, sent: &Sent, seen: &Seen, require_ok: bool) -> Option<Finding> {
    let what = sent.what;
    let (code, seen, cure) = match seen {
        Seen::Answer { status, begins_with_ok } => {
            let body: &[u8] = if *begins_with_ok { b"OK" } else { b"" };
            if delivery_confirmed(*status, body, require_ok) {
                return None;
            }
            match status {
                200..300 => (
                    "no_ok",
                    format!("{what}: the body does not begin with OK"),
                    "begin the body with OK, as was agreed with the operator",
                ),
                300..400 => (
                    "redirected",
                    format!("{what}: answered {status}, a redirect"),
                    "redirects are not followed: answer at the notification URL itself, and let no \
                     login page stand before it",
                ),
                _ => ("not_confirmed", format!("{what}: answered {status}"), cure(played, sent)),
            }
        }
        Seen::TooLong => (
            "too_long",
            format!("{what}: the answer is longer than {REPLY_BYTES_MAX} bytes"),
            "answer with a short body: a longer one does not confirm, whatever its status",
        ),
        Seen::TimedOut => (
            "no_answer",
            format!("{what}: no answer within {} ms", sent.took_ms),
            "store the notification and answer at once; ask GETTXSTATUS afterwards",
        ),
        Seen::NotReached(why) => (
            "not_reached",
            format!("{what}: {why}"),
            "the endpoint must be there at any time; what is missed comes again after 15 minutes",
        ),
        Seen::BrokenOff(why) => (
            "broken_off",
            format!("{what}: {why}"),
            "answer with HTTP, also when something fails on your side: 5xx is tried again",
        ),
    };
    Some(Finding { code, seen, cure })
}

/// What to do where an answer was no 2xx.
fn cure(played: &Played, sent: &Sent) -> &'static str {
    match (played.scene.name, sent.message.how) {
        ("duplicate", _) if !sent.message.is_new => {
            "a duplicate has to be confirmed like the first: it comes again because the first answer \
             may have been lost"
        }
        ("twice_at_once", _) => {
            "two at once must not hurt each other: take a lock, or let the second find what the first \
             stored, and confirm both"
        }
        ("slow", _) => "read the body to its end, as Content-Length says, before you judge it",
        ("same_second", _) => {
            "do not drop a notification because you have seen its txid and finaltimestamp: FAILED and \
             a late SUCCEEDED can fall into the same second"
        }
        ("late_success", _) => {
            "FAILED may become SUCCEEDED: confirm, ask GETTXSTATUS, and book the money"
        }
        ("reordered", _) => {
            "an older notification has to be confirmed, too; GETTXSTATUS says what holds"
        }
        _ => {
            "check sha256hash (both digests lower-case hex, the secret agreed for notifications), \
             then confirm with 2xx"
        }
    }
}

/// A forged notification that was taken for a good one.
fn believed(sent: &Sent, seen: &Seen) -> Option<Finding> {
    let what = sent.what;
    match seen {
        Seen::Answer { status: status @ 200..300, .. } => Some(Finding {
            code: "forged_confirmed",
            seen: format!("{what}: answered {status}"),
            cure: "check sha256hash in constant time, and answer 4xx if it is wrong: nobody can tell a \
                   2xx from having believed it",
        }),
        Seen::TimedOut | Seen::TooLong => Some(Finding {
            code: "forged_costly",
            seen: format!("{what}: no short answer in time"),
            cure: "check the hash before anything else: anybody can send as many as they like",
        }),
        // Any other end refuses it.
        Seen::Answer { .. } | Seen::NotReached(_) | Seen::BrokenOff(_) => None,
    }
}

/// `again`: its txid was heard of before.
fn not_asked(sent: &Sent, again: bool) -> Finding {
    Finding {
        code: if again { "dropped" } else { "did_not_ask" },
        seen: format!("{}: GETTXSTATUS was not asked afterwards", sent.what),
        cure: if again {
            "ask GETTXSTATUS after each notification, also if its txid was heard of before: the state \
             may have changed since"
        } else {
            "a notification has no status in it: ask GETTXSTATUS, and decide by that alone"
        },
    }
}

fn wrong_state(played: &Played) -> Option<Finding> {
    let wanted = played.scene.ends;
    let (seen, cure) = match played.holds.as_ref()? {
        Ok(held) if *held == wanted => return None,
        Ok(held) => (
            format!("at the end it holds {}, and must hold {}", held.as_str(), wanted.as_str()),
            "hold what GETTXSTATUS said last; FAILED may become SUCCEEDED, never the reverse",
        ),
        Err(why) => (
            format!("--status-url does not tell what it holds: {why}"),
            "let it answer 2xx with one of PENDING, SUCCEEDED, FAILED",
        ),
    };
    Some(Finding { code: "wrong_state", seen, cure })
}

#[cfg(test)]
mod tests {
    use gopay_core::ids::TxId;

    use super::super::scene::{SCENES, State};
    use super::*;

    fn answer(status: u16) -> Seen {
        Seen::Answer { status, begins_with_ok: false }
    }

    /// A scene whose every message is seen so.
    fn played(name: &str, seen: &Seen, asked: Option<bool>) -> Played {
        let scene = *SCENES.iter().find(|scene| scene.name == name).unwrap();
        let sent = scene.messages.iter().map(|message| Sent {
            what: message.what,
            seen: vec![seen.clone()],
            took_ms: 7,
            asked,
            message: *message,
        });
        Played { scene, tx_id: TxId::new(1).unwrap(), sent: sent.collect(), holds: None }
    }

    fn codes(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn each_fault_has_its_code() {
        let ok = Seen::Answer { status: 200, begins_with_ok: true };
        for (name, seen, asked, require_ok, expected) in [
            ("good", answer(200), None, false, &[][..]),
            ("good", answer(299), Some(true), false, &[]),
            ("good", answer(200), None, true, &["no_ok"]),
            ("good", ok.clone(), None, true, &[]),
            ("good", answer(302), None, false, &["redirected"]),
            ("good", answer(199), None, false, &["not_confirmed"]),
            ("good", answer(500), Some(false), false, &["not_confirmed", "did_not_ask"]),
            ("good", Seen::TooLong, None, false, &["too_long"]),
            ("good", Seen::TimedOut, None, false, &["no_answer"]),
            ("good", Seen::NotReached("x".into()), None, false, &["not_reached"]),
            ("good", Seen::BrokenOff("x".into()), None, false, &["broken_off"]),
            ("duplicate", answer(200), Some(false), false, &["did_not_ask"]),
            ("late_success", answer(200), Some(false), false, &["did_not_ask", "dropped"]),
            ("reordered", answer(200), Some(true), false, &[]),
            ("slow", answer(408), None, false, &["not_confirmed"]),
            ("forged", answer(403), Some(false), false, &[]),
            ("forged", answer(403), Some(true), false, &[]),
            ("forged", ok, None, false, &["forged_confirmed"; 5]),
            ("forged", Seen::TimedOut, None, false, &["forged_costly"; 5]),
            ("forged", Seen::BrokenOff("x".into()), None, false, &[]),
        ] {
            let judgement = judge(&played(name, &seen, asked), require_ok);
            assert_eq!(codes(&judgement.faults), expected, "{name} {seen:?} {asked:?}");
            assert_eq!(judgement.warnings, []);
        }
    }

    #[test]
    fn what_it_holds_counts_where_it_tells() {
        for (name, status, holds, faults, warnings) in [
            ("late_success", 200, Ok(State::Succeeded), &[][..], &[][..]),
            ("late_success", 200, Ok(State::Failed), &["wrong_state"], &[]),
            ("late_success", 200, Err("HTTP 404".to_owned()), &["wrong_state"], &[]),
            ("forged", 200, Ok(State::Pending), &[], &["forged_confirmed"; 5]),
            ("forged", 400, Ok(State::Succeeded), &["wrong_state"], &[]),
        ] {
            let played = Played { holds: Some(holds), ..played(name, &answer(status), None) };
            let judgement = judge(&played, false);
            assert_eq!(codes(&judgement.faults), faults, "{name} {status}");
            assert_eq!(codes(&judgement.warnings), warnings, "{name} {status}");
        }
    }
}
