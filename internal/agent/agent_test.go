package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/weight"
	"github.com/evs-project/evs/test/alone"
)

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) { alone.Main(m, "192.0.2.1/32") }

var quiet = slog.New(slog.DiscardHandler)

// files are those of a kernel by their names.
type files map[string]string

func (f files) put(t *testing.T, root string) {
	t.Helper()
	for name, text := range f {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	stat0 = "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1\nprocs_running 4\n"
	stat1 = "cpu  140 0 60 840 60 0 0 0 30 0\ncpu0 1 1 1 1\nprocs_running 2\n" // 50 of 100 busy
)

// second puts what a cgroup of version 2 has.
func second(dir, cpuMax, usage string) files {
	return files{
		"sys/fs/cgroup/cgroup.controllers": "cpu memory\n", "proc/self/cgroup": "0::/web\n",
		"sys/fs/cgroup" + dir + "/cpu.max": cpuMax + "\n", "sys/fs/cgroup" + dir + "/cpu.stat": "usage_usec " + usage + "\n",
	}
}

// first puts what one of version 1 has, whose parts are at two places.
func first(quota, usage string) files {
	return files{
		"proc/self/cgroup":                              "3:cpu:/a/web\n2:cpuacct:/b\n0::/\n",
		"sys/fs/cgroup/cpu/a/web/cpu.cfs_quota_us":      quota + "\n",
		"sys/fs/cgroup/cpu/a/web/cpu.cfs_period_us":     "100000\n",
		"sys/fs/cgroup/cpuacct/b/cpuacct.usage":         usage + "\n",
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":            "-1\n",
		"sys/fs/cgroup/memory/a/memory.limit_in_bytes":  "9223372036854771712\n",
		"sys/fs/cgroup/unified/cgroup.controllers/none": "",
	}
}

func with(all ...files) files {
	out := files{}
	for _, more := range all {
		for name, text := range more {
			out[name] = text
		}
	}
	return out
}

func TestLoadsFollowFromWhatTheKernelTells(t *testing.T) {
	mem := files{"proc/meminfo": "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  750 kB\n"}
	for _, c := range []struct {
		name          string
		from          string
		full          float64
		cgroup        string
		before, after files
		want          float64
		wrong         string
	}{
		{name: "the machine's processors", from: "cpu", before: files{"proc/stat": stat0}, after: files{"proc/stat": stat1}, want: 0.5},
		{name: "half of a quota of half a processor", from: "cpu", before: with(second("/web", "50000 100000", "1000000"), files{"proc/stat": stat0}), after: second("/web", "50000 100000", "1250000"), want: 0.5},
		{name: "a quota that is used up", from: "cpu", before: second("/web", "50000 100000", "1000000"), after: second("/web", "50000 100000", "1500000"), want: 1},
		{name: "a quota of which some is left, and that stops it in every period", from: "cpu", before: second("/web", "50000 100000", "1000000\nnr_throttled 5"), after: second("/web", "50000 100000", "1100000\nnr_throttled 15"), want: 1},
		{name: "a quota that stops it now and then", from: "cpu", before: second("/web", "50000 100000", "1000000\nnr_throttled 5"), after: second("/web", "50000 100000", "1100000\nnr_throttled 13"), want: 0.2},
		{name: "a quota of the group above", from: "cpu", cgroup: "/web/deep", before: with(second("/web", "20000 100000", "0"), second("/web/deep", "max 100000", "0")), after: second("/web", "20000 100000", "100000"), want: 0.5},
		{name: "the narrower of two quotas", from: "cpu", cgroup: "web/deep", before: with(second("/web", "200000 100000", "0"), second("/web/deep", "20000 100000", "0")), after: with(second("/web", "200000 100000", "1000000"), second("/web/deep", "20000 100000", "180000")), want: 0.9},
		{name: "a group without a quota is as busy as the machine", from: "cpu", before: with(second("/web", "max 100000", "0"), files{"proc/stat": stat0}), after: files{"proc/stat": stat1}, want: 0.5},
		{name: "a quota of version 1", from: "cpu", before: first("50000", "1000000000"), after: first("50000", "1100000000"), want: 0.2},
		{name: "no quota of version 1", from: "cpu", before: with(first("-1", "0"), files{"proc/stat": stat0}), after: files{"proc/stat": stat1}, want: 0.5},
		{name: "a group that is not there", from: "cpu", cgroup: "/nothing", before: second("/web", "max 1", "0"), wrong: "there is no such group: /sys/fs/cgroup/nothing"},
		{name: "no groups at all", from: "cpu", cgroup: "/web", before: files{"proc/stat": stat0}, wrong: "has no control groups"},
		{name: "a kernel that tells nothing", from: "cpu", before: files{}, wrong: "/proc/stat: the kernel does not tell it"},

		{name: "tasks that want to run, on the mean", from: "runqueue", full: 4, before: files{"proc/stat": stat0}, after: files{"proc/stat": stat1}, want: 0.25},
		{name: "pressure", from: "pressure", before: files{"proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\nfull avg10=0 total=9\n"}, after: files{"proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1300000\n"}, want: 0.3},
		{name: "pressure of a group", from: "pressure", before: with(second("/web", "max 1", "0"), files{"sys/fs/cgroup/web/cpu.pressure": "some avg10=0.00 total=0\n"}), after: files{"sys/fs/cgroup/web/cpu.pressure": "some avg10=0.00 total=700000\n"}, want: 0.7},
		{name: "pressure of a group of version 1", from: "pressure", cgroup: "/a/web", before: first("-1", "0"), wrong: "does not tell the pressure of a group"},

		{name: "the machine's memory", from: "memory", before: mem, want: 0.25},
		{name: "a group's memory", from: "memory", before: with(mem, second("/web", "max 1", "0"), files{"sys/fs/cgroup/web/memory.max": "1000\n", "sys/fs/cgroup/web/memory.current": "900\n", "sys/fs/cgroup/web/memory.stat": "anon 5\ninactive_file 100\n"}), want: 0.8},
		{name: "a group without a limit of memory", from: "memory", before: with(mem, second("/web", "max 1", "0"), files{"sys/fs/cgroup/web/memory.max": "max\n"}), want: 0.25},
		{name: "no limit of version 1", from: "memory", before: with(mem, first("-1", "0"), files{"proc/self/cgroup": "4:memory:/a\n"}), want: 0.25},

		{name: "sockets of both families", from: "connections", full: 40, before: files{"proc/net/sockstat": "sockets: used 9\nTCP: inuse 7 orphan 0 tw 3\n", "proc/net/sockstat6": "TCP6: inuse 3\n"}, want: 0.25},
		{name: "sockets without IPv6", from: "connections", full: 10, before: files{"proc/net/sockstat": "TCP: inuse 7\n"}, want: 0.7},
		{name: "sockets of unknown meaning", from: "connections", before: files{"proc/net/sockstat": "TCP: inuse 7\n"}, wrong: "Write --full NUMBER"},

		{name: "the greatest of several", from: "memory,connections", full: 10, before: with(mem, files{"proc/net/sockstat": "TCP: inuse 7\n"}), want: 0.7},
		{name: "nothing that can be measured", from: "mood", before: files{}, wrong: "want cpu, runqueue, pressure, memory, connections, script"},
		{name: "nothing", from: "", before: files{}, wrong: `"" is nothing`},
		{name: "a script beside others", from: "cpu,script", before: files{"proc/stat": stat0}, wrong: "cannot stand beside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			c.before.put(t, root)
			a, err := newAgent(Options{From: strings.Split(c.from, ","), Full: c.full, Cgroup: c.cgroup, Window: 4 * time.Second}, quiet, root)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("error %v, want one that says %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.after.put(t, root)
			a.meter.take(time.Now().Add(time.Second))
			load, err := a.meter.load()
			if err != nil || math.Abs(load-c.want) > 0.01 {
				t.Errorf("the load is %.3f, error %v, want %.3f", load, err, c.want)
			}
		})
	}
}

func TestTheLoadIsThatOfTheWindow(t *testing.T) {
	used := 0.0
	m, err := newMeter([]gauge{level(func() (float64, float64, error) { return used, 10, nil })}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		m.take(time.Now())
	}
	used = 10
	for i := range pieces {
		m.take(time.Now())
		want := float64(i+1) / pieces
		if load, err := m.load(); err != nil || math.Abs(load-want) > 1e-9 {
			t.Errorf("after %d samples of a full load it is %v, error %v, want %v", i+1, load, err, want)
		}
	}
}

// serving runs an agent and returns how to ask it.
func serving(t *testing.T, a *Agent) func(send string) string {
	t.Helper()
	l, err := net.Listen("tcp", "192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	})
	return func(send string) string {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Error(err)
			return ""
		}
		defer c.Close()
		_, _ = io.WriteString(c, send)
		text, err := io.ReadAll(c)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
}

func TestClientsAreToldALineOfTheProtocol(t *testing.T) {
	drain := filepath.Join(t.TempDir(), "drain")
	a, err := New(Options{From: []string{"cpu", "memory"}, Window: minWindow, DrainFile: drain}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ask := serving(t, a)
	for _, c := range []struct{ name, send, admin string }{
		{"without a word", "", "ready"},
		{"after a word", "GET / HTTP/1.1\r\n\r\n", "ready"},
		{"after many", strings.Repeat("x", 10000), "ready"},
		{"while it drains", "", "drain"},
		{"when it does no more", "", "ready"},
	} {
		if c.admin == "drain" {
			(files{"drain": ""}).put(t, filepath.Dir(drain))
		} else {
			_ = os.Remove(drain)
		}
		line := ask(c.send)
		r, err := weight.ParseReply(line)
		if err != nil || r.Admin != c.admin || r.Percent == nil || *r.Percent < 1 || *r.Percent > 100 || r.Load == nil || *r.Load <= 0 {
			t.Errorf("%s: %q, error %v, want %s, a percentage and a load", c.name, line, err, c.admin)
		}
	}
}

func TestManyClientsAtOnceAreTold(t *testing.T) {
	a, err := New(Options{From: []string{"memory"}, Window: minWindow}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ask := serving(t, a)
	var wait sync.WaitGroup
	for range 3 * clients {
		wait.Go(func() {
			if line := ask("x"); !strings.HasSuffix(line, " memory\n") {
				t.Errorf("told %q", line)
			}
		})
	}
	wait.Wait()
}

func TestAScriptIsAskedOnceInAWindow(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, script, want, wrong string }{
		{"a load", "echo 0.25", "75% # load=0.250 script", ""},
		{"an overload drains nobody", "echo 7", "1% # load=7.000 script", ""},
		{"a line of the protocol", "echo 'up,50% # tired'; echo more", "up,50% # tired", ""},
		{"nonsense", "echo hello", "", "no word of the agent-check protocol"},
		{"a negative load", "echo -1", "", "want a load from 0 on"},
		{"failure", "echo broken; exit 2", "", "exit code 2: broken"},
		{"silence", "true", "", "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			counts := filepath.Join(dir, t.Name()[len("TestAScriptIsAskedOnceInAWindow/"):])
			a, err := New(Options{From: []string{Script}, Window: time.Minute, Script: []string{"/bin/sh", "-c", fmt.Sprintf("echo x >> %s; %s", counts, c.script)}}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				line, err := a.Line(t.Context())
				if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) || c.wrong == "" && (err != nil || line != c.want) {
					t.Errorf("%q, error %v, want %q or an error of %q", line, err, c.want, c.wrong)
				}
			}
			times := 1
			if c.wrong != "" {
				times = 2
			}
			if text, err := os.ReadFile(counts); err != nil || strings.Count(string(text), "x") != times {
				t.Errorf("it ran %q times, error %v, want %d", text, err, times)
			}
		})
	}
	if _, err := New(Options{From: []string{Script}, Window: time.Second, Script: []string{"load.sh"}}, quiet); err == nil {
		t.Error("a script without its whole path is taken")
	}
}

func TestWhoCannotTellSaysNothingAndLogsItOnce(t *testing.T) {
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	flag := filepath.Join(t.TempDir(), "well")
	a, err := New(Options{From: []string{Script}, Window: minWindow, Script: []string{"/bin/sh", "-c", "cat " + flag}}, log)
	if err != nil {
		t.Fatal(err)
	}
	ask := serving(t, a)
	for range 3 {
		if said := ask(""); said != "" {
			t.Errorf("it says %q, want nothing", said)
		}
	}
	if err := os.WriteFile(flag, []byte("0.5"), 0o644); err != nil {
		t.Fatal(err)
	}
	if said := ask(""); said != "50% # load=0.500 script\n" {
		t.Errorf("when the script is well it says %q", said)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if got := text.String(); strings.Count(got, "cannot tell") != 1 || strings.Count(got, "again") != 1 {
		t.Errorf("logged: %s", got)
	}
}
