package redis_test

import (
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/credential"
	"github.com/teishi-dev/teishi/policystore/redis"
)

// What is wrong with a Config is named, and no password ever is.
func TestConfigRefused(t *testing.T) {
	const secret = "hunter2"
	for name, test := range map[string]struct {
		config redis.Config
		want   string
	}{
		"nothing":                    {redis.Config{}, "does not begin with redis://"},
		"another scheme":             {redis.Config{URL: "http://u:hunter2@h"}, "does not begin with redis://"},
		"no scheme":                  {redis.Config{URL: "u:hunter2@h:6379"}, "does not begin with redis://"},
		"no host":                    {redis.Config{URL: "redis://u:hunter2@"}, "host 1 has no name"},
		"no host before the port":    {redis.Config{URL: "redis://u:hunter2@:6379"}, "host 1 is not HOST"},
		"no @":                       {redis.Config{URL: "redis://u:hunter2"}, "port that is not a number"},
		"a bad port":                 {redis.Config{URL: "redis://u:hunter2@h:http"}, "port that is not a number"},
		"port 0":                     {redis.Config{URL: "redis://h:0"}, "port that is not a number"},
		"a bare IPv6":                {redis.Config{URL: "redis://::1:6379"}, "host 1 is not HOST"},
		"a slash in a password":      {redis.Config{URL: "redis://u:hunter2/@h"}, "has to be percent-encoded"},
		"a question in a password":   {redis.Config{URL: "redis://u:hunter2?@h"}, "has to be percent-encoded"},
		"a fragment":                 {redis.Config{URL: "redis://u:hunter2#@h"}, "has to be percent-encoded"},
		"bad encoding":               {redis.Config{URL: "redis://u:hunter2%@h"}, "not percent-encoded well"},
		"a bad database":             {redis.Config{URL: "redis://h/hunter2"}, "database is not a number"},
		"a negative database":        {redis.Config{URL: "redis://h/-1"}, "database is not a number"},
		"two hosts":                  {redis.Config{URL: "redis://h,i"}, "more than one host"},
		"a question":                 {redis.Config{URL: "redis://h/0?password=hunter2"}, "only sentinel_user and sentinel_password"},
		"an unknown question":        {redis.Config{URL: "redis+sentinel://h/m?hunter2=1"}, "only sentinel_user and sentinel_password"},
		"a malformed question":       {redis.Config{URL: "redis+sentinel://h/m?%hunter2"}, "what follows its ?"},
		"no master":                  {redis.Config{URL: "redis+sentinel://u:hunter2@h"}, "does not name the master"},
		"no second host":             {redis.Config{URL: "redis+sentinel://u:hunter2@h,/m"}, "host 2 has no name"},
		"a bad database of a master": {redis.Config{URL: "redis+sentinel://h/m/x"}, "database is not a number"},
		"TLS files without TLS":      {redis.Config{URL: "redis://h", Files: credential.Files{CA: "ca.pem"}}, "not of rediss"},
		"a certificate, no key":      {redis.Config{URL: "rediss://h", Files: credential.Files{Cert: "c.pem"}}, "go together"},
		"a key, no certificate":      {redis.Config{URL: "rediss://h", Files: credential.Files{Key: "c.key"}}, "go together"},
		"a password for a Sentinel":  {redis.Config{URL: "redis://h", SentinelPasswordFile: "pw"}, "not of redis+sentinel"},
		"a domain":                   {redis.Config{URL: "redis://h", Domain: "a}b"}, "not a slug"},
	} {
		_, err := redis.NewSource(test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: NewSource = %v, want %q", name, err, test.want)
		}
	}
	if _, err := redis.NewPublisher(redis.PublisherConfig{Config: redis.Config{URL: "redis://h"}}); err == nil {
		t.Error("a publisher of no record is made")
	}
}

func TestConfigAccepted(t *testing.T) {
	for _, url := range []string{
		"redis://h", "redis://h:6380/3", "rediss://u:p%40%2F@h", "redis://u@[::1]:6379/0", "redis://[::1]", "redis://:p@h",
		"redis+sentinel://u:p@h1,h2:26380,[::1]:26381/m", "rediss+sentinel://h/m/2?sentinel_user=s&sentinel_password=p%26",
	} {
		if _, err := redis.NewSource(redis.Config{URL: url}); err != nil {
			t.Errorf("NewSource(%s) = %v", url, err)
		}
	}
}

func TestPublishable(t *testing.T) {
	const good = "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n"
	for name, test := range map[string]struct {
		info string
		sort policystore.Trouble // empty: it will do
		want string
	}{
		"7.0":            {good, "", ""},
		"a later":        {strings.Replace(good, "7.0.15", "10.2.1", 1), "", ""},
		"Valkey":         {"server_name:valkey\r\nvalkey_version:8.0.1\r\nredis_version:7.2.4\r\nrole:master\r\nmaxmemory_policy:noeviction", "", ""},
		"6.2":            {strings.Replace(good, "7.0.15", "6.2.14", 1), policystore.Misconfigured, `version "6.2.14": 7.0 is the oldest`},
		"no version":     {"role:master\r\nmaxmemory_policy:noeviction", policystore.Misconfigured, `version ""`},
		"a replica":      {strings.Replace(good, "master", "slave", 1), policystore.ReadOnly, "not the master"},
		"allkeys-lru":    {strings.Replace(good, "noeviction", "allkeys-lru", 1), policystore.Misconfigured, `maxmemory-policy is "allkeys-lru"`},
		"volatile-ttl":   {strings.Replace(good, "noeviction", "volatile-ttl", 1), policystore.Misconfigured, "must be noeviction"},
		"nothing at all": {"", policystore.Misconfigured, "version"},
	} {
		err := redis.Publishable(test.info)
		switch {
		case test.sort == "":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case err == nil || !strings.Contains(err.Error(), test.want) || policystore.TroubleOf(err) != test.sort:
			t.Errorf("%s: %v of sort %s, want %q of sort %s", name, err, policystore.TroubleOf(err), test.want, test.sort)
		}
	}
}

// Every user is off or has a password, and nothing is made up.
func TestACL(t *testing.T) {
	const placeholder = "#SHA256-OF-THE-PASSWORD "
	users := append(redis.ServerUsers("jp"), redis.SentinelUsers()...)
	bare := redis.ACL(users, nil)
	for _, u := range users {
		if !strings.Contains(bare, "user "+u.Name+" on "+placeholder+u.Rules+"\n") {
			t.Errorf("ACL lacks %s:\n%s", u.Name, bare)
		}
	}
	if !strings.HasPrefix(bare, "user default off ") {
		t.Errorf("ACL leaves default on:\n%s", bare)
	}
	hashed := redis.ACL(users, func(user string) string {
		if user == redis.Reader {
			return "c0ffee"
		}
		return ""
	})
	if strings.Count(hashed, "#c0ffee ") != 1 || strings.Count(hashed, placeholder) != strings.Count(bare, placeholder)-1 {
		t.Errorf("ACL with one hash:\n%s", hashed)
	}
	if strings.Contains(bare, "nopass") || strings.Contains(bare, "+@") || strings.Contains(bare, "~*") {
		t.Errorf("ACL gives too much:\n%s", bare)
	}
}
