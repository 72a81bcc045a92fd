package faults

import (
	"context"
	"database/sql"
	"errors"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // what the record is kept in
)

// limitFiles lets no file of a process grow beyond so many bytes; 0 lifts the limit.
func limitFiles(pid int, bytes uint64) error {
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if bytes == 0 {
		limit.Cur = unix.RLIM_INFINITY
	}
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil)
}

// alterSQLite changes a record behind its back.
func alterSQLite(ctx context.Context, file, statement string) error {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}
