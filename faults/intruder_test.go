package faults

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/teishi-dev/teishi/cluster"
)

// intruder is a connection whose frames are written one by one, as no client writes them. It keeps to the windows of the server.
type intruder struct {
	conn   net.Conn
	framer *http2.Framer
	ended  chan struct{} // closed when the connection has ended or a stream has; then end says how

	mu     sync.Mutex // guards writing, and what follows
	more   sync.Cond  // room, or the end
	room   map[uint32]int64
	first  int64 // the window of a stream, to begin with
	end    string
	stream uint32
}

// outcomes of what an intruder does, beside the number of a gRPC status.
const (
	closed  = "closed" // without a word
	calm    = "GOAWAY ENHANCE_YOUR_CALM"
	nothing = "nothing" // comes of it
)

// patienceWithServers is for how long an intruder waits for what comes of it.
const patienceWithServers = 10 * time.Second

// intrude connects to a server, and says what a client says first. The connection ends with the row.
func (h *house) intrude(s *cluster.Teishi) *intruder {
	h.Helper()
	conn := h.call(s)
	in := &intruder{conn: conn, framer: http2.NewFramer(conn, conn), ended: make(chan struct{}), room: map[uint32]int64{0: 65535}, first: 65535}
	in.more.L = &in.mu
	in.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err := conn.Write([]byte(http2.ClientPreface))
	h.must(errors.Join(err, in.framer.WriteSettings()))
	go in.listen()
	return in
}

// call makes a connection and says nothing.
func (h *house) call(s *cluster.Teishi) net.Conn {
	h.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	h.must(err)
	h.dialled = append(h.dialled, conn)
	return conn
}

// listen takes what the server says until a stream or the connection ends.
func (in *intruder) listen() {
	defer close(in.ended)
	for {
		f, err := in.framer.ReadFrame()
		in.mu.Lock()
		if err != nil {
			in.finish(closed)
		} else {
			in.hear(f)
		}
		over := in.end != ""
		in.mu.Unlock()
		if over {
			return
		}
	}
}

func (in *intruder) finish(how string) {
	in.end = how
	in.more.Broadcast()
}

func (in *intruder) hear(f http2.Frame) {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		for _, field := range f.Fields {
			if field.Name == "grpc-status" || field.Name == ":status" && field.Value != "200" && f.StreamEnded() {
				in.finish(field.Value)
			}
		}
	case *http2.RSTStreamFrame:
		in.finish("RST_STREAM " + f.ErrCode.String())
	case *http2.GoAwayFrame:
		in.finish("GOAWAY " + f.ErrCode.String())
	case *http2.WindowUpdateFrame:
		in.room[f.StreamID] += int64(f.Increment)
		in.more.Broadcast()
	case *http2.SettingsFrame:
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			in.first = int64(v)
		}
	}
}

// outcome waits for what comes of what was done.
func (in *intruder) outcome() string {
	select {
	case <-in.ended:
		return in.end
	case <-time.After(patienceWithServers):
		return nothing
	}
}

// asks is a call of a method as the gRPC protocol writes it, but for what is wrong with it.
func asks(path string, more ...string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "teishi", "content-type", "application/grpc", "te", "trailers"}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // to memory
	}
	return block.Bytes()
}

// framed is a message as the gRPC protocol frames it.
func framed(m []byte) []byte { return append(prefix(0, len(m)), m...) }

func prefix(flag byte, length int) []byte {
	return binary.BigEndian.AppendUint32([]byte{flag}, uint32(length))
}

// begin begins a stream by a block of headers, in as many frames as it needs.
func (in *intruder) begin(block []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stream += 2
	id := in.stream - 1
	in.room[id] = in.first
	const most = 16 << 10
	piece := block[:min(len(block), most)]
	block = block[len(piece):]
	err := in.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: piece, EndHeaders: len(block) == 0})
	for len(block) > 0 && err == nil && in.end == "" {
		piece = block[:min(len(block), most)]
		block = block[len(piece):]
		err = in.framer.WriteContinuation(id, len(block) == 0, piece)
	}
	return err
}

// send sends data on the last stream, as far as the server takes it.
func (in *intruder) send(data []byte, end bool) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	id := in.stream - 1
	for {
		for len(data) > 0 && min(in.room[0], in.room[id]) <= 0 && in.end == "" {
			in.more.Wait()
		}
		if in.end != "" {
			return nil
		}
		n := min(int64(len(data)), 16<<10, in.room[0], in.room[id])
		n = max(n, 0)
		in.room[0] -= n
		in.room[id] -= n
		piece := data[:n]
		data = data[n:]
		if err := in.framer.WriteData(id, end && len(data) == 0, piece); err != nil || len(data) == 0 {
			return err
		}
	}
}

// repeats writes something so often, unless the connection ends before.
func (in *intruder) repeats(n int, write func(f *http2.Framer, i int) error) {
	for i := range n {
		in.mu.Lock()
		err := write(in.framer, i)
		over := in.end == closed || err != nil
		in.mu.Unlock()
		if over {
			return
		}
	}
}

// silent reports as an error that a server has not hung up on somebody.
func silent(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return nil
	}
	for b := make([]byte, 1024); ; {
		_, err := conn.Read(b)
		if wait, ok := errors.AsType[net.Error](err); ok && wait.Timeout() {
			return fmt.Errorf("%s is not hung up on", conn.LocalAddr())
		}
		if err != nil {
			return nil
		}
	}
}
