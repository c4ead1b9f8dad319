//! The answer to GET status.
#![no_main]

use gopay_core::midtrans::StatusReply;
use gopay_fuzz::{HTTP, body_code, check_refusal, check_view};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for http in HTTP {
        let reply = StatusReply::parse(http, body);
        if http >= 500 {
            assert_eq!(reply, Ok(StatusReply::Unclear));
        }
        match reply {
            Ok(StatusReply::Found(view)) => {
                let code = body_code(body);
                assert!(matches!(code, None | Some(200..=202 | 407)), "found with {code:?}");
                check_view(&view, body);
            }
            Ok(StatusReply::NotFound) => assert_eq!(body_code(body), Some(404)),
            Ok(StatusReply::Misconfigured(refusal)) => check_refusal(&refusal),
            Ok(StatusReply::InProgress | StatusReply::Unclear | StatusReply::Unreadable) | Err(_) => {}
        }
    }
});
