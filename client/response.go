package client

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
)

// detailsOf returns what an answer says that came over gRPC.
func detailsOf(m *teishiv1.CheckResponse) Details {
	return Details{
		Citations:         each(m.Citations, citationOf),
		CitationsTotal:    int(m.CitationsTotal),
		Obligations:       obligationsOf(m.Obligations),
		Advice:            each(m.Advice, adviceOf),
		Missing:           Missing{Attributes: m.GetMissing().GetAttributes(), Purpose: m.GetMissing().GetPurpose()},
		PermittedPurposes: m.PermittedPurposes,
		Alternatives:      each(m.Alternatives, alternativeOf),
		Unrecognized:      m.Unrecognized,
		Revision:          m.Revision,
		Epoch:             m.Epoch,
		DecisionTime:      timeOf(m.DecisionTime),
		ValidUntilTime:    timeOf(m.ValidUntilTime),
		CacheUntilTime:    timeOf(m.CacheUntilTime),
		Freshness:         freshnessOf(m.Freshness),
		Hypothetical:      m.Hypothetical,
	}
}

// each converts every item of a list; none of nothing is nil.
func each[M, T any](list []M, to func(M) T) []T {
	if len(list) == 0 {
		return nil
	}
	all := make([]T, len(list))
	for i, m := range list {
		all[i] = to(m)
	}
	return all
}

func citationOf(m *teishiv1.Citation) Citation {
	return Citation{
		Directive:     m.Directive,
		Provision:     m.Provision,
		Release:       m.Release,
		Instrument:    m.Instrument,
		Authority:     m.Authority,
		Number:        m.Number,
		Title:         m.Title,
		Message:       m.Message,
		EffectiveTime: timeOf(m.EffectiveTime),
		EndTime:       timeOf(m.EndTime),
		Sources:       each(m.Sources, func(s *teishiv1.Source) Source { return Source{URI: s.Uri, Text: s.Text} }),
	}
}

func obligationsOf(list []*teishiv1.Obligation) []Obligation {
	return each(list, func(m *teishiv1.Obligation) Obligation {
		return Obligation{ID: m.Id, Text: m.Text, Directive: m.Directive, Release: m.Release}
	})
}

func alternativeOf(m *teishiv1.Alternative) Alternative {
	return Alternative{ID: m.Id, Text: m.Text, URI: m.Uri}
}

func adviceOf(m *teishiv1.Advice) Advice {
	return Advice{
		Directive:    m.Directive,
		Provision:    m.Provision,
		Message:      m.Message,
		Met:          m.Met,
		Obligations:  obligationsOf(m.Obligations),
		Alternatives: each(m.Alternatives, alternativeOf),
	}
}

func freshnessOf(m *teishiv1.Freshness) Freshness {
	f := Freshness{State: strings.TrimPrefix(m.GetState().String(), "STATE_"), Age: policystore.Never, Source: m.GetSource()}
	if age := m.GetAge(); age != nil {
		f.Age = age.AsDuration()
	}
	return f
}

// timeOf returns the instant, zero if it is unset.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
