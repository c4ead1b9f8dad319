//! `POST /v2/charge`.

use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use super::{Call, Success};
use crate::api::ApiRequest;
use crate::charge;
use crate::engine::Engine;
use crate::faults::{Action as Fault, ProviderRefusal, provider_refusal};
use crate::idempotency::Stored;
use crate::transactions::AllPending;
use crate::wire::{Body, Refusal, decimal};

/// How many URLs a notification header may list.
const NOTIFY_URLS_MAX: usize = 3;

impl Engine {
    pub(super) fn charge(&mut self, call: &Call<'_>) -> Result<Success, Refusal> {
        let charge = charge::parse(&call.request.body, call.now, self.config.item_text_limit)?;
        let notify = self.notify_urls(call.request)?;
        let order = self
            .merchants
            .get(call.merchant)
            .and_then(|merchant| merchant.orders.get(&charge.order_id))
            .and_then(|(index, _)| self.transactions.get(*index));
        if order.is_some_and(|newest| !newest.status.frees_order_id()) {
            let message = "The request could not be completed due to a conflict: order_id has \
                           already been used.";
            return Err(Refusal::new(406, message));
        }
        let denial = match &call.fault {
            Some(Fault::ProviderError { code, shape }) => match provider_refusal(*code, *shape) {
                ProviderRefusal::Denied { fraud, message } => Some((*code, message, fraud)),
                ProviderRefusal::Refused { code, http, message } => {
                    let validation =
                        if code == 400 { vec![message.to_owned()] } else { Vec::new() };
                    return Err(Refusal { validation, ..Refusal::new(code, message).under(http) });
                }
            },
            Some(_) | None => None,
        };
        self.make_room()
            .map_err(|AllPending| Refusal::full("every transaction it can hold is pending"))?;
        let index = self.open(call.now, call.key, charge, notify, denial);
        Ok(Success { body: self.charge_body(index), stored: Stored::Charge(index) })
    }

    /// The answer to a charge: always the same, whatever became of the transaction since.
    pub(super) fn charge_body(&self, index: usize) -> Bytes {
        let Some(transaction) = self.transactions.get(index) else { return Bytes::new() };
        let status = transaction.first_status();
        let (code, message, actions) = if transaction.denied_by_charge {
            ("202", "GoPay transaction is denied", Vec::new())
        } else {
            ("201", "GoPay transaction is created", self.actions(transaction))
        };
        let channel = transaction.channel.as_ref().filter(|_| transaction.denied_by_charge);
        let body = Body {
            status_code: code,
            status_message: message,
            transaction_id: Some(transaction.id.to_string()),
            order_id: &transaction.order_id,
            merchant_id: self.merchants.get(transaction.merchant).map_or("", |found| &found.id),
            gross_amount: decimal(transaction.amount),
            currency: "IDR",
            payment_type: "gopay",
            transaction_time: transaction.created_at.wib_seconds(),
            transaction_status: status.word(),
            fraud_status: if transaction.fraud_denied { "deny" } else { "accept" },
            expiry_time: Some(transaction.expires_at.wib_seconds()),
            channel_response_code: channel.map(|(code, _)| code.to_string()),
            channel_response_message: channel.map(|(_, message)| message.as_ref()),
            actions,
            ..Body::default()
        };
        Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
    }

    /// The receivers of a charge's notifications; `None` for the dashboard's alone.
    pub(super) fn notify_urls(
        &self,
        request: &ApiRequest,
    ) -> Result<Option<Arc<[Arc<str>]>>, Refusal> {
        let replaced = url_list(request, "x-override-notification")?;
        let added = url_list(request, "x-append-notification")?;
        if replaced.is_none() && added.is_none() {
            return Ok(None);
        }
        let dashboard = || self.config.notification_url.iter().map(|url| Arc::from(url.as_str()));
        let mut urls = replaced.unwrap_or_else(|| dashboard().collect());
        urls.extend(added.unwrap_or_default());
        Ok(Some(Arc::from(urls)))
    }
}

fn url_list(request: &ApiRequest, name: &str) -> Result<Option<Vec<Arc<str>>>, Refusal> {
    let Some(list) = request.header(name) else { return Ok(None) };
    let urls: Vec<Arc<str>> =
        list.split(',').map(str::trim).filter(|url| !url.is_empty()).map(Arc::from).collect();
    let is_web = |url: &Arc<str>| {
        Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    if urls.len() > NOTIFY_URLS_MAX {
        return Err(Refusal::invalid(vec![format!("{name} may list at most 3 URLs")]));
    }
    if !urls.iter().all(is_web) {
        return Err(Refusal::invalid(vec![format!("{name} is not a valid URL")]));
    }
    Ok((!urls.is_empty()).then_some(urls))
}
