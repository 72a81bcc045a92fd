package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// address is what a URL says. It is parsed here, since a list of hosts is no URL to net/url, and so that no error ever
// repeats a part of a text in which a password may stand where it does not belong.
type address struct {
	tls, sentinel                  bool
	hosts                          []string // with their ports
	master                         string   // by the name that Sentinel knows it by
	db                             int
	user, password                 string
	sentinelUser, sentinelPassword string
}

// String returns where it is, without any secret.
func (a address) String() string {
	if a.sentinel {
		return fmt.Sprintf("redis master %s of sentinel %s", a.master, strings.Join(a.hosts, ","))
	}
	return "redis " + a.hosts[0]
}

func parseAddress(text string) (a address, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	switch scheme {
	case "redis":
	case "rediss":
		a.tls = true
	case "redis+sentinel":
		a.sentinel = true
	case "rediss+sentinel":
		a.tls, a.sentinel = true, true
	default:
		return a, errors.New("it does not begin with redis://, rediss://, redis+sentinel:// or rediss+sentinel://")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Contains(text, "#") || strings.Contains(path+query, "@") {
		return a, errors.New("a / ? # or @ in a user or a password has to be percent-encoded")
	}
	if err := a.parseAuthority(authority); err != nil {
		return a, err
	}
	if err := a.parsePath(path); err != nil {
		return a, err
	}
	return a, a.parseQuery(query)
}

func (a *address) parseAuthority(text string) error {
	hosts := text
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		hosts = text[i+1:]
		user, password, _ := strings.Cut(text[:i], ":")
		var err, err2 error
		a.user, err = url.PathUnescape(user)
		a.password, err2 = url.PathUnescape(password)
		if err != nil || err2 != nil {
			return errors.New("its user or password is not percent-encoded well")
		}
	}
	port := "6379"
	if a.sentinel {
		port = "26379"
	}
	for i, text := range strings.Split(hosts, ",") {
		host, err := withPort(text, port)
		if err != nil {
			return fmt.Errorf("its host %d %w", i+1, err)
		}
		a.hosts = append(a.hosts, host)
	}
	if !a.sentinel && len(a.hosts) > 1 {
		return errors.New("it names more than one host: that is for redis+sentinel:// and rediss+sentinel://")
	}
	return nil
}

// withPort returns the host with its port. Its errors do not repeat the text.
func withPort(text, standard string) (string, error) {
	if strings.Trim(text, "[]") == "" {
		return "", errors.New("has no name")
	}
	if bare := strings.HasSuffix(text, "]") || !strings.Contains(text, ":"); bare {
		return net.JoinHostPort(strings.Trim(text, "[]"), standard), nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "", errors.New("is not HOST, HOST:PORT or [IPv6]:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("has a port that is not a number from 1 to 65535")
	}
	return net.JoinHostPort(host, port), nil
}

func (a *address) parsePath(text string) error {
	db := text
	if a.sentinel {
		a.master, db, _ = strings.Cut(text, "/")
		if a.master == "" {
			return errors.New("it does not name the master after the hosts: redis+sentinel://HOST/MASTER")
		}
	}
	if db == "" {
		return nil
	}
	n, err := strconv.ParseUint(db, 10, 16)
	if err != nil {
		return errors.New("its database is not a number")
	}
	a.db = int(n)
	return nil
}

func (a *address) parseQuery(text string) error {
	values, err := url.ParseQuery(text)
	if err != nil {
		return errors.New("what follows its ? is not percent-encoded well")
	}
	if a.sentinel {
		a.sentinelUser, a.sentinelPassword = values.Get("sentinel_user"), values.Get("sentinel_password")
		values.Del("sentinel_user")
		values.Del("sentinel_password")
	}
	if len(values) > 0 {
		return errors.New("after its ? only sentinel_user and sentinel_password may stand, and those only with redis+sentinel:// and rediss+sentinel://")
	}
	return nil
}
