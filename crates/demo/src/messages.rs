//! What crossed between the PSP and the others about each transaction, kept to be shown.

use std::collections::{BTreeMap, VecDeque};

use gopay_psp_client::{Pairs, TxId};

/// Transactions that are remembered; beyond it the oldest is forgotten.
const ORDERS_MAX: usize = 10_000;

/// Messages of one transaction: a person reads no more, and somebody may reload a page for hours.
const MESSAGES_MAX: usize = 100;

/// Which way a message went, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The PSP asks the adapter to open a payment.
    Transaction,
    /// The PSP sends the shopper's browser to the adapter.
    Redirect,
    /// The adapter tells the PSP of a final state.
    Notification,
    /// The adapter sends the shopper's browser back.
    Return,
    /// The PSP asks what became of the payment.
    Status,
    /// The PSP gives money back.
    Refund,
    /// The PSP ends a payment that nobody has paid.
    Cancel,
}

/// A message with its answer, as they went over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// A form body, or an address.
    pub(crate) sent: String,
    /// A form body, or what else came back.
    pub(crate) received: String,
    /// What the PSP makes of it.
    pub(crate) verdict: String,
    /// Whether all is well.
    pub(crate) good: bool,
}

/// What the PSP knows of one transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// `REDIRECTURL` and `REDIRECTSECRET`, if this shop opened it.
    pub(crate) redirect: Option<(String, String)>,
    /// In rupiah, if this shop opened it.
    pub(crate) rupiah: Option<u64>,
    /// The last `STATUS` that the adapter gave.
    pub(crate) status: Option<String>,
    /// Rupiah that were given back.
    pub(crate) refunded: u64,
    /// Oldest first.
    pub(crate) messages: VecDeque<Message>,
}

/// Transactions by TXID, which ascends with time.
#[derive(Debug, Default)]
pub(crate) struct Orders(BTreeMap<TxId, Order>);

impl Orders {
    pub(crate) fn get(&self, tx_id: TxId) -> Option<&Order> {
        self.0.get(&tx_id)
    }

    /// Changes what is known of a transaction, which may be new.
    pub(crate) fn change(&mut self, tx_id: TxId, change: impl FnOnce(&mut Order)) {
        let order = self.0.entry(tx_id).or_default();
        change(order);
        while order.messages.len() > MESSAGES_MAX {
            order.messages.pop_front();
        }
        while self.0.len() > ORDERS_MAX {
            self.0.pop_first();
        }
    }

    /// The newest, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<(TxId, Order)> {
        self.0.iter().rev().take(count).map(|(tx_id, order)| (*tx_id, order.clone())).collect()
    }
}

/// The pairs of a form body or of the query of an address, decoded, each with what it means.
pub(crate) fn explained(text: &str) -> Vec<(String, String, &'static str)> {
    let pairs = text.split_once('?').map_or(text, |(_, query)| query);
    let Ok(pairs) = Pairs::read(pairs.as_bytes()) else { return Vec::new() };
    let all = pairs.iter();
    all.map(|(key, value)| (key.to_owned(), value.to_owned(), meaning(key))).collect()
}

/// What a key means. Source: `docs/psp-guide.md`.
fn meaning(key: &str) -> &'static str {
    MEANINGS.iter().find(|(known, _)| *known == key).map_or("", |(_, meaning)| meaning)
}

const MEANINGS: [(&str, &str); 38] = [
    ("returnmode", "how the answer is written; always urlencodeext"),
    ("txtype", "which call this is"),
    ("login", "who the PSP is"),
    ("password", "how it proves that"),
    ("contractid", "for which merchant"),
    ("tag", "the payment method"),
    ("countrycode", "where the shopper pays"),
    ("currency", "rupiah"),
    ("amount", "in sen, hundredths of a rupiah: Rp 10.000 is 1000000"),
    ("channel", "testchannel goes to the simulator, livechannel to GoPay"),
    ("accountholdername", "the shopper"),
    ("transientin.orderitems", "the cart as JSON; prices in rupiah, and their sum is the amount"),
    ("merchanttxid", "the shop's reference, to find a lost answer by"),
    ("merchantredirecturl", "where the browser comes back to"),
    ("notificationurl", "where final states are told"),
    ("nonce", "makes the call safe to repeat: the same content gets the same answer"),
    ("specin.email", "passed on to GoPay"),
    ("specin.phone", "passed on to GoPay"),
    ("txid", "which payment"),
    ("merchantrefundid", "the shop's reference of the refund"),
    ("finaltimestamp", "when the final state was reached"),
    ("sha256hash", "proves that the adapter wrote it"),
    ("cs", "proves that the adapter sent the browser back; it says nothing of the outcome"),
    ("tx", "the payment"),
    ("rs", "the REDIRECTSECRET"),
    ("REQUESTSTATUS", "whether the question was answered; read it before STATUS"),
    ("REQUESTFAILREASON", "why it was not"),
    (
        "STATUS",
        "PENDING: the shopper may pay. SUCCEEDED: the money is there. FAILED: it ended without money, which late money may still change",
    ),
    ("TXID", "the adapter's number of the payment, for every later call"),
    ("MERCHANTTXID", "the shop's reference again"),
    ("FAILREASON", "why, as a word to decide by"),
    ("ERRMSG", "why, as a sentence for engineers"),
    ("FUNDSSTATUS", "what is known of the money on its way to the merchant"),
    ("REDIRECTURL", "send the browser there, unchanged"),
    ("REDIRECTSECRET", "keep it with the order: it proves the return"),
    ("REFUNDID", "the adapter's number of the refund"),
    ("MERCHANTREFUNDID", "the shop's reference of the refund again"),
    ("CHANNEL", "the channel again"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_addresses_are_decoded_and_explained() {
        let told = explained("STATUS=PENDING&ERRMSG=a%20b&X=1");
        assert_eq!(told[1], ("ERRMSG".into(), "a b".into(), "why, as a sentence for engineers"));
        assert_eq!(told[2], ("X".into(), "1".into(), ""));
        assert_eq!(explained("https://shop/return?txid=7&cs=5f")[0].1, "7");
        assert!(explained("OK").is_empty() && explained("").is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut orders = Orders::default();
        let message = Message {
            kind: Kind::Status,
            sent: String::new(),
            received: String::new(),
            verdict: String::new(),
            good: true,
        };
        for number in 1..=ORDERS_MAX + 5 {
            orders.change(number.to_string().parse().unwrap(), |_| {});
        }
        assert!(orders.get("5".parse().unwrap()).is_none());
        for _ in 0..MESSAGES_MAX + 5 {
            orders.change("7".parse().unwrap(), |order| order.messages.push_back(message.clone()));
        }
        assert_eq!(orders.get("7".parse().unwrap()).unwrap().messages.len(), MESSAGES_MAX);
        assert_eq!(orders.newest(2).len(), 2);
    }
}
