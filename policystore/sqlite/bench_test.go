package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// BenchmarkWrite is a write from its request to its acknowledgement, by several writers at once.
func BenchmarkWrite(b *testing.B) {
	log, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "teishi.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	if err := policystore.Initialize(b.Context(), log, sqlite.DefaultDomain, nil); err != nil {
		b.Fatal(err)
	}
	replica := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "sqlite", Source: log, Record: true}}, Domain: sqlite.DefaultDomain})
	authority := policystore.NewAuthority(policystore.AuthorityConfig{Log: log, Replica: replica})
	go replica.Run(b.Context())
	if err := replica.WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := authority.Write(b.Context(), storetest.Put(fmt.Sprint("o", next.Add(1)))); err != nil {
				b.Error(err)
			}
		}
	})
}
