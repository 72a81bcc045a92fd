package redis

import (
	"errors"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore"
)

// FuzzEntryOf looks for messages of log that are taken for the entry of another revision, or refused as anything but damage.
func FuzzEntryOf(f *testing.F) {
	b, err := policystore.EncodeEntry(&policystore.Entry{Epoch: 1, Revision: 7})
	if err != nil {
		f.Fatal(err)
	}
	for _, id := range []string{"7-0", "8-0", "7-1", "+7-0", "07-0", "-7-0", "0-0", ""} {
		f.Add(id, b)
	}
	f.Fuzz(func(t *testing.T, id string, b []byte) {
		e, err := entryOf(goredis.XMessage{ID: id, Values: map[string]any{entryField: string(b)}})
		switch {
		case err == nil && idOf(e.Revision) != id:
			t.Errorf("entry %d is taken from %q", e.Revision, id)
		case err != nil && !errors.Is(err, policystore.ErrBroken) && !errors.Is(err, policystore.ErrFormat):
			t.Errorf("%x at %q is refused by %v, want ErrBroken or ErrFormat", b, id, err)
		}
	})
}

// FuzzMeta looks for what meta may say of epochs and checkpoints in more than one way: scripts compare it as text.
func FuzzMeta(f *testing.F) {
	for _, text := range []string{"", noStage, "1:2", "+1:2", "01:2", "1:2:3", "0:0", "7", "-1", "1234567890123456"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStage(text); err == nil && s.String() != text {
			t.Errorf("%q is read as the checkpoint %s", text, s)
		}
		if epoch := epochOf(text); epoch < 0 || epoch > 0 && len(text) > 15 {
			t.Errorf("%q is read as the epoch %d", text, epoch)
		}
	})
}

// FuzzAddress looks for addresses that show a password, in what they are called or in why they are refused.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{"redis://user:%s@host:6379/1", "rediss+sentinel://%s@a,b:1/master/0?sentinel_user=u&sentinel_password=%s", "redis://%s", "redis://a@%s:b", "redis://:%s@[::1]:x"} {
		f.Add(text)
	}
	const secret = "Xq7Xq7Xq7"
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ReplaceAll(text, "%s", ""), secret) {
			return
		}
		full := strings.ReplaceAll(text, "%s", secret)
		a, err := parseAddress(full)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q is refused by %v", full, err)
			}
			return
		}
		if kept := a.password + a.sentinelPassword; strings.Contains(kept, secret) && strings.Count(full, secret) == strings.Count(kept, secret) && strings.Contains(a.String(), secret) {
			t.Errorf("%q is called %s", full, a)
		}
		if len(a.hosts) == 0 || a.sentinel && a.master == "" {
			t.Errorf("%q is read as %+v", full, a)
		}
	})
}
