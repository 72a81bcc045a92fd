package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newRegistry returns a registry of metrics that has those of the process.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// measuring serves metrics; a nil one serves none.
type measuring struct {
	server *http.Server
	failed chan error
}

// serveMetrics serves the metrics at /metrics and nothing else; nowhere without an address.
func serveMetrics(address string, r *prometheus.Registry) (*measuring, error) {
	if address == "" {
		return nil, nil
	}
	l, err := listen("metrics-listen", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	m := &measuring{server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}, failed: make(chan error, 1)}
	go func() { m.failed <- m.server.Serve(l) }()
	return m, nil
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
