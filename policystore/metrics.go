package policystore

import (
	"errors"
	"math"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what happens to a record and to those who follow it. Labels are of closed sets: names of origins, sorts of
// Trouble, reasons why proofs prove nothing.
type Metrics struct {
	proofsRefused      *prometheus.CounterVec // by reason
	sourceErrors       *prometheus.CounterVec // by source and trouble
	gaps               *prometheus.CounterVec // by source
	forks              *prometheus.CounterVec // by source
	checkpointsLoaded  *prometheus.CounterVec // by source
	checkpointsRefused *prometheus.CounterVec // by source
	source             *prometheus.GaugeVec   // 1 for the one followed
	localFailures      prometheus.Counter
	stateMismatches    prometheus.Counter
	doubts             *prometheus.GaugeVec // by who doubts
	published          prometheus.Counter
	publishErrors      *prometheus.CounterVec // by trouble
	publishLag         prometheus.Gauge
	publishEvents      *prometheus.CounterVec // by what happened

	mu   sync.Mutex
	used string // the source followed

	registry prometheus.Registerer
}

// NewMetrics returns metrics that are registered; a nil registerer registers none.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "teishi", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "teishi", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		proofsRefused:      counter("head_proofs_refused_total", "Head proofs that proved nothing, by why.", "reason"),
		sourceErrors:       counter("source_errors_total", "Interruptions of following a source, by what sort of trouble.", "source", "trouble"),
		gaps:               counter("source_gaps_total", "Times that entries were no longer there and a checkpoint was needed.", "source"),
		forks:              counter("source_forks_total", "Times that a source showed another history than the one applied.", "source"),
		checkpointsLoaded:  counter("checkpoints_loaded_total", "Checkpoints that policy was restored from.", "source"),
		checkpointsRefused: counter("checkpoints_refused_total", "Checkpoints that did not verify.", "source"),
		source:             gauge("source_in_use", "1 for the source that is followed, 0 for the others.", "source"),
		doubts:             gauge("record_in_doubt", "1 while writes and proofs are stopped because the record is not what it was, by who says so.", "by"),
		publishErrors:      counter("publish_errors_total", "Failures to publish to Redis, by what sort of trouble.", "trouble"),
		publishEvents:      counter("publish_events_total", "What publishing to Redis met: gap, fork, seed, checkpoint.", "event"),
		localFailures: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "teishi", Name: "local_checkpoint_failures_total",
			Help: "Failures to keep the local checkpoint."}),
		stateMismatches: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "teishi", Name: "state_mismatches_total",
			Help: "Reports of replicas whose state is not what it must be at their position."}),
		published: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "teishi", Name: "published_entries_total",
			Help: "Entries published to Redis, by this process or found there."}),
		publishLag: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "teishi", Name: "publish_lag_entries",
			Help: "Entries of the record that are not in Redis, as last known."}),
		registry: registry,
	}
	m.register(m.proofsRefused, m.sourceErrors, m.gaps, m.forks, m.checkpointsLoaded, m.checkpointsRefused, m.source, m.doubts,
		m.publishErrors, m.publishEvents, m.localFailures, m.stateMismatches, m.published, m.publishLag)
	return m
}

func (m *Metrics) register(collectors ...prometheus.Collector) {
	if m.registry != nil {
		m.registry.MustRegister(collectors...)
	}
}

// Watch adds what a replica is at whenever metrics are gathered, and how often its clock was set.
func (m *Metrics) Watch(r *Replica, clock *Clock) {
	gauge := func(name, help string, value func(View) float64) {
		m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "teishi", Name: name, Help: help}, func() float64 {
			return value(r.state.Load().view(reading(), r.spent))
		}))
	}
	gauge("revision", "The revision that is in force here.", func(v View) float64 { return float64(v.Position.Revision) })
	gauge("epoch", "The epoch of the revision.", func(v View) float64 { return float64(v.Position.Epoch) })
	gauge("age_seconds", "Time since the record was last known to hold nothing newer; +Inf where that was never proven.", func(v View) float64 {
		if v.Freshness.Age == Never {
			return math.Inf(1)
		}
		return v.Freshness.Age.Seconds()
	})
	gauge("freshness", "2 FRESH, 1 STALE, 0 EXPIRED.", func(v View) float64 { return float64(v.Freshness.State) })
	m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "teishi", Name: "known_head_revision",
		Help: "The last revision heard of, applied or not."}, func() float64 { return float64(r.state.Load().head.Revision) }))
	m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "teishi", Name: "frozen",
		Help: "1 while no source is believed, because of what cannot be verified or is not known."}, func() float64 {
		if r.Err() != nil {
			return 1
		}
		return 0
	}))
	m.register(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "teishi", Name: "clock_steps_total",
		Help: "Times that the wall clock was seen to be set."}, func() float64 { return float64(clock.Steps()) }))
}

// follows notes which source is followed.
func (m *Metrics) follows(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used == name {
		return
	}
	if m.used != "" {
		m.source.WithLabelValues(m.used).Set(0)
	}
	m.used = name
	m.source.WithLabelValues(name).Set(1)
}

// poisoned counts what a source gave that shows another history.
func (m *Metrics) poisoned(name string, err error) {
	if errors.Is(err, ErrDiverged) {
		m.forks.WithLabelValues(name).Inc()
	}
}

// DamagedProof counts a head proof that a source could not decode.
func (m *Metrics) DamagedProof() { m.proofsRefused.WithLabelValues("damaged").Inc() }

// Published counts entries that were published, or found to be.
func (m *Metrics) Published(entries int) { m.published.Add(float64(entries)) }

// PublishLag notes how many entries of the record are not published, as last known.
func (m *Metrics) PublishLag(entries int64) { m.publishLag.Set(float64(entries)) }

// PublishTrouble counts an attempt to publish that failed.
func (m *Metrics) PublishTrouble(sort Trouble) { m.publishErrors.WithLabelValues(string(sort)).Inc() }

// PublishHappened counts what publishing met, of a closed set.
func (m *Metrics) PublishHappened(what string) { m.publishEvents.WithLabelValues(what).Inc() }
