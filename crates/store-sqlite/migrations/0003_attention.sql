-- What needs a person, refunds that were made at Midtrans itself.

ALTER TABLE payments ADD COLUMN doubt       TEXT;    -- money at Midtrans that does not fit it, as JSON
ALTER TABLE payments ADD COLUMN at_risk_sen INTEGER; -- how much; set as long as a person must decide

-- The list of what needs a person.
CREATE INDEX payments_at_risk ON payments (at_risk_sen) WHERE at_risk_sen IS NOT NULL;

ALTER TABLE refunds ADD COLUMN origin       TEXT;    -- none: the PSP asked; dashboard, chargeback: made at Midtrans itself
ALTER TABLE refunds ADD COLUMN midtrans_key TEXT;    -- refund_key of one made there, if it has one

-- Money at Midtrans under order ids that are ours by form, of which the store knows no payment.
CREATE TABLE unknown_orders (
    tx_id          INTEGER NOT NULL PRIMARY KEY, -- order_id
    channel        TEXT    NOT NULL,             -- whose account it is in
    status         TEXT    NOT NULL,             -- Midtrans' transaction_status, when it was seen last
    midtrans_tx_id TEXT   ,                      -- Midtrans' transaction_id
    amount_sen     INTEGER,                      -- gross_amount, if it can be read
    first_seen_at  INTEGER NOT NULL,             -- when
    last_seen_at   INTEGER NOT NULL,             -- when
    seen           INTEGER NOT NULL,             -- how often
    verdict        TEXT   ,                      -- what a person decided
    reason         TEXT   ,                      -- why; set with verdict
    resolved_by    TEXT   ,                      -- who; set with verdict
    resolved_at    INTEGER                       -- when; set with verdict
) STRICT;

CREATE INDEX unknown_orders_open ON unknown_orders (first_seen_at) WHERE resolved_at IS NULL;
