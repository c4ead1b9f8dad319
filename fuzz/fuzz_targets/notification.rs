//! Notifications: only a holder of the key gets one verified.
#![no_main]

use gopay_core::midtrans::{Notification, OrderId, UnverifiedNotification};
use gopay_fuzz::{Members, object};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha512};

const KEY: &str = "SB-Mid-server-EXAMPLE";

fuzz_target!(|body: &[u8]| {
    let Ok(claimed) = UnverifiedNotification::parse(body) else { return };
    let mut object = object(body).expect("a notification is an object");
    let signed = Signed::of(&object);
    assert_eq!(claimed.order_id(), OrderId::from_wire(&signed.order_id));
    let good = object.text("signature_key") == Some(signed.signature(KEY));
    assert_eq!(claimed.clone().verify(KEY).is_ok(), good);
    assert!(claimed.verify("").is_err());

    // The same from a holder of the key: numbers are signed digit by digit as they were sent.
    object.set("signature_key", &signed.signature(KEY));
    let notification = verified(&object).expect("signed with the key");
    assert_eq!(notification.order_id(), OrderId::from_wire(&signed.order_id));
    let code = notification.status_code().map(|code| code.to_string());
    assert!(code.is_none_or(|code| code == signed.status_code));
    if let Ok(gross) = notification.gross() {
        assert!((1..=20_000_000).contains(&gross.get()));
    }
    for (field, other) in [
        ("order_id", signed.order_id.clone() + "0"),
        ("status_code", signed.status_code.clone() + "0"),
        ("gross_amount", signed.gross_amount.clone() + "0"),
    ] {
        let mut forged = object.clone();
        forged.set(field, &other);
        // One text more and the next one less would be the same concatenation.
        if Signed::of(&forged).signature(KEY) != signed.signature(KEY) {
            assert!(verified(&forged).is_none(), "forged {field}");
        }
    }
});

fn verified(object: &Members) -> Option<Notification> {
    let body = serde_json::to_vec(object).expect("an object has a JSON form");
    let claimed = UnverifiedNotification::parse(&body).expect("it was a notification before");
    claimed.verify(KEY).ok()
}

struct Signed {
    order_id: String,
    status_code: String,
    gross_amount: String,
}

impl Signed {
    fn of(object: &Members) -> Self {
        let text = |name: &str| object.text(name).expect("what is signed is there");
        Self {
            order_id: text("order_id"),
            status_code: text("status_code"),
            gross_amount: text("gross_amount"),
        }
    }

    fn signature(&self, key: &str) -> String {
        let whole = format!("{}{}{}{key}", self.order_id, self.status_code, self.gross_amount);
        hex::encode(Sha512::digest(whole))
    }
}
