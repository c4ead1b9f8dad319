//! The answer to cancel and expire: a payment that may still be paid is never called closed.
#![no_main]

use gopay_core::midtrans::{CloseReply, TransactionStatus};
use gopay_fuzz::{HTTP, body_code, check_refusal, check_view};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for http in HTTP {
        let reply = CloseReply::parse(http, body);
        if http >= 500 {
            assert_eq!(reply, Ok(CloseReply::Unclear));
        }
        match reply {
            Ok(CloseReply::Closed(view)) => {
                let code = body_code(body);
                assert!(matches!(code, None | Some(200 | 407)), "closed with {code:?}");
                let ended = [TransactionStatus::Cancel, TransactionStatus::Expire];
                assert!(ended.contains(&view.status), "{:?}", view.status);
                assert!(!view.is_paid());
                check_view(&view, body);
            }
            Ok(CloseReply::NotFound) => assert_eq!(body_code(body), Some(404)),
            Ok(CloseReply::Misconfigured(refusal)) => check_refusal(&refusal),
            Ok(CloseReply::WrongState | CloseReply::InProgress | CloseReply::Unclear) | Err(_) => {}
        }
    }
});
