-- The journal, and what was not kept of payments and refunds before.
--
-- What version 1 wrote into the trails is entered, in the order of its times: nothing that the
-- journal's readers need is older than their journal.

ALTER TABLE payments ADD COLUMN paid_at_source    TEXT CHECK (paid_at_source = 'midtrans' OR paid_at_source = 'adapter'); -- whose time paid_at is
ALTER TABLE payments ADD COLUMN payment_type      TEXT;    -- Midtrans' payment_type of the money
ALTER TABLE payments ADD COLUMN payment_option    TEXT;    -- Midtrans' payment_option_type of the money
ALTER TABLE payments ADD COLUMN first_failed_at   INTEGER; -- when it failed first; stays after late money
ALTER TABLE payments ADD COLUMN first_fail_reason TEXT;    -- FAILREASON of that; set with first_failed_at

ALTER TABLE refunds ADD COLUMN midtrans_id        TEXT;    -- Midtrans' number of the refund
ALTER TABLE refunds ADD COLUMN midtrans_at        INTEGER; -- when Midtrans took it on, by its clock
ALTER TABLE refunds ADD COLUMN funds_confirmed_at INTEGER; -- bank_confirmed_at: the money is back

-- What happened to money: append-only, in the order of commits of each shard. Entries may outlive
-- their payment's row. A new kind is a new word, so the words are not checked here.
CREATE TABLE journal (
    shard          INTEGER NOT NULL, -- (tx_id >> 12) & 1023: the instance that made the payment
    seq            INTEGER NOT NULL, -- 1, 2, 3 ... within the shard
    at             INTEGER NOT NULL, -- when it was recorded
    kind           TEXT    NOT NULL, -- a stable word: opened, succeeded, refund_requested ...
    tx_id          INTEGER NOT NULL, -- the payment
    refund_id      INTEGER,          -- the refund, if it is about one
    amount_sen     INTEGER,          -- how much it is about; below zero only in an adjustment
    reason         TEXT,             -- FAILREASON, of failures
    midtrans_id    TEXT,             -- transaction_id, or Midtrans' number of the refund
    midtrans_at    INTEGER,          -- when it happened by Midtrans' clock, if it said so
    payment_type   TEXT,             -- Midtrans' payment_type of the money
    payment_option TEXT,             -- Midtrans' payment_option_type of the money
    PRIMARY KEY (shard, seq)
) STRICT, WITHOUT ROWID;

-- The last entry of each shard, also when entries have been archived.
CREATE TABLE journal_heads (
    shard INTEGER NOT NULL PRIMARY KEY, -- as in journal
    seq   INTEGER NOT NULL              -- of its last entry
) STRICT;

-- Midtrans' times are whole seconds; ours equals the time of the state.
UPDATE payments SET paid_at_source = CASE WHEN paid_at = final_at THEN 'adapter' ELSE 'midtrans' END
WHERE paid_at IS NOT NULL;

UPDATE payments SET (first_failed_at, first_fail_reason) = (
    SELECT e.at, json_extract(e.detail, '$.reason') FROM events e
    WHERE e.tx_id = payments.tx_id AND e.kind = 'state'
        AND json_extract(e.detail, '$.to') = 'failed'
    ORDER BY e.seq LIMIT 1)
WHERE state = 'succeeded' OR state = 'failed';

-- Calls that were refused at once never moved.
UPDATE payments SET first_failed_at = final_at, first_fail_reason = fail_reason
WHERE state = 'failed' AND first_failed_at IS NULL;

INSERT INTO journal (shard, seq, at, kind, tx_id, refund_id, amount_sen, reason, midtrans_id, midtrans_at)
SELECT (tx_id >> 12) & 1023,
    row_number() OVER (PARTITION BY (tx_id >> 12) & 1023 ORDER BY at, tx_id, place),
    at, kind, tx_id, refund_id, amount_sen, reason, midtrans_id, midtrans_at
FROM (
    SELECT p.tx_id, 0 AS place, p.created_at AS at, 'failed' AS kind, NULL AS refund_id,
        p.amount_sen, p.fail_reason AS reason, p.midtrans_tx_id AS midtrans_id,
        NULL AS midtrans_at
    FROM payments p
    WHERE p.state = 'failed' AND NOT EXISTS (
        SELECT 1 FROM events e WHERE e.tx_id = p.tx_id AND e.kind = 'state')
    UNION ALL
    SELECT e.tx_id, e.seq, e.at,
        CASE json_extract(e.detail, '$.to')
            WHEN 'pending' THEN 'opened'
            WHEN 'failed' THEN 'failed'
            ELSE CASE json_extract(e.detail, '$.from')
                WHEN 'failed' THEN 'succeeded_late' ELSE 'succeeded' END
        END,
        NULL, p.amount_sen, json_extract(e.detail, '$.reason'), p.midtrans_tx_id,
        CASE WHEN json_extract(e.detail, '$.to') = 'succeeded' AND p.paid_at_source = 'midtrans'
            THEN p.paid_at END
    FROM events e JOIN payments p ON p.tx_id = e.tx_id
    WHERE e.kind = 'state' AND json_extract(e.detail, '$.verdict') = 'moved'
    UNION ALL
    SELECT e.tx_id, e.seq, e.at,
        CASE json_extract(e.detail, '$.to')
            WHEN 'unresolved' THEN 'refund_requested'
            WHEN 'succeeded' THEN 'refund_succeeded'
            ELSE 'refund_failed'
        END,
        CAST(json_extract(e.detail, '$.refund_id') AS INTEGER),
        json_extract(e.detail, '$.amount_sen'), json_extract(e.detail, '$.reason'), NULL, NULL
    FROM events e
    WHERE e.kind = 'refund'
    UNION ALL
    SELECT r.tx_id, 0, r.resolved_at, 'refund_failed', r.refund_id, r.amount_sen, r.fail_reason,
        NULL, NULL
    FROM refunds r
    WHERE r.state = 'failed' AND NOT EXISTS (
        SELECT 1 FROM events e WHERE e.tx_id = r.tx_id AND e.kind = 'refund'
            AND json_extract(e.detail, '$.refund_id') = CAST(r.refund_id AS TEXT)));

INSERT INTO journal_heads (shard, seq) SELECT shard, max(seq) FROM journal GROUP BY shard;
