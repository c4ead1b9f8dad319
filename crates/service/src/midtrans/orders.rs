//! Orders at Midtrans that the store does not know: a backup was restored, or this is the wrong store.
//! Their money is confirmed by GET status and kept in the list of what needs a person.

use gopay_core::ids::TxId;
use gopay_core::midtrans::{
    MidtransTxId, Notification, OrderId, StatusReply, StatusView, UnverifiedNotification,
};
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::Payment;
use gopay_store::{StoreError, UnknownOrder};
use metrics::counter;

use super::NotificationAnswer;
use super::notification::{said, turned_away};
use crate::accounts::TooOften;
use crate::thin::{self, FAULT_PAUSE};
use crate::{MidtransAccount, Service, meters, observe};

/// Of an order id of another form, in the log.
const ORDER_CHARS_MAX: usize = 64;

const UNKNOWN: &str = "money of an order that the store does not know";
const BESIDE: &str = "money of another transaction of an order that is paid";

/// What Midtrans says of an order that the store does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// The store knows it: nothing was asked.
    Known,
    /// It has money, and is in the list now.
    Listed(UnknownOrder),
    /// Midtrans knows it, and there is no money.
    NoMoney,
    /// Midtrans does not know it.
    NotFound,
    /// Midtrans could not be asked, or its answer tells nothing: ask again.
    NoAnswer,
}

/// What GET status says of an order.
enum Said {
    Found(Box<StatusView>),
    /// It answers, and not about this order in a way that can be read.
    Unreadable,
    NotFound,
    /// No answer that tells anything.
    Nothing,
}

impl Service {
    /// A notification of an order that the store does not know. Only what is rightly signed is looked
    /// into, so that nobody else can fill the list.
    pub(crate) async fn unknown_order(
        &self,
        unverified: UnverifiedNotification,
    ) -> Result<NotificationAnswer, StoreError> {
        let order_text = unverified.order_text().to_owned();
        let parties = self.parties();
        let (account, notification) = match parties.midtrans.signed(&unverified) {
            Ok(Some(signed)) => signed,
            Ok(None) => return Ok(NotificationAnswer::Forged),
            Err(TooOften) => return Ok(turned_away()),
        };
        if !notification.claimed_status().may_be_money() {
            return Ok(NotificationAnswer::Done);
        }
        let OrderId::Ours(tx_id) = notification.order_id() else {
            counter!(meters::UNKNOWN_ORDERS, "form" => "other").increment(1);
            if let Some(repeats) = thin::due("an order of another shop", FAULT_PAUSE) {
                let order = order_text.escape_debug().take(ORDER_CHARS_MAX).collect::<String>();
                tracing::info!(order, repeats, "a notification about an order of another shop");
            }
            return Ok(NotificationAnswer::Done);
        };
        observe::learn(|seen| (seen.tx_id, seen.outcome) = (Some(tx_id), "unknown_order"));
        let question = self.0.questions.begin(tx_id, &said(&notification)).await;
        if !question.as_ref().is_some_and(|question| self.0.questions.may_ask(question)) {
            return Ok(turned_away());
        }
        let claim = Some(&notification);
        Ok(match self.ask_for_order(tx_id, account, claim).await? {
            // GET status may lag behind: then the notification must come again.
            Recovered::NoAnswer | Recovered::NoMoney => NotificationAnswer::Unavailable,
            Recovered::NotFound if tx_id.is_of_our_time(self.now()) => {
                NotificationAnswer::Unavailable
            }
            Recovered::NotFound => {
                tracing::warn!(payment.tx_id = %tx_id, "a notification about money of an order that neither the store nor Midtrans knows");
                NotificationAnswer::Done
            }
            Recovered::Known | Recovered::Listed(_) => NotificationAnswer::Done,
        })
    }

    /// Money of another transaction of an order that is paid: it came twice, or the first is none.
    /// It is asked for by its own number and by the order, since nothing signs that number.
    pub(super) async fn money_beside(
        &self,
        payment: &Payment,
        other: &MidtransTxId,
        notification: &Notification,
    ) -> Result<NotificationAnswer, StoreError> {
        let parties = self.parties();
        let Some(account) = parties.midtrans.of_payment(payment) else {
            return Ok(NotificationAnswer::Unavailable);
        };
        let tx_id = payment.tx_id;
        let mut found = Recovered::NotFound;
        for id in [other.as_str().to_owned(), tx_id.to_string()] {
            let view = self.status_of_order(&id, tx_id, account).await;
            let is_paid_one = |view: &StatusView| {
                view.midtrans_tx_id.as_ref().map(MidtransTxId::as_str)
                    == payment.midtrans_tx_id.as_deref()
            };
            found = match view {
                Said::Found(view) if is_paid_one(&view) => Recovered::Known,
                Said::Found(view) if view.status.may_be_money() => {
                    self.list(BESIDE, self.seen(tx_id, account, &view, Some(notification))).await?
                }
                Said::Found(_) => Recovered::NoMoney,
                Said::NotFound => Recovered::NotFound,
                Said::Unreadable | Said::Nothing => Recovered::NoAnswer,
            };
            if !matches!(found, Recovered::NotFound | Recovered::NoAnswer) {
                break;
            }
        }
        observe::learn(|seen| seen.outcome = "another_transaction");
        Ok(match found {
            Recovered::NoAnswer | Recovered::NoMoney => NotificationAnswer::Unavailable,
            Recovered::Known | Recovered::NotFound | Recovered::Listed(_) => {
                NotificationAnswer::Done
            }
        })
    }

    /// Asks Midtrans for an order that the store may have lost, in every account or in one that is
    /// named, and lists it if it has money.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn recover_order(
        &self,
        tx_id: TxId,
        account: Option<&str>,
    ) -> Result<Recovered, StoreError> {
        if self.0.store.payment_get(tx_id).await?.is_some() {
            return Ok(Recovered::Known);
        }
        let mut found = Recovered::NotFound;
        let parties = self.parties();
        let asked = parties.midtrans.all();
        for account in asked.filter(|one| account.is_none_or(|name| one.label() == name)) {
            match self.ask_for_order(tx_id, account, None).await? {
                Recovered::NotFound | Recovered::Known => {}
                listed @ Recovered::Listed(_) => return Ok(listed),
                Recovered::NoMoney if found == Recovered::NotFound => found = Recovered::NoMoney,
                Recovered::NoMoney => {}
                Recovered::NoAnswer => found = Recovered::NoAnswer,
            }
        }
        Ok(found)
    }

    /// `claim` is the rightly signed notification that told of it: what GET status leaves out or
    /// makes unreadable is taken from there.
    async fn ask_for_order(
        &self,
        tx_id: TxId,
        account: &MidtransAccount,
        claim: Option<&Notification>,
    ) -> Result<Recovered, StoreError> {
        let seen = match (self.status_of_order(&tx_id.to_string(), tx_id, account).await, claim) {
            (Said::Found(view), _) if !view.status.may_be_money() => return Ok(Recovered::NoMoney),
            (Said::Found(view), _) => self.seen(tx_id, account, &view, claim),
            (Said::Unreadable, Some(claim)) => self.claimed(tx_id, account, claim),
            (Said::NotFound, _) => return Ok(Recovered::NotFound),
            (Said::Unreadable | Said::Nothing, _) => return Ok(Recovered::NoAnswer),
        };
        self.list(UNKNOWN, seen).await
    }

    /// What GET status says of an order, asked for by the order or by a number of Midtrans.
    async fn status_of_order(&self, id: &str, tx_id: TxId, account: &MidtransAccount) -> Said {
        match observe::upstream("status", account.client.status(id)).await {
            // It was asked for by this order: one without a name is it.
            Ok(StatusReply::Found(view))
                if view.order_id.is_none_or(|named| named == OrderId::Ours(tx_id)) =>
            {
                Said::Found(view)
            }
            Ok(StatusReply::Found(_) | StatusReply::Unreadable(_)) => Said::Unreadable,
            Ok(StatusReply::NotFound) => Said::NotFound,
            Ok(_) | Err(_) => Said::Nothing,
        }
    }

    async fn list(&self, what: &str, seen: UnknownOrder) -> Result<Recovered, StoreError> {
        let order = self.retry_while_busy(|| self.0.store.order_record(&seen)).await?;
        counter!(meters::UNKNOWN_ORDERS, "form" => "ours").increment(1);
        let tx_id = order.tx_id;
        if order.resolution.is_none()
            && let Some(repeats) = thin::due(&format!("unknown order {tx_id}"), FAULT_PAUSE)
        {
            let (status, amount_sen) = (order.status.as_str(), order.amount.map(Sen::get));
            tracing::error!(payment.tx_id = %tx_id, status, amount_sen, repeats, "{what}; a person must decide");
        }
        Ok(Recovered::Listed(order))
    }

    /// What GET status says.
    fn seen(
        &self,
        tx_id: TxId,
        account: &MidtransAccount,
        view: &StatusView,
        claim: Option<&Notification>,
    ) -> UnknownOrder {
        UnknownOrder {
            status: view.status.as_str().to_owned(),
            midtrans_tx_id: view.midtrans_tx_id.as_ref().map(|id| id.as_str().to_owned()),
            amount: view.gross.sen.or_else(|| claim.and_then(signed_amount)),
            ..self.order(tx_id, account)
        }
    }

    /// What a rightly signed notification says, where GET status says nothing that can be read.
    fn claimed(
        &self,
        tx_id: TxId,
        account: &MidtransAccount,
        claim: &Notification,
    ) -> UnknownOrder {
        UnknownOrder {
            status: claim.claimed_status().as_str().to_owned(),
            midtrans_tx_id: claim.claimed_tx_id().map(|id| id.as_str().to_owned()),
            amount: signed_amount(claim),
            ..self.order(tx_id, account)
        }
    }

    fn order(&self, tx_id: TxId, account: &MidtransAccount) -> UnknownOrder {
        let now = self.now();
        UnknownOrder {
            tx_id,
            channel: account.channel,
            account: account.name.clone(),
            status: String::new(),
            midtrans_tx_id: None,
            amount: None,
            first_seen_at: now,
            last_seen_at: now,
            seen: 1,
            resolution: None,
        }
    }
}

fn signed_amount(claim: &Notification) -> Option<Sen> {
    claim.gross().ok().map(Rupiah::sen)
}
