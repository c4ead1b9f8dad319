//! The answer to GET status.
#![no_main]

use gopay_core::midtrans::StatusReply;
use gopay_fuzz::{HTTP, body_code, check_refusal, check_view};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    // Bytes that are not UTF-8 and a byte order mark do not hide the rest.
    let text = String::from_utf8_lossy(body);
    let seen = text.trim_start_matches('\u{feff}').as_bytes();
    for http in HTTP {
        let reply = StatusReply::parse(http, body);
        if http >= 500 {
            assert!(matches!(reply, Ok(StatusReply::Unclear | StatusReply::Unreadable(_))));
        }
        match reply {
            Ok(StatusReply::Found(view)) => {
                let code = body_code(seen);
                assert!(matches!(code, None | Some(200..=202 | 407)), "found with {code:?}");
                check_view(&view, seen);
            }
            Ok(StatusReply::NotFound) => assert_eq!(body_code(seen), Some(404)),
            Ok(StatusReply::Misconfigured(refusal)) => check_refusal(&refusal),
            Ok(StatusReply::InProgress | StatusReply::Unclear | StatusReply::Unreadable(_))
            | Err(_) => {}
        }
    }
});
