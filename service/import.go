package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// maxImport bounds the resources of an import, in bytes: they are read to the end before the first is written.
const maxImport = 64 << 20

// maxSlice bounds the resources of one entry, in bytes: what fits beside the rest of an entry and the missing purposes
// that it may add. It depends on nothing but the import, so that a repeated one is sliced alike.
const maxSlice = policystore.MaxEntrySize - 128<<10

// importing is an import as it was received.
type importing struct {
	head      *teishiv1.ImportRequest // with the write fields
	requestID string
	items     []imported
	numbers   map[policy.Key]int // of the message that has the resource
	size      int                // of the resources, in bytes
}

// imported is a resource of an import with the message it came in.
type imported struct {
	resource policy.Resource
	message  *teishiv1.ImportRequest
}

// Import puts many resources of the registry, in as few entries as fit. Repeated, it continues where it stopped.
func (r *registryServer) Import(stream grpc.ClientStreamingServer[teishiv1.ImportRequest, teishiv1.ImportResponse]) error {
	in, err := receiveImport(stream)
	if err != nil {
		return err
	}
	resp, err := r.importAll(stream.Context(), in)
	if err != nil {
		return err
	}
	return stream.SendAndClose(resp)
}

// receiveImport reads an import to its end, and refuses what cannot be part of one.
func receiveImport(stream grpc.ClientStreamingServer[teishiv1.ImportRequest, teishiv1.ImportResponse]) (*importing, error) {
	in := &importing{numbers: make(map[policy.Key]int)}
	for n := 1; ; n++ {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return in, in.complete()
		case err != nil:
		case n == 1:
			err = in.begin(m)
		default:
			err = in.add(m, n)
		}
		if err != nil {
			return nil, &messageError{n, err}
		}
	}
}

func (in *importing) complete() error {
	switch {
	case in.head == nil:
		return &policy.InvalidError{Field: "reason", Problem: "must be stated, in the first message"}
	case len(in.items) == 0:
		return &policy.InvalidError{Field: "resource", Problem: "no message has one"}
	}
	in.sort()
	return nil
}

// begin takes the first message.
func (in *importing) begin(m *teishiv1.ImportRequest) error {
	switch {
	case m.Resource != nil:
		return &policy.InvalidError{Field: "resource", Problem: "the first message has the write fields and no resource"}
	case m.Reason == "":
		return &policy.InvalidError{Field: "reason", Problem: "must be stated"}
	}
	in.head, in.requestID = m, m.RequestId
	if in.requestID == "" {
		in.requestID = rand.Text()
	}
	return nil
}

// add takes the n-th message.
func (in *importing) add(m *teishiv1.ImportRequest, n int) error {
	if field := writeField(m); field != "" {
		return &policy.InvalidError{Field: field, Problem: "only the first message has it"}
	}
	if m.Resource == nil {
		return &policy.InvalidError{Field: "resource", Problem: "must be stated"}
	}
	r, err := converted("resource", m.Resource, policystore.ResourceFromProto)
	if err != nil {
		return err
	}
	key := r.Key()
	if key.Kind > policy.KindApp {
		return &policy.InvalidError{Field: "resource", Problem: "a " + key.Kind.String() + " is not of the registry"}
	}
	if first, twice := in.numbers[key]; twice {
		return &policy.InvalidError{Field: join("resource", join(key.Kind.String(), "id")), Problem: fmt.Sprintf("message %d has it already", first)}
	}
	size := proto.Size(m)
	if size > maxSlice {
		return &policystore.EntryTooLargeError{Size: size}
	}
	if in.size += size; in.size > maxImport {
		return &messageSizeError{size: in.size, limit: maxImport}
	}
	in.numbers[key] = n
	in.items = append(in.items, imported{r, m})
	return nil
}

// writeField returns a field that only the first message may have, empty if the message has none.
func writeField(m *teishiv1.ImportRequest) string {
	switch {
	case m.Reason != "":
		return "reason"
	case m.RequestId != "":
		return "request_id"
	case m.ExpectRevision != nil:
		return "expect_revision"
	case m.ValidateOnly:
		return "validate_only"
	}
	return ""
}

// sort puts what is named before what names it, so that every slice stands on those before it.
func (in *importing) sort() {
	slices.SortStableFunc(in.items, func(a, b imported) int { return cmp.Compare(a.resource.Key().Kind, b.resource.Key().Kind) })
	byKey := make(map[policy.Key]imported, len(in.items))
	for _, item := range in.items {
		byKey[item.resource.Key()] = item
	}
	sorted := make([]imported, 0, len(in.items))
	var place func(key policy.Key)
	place = func(key policy.Key) {
		item, ok := byKey[key]
		if !ok {
			return // not of this import, or placed
		}
		delete(byKey, key)
		for _, above := range parents(item.resource) {
			place(policy.Key{Kind: key.Kind, ID: above})
		}
		sorted = append(sorted, item)
	}
	for _, item := range in.items {
		place(item.resource.Key())
	}
	in.items = sorted
}

// parents returns what of its own kind a resource names.
func parents(r policy.Resource) (ids []string) {
	switch r := r.(type) {
	case *policy.Organization:
		return []string{r.Parent}
	case *policy.Vendor:
		for _, p := range r.Parents {
			ids = append(ids, p.Vendor)
		}
	}
	return ids
}

// slices yields the parts that are an entry each, numbered from 1.
func (in *importing) slices(yield func(n int, slice []imported) bool) {
	start, size := 0, 0
	n := 1
	for i, item := range in.items {
		more := proto.Size(item.message)
		if i > start && size+more > maxSlice {
			if !yield(n, in.items[start:i]) {
				return
			}
			start, size, n = i, 0, n+1
		}
		size += more
	}
	yield(n, in.items[start:])
}

// importAll writes the slices one after the other. Every entry but the first expects the one before it to be the head, if
// the caller expects anything.
func (r *registryServer) importAll(ctx context.Context, in *importing) (*teishiv1.ImportResponse, error) {
	ctx, cancel := inTime(ctx)
	defer cancel()
	resp := &teishiv1.ImportResponse{Count: int64(len(in.items)), RequestId: in.requestID}
	expect, stated := expected(in.head)
	head := func(v *policystore.View) error {
		if stated && v.Position.Revision != expect {
			return &mismatchError{What: "the head of the record", Expected: expect, Current: v.Position.Revision}
		}
		return nil
	}
	for n, slice := range in.slices {
		w, err := r.importSlice(in, r.caller(ctx), n, slice, head)
		if err != nil {
			return nil, err
		}
		e, err := r.authority.Write(ctx, w)
		if err != nil {
			return nil, in.blame(err)
		}
		if w.ValidateOnly {
			return r.rehearse(ctx, in, resp)
		}
		resp.Revisions = append(resp.Revisions, int64(e.Revision))
		resp.Revision, resp.Epoch = int64(e.Revision), e.Epoch
		expect = e.Revision
	}
	return resp, nil
}

// rehearse judges all slices of an import that is only validated, each against what those before it would make.
func (r *registryServer) rehearse(ctx context.Context, in *importing, resp *teishiv1.ImportResponse) (*teishiv1.ImportResponse, error) {
	v, err := r.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return nil, err
	}
	snapshot := v.Snapshot
	for _, slice := range in.slices {
		if snapshot, err = rehearsed(r.powers(snapshot, r.caller(ctx)), snapshot, resources(slice)); err != nil {
			return nil, in.blame(err)
		}
	}
	resp.Revision, resp.Epoch = int64(v.Position.Revision), v.Position.Epoch
	return resp, nil
}

// rehearsed returns the policy after an entry that is not written.
func rehearsed(powers policy.Powers, before *policy.Snapshot, slice []policy.Resource) (*policy.Snapshot, error) {
	changes, err := before.PutRegistry(slice...)
	if err != nil {
		return nil, err
	}
	if err := powers.Permit(changes); err != nil {
		return nil, err
	}
	after, err := before.Propose(before.Revision()+1, changes)
	if err != nil {
		return nil, err
	}
	return after, guarded(powers, before, changes)
}

// importSlice is the n-th entry of the import.
func (s *Server) importSlice(in *importing, caller *Caller, n int, slice []imported, head func(*policystore.View) error) (policystore.Write, error) {
	digest, err := in.digest(slice)
	w := policystore.Write{
		Principal:    caller.Principal,
		Method:       method(teishiv1.RegistryService_Import_FullMethodName),
		RequestID:    in.requestID,
		Digest:       digest,
		Reason:       in.head.Reason,
		ValidateOnly: in.head.ValidateOnly,
		Prepare: func(v policystore.View, _ policy.Instant, _ policy.Revision) ([]policy.Change, error) {
			if err := head(&v); err != nil {
				return nil, err
			}
			changes, err := v.PutRegistry(resources(slice)...)
			if err != nil {
				return nil, err
			}
			return changes, s.powers(v.Snapshot, caller).Permit(changes)
		},
		Judge: func(v policystore.View, changes []policy.Change) error {
			return guarded(s.powers(v.Snapshot, caller), v.Snapshot, changes)
		},
	}
	if n > 1 {
		w.RequestID = fmt.Sprintf("%s/%d", in.requestID, n)
	}
	return w, err
}

// digest is that of a request with the write fields and the messages of the slice.
func (in *importing) digest(slice []imported) (policystore.Hash, error) {
	all, err := without(in.head, "request_id", "validate_only")
	for _, item := range slice {
		if err == nil {
			all, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(all, item.message)
		}
	}
	return policystore.RequestDigest(method(teishiv1.RegistryService_Import_FullMethodName), all), err
}

func resources(slice []imported) []policy.Resource {
	list := make([]policy.Resource, len(slice))
	for i, item := range slice {
		list[i] = item.resource
	}
	return list
}

// blame says which message an error is about, and where in it.
func (in *importing) blame(err error) error {
	c, ok := errors.AsType[*policy.ChangeError](err)
	if !ok {
		return err
	}
	err = &placed{err, beneath(join("resource", c.Key.Kind.String()))}
	if n, ok := in.numbers[c.Key]; ok {
		err = &messageError{n, err}
	}
	return err
}
