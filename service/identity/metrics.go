package identity

import "github.com/prometheus/client_golang/prometheus"

// metrics count who is not known, and tell what is about to be too old.
type metrics struct {
	refused     *prometheus.CounterVec
	keys        *prometheus.GaugeVec
	certificate prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "teishi", Name: "unauthenticated_total",
			Help: "Calls of callers who are not known, by what was wrong with their credentials."}, []string{"why"}),
		keys: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "teishi", Name: "issuer_keys_fetched_timestamp_seconds",
			Help: "When the keys of an issuer of tokens were fetched last; after 24 hours they are believed no more."}, []string{"issuer"}),
		certificate: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "teishi", Name: "certificate_expire_timestamp_seconds",
			Help: "When the certificate expires that the server shows; 0 without TLS."}),
	}
	if r != nil {
		r.MustRegister(m.refused, m.keys, m.certificate)
	}
	return m
}
