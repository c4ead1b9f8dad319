//! The shop, and the PSP behind it: what is sold, and what is asked of the adapter.

use std::time::{SystemTime, UNIX_EPOCH};

use gopay_psp_client::http::Client;
use gopay_psp_client::shopper_return::UnverifiedReturn;
use gopay_psp_client::{
    Call, CancelAnswer, CancelTx, Cart, Channel, Credentials, Failure, GetTxStatus, Item,
    PaymentState, RefundCall, RefundState, StatusAnswer, Transaction, TransactionAnswer, TxId,
};

use crate::messages::{Kind, Message};
use crate::{Demo, credentials, lock};

/// Something that is sold.
pub(crate) struct Good {
    pub(crate) name: &'static str,
    /// In rupiah.
    pub(crate) price: u32,
    /// How many are in the cart at first.
    pub(crate) at_first: u32,
    /// Its picture, a path of 24 by 24.
    pub(crate) picture: &'static str,
}

/// From a coffee to what no unverified wallet can pay.
pub(crate) const GOODS: [Good; 4] = [
    Good {
        name: "Kopi Gayo, 250 g",
        price: 85_000,
        at_first: 1,
        picture: "M4 9h12v6a4 4 0 0 1-4 4H8a4 4 0 0 1-4-4zM16 10h2a2 2 0 0 1 0 5h-2M8 3v3M12 3v3",
    },
    Good {
        name: "Teh melati, 50 g",
        price: 24_500,
        at_first: 2,
        picture: "M5 20c8 0 14-6 14-15-9 0-15 5-14 15zM5 20c2-5 5-8 9-10",
    },
    Good {
        name: "Kemeja batik",
        price: 275_000,
        at_first: 0,
        picture: "M8 4l4 2 4-2 5 4-3 4-2-1v9H8v-9l-2 1-3-4z",
    },
    Good { name: "Laptop", price: 14_500_000, at_first: 0, picture: "M5 5h14v10H5zM2 19h20" },
];

/// So many of one good at most.
pub(crate) const COUNT_MAX: u32 = 20;

/// What the shopper has chosen.
pub(crate) struct Chosen {
    /// By good.
    pub(crate) counts: [u32; GOODS.len()],
    pub(crate) name: String,
}

impl Chosen {
    /// The form of the shop's page; what is not in it is as at first.
    ///
    /// # Errors
    /// What to change.
    pub(crate) fn read(form: &[u8]) -> Result<Self, &'static str> {
        let mut chosen =
            Self { counts: GOODS.map(|good| good.at_first), name: "Siti Rahma".to_owned() };
        for (key, value) in form_urlencoded::parse(form) {
            if key == "name" {
                chosen.name = value.trim().to_owned();
            }
            let place = key.strip_prefix("count").and_then(|place| place.parse::<usize>().ok());
            if let Some(slot) = place.and_then(|place| chosen.counts.get_mut(place)) {
                let count = value.trim().parse().ok().filter(|count| *count <= COUNT_MAX);
                *slot = count.ok_or("of each good you can buy 0 to 20")?;
            }
        }
        Ok(chosen)
    }

    fn cart(&self) -> Option<Cart> {
        let items = GOODS.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        Cart::new(items.map(|(good, count)| Item::new(good.name, i64::from(good.price), count)))
            .ok()
    }
}

/// The PSP of the demo.
pub(crate) fn psp() -> Credentials {
    Credentials::new(credentials::LOGIN, credentials::PASSWORD, credentials::CONTRACT)
}

/// A reference that was never used, also by a demo before this one.
fn fresh(prefix: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{prefix}-{}", since.as_micros())
}

/// A payment that the shopper can make now.
#[derive(Clone, Debug)]
pub struct Opened {
    /// `TXID`.
    pub tx_id: String,
    /// The shop's reference.
    pub reference: String,
    /// Where the shopper pays.
    pub redirect_url: String,
    /// The answer, decoded.
    pub answer: Vec<(String, String)>,
}

impl Demo {
    fn call(&self, own: &str, cart: &Cart, name: &str, reference: &str) -> Transaction {
        Transaction::new(Channel::Test, cart, name)
            .merchant_tx_id(reference)
            .nonce(reference)
            .redirect_url(format!("{own}/shop/return"))
            .notification_url(format!("{own}/psp/notify"))
            .email("siti@example.org")
            .phone("+628123456789")
    }

    /// TRANSACTION for what was chosen; its TXID and where to send the shopper.
    ///
    /// # Errors
    /// Why there is no payment to be made.
    pub(crate) async fn buy(&self, chosen: &Chosen) -> Result<(TxId, String), String> {
        let cart = chosen.cart().ok_or("the cart is empty")?;
        let call = self.call(&self.0.own_base_url, &cart, &chosen.name, &fresh("DEMO"));
        let (message, answer) = exchange(&self.0.adapter, &call).await?;
        let payment = match answer {
            TransactionAnswer::Recorded(payment) => payment,
            TransactionAnswer::Refused(failure) => return Err(reason(&failure)),
        };
        let message = Message { kind: Kind::Transaction, ..message };
        let tx_id = payment.tx_id;
        match payment.state {
            PaymentState::Pending(Some(redirect)) => {
                let to = Message {
                    kind: Kind::Redirect,
                    sent: redirect.url.clone(),
                    received: String::new(),
                    verdict: "the browser goes there unchanged, by HTTP 303".to_owned(),
                    good: true,
                };
                let url = redirect.url.clone();
                lock(&self.0.orders).change(tx_id, |order| {
                    order.redirect = Some((redirect.url, redirect.secret));
                    order.rupiah = Some(cart.amount() / 100);
                    order.status = Some("PENDING".to_owned());
                    order.messages.extend([
                        Message {
                            verdict: "there is a payment, and it waits".to_owned(),
                            ..message
                        },
                        to,
                    ]);
                });
                Ok((tx_id, url))
            }
            PaymentState::Failed(failure) => Err(reason(&failure)),
            PaymentState::Pending(None) | PaymentState::Succeeded => {
                Err("the answer has no address to go to".to_owned())
            }
        }
    }

    /// Opens a payment as the shop does, for who has just started the demo.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn open(&self) -> Result<Opened, String> {
        let chosen = Chosen::read(b"").map_err(str::to_owned)?;
        let (tx_id, redirect_url) = self.buy(&chosen).await?;
        let orders = lock(&self.0.orders);
        let sent = orders.get(tx_id).and_then(|order| order.messages.front());
        let answer =
            sent.map(|sent| crate::messages::explained(&sent.received)).unwrap_or_default();
        let answer: Vec<_> = answer.into_iter().map(|(key, value, _)| (key, value)).collect();
        let reference = answer.iter().find(|(key, _)| key == "MERCHANTTXID");
        let reference = reference.map(|(_, value)| value.clone()).unwrap_or_default();
        Ok(Opened { tx_id: tx_id.to_string(), reference, redirect_url, answer })
    }

    /// GETTXSTATUS: the word of the state.
    pub(crate) async fn ask(&self, tx_id: TxId) -> &'static str {
        let (message, word) = match exchange(&self.0.adapter, &GetTxStatus { tx_id }).await {
            Ok((message, StatusAnswer::Found(payment))) => {
                let word = word(&payment.state);
                (Message { verdict: format!("the payment is {word}"), ..message }, word)
            }
            Ok((message, StatusAnswer::Failed(failure))) => {
                let verdict = format!("no answer about the payment: {}", failure.message);
                (Message { verdict, good: false, ..message }, "unknown")
            }
            Err(error) => {
                tracing::warn!(error, "the adapter does not answer the demo shop");
                return "unknown";
            }
        };
        if word != "unknown" {
            lock(&self.0.orders).change(tx_id, |order| {
                order.status = Some(word.to_owned());
                order.messages.push_back(Message { kind: Kind::Status, ..message });
            });
        }
        word
    }

    /// REFUND of so many rupiah.
    ///
    /// # Errors
    /// Why it was not made, or is open.
    pub(crate) async fn refund(&self, tx_id: TxId, rupiah: u64) -> Result<(), String> {
        let sen = rupiah.checked_mul(100).ok_or("so much money there is not")?;
        let call = RefundCall::new(tx_id, sen).merchant_refund_id(fresh("REFUND"));
        let (message, answer) = exchange(&self.0.adapter, &call).await?;
        let (verdict, made) = match &answer.state {
            RefundState::Succeeded => ("the money is on its way back".to_owned(), Ok(())),
            RefundState::Failed(failure) => {
                (format!("nothing goes back: {}", reason(failure)), Err(reason(failure)))
            }
            RefundState::Open(failure) => {
                let text =
                    format!("open: ask GETREFUNDSTATUS, and send no other: {}", failure.message);
                (text.clone(), Err(text))
            }
        };
        lock(&self.0.orders).change(tx_id, |order| {
            if made.is_ok() {
                order.refunded = order.refunded.saturating_add(rupiah);
            }
            let good = made.is_ok();
            order.messages.push_back(Message { kind: Kind::Refund, verdict, good, ..message });
        });
        made
    }

    /// CANCELTX.
    ///
    /// # Errors
    /// Why it was not cancelled.
    pub(crate) async fn cancel(&self, tx_id: TxId) -> Result<(), String> {
        let (message, answer) = exchange(&self.0.adapter, &CancelTx { tx_id }).await?;
        let (verdict, status, done) = match answer {
            CancelAnswer::Cancelled(payment) => {
                ("it is cancelled".to_owned(), Some(word(&payment.state)), Ok(()))
            }
            CancelAnswer::NotPending(payment) => {
                let text = format!("it was {} already", word(&payment.state));
                (text.clone(), Some(word(&payment.state)), Err(text))
            }
            CancelAnswer::Failed(failure) => (failure.message.clone(), None, Err(failure.message)),
        };
        lock(&self.0.orders).change(tx_id, |order| {
            if let Some(status) = status {
                order.status = Some(status.to_owned());
            }
            let good = done.is_ok();
            order.messages.push_back(Message { kind: Kind::Cancel, verdict, good, ..message });
        });
        done
    }

    /// The shopper is back: whose word it is, then what became of the payment.
    pub(crate) async fn came_back(&self, query: &str) -> Option<TxId> {
        let read = UnverifiedReturn::read(query).ok()?;
        let tx_id = read.claimed_tx_id();
        let secret = lock(&self.0.orders).get(tx_id).and_then(|order| order.redirect.clone());
        let genuine =
            secret.map(|(_, secret)| read.verify(&secret, credentials::SHARED_SECRET).is_ok());
        let (verdict, good) = match genuine {
            Some(true) => {
                ("cs is right: the adapter sent the browser. Now ask what became of it", true)
            }
            Some(false) => ("cs is wrong: somebody else made this address", false),
            None => ("cs is not checked: this shop did not start the payment", false),
        };
        let state = self.ask(tx_id).await;
        // Only of a payment that there is; anybody may open this address.
        if genuine.is_some() || state != "unknown" {
            lock(&self.0.orders).change(tx_id, |order| {
                let place = order.messages.len().saturating_sub(1);
                order.messages.insert(
                    place,
                    Message {
                        kind: Kind::Return,
                        sent: format!("{}/shop/return?{query}", self.0.own_base_url),
                        received: String::new(),
                        verdict: verdict.to_owned(),
                        good,
                    },
                );
            });
        }
        Some(tx_id)
    }
}

/// Makes a call and keeps both sides of it.
async fn exchange<C: Call>(adapter: &Client, call: &C) -> Result<(Message, C::Answer), String> {
    let sent = call.body(&psp());
    let reply = adapter.post(sent.clone()).await;
    let reply = reply.map_err(|error| format!("the adapter does not answer: {error}"))?;
    let received = String::from_utf8_lossy(&reply.body).into_owned();
    let answer = call.read(&reply.body).map_err(|error| format!("{error}: {received}"))?;
    let message =
        Message { kind: Kind::Status, sent, received, verdict: String::new(), good: true };
    Ok((message, answer))
}

const fn word(state: &PaymentState) -> &'static str {
    match state {
        PaymentState::Pending(_) => "PENDING",
        PaymentState::Succeeded => "SUCCEEDED",
        PaymentState::Failed(_) => "FAILED",
    }
}

fn reason(failure: &Failure) -> String {
    format!("{}: {}", failure.reason, failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_makes_the_cart() {
        for (form, amount) in [
            ("", Some(13_400_000)),
            ("count0=0&count1=0&count2=0&count3=1", Some(1_450_000_000)),
            ("count0=0&count1=0", None),
            ("count9=5&x=y", Some(13_400_000)),
        ] {
            let cart = Chosen::read(form.as_bytes()).unwrap().cart();
            assert_eq!(cart.map(|cart| cart.amount()), amount, "{form}");
        }
        for bad in ["count0=21", "count0=-1", "count0=x", "count1="] {
            assert!(Chosen::read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(Chosen::read(b"name=+Budi+%3Cb%3E+").unwrap().name, "Budi <b>");
    }

    #[test]
    fn references_are_fresh() {
        let one = fresh("A");
        std::thread::sleep(std::time::Duration::from_micros(2));
        assert_ne!(one, fresh("A"));
    }
}
