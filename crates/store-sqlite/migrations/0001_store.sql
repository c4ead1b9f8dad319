-- Payments, their trails, refunds and deliveries.
--
-- Times are microseconds since 1970-01-01 UTC. Amounts are sen, hundredths of a rupiah. States
-- and reasons are short stable words. They are checked with OR: for IN with more than two words SQLite
-- builds a table at each write.

-- One purchase. Rows stay small, because every event rewrites the page that its row is on: what
-- is long and never changes is in payment_requests.
CREATE TABLE payments (
    tx_id                 INTEGER NOT NULL PRIMARY KEY,  -- ours; grows with time
    client                TEXT    NOT NULL,              -- login of the PSP
    contract              TEXT    NOT NULL,              -- the merchant's contract
    channel               TEXT    CHECK (channel = 'testchannel' OR channel = 'livechannel'), -- none: refused because of it
    merchant_tx_id        TEXT,                          -- the PSP's reference as sent; repeats allowed
    merchant_tx_key       TEXT,                          -- the same in lower case, for look-ups
    amount_sen            INTEGER,                       -- none: refused because of it
    state                 TEXT    NOT NULL CHECK (state = 'initialized' OR state = 'pending' OR state = 'succeeded' OR state = 'failed'), -- our state
    fail_reason           TEXT,                          -- FAILREASON; set if and only if failed
    fail_message          TEXT,                          -- ERRMSG; set with fail_reason
    upstream              TEXT    NOT NULL CHECK (upstream = 'absent' OR upstream = 'unclear' OR upstream = 'open' OR upstream = 'closed' OR upstream = 'paid'), -- what may exist at Midtrans
    midtrans_tx_id        TEXT,                          -- Midtrans' transaction_id, once known
    deeplink              TEXT,                          -- where the GoPay app takes over
    redirect_secret       TEXT    NOT NULL,              -- REDIRECTSECRET
    merchant_redirect_url TEXT,                          -- where the shopper goes at the end
    notification_url      TEXT,                          -- where the PSP is told
    nonce                 TEXT,                          -- the PSP's nonce; one payment per contract and nonce
    fingerprint           BLOB    NOT NULL CHECK (length(fingerprint) = 32), -- SHA-256 of the call's content
    answer                BLOB,                          -- the stored answer; kept only with a nonce
    created_at            INTEGER NOT NULL,              -- when the call came
    deadline_at           INTEGER NOT NULL,              -- end of the session
    final_at              INTEGER,                       -- when the present final state was reached
    paid_at               INTEGER,                       -- when the money came
    cancel_requested      INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)), -- CANCELTX was accepted
    refund_reserved_sen   INTEGER NOT NULL CHECK (refund_reserved_sen >= 0), -- accepted and unresolved refunds together
    next_check_at         INTEGER,                       -- when a worker should ask Midtrans next
    checks                INTEGER NOT NULL,              -- how often it has asked in the present phase
    CHECK ((state = 'failed') = (fail_reason IS NOT NULL)),
    CHECK ((fail_reason IS NULL) = (fail_message IS NULL))
) STRICT;

-- A nonce is used once per contract; most payments have none and cost nothing here.
CREATE UNIQUE INDEX payments_nonce ON payments (contract, nonce) WHERE nonce IS NOT NULL;
-- The PSP's own reference.
CREATE INDEX payments_merchant_tx ON payments (contract, merchant_tx_key) WHERE merchant_tx_key IS NOT NULL;
-- The queue of the worker that asks Midtrans.
CREATE INDEX payments_due ON payments (next_check_at) WHERE next_check_at IS NOT NULL;

-- The call that made a payment; written once.
CREATE TABLE payment_requests (
    tx_id   INTEGER NOT NULL PRIMARY KEY REFERENCES payments, -- the payment
    request TEXT    NOT NULL                                  -- the call as JSON, without secrets and transient input
) STRICT;

-- The append-only trail of each payment, kept together by payment.
CREATE TABLE events (
    tx_id  INTEGER NOT NULL REFERENCES payments, -- the payment
    seq    INTEGER NOT NULL,                     -- grows within the payment
    at     INTEGER NOT NULL,                     -- when
    kind   TEXT    NOT NULL,                     -- a stable word
    detail TEXT    NOT NULL,                     -- what was known, as JSON
    PRIMARY KEY (tx_id, seq)
) STRICT, WITHOUT ROWID;

-- Money on its way back to the shopper, and calls for it that were refused. A refused call may
-- name a payment that does not exist.
CREATE TABLE refunds (
    refund_id           INTEGER NOT NULL PRIMARY KEY, -- ours; grows with time
    tx_id               INTEGER NOT NULL,             -- the payment that the call named
    client              TEXT    NOT NULL,             -- login of the PSP
    contract            TEXT    NOT NULL,             -- the contract of the call
    merchant_refund_id  TEXT,                         -- the PSP's reference as sent; repeats allowed
    merchant_refund_key TEXT,                         -- the same in lower case, for look-ups
    amount_sen          INTEGER,                      -- none: refused because of it
    descriptor          TEXT,                         -- text for the shopper
    state               TEXT    NOT NULL CHECK (state = 'unresolved' OR state = 'succeeded' OR state = 'failed'), -- where it stands
    fail_reason         TEXT,                         -- set if and only if failed
    fail_message        TEXT,                         -- set with fail_reason
    created_at          INTEGER NOT NULL,             -- when the call came
    resolved_at         INTEGER,                      -- when it succeeded or failed
    next_check_at       INTEGER,                      -- when a worker should look after it next
    checks              INTEGER NOT NULL,             -- how often a worker has looked
    CHECK ((state = 'failed') = (fail_reason IS NOT NULL)),
    CHECK ((fail_reason IS NULL) = (fail_message IS NULL))
) STRICT;

CREATE INDEX refunds_of_payment ON refunds (tx_id);
CREATE INDEX refunds_merchant_refund ON refunds (contract, merchant_refund_key) WHERE merchant_refund_key IS NOT NULL;
-- The queue of the worker that looks after unresolved refunds.
CREATE INDEX refunds_due ON refunds (next_check_at) WHERE next_check_at IS NOT NULL;

-- Notifications owed to PSPs. Rows are never deleted, so the id grows.
CREATE TABLE deliveries (
    delivery_id     INTEGER NOT NULL PRIMARY KEY,          -- grows; the order within a payment
    tx_id           INTEGER NOT NULL REFERENCES payments,  -- the payment
    client          TEXT    NOT NULL,                      -- login of the PSP, for its secrets
    url             TEXT    NOT NULL,                      -- where to
    receiver        TEXT    NOT NULL,                      -- scheme, host and port of url
    final_at        INTEGER NOT NULL,                      -- finaltimestamp
    attempts        INTEGER NOT NULL,                      -- tries so far
    next_attempt_at INTEGER NOT NULL,                      -- when to try, or when the lease of a try is over
    state           TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'delivered' OR state = 'given_up') -- where it stands
) STRICT;

CREATE INDEX deliveries_of_payment ON deliveries (tx_id);
-- The queue of the delivery worker.
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state = 'waiting';

-- One row, rewritten to see whether the store can write.
CREATE TABLE pings (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), -- there is one
    at INTEGER NOT NULL                             -- when it was written last
) STRICT;
