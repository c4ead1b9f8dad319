-- The journal, and what was not kept of payments and refunds before.
--
-- What version 1 wrote into the trails is entered, in the order of its times: nothing that the
-- journal's readers need is older than their journal.

ALTER TABLE payments ADD COLUMN paid_at_source    TEXT CHECK (paid_at_source IN ('midtrans', 'adapter')); -- whose time paid_at is
ALTER TABLE payments ADD COLUMN payment_type      TEXT;   -- Midtrans' payment_type of the money
ALTER TABLE payments ADD COLUMN payment_option    TEXT;   -- Midtrans' payment_option_type of the money
ALTER TABLE payments ADD COLUMN first_failed_at   BIGINT; -- when it failed first; stays after late money
ALTER TABLE payments ADD COLUMN first_fail_reason TEXT;   -- FAILREASON of that; set with first_failed_at

ALTER TABLE refunds ADD COLUMN midtrans_id        TEXT;   -- Midtrans' number of the refund
ALTER TABLE refunds ADD COLUMN midtrans_at        BIGINT; -- when Midtrans took it on, by its clock
ALTER TABLE refunds ADD COLUMN funds_confirmed_at BIGINT; -- bank_confirmed_at: the money is back

-- What happened to money: append-only, in the order of commits of each shard. Entries may outlive
-- their payment's row. A new kind is a new word, so the words are not checked here.
CREATE TABLE journal (
    shard          BIGINT NOT NULL, -- (tx_id >> 12) & 1023: the instance that made the payment
    seq            BIGINT NOT NULL, -- 1, 2, 3 ... within the shard
    at             BIGINT NOT NULL, -- when it was recorded
    kind           TEXT   NOT NULL, -- a stable word: opened, succeeded, refund_requested ...
    tx_id          BIGINT NOT NULL, -- the payment
    refund_id      BIGINT,          -- the refund, if it is about one
    amount_sen     BIGINT,          -- how much it is about; below zero only in an adjustment
    reason         TEXT,            -- FAILREASON, of failures
    midtrans_id    TEXT,            -- transaction_id, or Midtrans' number of the refund
    midtrans_at    BIGINT,          -- when it happened by Midtrans' clock, if it said so
    payment_type   TEXT,            -- Midtrans' payment_type of the money
    payment_option TEXT,            -- Midtrans' payment_option_type of the money
    PRIMARY KEY (shard, seq)
);

-- The last entry of each shard, also when entries have been archived. Its row is locked from the
-- last statement of a transaction to its end: so the order of seq is the order of commits, and
-- there are no gaps. New versions of a row stay on its page, which has room for them.
CREATE TABLE journal_heads (
    shard BIGINT NOT NULL PRIMARY KEY, -- as in journal
    seq   BIGINT NOT NULL              -- of its last entry
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Midtrans' times are whole seconds; ours equals the time of the state.
UPDATE payments SET paid_at_source = CASE WHEN paid_at = final_at THEN 'adapter' ELSE 'midtrans' END
WHERE paid_at IS NOT NULL;

UPDATE payments p SET first_failed_at = f.at, first_fail_reason = f.reason
FROM (
    SELECT DISTINCT ON (e.tx_id) e.tx_id, e.at, e.detail::json ->> 'reason' AS reason
    FROM events e
    WHERE e.kind = 'state' AND e.detail::json ->> 'to' = 'failed'
    ORDER BY e.tx_id, e.seq) f
WHERE f.tx_id = p.tx_id;

-- Calls that were refused at once never moved.
UPDATE payments SET first_failed_at = final_at, first_fail_reason = fail_reason
WHERE state = 'failed' AND first_failed_at IS NULL;

INSERT INTO journal (shard, seq, at, kind, tx_id, refund_id, amount_sen, reason, midtrans_id, midtrans_at)
SELECT (tx_id >> 12) & 1023,
    row_number() OVER (PARTITION BY (tx_id >> 12) & 1023 ORDER BY at, tx_id, place),
    at, kind, tx_id, refund_id, amount_sen, reason, midtrans_id, midtrans_at
FROM (
    SELECT p.tx_id, 0::bigint AS place, p.created_at AS at, 'failed' AS kind,
        NULL::bigint AS refund_id, p.amount_sen, p.fail_reason AS reason,
        p.midtrans_tx_id AS midtrans_id, NULL::bigint AS midtrans_at
    FROM payments p
    WHERE p.state = 'failed' AND NOT EXISTS (
        SELECT FROM events e WHERE e.tx_id = p.tx_id AND e.kind = 'state')
    UNION ALL
    SELECT e.tx_id, e.seq, e.at,
        CASE e.detail::json ->> 'to'
            WHEN 'pending' THEN 'opened'
            WHEN 'failed' THEN 'failed'
            ELSE CASE e.detail::json ->> 'from'
                WHEN 'failed' THEN 'succeeded_late' ELSE 'succeeded' END
        END,
        NULL, p.amount_sen, e.detail::json ->> 'reason', p.midtrans_tx_id,
        CASE WHEN e.detail::json ->> 'to' = 'succeeded' AND p.paid_at_source = 'midtrans'
            THEN p.paid_at END
    FROM events e JOIN payments p ON p.tx_id = e.tx_id
    WHERE e.kind = 'state' AND e.detail::json ->> 'verdict' = 'moved'
    UNION ALL
    SELECT e.tx_id, e.seq, e.at,
        CASE e.detail::json ->> 'to'
            WHEN 'unresolved' THEN 'refund_requested'
            WHEN 'succeeded' THEN 'refund_succeeded'
            ELSE 'refund_failed'
        END,
        (e.detail::json ->> 'refund_id')::bigint, (e.detail::json ->> 'amount_sen')::bigint,
        e.detail::json ->> 'reason', NULL, NULL
    FROM events e
    WHERE e.kind = 'refund'
    UNION ALL
    SELECT r.tx_id, 0, r.resolved_at, 'refund_failed', r.refund_id, r.amount_sen, r.fail_reason,
        NULL, NULL
    FROM refunds r
    WHERE r.state = 'failed' AND NOT EXISTS (
        SELECT FROM events e WHERE e.tx_id = r.tx_id AND e.kind = 'refund'
            AND e.detail::json ->> 'refund_id' = r.refund_id::text)) old;

INSERT INTO journal_heads (shard, seq) SELECT shard, max(seq) FROM journal GROUP BY shard;
