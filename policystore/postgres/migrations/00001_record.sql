-- +goose Up

CREATE TABLE teishi.meta (
	name  text PRIMARY KEY,
	value text NOT NULL
);

-- What is hashed is kept as the bytes that were hashed: text would refuse a zero byte, depend on the encoding of the
-- database, and be ordered by a collation that changes with the system's libraries.
CREATE TABLE teishi.entries (
	revision       bigint PRIMARY KEY,
	epoch          bigint NOT NULL,
	time           bigint NOT NULL, -- microseconds since 1970 UTC
	principal      bytea NOT NULL,
	method         bytea NOT NULL,
	request_id     bytea NOT NULL,
	request_digest bytea NOT NULL,
	reason         bytea NOT NULL,
	previous_hash  bytea NOT NULL,
	hash           bytea NOT NULL,
	signature      bytea,
	payload        bytea NOT NULL
);

-- By digests, so that no principal is too long for the index.
CREATE UNIQUE INDEX requests ON teishi.entries (sha256(principal), sha256(request_id));

CREATE TABLE teishi.checkpoints (
	revision     bigint PRIMARY KEY,
	epoch        bigint NOT NULL,
	hash         bytea NOT NULL, -- of the entry at the revision
	time         bigint NOT NULL,
	fold_version bigint NOT NULL,
	state_hash   bytea NOT NULL,
	signature    bytea,
	body         bytea NOT NULL
);

-- It is compressed already.
ALTER TABLE teishi.checkpoints ALTER COLUMN body SET STORAGE EXTERNAL;

-- Who follows the record, as it last reported itself: beside the log, and no part of it. It is logged, though it is written
-- every second: an unlogged table is empty after a crash and on a standby, and a roll without members would prove that
-- all of them have what none of them has. Rows are replaced in place, for which pages have room.
CREATE TABLE teishi.replicas (
	id         bytea PRIMARY KEY,
	epoch      bigint NOT NULL,
	revision   bigint NOT NULL,
	hash       bytea NOT NULL,
	state_hash bytea NOT NULL,
	freshness  bigint NOT NULL,
	age        bigint NOT NULL, -- nanoseconds
	source     bytea NOT NULL,
	version    bytea NOT NULL,
	authority  bytea NOT NULL, -- who took the report
	reported   timestamptz NOT NULL -- by the clock of this server
) WITH (fillfactor = 50);
