package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTheSupervisorIsToldHowItGoesAndOnlyAsOftenAsItAsks(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	ear, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	env := map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "3000000"}
	s, err := SupervisorOf(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"ready", func() { s.Ready("1 services") }, "READY=1\nSTATUS=1 services"},
		{"alive", func() { s.Alive(now) }, "WATCHDOG=1"},
		{"too soon, and then in time", func() { s.Alive(now.Add(time.Second / 2)); s.Alive(now.Add(time.Second)) }, "WATCHDOG=1"},
		{"news, once", func() { s.Status("2 services"); s.Status("2 services"); s.Stopping() }, "STATUS=2 services"},
		{"the end", func() {}, "STOPPING=1"},
		{"reading anew", s.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
	} {
		step.do()
		text := make([]byte, 200)
		if err := ear.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := ear.Read(text)
		if err != nil || !strings.HasPrefix(string(text[:n]), step.want) {
			t.Errorf("%s: it heard %q (%v), want %q", step.name, text[:n], err, step.want)
		}
	}
	if _, err := SupervisorOf(func(name string) string {
		return map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "soon"}[name]
	}); err == nil {
		t.Error("a watchdog of no number is taken")
	}
	silent, err := SupervisorOf(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	silent.Ready("nobody hears it")
	silent.Alive(now)
}

func TestTheJournalGetsALevelAndNoTime(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out, true)
	log.Info("the server is up", "server", "192.0.2.2:80")
	log.With("service", "web").Warn("it is down")
	log.Error("a hook failed")
	want := "<6>msg=\"the server is up\" server=192.0.2.2:80\n<4>msg=\"it is down\" service=web\n<3>msg=\"a hook failed\"\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	NewLog(&out, false).Info("the server is up")
	if !strings.HasPrefix(out.String(), "time=") || !strings.Contains(out.String(), "level=INFO") {
		t.Errorf("a terminal gets %q", out.String())
	}
}

func TestTheJournalIsToldFromATerminalThatAServiceHasStarted(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var is syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &is); err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("%d:%d", is.Dev, is.Ino)
	for stream, want := range map[string]bool{own: true, "": false, "8:1": false} {
		if got := ToJournal(f, stream); got != want {
			t.Errorf("with JOURNAL_STREAM=%s it is the journal: %v", stream, got)
		}
	}
}

func TestAFaultIsToldOnceAndTriedLaterAndLater(t *testing.T) {
	var out bytes.Buffer
	f := faults{log: slog.New(slog.NewTextHandler(&out, nil)), all: map[string]*Fault{}}
	now := time.Now()
	full := errors.New("table full")
	var pauses []time.Duration
	for range 9 {
		next := f.note("table", full, now)
		pauses = append(pauses, next.Sub(now))
		now = next
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		if pauses[i] != want*time.Second {
			t.Errorf("the pauses are %v", pauses)
			break
		}
	}
	if n := strings.Count(out.String(), "table full"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, out.String())
	}
	if list := f.list(); len(list) != 1 || list[0].Count != 9 {
		t.Errorf("the faults are %v", list)
	}
	f.note("table", nil, now)
	f.note("table", nil, now)
	if n := strings.Count(out.String(), "well again"); n != 1 || len(f.list()) != 0 || !f.next("table").IsZero() {
		t.Errorf("the end is told %d times, and there are %v", n, f.list())
	}
}

func TestALeapOfTheClockIsSeenAndTimeThatPassesIsNone(t *testing.T) {
	day := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	c := clock{day: day}
	for _, step := range []struct {
		name           string
		day            time.Time
		passed, leapBy time.Duration
	}{
		{"an hour passes", day.Add(time.Hour), time.Hour, 0},
		{"the clock is put right by a second", day.Add(time.Hour + 2*time.Second), time.Hour + time.Second, 0},
		{"it leaps ahead", day.Add(3 * time.Hour), time.Hour + 2*time.Second, 2*time.Hour - 3*time.Second},
		{"it stays there", day.Add(3*time.Hour + time.Second), time.Hour + 3*time.Second, 0},
		{"it leaps back", day, time.Hour + 4*time.Second, -3*time.Hour - 2*time.Second},
	} {
		if by := c.leapt(step.day, step.passed); by != step.leapBy {
			t.Errorf("%s: the leap is by %v, want %v", step.name, by, step.leapBy)
		}
	}
}

func TestEachFileThatIsReadIsWatched(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("evs.yaml", "include: [more/*.yaml, one.yaml]\n")
	write("one.yaml", "")
	if err := os.Mkdir(filepath.Join(dir, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, seen := read(request{file: filepath.Join(dir, "evs.yaml")})
	if got.err != nil || len(got.desired.Files) != 2 {
		t.Fatalf("got %v, %v", got.desired, got.err)
	}
	for _, step := range []struct{ name, file, text string }{
		{"the file itself", "evs.yaml", "include: [more/*.yaml, one.yaml]\nservices: []\n"},
		{"one that it includes", "one.yaml", "services: []\n"},
		{"one that comes to a pattern", "more/new.yaml", ""},
	} {
		before := seen.stamp()
		if again := seen.stamp(); again != before {
			t.Fatalf("what stays has two stamps: %q and %q", before, again)
		}
		write(step.file, step.text)
		if seen.stamp() == before {
			t.Errorf("a change of %s is not seen", step.name)
		}
	}
	write("one.yaml", "servces: []\n")
	if got, seen = read(request{file: filepath.Join(dir, "evs.yaml")}); got.err == nil {
		t.Fatal("a wrong file is taken")
	}
	before := seen.stamp()
	write("one.yaml", "services: []\n")
	if seen.stamp() == before {
		t.Error("the correction of a wrong file is not seen")
	}
}
