package faults

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/sqlite"
)

var (
	rounds = flag.Int("rounds", 1, "run every row so often, each time with another seed")
	proofs = flag.Bool("proofs", false, "run the mutation proofs too")
	seed   = flag.Uint64("seed", 1, "the first seed")
	write_ = flag.String("write", "", "write the table of what was measured into this file")
)

// plan says what a house is made of.
type plan struct {
	sqlite         bool // the record is in SQLite, with one authority; else in PostgreSQL
	noRedis        bool
	sentinel       bool
	oldMaster      bool // decision points stay with the first master, whatever Sentinel says
	pooled         bool // authorities reach PostgreSQL through PgBouncer
	signed         bool // entries, checkpoints and proofs are signed, and trusted keys are asked for
	breaksPostgres bool // the row has a PostgreSQL of its own
	tagged         bool // the program is one that can be broken at failpoints
	local          bool // decision points keep a local checkpoint
	onlyRedis      bool // decision points have no way to an authority
	guarded        bool // who calls is asked who he is, over TLS: by a certificate or a token
	points         int  // how many decision points there are; 0 is two
}

// house is a whole Teishi and what is seen of it from outside.
type house struct {
	*trial
	plan        plan
	postgres    *cluster.Postgres
	database    string
	redis       *cluster.Redis // without Sentinel
	sentinel    *cluster.Sentinel
	publishing  *cluster.Shim   // between authorities and Redis
	reading     *cluster.Shim   // between decision points and Redis
	storing     *cluster.Shim   // between authorities and PostgreSQL
	tailing     []*cluster.Shim // between decision points and each authority
	authorities []*cluster.Teishi
	points      []*cluster.Teishi
	lives       map[string]int
	metricsOf   map[string]string // where a server has its metrics, by name
	sizes       map[string]size   // of the servers before anything was broken
	room        int64             // that the row needs of a server's memory beyond the rest
	history     *history
	load        *load
	dialled     []io.Closer // by the row
	signKey     string
	trustKeys   string
	guard       *guard // of a house that is guarded
}

const domain = "teishi"

// How many of each there are, but that only one authority writes a record in SQLite.
const authorities, points = 2, 2

// passwords of the users of Redis.
const readerPassword, publisherPassword = "read-me", "publish-me"

// open builds the house, waits until all of it serves, and puts it under load.
func open(r *trial, p plan) *house {
	r.Helper()
	h := &house{trial: r, plan: p, history: &history{}, lives: make(map[string]int), metricsOf: make(map[string]string), sizes: make(map[string]size)}
	h.startStores()
	if p.guarded {
		h.guard = h.newGuard()
	}
	h.startServers()
	h.settle()
	h.load = startLoad(h)
	h.measure()
	return h
}

// startStores starts PostgreSQL and Redis, and the shims before them.
func (h *house) startStores() {
	var err error
	if !h.plan.sqlite {
		h.postgres = h.pg()
		h.database, err = h.postgres.CreateDatabase(h.ctx)
		h.must(err)
		target := h.postgres.Addr()
		if h.plan.pooled {
			bouncer, err := h.cluster.StartPgBouncer(h.ctx, cluster.PgBouncerConfig{Postgres: h.postgres})
			h.must(err)
			target = bouncer.Addr()
		}
		h.storing = h.shim(target)
	}
	if h.plan.noRedis {
		return
	}
	config := cluster.RedisConfig{Users: redisUsers()}
	if h.plan.sentinel {
		h.sentinel, err = h.cluster.StartSentinel(h.ctx, cluster.SentinelConfig{
			Redis: config, Users: sentinelUsers(), ReplicationUser: redis.Replication, SentinelUser: redis.Watcher, Shims: true})
		h.must(err)
		return
	}
	h.redis, err = h.cluster.StartRedis(h.ctx, config)
	h.must(err)
	h.publishing, h.reading = h.shim(h.redis.Addr()), h.shim(h.redis.Addr())
}

func redisUsers() []cluster.RedisUser {
	passwords := map[string]string{redis.Reader: readerPassword, redis.Writer: publisherPassword}
	var all []cluster.RedisUser
	for _, u := range redis.ServerUsers(domain) {
		password := passwords[u.Name]
		if password == "" {
			password = u.Name
		}
		all = append(all, cluster.RedisUser{Name: u.Name, Password: password, Rules: u.Rules})
	}
	return all
}

func sentinelUsers() []cluster.RedisUser {
	var all []cluster.RedisUser
	for _, u := range redis.SentinelUsers() {
		all = append(all, cluster.RedisUser{Name: u.Name, Password: u.Name, Rules: u.Rules})
	}
	return all
}

func (h *house) shim(target string) *cluster.Shim {
	s, err := h.cluster.StartShim(cluster.ShimConfig{Target: target, Seed: h.seed})
	h.must(err)
	return s
}

// redisURL is where a user reaches Redis, through a shim.
func (h *house) redisURL(shim *cluster.Shim, user, password string) string {
	if h.sentinel != nil {
		return fmt.Sprintf("redis+sentinel://%s:%s@%s/%s?sentinel_user=%s", user, password, strings.Join(h.sentinel.Addrs(), ","), cluster.MasterName, redis.Seeker)
	}
	return fmt.Sprintf("redis://%s:%s@%s", user, password, shim.Addr())
}

// startServers starts the authorities and the decision points.
func (h *house) startServers() {
	binary := h.binary(h.plan.tagged)
	if h.plan.signed {
		h.makeKeys(binary)
	}
	if !h.plan.sqlite {
		_, err := h.cluster.RunTeishi(h.ctx, cluster.TeishiConfig{Binary: binary, Args: []string{"migrate"}, Env: []string{"TEISHI_STORE=" + h.storeURL()}})
		h.must(err)
	}
	if h.guard != nil {
		h.founded(binary)
	}
	n := authorities
	if h.plan.sqlite {
		n = 1
	}
	for i := range n {
		h.authorities = append(h.authorities, h.start(h.authority(binary, i)))
	}
	for _, a := range h.authorities {
		h.must(a.Ready(h.ctx))
	}
	for _, a := range h.authorities {
		h.tailing = append(h.tailing, h.shim(a.Addr()))
	}
	for i := range cmp.Or(h.plan.points, points) {
		h.points = append(h.points, h.start(h.point(binary, i)))
	}
	for _, p := range h.points {
		h.must(p.Ready(h.ctx))
	}
}

// storeURL is where the record is, as an authority is told.
func (h *house) storeURL() string {
	if h.plan.sqlite {
		return "sqlite:" + h.recordFile()
	}
	return h.postgres.DSNAt(h.storing.Addr(), h.database)
}

func (h *house) recordFile() string {
	return filepath.Join(h.cluster.Directory(), "record", "teishi.db")
}

func (h *house) authority(binary string, i int) cluster.TeishiConfig {
	name := fmt.Sprint("authority-", i)
	c := cluster.TeishiConfig{
		Binary: binary,
		Name:   name,
		Args:   h.serve(name),
		Env:    []string{"TEISHI_STORE=" + h.storeURL(), "TEISHI_FAULTS_FILE=" + h.faultsFile(name)},
	}
	if !h.plan.noRedis {
		c.Env = append(c.Env, "TEISHI_REDIS="+h.redisURL(h.publishing, redis.Writer, publisherPassword))
	}
	if h.plan.signed {
		c.Args = append(c.Args, "--sign-key", h.signKey, "--trust-keys", h.trustKeys)
	}
	return h.sentinelPassword(c)
}

// serve is the command of every server.
func (h *house) serve(name string) []string {
	h.Helper()
	address, err := cluster.FreeAddress()
	h.must(err)
	h.metricsOf[name] = address
	args := []string{"serve", "--id", name, "--lame-duck", "0s", "--metrics-listen", address}
	if h.guard != nil {
		args = append(args, h.guard.args()...)
	}
	return args
}

func (h *house) point(binary string, i int) cluster.TeishiConfig {
	name := fmt.Sprint("point-", i)
	var follow []string
	switch {
	case h.plan.noRedis:
	case h.plan.oldMaster:
		follow = append(follow, fmt.Sprintf("redis://%s:%s@%s", redis.Reader, readerPassword, h.sentinel.Nodes[0].Addr()))
	default:
		follow = append(follow, h.redisURL(h.reading, redis.Reader, readerPassword))
	}
	if !h.plan.onlyRedis {
		for _, s := range h.tailing {
			follow = append(follow, "grpc://"+s.Addr())
		}
	}
	c := cluster.TeishiConfig{
		Binary: binary,
		Name:   name,
		Args:   h.serve(name),
		Env:    []string{"TEISHI_FOLLOW=" + strings.Join(follow, ","), "TEISHI_FAULTS_FILE=" + h.faultsFile(name)},
	}
	if h.plan.local {
		c.Args = append(c.Args, "--local-checkpoint", h.localFile(name))
	}
	if h.plan.signed {
		c.Args = append(c.Args, "--trust-keys", h.trustKeys)
	}
	return h.sentinelPassword(c)
}

func (h *house) sentinelPassword(c cluster.TeishiConfig) cluster.TeishiConfig {
	if h.sentinel == nil || !slices.ContainsFunc(c.Env, func(e string) bool { return strings.Contains(e, "+sentinel://") }) {
		return c
	}
	c.Args = append(c.Args, "--redis-sentinel-password-file", h.password(redis.Seeker, redis.Seeker))
	return c
}

func (h *house) localFile(name string) string {
	return filepath.Join(h.cluster.Directory(), name+".checkpoint")
}

func (h *house) faultsFile(name string) string {
	return filepath.Join(h.cluster.Directory(), name+".faults")
}

// held returns how many were held at failpoints of a server so far.
func (h *house) held(name string) (int, error) {
	b, err := os.ReadFile(h.faultsFile(name) + ".held")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return strings.Count(string(b), "\n"), err
}

// breaks says what is broken in a server of a tagged program, line by line, from now on; with no lines nothing is, but for the
// guard that a mutation proof takes away.
func (h *house) breaks(name string, lines ...string) {
	h.Helper()
	if h.without != "" {
		lines = append(lines, "without "+h.without)
	}
	file := h.faultsFile(name)
	h.must(os.WriteFile(file+".new", []byte(strings.Join(lines, "\n")+"\n"), 0o600)) // whole or not at all
	h.must(os.Rename(file+".new", file))
}

func (h *house) start(c cluster.TeishiConfig) *cluster.Teishi {
	h.Helper()
	h.breaks(c.Name)
	if h.guard != nil {
		c.Dial = append(c.Dial, h.guard.shows(h.guard.known))
	}
	t, err := h.cluster.StartTeishi(h.ctx, c)
	h.must(err)
	h.lives[c.Name]++
	h.trial.servers = append(h.trial.servers, t)
	return t
}

// restart starts a server again, and waits until it serves.
func (h *house) restart(t *cluster.Teishi) {
	h.Helper()
	h.again(t)
	h.must(t.Ready(h.ctx))
}

// again starts a server again, and does not wait for it: it may be given what it cannot serve.
func (h *house) again(t *cluster.Teishi) {
	h.Helper()
	h.load.mu.Lock()
	h.lives[t.Name()]++
	h.load.mu.Unlock()
	h.must(t.Restart(h.ctx))
}

// makeKeys makes the key that authorities sign with, and the file of those that are trusted.
func (h *house) makeKeys(binary string) {
	h.signKey, h.trustKeys = filepath.Join(h.cluster.Directory(), "sign.key"), filepath.Join(h.cluster.Directory(), "trust.keys")
	public, err := h.cluster.RunTeishi(h.ctx, cluster.TeishiConfig{Binary: binary, Args: []string{"key", "new", h.signKey}})
	h.must(err)
	h.must(os.WriteFile(h.trustKeys, []byte(public), 0o600))
}

// teishi runs a command of the program that needs the record.
func (h *house) teishi(args ...string) (string, error) {
	return h.cluster.RunTeishi(h.ctx, cluster.TeishiConfig{
		Binary: h.binary(h.plan.tagged), Args: args, Env: []string{"TEISHI_STORE=" + h.storeURL()},
	})
}

// openRecord opens the record beside those who write it.
func (h *house) openRecord() (policystore.Log, func() error) {
	h.Helper()
	if h.plan.sqlite {
		log, err := sqlite.Open(h.ctx, sqlite.Config{Path: h.recordFile(), Domain: domain, ReadOnly: true})
		h.must(err)
		return log, log.Close
	}
	log, err := postgres.New(postgres.Config{DSN: h.postgres.DSN(h.database), Domain: domain})
	h.must(err)
	return log, log.Close
}

// record reads the record as it is now.
func (h *house) record() *record {
	h.Helper()
	log, closeLog := h.openRecord()
	defer func() { h.must(closeLog()) }()
	r := &record{domain: domain}
	for {
		batch, err := log.Read(h.ctx, policyRevision(len(r.entries)+1), 1000)
		h.must(err)
		if len(batch) == 0 {
			return r
		}
		r.entries = append(r.entries, batch...)
	}
}

// end waits until everything has come back, and judges what was seen.
func (h *house) end() {
	h.Helper()
	h.healed("everything")
	h.wait("until every watch was told everything", h.load.watching.told())
	h.hangUp()
	h.bounded()
	h.judge()
}

// judge ends the load and holds what was seen against the record.
func (h *house) judge() {
	h.Helper()
	h.load.stop()
	r := h.record()
	for _, problem := range judge(h.history, r) {
		h.problem("%s", problem)
	}
	h.logf("judged %d entries, %d writes, %d checks, %d reports, %d followed entries and %d changes that were told to %d watches", len(r.entries),
		len(h.history.writes), len(h.history.checks), len(h.history.reports), len(h.history.tails), h.history.changes(), len(h.history.watching))
}

// isolate cuts the decision points off everything, and rejoin connects them again.
func (h *house) isolate() {
	if h.reading != nil {
		h.reading.Cut()
	}
	for _, s := range h.tailing {
		s.Cut()
	}
}

func (h *house) rejoin() {
	h.Helper()
	if h.reading != nil {
		h.must(h.reading.Heal())
	}
	for _, s := range h.tailing {
		h.must(s.Heal())
	}
}

// servers are all that answer questions.
func (h *house) servers() []*cluster.Teishi {
	return append(append([]*cluster.Teishi(nil), h.authorities...), h.points...)
}

// errTrialOver ends a row that cannot go on.
var errTrialOver = errors.New("the row cannot go on")

// trial is one run of a row: a test, or a mutation proof, which must fail.
type trial struct {
	*testing.T
	ctx     context.Context
	cluster *cluster.Cluster
	row     *row
	seed    uint64
	without string // the guard that is taken away
	servers []*cluster.Teishi
	leaving sync.WaitGroup // what ends with ctx

	mu       sync.Mutex
	problems []string
	took     []measured
}

// measured is how long something took, or how many bytes.
type measured struct {
	what   string
	amount int64
	bytes  bool
}

func (m measured) String() string {
	if m.bytes {
		return fmt.Sprintf("%.1f KiB", float64(m.amount)/1024)
	}
	return time.Duration(m.amount).Round(time.Millisecond).String()
}

// problem notes that something is not as it must be.
func (r *trial) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// must ends the row if err is one: without it the rest makes no sense.
func (r *trial) must(err error) {
	r.Helper()
	if err != nil {
		r.problem("%v", err)
		panic(errTrialOver)
	}
}

func (r *trial) logf(format string, args ...any) { r.Helper(); r.Logf(format, args...) }

// until waits for a condition, and notes how long it took.
func (r *trial) until(invariant, what string, condition func(context.Context) error) {
	r.Helper()
	began := time.Now()
	if err := cluster.Wait(r.ctx, what, condition); err != nil {
		r.must(fmt.Errorf("%s: %w", invariant, err))
	}
	r.note(what, time.Since(began))
}

// note notes how long something took, noteBytes how large it is.
func (r *trial) note(what string, took time.Duration) {
	r.Helper()
	r.measured(measured{what: what, amount: int64(took)})
}

func (r *trial) noteBytes(what string, n int64) { r.Helper(); r.measured(measured{what, n, true}) }

func (r *trial) measured(m measured) {
	r.Helper()
	r.mu.Lock()
	r.took = append(r.took, m)
	r.mu.Unlock()
	r.logf("%s: %s", m.what, m)
}
