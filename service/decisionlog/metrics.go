package decisionlog

import "github.com/prometheus/client_golang/prometheus"

// metrics counts lines.
type metrics struct {
	written prometheus.Counter
	dropped prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "teishi", Subsystem: "decision_log", Name: name, Help: help})
	}
	m := &metrics{
		written: counter("written_total", "Decisions that were written down."),
		dropped: counter("dropped_total", "Decisions whose lines could not be written: answered all the same, or in mode block refused."),
	}
	if registry != nil {
		registry.MustRegister(m.written, m.dropped)
	}
	return m
}
