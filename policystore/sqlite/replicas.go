package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const (
	enrol = `INSERT OR REPLACE INTO replicas (id, epoch, revision, hash, state_hash, freshness, age, source, version, authority, reported)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	members = `SELECT id, epoch, revision, hash, state_hash, freshness, age, source, version, authority, reported FROM replicas ORDER BY id`
	forget  = `DELETE FROM replicas WHERE id = ?`
)

// Enrol keeps the members. What it writes is not synced: after a crash they report again.
func (l *Log) Enrol(ctx context.Context, members []policystore.Member) error {
	if l.enroller == nil {
		return policystore.ErrReadOnly
	}
	tx, err := l.enroller.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("enrol: %w", l.explain(err))
	}
	defer tx.Rollback()
	now := policy.InstantOf(time.Now())
	for _, m := range members {
		_, err := tx.ExecContext(ctx, enrol, m.ID, m.Position.Epoch, m.Position.Revision, m.Position.Hash[:], m.StateHash[:],
			m.Freshness.State, m.Freshness.Age, m.Freshness.Source, m.Version, m.Authority, now)
		if err != nil {
			return fmt.Errorf("enrol %s: %w", m.ID, l.explain(err))
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("enrol: %w", l.explain(err))
	}
	return nil
}

// Members returns the members as they last reported.
func (l *Log) Members(ctx context.Context) ([]policystore.Member, error) {
	rows, err := l.reader.QueryContext(ctx, members)
	if err != nil {
		return nil, fmt.Errorf("read the members: %w", l.explain(err))
	}
	defer rows.Close()
	now := time.Now()
	var all []policystore.Member
	for rows.Next() {
		m, err := scanMember(rows)
		if err != nil {
			return nil, fmt.Errorf("read the members: %w", l.explain(err))
		}
		m.Silence = max(0, now.Sub(m.Reported))
		all = append(all, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the members: %w", l.explain(err))
	}
	return all, nil
}

func scanMember(row scanner) (m policystore.Member, err error) {
	var hash, state []byte
	var reported policy.Instant
	err = row.Scan(&m.ID, &m.Position.Epoch, &m.Position.Revision, &hash, &state,
		&m.Freshness.State, &m.Freshness.Age, &m.Freshness.Source, &m.Version, &m.Authority, &reported)
	if err != nil {
		return m, err
	}
	m.Reported = reported.Time()
	return m, errors.Join(m.Position.Hash.Set(hash), m.StateHash.Set(state))
}

// Forget takes a member off.
func (l *Log) Forget(ctx context.Context, id string) error {
	if l.enroller == nil {
		return policystore.ErrReadOnly
	}
	result, err := l.enroller.ExecContext(ctx, forget, id)
	if err != nil {
		return fmt.Errorf("forget %s: %w", id, l.explain(err))
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return fmt.Errorf("forget %s: %w", id, policystore.ErrNotFound)
	}
	return nil
}
