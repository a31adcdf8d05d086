package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/keep"
)

func scope(t *testing.T, service, server string) (s keep.Scope) {
	t.Helper()
	text := asJSON(t, map[string]string{"service": service, "server": server})
	if service == "" {
		text = asJSON(t, map[string]string{"server": server})
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheClientHearsWhatTheDirectorSays(t *testing.T) {
	h := serving(t, nil)
	c := h.client(t)
	ctx := t.Context()
	status, err := c.Status(ctx)
	want := h.fake.Status()
	want.Header, want.Files = Header{"evs/v1", "Status"}, []string{}
	if err != nil || asJSON(t, status) != asJSON(t, want) {
		t.Errorf("status %s, %v", asJSON(t, status), err)
	}
	services, err := c.Services(ctx)
	if err != nil || len(services.Services) != 2 || services.Kind != "Services" {
		t.Errorf("services %s, %v", asJSON(t, services), err)
	}
	weights, err := c.Weights(ctx)
	if err != nil || len(weights.Weights) != 2 || weights.Weights[1].Destination.String() != "192.0.2.3:8080" || weights.Weights[0].Reason != "rate" {
		t.Errorf("weights %s, %v", asJSON(t, weights), err)
	}
	plan, err := c.Plan(ctx)
	fakes, _ := h.fake.Plan(ctx)
	if err != nil || asJSON(t, plan) != asJSON(t, fakes) {
		t.Errorf("plan %s, %v", asJSON(t, plan), err)
	}
}

func TestADrainIsKeptUntilItIsEnded(t *testing.T) {
	h := serving(t, nil)
	c := h.client(t)
	ctx := t.Context()
	changed := h.store.Changed()
	d, err := c.Drain(ctx, DrainRequest{Scope: scope(t, "", "192.0.2.2")})
	if err != nil {
		t.Fatal(err)
	}
	<-changed
	if d.Deadline.Sub(d.Since) != 7*time.Minute || d.AtDeadline != keep.Reset || d.Persistence != keep.Ignore {
		t.Errorf("the terms of the file are not those of %+v", d)
	}
	services, err := c.Services(ctx)
	if err != nil || services.Services[0].Destinations[0].Drain == nil || services.Services[0].Destinations[1].Drain != nil {
		t.Errorf("the drain is not told of: %s, %v", asJSON(t, services), err)
	}
	if w, err := c.Weights(ctx); err != nil || w.Weights[0].Reason != "drain" || w.Weights[1].Reason != "rate" {
		t.Errorf("the weights have other reasons: %s, %v", asJSON(t, w), err)
	}
	if all, err := c.Drains(ctx); err != nil || len(all.Drains) != 1 || all.Drains[0].ID != d.ID {
		t.Errorf("drains: %+v, %v", all, err)
	}
	if one, err := c.GetDrain(ctx, d.ID); err != nil || one.Scope != d.Scope {
		t.Errorf("drain: %+v, %v", one, err)
	}
	minute := Duration(time.Minute)
	again, err := c.Drain(ctx, DrainRequest{Scope: scope(t, "", "192.0.2.2"), For: &minute, AtDeadline: keep.Leave, Persistence: keep.Respect})
	if err != nil || again.ID != d.ID || again.Deadline.Sub(again.Since) != time.Minute || again.AtDeadline != keep.Leave || again.Persistence != keep.Respect {
		t.Errorf("it does not begin anew with the terms that are asked for: %+v, %v", again, err)
	}
	if err := c.Undrain(ctx, d.ID); err != nil || len(h.store.Drains()) != 0 {
		t.Errorf("it is not ended: %v", err)
	}
	var p *Problem
	if err := c.Undrain(ctx, d.ID); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("it is ended twice: %v", err)
	}
}

func TestAnOverrideIsKeptUntilItIsEnded(t *testing.T) {
	h := serving(t, nil)
	c := h.client(t)
	weight, hour := int32(0), Duration(time.Hour)
	o, err := c.Override(t.Context(), OverrideRequest{Scope: scope(t, "TCP 203.0.113.10:80", "192.0.2.2:8080"), Weight: &weight, For: &hour, Why: "a try"})
	if err != nil || o.Until.Sub(o.Since) != time.Hour || *o.Weight != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	if w, err := c.Weights(t.Context()); err != nil || w.Weights[0].Reason != "override" || w.Weights[1].Reason != "rate" {
		t.Errorf("the weights have other reasons: %s, %v", asJSON(t, w), err)
	}
	if all, err := c.Overrides(t.Context()); err != nil || len(all.Overrides) != 1 || all.Overrides[0].Why != "a try" {
		t.Errorf("%+v, %v", all, err)
	}
	if err := c.Unoverride(t.Context(), o.ID); err != nil || len(h.store.Overrides(time.Now())) != 0 {
		t.Error(err)
	}
}

func TestAReloadThatFailsSaysEachThingThatIsWrong(t *testing.T) {
	h := serving(t, nil)
	c := h.client(t)
	if r, err := c.Reload(t.Context()); err != nil || r.Count != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	wrong := failure()
	h.fake.wrong.Store(&wrong)
	var p *Problem
	if _, err := c.Reload(t.Context()); !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity ||
		len(p.Errors) != 1 || p.Errors[0].Place != "evs.yaml:3:5" || !strings.Contains(err.Error(), "services[0].quorum: 0: choose 1 at least") {
		t.Errorf("%v", err)
	}
	if h.fake.reloads.Load() != 1 {
		t.Error("it was reloaded all the same")
	}
}

func TestWithoutADirectorTheClientSaysSo(t *testing.T) {
	c := Dial(t.TempDir() + "/director.sock")
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrNoDirector) {
		t.Error(err)
	}
}

// raw sends a request and returns the status and the problem, if it is one.
func raw(t *testing.T, h *house, method, path, kind, body string) (int, Problem, http.Header) {
	t.Helper()
	c := h.client(t)
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	answer, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p Problem
	if answer.Header.Get("Content-Type") == problemType {
		if err := json.Unmarshal(text, &p); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if p.Status != answer.StatusCode || p.Title != http.StatusText(p.Status) || p.Type != "about:blank" {
			t.Errorf("not a problem document: %s", text)
		}
	}
	return answer.StatusCode, p, answer.Header
}

func TestABadRequestIsAProblemThatNamesTheRemedy(t *testing.T) {
	h := serving(t, nil)
	const plain = "application/json"
	for _, c := range []struct {
		name, method, path, kind, body string
		status                         int
		says                           string
	}{
		{"a path that there is not", "GET", "/v1/nothing", plain, "", 404, "/v1/openapi.json says what there is"},
		{"a path outside", "GET", "/", plain, "", 404, "openapi.json"},
		{"a method that a path has not", "PUT", "/v1/drains", plain, "", 405, "openapi.json"},
		{"a form", "POST", "/v1/drains", "application/x-www-form-urlencoded", "server=192.0.2.2", 415, "application/json"},
		{"no document", "POST", "/v1/drains", plain, "", 400, "cannot be read"},
		{"half a document", "POST", "/v1/drains", plain, `{"server":`, 400, "cannot be read"},
		{"two documents", "POST", "/v1/drains", plain, `{"server":"192.0.2.2"}{}`, 400, "more behind it"},
		{"a key that there is not", "POST", "/v1/drains", plain, `{"servers":"192.0.2.2"}`, 400, `unknown field "servers"`},
		{"no server", "POST", "/v1/drains", plain, `{}`, 422, "no server is named"},
		{"a server that is none", "POST", "/v1/drains", plain, `{"server":"web1"}`, 400, `server "web1": write it as 192.0.2.2:8080`},
		{"a service that is none", "POST", "/v1/drains", plain, `{"server":"192.0.2.2","service":"web"}`, 400, `service "web": write it as TCP 203.0.113.10:80`},
		{"a server that the director has not", "POST", "/v1/drains", plain, `{"server":"192.0.2.9"}`, 404, "192.0.2.9: the director has no such server"},
		{"a service that the director has not", "POST", "/v1/overrides", plain, `{"server":"192.0.2.2","service":"UDP 203.0.113.10:80","weight":1}`, 404, "no such server"},
		{"a time without a unit", "POST", "/v1/drains", plain, `{"server":"192.0.2.2","for":"10"}`, 400, "10"},
		{"a time before", "POST", "/v1/drains", plain, `{"server":"192.0.2.2","for":"-1s"}`, 422, "choose 0s at least"},
		{"another end", "POST", "/v1/drains", plain, `{"server":"192.0.2.2","atDeadline":"kill","persistence":"no"}`, 422, `atDeadline "kill": choose one of ["leave" "reset"]`},
		{"an override of nothing", "POST", "/v1/overrides", plain, `{"server":"192.0.2.2"}`, 422, "name weight, state or both"},
		{"a weight below 0", "POST", "/v1/overrides", plain, `{"server":"192.0.2.2","weight":-1}`, 422, "choose 0 at least"},
		{"a large document", "POST", "/v1/overrides", plain, `{"why":"` + strings.Repeat("x", maxBody) + `"}`, 413, "too large"},
		{"a long remark", "POST", "/v1/overrides", plain, `{"server":"192.0.2.2","weight":1,"why":"` + strings.Repeat("x", maxWhy+1) + `"}`, 422, "write 200 at most"},
		{"a drain that there is not", "GET", "/v1/drains/99", plain, "", 404, "drain 99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, p, header := raw(t, h, c.method, c.path, c.kind, c.body)
			if status != c.status || !strings.Contains(p.Error(), c.says) {
				t.Errorf("%d %s, want %d and %s", status, p.Error(), c.status, c.says)
			}
			if status == http.StatusMethodNotAllowed && !strings.Contains(header.Get("Allow"), "POST") {
				t.Errorf("Allow: %s", header.Get("Allow"))
			}
		})
	}
	if len(h.store.Drains())+len(h.store.Overrides(time.Now())) > 0 {
		t.Error("something was begun all the same")
	}
}

func TestADoorHasRoomForSoManyAndNoMore(t *testing.T) {
	h := serving(t, nil)
	for range maxConns {
		c, err := net.Dial("unix", h.cfg.Socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := h.client(t).Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with all places taken: %v", err)
	}
}

func TestWhoDawdlesLosesTheConnection(t *testing.T) {
	h := serving(t, nil)
	h.server.times.header, h.server.times.read = 200*time.Millisecond, 400*time.Millisecond
	h.cfg.Socket += ".impatient"
	if err := h.server.Set(h.cfg); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sends string
		least time.Duration
	}{
		"in the header": {"POST /v1/drains HTTP/1.1\r\nHost: x\r\n", h.server.times.header},
		"in the body":   {"POST /v1/drains HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", h.server.times.read},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("unix", h.cfg.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			if err := conn.SetDeadline(began.Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte(c.sends)); err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, conn)
			if took := time.Since(began); err != nil || took < c.least-50*time.Millisecond {
				t.Errorf("after %v: %v", took, err)
			}
		})
	}
}
