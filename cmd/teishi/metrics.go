package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/teishi-dev/teishi/service"
)

// newRegistry returns a registry of metrics that has those of the process.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// measuring serves metrics and health over HTTP; a nil one serves none.
type measuring struct {
	server *http.Server
	failed chan error
	asked  atomic.Pointer[service.Server] // whose health it tells
}

// serveMetrics serves the metrics at /metrics, and health to those who cannot ask for it over gRPC; nowhere without an address. Nobody is
// asked who he is.
func serveMetrics(address string, r *prometheus.Registry, secured *tls.Config) (*measuring, error) {
	if address == "" {
		return nil, nil
	}
	l, err := listen("metrics-listen", address)
	if err != nil {
		return nil, err
	}
	if secured != nil {
		l = tls.NewListener(l, secured)
	}
	m := &measuring{failed: make(chan error, 1)}
	noLog := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of handshakes of strangers
	m.server = &http.Server{Handler: m.handler(r), ReadHeaderTimeout: 5 * time.Second, ErrorLog: noLog}
	go func() { m.failed <- m.server.Serve(l) }()
	return m, nil
}

func (m *measuring) handler(r *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { tell(w, true) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { tell(w, m.ready()) })
	return mux
}

// tell answers who asks for health.
func tell(w http.ResponseWriter, well bool) {
	if !well {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// ready reports whether there is a server that is ready.
func (m *measuring) ready() bool {
	s := m.asked.Load()
	return s != nil && s.Ready()
}

// ask has the health of a server told from now on.
func (m *measuring) ask(s *service.Server) {
	if m != nil {
		m.asked.Store(s)
	}
}

func (m *measuring) close() error {
	if m == nil {
		return nil
	}
	err := m.server.Close()
	if failed := <-m.failed; !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(err, failed)
	}
	return err
}
