-- The keys that personal data is sealed under, and what was erased.

-- The data key of each payment whose values are sealed, in a table of its own: it is written once, so
-- that no older copies of it lie about when it is destroyed.
CREATE TABLE payment_keys (
    tx_id    INTEGER NOT NULL PRIMARY KEY, -- the payment
    key_id   TEXT    NOT NULL,             -- which key of the config it is wrapped in
    data_key BLOB    NOT NULL              -- salt, and the data key, wrapped
) STRICT;

-- The keys of the config that data keys were ever wrapped in.
CREATE TABLE encryption_keys (
    number   INTEGER NOT NULL PRIMARY KEY, -- 1, 2, 3 ...
    key_id   TEXT    NOT NULL UNIQUE,      -- its id in the config
    proof    BLOB    NOT NULL,             -- opens under that key only
    added_at INTEGER NOT NULL              -- when it was used first
) STRICT;

-- Payments whose personal data was erased.
CREATE TABLE erasures (
    tx_id   INTEGER NOT NULL PRIMARY KEY, -- the payment
    at      INTEGER NOT NULL,             -- when
    by_name TEXT    NOT NULL,             -- who decided it
    reason  TEXT    NOT NULL              -- why
) STRICT;
