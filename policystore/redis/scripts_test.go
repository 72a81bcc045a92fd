//go:build linux

package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore/redis"
)

// Every answer of append, in an order in which each shows what the ones before have left behind.
func TestAppendScript(t *testing.T) {
	h := newHouse(t)
	c := h.client(redis.Writer)
	run := func(epoch, revision int, previous, hash string) string {
		t.Helper()
		words, err := goredis.NewScript(redis.AppendScript).Run(t.Context(), c, []string{logKey, metaKey},
			epoch, revision, previous, hash, "bytes of "+hash).StringSlice()
		if err != nil {
			t.Fatalf("append(%d, %d, %s, %s) = %v", epoch, revision, previous, hash, err)
		}
		return strings.Join(words, " ")
	}
	want := func(want string, epoch, revision int, previous, hash string) {
		t.Helper()
		if got := run(epoch, revision, previous, hash); got != want {
			t.Errorf("append(%d, %d, %s, %s) = %s, want %s", epoch, revision, previous, hash, got, want)
		}
	}
	admin := func(args ...any) {
		t.Helper()
		if err := h.admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	want("EMPTY", 2, 1, "", "a")
	admin("HSET", metaKey, "epoch", "2")
	want("EMPTY", 2, 1, "", "a")
	admin("XADD", logKey, "5-0", "hash", "e", "entry", "bytes of e")
	want("EPOCH 2", 1, 6, "e", "f")
	want("EPOCH 2", 3, 6, "e", "f")
	want("GAP 5-0", 2, 7, "f", "g")
	want("FORK 5-0", 2, 6, "x", "f")
	want("OLD 5-0", 2, 4, "c", "d")
	want("OK 6-0", 2, 6, "e", "f")
	want("DUP 6-0", 2, 6, "e", "f")
	want("DUP 6-0", 2, 5, "d", "e")
	want("FORK 6-0", 2, 6, "e", "y")
	want("FORK 6-0", 2, 5, "d", "y")
	want("OK 7-0", 2, 7, "f", "1e1")
	want("FORK 7-0", 2, 7, "f", "10") // as numbers they are the same
	admin("XDEL", logKey, "7-0")
	want("CUT 6-0", 2, 7, "f", "1e1")
	admin("XTRIM", logKey, "MAXLEN", "0")
	want("EMPTY", 2, 7, "f", "g")
	admin("DEL", logKey)
	admin("XADD", logKey, "9007199254740990-0", "hash", "z")
	want("OK 9007199254740991-0", 2, 9007199254740991, "z", "zz")
	admin("XADD", logKey, "9007199254740991-1", "hash", "forged")
	want("FORK 9007199254740991-1", 2, 9007199254740991, "z", "zz")
	admin("DEL", metaKey)
	want("EMPTY", 2, 6, "e", "f")
	if all := h.admin.XRange(t.Context(), logKey, "-", "+").Val(); len(all) != 3 {
		t.Errorf("log has %v", all)
	}
}

// seeding are the arguments of seed.
type seeding struct {
	epoch, revision int
	stage           string
	saw             [4]any // epoch, seed, id and hash of the last entry
}

func TestSeedScript(t *testing.T) {
	nothing := [4]any{"", "", "", ""}
	saw := [4]any{"2", "s1", "5-0", "e"}
	there := []string{
		"HSET META epoch 2 seed s1 checkpoint 2:4 previous 2:3", "XADD LOG 4-0 hash d", "XADD LOG 5-0 hash e",
		"SET CKPT2:4 newest", "SET CKPT2:3 previous", "SET CKPT2:9 ours EX 100",
	}
	for name, test := range map[string]struct {
		before []string
		seed   seeding
		want   string // the answer
	}{
		"nothing there":         {nil, seeding{1, 1, "none", nothing}, "OK"},
		"with a checkpoint":     {[]string{"SET CKPT2:9 ours EX 100"}, seeding{2, 9, "2:9", nothing}, "OK"},
		"no checkpoint":         {nil, seeding{2, 9, "2:9", nothing}, "GONE"},
		"no log":                {append(there, "DEL LOG"), seeding{2, 9, "2:9", nothing}, "OK"},
		"an emptied log":        {append(there, "XTRIM LOG MAXLEN 0"), seeding{2, 9, "2:9", nothing}, "OK"},
		"no meta":               {append(there, "DEL META"), seeding{2, 9, "2:9", nothing}, "OK"},
		"a lower epoch":         {there, seeding{3, 9, "2:9", nothing}, "OK"},
		"a higher epoch":        {there, seeding{1, 9, "2:9", nothing}, "KEPT"},
		"no log, higher epoch":  {append(there, "DEL LOG"), seeding{1, 9, "2:9", nothing}, "KEPT"},
		"the same epoch":        {there, seeding{2, 9, "2:9", nothing}, "KEPT"},
		"as seen":               {there, seeding{2, 9, "2:9", saw}, "OK"},
		"as seen, lower epoch":  {there, seeding{1, 9, "2:9", saw}, "OK"},
		"as seen, now gone":     {there, seeding{2, 8, "2:8", saw}, "GONE"},
		"another top":           {append(there, "XADD LOG 6-0 hash f"), seeding{2, 9, "2:9", saw}, "KEPT"},
		"another hash":          {there, seeding{2, 9, "2:9", [4]any{"2", "s1", "5-0", "f"}}, "KEPT"},
		"another seed":          {append(there, "HSET META seed s2"), seeding{2, 9, "2:9", saw}, "KEPT"},
		"another epoch":         {append(there, "HSET META epoch 3"), seeding{2, 9, "2:9", saw}, "KEPT"},
		"seen without log":      {append(there, "DEL LOG"), seeding{1, 9, "2:9", [4]any{"2", "s1", "", ""}}, "OK"},
		"no number":             {append(there, "HSET META epoch 1.5"), seeding{2, 9, "2:9", nothing}, "OK"},
		"no number of ours":     {append(there, "HSET META epoch 02"), seeding{2, 9, "2:9", nothing}, "OK"},
		"no possible number":    {append(there, "HSET META epoch 9999999999999999"), seeding{2, 9, "2:9", nothing}, "OK"},
		"deleted beyond the id": {append(there, "XDEL LOG 5-0"), seeding{2, 5, "none", [4]any{"2", "s1", "4-0", "d"}}, "OK"},
	} {
		t.Run(name, func(t *testing.T) { testSeed(t, test.before, test.seed, test.want) })
	}
}

func testSeed(t *testing.T, before []string, s seeding, want string) {
	h := newHouse(t)
	for _, line := range before {
		line = strings.NewReplacer("META", metaKey, "LOG", logKey, "CKPT", ckptKey).Replace(line)
		var args []any
		for _, word := range strings.Fields(line) {
			args = append(args, word)
		}
		if err := h.admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	digest := h.digest()
	args := append([]any{s.epoch, s.revision, "ours", "bytes", s.stage, "s9", ckptKey}, s.saw[:]...)
	words, err := goredis.NewScript(redis.SeedScript).Run(t.Context(), h.client(redis.Writer),
		[]string{logKey, metaKey, ckptKey + s.stage}, args...).StringSlice()
	if err != nil || strings.Join(words, " ") != want {
		t.Fatalf("seed = %v, %v, want %s", words, err, want)
	}
	if want != "OK" {
		if now := h.digest(); now != digest {
			t.Errorf("%s has left %s, of %s", want, now, digest)
		}
		return
	}
	entries := h.admin.XRange(t.Context(), logKey, "-", "+").Val()
	if len(entries) != 1 || entries[0].ID != fmt.Sprintf("%d-0", s.revision) || entries[0].Values["hash"] != "ours" || entries[0].Values["entry"] != "bytes" {
		t.Errorf("log = %v", entries)
	}
	meta := h.admin.HGetAll(t.Context(), metaKey).Val()
	if meta["epoch"] != fmt.Sprint(s.epoch) || meta["seed"] != "s9" || meta["checkpoint"] != s.stage || meta["previous"] != "none" {
		t.Errorf("meta = %v", meta)
	}
	keys := h.admin.Keys(t.Context(), ckptKey+"*").Val()
	kept := s.stage != "none"
	if meta := strings.Join(keys, " "); kept && meta != ckptKey+s.stage && !strings.Contains(strings.Join(before, "\n"), "DEL META") {
		t.Errorf("checkpoints = %v, want only %s", keys, s.stage)
	}
	if ttl := h.admin.TTL(t.Context(), ckptKey+s.stage).Val(); kept && ttl != -1 {
		t.Errorf("the checkpoint is gone in %s", ttl)
	}
}

// digest returns what distinguishes the data of Redis from any other.
func (h *house) digest() string {
	h.t.Helper()
	var all strings.Builder
	for _, key := range slices.Sorted(slices.Values(h.admin.Keys(h.ctx(), "*").Val())) {
		fmt.Fprintf(&all, "%s %q %t\n", key, h.admin.Dump(h.ctx(), key).Val(), h.admin.TTL(h.ctx(), key).Val() < 0)
	}
	return all.String()
}

func TestCheckpointScript(t *testing.T) {
	h := newHouse(t)
	c := h.client(redis.Writer)
	do := func(args ...any) {
		t.Helper()
		if err := h.admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	want := func(want, newest, stage, trim string) {
		t.Helper()
		words, err := goredis.NewScript(redis.CheckpointScript).Run(t.Context(), c,
			[]string{logKey, metaKey, ckptKey + stage}, "1", newest, stage, trim, ckptKey).StringSlice()
		if err != nil || strings.Join(words, " ") != want {
			t.Errorf("checkpoint(%s, %s) = %v, %v, want %s", newest, stage, words, err, want)
		}
	}
	state := func(checkpoint, previous string, keys ...string) {
		t.Helper()
		meta := h.admin.HGetAll(t.Context(), metaKey).Val()
		if meta["checkpoint"] != checkpoint || meta["previous"] != previous {
			t.Errorf("meta = %v, want %s and %s", meta, checkpoint, previous)
		}
		for _, key := range keys {
			if ttl, err := h.admin.TTL(t.Context(), ckptKey+key).Result(); err != nil || ttl != -1 {
				t.Errorf("the checkpoint %s is gone in %v, %v", key, ttl, err)
			}
		}
		if n := len(h.admin.Keys(t.Context(), ckptKey+"*").Val()); n != len(keys) {
			t.Errorf("there are %d checkpoints, want %d", n, len(keys))
		}
	}
	for i := range 1000 {
		do("XADD", logKey, fmt.Sprintf("%d-0", i+1), "hash", "h")
	}
	want("MOVED", "none", "1:10", "")
	do("HSET", metaKey, "epoch", "1", "checkpoint", "none", "previous", "none")
	want("MOVED", "none", "1:10", "") // it was not stored
	for _, at := range []string{"1:10", "1:20", "1:30"} {
		do("SET", ckptKey+at, at, "EX", "100")
	}
	want("OK", "none", "1:10", "")
	want("OK", "1:10", "1:20", "")
	want("MOVED", "1:10", "1:30", "")
	want("OK", "1:20", "1:30", "500-0")
	state("1:30", "1:20", "1:20", "1:30")
	want("OK", "1:30", "1:30", "") // stored anew
	state("1:30", "1:20", "1:20", "1:30")
	first := h.admin.XRangeN(t.Context(), logKey, "-", "+", 1).Val()
	if len(first) != 1 || first[0].ID == "1-0" || h.admin.XRange(t.Context(), logKey, "500-0", "500-0").Val() == nil {
		t.Errorf("after trimming before 500 log begins at %v", first)
	}
	do("HSET", metaKey, "epoch", "2")
	want("MOVED", "1:30", "1:30", "")
}

// A script that is refused changes nothing.
func TestScriptsWithoutRoom(t *testing.T) {
	h := newHouse(t)
	for _, args := range [][]any{
		{"HSET", metaKey, "epoch", "1", "seed", "s1", "checkpoint", "1:4", "previous", "none"},
		{"SET", ckptKey + "1:4", "newest"}, {"SET", ckptKey + "1:5", "ours"},
		{"XADD", logKey, "5-0", "hash", "e"}, {"CONFIG", "SET", "maxmemory", "1"},
	} {
		if err := h.admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	c, digest := h.client(redis.Writer), h.digest()
	err := goredis.NewScript(redis.AppendScript).Run(t.Context(), c, []string{logKey, metaKey}, 1, 6, "e", "f", "bytes").Err()
	if err == nil || !strings.HasPrefix(err.Error(), "OOM") || h.digest() != digest {
		t.Errorf("append without room = %v, and leaves %s of %s", err, h.digest(), digest)
	}
	// seed frees what it replaces, so it may go on; if it does not, then as a whole.
	err = goredis.NewScript(redis.SeedScript).Run(t.Context(), c, []string{logKey, metaKey, ckptKey + "none"},
		1, 1, "a", "bytes", "none", "s2", ckptKey, 1, "s1", "5-0", "e").Err()
	var answer goredis.Error
	if err != nil && (!errors.As(err, &answer) || h.digest() != digest) {
		t.Errorf("seed without room = %v, and leaves %s of %s", err, h.digest(), digest)
	}
	if err == nil && h.admin.HGet(t.Context(), metaKey, "seed").Val() != "s2" {
		t.Error("seed without room does half of it")
	}
}
