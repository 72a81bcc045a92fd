package service

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// How many items a page has, and how many bytes they may take beside what else is in it.
const (
	defaultPage  = 100
	largestPage  = 1000
	maxPageBytes = maxMessage - maxMessage/8
)

// listRequest is the request of a list.
type listRequest interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// token says where a page begins and pins what it is a page of: the question, by its digest, the revision, the instant and
// those that it may be instead. It is told as base64url of
//
//	version ‖ seal ‖ digest ‖ varints: epoch, revision, instant, how many instead, each of them ‖ cursor
//
// The seal is by the hash of the entry at the revision, which every server of the record knows, and nobody who may not read the log: a
// token that a caller has made up would be a question about the past, which not everybody may ask.
type token struct {
	digest   [16]byte
	epoch    int64
	revision policy.Revision
	at       policy.Instant // of a list that depends on the time, else 0
	instead  []policy.Instant
	cursor   string // the key of the last item before the page
}

const (
	tokenVersion = 3
	sealSize     = 16
	maxInstead   = 8 // more than a clock is ever in doubt between
)

// sealed returns the token as it is told, sealed by the hash of the entry at its revision.
func (t token) sealed(by policystore.Hash) string {
	body := t.body()
	b := append([]byte{tokenVersion}, seal(body, by)...)
	return base64.RawURLEncoding.EncodeToString(append(b, body...))
}

// holds reports whether the seal, which a token came with, is by the hash.
func (t token) holds(with []byte, by policystore.Hash) bool {
	return hmac.Equal(with, seal(t.body(), by))
}

func seal(body []byte, by policystore.Hash) []byte {
	mac := hmac.New(sha256.New, by[:])
	mac.Write(body)
	return mac.Sum(nil)[:sealSize]
}

func (t token) body() []byte {
	b := append([]byte(nil), t.digest[:]...)
	b = binary.AppendVarint(b, t.epoch)
	b = binary.AppendVarint(b, int64(t.revision))
	b = binary.AppendVarint(b, int64(t.at))
	b = binary.AppendVarint(b, int64(len(t.instead)))
	for _, other := range t.instead {
		b = binary.AppendVarint(b, int64(other))
	}
	return append(b, t.cursor...)
}

// parseToken reports whether s is a token, and with which seal.
func parseToken(s string) (t token, with []byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 1+sealSize+len(t.digest) || b[0] != tokenVersion {
		return t, nil, false
	}
	with, b = b[1:1+sealSize], b[1+sealSize:]
	b = b[copy(t.digest[:], b):]
	r := varints{b, true}
	t.epoch, t.revision, t.at = r.next(), policy.Revision(r.next()), policy.Instant(r.next())
	others := r.next()
	if others < 0 || others > maxInstead {
		return t, nil, false
	}
	for range others {
		t.instead = append(t.instead, policy.Instant(r.next()))
	}
	t.cursor = string(r.rest)
	return t, with, r.ok && t.revision > 0 && t.cursor != ""
}

// varints reads one number after the other.
type varints struct {
	rest []byte
	ok   bool // there was one each time
}

func (r *varints) next() int64 {
	number, n := binary.Varint(r.rest)
	if n <= 0 {
		r.ok = false
		return 0
	}
	r.rest = r.rest[n:]
	return number
}

// questionDigest tells a question from every other: its method and everything it says but about pages, and about where a watch is.
func questionDigest(method string, req proto.Message) (digest [16]byte, err error) {
	bare, err := without(req, "page_size", "page_token", "resume", "heartbeat_interval")
	if err != nil {
		return digest, err
	}
	sum := sha256.Sum256(append([]byte(method+"\x00"), bare...))
	return [16]byte(sum[:]), nil
}

// without returns the deterministic marshalling of the message without the fields.
func without(m proto.Message, fields ...protoreflect.Name) ([]byte, error) {
	bare := proto.Clone(m).ProtoReflect()
	for _, name := range fields {
		if field := bare.Descriptor().Fields().ByName(name); field != nil {
			bare.Clear(field)
		}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare.Interface())
	if err != nil {
		return nil, fmt.Errorf("marshal a %s: %w", bare.Descriptor().Name(), err)
	}
	return b, nil
}

// page is one page of a list in the making.
type page struct {
	view      policystore.View // pinned by the first page
	overtaken bool             // a later entry was written since
	token     token            // of this page, and with every item taken that of a page after it
	size      int              // how many more items it may have
	bytes     int              // how many more bytes they may take
	next      string           // token of the next page; empty if this is the last
}

// pageSize returns how many items a page may have that is asked for.
func pageSize(req listRequest) int {
	return min(cmp.Or(max(0, int(req.GetPageSize())), defaultPage), largestPage)
}

// open begins a page, of former policy if that is asked for: the first one of the view that pin returns, at the instant, and a later one of what its token pins.
func (s *Server) open(ctx context.Context, method string, req listRequest, former bool, pin func() (policystore.View, policy.Instant, error)) (*page, error) {
	if req.GetPageSize() < 0 {
		return nil, negative("page_size")
	}
	p := &page{size: pageSize(req), bytes: maxPageBytes}
	digest, err := questionDigest(method, req)
	if err != nil {
		return nil, err
	}
	if req.GetPageToken() != "" {
		return p, s.reopen(ctx, p, digest, req.GetPageToken(), former)
	}
	view, at, err := pin()
	p.view = view
	p.token = token{digest: digest, epoch: view.Position.Epoch, revision: view.Position.Revision, at: at}
	return p, err
}

// reopen continues a list at the token.
func (s *Server) reopen(ctx context.Context, p *page, digest [16]byte, text string, former bool) error {
	var with []byte
	var ok bool
	switch p.token, with, ok = parseToken(text); {
	case !ok:
		return errToken
	case p.token.digest != digest:
		return &policy.InvalidError{Field: "page_token", Problem: "it is of another question"}
	}
	present, err := s.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return err
	}
	if p.token.epoch != present.Position.Epoch {
		return &policystore.EpochError{Wanted: p.token.epoch, Epoch: present.Position.Epoch}
	}
	by, overtaken, err := s.hashAt(ctx, present, p.token.revision)
	if err != nil {
		return err
	}
	if !p.token.holds(with, by) {
		return errToken
	}
	if now := s.moment().now; now-overtaken > listedFor && !s.powers(present.Snapshot, s.caller(ctx)).May(policy.Auditor, policy.Everywhere) && !former {
		return errListedOut
	}
	p.overtaken = p.token.revision < present.Position.Revision
	p.view, err = s.at(ctx, present, p.token.revision, "page_token")
	return err
}

var errToken = &policy.InvalidError{Field: "page_token", Problem: "not a token of ours"}

// listedFor is for how long a list goes on that others have written since: signed heads tell hashes to whoever reads them, and an
// hour ago is nobody's secret.
const listedFor = policy.Instant(3600e6)

var errListedOut = &policy.InvalidError{Field: "page_token", Problem: "it is of policy that was overtaken more than an hour ago: begin the list anew"}

// hashAt returns the hash of the entry at a revision, and when another was written after it; Forever if none was.
func (s *Server) hashAt(ctx context.Context, present policystore.View, revision policy.Revision) (policystore.Hash, policy.Instant, error) {
	switch {
	case revision == present.Position.Revision:
		return present.Position.Hash, policy.Forever, nil
	case revision > present.Position.Revision:
		return policystore.Hash{}, 0, errToken
	case s.log == nil:
		return policystore.Hash{}, 0, errNoRecord
	}
	entries, err := s.log.Read(ctx, revision, 2)
	switch {
	case err != nil:
		return policystore.Hash{}, 0, err
	case len(entries) < 2:
		return policystore.Hash{}, 0, errToken
	}
	return entries[0].Hash, entries[1].Time, nil
}

// take reports whether the page has room for another item, whose key is the cursor of what follows it. Once there is
// none, the next page begins after the item taken last.
func (p *page) take(key string, m proto.Message) bool {
	size := proto.Size(m)
	if p.size == 0 || size > p.bytes && p.bytes < maxPageBytes {
		p.next = p.token.sealed(p.view.Position.Hash)
		return false
	}
	p.size--
	p.bytes -= size
	p.token.cursor = key
	return true
}

func (p *page) revision() int64 { return int64(p.token.revision) }
