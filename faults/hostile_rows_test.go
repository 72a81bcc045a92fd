package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
)

// hostileRows have whoever reaches a server send it what no client sends. Others are answered all the while.
var hostileRows = []row{
	{"24", "bytes that are no message, or far too many", "I10 I11", plan{sqlite: true, noRedis: true, points: 1}, func(h *house) {
		h.attacked(func(s *cluster.Teishi) { h.senseless(s); h.excessive(s) })
	}},
	{"25", "floods of frames, callers who say nothing, paths that name no method", "I10 I11", plan{sqlite: true, noRedis: true, points: 1}, func(h *house) {
		h.attacked(func(s *cluster.Teishi) { h.floods(s); h.lost(s) })
		h.mute(h.points[0])
	}},
}

// attacked does something to every server: none of them panics, and nobody else notices.
func (h *house) attacked(do func(s *cluster.Teishi)) {
	h.Helper()
	since := time.Now()
	for _, s := range h.servers() {
		do(s)
		if log := s.Log(); strings.Contains(log, "panic") {
			h.problem("I11: %s has panicked", s.Name())
		}
	}
	h.wait("answers meanwhile", h.answers(10))
	h.undisturbed(since)
	h.slowest(since)
}

const (
	checkPath = "/teishi.v1.DecisionService/Check"
	batchPath = "/teishi.v1.DecisionService/BatchCheck"
	watchPath = "/teishi.v1.DecisionService/WatchDecisions"
)

// hostileCall is one call, and what may come of it.
type hostileCall struct {
	what    string
	headers []byte
	body    []byte
	want    []string
}

// tries makes each of the calls over a connection of its own.
func (h *house) tries(invariant string, s *cluster.Teishi, calls []hostileCall) {
	h.Helper()
	for _, c := range calls {
		in := h.intrude(s)
		if err := in.begin(c.headers); err == nil {
			_ = in.send(c.body, true) // what comes of it is seen
		}
		if got := in.outcome(); !slices.Contains(c.want, got) {
			h.problem("%s: %s answers %s by %q, want one of %q", invariant, s.Name(), c.what, got, c.want)
		}
		_ = in.conn.Close()
	}
}

// Outcomes by the numbers of their gRPC statuses.
var (
	decided   = []string{"0"}
	invalid   = []string{"3"}
	exhausted = []string{"8"}
	unknown   = []string{"12"}
	internal  = []string{"13"}
)

// ordinary is a question that is answered.
func ordinary() []byte {
	b, err := proto.Marshal(&teishiv1.CheckRequest{Organization: organization, App: appID(0)})
	if err != nil {
		panic(err) // every question can be encoded
	}
	return b
}

// senseless sends what is no message.
func (h *house) senseless(s *cluster.Teishi) {
	h.Helper()
	group := protowire.AppendTag(nil, 99, protowire.StartGroupType)
	cut := framed(ordinary())
	h.tries("I11", s, []hostileCall{
		{"a question", asks(checkPath), framed(ordinary()), decided},
		{"bytes that are no question", asks(checkPath), framed([]byte("\xff\xff\xff")), internal},
		{"bytes that are no batch", asks(batchPath), framed(bytes.Repeat([]byte{0x0a}, 1000)), internal},
		{"bytes that are no watch", asks(watchPath), framed([]byte{0x0a, 0x7f}), internal},
		{"a text that is not UTF-8", asks(checkPath), framed([]byte("\x0a\x01\xff")), internal},
		{"groups in groups", asks(checkPath), framed(bytes.Repeat(group, 20_000)), internal},
		{"a message that is cut short", asks(checkPath), cut[:len(cut)-1], internal},
		{"a length and no more", asks(checkPath), prefix(0, 100), internal},
		{"half a length", asks(checkPath), []byte{0, 0}, internal},
		{"no message", asks(checkPath), nil, internal},
		{"a message that says it is compressed", asks(checkPath), append(prefix(1, 3), 1, 2, 3), internal},
		{"a message compressed as nobody can", asks(checkPath, "grpc-encoding", "gzip"), append(prefix(1, 3), 1, 2, 3), unknown},
		{"a message of a kind that there is not", asks(checkPath), append(prefix(7, 3), 1, 2, 3), internal},
	})
}

// excessive sends far too much.
func (h *house) excessive(s *cluster.Teishi) {
	h.Helper()
	attribute := func(i int) []byte {
		return protowire.AppendBytes([]byte{0x22}, fmt.Appendf([]byte{0x0a, 5}, "%05d", i))
	}
	many := ordinary()
	for i := range 6000 {
		many = append(many, attribute(i)...)
	}
	refused := []string{closed, "RST_STREAM FRAME_SIZE_ERROR", "GOAWAY PROTOCOL_ERROR", calm}
	h.tries("I11", s, []hostileCall{
		{"a question of 1 MiB", asks(checkPath), framed(protowire.AppendBytes(append(ordinary(), 0x0a), make([]byte, 1<<20))), exhausted},
		{"6,000 attributes", asks(checkPath), framed(many), invalid},
		{"2 million questions", asks(batchPath), framed(bytes.Repeat([]byte{0x0a, 0}, 2<<20-8)), invalid},
		{"a message that says it has 100 MB", asks(batchPath), append(prefix(0, 100<<20), 1), exhausted},
		{"a message of 100 MB", asks(batchPath), framed(make([]byte, 100<<20)), exhausted},
		{"a header of 100 KB", asks(checkPath, "x", strings.Repeat("x", 100_000)), framed(ordinary()), refused},
		{"a million headers", append(asks(checkPath), bytes.Repeat([]byte{0x80 | 19}, 1_000_000)...), framed(ordinary()), refused},
	})
}

// floods sends frames without end.
func (h *house) floods(s *cluster.Teishi) {
	h.Helper()
	block := asks(checkPath)
	const often = 20_000
	for _, f := range []struct {
		what  string
		write func(f *http2.Framer, i int) error
		want  []string // if it must end
	}{
		{"streams that are reset at once", func(f *http2.Framer, i int) error {
			id := uint32(2*i + 1)
			return errors.Join(f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true}), f.WriteRSTStream(id, http2.ErrCodeCancel))
		}, nil},
		{"pings", func(f *http2.Framer, i int) error { return f.WritePing(false, [8]byte{byte(i)}) }, []string{calm}},
		{"settings", func(f *http2.Framer, i int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
		}, nil},
		{"windows", func(f *http2.Framer, _ int) error { return f.WriteWindowUpdate(0, 1) }, nil},
		{"priorities", func(f *http2.Framer, i int) error { return f.WritePriority(uint32(2*i+1), http2.PriorityParam{}) }, nil},
		{"frames that there are not", func(f *http2.Framer, _ int) error { return f.WriteRawFrame(0x77, 0, 0, []byte("?")) }, nil},
		{"headers that go on", func(f *http2.Framer, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
			}
			return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x80 | 19}, 1000))
		}, []string{closed, "GOAWAY PROTOCOL_ERROR", calm}},
	} {
		in := h.intrude(s)
		in.repeats(often, f.write)
		if f.want != nil {
			if got := in.outcome(); !slices.Contains(f.want, got) {
				h.problem("I11: %s answers a flood of %s by %q, want one of %q", s.Name(), f.what, got, f.want)
			}
		}
		_ = in.conn.Close()
	}
}

// lost asks by paths that name no method, and by headers that make no call.
func (h *house) lost(s *cluster.Teishi) {
	h.Helper()
	var calls []hostileCall
	for _, path := range []string{
		"", "/", "//", "*", checkPath[1:], "/" + checkPath, checkPath + "/", checkPath + "?x", checkPath + "%20", " " + checkPath, "/." + checkPath,
		"/teishi.v1.DecisionService", "/teishi.v1.DecisionService/", "/teishi.v1.DecisionService//Check", "/teishi.v1.DecisionService/check", "/Check", "teishi.v1.DecisionService.Check",
		strings.ToUpper(checkPath), "/x/.." + checkPath, "/teishi.v1.DecisionService/Nothing", "/teishi.v1.Nothing/Check", "http://teishi" + checkPath,
	} {
		calls = append(calls, hostileCall{fmt.Sprintf("the path %q", path), asks(path), framed(ordinary()), append(slices.Clone(unknown), "400", "404", "13", closed, "RST_STREAM PROTOCOL_ERROR")})
	}
	no := []string{"400", "405", "415", "3", "13", closed, "RST_STREAM PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"}
	question := framed(ordinary())
	calls = append(calls,
		hostileCall{"another path beside its own", asks(checkPath, ":path", checkPath), question, no},
		hostileCall{"another type of content", bytes.Replace(asks(checkPath), typed("application/grpc"), typed("text/html"), 1), question, no},
		hostileCall{"a name in upper case", asks(checkPath, "X-Name", "x"), question, no},
		hostileCall{"a connection that is to be kept", asks(checkPath, "connection", "keep-alive"), question, no},
		hostileCall{"a deadline that is none", asks(checkPath, "grpc-timeout", "soon"), question, no},
	)
	h.tries("I10", s, calls)
}

// typed is a type of content as it stands in a block of headers.
func typed(content string) []byte {
	return hpack.AppendHuffmanString([]byte{byte(hpack.HuffmanEncodeLength(content)) | 0x80}, content)
}

// mute has many call a server and say nothing, or not all of what they have to say first.
func (h *house) mute(s *cluster.Teishi) {
	h.Helper()
	const many = 200
	var all []net.Conn
	for i := range many {
		conn := h.call(s)
		_, err := conn.Write([]byte(http2.ClientPreface)[:i%len(http2.ClientPreface)])
		h.must(err)
		all = append(all, conn)
	}
	since := time.Now()
	h.until("I11", "until those who say nothing are hung up on", func(context.Context) error {
		for _, conn := range all {
			if err := silent(conn); err != nil {
				return err
			}
		}
		return nil
	})
	h.undisturbed(since)
}
