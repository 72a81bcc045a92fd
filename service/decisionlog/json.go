package decisionlog

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendString appends a string as JSON. Most are plain, and need no more than quotes.
func appendString(b []byte, s string) []byte {
	if plain(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be marshalled
	}
	return append(b, quoted...)
}

// plain reports whether a string means the same in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendNamed appends a name and a string; nothing if it is empty.
func appendNamed(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, name...), s)
}

// appendStrings appends a name and a list of strings; nothing if it is empty.
func appendStrings(b []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, name...)
	for i, s := range list {
		if i == 0 {
			b = append(b, '[')
		}
		b = appendString(comma(b, i), s)
	}
	return append(b, ']')
}

// comma appends what stands before the i-th of a list.
func comma(b []byte, i int) []byte {
	if i == 0 {
		return b
	}
	return append(b, ',')
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendFloat(b []byte, f float64) []byte { return strconv.AppendFloat(b, f, 'g', -1, 64) }

// microseconds is RFC 3339 with as many digits as an instant has.
const microseconds = "2006-01-02T15:04:05.000000Z07:00"

func appendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), microseconds), '"')
}
