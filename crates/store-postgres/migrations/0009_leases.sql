-- Leases on numbers, in the place of locks of sessions.

-- Who holds which number, until when. A number is the shard of the ids that its holder draws; processes
-- that draw none have numbers above. Every step locks its instance's row by key (FOR KEY SHARE), and who
-- takes a number from another locks it for update: so steps of a holder that has lost its number are
-- over or refused. New versions of a row stay on its page, which has room for them.
CREATE TABLE shards (
    shard  BIGINT NOT NULL PRIMARY KEY, -- as in journal; from 1024 on of processes that draw no ids
    holder TEXT,                        -- machine and process; none: nobody has it
    epoch  BIGINT NOT NULL,             -- grows whenever it changes hands
    until  BIGINT NOT NULL              -- by the database's clock; 0: the holder has ended in good order
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- A delivery that waits is claimed by leased_by as long as this is next_attempt_at.
ALTER TABLE deliveries ADD COLUMN leased_until BIGINT; -- what the claim has set next_attempt_at to
