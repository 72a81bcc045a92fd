package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore/redis"
)

const redisUser = redis.Writer

// storeRows break authorities and the record beneath them.
var storeRows = []row{
	{"12a", "an authority is killed before it commits", "I1 I2 I12", plan{tagged: true}, func(h *house) { h.killedAt("before-commit") }},
	{"12b", "an authority is killed after it committed, before it acknowledges", "I1 I2 I12", plan{tagged: true}, func(h *house) { h.killedAt("after-commit") }},
	{"12c", "an authority is killed before it publishes", "I1 I2 I12", plan{tagged: true}, func(h *house) { h.killedAt("before-publish") }},
	{"12d", "an authority is killed while it stores a checkpoint", "I1 I2 I12", plan{tagged: true, signed: true, sqlite: true}, func(h *house) {
		a := h.authorities[0]
		h.must(a.Kill())
		h.unsign()
		h.breaks(a.Name(), "at mid-checkpoint kill")
		h.again(a)
		h.wait("its death", func(ctx context.Context) error { return dead(a) })
		h.breaks(a.Name())
		h.restart(a)
		h.wait("writes flow", h.writesFlow())
	}},
	{"13a", "the disk is full under SQLite", "I1 I11 I12", plan{sqlite: true}, func(h *house) {
		a, since := h.authorities[0], time.Now()
		h.must(limitFiles(a.PID(), 4096))
		h.wait("a write that is refused", func(ctx context.Context) error {
			err := h.tryWrite(ctx, a)
			if c := status.Code(err); c != codes.ResourceExhausted && c != codes.Unavailable {
				return fmt.Errorf("a write is answered by %v", err)
			}
			return nil
		})
		h.undisturbed(since)
		h.must(limitFiles(a.PID(), 0))
		h.wait("writes flow", h.writesFlow())
	}},
	{"13b", "the disk under SQLite gives errors, then is slow", "I1 I11 I12", plan{sqlite: true}, func(h *house) {
		a, since := h.authorities[0], time.Now()
		if heal, ok := h.inject(a, "error=EIO"); ok {
			h.wait("a write that is refused", func(ctx context.Context) error {
				if c := status.Code(h.tryWrite(ctx, a)); c != codes.Unavailable && c != codes.ResourceExhausted {
					return fmt.Errorf("a write is answered by %s", c)
				}
				return nil
			})
			h.undisturbed(since)
			heal()
			h.wait("writes flow", h.writesFlow())
		}
		if heal, ok := h.inject(a, "delay_enter=100000"); ok {
			h.wait("writes flow slowly", h.writesFlow())
			h.undisturbed(since)
			heal()
		}
	}},
	{"14a", "a bit is flipped in a row of PostgreSQL", "I1 I2 I7 I9", plan{}, func(h *house) {
		h.wait("writes flow", h.writesFlow())
		const flip = "UPDATE teishi.entries SET payload = set_byte(payload, 3, get_byte(payload, 3) # 1) WHERE revision = 5"
		h.sql(flip)
		for _, a := range h.authorities {
			h.must(a.Kill())
		}
		for _, a := range h.authorities {
			h.again(a)
		}
		h.wait("until nothing is written", func(ctx context.Context) error { return h.refusesAll(ctx, "STORE_UNAVAILABLE") })
		if out, err := h.teishi("log", "verify"); err == nil || !strings.Contains(err.Error(), "revision 5") {
			h.problem("I9: teishi log verify says %q, %v, want revision 5", out, err)
		}
		h.become(stale, h.points...)
		h.sql(flip)
		for _, a := range h.authorities {
			h.restart(a)
		}
		h.wait("writes flow", h.writesFlow())
	}},
	{"14b", "the file of SQLite is damaged", "I1 I2 I7 I9", plan{sqlite: true}, func(h *house) {
		h.wait("writes flow", h.writesFlow())
		a := h.authorities[0]
		h.must(a.Stop())
		good, err := os.ReadFile(h.recordFile())
		h.must(err)
		h.must(alterSQLite(h.ctx, h.recordFile(), "UPDATE entries SET payload = CAST(payload || 'x' AS BLOB) WHERE revision = 5"))
		h.again(a)
		h.wait("an end of what has another entry 5", func(ctx context.Context) error { return dead(a) })
		if !strings.Contains(a.Log(), "entry 5 does not have the hash it states") {
			h.problem("I9: the log does not name entry 5")
		}
		if out, err := h.teishi("log", "verify"); err == nil || !strings.Contains(err.Error(), "revision 5") {
			h.problem("I9: teishi log verify says %q, %v, want revision 5", out, err)
		}
		h.must(os.WriteFile(h.recordFile(), good[:len(good)/2], 0o600))
		h.again(a)
		h.wait("an end of what serves half a record", func(ctx context.Context) error { return dead(a) })
		h.must(os.WriteFile(h.recordFile(), good, 0o600))
		h.restart(a)
		h.wait("writes flow", h.writesFlow())
	}},
	{"15", "a local checkpoint is damaged", "I3 I7 I12", plan{local: true}, func(h *house) {
		p := h.points[0]
		file := h.localFile(p.Name())
		h.must(p.Stop())
		good, err := os.ReadFile(file)
		h.must(err)
		for name, bad := range map[string][]byte{"a bit flipped": flipped(good), "cut short": good[:len(good)-7], "nothing in it": nil, "something else": []byte("notes")} {
			h.must(os.WriteFile(file, bad, 0o600))
			h.restart(p)
			h.wait("a start with "+name, func(ctx context.Context) error { return h.is(ctx, p, fresh, 0, 0) })
			if !strings.Contains(p.Log(), "the local checkpoint is refused") {
				h.problem("I7: a local checkpoint with %s is not refused", name)
			}
			h.must(p.Kill())
		}
		h.restart(p)
	}},
	{"16", "PostgreSQL crashes under writes, behind PgBouncer", "I1 I2 I12", plan{pooled: true, breaksPostgres: true}, func(h *house) {
		h.wait("writes flow", h.writesFlow())
		since := time.Now()
		h.must(h.postgres.StopImmediate())
		h.become(stale, h.points...)
		h.undisturbed(since)
		h.must(h.postgres.Start(h.ctx))
		h.wait("writes flow", h.writesFlow())
	}},
	{"16b", "connections to PostgreSQL are half-open", "I1 I2 I11 I12", plan{}, func(h *house) {
		h.wait("writes flow", h.writesFlow())
		since := time.Now()
		h.storing.HalfOpen()
		h.become(stale, h.points...)
		h.undisturbed(since)
		h.must(h.storing.Heal())
		h.wait("writes flow", h.writesFlow())
	}},
	{"17", "two authorities write at once, and one is paused", "I2 I4 I12", plan{}, func(h *house) {
		a := h.authorities[0]
		h.wait("writes flow", h.writesFlow())
		h.must(a.Pause())
		h.wait("writes flow without it", h.writesFlow())
		h.wait("writes flow on", h.writesFlow())
		h.must(a.Resume())
		h.healed("a pause")
	}},
	{"23", "a decision point is killed while it writes its local checkpoint", "I4 I7", plan{local: true, tagged: true}, func(h *house) {
		p := h.points[0]
		h.wait("a local checkpoint", func(context.Context) error { _, err := os.Stat(h.localFile(p.Name())); return err })
		h.breaks(p.Name(), "at mid-local-checkpoint kill")
		h.must(p.Signal(os.Interrupt))
		h.wait("its death", func(ctx context.Context) error { return dead(p) })
		h.breaks(p.Name())
		if _, err := os.Stat(h.localFile(p.Name()) + ".tmp"); err != nil {
			h.problem("it was not killed while it wrote: %v", err)
		}
		h.isolate()
		h.restart(p)
		h.wait("a start from what was kept before", func(ctx context.Context) error { return h.is(ctx, p, expired, 1, 1) })
		h.rejoin()
	}},
}

// killedAt kills an authority when it gets to a place in the code, and sees that nothing is lost.
func (h *house) killedAt(place string) {
	h.Helper()
	h.wait("writes flow", h.writesFlow())
	a := h.authorities[0]
	h.breaks(a.Name(), "at "+place+" kill")
	h.wait("its death", func(context.Context) error { return dead(a) })
	h.wait("writes flow at the other", h.writesFlow())
	h.breaks(a.Name())
	h.restart(a)
	h.healed("a restart")
}

// dead reports as an error that a server runs.
func dead(s *cluster.Teishi) error {
	if pid := s.PID(); pid != 0 {
		return fmt.Errorf("%s runs, as process %d", s.Name(), pid)
	}
	return nil
}

// unsign removes the signatures of the checkpoints in the record, so that the next start makes one at once.
func (h *house) unsign() {
	h.Helper()
	h.must(alterSQLite(h.ctx, h.recordFile(), "UPDATE checkpoints SET signature = NULL"))
}

func (h *house) sql(statement string) {
	h.Helper()
	_, err := h.postgres.SQL(h.ctx, h.database, statement)
	h.must(err)
}

// tryWrite writes once, under a request id of its own.
func (h *house) tryWrite(ctx context.Context, a *cluster.Teishi) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	_, err := teishiv1.NewRegistryServiceClient(a.Conn()).PutVendor(ctx, &teishiv1.PutVendorRequest{Vendor: &teishiv1.Vendor{Id: "v"}, Reason: "a try"})
	return err
}

// refusesAll reports as an error that an authority does not refuse writes for that reason.
func (h *house) refusesAll(ctx context.Context, reason string) error {
	for _, a := range h.authorities {
		if err := h.tryWrite(ctx, a); reasonOf(err) != reason {
			return fmt.Errorf("%s answers a write by %v, want %s", a.Name(), err, reason)
		}
	}
	return nil
}

// flipped is the data with one bit flipped in its middle.
func flipped(data []byte) []byte {
	bad := append([]byte(nil), data...)
	bad[len(bad)/2] ^= 1
	return bad
}

// password is a file with the password of a user.
func (h *house) password(user, password string) string {
	h.Helper()
	file := filepath.Join(h.cluster.Directory(), user+".password")
	h.must(os.WriteFile(file, []byte(password), 0o600))
	return file
}
