-- The tables and functions of PostgresStore. Idempotent: may be applied again.
--
-- Each function is one command in one call. They are VOLATILE, so that every
-- statement in them sees what was committed before it began: a decision that
-- waited for a lock is taken anew on what it then finds. Whatever they look for has an index,
-- which they use even where the server's statistics are not yet those of a table so large.

SELECT pg_advisory_xact_lock(hashtextextended('sessiongate.schema', 0));

CREATE SCHEMA IF NOT EXISTS sessiongate;

CREATE TABLE IF NOT EXISTS sessiongate.meta (version integer NOT NULL);
DO $$
BEGIN
    IF EXISTS (SELECT FROM sessiongate.meta WHERE version > 1) THEN
        RAISE 'schema sessiongate was made by a newer sessiongate: apply what that one prints';
    END IF;
END
$$;

-- Names are compared as bytes: that is cheaper, and no other version of the system's rules of
-- sorting makes an index of them wrong.
CREATE TABLE IF NOT EXISTS sessiongate.session (
    format smallint NOT NULL,
    sid text COLLATE "C" PRIMARY KEY,
    username text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    last_accessed bigint NOT NULL,
    expires_at bigint NOT NULL,
    lifetime_ends_at bigint NOT NULL,
    generation bigint NOT NULL,
    rotated_at bigint NOT NULL,
    previous_until bigint NOT NULL,
    oldest_accepted bigint NOT NULL,
    revoked_below bigint NOT NULL,
    shared boolean NOT NULL,
    scopes_and_claims text NOT NULL,
    device text NOT NULL,
    -- The order of opening, whatever the clocks said.
    opened bigint GENERATED ALWAYS AS IDENTITY
) WITH (fillfactor = 90);  -- leaves room to change a row where it is
CREATE INDEX IF NOT EXISTS session_of_user ON sessiongate.session (username, opened);
CREATE INDEX IF NOT EXISTS session_by_expiry ON sessiongate.session (expires_at);
CREATE INDEX IF NOT EXISTS session_in_order ON sessiongate.session (opened);

-- How many rows there are, because PostgreSQL counts a table by reading all of it. The number is
-- the sum of many, so that a logout rarely waits for the commit of another one. It is written
-- last in each step, after all other waiting is done: nobody waits in a circle.
CREATE TABLE IF NOT EXISTS sessiongate.tally (
    shard integer PRIMARY KEY,
    sessions bigint NOT NULL
) WITH (fillfactor = 50);

CREATE OR REPLACE FUNCTION sessiongate.keep_tally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM sessiongate.tally;
        RETURN NULL;
    END IF;
    INSERT INTO sessiongate.tally AS t (shard, sessions)
    SELECT pg_backend_pid() % 64, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM changed HAVING count(*) > 0
    ON CONFLICT (shard) DO UPDATE SET sessions = t.sessions + excluded.sessions;
    RETURN NULL;
END
$$;
DO $$
BEGIN
    -- A trigger that is there is left alone: replacing it would wait for all who use the table.
    IF NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'sessiongate.session'::regclass AND tgname = 'session_in'
    ) THEN
        CREATE TRIGGER session_in AFTER INSERT ON sessiongate.session
            REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION sessiongate.keep_tally();
        CREATE TRIGGER session_out AFTER DELETE ON sessiongate.session
            REFERENCING OLD TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION sessiongate.keep_tally();
        CREATE TRIGGER session_emptied AFTER TRUNCATE ON sessiongate.session
            FOR EACH STATEMENT EXECUTE FUNCTION sessiongate.keep_tally();
    END IF;
END
$$;

-- Whether a row can be what this version has written. What cannot is changed by no step: it is
-- handed to the caller, who says that it is unreadable.
CREATE OR REPLACE FUNCTION sessiongate.is_sound(row_ sessiongate.session)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT row_.format = 1
        AND row_.revoked_below <= row_.oldest_accepted AND row_.oldest_accepted <= row_.generation
        AND 0 <= least(
            row_.created_at, row_.last_accessed, row_.expires_at, row_.lifetime_ends_at,
            row_.rotated_at, row_.previous_until, row_.revoked_below
        )
        AND greatest(
            row_.created_at, row_.last_accessed, row_.expires_at, row_.lifetime_ends_at,
            row_.rotated_at, row_.previous_until, row_.generation
        ) <= 9007199254740991
$$;

CREATE OR REPLACE FUNCTION sessiongate.is_json(text_ text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN text_::json IS NOT NULL;
EXCEPTION WHEN data_exception THEN
    RETURN false;
END
$$;

-- The table of rotation: what a presented generation is to a live row.
CREATE OR REPLACE FUNCTION sessiongate.presented(
    row_ sessiongate.session, generation_ bigint, now_ bigint
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN generation_ = row_.generation THEN 'current'
        WHEN generation_ > row_.generation THEN 'unissued'
        WHEN generation_ < row_.revoked_below THEN 'retired'
        WHEN row_.shared
            OR generation_ >= row_.oldest_accepted AND now_ < row_.previous_until THEN 'previous'
        ELSE 'stale'
    END
$$;

-- What an accepted Touch has to do to a row; mostly nothing.
CREATE OR REPLACE FUNCTION sessiongate.wanted(
    row_ sessiongate.session, current_ boolean, now_ bigint, rotation_ integer,
    rotate_after_ bigint, touch_every_ bigint
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN rotation_ = 2 THEN 'refresh'
        WHEN rotation_ = 1 AND current_ AND NOT row_.shared
            AND row_.rotated_at <= now_ - rotate_after_ THEN 'rotate'
        WHEN current_ AND row_.previous_until = 9007199254740991 THEN 'seen'
        WHEN row_.last_accessed <= now_ - greatest(touch_every_, 1) THEN 'slide'
        ELSE 'nothing'
    END
$$;

-- What any Touch has to do to a row. One expression, because each one of them
-- is made ready again in each call of a function.
CREATE OR REPLACE FUNCTION sessiongate.step(
    row_ sessiongate.session, generation_ bigint, now_ bigint, rotation_ integer,
    rotate_after_ bigint, touch_every_ bigint
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN row_.expires_at <= now_ THEN 'remove' ELSE
        CASE sessiongate.presented(row_, generation_, now_)
            WHEN 'unissued' THEN 'refuse'
            WHEN 'retired' THEN 'refuse'
            WHEN 'stale' THEN 'end'
            ELSE sessiongate.wanted(
                row_, generation_ = row_.generation, now_, rotation_, rotate_after_, touch_every_
            )
        END
    END
$$;

CREATE OR REPLACE FUNCTION sessiongate.touch(
    sid_ text, generation_ bigint, now_ bigint, rotation_ integer,
    timeout_ bigint, rotate_after_ bigint, grace_ bigint, touch_every_ bigint, quantum_ bigint,
    OUT kind text, OUT found_ sessiongate.session
) LANGUAGE plpgsql AS $$
DECLARE
    never CONSTANT bigint := 9007199254740991;
    step text;
    locked boolean := false;
BEGIN
    -- Looks first and locks only to write; then all is decided again.
    SELECT * INTO found_ FROM sessiongate.session WHERE sid = sid_;
    LOOP
        IF found_.sid IS NULL THEN
            kind := NULL;  -- there is none, or it ended while this step waited for the lock
            RETURN;
        END IF;
        kind := 'row';
        IF found_.format <> 1 THEN
            RETURN;  -- for the caller to say that it cannot read it
        END IF;
        step := sessiongate.step(
            found_, generation_, now_, rotation_, rotate_after_, touch_every_
        );
        IF step = 'nothing' THEN
            IF locked THEN  -- others wait for the lock: they need not wait for the disk
                SET LOCAL synchronous_commit = off;
            END IF;
            RETURN;
        END IF;
        IF step = 'refuse' THEN
            kind := NULL;
            RETURN;
        END IF;
        IF NOT sessiongate.is_sound(found_) THEN
            RETURN;
        END IF;
        EXIT WHEN locked;
        SELECT * INTO found_ FROM sessiongate.session WHERE sid = sid_ FOR UPDATE;
        locked := true;
    END LOOP;

    IF step IN ('remove', 'end') THEN
        DELETE FROM sessiongate.session WHERE sid = sid_;
        kind := CASE step WHEN 'end' THEN 'replayed' END;
        RETURN;
    END IF;
    IF step IN ('refresh', 'rotate') THEN
        kind := 'rotated';
        IF step = 'refresh' THEN
            found_.oldest_accepted := found_.generation + 1;
            found_.revoked_below := found_.generation + 1;
            found_.previous_until := 0;
            found_.shared := false;
        ELSE
            found_.oldest_accepted := CASE
                WHEN now_ < found_.previous_until
                    THEN greatest(found_.oldest_accepted, found_.generation - 1)
                ELSE found_.generation
            END;
            found_.previous_until := never;
        END IF;
        found_.generation := found_.generation + 1;
        found_.rotated_at := now_ - now_ % quantum_;
        found_.expires_at := least(found_.rotated_at + timeout_, found_.lifetime_ends_at);
    ELSIF step = 'seen' THEN
        found_.previous_until := now_ + grace_;
    END IF;
    found_.last_accessed := greatest(now_, found_.last_accessed);
    UPDATE sessiongate.session SET
        last_accessed = found_.last_accessed, expires_at = found_.expires_at,
        generation = found_.generation, rotated_at = found_.rotated_at,
        previous_until = found_.previous_until, oldest_accepted = found_.oldest_accepted,
        revoked_below = found_.revoked_below, shared = found_.shared
    WHERE sid = sid_;
END
$$;

CREATE OR REPLACE FUNCTION sessiongate.close(
    sid_ text, now_ bigint, generation_ bigint, username_ text,
    OUT kind text, OUT found_ sessiongate.session
) LANGUAGE plpgsql AS $$
DECLARE
    what text := 'current';
BEGIN
    SELECT * INTO found_ FROM sessiongate.session WHERE sid = sid_ FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT sessiongate.is_sound(found_) THEN
        kind := 'row';
        RETURN;
    END IF;
    IF found_.expires_at > now_ THEN
        IF username_ <> found_.username THEN
            RETURN;
        END IF;
        IF generation_ IS NOT NULL THEN
            what := sessiongate.presented(found_, generation_, now_);
        END IF;
        IF what IN ('unissued', 'retired') THEN
            RETURN;
        END IF;
        kind := CASE what WHEN 'stale' THEN 'replayed' ELSE 'ended' END;
    END IF;
    DELETE FROM sessiongate.session WHERE sid = sid_;
END
$$;

CREATE OR REPLACE FUNCTION sessiongate.read(
    sid_ text, now_ bigint, OUT kind text, OUT found_ sessiongate.session
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT * INTO found_ FROM sessiongate.session WHERE sid = sid_;
    IF found_.format = 1 AND found_.expires_at <= now_ THEN
        DELETE FROM sessiongate.session WHERE sid = sid_ AND expires_at <= now_;
    ELSIF found_.sid IS NOT NULL THEN
        kind := 'row';
    END IF;
END
$$;

-- Skips what somebody else is changing: that may just be extended, and waiting for it could be
-- waiting in a circle.
CREATE OR REPLACE FUNCTION sessiongate.sweep(now_ bigint, limit_ bigint)
RETURNS bigint LANGUAGE sql SET enable_seqscan = off AS $$
    WITH gone AS (
        DELETE FROM sessiongate.session WHERE expires_at <= now_ AND sid = ANY (ARRAY(
            SELECT sid FROM sessiongate.session WHERE expires_at <= now_
            ORDER BY expires_at LIMIT greatest(limit_, 0) FOR UPDATE SKIP LOCKED
        )) RETURNING 1
    ) SELECT count(*) FROM gone
$$;

-- Exact, and as dear as the expired are many; the live are not counted one by one.
CREATE OR REPLACE FUNCTION sessiongate.count(now_ bigint)
RETURNS bigint LANGUAGE sql STABLE SET enable_seqscan = off AS $$
    SELECT (SELECT coalesce(sum(sessions), 0) FROM sessiongate.tally)::bigint
        - (SELECT count(*) FROM sessiongate.session WHERE expires_at <= now_)
$$;

CREATE OR REPLACE FUNCTION sessiongate.open(
    new_ sessiongate.session, now_ bigint, existing_ text, replaces_ text,
    limit_ bigint, user_limit_ bigint, evict_ boolean
) RETURNS TABLE (kind text, found_ sessiongate.session)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    out_ text[] := '{}';
    over bigint;
BEGIN
    -- The locks come before the first look, or limits would be judged by an old one. A limit
    -- over all is one login after the other, commit included.
    IF limit_ IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('sessiongate.total', 0));
    END IF;
    IF existing_ <> 'new' OR user_limit_ IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('sessiongate.user:' || new_.username, 0));
    END IF;

    IF existing_ = 'reuse' THEN
        LOOP
            SELECT s.* INTO found_ FROM sessiongate.session s
            WHERE s.username = new_.username AND s.expires_at > now_
                AND s.scopes_and_claims = new_.scopes_and_claims AND sessiongate.is_sound(s)
                AND (s.device = '' OR sessiongate.is_json(s.device))
            ORDER BY s.opened DESC LIMIT 1;
            EXIT WHEN found_.sid IS NULL;
            -- What is stale by now does not come back.
            UPDATE sessiongate.session s SET
                shared = true,
                oldest_accepted = CASE
                    WHEN s.shared OR now_ < s.previous_until THEN s.oldest_accepted
                    ELSE s.generation
                END,
                revoked_below = CASE
                    WHEN s.shared THEN s.revoked_below
                    WHEN now_ < s.previous_until THEN s.oldest_accepted
                    ELSE s.generation
                END
            WHERE s.sid = found_.sid AND s.expires_at > now_ RETURNING s.* INTO found_;
            IF FOUND THEN
                kind := 'existing';
                RETURN NEXT;
                RETURN;
            END IF;  -- it ended meanwhile: the next one
        END LOOP;
    END IF;

    out_ := ARRAY(
        SELECT s.sid FROM sessiongate.session s WHERE s.sid = replaces_ AND s.expires_at > now_
    );
    IF existing_ = 'replace' THEN
        out_ := out_ || ARRAY(
            SELECT s.sid FROM sessiongate.session s
            WHERE s.username = new_.username AND s.expires_at > now_ AND s.sid <> ALL (out_)
            ORDER BY s.opened
        );
    END IF;
    IF user_limit_ IS NOT NULL THEN
        SELECT count(*) + 1 - user_limit_ INTO over FROM sessiongate.session s
        WHERE s.username = new_.username AND s.expires_at > now_ AND s.sid <> ALL (out_);
        IF over > 0 AND NOT evict_ THEN
            kind := 'user';
            RETURN NEXT;
            RETURN;
        END IF;
        out_ := out_ || ARRAY(
            SELECT s.sid FROM sessiongate.session s
            WHERE s.username = new_.username AND s.expires_at > now_ AND s.sid <> ALL (out_)
            ORDER BY s.opened LIMIT greatest(over, 0)
        );
    END IF;
    IF limit_ IS NOT NULL THEN
        -- In one statement, which is one moment. How many have expired matters only as far as
        -- they make the difference.
        SELECT t.excess - (
            SELECT count(*) FROM (
                SELECT 1 FROM sessiongate.session s WHERE s.expires_at <= now_
                LIMIT greatest(t.excess, 0)
            ) expired
        ) INTO over FROM (
            SELECT coalesce(sum(sessions), 0)::bigint + 1 - limit_ - (
                SELECT count(*) FROM sessiongate.session s WHERE s.sid = ANY (out_)
            ) AS excess FROM sessiongate.tally
        ) t;
        IF over > 0 AND NOT evict_ THEN
            kind := 'total';
            RETURN NEXT;
            RETURN;
        END IF;
        out_ := out_ || ARRAY(
            SELECT s.sid FROM sessiongate.session s
            WHERE s.expires_at > now_ AND s.sid <> ALL (out_)
            ORDER BY s.opened LIMIT greatest(over, 0)
        );
    END IF;

    kind := 'opened';
    RETURN NEXT;
    -- Locked in the order of opening, as everybody does who waits for several rows.
    RETURN QUERY WITH gone AS (
        DELETE FROM sessiongate.session s WHERE s.sid = ANY (ARRAY(
            SELECT l.sid FROM sessiongate.session l WHERE l.sid = ANY (out_ || replaces_)
            ORDER BY l.opened FOR UPDATE
        )) RETURNING s
    ) SELECT 'ended'::text, gone.s FROM gone WHERE (gone.s).expires_at > now_
    ORDER BY array_position(out_, (gone.s).sid);
    PERFORM sessiongate.sweep(now_, 16);
    INSERT INTO sessiongate.session (
        format, sid, username, created_at, last_accessed, expires_at, lifetime_ends_at,
        generation, rotated_at, previous_until, oldest_accepted, revoked_below, shared, scopes_and_claims, device
    ) VALUES (
        new_.format, new_.sid, new_.username, new_.created_at, new_.last_accessed,
        new_.expires_at, new_.lifetime_ends_at, new_.generation, new_.rotated_at,
        new_.previous_until, new_.oldest_accepted, new_.revoked_below, new_.shared, new_.scopes_and_claims,
        new_.device
    );
END
$$;

DELETE FROM sessiongate.meta;
INSERT INTO sessiongate.meta (version) VALUES (1);
