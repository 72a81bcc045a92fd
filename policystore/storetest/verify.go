package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// tamper returns the log as it would be if somebody had changed it.
func tamper(log policystore.Log, change func([]policystore.Entry) []policystore.Entry) policystore.Log {
	l := &tampered{log, change}
	if archive, ok := log.(policystore.Archive); ok {
		return struct {
			*tampered
			policystore.Archive
		}{l, archive}
	}
	return l
}

// tampered is a log somebody has changed behind our back: what is read of it is what change makes of the record.
type tampered struct {
	policystore.Log
	change func(all []policystore.Entry) []policystore.Entry
}

// Verification names the first entry that does not verify.
func testVerify(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	for i := 2; i <= 12; i++ {
		n.write(put(fmt.Sprint("r", i), fmt.Sprint("o", i)))
		if i == 6 || i == 10 {
			storeCheckpoint(t, log, n.view(policy.Revision(i)))
		}
	}
	entries := readAll(t, log)
	compared := policy.Revision(0) // where a checkpoint tells a history that was made to fit
	if _, ok := log.(policystore.Archive); ok {
		compared = 6
	}
	for name, c := range map[string]struct {
		change func(all []policystore.Entry) []policystore.Entry
		bad    policy.Revision
	}{
		"untouched":         {func(all []policystore.Entry) []policystore.Entry { return all }, 0},
		"a payload edited":  {func(all []policystore.Entry) []policystore.Entry { all[4].Payload = nil; return all }, 5},
		"a reason edited":   {func(all []policystore.Entry) []policystore.Entry { all[0].Reason = "another"; return all }, 1},
		"edited, rehashed":  {rehashed, compared},
		"one dropped":       {func(all []policystore.Entry) []policystore.Entry { return append(all[:7], all[8:]...) }, 8},
		"the first dropped": {func(all []policystore.Entry) []policystore.Entry { return all[1:] }, 1},
		"two exchanged": {func(all []policystore.Entry) []policystore.Entry {
			all[2], all[3] = all[3], all[2]
			return all
		}, 3},
		"one repeated":     {func(all []policystore.Entry) []policystore.Entry { return append(all, all[11]) }, 13},
		"a format to come": {fromTheFuture, 5},
	} {
		v, err := policystore.Verify(contextOf(t), tamper(log, c.change), Domain, policystore.Evidence{}, nil)
		if err != nil || v.BadRevision != c.bad || (v.Problem == "") != (c.bad == 0) {
			t.Errorf("%s: Verify = %+v, %v, want %d", name, v, err, c.bad)
		}
		if c.bad > 0 && v.Entries != int64(c.bad-1) {
			t.Errorf("%s: %d entries verify, want %d", name, v.Entries, c.bad-1)
		}
	}
	var reached policy.Revision
	v, err := policystore.Verify(contextOf(t), log, Domain, policystore.Evidence{}, func(r policy.Revision) { reached = r })
	if err != nil || v.Head != entries[11].Position() || v.Entries != 12 || reached != 12 {
		t.Errorf("Verify = %+v, %v, reached %d", v, err, reached)
	}
}

// A checkpoint that is whole in itself, and not what the entries fold into, is noticed.
func testVerifyForged(t *testing.T, open func() policystore.Log) {
	log := open()
	n := startNode(t, log, log)
	e := n.write(put("r", "o"))
	forged := n.view(2)
	var err error
	if forged.Snapshot, err = forged.Apply(2, []policy.Change{{Delete: policy.Key{Kind: policy.KindOrganization, ID: "o"}}}); err != nil {
		t.Fatal(err)
	}
	storeCheckpoint(t, log, forged)
	if _, ok := log.(policystore.Archive); !ok {
		t.Skip("the store keeps no checkpoints")
	}
	if v, err := policystore.Verify(contextOf(t), log, Domain, policystore.Evidence{}, nil); err != nil || v.BadRevision != e.Revision {
		t.Errorf("Verify = %+v, %v, want %d", v, err, e.Revision)
	}
}

// rehashed is a history in which entry 5 was edited and what follows was made to fit.
func rehashed(all []policystore.Entry) []policystore.Entry {
	return refit(all, func(e *policystore.Entry) { e.Reason = "another" })
}

// fromTheFuture is a history in which entry 5 has a kind of resource of a later version.
func fromTheFuture(all []policystore.Entry) []policystore.Entry {
	return refit(all, func(e *policystore.Entry) { e.Payload = []byte{0x0a, 0x05, 0x0a, 0x03, 0xfa, 0x01, 0x00} })
}

func refit(all []policystore.Entry, change func(*policystore.Entry)) []policystore.Entry {
	change(&all[4])
	for i := 4; i < len(all); i++ {
		all[i].PreviousHash = all[i-1].Hash
		all[i].Hash = all[i].Sum(Domain)
	}
	return all
}

// Read reads what the change makes of the whole record.
func (l *tampered) Read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	all, err := l.Log.Read(ctx, 1, 1000)
	if err != nil {
		return nil, err
	}
	all = l.change(all)
	start := min(int(from-1), len(all))
	return all[start:min(start+n, len(all))], nil
}

// Request finds the entry in what the change makes of the record.
func (l *tampered) Request(ctx context.Context, principal, id string) (policystore.Entry, error) {
	all, err := l.Read(ctx, 1, 1000)
	for _, e := range all {
		if e.Principal == principal && e.RequestID == id {
			return e, nil
		}
	}
	return policystore.Entry{}, err
}
