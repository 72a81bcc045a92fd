package decisionlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Sink is where lines go. A Log writes to it from one goroutine.
type Sink interface {
	// Write writes lines, each with its end, and returns how many are written in full: with an error, fewer than all. It may
	// keep nothing of them.
	Write(lines []byte) (written int64, err error)
	// Close ends it. What was written stays.
	Close() error
}

// stream writes lines to somebody else's file.
type stream struct {
	to   io.Writer
	torn bool // the last line was begun and not finished
}

// Stream returns a sink that writes to what is open already, and leaves it open.
func Stream(to io.Writer) Sink { return &stream{to: to} }

// Write is part of Sink.
func (s *stream) Write(lines []byte) (int64, error) {
	if s.torn {
		if _, err := s.to.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		s.torn = false
	}
	n, err := s.to.Write(lines)
	if err != nil {
		s.torn = n > 0 && lines[n-1] != '\n'
	}
	return int64(bytes.Count(lines[:n], []byte{'\n'})), err
}

// Close is part of Sink.
func (*stream) Close() error { return nil }

// file appends lines to a file of a name.
type file struct {
	name  string
	open  *os.File
	lines stream
}

// File opens a sink that appends to the file of a name, made if there is none, for its owner alone. Where the file is moved away
// another is begun in its place, so that whoever rotates it need tell nobody.
func File(name string) (Sink, error) {
	f := &file{name: name}
	if err := f.begin(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *file) begin() (err error) {
	if info, err := os.Stat(f.name); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return fmt.Errorf("%s is a named pipe, which nobody may be reading", f.name) // to open it would wait for a reader
	}
	if f.open, err = os.OpenFile(f.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
		return err
	}
	f.lines = stream{to: f.open}
	return nil
}

// Write is part of Sink.
func (f *file) Write(lines []byte) (int64, error) {
	if err := f.follow(); err != nil {
		return 0, err
	}
	return f.lines.Write(lines)
}

// follow begins another file where the one that is open no longer has the name.
func (f *file) follow() error {
	if f.open == nil {
		return f.begin()
	}
	mine, err := f.open.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(f.name)
	if err == nil && os.SameFile(mine, named) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return f.begin()
}

// Close is part of Sink.
func (f *file) Close() error {
	if f.open == nil {
		return nil
	}
	err := f.open.Close()
	f.open = nil
	return err
}
