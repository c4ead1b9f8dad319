//! The answer to a refund: "accepted" and "refused" are never said lightly.
#![no_main]

use gopay_core::midtrans::{RefundReply, TransactionStatus};
use gopay_core::money::Sen;
use gopay_fuzz::{HTTP, body_code, check_line, check_refusal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for http in HTTP {
        let reply = RefundReply::parse(http, body);
        if http >= 500 {
            assert_eq!(reply, Ok(RefundReply::Unclear));
        }
        match reply {
            Ok(RefundReply::Accepted(accepted)) => {
                let code = body_code(body);
                assert!((200..300).contains(&http) && http != 202, "accepted under HTTP {http}");
                assert!(matches!(code, None | Some(200)), "accepted with {code:?}");
                let given_back = [TransactionStatus::Refund, TransactionStatus::PartialRefund];
                assert!(given_back.contains(&accepted.status), "{:?}", accepted.status);
                assert_ne!(accepted.amount, Some(Sen::ZERO));
                if let Some(key) = accepted.key {
                    check_line(&key, 64);
                }
            }
            Ok(RefundReply::Refused(refusal)) => {
                let code = refusal.status_code.get();
                assert!(code == 202 || (400..500).contains(&code), "refused with {code}");
                check_refusal(&refusal);
            }
            Ok(RefundReply::Duplicate | RefundReply::InProgress | RefundReply::Unclear)
            | Err(_) => {}
        }
    }
});
