package faults

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // what the record is kept in

	"github.com/teishi-dev/teishi/cluster"
)

// limitFiles lets no file of a process grow beyond so many bytes; 0 lifts the limit.
func limitFiles(pid int, bytes uint64) error {
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if bytes == 0 {
		limit.Cur = unix.RLIM_INFINITY
	}
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil)
}

// inject has what a process asks of its disk go wrong, in the terms of strace, until heal is called. Where nobody may trace a
// process that is said loudly, and the fault is left out.
func (h *house) inject(t *cluster.Teishi, how string) (heal func(), ok bool) {
	h.Helper()
	c := exec.CommandContext(h.ctx, "strace", "-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(t.PID()), "-e", "inject=fsync,fdatasync,pwrite64:"+how)
	var said bytes.Buffer
	c.Stderr = &said
	ended := make(chan struct{})
	h.must(c.Start())
	go func() { _ = c.Wait(); close(ended) }()
	err := cluster.Wait(h.ctx, "strace to hold the process", func(context.Context) error {
		select {
		case <-ended:
			return nil
		default:
			return traced(t.PID())
		}
	})
	if err != nil || traced(t.PID()) != nil {
		h.logf("LEFT OUT: strace cannot trace %s: %v %s", t.Name(), err, said.String())
		return nil, false
	}
	return func() { h.must(c.Process.Signal(os.Interrupt)); <-ended }, true
}

// traced reports as an error that nobody traces a process.
func traced(pid int) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err == nil && strings.Contains(string(b), "\nTracerPid:\t0\n") {
		return errors.New("nobody traces it")
	}
	return err
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
