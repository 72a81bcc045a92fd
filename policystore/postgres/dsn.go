package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// parseDSN reads a DSN. What it says of a malformed one has no value in it that may be, or be a part of, a password that
// stands where anything else was meant to.
func parseDSN(dsn string) (*pgxpool.Config, error) {
	if strayAt(dsn) {
		return nil, errors.New("the DSN has an @ that is not the one before the host: within a user, password or database it is written %40")
	}
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("the DSN cannot be read: %s", problemOf(err))
	}
	for name := range c.ConnConfig.RuntimeParams {
		if strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
			return nil, errors.New("the DSN cannot be read: it is neither a URL that begins with postgres:// nor keyword=value pairs")
		}
	}
	return c, nil
}

// strayAt reports whether a URL has an @ by which what follows it in a password would be taken for the name of a host.
func strayAt(dsn string) bool {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(dsn, scheme); ok {
			end := strings.IndexAny(rest+"/", "/?#")
			return strings.Count(rest[:end], "@") > 1 || strings.Contains(rest[end:], "@")
		}
	}
	return false
}

// problemOf returns what is wrong with a DSN, without the DSN, which precedes it in backquotes, and without the cause that
// follows it in parentheses, but for causes that are of files.
func problemOf(err error) string {
	text := err.Error()
	text = text[strings.LastIndex(text, "`: ")+len("`: "):]
	problem, _, _ := strings.Cut(text, " (")
	switch problem {
	case "failed to configure TLS", "failed to read service":
		return text
	case "failed to parse as URL":
		return "it is not a URL: what is special within a user, password or database is written as %XX"
	case "failed to parse as keyword/value":
		return "it is neither a URL that begins with postgres:// nor keyword=value pairs, where a value with spaces stands in single quotes"
	}
	return problem
}
