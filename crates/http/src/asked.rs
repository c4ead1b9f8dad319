//! What a query asks of a list: filters, order, place. The same words for the console and for JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::Channel;
use gopay_core::time::Timestamp;
use gopay_service::desk::{
    AdjustmentFilter, AdjustmentState, AuditFilter, BreakFilter, BreakOrder, DeliveryFilter,
    DeliveryState, Order, Page, PaymentFilter, PaymentStateWord, RefundFilter, RefundStateWord,
    Times, Walk, Which,
};

/// The parameters of a query; of one that is there twice, the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(BTreeMap<String, String>);

/// A parameter is not what it must be: names it, and what would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedError(pub String);

impl Asked {
    /// Reads a query, or the body of a form.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.trim().to_owned())).collect())
    }

    /// A parameter, if it is there and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The same query with other parameters, as text; an empty one is left out.
    #[must_use]
    pub fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut all = self.0.clone();
        all.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (name, value) in all.iter().filter(|(_, value)| !value.is_empty()) {
            out.append_pair(name, value);
        }
        out.finish()
    }

    fn word<T>(
        &self,
        name: &str,
        of: impl Fn(&str) -> Option<T>,
        wanted: &str,
    ) -> Result<Option<T>, AskedError> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => match of(text) {
                Some(value) => Ok(Some(value)),
                None => Err(AskedError(format!("{name}: must be {wanted}"))),
            },
        }
    }

    /// Which payments.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    pub fn payments(&self) -> Result<PaymentFilter, AskedError> {
        const STATES: [PaymentStateWord; 4] = [
            PaymentStateWord::Initialized,
            PaymentStateWord::Pending,
            PaymentStateWord::Succeeded,
            PaymentStateWord::Failed,
        ];
        let state = |text: &str| STATES.into_iter().find(|state| state.as_str() == text);
        Ok(PaymentFilter {
            state: self.word("state", state, "initialized, pending, succeeded or failed")?,
            psp: self.text("psp"),
            contract: self.text("contract"),
            channel: self.word("channel", channel, "testchannel or livechannel")?,
            merchant_tx_id: self.text("merchanttxid"),
            midtrans_tx_id: self.text("midtransid").map(|id| id.to_lowercase()),
            amount: self.word("amount", amount, "whole rupiah, such as 125000")?,
            called: self.called()?,
        })
    }

    /// Which refunds.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    pub fn refunds(&self) -> Result<RefundFilter, AskedError> {
        const STATES: [RefundStateWord; 3] =
            [RefundStateWord::Unresolved, RefundStateWord::Succeeded, RefundStateWord::Failed];
        let state = |text: &str| STATES.into_iter().find(|state| state.as_str() == text);
        Ok(RefundFilter {
            state: self.word("state", state, "unresolved, succeeded or failed")?,
            psp: self.text("psp"),
            contract: self.text("contract"),
            called: self.called()?,
        })
    }

    /// Which notifications to PSPs.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    pub fn deliveries(&self) -> Result<DeliveryFilter, AskedError> {
        const STATES: [DeliveryState; 3] =
            [DeliveryState::Waiting, DeliveryState::Delivered, DeliveryState::GivenUp];
        let state = |text: &str| STATES.into_iter().find(|state| state.as_str() == text);
        Ok(DeliveryFilter {
            state: self.word("state", state, "waiting, delivered or given_up")?,
            psp: self.text("psp"),
        })
    }

    /// Which corrections of settlements.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    pub fn adjustments(&self) -> Result<AdjustmentFilter, AskedError> {
        let state = |text: &str| AdjustmentState::ALL.into_iter().find(|one| one.as_str() == text);
        Ok(AdjustmentFilter {
            state: self.word("state", state, "asked or approved")?,
            contract: self.text("contract"),
        })
    }

    fn called(&self) -> Result<Times, AskedError> {
        const WANTED: &str = "a day such as 2026-01-31, or a time such as 2026-01-31T08:00:00Z";
        Ok(Times {
            from: self.word("from", |text| time(text, false), WANTED)?,
            until: self.word("until", |text| time(text, true), WANTED)?,
        })
    }

    /// Which page, with so many rows unless `limit` says otherwise.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    pub fn page(&self, limit: usize) -> Result<Page, AskedError> {
        let order = self.order()?;
        let after = self.word("after", |text| text.parse().ok(), "what `next` said")?;
        Ok(Page { after, ..Page::first(order, self.limit(limit)?) })
    }

    /// How many rows.
    ///
    /// # Errors
    /// If it is not a number of them.
    pub fn limit(&self, usual: usize) -> Result<usize, AskedError> {
        let number =
            |text: &str| text.parse().ok().filter(|rows| (1..=Page::LIMIT_MAX).contains(rows));
        let wanted = format!("a number from 1 to {}", Page::LIMIT_MAX);
        Ok(self.word("limit", number, &wanted)?.unwrap_or(usual))
    }

    fn order(&self) -> Result<Order, AskedError> {
        let order = |text: &str| match text {
            "newest" => Some(Order::NewestFirst),
            "oldest" => Some(Order::OldestFirst),
            _ => None,
        };
        Ok(self.word("order", order, "newest or oldest")?.unwrap_or_default())
    }

    /// Where one is in a list whose rows have numbers: `before` one if the newest come first, else
    /// `after` it.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    pub fn walk(&self) -> Result<Walk, AskedError> {
        let order = self.order()?;
        let from = self.word(place_of(order), |text| text.parse().ok(), "what `next` said")?;
        Ok(Walk { order, from })
    }

    /// Which acts of operators.
    #[must_use]
    pub fn acts(&self) -> AuditFilter {
        AuditFilter { who: self.text("who"), what: self.text("what") }
    }

    /// Which breaks, of these kinds.
    ///
    /// # Errors
    /// Names the parameter that is wrong.
    pub fn breaks(&self, kinds: &[&str]) -> Result<BreakFilter, AskedError> {
        let which = |text: &str| Which::ALL.into_iter().find(|one| one.as_str() == text);
        let order = |text: &str| BreakOrder::ALL.into_iter().find(|one| one.as_str() == text);
        let kind = |text: &str| kinds.contains(&text).then(|| text.to_owned());
        let which = self.word("which", which, "open, undecided, unapproved or all")?;
        Ok(BreakFilter {
            which: which.unwrap_or(Which::Open),
            kind: self.word("kind", kind, &format!("one of {}", kinds.join(", ")))?,
            order: self.word("order", order, "id, risk or age")?.unwrap_or_default(),
        })
    }
}

/// The parameter that says where a list of this order goes on.
#[must_use]
pub const fn place_of(order: Order) -> &'static str {
    match order {
        Order::NewestFirst => "before",
        Order::OldestFirst => "after",
    }
}

fn channel(text: &str) -> Option<Channel> {
    [Channel::Test, Channel::Live].into_iter().find(|channel| channel.as_str() == text)
}

/// Whole rupiah, with or without stops between thousands.
#[must_use]
pub fn amount(text: &str) -> Option<Sen> {
    let mut parts = text.split('.');
    let first = parts.next()?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let thousands = parts.clone().next().is_some();
    let grouped =
        thousands && first.len() <= 3 && parts.all(|part| part.len() == 3 && digits(part));
    let plain = if grouped { text.replace('.', "") } else { text.to_owned() };
    digits(&plain).then_some(())?;
    Rupiah::from_decimal_text(&plain).ok().map(|amount| amount.sen())
}

/// A time, or the beginning of a day; of a day that is the last one, the beginning of the next.
fn time(text: &str, last: bool) -> Option<Timestamp> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    if text.len() != 10 {
        return Timestamp::from_rfc3339(text).ok();
    }
    let day = Timestamp::from_rfc3339(&format!("{text}T00:00:00Z")).ok()?;
    Some(if last { day.after(DAY) } else { day })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_or_named() {
        for (query, wrong) in [
            ("", None),
            ("state=&amount=&from=", None),
            ("state=pending&channel=testchannel&amount=125.000&order=oldest&limit=500", None),
            ("from=2026-01-31&until=2026-01-31T08:00:00Z", None),
            ("state=paid", Some("state")),
            ("channel=test", Some("channel")),
            ("amount=1,5", Some("amount")),
            ("amount=12.50", Some("amount")),
            ("amount=-1", Some("amount")),
            ("from=yesterday", Some("from")),
            ("until=2026-02-30", Some("until")),
            ("order=up", Some("order")),
            ("after=x", Some("after")),
            ("limit=0", Some("limit")),
            ("limit=501", Some("limit")),
        ] {
            let asked = Asked::read(query.as_bytes());
            let read = asked.payments().map(drop).and_then(|()| asked.page(50).map(drop));
            let named =
                read.err().map(|AskedError(text)| text.split(':').next().unwrap().to_owned());
            assert_eq!(named.as_deref(), wrong, "{query}");
        }
        for (state, refund, delivery) in
            [("unresolved", true, false), ("given_up", false, true), ("pending", false, false)]
        {
            let asked = Asked::read(format!("state={state}").as_bytes());
            assert_eq!((asked.refunds().is_ok(), asked.deliveries().is_ok()), (refund, delivery));
        }
    }

    #[test]
    fn amounts_are_rupiah_as_they_are_written() {
        for (text, sen) in [
            ("1", Some(100)),
            ("125000", Some(12_500_000)),
            ("125.000", Some(12_500_000)),
            ("1.250.000", Some(125_000_000)),
            ("1250.000", None),
            ("1.25", None),
            ("1.", None),
            (".5", None),
            ("", None),
        ] {
            assert_eq!(amount(text).map(Sen::get), sen, "{text}");
        }
    }

    #[test]
    fn the_last_day_is_inside() {
        let asked = Asked::read(b"from=2026-01-31&until=2026-01-31");
        let called = asked.payments().unwrap().called;
        let at = |text| Timestamp::from_rfc3339(text).unwrap();
        assert!(called.contain(at("2026-01-31T00:00:00Z")));
        assert!(called.contain(at("2026-01-31T23:59:59Z")));
        assert!(!called.contain(at("2026-02-01T00:00:00Z")));
        let next = asked.with(&[("after", "7"), ("until", "")]);
        assert_eq!(next, "after=7&from=2026-01-31");
    }
}
