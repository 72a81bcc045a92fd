package redis

import (
	"fmt"
	"strings"
)

// A User is a user of Redis or of Sentinel, and what it may do.
type User struct {
	Name  string
	For   string // what it is for
	Rules string // as ACL SETUSER takes them, but for on, off and the password
}

// The names of the users.
const (
	Reader      = "teishi-reader"
	Writer      = "teishi-publisher"
	Replication = "teishi-replication"
	Watcher     = "teishi-sentinel"
	Seeker      = "teishi-seeker"
)

// ServerUsers returns the users that every Redis needs that carries the domain: it is a master, or may become one. Each may
// do what it is for, and nothing else.
func ServerUsers(domain string) []User {
	keys := string(keysOf(domain)) + "*"
	return []User{
		{Reader, "decision points, which follow", "resetkeys resetchannels -@all +xread +xrange +xlen +xinfo|stream +hmget +strlen +getrange " +
			"+ping +hello +select +client|setname %R~" + keys},
		{Writer, "authorities, which publish", "resetkeys resetchannels -@all +eval +evalsha +xadd +xtrim +xrange +xrevrange +xinfo|stream " +
			"+hset +hmget +set +strlen +persist +unlink +info +ping +hello +select +client|setname ~" + keys},
		{Replication, "a replica, at its master: masteruser and masterauth", "resetkeys resetchannels -@all +psync +replconf +ping"},
		{Watcher, "Sentinel, at the servers it watches: sentinel auth-user and auth-pass", "resetkeys resetchannels -@all +multi +exec +slaveof +role " +
			"+ping +info +config|rewrite +client|setname +client|kill +script|kill +publish +subscribe &__sentinel__:hello"},
	}
}

// SentinelUsers returns the users that every Sentinel needs: it has an ACL of its own.
func SentinelUsers() []User {
	return []User{
		{Seeker, "whoever asks Sentinel for the master: sentinel_user of the URL", "resetkeys resetchannels -@all +sentinel|get-master-addr-by-name " +
			"+sentinel|sentinels +subscribe +ping +hello +client|setname &*"},
		{Watcher, "Sentinels among each other: sentinel sentinel-user and sentinel-pass", "resetkeys resetchannels -@all +sentinel|is-master-down-by-addr " +
			"+ping +info +publish +client|setname &__sentinel__:hello"},
	}
}

// ACL returns the lines that make the users, and turn off the one that needs no password: an ACL file of Redis, in which there
// may be no comments, or lines for sentinel.conf. Hash gives the SHA-256 of a user's password in hexadecimal; where it is
// nil, or has none, a placeholder stands, with which Redis does not start.
func ACL(users []User, hash func(user string) string) string {
	var b strings.Builder
	b.WriteString("user default off resetkeys resetchannels -@all\n")
	for _, u := range users {
		fmt.Fprintf(&b, "user %s on #%s %s\n", u.Name, hashOr(hash, u.Name), u.Rules)
	}
	return b.String()
}

func hashOr(hash func(string) string, user string) string {
	if hash != nil {
		if h := hash(user); h != "" {
			return h
		}
	}
	return "SHA256-OF-THE-PASSWORD"
}
