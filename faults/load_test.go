package faults

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
)

func policyRevision(n int) policy.Revision { return policy.Revision(n) }

// load is what is asked and written all the time.
type load struct {
	house    *house
	stopped  context.CancelFunc
	running  sync.WaitGroup
	mu       sync.Mutex  // guards the lives of servers
	lossy    atomic.Bool // the record was rewound: what was acknowledged may be gone
	watching *crowd      // a watch of all apps at each server, to begin with
}

const (
	writeEvery  = 40 * time.Millisecond // by each writer
	writers     = 4
	checkEvery  = 15 * time.Millisecond  // of each server
	demandEvery = 150 * time.Millisecond // of each server, for a revision
	writeWithin = 3 * time.Second
	checkWithin = 3 * time.Second
	minWithin   = 6 * time.Second
	reportEvery = 300 * time.Millisecond
)

// settle registers the organization and the apps.
func (h *house) settle() {
	h.Helper()
	registry := teishiv1.NewRegistryServiceClient(h.authorities[0].Conn())
	ctx, cancel := context.WithTimeout(h.ctx, cluster.Watchdog)
	defer cancel()
	put := &teishiv1.PutOrganizationRequest{Organization: &teishiv1.Organization{Id: organization}, Reason: "settle", RequestId: "organization"}
	h.until("I12", "the first write", func(ctx context.Context) error {
		_, err := registry.PutOrganization(ctx, put)
		return err
	})
	for app := range apps {
		a := &teishiv1.App{Id: appID(app), OnStale: teishiv1.OnStale_ON_STALE_SERVE}
		if deniesWhenStale(app) {
			a.OnStale = teishiv1.OnStale_ON_STALE_DENY
		}
		put := &teishiv1.PutAppRequest{App: a, Reason: "settle", RequestId: fmt.Sprint("app-", app)}
		h.must(cluster.Wait(ctx, "an app to be registered", func(ctx context.Context) error {
			_, err := registry.PutApp(ctx, put)
			return err
		}))
	}
}

func startLoad(h *house) *load {
	ctx, stop := context.WithCancel(h.ctx)
	l := &load{house: h, stopped: stop}
	for w := range writers {
		l.running.Go(func() { l.write(ctx, w) })
	}
	for _, s := range h.servers() {
		l.running.Go(func() { l.check(ctx, s) })
		l.running.Go(func() { l.demand(ctx, s) })
	}
	for _, a := range h.authorities {
		l.running.Go(func() { l.report(ctx, a) })
		l.running.Go(func() { l.follow(ctx, a) })
	}
	var all []*watcher
	ways := waysTo(h.servers()...)
	for i, s := range h.servers() {
		all = append(all, h.newWatcher("of "+s.Name(), allApps(), slices.Concat(ways[i:], ways[:i])))
	}
	l.watching = h.watches(all...)
	return l
}

func (l *load) stop() {
	l.stopped()
	l.running.Wait()
	l.watching.disperse()
}

// write suspends and resumes its apps, one after the other, at whichever authority answers.
func (l *load) write(ctx context.Context, writer int) {
	random := rand.New(rand.NewPCG(l.house.seed, uint64(writer)))
	for n := 0; ctx.Err() == nil; n++ {
		app := writer + writers*(n%(apps/writers))
		for _, verb := range []string{"halt", "lift"} {
			l.one(ctx, random, verb, app, n)
			rest(ctx, writeEvery)
		}
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// one makes one write, again and again until its outcome is known.
func (l *load) one(ctx context.Context, random *rand.Rand, verb string, app, n int) {
	w := write{id: fmt.Sprintf("%s-%d-%d", verb, app, n), app: app, first: time.Now()}
	for ctx.Err() == nil {
		a := l.house.authorities[random.IntN(len(l.house.authorities))]
		revision, epoch, err := l.send(ctx, a, verb, app, n, w.id)
		w.answered = time.Now()
		if err == nil {
			w.revision, w.epoch = revision, epoch
			l.house.history.wrote(w)
			return
		}
		if w.refusal = reasonOf(err); w.refusal == "RESOURCE_NOT_FOUND" && l.lossy.Load() {
			return // what it rests on was given up
		}
		if !mayGoBetter(err) {
			l.house.problem("I1: write %s is refused: %v", w.id, err)
			return
		}
		rest(ctx, writeEvery)
	}
	l.house.history.wrote(w)
}

// mayGoBetter reports whether a write that failed so is to be repeated with its request id.
func mayGoBetter(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted, codes.Canceled, codes.Unknown:
		return true
	case codes.FailedPrecondition:
		return reasonOf(err) == "RECORD_REWOUND"
	}
	return false
}

func (l *load) send(ctx context.Context, a *cluster.Teishi, verb string, app, n int, id string) (revision, epoch int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	directives := teishiv1.NewDirectiveServiceClient(a.Conn())
	directive := fmt.Sprintf("halt-%d-%d", app, n)
	if verb == "lift" {
		resp, err := directives.LiftDirective(ctx, &teishiv1.LiftDirectiveRequest{Directive: directive, Release: "lift", Reason: "load", RequestId: id})
		return resp.GetRevision(), resp.GetEpoch(), err
	}
	resp, err := directives.IssueDirective(ctx, &teishiv1.IssueDirectiveRequest{Directive: haltOf(directive, app), Reason: "load", RequestId: id})
	return resp.GetRevision(), resp.GetEpoch(), err
}

// haltOf is a directive that suspends an app.
func haltOf(id string, app int) *teishiv1.Directive {
	return &teishiv1.Directive{Id: id, Authority: organization, Provisions: []*teishiv1.Provision{{
		Id: "all", Force: teishiv1.Force_FORCE_BINDING, Selector: &teishiv1.Selector{
			Organizations: &teishiv1.OrganizationSelector{In: []string{organization}},
			Targets:       &teishiv1.TargetSelector{In: []*teishiv1.Target{{App: appID(app)}}},
		},
	}}}
}

// check asks a server all the time.
func (l *load) check(ctx context.Context, s *cluster.Teishi) {
	client := teishiv1.NewDecisionServiceClient(s.Conn())
	for n := 0; ctx.Err() == nil; n++ {
		app := n % apps
		l.ask(ctx, client, s, app, &teishiv1.CheckRequest{Organization: organization, App: appID(app)}, checkWithin)
		rest(ctx, checkEvery)
	}
}

// demand asks a server for what was acknowledged last.
func (l *load) demand(ctx context.Context, s *cluster.Teishi) {
	client := teishiv1.NewDecisionServiceClient(s.Conn())
	for n := 0; ctx.Err() == nil; n++ {
		app := n % apps
		revision, epoch := l.house.history.acknowledged()
		req := &teishiv1.CheckRequest{Organization: organization, App: appID(app), MinRevision: revision, Epoch: epoch}
		l.ask(ctx, client, s, app, req, minWithin)
		rest(ctx, demandEvery)
	}
}

// life returns how often a server was started.
func (l *load) life(s *cluster.Teishi) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.house.lives[s.Name()]
}

func (l *load) ask(ctx context.Context, client teishiv1.DecisionServiceClient, s *cluster.Teishi, app int, req *teishiv1.CheckRequest, within time.Duration) {
	calling, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c := check{replica: s.Name(), life: l.life(s), app: app, asked: time.Now(), min: req.MinRevision}
	resp, err := client.Check(calling, req)
	c.answered = time.Now()
	if l.life(s) != c.life {
		c.life = -int(c.answered.UnixNano()) // it was started meanwhile: nobody knows which of the two has answered
	}
	if err != nil {
		c.refusal = reasonOf(err)
	} else {
		c.answer = resp
	}
	if ctx.Err() == nil {
		l.house.history.checked(c)
	}
}

// report notes what an authority knows of the fleet.
func (l *load) report(ctx context.Context, a *cluster.Teishi) {
	client := teishiv1.NewFleetServiceClient(a.Conn())
	for ctx.Err() == nil {
		calling, cancel := context.WithTimeout(ctx, checkWithin)
		resp, err := client.ListReplicas(calling, &teishiv1.ListReplicasRequest{})
		cancel()
		if err == nil {
			for _, r := range resp.Replicas {
				l.house.history.reported(report{r.Id, r.Revision, r.Epoch, hex.EncodeToString(r.Hash), hex.EncodeToString(r.StateHash)})
			}
		}
		rest(ctx, reportEvery)
	}
}

// follow follows an authority as a replica would, and goes on from where it was when it breaks off.
func (l *load) follow(ctx context.Context, a *cluster.Teishi) {
	client := teishiv1.NewLogServiceClient(a.Conn())
	var at *teishiv1.Position
	for ctx.Err() == nil {
		stream, err := client.Tail(ctx, &teishiv1.TailRequest{Domain: domain, After: at})
		for err == nil {
			var m *teishiv1.TailResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			if e := m.GetEntry(); e != nil {
				at = &teishiv1.Position{Epoch: e.Epoch, Revision: e.Revision, Hash: e.Hash}
				l.house.history.followed(tailed{follower: a.Name(), revision: e.Revision, epoch: e.Epoch,
					hash: hex.EncodeToString(e.Hash), previous: hex.EncodeToString(e.PreviousHash)})
			}
		}
		switch reason := reasonOf(err); reason {
		case "COMPACTED", "EPOCH_MISMATCH", "RECORD_DIVERGED":
			l.house.history.followed(tailed{follower: a.Name(), refusal: reason})
			at = nil
		}
		rest(ctx, 100*time.Millisecond)
	}
}

// reasonOf returns the reason of an error, or its code.
func reasonOf(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Sprint(err)
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return s.Code().String()
}

// healed waits until every server answers FRESH at the revision acknowledged last, or a later one.
func (h *house) healed(what string) {
	h.Helper()
	revision, epoch := h.history.acknowledged()
	h.until("I12", "until all are FRESH after "+what, func(ctx context.Context) error {
		var behind []error
		for _, s := range h.servers() {
			behind = append(behind, h.is(ctx, s, teishiv1.Freshness_STATE_FRESH, revision, epoch))
		}
		return errors.Join(behind...)
	})
}

// is reports as an error that a server does not answer in that state at the revision or a later one.
func (h *house) is(ctx context.Context, s *cluster.Teishi, state teishiv1.Freshness_State, revision, epoch int64) error {
	resp, err := h.asks(ctx, s, 0)
	switch {
	case err != nil:
		return fmt.Errorf("%s does not answer: %w", s.Name(), err)
	case resp.GetFreshness().GetState() != state:
		return fmt.Errorf("%s is %s, want %s", s.Name(), resp.GetFreshness().GetState(), state)
	case resp.Epoch < epoch || resp.Epoch == epoch && resp.Revision < revision:
		return fmt.Errorf("%s is at revision %d of epoch %d, want %d of %d", s.Name(), resp.Revision, resp.Epoch, revision, epoch)
	}
	return nil
}

// asks asks a server about an app.
func (h *house) asks(ctx context.Context, s *cluster.Teishi, app int) (*teishiv1.CheckResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	return teishiv1.NewDecisionServiceClient(s.Conn()).Check(ctx, &teishiv1.CheckRequest{Organization: organization, App: appID(app)}, grpc.WaitForReady(false))
}
