package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
	"github.com/teishi-dev/teishi/policystore/sqlite"
)

// store is a record with all that an authority needs of it.
type store interface {
	policystore.Log
	policystore.Archive
	policystore.Roll
	Close() error
}

// storeSetting is which record is meant.
type storeSetting struct {
	kind     string           // sqlite or postgres: the name that answers have for it
	file     string           // of SQLite; empty for a temporary one
	postgres *postgres.Config // of PostgreSQL
	domain   string
}

// storeSetting returns which record the flags mean, of which one names it: without it a temporary one, or the one in the
// user's data directory.
func (p *program) storeSetting(flag string, f *storeFlags, temporary bool) (*storeSetting, error) {
	s := &storeSetting{kind: "sqlite", domain: f.domain}
	switch {
	case f.store == "" && temporary:
		return s, nil
	case f.store == "":
		var err error
		s.file, err = p.defaultFile()
		return s, err
	case strings.HasPrefix(f.store, "postgres://"), strings.HasPrefix(f.store, "postgresql://"):
		if err := p.checkSecret(flag, f.store, "--store-password-file"); err != nil {
			return nil, err
		}
		s.kind = "postgres"
		s.postgres = &postgres.Config{DSN: f.store, PasswordFile: f.passwordFile, Domain: f.domain}
		log, err := postgres.New(*s.postgres)
		if err != nil {
			return nil, err
		}
		return s, log.Close()
	}
	file, ok := strings.CutPrefix(f.store, "sqlite:")
	if !ok || file == "" {
		return nil, fmt.Errorf("%s names no store; say sqlite:FILE, or postgres://USER@HOST/DATABASE", shown(f.store))
	}
	s.file = file
	return s, nil
}

// open opens the record, in whose name the head is proven. One in PostgreSQL may not be reachable yet.
func (s *storeSetting) open(ctx context.Context, authority string, readOnly bool, logger *slog.Logger) (store, error) {
	if s.postgres == nil {
		return sqlite.Open(ctx, sqlite.Config{Path: s.file, Domain: s.domain, Authority: authority, ReadOnly: readOnly, Logger: logger})
	}
	c := *s.postgres
	c.Authority, c.ReadOnly, c.Logger = authority, readOnly, logger
	return postgres.New(c)
}

// openChecked is open for a command that needs the record at once: it is refused if it is not at hand or not as it must be.
func (s *storeSetting) openChecked(ctx context.Context, command string, readOnly bool) (store, error) {
	log, err := s.open(ctx, command, readOnly, nil)
	if err != nil {
		return nil, err
	}
	if c, ok := log.(checker); ok {
		if err := c.Check(ctx); err != nil {
			return nil, errors.Join(err, log.Close())
		}
	}
	return log, nil
}

// openRecord is openChecked of the record that --store names.
func (s *storeSetting) openRecord(ctx context.Context, command string, readOnly bool) (store, error) {
	log, err := s.openChecked(ctx, command, readOnly)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", named("store"), err)
	}
	return log, nil
}

// temporary reports whether the record goes with the process.
func (s *storeSetting) temporary() bool { return s.postgres == nil && s.file == "" }

// where tells where the record is, without any secret.
func (s *storeSetting) where() string {
	if s.postgres == nil {
		return s.file
	}
	u, err := url.Parse(s.postgres.DSN)
	if err != nil {
		return s.kind
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// defaultFile is the record in the user's data directory, or an error if there is none.
func (p *program) defaultFile() (string, error) {
	directory := p.dataDirectory()
	if directory == "" {
		return "", errors.New("there is no home directory to keep the record in; say sqlite:FILE")
	}
	return filepath.Join(directory, "teishi", "teishi.db"), nil
}

// dataDirectory is where the system keeps what a user's programs keep.
func (p *program) dataDirectory() string {
	home := p.getenv("HOME")
	switch {
	case runtime.GOOS == "windows":
		return p.getenv("LocalAppData")
	case runtime.GOOS == "darwin" && home != "":
		return filepath.Join(home, "Library", "Application Support")
	case filepath.IsAbs(p.getenv("XDG_DATA_HOME")): // a relative one is to be ignored, says its specification
		return p.getenv("XDG_DATA_HOME")
	case home != "":
		return filepath.Join(home, ".local", "share")
	}
	return ""
}
