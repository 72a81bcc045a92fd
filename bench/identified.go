//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policy/workload"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// Who calls: as its certificate says, and as its token does.
const (
	certified = "cn:bench"
	tokenName = "user:%s#" + identitytest.Subject
)

// unmet is a limit of questions a second that counts them, and that one machine cannot meet.
const unmet = "1000000"

// house is what servers that know callers take: files of certificates, an issuer of tokens, and a caller who has one of each.
type house struct {
	*benchmark
	issuer *identitytest.Issuer
	caller grpc.DialOption
	token  string
	record string // the file, of which each server has a copy
	rungs  []rung
	*questions
}

// identifying measures what it costs to know callers and to write down what they are told.
func (b *benchmark) identifying(ctx context.Context) (err error) {
	h, err := b.house(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.issuer.Close()) }()
	ours, t, err := h.ladder(ctx)
	defer func() { err = errors.Join(err, stopAll(ours)) }()
	if err != nil {
		return err
	}
	answers := filepath.Join(b.directory, "identified")
	if err := writeMessage(answers, t.answers); err != nil {
		return err
	}
	empty, err := h.empty(ctx, answers)
	defer func() { err = errors.Join(err, stopAll(empty)) }()
	if err != nil {
		return err
	}
	rounds, err := b.compare(ctx, append(ours, empty...), b.callers, b.identified)
	if err != nil {
		return err
	}
	h.printIdentified(rounds)
	return errors.Join(h.printLogs()...)
}

// house makes certificates, starts an issuer, and writes the record.
func (b *benchmark) house(ctx context.Context) (*house, error) {
	ca, err := trust.NewCA("bench", nil)
	if err != nil {
		return nil, err
	}
	h := &house{benchmark: b}
	if err := h.files(ca); err != nil {
		return nil, err
	}
	if h.issuer, err = identitytest.StartIssuer(ca); err != nil {
		return nil, err
	}
	if h.token, err = h.issuer.Sign(h.issuer.Claims()); err != nil {
		return nil, errors.Join(err, h.issuer.Close())
	}
	w, err := b.world(ctx, "W1 granted", granted(h.issuer.URL), false)
	if err != nil {
		return nil, errors.Join(err, h.issuer.Close())
	}
	h.record, h.questions = w.record, w.questions
	h.climb()
	return h, nil
}

// files writes the certificates of the server and whom it believes, and remembers that of the caller.
func (h *house) files(ca *trust.CA) error {
	server, err := ca.Issue("server", nil)
	if err != nil {
		return err
	}
	client, err := ca.Issue(strings.TrimPrefix(certified, "cn:"), nil)
	if err != nil {
		return err
	}
	pair, err := client.Pair()
	if err != nil {
		return err
	}
	h.caller = grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{pair}}))
	return errors.Join(server.Write(h.file("server.pem"), h.file("server.key")), os.WriteFile(h.file("ca.pem"), ca.PEM, 0o600))
}

func (h *house) file(name string) string { return filepath.Join(h.directory, name) }

// granted is W1 in which every organization has a caller of its own, and ours may ask about all that are beneath the first.
func granted(issuer string) workload.World {
	w := workload.W1()
	grant := func(id, principal, organization string) {
		w.Changes = append(w.Changes, policy.Change{Put: &policy.Grant{ID: id, Principal: principal, Role: policy.Checker, Organization: organization}})
	}
	for _, c := range w.Changes {
		if o, ok := c.Put.(*policy.Organization); ok {
			grant("own-"+o.ID, "dns:"+o.ID+".example.org", o.ID)
		}
	}
	grant("certified", certified, workload.Organization(0))
	grant("token", fmt.Sprintf(tokenName, issuer), workload.Organization(0))
	return w
}

// The sides: ours, each with one thing more than the one before, and empty servers that have as much of transport.
const (
	allOff = iota
	withCertificate
	withToken
	withLog
	withBlockingLog
	emptyOff
	emptyCertificate
	emptyToken
)

// rung is one of ours.
type rung struct {
	name   string
	beside int      // which of the empty servers
	flags  []string // more than the one before has
}

func (h *house) climb() {
	h.rungs = []rung{
		allOff: {name: "all off", beside: emptyOff},
		withCertificate: {"TLS 1.3 and a client certificate", emptyCertificate,
			[]string{"--tls-cert", h.file("server.pem"), "--tls-key", h.file("server.key"), "--tls-client-ca", h.file("ca.pem"), "--limit-checks", unmet}},
		withToken: {"and a bearer token", emptyToken,
			[]string{"--oidc-issuer", h.issuer.URL, "--oidc-audience", identitytest.Audience, "--oidc-ca", h.file("ca.pem")}},
		withLog:         {"and a decision log", emptyToken, []string{"--decision-log", "file:" + h.logFile(withLog)}},
		withBlockingLog: {"which answers wait for", emptyToken, []string{"--decision-log", "file:" + h.logFile(withBlockingLog), "--decision-log-mode", "block"}},
	}
}

func (h *house) logFile(which int) string { return h.file(fmt.Sprint(which, ".json")) }

// ladder starts ours, each of which answers as this process decides. What it returns is to be stopped, with an error too.
func (h *house) ladder(ctx context.Context) (all sides, t traffic, err error) {
	var flags []string
	for which, r := range h.rungs {
		record := h.file(fmt.Sprint(which, ".db"))
		if err := copyFile(record, h.record); err != nil {
			return all, t, err
		}
		flags = append(flags, r.flags...)
		args := append([]string{"--store", "sqlite:" + record}, flags...)
		s, err := h.side(ctx, r.beside, func(ctx context.Context) (*process, error) { return h.start(ctx, args...) })
		if err != nil {
			return all, t, err
		}
		all = append(all, s)
		asking := ctx
		if r.beside == emptyToken {
			asking = bearing(ctx, h.token)
		}
		if t, err = h.verify(asking, s.dials[0]); err != nil {
			return all, t, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return all, t, nil
}

// empty starts the empty servers, in plaintext and with certificates: the second counts twice, once asked with a token. What it
// returns is to be stopped, with an error too.
func (h *house) empty(ctx context.Context, answers string) (all sides, err error) {
	for i, args := range [][]string{{answers}, {answers, h.file("server.pem"), h.file("server.key"), h.file("ca.pem")}} {
		s, err := h.side(ctx, emptyOff+i, func(ctx context.Context) (*process, error) { return h.echo(ctx, args...) })
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return append(all, side{all[1].served, withBearer(h.token, all[1].ask)}), nil
}

// side starts a server and connects to it, as one connects to that of the empty servers, and is asked likewise.
func (h *house) side(ctx context.Context, like int, start func(context.Context) (*process, error)) (side, error) {
	var options []grpc.DialOption
	if like != emptyOff {
		options = append(options, h.caller)
	}
	s, err := h.connect(ctx, start, options...)
	ask := oneByOne(h.check)
	if like == emptyToken {
		ask = withBearer(h.token, ask)
	}
	return side{s, ask}, err
}

// withBearer asks with a token.
func withBearer(token string, ask asking) asking {
	return func(ctx context.Context, c *grpc.ClientConn, first int, end time.Time) ([]time.Duration, error) {
		return ask(bearing(ctx, token), c, first, end)
	}
}

func bearing(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// stopAll stops the servers, each once.
func stopAll(all sides) error {
	var errs []error
	stopped := make(map[*served]bool)
	for _, s := range all {
		if !stopped[s.served] {
			stopped[s.served] = true
			errs = append(errs, s.stop())
		}
	}
	return errors.Join(errs...)
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

const identifiedColumns = "%-46s %11s %11s %8s %-13s %10s %-13s  %s\n"

// printIdentified prints what each thing more costs, beside the empty server that has as much of transport, and beside ours without.
func (h *house) printIdentified(rounds []round) {
	title := fmt.Sprintf("Check, %d callers on %d connections", h.callers, h.connections)
	fmt.Fprintf(h.out, identifiedColumns, title, "teishi", "echo", "÷ echo", "", "÷ all off", "", "echo ÷ its all off")
	for _, figure := range []struct {
		name   string
		of     measure
		format func(float64) string
	}{{"server CPU per call", sample.cpuPerCall, microseconds}, {"throughput", sample.perSecond, rate}} {
		fmt.Fprintf(h.out, "  %s\n", figure.name)
		for which, r := range h.rungs {
			toEcho, spread := centre(ratios(rounds, which, r.beside, figure.of))
			toOff, spreadOff := centre(ratios(rounds, which, allOff, figure.of))
			ofEmpty, _ := centre(ratios(rounds, r.beside, emptyOff, figure.of))
			fmt.Fprintf(h.out, identifiedColumns, "    "+r.name, figure.format(median(rounds, which, figure.of)), figure.format(median(rounds, r.beside, figure.of)),
				toEcho, spread, toOff, spreadOff, ofEmpty)
		}
	}
}

// centre returns the median of what is sorted, and where the half around it lies.
func centre(sorted []float64) (median, spread string) {
	at := func(q float64) string { return fmt.Sprintf("%.2f", quantile(sorted, q)) }
	return at(0.5), "[" + at(0.25) + " " + at(0.75) + "]"
}

// printLogs prints what stands in the decision logs by now.
func (h *house) printLogs() (errs []error) {
	for _, which := range []int{withLog, withBlockingLog} {
		text, err := os.ReadFile(h.logFile(which))
		if err != nil || len(text) == 0 {
			errs = append(errs, errors.Join(fmt.Errorf("the decision log %s has no line", h.logFile(which)), err))
			continue
		}
		lines := bytes.Count(text, []byte("\n"))
		fmt.Fprintf(h.out, "  %s: %d lines of %d bytes were written, and %d times some were dropped\n",
			h.rungs[which].name, lines, len(text)/lines, bytes.Count(text, []byte(`{"dropped":`)))
	}
	fmt.Fprintf(h.out, "  load by then: %s\n\n", load())
	return errs
}
