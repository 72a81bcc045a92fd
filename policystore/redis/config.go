package redis

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9/logging"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/credential"
)

// Config says how to reach Redis.
type Config struct {
	// URL names one server, or the Sentinels that know which is the master:
	//
	//	redis://[USER[:PASSWORD]@]HOST[:6379][/DB]
	//	redis+sentinel://[USER[:PASSWORD]@]HOST[:26379][,HOST[:26379]…]/MASTER[/DB][?sentinel_user=USER&sentinel_password=PASSWORD]
	//
	// With rediss and rediss+sentinel every connection is by TLS. What stands in a user or a password other than letters,
	// digits, -, . and _ is percent-encoded. Required.
	URL string
	// PasswordFile and SentinelPasswordFile hold a password in place of the URL's. They are read anew for every connection,
	// so that what is rotated heals. Empty: the URL's.
	PasswordFile, SentinelPasswordFile string
	// Files are those of TLS, which they ask for. They are read anew for every connection.
	Files   credential.Files
	Domain  string       // of the record: a slug; "teishi" if empty
	Logger  *slog.Logger // nil discards
	Damaged func()       // is told of every head proof that is skipped because it cannot be decoded; may be nil
}

// DefaultDomain is the domain of a record that names none.
const DefaultDomain = "teishi"

// server is what a Config says, once it is understood.
type server struct {
	address
	config Config
	domain string
	keys   keyspace
	logger *slog.Logger
}

func newServer(c Config) (*server, error) {
	a, err := parseAddress(c.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL of Redis: %w", err)
	}
	s := &server{address: a, config: c, domain: c.Domain, logger: c.Logger}
	if s.domain == "" {
		s.domain = DefaultDomain
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.keys = keysOf(s.domain)
	logging.Disable() // the library's own: it writes past every logger, and what it says comes back as an error too
	return s, s.check()
}

// check reports as an error what does not go together.
func (s *server) check() error {
	files := s.config.Files
	switch {
	case !policy.IsSlug(s.domain):
		return fmt.Errorf("the domain %q is not a slug", s.domain)
	case !s.tls && !files.None():
		return errors.New("files for TLS are given, but the URL of Redis is not of rediss or rediss+sentinel")
	case files.Paired() != nil:
		return files.Paired()
	case !s.sentinel && s.config.SentinelPasswordFile != "":
		return errors.New("a password for Sentinel is given, but the URL of Redis is not of redis+sentinel or rediss+sentinel")
	}
	return nil
}
