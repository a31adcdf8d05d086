package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/keep"
	"github.com/evs-project/evs/internal/listing"
	"github.com/evs-project/evs/ipvs"
)

// fake is a director with one service, which has something of everything.
type fake struct {
	reloads atomic.Int32
	wrong   atomic.Pointer[error] // with the file
}

var started = time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)

func (f *fake) Status() Status {
	return Status{
		Version: "1.2.3", PID: 4711, Namespace: "1", Started: started, Uptime: 61.5, File: "/etc/evs/evs.yaml",
		Reload: Reload{Good: started, Count: int(f.reloads.Load()), Tried: started, Error: "wrong"},
		Faults: []Fault{{What: "discovery of web", Error: "no answer", Since: started, Count: 3, Next: started}},
		Checks: Checks{Tasks: 2, Active: 1, Started: 9, Late: 1, Worst: 0.25},
	}
}

func (f *fake) Services() []Service {
	web := keep.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80"))}
	server := func(addr string) Destination {
		return Destination{
			Address: keep.Server{AddrPort: netip.MustParseAddrPort(addr)}, State: keep.Up, Since: started, Why: "connected", Listed: true,
			Checks: []Check{{Kind: "tcp", Up: true, Since: started, Proved: true, At: started, Good: true, Detail: "connected", Latency: 0.001, Count: 5}},
			Weight: Weight{Configured: 3, Now: 2.5, Table: 250, Goal: 2, Reason: "rate", About: "on its way", Source: "agent",
				Reading: &Reading{At: started, Value: 66, Unit: "percent", About: "busy"}},
			Connections: Connections{Active: 5, Inactive: 6, Persistent: 7},
			Terms:       TermsOf(config.Drain{For: 7 * time.Minute, AtDeadline: keep.Reset, Persistence: keep.Ignore}),
		}
	}
	return []Service{{
		Name: "web", Addresses: []keep.Service{web}, Scheduler: "wrr", Up: true, Since: started, Quorum: 1, Weight: 6,
		Destinations: []Destination{server("192.0.2.2:8080"), server("192.0.2.3:8080")},
	}, {Name: "empty"}}
}

func (f *fake) Reload(context.Context) error {
	if err := f.wrong.Load(); err != nil {
		return *err
	}
	f.reloads.Add(1)
	return nil
}

func (f *fake) Plan(context.Context) (listing.Plan, error) {
	share := 0.25
	return listing.NewPlan([]listing.PlanChange{{What: "destination", Op: "remove", Service: "TCP 203.0.113.10:80", Name: "192.0.2.3:8080", From: "weight 1", Connections: 3, Moved: &share}}), nil
}

// failure is what the file is wrong by.
func failure() error {
	return document.Problems{{Place: document.Place{File: "evs.yaml", Line: 3, Column: 5}, Key: "services[0].quorum", Reason: "0: choose 1 at least"}}
}

// house is a served API.
type house struct {
	fake   *fake
	store  *keep.Store
	server *Server
	dir    string // that everybody may enter
	cfg    config.API
}

func serving(t *testing.T, change func(*config.API)) *house {
	t.Helper()
	h := &house{fake: &fake{}, dir: t.TempDir()}
	for dir := h.dir; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if h.store, err = keep.Open(filepath.Join(h.dir, "state.json")); err != nil {
		t.Fatal(err)
	}
	h.server = NewServer(h.fake, h.store, slog.New(slog.NewTextHandler(t.Output(), nil)))
	h.cfg = config.API{Socket: filepath.Join(h.dir, "director.sock")}
	if change != nil {
		change(&h.cfg)
	}
	if err := h.server.Set(h.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.server.Close)
	return h
}

func (h *house) client(t *testing.T) *Client {
	c := Dial(h.cfg.Socket)
	t.Cleanup(c.Close)
	return c
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
