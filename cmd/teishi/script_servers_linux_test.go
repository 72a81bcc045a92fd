package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/teishi-dev/teishi/cluster"
)

// postgresCmd is `postgres [SETTING=VALUE…]`: it makes a database, without tables, on the PostgreSQL that scripts share, or on
// one of the script's own with those settings. DSN is its URL with the password, DATABASE the one without, PASSWORD
// the password, NAME that of the database, and POSTGRES the server's address.
func postgresCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: postgres [SETTING=VALUE…]")
	}
	s, ctx := on(ts), context.Background()
	s.postgres = s.shared
	if len(args) > 0 {
		settings := make(map[string]string)
		for _, a := range args {
			name, value, _ := strings.Cut(a, "=")
			settings[name] = value
		}
		var err error
		s.postgres, err = s.StartPostgres(ctx, cluster.PostgresConfig{Settings: settings})
		ts.Check(err)
	}
	var err error
	s.database, err = s.postgres.CreateDatabase(ctx)
	ts.Check(err)
	name(ts, s.postgres, "")
}

// standbyCmd is `standby`: it starts a standby of the script's PostgreSQL. The variables are those of postgres, with STANDBY_
// before them.
func standbyCmd(ts *testscript.TestScript, _ bool, _ []string) {
	standby, err := on(ts).postgres.StartStandby(context.Background(), cluster.PostgresConfig{})
	ts.Check(err)
	name(ts, standby, "STANDBY_")
}

func name(ts *testscript.TestScript, p *cluster.Postgres, prefix string) {
	s := on(ts)
	u, err := url.Parse(p.DSN(s.database))
	ts.Check(err)
	password, _ := u.User.Password()
	s.secrets = append(s.secrets, password)
	ts.Setenv(prefix+"DSN", u.String())
	ts.Setenv(prefix+"PASSWORD", password)
	ts.Setenv(prefix+"POSTGRES", u.Host)
	ts.Setenv(prefix+"NAME", s.database)
	u.User = url.User(u.User.Username())
	ts.Setenv(prefix+"DATABASE", u.String())
}

// sqlCmd is `sql STATEMENTS`: it runs them in the script's database as somebody who may do everything, and prints what psql does.
func sqlCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sql STATEMENTS")
	}
	out, err := on(ts).postgres.SQL(context.Background(), on(ts).database, args[0])
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), out)
}

// redisCmd is `redis [LINE…]`: it starts a Redis with those lines in its configuration. REDIS is its address.
func redisCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: redis [LINE…]")
	}
	r, err := on(ts).StartRedis(context.Background(), cluster.RedisConfig{Lines: args})
	ts.Check(err)
	on(ts).redis = r
	ts.Setenv("REDIS", r.Addr())
}

// cliCmd is `cli ARGUMENTS…`: it runs redis-cli at the script's Redis.
func cliCmd(ts *testscript.TestScript, neg bool, args []string) {
	out, err := on(ts).redis.CLI(context.Background(), args...)
	if (err != nil) != neg {
		ts.Fatalf("redis-cli: %s %v", out, err)
	}
	fmt.Fprint(ts.Stdout(), out)
	if err != nil {
		fmt.Fprintln(ts.Stderr(), err)
	}
}

// shimCmd is `shim ADDRESS`: it puts a proxy before the address. SHIM is its own.
func shimCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: shim ADDRESS")
	}
	shim, err := on(ts).StartShim(cluster.ShimConfig{Target: args[0]})
	ts.Check(err)
	on(ts).shim = shim
	ts.Setenv("SHIM", shim.Addr())
}

// triedCmd is `tried N`: it waits until somebody has connected to the shim that often.
func triedCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tried N")
	}
	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	err = cluster.Wait(context.Background(), "attempts to connect", func(context.Context) error {
		if n := on(ts).shim.Traffic().Connections; n < want {
			return fmt.Errorf("%d, want %d", n, want)
		}
		return nil
	})
	ts.Check(err)
}

// pretendCmd is `pretend ADDRESS OLD=NEW…`: it puts a proxy before a server that replaces words in its answers by others of
// the same length, so that it seems to be of another version. PRETENDER is its address.
func pretendCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pretend ADDRESS OLD=NEW…")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go pretend(conn, args[0], args[1:])
		}
	}()
	ts.Setenv("PRETENDER", l.Addr().String())
}

func pretend(conn net.Conn, address string, words []string) {
	defer conn.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, conn) // it ends when either end does
		server.Close()
	}()
	answer := make([]byte, 64<<10)
	for {
		n, err := server.Read(answer)
		said := answer[:n]
		for _, w := range words {
			before, after, _ := strings.Cut(w, "=")
			said = bytes.ReplaceAll(said, []byte(before), []byte(after))
		}
		if _, failed := conn.Write(said); failed != nil || err != nil {
			return
		}
	}
}
