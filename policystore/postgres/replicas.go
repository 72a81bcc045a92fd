package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teishi-dev/teishi/policystore"
)

// The time is that of the server for all who report and all who ask, so whoever is asked gives the same answer.
const (
	enrol = `WITH settings AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO teishi.replicas (id, epoch, revision, hash, state_hash, freshness, age, source, version, authority, reported)
SELECT m.*, clock_timestamp() FROM settings, unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[],
	$6::bigint[], $7::bigint[], $8::bytea[], $9::bytea[], $10::bytea[]) AS m
ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision, hash = excluded.hash,
	state_hash = excluded.state_hash, freshness = excluded.freshness, age = excluded.age, source = excluded.source,
	version = excluded.version, authority = excluded.authority, reported = excluded.reported`
	members = `SELECT id, epoch, revision, hash, state_hash, freshness, age, source, version, authority, reported,
	greatest(0, extract(epoch FROM clock_timestamp() - reported) * 1000000)::bigint FROM teishi.replicas ORDER BY id`
	forget = `DELETE FROM teishi.replicas WHERE id = $1::bytea`
)

// Enrol keeps the members. It does not wait for the disk: after a crash they report again.
func (l *Log) Enrol(ctx context.Context, members []policystore.Member) error {
	if l.readOnly {
		return policystore.ErrReadOnly
	}
	ctx, cancel := within(ctx, answerWithin)
	defer cancel()
	if _, err := l.following.Exec(ctx, enrol, columnsOf(members)...); err != nil {
		return fmt.Errorf("enrol: %w", l.explain(ctx, err))
	}
	return nil
}

// columnsOf returns the members as columns. One that is there twice is told as it is last, and all stand in the order of their
// ids, so that two who enrol the same members do not wait for each other.
func columnsOf(all []policystore.Member) []any {
	last := make(map[string]policystore.Member, len(all))
	for _, m := range all {
		last[m.ID] = m
	}
	var ids, hashes, states, sources, versions, authorities [][]byte
	var epochs, revisions, freshness, ages []int64
	for _, id := range slices.Sorted(maps.Keys(last)) {
		m := last[id]
		ids, hashes, states = append(ids, []byte(id)), append(hashes, m.Position.Hash[:]), append(states, m.StateHash[:])
		epochs, revisions = append(epochs, m.Position.Epoch), append(revisions, int64(m.Position.Revision))
		freshness, ages = append(freshness, int64(m.Freshness.State)), append(ages, int64(m.Freshness.Age))
		sources, versions = append(sources, []byte(m.Freshness.Source)), append(versions, []byte(m.Version))
		authorities = append(authorities, []byte(m.Authority))
	}
	return []any{ids, epochs, revisions, hashes, states, freshness, ages, sources, versions, authorities}
}

// Members returns the members as they last reported.
func (l *Log) Members(ctx context.Context) ([]policystore.Member, error) {
	ctx, cancel := within(ctx, answerWithin)
	defer cancel()
	rows, err := l.following.Query(ctx, members)
	if err != nil {
		return nil, fmt.Errorf("read the members: %w", l.explain(ctx, err))
	}
	all, err := pgx.CollectRows(rows, scanMember)
	if err != nil {
		return nil, fmt.Errorf("read the members: %w", l.explain(ctx, err))
	}
	return all, nil
}

func scanMember(row pgx.CollectableRow) (m policystore.Member, err error) {
	var id, hash, state, source, version, authority []byte
	var silence int64
	err = row.Scan(&id, &m.Position.Epoch, &m.Position.Revision, &hash, &state,
		&m.Freshness.State, &m.Freshness.Age, &source, &version, &authority, &m.Reported, &silence)
	if err != nil {
		return m, err
	}
	m.ID, m.Freshness.Source, m.Version, m.Authority = string(id), string(source), string(version), string(authority)
	m.Reported, m.Silence = m.Reported.UTC(), time.Duration(silence)*time.Microsecond
	return m, errors.Join(m.Position.Hash.Set(hash), m.StateHash.Set(state))
}

// Forget takes a member off.
func (l *Log) Forget(ctx context.Context, id string) error {
	if l.readOnly {
		return policystore.ErrReadOnly
	}
	ctx, cancel := within(ctx, answerWithin)
	defer cancel()
	gone, err := l.following.Exec(ctx, forget, []byte(id))
	if err != nil {
		return fmt.Errorf("forget %s: %w", id, l.explain(ctx, err))
	}
	if gone.RowsAffected() == 0 {
		return fmt.Errorf("forget %s: %w", id, policystore.ErrNotFound)
	}
	return nil
}
