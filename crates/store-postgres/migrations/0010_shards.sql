-- The shard first in every key: a table of payments, or of what belongs to one, can be partitioned by it
-- or distributed over nodes by it, and each statement of a step touches one part.
--
-- The shard is the number in bits 12 to 21 of the TXID: of the instance that made the payment. A refund, a
-- delivery and a record stand in their payment's shard. Nonces and references have no TXID, and their indexes
-- no shard.
--
-- Each table is written once more, its indexes are made anew.

ALTER TABLE payments
    DROP CONSTRAINT payments_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- (tx_id >> 12) & 1023
DROP INDEX payments_due;
DROP INDEX payments_at_risk;
ALTER TABLE payments
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE payments
    ADD CONSTRAINT payments_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, tx_id);
-- The queue of the worker that asks Midtrans.
CREATE INDEX payments_due ON payments (shard, next_check_at, tx_id) WHERE next_check_at IS NOT NULL;
-- The list of what needs a person.
CREATE INDEX payments_at_risk ON payments (shard, at_risk_sen) WHERE at_risk_sen IS NOT NULL;

ALTER TABLE payment_requests
    DROP CONSTRAINT payment_requests_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- as in payments
ALTER TABLE payment_requests
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE payment_requests
    ADD CONSTRAINT payment_requests_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, tx_id);

ALTER TABLE payment_keys
    DROP CONSTRAINT payment_keys_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- as in payments
ALTER TABLE payment_keys
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE payment_keys
    ADD CONSTRAINT payment_keys_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, tx_id);

ALTER TABLE erasures
    DROP CONSTRAINT erasures_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- as in payments
ALTER TABLE erasures
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE erasures
    ADD CONSTRAINT erasures_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, tx_id);

ALTER TABLE events
    DROP CONSTRAINT events_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- as in payments
ALTER TABLE events
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE events
    ADD CONSTRAINT events_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, tx_id, seq);

ALTER TABLE deliveries
    DROP CONSTRAINT deliveries_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- as in payments
DROP INDEX deliveries_of_payment;
DROP INDEX deliveries_due;
ALTER TABLE deliveries
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE deliveries
    ADD CONSTRAINT deliveries_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, delivery_id);
CREATE INDEX deliveries_of_payment ON deliveries (shard, tx_id);
-- The queue of the delivery worker.
CREATE INDEX deliveries_due ON deliveries (shard, next_attempt_at, delivery_id) WHERE state = 'waiting';

ALTER TABLE refunds
    DROP CONSTRAINT refunds_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- as in payments; ids drawn before may have another number
DROP INDEX refunds_of_payment;
DROP INDEX refunds_due;
ALTER TABLE refunds
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE refunds
    ADD CONSTRAINT refunds_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, refund_id);
CREATE INDEX refunds_of_payment ON refunds (shard, tx_id);
-- The queue of the worker that looks after unresolved refunds.
CREATE INDEX refunds_due ON refunds (shard, next_check_at, refund_id) WHERE next_check_at IS NOT NULL;

ALTER TABLE unknown_orders
    DROP CONSTRAINT unknown_orders_pkey,
    ADD COLUMN shard SMALLINT NOT NULL DEFAULT 0; -- as in payments
DROP INDEX unknown_orders_open;
ALTER TABLE unknown_orders
    ALTER COLUMN shard DROP DEFAULT,
    ALTER COLUMN shard TYPE SMALLINT USING CAST((tx_id >> 12) & 1023 AS smallint);
ALTER TABLE unknown_orders
    ADD CONSTRAINT unknown_orders_shard CHECK (shard = (tx_id >> 12) & 1023),
    ADD PRIMARY KEY (shard, tx_id);
CREATE INDEX unknown_orders_open ON unknown_orders (shard, first_seen_at) WHERE resolved_at IS NULL;

-- The other tables with a shard have it in the same type, so that rows of a shard stand together.
ALTER TABLE journal ALTER COLUMN shard TYPE SMALLINT;
ALTER TABLE journal_heads ALTER COLUMN shard TYPE SMALLINT;
ALTER TABLE day_sums ALTER COLUMN shard TYPE SMALLINT;

-- The first plans would take the new indexes for those of empty tables.
ANALYZE payments, payment_requests, payment_keys, erasures, events, deliveries, refunds, unknown_orders,
    journal, journal_heads, day_sums;
