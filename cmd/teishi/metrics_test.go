package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// TestHealthOverHTTP checks that a process which has nothing to answer from lives, and is not ready; and that it is once it has, until it
// drains.
func TestHealthOverHTTP(t *testing.T) {
	m := &measuring{}
	handler := m.handler(newRegistry())
	health := func(what string, live, ready int) {
		t.Helper()
		for path, want := range map[string]int{"/livez": live, "/readyz": ready} {
			w := httptest.NewRecorder()
			if handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != want {
				t.Errorf("%s, %s answers %d, want %d", what, path, w.Code, want)
			}
		}
	}
	health("before there is a server", http.StatusOK, http.StatusServiceUnavailable)
	c := serveConfig{domain: "teishi", store: &storeSetting{kind: "sqlite", domain: "teishi"}, logger: slog.New(slog.DiscardHandler)}
	n, err := c.newNode(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	server := n.server()
	m.ask(server)
	health("before there is policy", http.StatusOK, http.StatusServiceUnavailable)
	n.start()
	if err := n.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := listen("listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	for !m.ready() && t.Context().Err() == nil {
		runtime.Gosched()
	}
	health("with policy", http.StatusOK, http.StatusOK)
	server.Drain(0, 0)
	health("at the end", http.StatusOK, http.StatusServiceUnavailable)
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}
