-- Accounts at Midtrans beside those of the channels, and the directory: PSPs, contracts and accounts.

-- Whose money a payment is at Midtrans, for life. None: the account of its channel, as before.
ALTER TABLE payments ADD COLUMN midtrans_account TEXT; -- name of the account
-- In which account the money of an unknown order is.
ALTER TABLE unknown_orders ADD COLUMN midtrans_account TEXT; -- name of the account

-- What was entered about PSPs, contracts and accounts: a row each time, never changed but to seal it
-- under another key. The last that is valid counts.
CREATE TABLE directory_entries (
    entry      BIGINT NOT NULL PRIMARY KEY, -- 1, 2, 3 ...
    content    TEXT   NOT NULL,             -- its keys as in the config, as JSON; sealed if change has a key
    change     BIGINT NOT NULL,             -- number of the first entry that came with it
    kind       TEXT   NOT NULL CHECK (kind = 'client' OR kind = 'contract' OR kind = 'account'), -- of what
    name       TEXT   NOT NULL,             -- login, contractid, or name of the account
    valid_from BIGINT NOT NULL,             -- from when on
    at         BIGINT NOT NULL,             -- when it was entered
    by_name    TEXT   NOT NULL,             -- who entered it
    reason     TEXT   NOT NULL              -- why
);

CREATE INDEX directory_entries_of ON directory_entries (kind, name);

-- The data key that the entries of a change are sealed under.
CREATE TABLE directory_keys (
    change   BIGINT NOT NULL PRIMARY KEY, -- see directory_entries
    key_id   TEXT   NOT NULL,             -- which key of the config it is wrapped in
    data_key BYTEA  NOT NULL              -- salt, and the data key, wrapped
);
