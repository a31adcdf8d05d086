package keep

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
)

var now = time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)

func scope(t *testing.T, service, server string) (s Scope) {
	t.Helper()
	if service != "" {
		if err := s.Service.UnmarshalText([]byte(service)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Server.UnmarshalText([]byte(server)); err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reopened is what another process would read.
func reopened(t *testing.T, file string) *Store {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.json")
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, copied)
}

func TestAFileIsOneDirectors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	s := open(t, file)
	if _, err := Open(file); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), file) {
		t.Errorf("another one opens it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, file)
}

func TestTextsOfScopesAreReadAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{"TCP 203.0.113.10:80", "UDP [2001:db8::10]:53", "SCTP 203.0.113.10:0", "FWM 7", "FWM 7 IPv6"} {
		var s Service
		if err := s.UnmarshalText([]byte(strings.ToLower(text))); err != nil || s.String() != text {
			t.Errorf("%s is read as %s, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "TCP", "TCP 203.0.113.10", "TCP 203.0.113.10:80 x", "FWM 0", "FWM -1", "FWM 4294967296", "FWM 7 IPv4", "ICMP 203.0.113.10:80"} {
		var s Service
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("service %q is read as %s", text, s)
		}
	}
	for text, want := range map[string]string{
		"192.0.2.2": "192.0.2.2", "192.0.2.2:80": "192.0.2.2:80", "2001:db8::2": "2001:db8::2",
		"[2001:db8::2]:80": "[2001:db8::2]:80", "192.0.2.2:0": "192.0.2.2",
	} {
		var s Server
		if err := s.UnmarshalText([]byte(text)); err != nil || s.String() != want {
			t.Errorf("server %s is read as %s, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "web", "192.0.2.2:", "192.0.2.2:65536", "fe80::1%eth0", "[fe80::1%eth0]:80"} {
		var s Server
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("server %q is read as %s", text, s)
		}
	}
}

func TestTheNarrowestSaysWhatHoldsOfADestination(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.json"))
	for _, o := range []struct{ service, server, why string }{
		{"", "192.0.2.2", "server"}, {"", "192.0.2.2:80", "port"}, {"TCP 203.0.113.10:80", "192.0.2.2", "service"},
	} {
		if _, err := s.AddOverride(Override{Scope: scope(t, o.service, o.server), Why: o.why, Since: now}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.AddDrain(Drain{Scope: scope(t, "", "192.0.2.3:80"), Since: now}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		service, server, why string
		drained              bool
	}{
		{"TCP 203.0.113.10:80", "192.0.2.2:80", "service", false},
		{"TCP 203.0.113.10:443", "192.0.2.2:80", "port", false},
		{"TCP 203.0.113.10:443", "192.0.2.2:443", "server", false},
		{"TCP 203.0.113.10:443", "192.0.2.3:80", "", true},
		{"TCP 203.0.113.10:443", "192.0.2.3:443", "", false},
	} {
		d := scope(t, c.service, c.server)
		said := s.Said(d.Service.ServiceKey, d.Server.AddrPort, now)
		why := ""
		if said.Override != nil {
			why = said.Override.Why
		}
		if why != c.why || (said.Drain != nil) != c.drained {
			t.Errorf("of %s, %q holds, and a drain %v", d, why, said.Drain)
		}
	}
}

func TestAnotherStartKnowsWhatWasSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "state.json")
	s := open(t, file)
	weight := int32(7)
	d, err := s.AddDrain(Drain{Scope: scope(t, "FWM 7 IPv6", "2001:db8::2"), Origin: ByOperator, Since: now, Deadline: now.Add(time.Minute), Phase: Draining})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddOverride(Override{Scope: scope(t, "", "192.0.2.2"), Weight: &weight, Since: now, Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	d.Phase, d.Rested = Late, now
	if err := s.Went(d); err != nil {
		t.Fatal(err)
	}
	again := reopened(t, file)
	if !reflect.DeepEqual(again.state, s.state) {
		t.Errorf("read\n%+v\nwritten\n%+v", again.state, s.state)
	}
	if o, err := again.AddOverride(Override{Scope: scope(t, "", "192.0.2.9")}); err != nil || o.ID == d.ID || o.ID == "2" {
		t.Errorf("a new one is called %s, as one before: %v", o.ID, err)
	}
	if left, _ := filepath.Glob(file + ".*"); len(left) > 1 { // the lock
		t.Errorf("left beside the file: %v", left)
	}
}

func TestADamagedFileIsAnErrorThatNamesIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	for _, text := range []string{"", "{", `{"version": 2}`, `{"version": 1, "drains": {"1": {"server": "x"}}}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAFileThatNamesNothingCanBeAddedTo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(file, []byte(`{"version": 1, "drains": null, "overrides": null}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, file)
	if _, err := s.AddDrain(Drain{Scope: scope(t, "", "192.0.2.2")}); err != nil {
		t.Error(err)
	}
	if _, err := s.AddOverride(Override{Scope: scope(t, "", "192.0.2.2")}); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeWrittenIsNotSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	s := open(t, filepath.Join(dir, "state.json"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	changed := s.Changed()
	if _, err := s.AddDrain(Drain{Scope: scope(t, "", "192.0.2.2")}); err == nil {
		t.Error("a drain was begun that nobody would remember")
	}
	select {
	case <-changed:
		t.Error("a change is told of that was not made")
	default:
	}
	if len(s.Drains()) != 0 {
		t.Errorf("drains: %v", s.Drains())
	}
}

func TestOverridesEndByThemselves(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.json"))
	if _, err := s.AddOverride(Override{Scope: scope(t, "", "192.0.2.2:80"), State: Down, Since: now, Until: now.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	key, server := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("203.0.113.10:80")), netip.MustParseAddrPort("192.0.2.2:80")
	for after, holds := range map[time.Duration]bool{0: true, time.Minute - 1: true, time.Minute: false} {
		at := now.Add(after)
		if said := s.Said(key, server, at); (said.Override != nil) != holds || (len(s.Overrides(at)) == 1) != holds {
			t.Errorf("after %v: %+v", after, said.Override)
		}
	}
	changed := s.Changed()
	if over, err := s.Expire(now.Add(time.Minute - 1)); over || err != nil {
		t.Error("it is over before its time", err)
	}
	if over, err := s.Expire(now.Add(time.Minute)); !over || err != nil {
		t.Error("it is not over at its time", err)
	}
	<-changed
}

func TestDrainsOfTheFileComeAndGoWithIt(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.json"))
	a := Drain{Scope: scope(t, "TCP 203.0.113.10:80", "192.0.2.2:80"), Since: now, Deadline: now.Add(time.Minute), AtDeadline: Leave}
	b := Drain{Scope: scope(t, "TCP 203.0.113.10:80", "192.0.2.3:80"), Since: now, Deadline: now.Add(time.Minute)}
	byHand, err := s.AddDrain(Drain{Scope: a.Scope, Origin: ByOperator, Since: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Declare([]Drain{a, b}); err != nil {
		t.Fatal(err)
	}
	later := a
	later.Since, later.Deadline, later.AtDeadline = now.Add(time.Hour), now.Add(time.Hour+2*time.Minute), Reset
	if err := s.Declare([]Drain{later}); err != nil {
		t.Fatal(err)
	}
	all := s.Drains()
	if len(all) != 2 || all[0] != byHand {
		t.Fatalf("%+v", all)
	}
	if d := all[1]; !d.Since.Equal(now) || !d.Deadline.Equal(now.Add(2*time.Minute)) || d.AtDeadline != Reset || d.Origin != ByFile {
		t.Errorf("it did not go on with the new terms: %+v", d)
	}
	if err := s.DeleteDrain(all[1].ID); !errors.Is(err, ErrFromFile) {
		t.Errorf("a drain of the file was ended by hand: %v", err)
	}
	changed := s.Changed()
	if err := s.Declare([]Drain{later}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Error("the same file again is told of as a change")
	default:
	}
	if err := s.Declare(nil); err != nil || len(s.Drains()) != 1 {
		t.Errorf("%v, %+v", err, s.Drains())
	}
	if err := s.DeleteDrain(byHand.ID); err != nil {
		t.Error(err)
	}
	if err := s.DeleteDrain(byHand.ID); !errors.Is(err, ErrNone) {
		t.Errorf("ended twice: %v", err)
	}
}

func TestProgressIsForTheProcessAndPhasesForTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	s := open(t, file)
	d, err := s.AddDrain(Drain{Scope: scope(t, "", "192.0.2.2"), Since: now, Phase: Draining})
	if err != nil {
		t.Fatal(err)
	}
	on := func(connections int, phase Phase) {
		d.Progress.Connections, d.Phase = connections, phase
		if err := s.Went(d); err != nil {
			t.Fatal(err)
		}
	}
	on(5, Draining)
	if got := s.Drains()[0].Progress.Connections; got != 5 {
		t.Errorf("%d connections", got)
	}
	if got := reopened(t, file).Drains()[0].Progress.Connections; got != 0 {
		t.Error("each look at the table is written down")
	}
	on(0, Empty)
	if got := reopened(t, file).Drains()[0].Phase; got != Empty {
		t.Errorf("the file has it as %s", got)
	}
	old := d
	if d, err = s.AddDrain(Drain{Scope: d.Scope, Since: now.Add(time.Minute), Phase: Draining}); err != nil || d.ID != old.ID {
		t.Fatal(d.ID, err)
	}
	old.Phase = Late
	if err := s.Went(old); err != nil || s.Drains()[0] != d {
		t.Errorf("a look of before is taken for one of the drain that began anew: %+v, %v", s.Drains()[0], err)
	}
}

func TestADrainIsOneFlatObject(t *testing.T) {
	text, err := json.Marshal(Drain{ID: "1", Scope: scope(t, "", "192.0.2.2")})
	if err != nil || !strings.HasPrefix(string(text), `{"id":"1","server":"192.0.2.2","origin":`) {
		t.Errorf("%s, %v", text, err)
	}
}
