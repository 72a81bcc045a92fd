//go:build linux

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
)

// wantTrouble checks the sort of an error, that it says all the words, and that it does not say the password of any role.
func wantTrouble(t testing.TB, err error, want policystore.Trouble, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("there is no error, want one that is %s", want)
		return
	}
	if got := policystore.TroubleOf(err); got != want {
		t.Errorf("%v is %s, want %s", err, got, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	if said := fmt.Sprintf("%v %+v", err, err); strings.Contains(said, password(t)) {
		t.Errorf("an error says the password: %s", said)
	}
}

// password is that of the owner of all databases.
func password(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(postgres.Server.DSN("x"))
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return secret
}

// as returns where somebody else reaches a database of the shared server.
func as(t testing.TB, database, user, password string) string {
	t.Helper()
	u, err := url.Parse(postgres.Server.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// with returns a DSN with a parameter.
func with(t testing.TB, dsn, name, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // libpq takes a plus for a plus
	return u.String()
}

// What is wrong with a DSN is said, and nothing of what is in it.
func TestMalformedDSN(t *testing.T) {
	const secret = "hunter2"
	for dsn, want := range map[string]string{
		"postgres://teishi:hunter2@host:port/db":                           "invalid port",
		"postgres://teishi:hunter2@host:99999/db":                          "invalid port",
		"postgres://teishi:hun/ter2hunter2@host/db":                        "%40",
		"postgres://teishi:x@hunter2@host/db":                              "%40",
		"postgres://teishi:1?hunter2@host/db":                              "%40",
		"postgres://teishi:1/hunter2@host/db":                              "%40",
		"postgres://teishi:%zzhunter2@host/db":                             "not a URL",
		"postgres://[hunter2/db":                                           "not a URL",
		"postgre://teishi:hunter2@host/db":                                 "neither a URL",
		"postgre://teishi:hunter2@host/db?sslmode=require":                 "neither a URL",
		"http://teishi:hunter2@host/db":                                    "neither a URL",
		"host=h password=one hunter2 user=u":                               "neither a URL",
		"host=h password='hunter2":                                         "neither a URL",
		"teishi:hunter2@host/db":                                           "neither a URL",
		"host=h password=hunter2 sslmode=hopeful":                          "sslmode is invalid",
		"host=h password=hunter2 sslmode=verify-ca sslrootcert=/not/there": "/not/there",
		"host=h password=hunter2 sslcert=/not/there":                       `both "sslcert" and "sslkey" are required`,
		"host=h password=hunter2 connect_timeout=soon":                     "invalid connect_timeout",
		"host=h password=hunter2 target_session_attrs=good":                "unknown target_session_attrs",
		"host=h password=hunter2 service=none servicefile=/not/there":      "/not/there",
	} {
		log, err := postgres.New(postgres.Config{DSN: dsn})
		if err == nil {
			t.Errorf("New(%q) succeeds", dsn)
			log.Close()
			continue
		}
		wantTrouble(t, err, policystore.Misconfigured, want)
		if said := fmt.Sprintf("%v %+v", err, err); strings.Contains(said, secret) || strings.Contains(said, "ter2") {
			t.Errorf("New(%q) says the password: %s", dsn, said)
		}
	}
	for _, dsn := range []string{
		"", "postgres://", "host=/run/postgresql user=teishi", "postgresql://u:p%40ss@a:1,b:2/db?sslmode=require",
		"host=a,b port=1 password='two words' dbname=d", "postgres:///db?host=/run/postgresql",
	} {
		log, err := postgres.New(postgres.Config{DSN: dsn})
		if err != nil {
			t.Errorf("New(%q) = %v", dsn, err)
			continue
		}
		log.Close()
	}
}

func TestMalformedDomain(t *testing.T) {
	for _, domain := range []string{"Teishi", "teishi_1", "-a", "a-", "a/b", "a:b", "停止", " ", strings.Repeat("a", 64)} {
		_, err := postgres.New(postgres.Config{DSN: "host=h", Domain: domain})
		wantTrouble(t, err, policystore.Misconfigured, "not a slug")
	}
}

// Whatever keeps the server from being used, the error says what.
func TestUnusable(t *testing.T) {
	c, database := record(t)
	nobody, err := cluster.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		dsn     string
		trouble policystore.Trouble
		words   []string
	}{
		"the wrong password":     {as(t, database, cluster.Owner, "wrong"), policystore.Unauthorized, []string{"password authentication failed", "see the user"}},
		"an unknown user":        {as(t, database, "nobody", "wrong"), policystore.Unauthorized, []string{"password authentication failed"}},
		"an unknown database":    {postgres.Server.DSN("nowhere"), policystore.Misconfigured, []string{`database "nowhere" does not exist`, "name another database"}},
		"nobody there":           {postgres.Server.DSNAt(nobody, database), policystore.Unreachable, []string{"connection refused", nobody}},
		"no TLS":                 {with(t, c.DSN, "sslmode", "require"), policystore.Misconfigured, []string{"sslmode", "refused TLS"}},
		"an unknown setting":     {with(t, c.DSN, "no_such_setting", "1"), policystore.Misconfigured, []string{"no_such_setting"}},
		"a database without one": {postgres.Server.DSN(postgres.Database(t)), policystore.Misconfigured, []string{"run teishi migrate"}},
		"an asynchronous commit": {with(t, c.DSN, "options", "-c synchronous_commit=off"), policystore.Misconfigured, []string{"set synchronous_commit = on"}},
		"a session without writes": {with(t, c.DSN, "options", "-c default_transaction_read_only=on"), policystore.ReadOnly,
			[]string{"default_transaction_read_only"}},
		"an unknown database, through a pooler": {postgres.Pooler.DSN("nowhere"), policystore.Misconfigured, []string{`"nowhere" does not exist`}},
		"the wrong password, through a pooler":  {strings.Replace(postgres.Pooler.DSN(database), password(t), "wrong", 1), policystore.Unauthorized, []string{"authentication failed", "see the user"}},
		"an unknown setting, through a pooler":  {with(t, postgres.Pooler.DSN(database), "options", "-c fsync=on"), policystore.Misconfigured, []string{"options"}},
	} {
		t.Run(name, func(t *testing.T) {
			log := unchecked(t, postgres.Config{DSN: want.dsn})
			err := log.Check(t.Context())
			wantTrouble(t, err, want.trouble, want.words...)
			t.Log(err)
		})
	}
}

// Before it is migrated, whatever is asked of a record says so.
func TestUnmigrated(t *testing.T) {
	log := unchecked(t, postgres.Config{DSN: postgres.Server.DSN(postgres.Database(t))})
	_, err := log.Head(t.Context())
	wantTrouble(t, err, policystore.Misconfigured, "run teishi migrate")
	_, err = log.Append(t.Context(), policystore.Position{}, follower(policystore.Position{}, "a", nil))
	wantTrouble(t, err, policystore.Misconfigured, "run teishi migrate")
	_, err = log.Checkpoint(t.Context())
	wantTrouble(t, err, policystore.Misconfigured, "run teishi migrate")
	wantTrouble(t, log.Enrol(t.Context(), []policystore.Member{{ID: "a"}}), policystore.Misconfigured, "run teishi migrate")
}

// A server that may lose what it acknowledged is refused, with all that is wrong with it.
func TestUnsafeServer(t *testing.T) {
	part := postgres.Root.Test(t)
	server, err := part.StartPostgres(t.Context(), cluster.PostgresConfig{Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	database, err := server.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := postgres.Config{DSN: server.DSN(database)}
	want := []string{"set fsync = on", "set full_page_writes = on", "set synchronous_commit = on"}
	wantTrouble(t, unchecked(t, c).Check(t.Context()), policystore.Misconfigured, want...)
	_, _, err = postgres.Migrate(t.Context(), c)
	wantTrouble(t, err, policystore.Misconfigured, want...)
}

// What the server says while it works is sorted too. It says it in earnest: a trigger has it do so.
func TestStates(t *testing.T) {
	c, database := record(t)
	log := open(t, c)
	postgres.Edit(t, database, `CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF length(NEW.payload) = 5 THEN
		RAISE EXCEPTION 'the trigger complains' USING ERRCODE = convert_from(NEW.payload, 'UTF8');
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER complain BEFORE INSERT ON teishi.entries FOR EACH ROW EXECUTE FUNCTION complain()`)
	for state, want := range map[string]policystore.Trouble{
		"53100": policystore.Full, "53300": policystore.Unreachable, "57014": policystore.Timeout, "55P03": policystore.Timeout,
		"57P01": policystore.Unreachable, "57P02": policystore.Unreachable, "57P03": policystore.Loading, "08006": policystore.Unreachable,
		"XX001": policystore.Damaged, "XX002": policystore.Damaged, "25006": policystore.ReadOnly, "42501": policystore.Unauthorized,
		"22012": policystore.Other,
	} {
		_, err := log.Append(t.Context(), policystore.Position{}, follower(policystore.Position{}, "a", []byte(state)))
		wantTrouble(t, err, want, "the trigger complains", state)
	}
	if _, err := log.Append(t.Context(), policystore.Position{}, follower(policystore.Position{}, "a", []byte("40001"))); err != policystore.ErrConflict {
		t.Errorf("Append = %v, want ErrConflict", err)
	}
}

// A connection that the server has ended costs one statement, and not one for each that was open.
func TestSentAway(t *testing.T) {
	c, database := record(t)
	log := open(t, c)
	calls := map[string]func() error{ // each has connections of its own
		"Head": func() error { _, err := log.Head(t.Context()); return err },
		"Read": func() error { _, err := log.Read(t.Context(), 1, 1); return err },
		"Request": func() error {
			_, err := log.Request(t.Context(), "writer", "a")
			if errors.Is(err, policystore.ErrNotFound) {
				return nil
			}
			return err
		},
	}
	for name, call := range calls {
		if err := call(); err != nil {
			t.Fatalf("%s = %v", name, err)
		}
	}
	postgres.Edit(t, database, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'teishi' AND datname = current_database()")
	wantTrouble(t, calls["Head"](), policystore.Unreachable, "terminating connection")
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("%s = %v", name, err)
		}
	}
}

// A server that is about to stop takes nobody in.
func TestShuttingDown(t *testing.T) {
	server, c := own(t, cluster.PostgresConfig{})
	tx := hold(t, server, c)
	if err := server.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	log := unchecked(t, c)
	err := cluster.Wait(t.Context(), "the server to be shutting down", func(ctx context.Context) error {
		if err := log.Check(ctx); policystore.TroubleOf(err) != policystore.Loading {
			return fmt.Errorf("Check = %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	wantTrouble(t, log.Check(t.Context()), policystore.Loading, "shutting down")
	tx()
	if err := server.Wait(watchdog(t)); err != nil {
		t.Error(err)
	}
}

// The password in the file is the one that is used for the next connection.
func TestPasswordFile(t *testing.T) {
	c, database := record(t)
	user := "user_of_" + database
	postgres.Edit(t, database, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'one' IN ROLE %s", user, cluster.Owner))
	t.Cleanup(func() { postgres.Edit(t, database, "DROP ROLE "+user) })
	c.DSN, c.PasswordFile = as(t, database, user, "of the DSN"), filepath.Join(t.TempDir(), "password")
	log := unchecked(t, c)
	wantTrouble(t, log.Check(t.Context()), policystore.Misconfigured, "read the password file", c.PasswordFile)
	write := func(password string) {
		if err := os.WriteFile(c.PasswordFile, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("two\n")
	wantTrouble(t, log.Check(t.Context()), policystore.Unauthorized, "password authentication failed")
	write("one\n")
	if err := log.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
	postgres.Edit(t, database, fmt.Sprintf("ALTER ROLE %s PASSWORD 'three'", user))
	write("three")
	if _, err := log.Head(t.Context()); err != nil { // of another pool, so over a new connection
		t.Errorf("Head = %v", err)
	}
}

// TLS is what the DSN says: nobody but who has a certificate of that authority is taken for the server.
func TestTLS(t *testing.T) {
	part := postgres.Root.Test(t)
	ca, err := part.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := part.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	server, c := ownIn(t, part, cluster.PostgresConfig{TLS: ca})
	if !strings.Contains(c.DSN, "sslmode=verify-full") {
		t.Fatalf("the DSN does not ask for verify-full")
	}
	serve(t, c).write(t, "over-tls")
	for name, want := range map[string]struct {
		dsn     string
		trouble policystore.Trouble
		words   []string
	}{
		"another authority, verify-full": {with(t, c.DSN, "sslrootcert", stranger.File), policystore.Misconfigured, []string{"sslrootcert", "unknown authority"}},
		"another authority, verify-ca": {with(t, with(t, c.DSN, "sslrootcert", stranger.File), "sslmode", "verify-ca"), policystore.Misconfigured,
			[]string{"sslrootcert", "unknown authority"}},
		"without TLS": {with(t, c.DSN, "sslmode", "disable"), policystore.Unauthorized, []string{"no encryption"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantTrouble(t, unchecked(t, postgres.Config{DSN: want.dsn}).Check(t.Context()), want.trouble, want.words...)
		})
	}

	hba := filepath.Join(server.Dir(), "data", "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("hostssl all teishi 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.SQL(t.Context(), "postgres", "SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	id, err := ca.Issue(cluster.Owner)
	if err != nil {
		t.Fatal(err)
	}
	certified := postgres.Config{DSN: with(t, with(t, c.DSN, "sslcert", id.CertFile), "sslkey", id.KeyFile)}
	err = cluster.Wait(t.Context(), "the server to take certificates only", func(ctx context.Context) error {
		if err := unchecked(t, c).Check(ctx); policystore.TroubleOf(err) != policystore.Unauthorized {
			return fmt.Errorf("Check without one = %v", err)
		}
		return unchecked(t, certified).Check(ctx)
	})
	if err != nil {
		t.Error(err)
	}
}
