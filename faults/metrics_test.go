package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/teishi-dev/teishi/cluster"
)

// metric reads one line of a server's metrics, by its name and labels; 0 if there is none.
func (h *house) metric(ctx context.Context, s *cluster.Teishi, line string) (float64, error) {
	client, scheme := http.DefaultClient, "http"
	if h.guard != nil {
		client, scheme = h.guard.web, "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+h.metricsOf[s.Name()]+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), line+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, nil
}

// size is how much of what is bounded a server has at a moment.
type size struct{ goroutines, descriptors float64 }

func (h *house) size(ctx context.Context, s *cluster.Teishi) (z size, err error) {
	if z.goroutines, err = h.metric(ctx, s, "go_goroutines"); err == nil {
		z.descriptors, err = h.metric(ctx, s, "process_open_fds")
	}
	return z, err
}

// What a fault may leave behind: a few connections more than there were, and what serves them.
const (
	moreGoroutines  = 60
	moreDescriptors = 25
	mostMemory      = 256 << 20 // at any time
)

// measure notes how large every server is before anything is broken.
func (h *house) measure() {
	h.Helper()
	for _, s := range h.servers() {
		z, err := h.size(h.ctx, s)
		h.must(err)
		h.sizes[s.Name()] = z
	}
}

// resident is how much memory a server has.
func (h *house) resident(s *cluster.Teishi) int64 {
	h.Helper()
	u, err := s.Usage()
	h.must(err)
	return u.Resident
}

// bounded waits until every server is about as large as it was, and sees that none was ever too large.
func (h *house) bounded() {
	h.Helper()
	h.until("I11", "until nothing is left behind", func(ctx context.Context) error {
		var large []error
		for _, s := range h.servers() {
			z, err := h.size(ctx, s)
			before := h.sizes[s.Name()]
			if err == nil && (z.goroutines > before.goroutines+moreGoroutines || z.descriptors > before.descriptors+moreDescriptors) {
				err = fmt.Errorf("%s has %g goroutines and %g descriptors, and had %g and %g", s.Name(), z.goroutines, z.descriptors, before.goroutines, before.descriptors)
			}
			large = append(large, err)
		}
		return errors.Join(large...)
	})
	for _, s := range h.servers() {
		u, err := s.Usage()
		h.must(err)
		if u.Peak > mostMemory+h.room {
			h.problem("I11: %s had %d MiB of memory", s.Name(), u.Peak>>20)
		}
	}
}
