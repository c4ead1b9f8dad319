//! The answer to a charge: "created", "refused" and "denied" are never said lightly.
#![no_main]

use gopay_core::midtrans::{ChargeReply, OrderId};
use gopay_core::money::Rupiah;
use gopay_fuzz::{HTTP, body_code, check_link, check_refusal, object};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    for http in HTTP {
        let reply = ChargeReply::parse(http, body);
        if http >= 500 || body_code(body).is_some_and(|code| code >= 500) && reply.is_ok() {
            assert_eq!(reply, Ok(ChargeReply::Unclear));
        }
        match reply {
            Ok(ChargeReply::Created(created)) => {
                assert!(matches!(http, 200 | 201), "created under HTTP {http}");
                assert!(matches!(body_code(body), None | Some(200 | 201)));
                assert!((1..=Rupiah::MAX).contains(&created.gross.get()));
                let object = object(body).expect("what was created was an object");
                let order_id = object.text("order_id").expect("what was created has an order id");
                assert_eq!(created.order_id, OrderId::from_wire(&order_id));
                if let Some(link) = created.deeplink {
                    check_link(&link);
                    // What stands beside the link may be beyond this reader's numbers.
                    if let Ok(sent) = serde_json::from_slice::<Value>(body) {
                        let sent = sent.get("actions").expect("a link comes from an action");
                        // It is the one that was sent, but for blanks and letters that no link has.
                        assert!(holds(sent, &decoded(&link)), "{link}");
                    }
                }
            }
            Ok(ChargeReply::Denied(refusal)) => {
                assert!((200..300).contains(&http));
                assert!((200..=202).contains(&refusal.status_code.get()));
                check_refusal(&refusal);
            }
            Ok(ChargeReply::Refused(refusal)) => {
                assert!((400..500).contains(&refusal.status_code.get()));
                check_refusal(&refusal);
            }
            Ok(ChargeReply::InProgress | ChargeReply::Duplicate | ChargeReply::Unclear)
            | Err(_) => {}
        }
    }
});

fn decoded(link: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(link.trim()).collect()
}

/// Whether a value has a text with this link in it.
fn holds(value: &Value, link: &[u8]) -> bool {
    match value {
        Value::String(text) => decoded(text) == link,
        Value::Array(entries) => entries.iter().any(|entry| holds(entry, link)),
        Value::Object(members) => members.values().any(|member| holds(member, link)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
