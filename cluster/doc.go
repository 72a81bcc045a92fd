//go:build linux

// Package cluster runs a whole Teishi on the loopback, made of real processes: PostgreSQL, PgBouncer, Redis with or without
// Sentinel, authorities and decision points, and TCP shims between them that can be made slow, lossy or dead. Tests,
// benchmarks and the local cluster stand on it; the program does not.
//
//	Cluster ── a directory, and everything that was started in it
//	   ├─ Postgres, PgBouncer, Redis, Sentinel, Teishi ── each a Process: Kill, Stop, Pause, Resume, Restart, Log
//	   ├─ Shim ── a TCP proxy with a fault of its own
//	   ├─ Front ── a proxy that speaks TLS, and has callers show a certificate or a token
//	   └─ CA ── certificates for those that are to speak TLS
//
// What it promises: servers listen on the loopback only. Close ends all of them and removes what they wrote. None outlives
// the process that started it, even if that is killed. A server keeps its address over a restart.
//
// It needs Linux, and the servers of a distribution: apt install redis-server postgresql pgbouncer. As root it runs
// PostgreSQL and PgBouncer, which refuse to be root, as the user postgres.
//
// A package whose tests share one PostgreSQL makes a cluster in TestMain, and gives each test a database of its own. A test
// that breaks what it started makes a cluster, or a part of the shared one, which is closed at its end:
//
//	c := cluster.Test(t)
//	redis, err := c.StartRedis(t.Context(), cluster.RedisConfig{})
//	// ... what follows redis.URL("")
//	err = redis.Kill()
//	err = cluster.Wait(t.Context(), "the follower to be STALE", func(ctx context.Context) error {
//		if state := follower.State(); state != Stale {
//			return fmt.Errorf("it is %v", state)
//		}
//		return nil
//	})
package cluster
