-- Reconciliation and what two people answer for. Rows are only added.

-- What was decided and approved, act by act: about breaks and about corrections of settlements.
CREATE TABLE review_acts (
    act         INTEGER PRIMARY KEY, -- 1, 2, 3 ... over everything, in the order of commits
    scope       TEXT   NOT NULL, -- what the subjects are: breaks of a series, corrections of an account
    subject     TEXT   NOT NULL, -- the break_id, or the id of the correction
    version     INTEGER NOT NULL, -- 1, 2, 3 ... of the subject
    content     TEXT   NOT NULL, -- what is decided, as JSON
    about       TEXT   NOT NULL, -- sign of the values that it was about; empty if they cannot change
    decided_by  TEXT   NOT NULL, -- who has decided, or asked for it
    approved_by TEXT CHECK (approved_by <> decided_by), -- another person; NULL: nobody yet
    at          INTEGER NOT NULL, -- when it was read
    source      TEXT   NOT NULL, -- file and line that it was read from
    UNIQUE (scope, subject, version)
) STRICT;

CREATE INDEX review_acts_of_scope ON review_acts (scope, act);

-- Runs of reconciliation.
CREATE TABLE reconciliation_runs (
    run     INTEGER PRIMARY KEY, -- 1, 2, 3 ... over all series
    series  TEXT   NOT NULL, -- runs that go on from each other
    day     TEXT   NOT NULL, -- that ages were counted to, YYYY-MM-DD
    at      INTEGER NOT NULL, -- when
    by_name TEXT   NOT NULL, -- who
    summary TEXT   NOT NULL -- counts and tie-outs, as JSON
) STRICT;

CREATE INDEX reconciliation_runs_of_series ON reconciliation_runs (series, run);

-- What a run has read.
CREATE TABLE reconciliation_inputs (
    run    INTEGER NOT NULL, -- as in reconciliation_runs
    place  INTEGER NOT NULL, -- 1, 2, 3 ... within the run
    name   TEXT   NOT NULL, -- path, or "the store"
    layout TEXT   NOT NULL, -- what it was read as
    sha256 TEXT   NOT NULL, -- of its content, in hexadecimal digits
    rows   INTEGER NOT NULL, -- how many
    PRIMARY KEY (run, place)
) STRICT;

-- What changed about breaks: each that a run found anew, found with other values, or found no more.
CREATE TABLE reconciliation_breaks (
    run        INTEGER NOT NULL, -- as in reconciliation_runs
    place      INTEGER NOT NULL, -- 1, 2, 3 ... within the run
    series     TEXT   NOT NULL, -- of the run
    break_id   TEXT   NOT NULL, -- the same in every run
    state      TEXT   NOT NULL CHECK (state IN ('open', 'resolved')), -- since this run
    first_seen TEXT   NOT NULL, -- day of the run that found it first, YYYY-MM-DD
    content    TEXT   NOT NULL, -- kind, values, cause and the rest, as JSON
    PRIMARY KEY (run, place)
) STRICT;

CREATE INDEX reconciliation_breaks_by_id ON reconciliation_breaks (series, break_id, run);
