package policystore_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// exported is what an export of the entries holds.
func exported(t *testing.T, entries []policystore.Entry) string {
	t.Helper()
	var b strings.Builder
	for i := range entries {
		line, err := protojson.Marshal(policystore.AuditedToProto(&entries[i]))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func verifyExport(t *testing.T, text string, against policystore.Evidence) (policystore.Verification, error) {
	t.Helper()
	return policystore.Verify(t.Context(), policystore.NewExport(strings.NewReader(text)), domain, against, nil)
}

// Whatever is done to an export, the first entry is named that is not as it was.
func TestVerifyExport(t *testing.T) {
	h := history(t, 600) // more than one read
	text := exported(t, h)
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	shown := func(line, old, new string) string {
		begin, end, ok := strings.Cut(line, `"changes"`)
		if !ok || !strings.Contains(end, old) {
			t.Fatalf("line %q does not show %q", line, old)
		}
		return begin + `"changes"` + strings.Replace(end, old, new, 1)
	}
	join := func(lines ...[]string) string {
		var all string
		for _, l := range lines {
			all += strings.Join(l, "")
		}
		return all
	}
	for name, c := range map[string]struct {
		text    string
		bad     policy.Revision
		problem string
	}{
		"whole":                {text, 0, ""},
		"without the last end": {strings.TrimSuffix(text, "\n"), 0, ""},
		"edited":               {strings.Replace(text, `"r300"`, `"r3oo"`, 1), 300, "does not have the hash it states"},
		"dropped":              {join(lines[:299], lines[300:]), 300, "entry 301 follows 299"},
		"begins later":         {join(lines[3:]), 1, "entry 4 follows 0"},
		"exchanged":            {join(lines[:9], lines[10:11], lines[9:10], lines[11:]), 10, "entry 11 follows 9"},
		"torn":                 {text[:len(text)-20], 600, "line 600: "},
		"no JSON":              {join(lines[:299], []string{"x\n"}, lines[300:]), 300, "line 300: the chain is broken: it is not an entry in JSON"},
		"another field":        {strings.Replace(text, `"reason"`, `"because"`, 1), 1, "it is not an entry in JSON"},
		"shows another change": {join(lines[:299], []string{shown(lines[299], "o300", "o301")}, lines[300:]), 300, "the changes that it shows are not those of its payload"},
		"a line without end":   {lines[0] + strings.Repeat("x", 65<<20), 2, "line 2: the chain is broken: it is longer than"},
	} {
		v, err := verifyExport(t, c.text, policystore.Evidence{})
		if err != nil || v.BadRevision != c.bad || !strings.Contains(v.Problem, c.problem) || (v.Problem == "") != (c.bad == 0) {
			t.Errorf("%s: Verify = %+v, %v, want %d: %s", name, v, err, c.bad, c.problem)
		}
		if good := len(h) - int(c.bad); c.bad == 0 && (v.Entries != int64(good) || v.Head != h[len(h)-1].Position()) {
			t.Errorf("%s: %d entries verify, up to %s, want all of them", name, v.Entries, v.Head)
		}
	}
	bare := history(t, 1)
	m := policystore.AuditedToProto(&bare[0])
	m.Changes = nil
	line, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := verifyExport(t, string(line), policystore.Evidence{}); err != nil || v.Problem != "" {
		t.Errorf("an entry that does not show its changes: Verify = %+v, %v", v, err)
	}
}

// An export that begins later verifies in itself, and is of the record that has a head in it or right before it.
func TestVerifyPartOfAnExport(t *testing.T) {
	h := history(t, 9)
	rewound := rewoundAfter(h, 5)
	other := history(t, 9)
	other[3].Reason = "another"
	refit(other[3:])
	head := func(e policystore.Entry) *policystore.Head {
		return &policystore.Head{Domain: domain, Position: e.Position(), Time: time.Unix(1, 0)}
	}
	for name, c := range map[string]struct {
		entries []policystore.Entry
		from    policy.Revision
		head    *policystore.Head
		bad     policy.Revision
	}{
		"alone":                            {h[4:], 5, nil, 0},
		"begins elsewhere":                 {h[5:], 5, nil, 5},
		"edited":                           {append([]policystore.Entry{h[4], other[5]}, h[6:]...), 5, nil, 6},
		"with a head in it":                {h[4:], 5, head(h[6]), 0},
		"with the head before it":          {h[4:], 5, head(h[3]), 0},
		"with another head in it":          {h[4:], 5, head(other[6]), 7},
		"with another head before it":      {h[4:], 5, head(other[3]), 5},
		"cut short":                        {h[4:7], 5, head(h[8]), 8},
		"begins with a rewind":             {rewound[5:], 6, nil, 0},
		"begins with a rewind from a head": {rewound[5:], 6, head(h[4]), 0},
	} {
		v, err := verifyExport(t, exported(t, c.entries), policystore.Evidence{From: c.from, Head: c.head})
		if err != nil || v.BadRevision != c.bad || (v.Problem == "") != (c.bad == 0) || c.bad == 0 && v.Entries != int64(len(c.entries)) {
			t.Errorf("%s: Verify = %+v, %v, want %d", name, v, err, c.bad)
		}
	}
	if _, err := verifyExport(t, exported(t, h[4:]), policystore.Evidence{From: 5, Head: head(h[2])}); err == nil || !strings.Contains(err.Error(), "keep one, or begin with one, at 4 or later") {
		t.Errorf("Verify against a head that says nothing = %v", err)
	}
}

func refit(entries []policystore.Entry) {
	for i := range entries {
		if i > 0 {
			entries[i].PreviousHash = entries[i-1].Hash
		}
		entries[i].Hash = entries[i].Sum(domain)
	}
}

// A record that was written anew as a whole is told by a head that was kept; so is one that ends before it. One that was rewound
// is told to be that, with who did it.
func TestVerifyAgainstAHead(t *testing.T) {
	h := history(t, 9)
	kept := &policystore.Head{Domain: domain, Position: h[6].Position(), Time: time.Unix(1, 0)}
	rewritten := history(t, 9)
	rewritten[3].Principal = "nobody"
	refit(rewritten[3:])
	rewound := rewoundAfter(h, 5)
	longer := append(rewound[:len(rewound):len(rewound)], follower(rewound[len(rewound)-1], nil), follower(follower(rewound[len(rewound)-1], nil), nil))
	for name, c := range map[string]struct {
		entries []policystore.Entry
		bad     policy.Revision
		problem string
	}{
		"whole":                    {h, 0, ""},
		"ends at it":               {h[:7], 0, ""},
		"cut short":                {h[:6], 7, "the head of 1970-01-01T00:00:01Z that was kept is of revision 7: it was cut short"},
		"rewritten":                {rewritten, 7, "it, or one before it, was rewritten"},
		"rewound":                  {rewound[:6], 0, "began epoch 2 by entry 6 in place of what followed revision 5"},
		"rewound, and further now": {longer, 0, "the record was rewound from the head of 1970-01-01T00:00:01Z that was kept, revision 7 of epoch 1: at "},
		"rewound after it":         {rewoundAfter(h, 8), 0, ""},
	} {
		v, err := verifyExport(t, exported(t, c.entries), policystore.Evidence{Head: kept})
		if err != nil || v.BadRevision != c.bad || !strings.Contains(v.Problem, c.problem) || (v.Problem == "") != (c.problem == "") {
			t.Errorf("%s: Verify = %+v, %v, want %d: %s", name, v, err, c.bad, c.problem)
		}
	}
	if v, err := verifyExport(t, exported(t, rewritten), policystore.Evidence{}); err != nil || v.Problem != "" {
		t.Errorf("without a head a record that was written anew: Verify = %+v, %v", v, err)
	}
}

// Every entry is to be signed from the first that any key is trusted for, whatever is signed before that.
func TestVerifySignatures(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	partly := signed(t, s, 9)
	for i := range 4 {
		partly[i].Signature = nil
	}
	stripped := signed(t, s, 9)
	stripped[7].Signature = nil
	forged := signed(t, s, 9)
	other.SignEntry(domain, &forged[5])
	for name, c := range map[string]struct {
		entries []policystore.Entry
		keys    string
		bad     policy.Revision
	}{
		"signed":                        {signed(t, s, 9), s.Public(), 0},
		"not signed at first":           {partly, s.Public() + " 5", 0},
		"not signed where it must be":   {partly, s.Public() + " 4", 4},
		"not signed at all":             {history(t, 9), s.Public(), 1},
		"no longer signed":              {stripped, s.Public(), 8},
		"signed by another":             {forged, s.Public(), 6},
		"signed by another, trusted":    {forged, s.Public() + "\n" + other.Public() + " 6 6", 0},
		"signed after the key is spent": {signed(t, s, 9), s.Public() + " 1 6", 7},
	} {
		v, err := verifyExport(t, exported(t, c.entries), policystore.Evidence{Trust: trusting(t, c.keys)})
		if err != nil || v.BadRevision != c.bad || (v.Problem == "") != (c.bad == 0) {
			t.Errorf("%s: Verify = %+v, %v, want %d", name, v, err, c.bad)
		}
	}
}

func FuzzExport(f *testing.F) {
	f.Add([]byte(`{"entry":{"epoch":"1","revision":"1"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := policystore.Verify(t.Context(), policystore.NewExport(bytes.NewReader(text)), domain, policystore.Evidence{}, nil)
		if err != nil || v.Entries > 0 {
			t.Errorf("Verify(%q) = %+v, %v", text, v, err)
		}
	})
}
