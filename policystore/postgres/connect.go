package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectWithin = 5 * time.Second
	pingWithin    = 2 * time.Second // whether a connection that was idle still is one
	endWithin     = 2 * time.Second // how long a connection that broke is waited for
)

// keepAlive finds out within half a minute that the other end of an idle connection is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// connections returns how they are made.
func (l *Log) connections(dsn, passwordFile string) (*pgxpool.Config, error) {
	c, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	c.MinConns, c.MinIdleConns, c.PingTimeout = 0, 0, pingWithin
	c.BeforeConnect = func(_ context.Context, cc *pgx.ConnConfig) error {
		uncancelled(cc)
		return usePassword(cc, passwordFile)
	}
	cc := c.ConnConfig
	cc.DefaultQueryExecMode = pgx.QueryExecModeExec
	cc.OnNotice = l.note
	if cc.ConnectTimeout == 0 {
		cc.ConnectTimeout = connectWithin
	}
	if cc.ValidateConnect == nil { // of several hosts the primary is meant, whichever it is
		cc.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if cc.RuntimeParams["application_name"] == "" {
		cc.RuntimeParams["application_name"] = "teishi"
	}
	return c, nil
}

// usePassword has a connection use the password that is in the file now, if there is a file.
func usePassword(cc *pgx.ConnConfig, file string) error {
	if file == "" {
		return nil
	}
	password, err := os.ReadFile(file)
	if err != nil {
		return &passwordFileError{err}
	}
	cc.Password = string(bytes.TrimRight(password, "\r\n"))
	return nil
}

type passwordFileError struct{ err error }

func (e *passwordFileError) Error() string { return fmt.Sprintf("read the password file: %v", e.err) }
func (e *passwordFileError) Unwrap() error { return e.err }

// uncancelled has a connection make none but the one to its server: when a statement is given up, pgx would ask the server by
// another to cancel it. A commit that waits for a synchronous standby would then be over, and seen by everybody, though
// the standby does not have it.
func uncancelled(cc *pgx.ConnConfig) {
	dialer := net.Dialer{Timeout: cc.ConnectTimeout, KeepAliveConfig: keepAlive}
	var connected atomic.Bool
	cc.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
			return nil, errors.New("statements are not cancelled")
		}
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return impatient{conn}, nil
	}
	cc.AfterConnect = func(context.Context, *pgconn.PgConn) error {
		connected.Store(true)
		return nil
	}
}

// impatient is a connection that waits for nothing that is far off: pgx waits for a quarter of a minute until one that broke
// has ended, and its place in the pool is taken as long.
type impatient struct{ net.Conn }

func (c impatient) SetDeadline(t time.Time) error {
	if limit := time.Now().Add(endWithin); t.After(limit) {
		t = limit
	}
	return c.Conn.SetDeadline(t)
}

// warned is where a connection keeps what the server warned of during the statement.
const warned = "warned"

func (l *Log) note(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.SeverityUnlocalized == "WARNING" {
		c.CustomData()[warned] = n.Message
		l.logger.Warn("the server warns", slog.String("warning", n.Message), slog.String("detail", n.Detail))
	}
}
