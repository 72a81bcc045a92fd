package redis

import (
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// keyspace begins every key of a domain. What is in braces decides where Cluster keeps a key: all of them together.
type keyspace string

func keysOf(domain string) keyspace { return keyspace("{teishi:" + domain + "}:") }

func (k keyspace) log() string               { return string(k) + "log" }
func (k keyspace) proofs() string            { return string(k) + "hb" }
func (k keyspace) meta() string              { return string(k) + "meta" }
func (k keyspace) checkpoints() string       { return string(k) + "ckpt:" }
func (k keyspace) checkpoint(r stage) string { return k.checkpoints() + r.String() }

// The fields of what is stored.
const (
	hashField       = "hash"  // of an entry in log, in hexadecimal: scripts compare it
	entryField      = "entry" // of an entry in log, encoded
	proofField      = "proof" // of a proof in hb, encoded
	epochField      = "epoch" // of meta: that of the record
	seedField       = "seed"  // of meta: another one each time that log is made anew
	checkpointField = "checkpoint"
	previousField   = "previous"
)

// stage is where a checkpoint was taken, as its key and meta name it. The zero value says that there is none.
type stage struct {
	epoch    int64
	revision policy.Revision
}

const noStage = "none"

func stageOf(p policystore.Position) stage { return stage{p.Epoch, p.Revision} }

func (s stage) String() string {
	if s == (stage{}) {
		return noStage
	}
	return fmt.Sprintf("%d:%d", s.epoch, s.revision)
}

func parseStage(text string) (stage, error) {
	if text == noStage {
		return stage{}, nil
	}
	epoch, revision, _ := strings.Cut(text, ":")
	e, err := strconv.ParseInt(epoch, 10, 64)
	r, err2 := strconv.ParseInt(revision, 10, 64)
	s := stage{e, policy.Revision(r)}
	if err != nil || err2 != nil || e < 1 || r < 1 || s.String() != text {
		return stage{}, fmt.Errorf("%q names no checkpoint: %w", text, policystore.ErrBroken)
	}
	return s, nil
}

// epochOf returns the epoch that meta has, 0 if it has none. One that no publisher has written so is none: scripts compare the
// text, and count with no more than 15 digits.
func epochOf(text string) int64 {
	epoch, err := strconv.ParseInt(text, 10, 64)
	if err != nil || epoch < 1 || len(text) > 15 || strconv.FormatInt(epoch, 10) != text {
		return 0
	}
	return epoch
}

// idOf returns the id in log of the entry at a revision.
func idOf(r policy.Revision) string { return strconv.FormatInt(int64(r), 10) + "-0" }

// revisionOf returns the revision that an id in log says.
func revisionOf(id string) (policy.Revision, error) {
	text, ok := strings.CutSuffix(id, "-0")
	r, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || r < 0 || strconv.FormatInt(r, 10) != text {
		return 0, fmt.Errorf("%q is not the id of an entry: %w", id, policystore.ErrBroken)
	}
	return policy.Revision(r), nil
}

// field returns a field of a message, which is missing as an empty one is.
func field(m goredis.XMessage, name string) string {
	text, _ := m.Values[name].(string)
	return text
}

// entryOf returns the entry in a message of log, whose id must be its revision.
func entryOf(m goredis.XMessage) (policystore.Entry, error) {
	r, err := revisionOf(m.ID)
	if err != nil {
		return policystore.Entry{}, err
	}
	e, err := policystore.DecodeEntry([]byte(field(m, entryField)))
	if err != nil {
		return e, fmt.Errorf("at %s: %w", m.ID, err)
	}
	if e.Revision != r {
		return e, fmt.Errorf("entry %d stands at %s: %w", e.Revision, m.ID, policystore.ErrBroken)
	}
	return e, nil
}
