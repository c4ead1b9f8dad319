-- What needs a person, refunds that were made at Midtrans itself, and who has claimed what.

ALTER TABLE payments ADD COLUMN doubt       TEXT;   -- money at Midtrans that does not fit it, as JSON
ALTER TABLE payments ADD COLUMN at_risk_sen BIGINT; -- how much; set as long as a person must decide

-- The list of what needs a person.
CREATE INDEX payments_at_risk ON payments (at_risk_sen) WHERE at_risk_sen IS NOT NULL;

ALTER TABLE refunds ADD COLUMN origin       TEXT;   -- none: the PSP asked; dashboard, chargeback: made at Midtrans itself
ALTER TABLE refunds ADD COLUMN midtrans_key TEXT;   -- refund_key of one made there, if it has one

-- Money at Midtrans under order ids that are ours by form, of which the store knows no payment.
CREATE TABLE unknown_orders (
    tx_id          BIGINT NOT NULL PRIMARY KEY, -- order_id
    channel        TEXT   NOT NULL,             -- whose account it is in
    status         TEXT   NOT NULL,             -- Midtrans' transaction_status, when it was seen last
    midtrans_tx_id TEXT  ,                      -- Midtrans' transaction_id
    amount_sen     BIGINT,                      -- gross_amount, if it can be read
    first_seen_at  BIGINT NOT NULL,             -- when
    last_seen_at   BIGINT NOT NULL,             -- when
    seen           BIGINT NOT NULL,             -- how often
    verdict        TEXT  ,                      -- what a person decided
    reason         TEXT  ,                      -- why; set with verdict
    resolved_by    TEXT  ,                      -- who; set with verdict
    resolved_at    BIGINT                       -- when; set with verdict
);

CREATE INDEX unknown_orders_open ON unknown_orders (first_seen_at) WHERE resolved_at IS NULL;

-- Instances share the store, so a claim says whose it is: what a dead instance had claimed is due at
-- once when its number is taken again. Not copied to other stores; SQLite has one holder.
ALTER TABLE refunds    ADD COLUMN leased_by BIGINT; -- number of the instance that claimed it last
ALTER TABLE deliveries ADD COLUMN leased_by BIGINT; -- the same
