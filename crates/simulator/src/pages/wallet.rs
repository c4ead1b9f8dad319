//! The wallet: a page to pay or decline, and PPRO's sandbox form beside it.

use std::collections::HashMap;

use gopay_core::money::Rupiah;
use gopay_core::time::Timestamp;
use gopay_pages::{Language, Width, hour_of_jakarta, rupiah, span};
use maud::{Markup, html};

use super::{fields, layout, message_page, state_pill};
use crate::api::{ApiReply, ApiRequest};
use crate::config::{Tier, WalletConfig};
use crate::engine::Engine;
use crate::transaction::{Payment, PaymentOption, QrisKind, Status, Transaction};
use crate::wallet::{PAY_LATER_MAX, Payer, QRIS_MAX, Via, WalletError};

/// PPRO's sandbox form: value, label, and what it does upstream. PPRO expects the payment to end
/// with a failed result, while a real wallet would leave it pending; "pay" and "decline" of the
/// page do as the wallet does.
const RESULTS: [(&str, &str, SandboxEnd); 7] = [
    ("succeeded", "Succeeded", SandboxEnd::Settle),
    ("failed_user_abort", "Failed User Abort", SandboxEnd::Become(Status::Cancel)),
    ("failed_timeout", "Failed Timeout", SandboxEnd::Become(Status::Expire)),
    ("failed_unknown", "Failed Unknown", SandboxEnd::Become(Status::Failure)),
    ("failed_remote_decline", "Failed Remote Decline", SandboxEnd::Become(Status::Deny)),
    ("failed_remote_error", "Failed Remote Error", SandboxEnd::Become(Status::Failure)),
    ("pending", "Pending", SandboxEnd::Nothing),
];

#[derive(Clone, Copy)]
enum SandboxEnd {
    Settle,
    Become(Status),
    Nothing,
}

/// What the submitted form asks for.
enum Choice {
    Pay(Payer),
    Decline,
    Sandbox(SandboxEnd),
}

impl Engine {
    /// `GET` shows the page, `POST` takes either form.
    pub(crate) fn checkout(&mut self, now: Timestamp, request: &ApiRequest) -> ApiReply {
        let query = fields(request.query.as_bytes());
        let reference = query.get("referenceid").map_or("", String::as_str);
        let Some(index) = self.find_reference(reference) else {
            return message_page(404, "Unknown payment", "This payment does not exist.");
        };
        let registered =
            self.transactions.get(index).and_then(|transaction| transaction.callback.as_ref());
        let given = query.get("callback_url").filter(|url| !url.is_empty());
        // Only ever to where the charge wanted to, so that no link can lead a shopper elsewhere.
        if given.is_some() && given != registered {
            let text = "The return address does not belong to this payment.";
            return message_page(400, "Wrong return address", text);
        }
        let via = match query.get("via").map(String::as_str) {
            Some("qris") => Via::Qris,
            Some(_) | None => Via::Gopay,
        };
        match request.method.as_str() {
            "GET" | "HEAD" => self.page(now, index, via, None),
            "POST" => self.submit(now, index, via, &fields(&request.body)),
            _ => message_page(405, "Not possible", "This page is read or submitted."),
        }
    }

    fn submit(
        &mut self,
        now: Timestamp,
        index: usize,
        via: Via,
        form: &HashMap<String, String>,
    ) -> ApiReply {
        let Some(choice) = choice(form, via) else {
            return message_page(400, "Unknown choice", "The form was not filled in as expected.");
        };
        let pending =
            self.transactions.get(index).is_some_and(|found| found.status == Status::Pending);
        let outcome = match choice {
            _ if !pending => Ok(()),
            Choice::Decline | Choice::Sandbox(SandboxEnd::Nothing) => Ok(()),
            Choice::Pay(payer) => self.pay_at(now, index, &payer),
            Choice::Sandbox(SandboxEnd::Become(status)) => self.end_at(now, index, status),
            Choice::Sandbox(SandboxEnd::Settle) => {
                let option = PaymentOption::GopayWallet;
                let qris = (via == Via::Qris).then(QrisKind::default);
                self.record_payment(now, index, Payment { at: now, option, qris, wallet: None });
                Ok(())
            }
        };
        match outcome {
            Err(refusal) => self.page(now, index, via, Some(&refusal)),
            Ok(()) => match self.transactions.get(index).and_then(|found| back(found, via)) {
                Some(location) => ApiReply::see_other(location),
                None => self.page(now, index, via, None),
            },
        }
    }

    fn page(
        &self,
        now: Timestamp,
        index: usize,
        via: Via,
        refusal: Option<&WalletError>,
    ) -> ApiReply {
        let Some(transaction) = self.transactions.get(index) else {
            return message_page(404, "Unknown payment", "This payment does not exist.");
        };
        let content = html! {
            @if let Some(refusal) = refusal {
                p.alert.fail role="alert" { "Not paid: " (refusal) ". You can try again." }
            }
            div.card.gopay {
                p.to { (self.config.merchant_name) }
                p.amount { (rupiah(transaction.amount)) }
                p.note { "Order " (transaction.order_id) }
            }
            @if transaction.status == Status::Pending {
                (self.wallet_form(now, index, transaction.amount, via))
                (sandbox_form())
            } @else {
                p { (state_pill(transaction.status)) " " (state_text(transaction.status)) }
                @if let Some(location) = back(transaction, via) {
                    p { a.button href=(location) { "Back to the merchant" } }
                }
            }
            p.note {
                "This is a simulator: no money moves. "
                a href=(format!("/simulator/transactions/{}", transaction.id)) { "Its side of this payment" }
            }
        };
        layout(200, "Pay with GoPay", Width::Phone, &content)
    }

    fn wallet_form(&self, now: Timestamp, index: usize, amount: u64, via: Via) -> Markup {
        let left = span(self.time_left(index, now), Language::English);
        let until = self.transactions.get(index).map(|found| found.expires_at.wib_seconds());
        html! {
            form.card method="post" {
                fieldset {
                    legend { "Pay with" }
                    @for (position, wallet) in self.config.wallets.iter().enumerate() {
                        label.choice {
                            input type="radio" name="wallet" value=(wallet.name) checked[position == 0];
                            b { (wallet.label) }
                            span { (self.means(position, wallet, via)) }
                        }
                    }
                }
                label for="pin" { "PIN" }
                input id="pin" name="pin" type="password" inputmode="numeric" maxlength="12"
                    autocomplete="off" aria-describedby="pinhint";
                p.note id="pinhint" { (self.pin_hint()) }
                button.button type="submit" name="action" value="pay" { "Pay " (rupiah(amount)) }
                button.button.plain type="submit" name="action" value="decline" { "Decline" }
                p.note {
                    "Time left: " (left)
                    @if let Some(until) = until { ", until " (hour_of_jakarta(&until)) }
                    ". Declining leaves the payment open, as in the GoPay app."
                }
            }
        }
    }

    /// What a wallet holds, and what it may pay at once.
    fn means(&self, position: usize, wallet: &WalletConfig, via: Via) -> String {
        let (tier, most) = match wallet.tier {
            Tier::Unverified if !self.config.allow_unverified => {
                return "Not verified: may not pay here".to_owned();
            }
            Tier::Unverified => ("Not verified", Rupiah::MAX_UNVERIFIED),
            Tier::Verified => ("Verified", Rupiah::MAX),
            Tier::PayLater => ("Credit", PAY_LATER_MAX),
        };
        let most = if via == Via::Qris { most.min(QRIS_MAX) } else { most };
        let balance = match self.wallet_balances.get(position).copied().flatten() {
            Some(balance) => format!("balance {}", rupiah(balance)),
            None => "balance without end".to_owned(),
        };
        format!("{tier}, {balance}, up to {} at once", rupiah(most))
    }

    /// The PIN is no secret here: whoever tries the simulator has to know it.
    fn pin_hint(&self) -> String {
        let wallets = &self.config.wallets;
        let first = wallets.first().map_or("", |wallet| wallet.pin.as_str());
        if wallets.iter().all(|wallet| wallet.pin == first) {
            return format!("The PIN is {first}. Any other is refused.");
        }
        let each: Vec<String> =
            wallets.iter().map(|wallet| format!("{} for {}", wallet.pin, wallet.label)).collect();
        format!("The PIN is {}.", each.join(", "))
    }
}

fn choice(form: &HashMap<String, String>, via: Via) -> Option<Choice> {
    if let Some(result) = form.get("result") {
        return RESULTS
            .iter()
            .find(|(value, _, _)| value == result)
            .map(|(_, _, end)| Choice::Sandbox(*end));
    }
    match form.get("action").map(String::as_str) {
        Some("decline") => Some(Choice::Decline),
        Some("pay") => Some(Choice::Pay(Payer {
            wallet: form.get("wallet").cloned().unwrap_or_default(),
            pin: Some(form.get("pin").cloned().unwrap_or_default()),
            via,
            ..Payer::default()
        })),
        Some(_) | None => None,
    }
}

fn sandbox_form() -> Markup {
    html! {
        form.card method="post" {
            h2 { "Sandbox form" }
            p.note {
                "The same form as PPRO's sandbox has: browser tests that choose a result and submit it run here "
                "unchanged. It ends the payment past the wallet, without PIN and limits."
            }
            label for="result" { "Result" }
            select id="result" name="result" {
                @for (value, label, _) in &RESULTS {
                    option value=(value) { (label) }
                }
            }
            button.button.plain id="submitbutton" type="submit" { "Submit result" }
        }
    }
}

/// The registered return URL with the result; it carries `?order_id=` already. Scanning a QR code
/// never leads back.
fn back(transaction: &Transaction, via: Via) -> Option<String> {
    if via == Via::Qris {
        return None;
    }
    let result = if transaction.status.is_paid() { "success" } else { "failure" };
    transaction.callback.as_ref().map(|callback| format!("{callback}&result={result}"))
}

const fn state_text(status: Status) -> &'static str {
    match status {
        Status::Pending => "Waiting for payment.",
        Status::Settlement => "Paid. Thank you.",
        Status::Expire => "The time to pay is over.",
        Status::Cancel => "The payment was cancelled.",
        Status::Deny => "The payment was denied.",
        Status::Failure => "The payment failed.",
        Status::PartialRefund => "Paid, and partly given back.",
        Status::Refund => "Paid, and given back.",
        Status::PartialChargeback => "Paid, and partly taken back.",
        Status::Chargeback => "Paid, and taken back.",
    }
}
