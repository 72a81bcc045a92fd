package service

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// auditServer reads the log.
type auditServer struct {
	teishiv1.UnsafeAuditServiceServer
	*Server
	verifying sync.Mutex // held while the log is verified, which reads all of it
}

// ListEntries returns entries by revision. Its pages end where the record did when the first was asked for.
func (a *auditServer) ListEntries(ctx context.Context, req *teishiv1.ListEntriesRequest) (*teishiv1.ListEntriesResponse, error) {
	p, err := a.open(ctx, teishiv1.AuditService_ListEntries_FullMethodName, req, false, func() (policystore.View, policy.Instant, error) {
		v, err := a.replica.View(ctx, policystore.Demand{})
		return v, 0, err
	})
	if err != nil {
		return nil, err
	}
	last, err := p.index()
	if err != nil {
		return nil, err
	}
	resp := &teishiv1.ListEntriesResponse{Revision: p.revision(), Epoch: p.token.epoch}
	next := policy.Revision(max(req.FromRevision, int64(last), 1))
	for more := true; more && next <= p.token.revision; {
		more, next, err = a.entries(ctx, p, next, resp)
		if err != nil {
			return nil, err
		}
	}
	resp.NextPageToken = p.next
	return resp, nil
}

// entries adds a batch of entries from the revision on to a page, and reports whether it has room for more, and from where.
func (a *auditServer) entries(ctx context.Context, p *page, from policy.Revision, resp *teishiv1.ListEntriesResponse) (more bool, next policy.Revision, err error) {
	batch, err := a.log.Read(ctx, from, min(p.size+1, int(p.token.revision-from)+1))
	if err == nil && len(batch) == 0 {
		err = fmt.Errorf("read entry %d: %w", from, policystore.ErrNotFound)
	}
	if err != nil {
		return false, from, err
	}
	for i := range batch {
		m := policystore.AuditedToProto(&batch[i])
		if !p.take(strconv.FormatInt(m.Entry.Revision, 10), m) {
			return false, from, nil
		}
		resp.Entries = append(resp.Entries, m)
		from = batch[i].Revision + 1
	}
	return true, from, nil
}

// GetEntry returns the entry at a revision.
func (a *auditServer) GetEntry(ctx context.Context, req *teishiv1.GetEntryRequest) (*teishiv1.GetEntryResponse, error) {
	batch, err := a.log.Read(ctx, policy.Revision(req.Revision), 1)
	if err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, &absentError{"revision", "there is no such entry"}
	}
	return &teishiv1.GetEntryResponse{Entry: policystore.AuditedToProto(&batch[0])}, nil
}

// errVerifying says that the log is being verified for another caller.
var errVerifying = errors.New("the log is being verified for another caller")

// VerifyLog reads the whole log and checks it, for one caller at a time.
func (a *auditServer) VerifyLog(ctx context.Context, _ *teishiv1.VerifyLogRequest) (*teishiv1.VerifyLogResponse, error) {
	if !a.verifying.TryLock() {
		return nil, errVerifying
	}
	defer a.verifying.Unlock()
	v, err := policystore.Verify(ctx, a.log, a.domain, policystore.Evidence{}, nil)
	if err != nil {
		return nil, err
	}
	return &teishiv1.VerifyLogResponse{
		Position:         &teishiv1.Position{Epoch: v.Head.Epoch, Revision: int64(v.Head.Revision), Hash: v.Head.Hash[:]},
		EntriesVerified:  v.Entries,
		FirstBadRevision: int64(v.BadRevision),
		Problem:          v.Problem,
	}, nil
}
