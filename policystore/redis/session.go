package redis

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/credential"
)

const (
	dialWithin     = 2 * time.Second
	connectWithin  = 5 * time.Second         // Sentinel asked, dialled, TLS, authenticated
	answerWithin   = 2500 * time.Millisecond // any command that neither blocks nor carries a checkpoint
	transferWithin = 30 * time.Second        // of a checkpoint, or of a mebibyte of one
)

// session is one connection, by a client of its own: what is read of files for it is read anew for the next, and nothing is
// ever done again on another connection, perhaps to another server, unnoticed. It ends with its context.
type session struct {
	*goredis.Conn
	client  *goredis.Client
	release func() bool
}

// connect returns a connection that will be made by its first command.
func (s *server) connect(ctx context.Context, name string) (*session, error) {
	client, err := s.client(name)
	if err != nil {
		return nil, err
	}
	// The library does not notice that a context is cancelled while it waits for an answer.
	release := context.AfterFunc(ctx, func() { client.Close() })
	return &session{client.Conn(), client, release}, nil
}

// close ends the connection. It is of no use to hear that it was broken already.
func (s *session) close() {
	s.release()
	_ = s.Conn.Close()
	_ = s.client.Close()
}

func (s *server) client(name string) (*goredis.Client, error) {
	o := goredis.Options{
		Addr:                  s.hosts[0],
		ClientName:            name,
		DB:                    s.db,
		Protocol:              2,
		MaxRetries:            -1, // whoever waits knows better when to try again
		DialTimeout:           dialWithin,
		DialerRetries:         1,
		ReadTimeout:           transferWithin, // the context's deadline is shorter, or the same
		WriteTimeout:          transferWithin,
		ContextTimeoutEnabled: true,
		PoolSize:              2, // with one, a dial that fails is tried again behind our back
		PipelinePoolSize:      -1,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	var err error
	if o.Username, o.Password, err = secret(s.user, s.password, s.config.PasswordFile); err != nil {
		return nil, err
	}
	if o.TLSConfig, err = s.certificates(); err != nil {
		return nil, err
	}
	if s.sentinel {
		return s.failover(o)
	}
	return goredis.NewClient(&o), nil
}

// failover returns a client that asks Sentinel for the master, with what the options say.
func (s *server) failover(o goredis.Options) (*goredis.Client, error) {
	user, password, err := secret(s.sentinelUser, s.sentinelPassword, s.config.SentinelPasswordFile)
	if err != nil {
		return nil, err
	}
	return goredis.NewFailoverClient(&goredis.FailoverOptions{
		MasterName:            s.master,
		SentinelAddrs:         append([]string(nil), s.hosts...), // the library shuffles them
		SentinelUsername:      user,
		SentinelPassword:      password,
		ClientName:            o.ClientName,
		DB:                    o.DB,
		Protocol:              o.Protocol,
		Username:              o.Username,
		Password:              o.Password,
		MaxRetries:            o.MaxRetries,
		DialTimeout:           o.DialTimeout,
		DialerRetries:         o.DialerRetries,
		ReadTimeout:           o.ReadTimeout,
		WriteTimeout:          o.WriteTimeout,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		PoolSize:              o.PoolSize,
		PipelinePoolSize:      o.PipelinePoolSize,
		DisableIdentity:       o.DisableIdentity,
		TLSConfig:             o.TLSConfig,
	}), nil
}

// secret returns a user and the password, the file's before the URL's.
func secret(user, password, file string) (string, string, error) {
	if file == "" {
		return user, password, nil
	}
	password, err := credential.Password(file)
	if err != nil {
		return "", "", &policystore.TroubleError{Trouble: policystore.Unauthorized, Err: err}
	}
	return user, password, nil
}

// certificates returns what TLS is spoken with; nil if it is not.
func (s *server) certificates() (*tls.Config, error) {
	if !s.tls {
		return nil, nil
	}
	c, err := s.config.Files.Config()
	if err != nil {
		return nil, &policystore.TroubleError{Trouble: policystore.Unauthorized, Err: err}
	}
	if !s.sentinel {
		c.ServerName, _, err = net.SplitHostPort(s.hosts[0])
	}
	return c, err
}
