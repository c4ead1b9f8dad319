//! The wallet: a page to pay or decline, and PPRO's sandbox form beside it.

use std::collections::HashMap;

use gopay_core::time::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::api::{ApiReply, ApiRequest, HTML};
use crate::engine::Engine;
use crate::transaction::{Payment, PaymentOption, QrisKind, Status, Transaction};
use crate::wallet::{Payer, Via, WalletError};

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
            p.merchant { (self.config.merchant_name) }
            p.amount { (rupiah(transaction.amount)) }
            p.order { "Order " (transaction.order_id) }
            @if let Some(refusal) = refusal {
                p.alert role="alert" { "Not paid: " (refusal) ". You can try again." }
            }
            @if transaction.status == Status::Pending {
                (self.wallet_form(now, index))
                (sandbox_form())
            } @else {
                p.state { (state_text(transaction.status)) }
                @if let Some(location) = back(transaction, via) {
                    p { a.button href=(location) { "Back to the merchant" } }
                }
            }
        };
        layout(200, "GoPay simulator", &content)
    }

    fn wallet_form(&self, now: Timestamp, index: usize) -> Markup {
        let minutes = self.time_left(index, now).as_secs().div_ceil(60);
        html! {
            form method="post" {
                label for="wallet" { "Pay with" }
                select id="wallet" name="wallet" {
                    @for wallet in &self.config.wallets {
                        option value=(wallet.name) { (wallet.label) }
                    }
                }
                label for="pin" { "PIN" }
                input id="pin" name="pin" type="password" inputmode="numeric" maxlength="12"
                    autocomplete="off";
                button.button type="submit" name="action" value="pay" { "Pay" }
                button.plain type="submit" name="action" value="decline" { "Decline" }
                p.note { "Open for " (minutes) " more min. Declining leaves the payment open." }
            }
        }
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
        form.sandbox method="post" {
            label for="result" { "Test result" }
            select id="result" name="result" {
                @for (value, label, _) in &RESULTS {
                    option value=(value) { (label) }
                }
            }
            button.plain id="submitbutton" type="submit" { "Submit result" }
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

/// `Rp 1.250.000`, as Indonesia writes it.
fn rupiah(amount: u64) -> String {
    let digits = amount.to_string();
    let mut grouped = String::from("Rp ");
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    grouped
}

fn fields(form: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}

fn message_page(status: u16, title: &str, text: &str) -> ApiReply {
    layout(status, title, &html! { p.state { (text) } })
}

const STYLE: &str = "body{margin:0;background:#f2f5f7;font:16px/1.5 system-ui,sans-serif;color:#1c2430}\
main{max-width:24rem;margin:0 auto;padding:1.5rem 1rem}\
h1{font-size:1.1rem;margin:0 0 1rem;color:#006b83}\
.merchant{margin:0;color:#526070}.amount{margin:0;font-size:2rem;font-weight:700}\
.order{margin:0 0 1rem;color:#526070;word-break:break-all}\
form{background:#fff;border-radius:.75rem;padding:1rem;margin:0 0 1rem}\
label{display:block;font-weight:600;margin:.5rem 0 .25rem}\
select,input{box-sizing:border-box;width:100%;font:inherit;padding:.6rem;border:1px solid #aab6c2;border-radius:.5rem;background:#fff}\
button,.button{display:block;box-sizing:border-box;width:100%;margin-top:.75rem;padding:.75rem;border-radius:.5rem;font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}\
.button{background:#00718a;color:#fff;border:0}.plain{background:#fff;color:#00576b;border:1px solid #00718a}\
.alert{background:#fdecea;color:#8a1c12;border-radius:.5rem;padding:.75rem}\
.note{color:#526070;font-size:.875rem;margin:.75rem 0 0}.sandbox{border:1px dashed #aab6c2}";

fn layout(status: u16, title: &str, content: &Markup) -> ApiReply {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (content) } }
        }
    };
    ApiReply::new(status, HTML, page.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_thousands() {
        for (amount, text) in [
            (1, "Rp 1"),
            (999, "Rp 999"),
            (1_000, "Rp 1.000"),
            (125_000, "Rp 125.000"),
            (20_000_000, "Rp 20.000.000"),
        ] {
            assert_eq!(rupiah(amount), text);
        }
    }
}
