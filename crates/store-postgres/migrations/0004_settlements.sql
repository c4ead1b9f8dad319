-- Closed settlements: what was decided when a billing period was closed. Rows are only added.

-- A chain for each account. An entry of the journal belongs to the first settlement of the chain
-- with read_to not before its place and until_at after its time.
CREATE TABLE settlements (
    entity          BIGINT NOT NULL, -- 1 PPRO, 106 PPRO Mexico, 107 PPRO Brazil
    client_number   BIGINT NOT NULL, -- PPRO's number of the client: 1 to 9999
    ordinal         BIGINT NOT NULL, -- place in the chain: 1, 2, 3 ...
    frequency       TEXT   NOT NULL CHECK (frequency IN ('D', 'W', 'M')), -- daily, weekly, monthly
    year            BIGINT NOT NULL, -- of the period
    number          BIGINT NOT NULL, -- within the year, by the calendar
    from_at         BIGINT NOT NULL, -- first instant of the period
    until_at        BIGINT NOT NULL CHECK (until_at > from_at), -- first instant after it
    settlement_date TEXT   NOT NULL, -- when the transfer starts, YYYY-MM-DD
    currency        TEXT   NOT NULL, -- of the amounts, which are in its hundredths
    opening         BIGINT NOT NULL, -- carried forward from the settlement before
    reserve         BIGINT NOT NULL, -- released less held back
    transfer        BIGINT NOT NULL CHECK (transfer >= 0), -- what is paid
    carry_forward   BIGINT NOT NULL, -- to the settlement after
    read_from       TEXT   NOT NULL, -- position in the journal: all before belongs to earlier ones
    read_to         TEXT   NOT NULL, -- how far the journal had been read
    read_on         TEXT   NOT NULL, -- all before belongs to this one or to earlier ones
    manifest        TEXT   NOT NULL, -- manifest.json as written: terms, rate, files, hashes
    manifest_sha256 TEXT   NOT NULL, -- of the manifest; of the last row: the head of the chain
    closed_at       BIGINT NOT NULL, -- when
    closed_by       TEXT   NOT NULL, -- who
    PRIMARY KEY (entity, client_number, ordinal),
    UNIQUE (entity, client_number, from_at)
);

-- Corrections by two people, each in the settlement that holds it.
CREATE TABLE settlement_adjustments (
    entity        BIGINT NOT NULL, -- as in settlements
    client_number BIGINT NOT NULL, -- as in settlements
    ordinal       BIGINT NOT NULL, -- as in settlements
    place         BIGINT NOT NULL, -- 1, 2, 3 ... within the settlement
    adjustment_id TEXT   NOT NULL, -- given by who asked for it; used once
    contract      TEXT   NOT NULL, -- whose
    amount        BIGINT NOT NULL, -- hundredths of the settlement's currency
    reason        TEXT   NOT NULL, -- why
    by_name       TEXT   NOT NULL, -- who asked for it
    approved_by   TEXT   NOT NULL CHECK (approved_by <> by_name), -- another person
    PRIMARY KEY (entity, client_number, ordinal, place),
    UNIQUE (entity, client_number, adjustment_id)
);
