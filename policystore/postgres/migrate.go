package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var embedded embed.FS

const (
	// The lock is of a transaction: one of a session would stay with a connection of a pooler, and be held by nobody.
	lockMigration = `SELECT set_config('idle_in_transaction_session_timeout', '0', true), pg_advisory_xact_lock(hashtextextended('teishi.migrations', 0))`
	findSchema    = `SELECT to_regnamespace('teishi') IS NOT NULL`
	makeSchema    = `CREATE SCHEMA teishi`
	nameDomain    = `INSERT INTO teishi.meta (name, value) VALUES ('domain', $1::text) ON CONFLICT (name) DO NOTHING`
)

// Migrate makes the tables of a record, or makes those of an older version what they are now, and returns the version that
// they were of, 0 if there were none, and the one that they are of. The domain is fixed when the record is made; another one
// is refused. Of those who migrate at the same time one does, and the others wait for it.
func Migrate(ctx context.Context, c Config) (from, to int, err error) {
	l, err := New(c)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	return l.migrate(ctx)
}

// use has the log know the migrations in the directory; the tables are of the version of the last.
func (l *Log) use(migrations fs.FS) error {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return err
	}
	l.migrations = migrations
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return err
		}
		l.known = max(l.known, n)
	}
	return nil
}

func (l *Log) migrate(ctx context.Context) (from, to int, err error) {
	err = pgx.BeginFunc(ctx, l.writing, func(lock pgx.Tx) error {
		if _, err := lock.Exec(ctx, lockMigration); err != nil {
			return err
		}
		from, to, err = l.migrateAlone(ctx)
		return err
	})
	if err != nil {
		return from, to, fmt.Errorf("migrate the record: %w", l.explain(ctx, err))
	}
	return from, to, nil
}

func (l *Log) migrateAlone(ctx context.Context) (from, to int, err error) {
	s, err := l.inspect(ctx)
	if err != nil {
		return 0, 0, err
	}
	made, err := l.version(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	from = int(made)
	named, err := l.named(ctx, s)
	if err != nil {
		return from, from, err
	}
	if made < l.known {
		if err := l.makeTables(ctx); err != nil {
			return from, from, err
		}
	}
	if !named {
		_, err = l.writing.Exec(ctx, nameDomain, l.domain)
	}
	return from, int(l.known), err
}

func (l *Log) makeTables(ctx context.Context) error {
	var there bool // whoever made the schema for us may not have let us make schemas
	if err := l.writing.QueryRow(ctx, findSchema).Scan(&there); err != nil {
		return err
	}
	if !there {
		if _, err := l.writing.Exec(ctx, makeSchema); err != nil {
			return err
		}
	}
	db := stdlib.OpenDBFromPool(l.writing)
	provider, err := goose.NewProvider(goose.DialectPostgres, db, l.migrations,
		goose.WithTableName("teishi.migrations"), goose.WithDisableGlobalRegistry(true))
	if err == nil {
		var made []*goose.MigrationResult
		made, err = provider.Up(ctx)
		for _, m := range made {
			l.logger.Info("migrated the tables", slog.Int64("version", m.Source.Version), slog.Duration("took", m.Duration))
		}
	}
	return errors.Join(err, db.Close())
}
