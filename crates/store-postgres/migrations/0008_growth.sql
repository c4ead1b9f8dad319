-- Sums by day, kept in the same commits as what they sum; archives of what was over long ago.
--
-- A payment and its deliveries count for the day of its id, a refund for the day of its own, in UTC:
-- 19723 is 2024-01-01, on which ids begin, in days since 1970.

-- Steps that run side by side write rows of their own, which is what slot is for: nobody waits for
-- another's commit. A number of one row may be below zero, the sum over the slots is not. New versions
-- of a row stay on its page, which has room for them.
CREATE TABLE day_sums (
    shard                BIGINT NOT NULL, -- as in journal
    day                  BIGINT NOT NULL, -- days since 1970-01-01 UTC
    slot                 BIGINT NOT NULL, -- who wrote it
    initialized          BIGINT NOT NULL, -- payments that are initialized
    pending              BIGINT NOT NULL, -- pending
    succeeded            BIGINT NOT NULL, -- succeeded
    failed               BIGINT NOT NULL, -- failed
    succeeded_sen        BIGINT NOT NULL, -- succeeded payments together
    refunds_unresolved   BIGINT NOT NULL, -- refunds that are unresolved
    refunds_succeeded    BIGINT NOT NULL, -- succeeded
    refunds_failed       BIGINT NOT NULL, -- failed
    refunded_sen         BIGINT NOT NULL, -- succeeded refunds together
    deliveries_waiting   BIGINT NOT NULL, -- deliveries that wait
    deliveries_delivered BIGINT NOT NULL, -- were confirmed
    deliveries_given_up  BIGINT NOT NULL, -- were given up
    PRIMARY KEY (shard, day, slot)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO day_sums (shard, day, slot,
    initialized, pending, succeeded, failed, succeeded_sen, refunds_unresolved, refunds_succeeded,
    refunds_failed, refunded_sen, deliveries_waiting, deliveries_delivered, deliveries_given_up)
SELECT shard, day, 0,
    CAST(coalesce(sum(initialized), 0) AS bigint), CAST(coalesce(sum(pending), 0) AS bigint),
    CAST(coalesce(sum(succeeded), 0) AS bigint), CAST(coalesce(sum(failed), 0) AS bigint),
    CAST(coalesce(sum(succeeded_sen), 0) AS bigint),
    CAST(coalesce(sum(refunds_unresolved), 0) AS bigint),
    CAST(coalesce(sum(refunds_succeeded), 0) AS bigint),
    CAST(coalesce(sum(refunds_failed), 0) AS bigint),
    CAST(coalesce(sum(refunded_sen), 0) AS bigint),
    CAST(coalesce(sum(deliveries_waiting), 0) AS bigint),
    CAST(coalesce(sum(deliveries_delivered), 0) AS bigint),
    CAST(coalesce(sum(deliveries_given_up), 0) AS bigint)
FROM (
    SELECT (tx_id >> 12) & 1023 AS shard, 19723 + (tx_id >> 22) / 86400000 AS day,
        count(*) FILTER (WHERE state = 'initialized') AS initialized,
        count(*) FILTER (WHERE state = 'pending') AS pending,
        count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE state = 'failed') AS failed,
        sum(amount_sen) FILTER (WHERE state = 'succeeded') AS succeeded_sen,
        0 AS refunds_unresolved, 0 AS refunds_succeeded, 0 AS refunds_failed, 0 AS refunded_sen,
        0 AS deliveries_waiting, 0 AS deliveries_delivered, 0 AS deliveries_given_up
    FROM payments GROUP BY 1, 2
    UNION ALL
    SELECT (refund_id >> 12) & 1023, 19723 + (refund_id >> 22) / 86400000,
        0, 0, 0, 0, 0,
        count(*) FILTER (WHERE state = 'unresolved'),
        count(*) FILTER (WHERE state = 'succeeded'),
        count(*) FILTER (WHERE state = 'failed'),
        sum(amount_sen) FILTER (WHERE state = 'succeeded'),
        0, 0, 0
    FROM refunds GROUP BY 1, 2
    UNION ALL
    SELECT (tx_id >> 12) & 1023, 19723 + (tx_id >> 22) / 86400000,
        0, 0, 0, 0, 0, 0, 0, 0, 0,
        count(*) FILTER (WHERE state = 'waiting'),
        count(*) FILTER (WHERE state = 'delivered'),
        count(*) FILTER (WHERE state = 'given_up')
    FROM deliveries GROUP BY 1, 2) counted
GROUP BY shard, day;

-- Files into which calls and trails of payments went that were over long ago. Rows are only added, and
-- their last two columns written.
CREATE TABLE archives (
    archive       BIGINT NOT NULL PRIMARY KEY, -- 1, 2, 3 ...
    month         TEXT   NOT NULL, -- of which the payments are, YYYY-MM
    name          TEXT   NOT NULL, -- of its folder
    sha256        TEXT   NOT NULL, -- of the file of payments, in hexadecimal digits
    payments      BIGINT NOT NULL, -- in it
    events        BIGINT NOT NULL, -- records of trails in it
    succeeded_sen BIGINT NOT NULL, -- of succeeded payments in it together
    before_at     BIGINT NOT NULL, -- nothing in it is younger
    written_at    BIGINT NOT NULL, -- when it was written and read back
    taken         BIGINT NOT NULL, -- payments whose call and trail have left the store for it
    ended_at      BIGINT           -- when all had that were still as they are in it
);

-- Of what stays of a call whose payment's trail is in an archive.
ALTER TABLE payment_requests ADD COLUMN archive BIGINT; -- as in archives
