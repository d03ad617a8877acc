-- The tables of PostgresStore. Idempotent.
BEGIN;
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock({lock});
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.meta (version integer NOT NULL);
DO $$
BEGIN
    IF EXISTS (SELECT FROM {schema}.meta WHERE version > {version}) THEN
        RAISE 'schema {schema} was made by a newer sessiongate: apply what that one prints';
    ELSIF EXISTS (SELECT FROM {schema}.meta WHERE version < {version}) THEN
        RAISE 'schema {schema} was made by an older sessiongate: give this one another schema';
    END IF;
END
$$;
-- Names are compared as bytes: that is cheaper, and no other version of the system's rules of
-- sorting makes an index of them wrong.
CREATE TABLE IF NOT EXISTS {schema}.session (
    sid text COLLATE "C" PRIMARY KEY,
    username text COLLATE "C" NOT NULL,
    expires_at bigint NOT NULL,
    data bytea NOT NULL,
    opened bigint GENERATED ALWAYS AS IDENTITY
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS session_of_user ON {schema}.session (username, opened);
CREATE INDEX IF NOT EXISTS session_by_expiry ON {schema}.session (expires_at);
CREATE INDEX IF NOT EXISTS session_in_order ON {schema}.session (opened);
-- How many rows there are: the sum of many numbers, so that a login rarely waits for another one.
CREATE TABLE IF NOT EXISTS {schema}.tally (
    shard integer PRIMARY KEY,
    sessions integer NOT NULL
) WITH (fillfactor = 50);
INSERT INTO {schema}.tally SELECT shard, 0 FROM generate_series(0, 63) shard
    ON CONFLICT DO NOTHING;
CREATE OR REPLACE FUNCTION {schema}.keep_tally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE {schema}.tally SET sessions = 0;
    ELSE
        UPDATE {schema}.tally
        SET sessions = sessions + TG_ARGV[0]::integer * (SELECT count(*) FROM changed)
        WHERE shard = mod(pg_backend_pid(), 64) AND EXISTS (SELECT FROM changed);
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS session_added ON {schema}.session;
DROP TRIGGER IF EXISTS session_removed ON {schema}.session;
DROP TRIGGER IF EXISTS session_truncated ON {schema}.session;
CREATE TRIGGER session_added AFTER INSERT ON {schema}.session REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.keep_tally('1');
CREATE TRIGGER session_removed AFTER DELETE ON {schema}.session REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.keep_tally('-1');
CREATE TRIGGER session_truncated AFTER TRUNCATE ON {schema}.session
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.keep_tally();
INSERT INTO {schema}.meta SELECT {version} WHERE NOT EXISTS (SELECT FROM {schema}.meta);
COMMIT;
