package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
)

// auditRows change what nobody is to change, and see that whoever looks is told.
var auditRows = []row{
	{"31a", "somebody changes a record in PostgreSQL", "I9", plan{signed: true, tagged: true, noRedis: true}, func(h *house) { h.changeRecord() }},
	{"31b", "somebody changes a record in SQLite", "I9", plan{signed: true, tagged: true, noRedis: true, sqlite: true}, func(h *house) { h.changeRecord() }},
}

// tampering is what somebody does to a record from entry n on, and which entry is named for it: by the hashes with a head that was
// kept elsewhere, and by signatures; 0 if none is. The head is of entry n+afterwards.
type tampering struct {
	name             string
	change           func(all []policystore.Entry, n int) []policystore.Entry
	byHead, bySigned func(n int) int
}

const afterwards = 6

var tamperings = []tampering{
	{"nothing", func(all []policystore.Entry, _ int) []policystore.Entry { return all }, nobody, nobody},
	{"an entry is edited", func(all []policystore.Entry, n int) []policystore.Entry { all[n-1].Reason = "another"; return all }, it, it},
	{"an entry is dropped", func(all []policystore.Entry, n int) []policystore.Entry { return slices.Delete(all, n-1, n) }, it, it},
	{"two entries are exchanged", func(all []policystore.Entry, n int) []policystore.Entry {
		all[n-1], all[n] = all[n], all[n-1]
		all[n-1].Revision, all[n].Revision = all[n].Revision, all[n-1].Revision
		return all
	}, it, it},
	{"the record is cut short", func(all []policystore.Entry, n int) []policystore.Entry { return all[:n-1] }, it, nobody},
	{"the record is written anew", func(all []policystore.Entry, n int) []policystore.Entry {
		all[n-1].Reason = "another"
		for i := n - 1; i < len(all); i++ {
			all[i].PreviousHash = all[i-1].Hash
			all[i].Hash = all[i].Sum(domain)
		}
		return all
	}, func(n int) int { return n + afterwards }, it},
}

func nobody(int) int { return 0 }
func it(n int) int   { return n }

// changeRecord takes a head of the record, does to copies of it, and to exports, whatever can be done, and sees who finds out.
func (h *house) changeRecord() {
	h.Helper()
	h.wait("some entries", h.reach(20))
	keys, head := h.keepHead()
	entries := h.record().entries
	n := int(head) - afterwards
	store, fill := h.copyOfRecord()
	export := filepath.Join(h.cluster.Directory(), "export.jsonl")
	h.breaks("auditor")
	for _, t := range tamperings {
		changed := t.change(slices.Clone(entries), n)
		fill(changed)
		h.must(os.WriteFile(export, []byte(exportOf(changed)), 0o600))
		for _, file := range [][]string{nil, {export}} {
			h.names(t.name, t.byHead(n), store, append(keys, file...))
			h.names(t.name, t.bySigned(n), store, append([]string{"--trust-keys", h.trustKeys}, file...))
		}
	}
}

// keepHead keeps a signed head of the record, and returns what it is verified by, and its revision.
func (h *house) keepHead() (flags []string, at policy.Revision) {
	h.Helper()
	file := func(name string) string { return filepath.Join(h.cluster.Directory(), name) }
	public, err := h.teishi("key", "new", file("auditor.key"))
	h.must(err)
	h.must(os.WriteFile(file("auditor.pub"), []byte(public), 0o600))
	note, err := h.teishi("log", "head", "--sign-key", file("auditor.key"))
	h.must(err)
	h.must(os.WriteFile(file("kept.note"), []byte(note), 0o600))
	_, err = fmt.Sscanf(note, "teishi/head/v1/teishi\n%d\n", &at)
	h.must(err)
	return []string{"--head", file("kept.note"), "--head-keys", file("auditor.pub")}, at
}

// names has an auditor verify a copy of the record, or an export, and sees which entry is named; with 0 none is to be.
func (h *house) names(what string, want int, store string, args []string) {
	h.Helper()
	out, err := h.cluster.RunTeishi(h.ctx, cluster.TeishiConfig{
		Binary: h.binary(h.plan.tagged), Args: append([]string{"log", "verify"}, args...),
		Env: []string{"TEISHI_STORE=" + store, "TEISHI_FAULTS_FILE=" + h.faultsFile("auditor")},
	})
	switch named := fmt.Sprintf("the entry at revision %d does not verify", want); {
	case want == 0 && err != nil:
		h.problem("I9: %s, and teishi log verify %q says %v", what, args, err)
	case want > 0 && (err == nil || !strings.Contains(err.Error(), named)):
		h.problem("I9: %s, and teishi log verify %q says %q, %v, want revision %d", what, args, out, err, want)
	}
}

// copyOfRecord makes another record of the same kind, and returns where it is, and what fills it.
func (h *house) copyOfRecord() (store string, fill func([]policystore.Entry)) {
	h.Helper()
	if h.plan.sqlite {
		file := filepath.Join(h.cluster.Directory(), "copy.db")
		log, err := sqlite.Open(h.ctx, sqlite.Config{Path: file, Domain: domain})
		h.must(err)
		h.must(log.Close())
		return "sqlite:" + file, func(all []policystore.Entry) {
			h.must(alterSQLite(h.ctx, file, filled("entries", all, "x'%x'", "CAST(x'%x' AS TEXT)")))
		}
	}
	database, err := h.postgres.CreateDatabase(h.ctx)
	h.must(err)
	store = h.postgres.DSN(database)
	_, err = h.cluster.RunTeishi(h.ctx, cluster.TeishiConfig{Binary: h.binary(h.plan.tagged), Args: []string{"migrate"}, Env: []string{"TEISHI_STORE=" + store}})
	h.must(err)
	return store, func(all []policystore.Entry) {
		_, err := h.postgres.SQL(h.ctx, database, filled("teishi.entries", all, `'\x%x'`, `'\x%x'`))
		h.must(err)
	}
}

// filled are the statements that have a table hold these entries and nothing else, with bytes and texts written as the formats say.
func filled(table string, all []policystore.Entry, bytes, text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "DELETE FROM %s;\n", table)
	for _, e := range all {
		fmt.Fprintf(&b, "INSERT INTO %s (revision, epoch, time", table)
		b.WriteString(", principal, method, request_id, reason, request_digest, previous_hash, hash, signature, payload)")
		fmt.Fprintf(&b, " VALUES (%d, %d, %d", e.Revision, e.Epoch, e.Time)
		for _, s := range []string{e.Principal, e.Method, e.RequestID, e.Reason} {
			fmt.Fprintf(&b, ", "+text, s)
		}
		for _, s := range [][]byte{e.RequestDigest[:], e.PreviousHash[:], e.Hash[:], e.Signature, e.Payload} {
			fmt.Fprintf(&b, ", "+bytes, s)
		}
		b.WriteString(");\n")
	}
	return b.String()
}

// exportOf is what teishi log export would make of the entries.
func exportOf(all []policystore.Entry) string {
	var b strings.Builder
	for i := range all {
		b.WriteString(protojson.MarshalOptions{}.Format(policystore.AuditedToProto(&all[i])) + "\n")
	}
	return b.String()
}
