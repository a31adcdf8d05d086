package director

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// A burner is a web server whose requests take so much of a processor each. It is this
// program, told by its environment.
const (
	burnAt  = "EVS_TEST_BURN"
	perWork = 6 * time.Millisecond
)

// burn is a burner, if this process is to be one.
func burn() {
	at := os.Getenv(burnAt)
	if at == "" {
		return
	}
	var one sync.Mutex
	err := http.ListenAndServe(at, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		if r.Context().Err() == nil { // whose client is still there
			work(perWork)
			fmt.Fprintln(w, "done")
		}
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// work uses a processor for a time, however long that takes.
func work(long time.Duration) {
	runtime.LockOSThread() // whose clock it is
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
		return time.Duration(t.Nano())
	}
	for end, x := used()+long, 1.0; used() < end; {
		for range 1000 {
			x = x*1.0000001 + 1
		}
		_ = x
	}
}

// limited makes a control group that may use so much of a processor, and returns how to
// put a process into it. Its part of what there is is large: what else runs on this
// machine is not to starve it. It goes when the test ends, after its processes.
func limited(t *testing.T, name string, part float64) (enter func(pid int)) {
	t.Helper()
	const root, period = "/sys/fs/cgroup", 100000
	quota := strconv.Itoa(int(part * period))
	put := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][][2]string{
		root + "/cpu":     {{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", quota}, {"cpu.shares", "262144"}},
		root + "/cpuacct": nil,
	}
	if _, err := os.Stat(root + "/cgroup.controllers"); err == nil {
		put(root+"/cgroup.subtree_control", "+cpu")
		files = map[string][][2]string{root: {{"cpu.max", quota + " " + strconv.Itoa(period)}, {"cpu.weight", "10000"}}}
	}
	var dirs []string
	for at, settings := range files {
		dir := filepath.Join(at, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		for _, s := range settings {
			put(filepath.Join(dir, s[0]), s[1])
		}
		dirs = append(dirs, dir)
	}
	return func(pid int) {
		for _, dir := range dirs {
			put(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
		}
	}
}

// spawn starts a program in a node, which ends with the test.
func spawn(t *testing.T, l *lab.Lab, node string, cmd *exec.Cmd) int {
	t.Helper()
	cmd.Stderr = os.Stderr
	if err := l.Do(node, cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

const burnPort, agentPort = 9090, 8042

// burning starts a burner and its agent on each of three servers, the last of which may
// use half as much of a processor as the others.
func burning(t *testing.T, l *lab.Lab) {
	t.Helper()
	for i, part := range []float64{0.3, 0.3, 0.15} {
		node := lab.ServerNode(i + 1)
		at := netip.AddrPortFrom(lab.ServerAddr(i+1, ipvs.IPv4), burnPort)
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), burnAt+"="+at.String(), "GOMAXPROCS=1") // lest quota lies idle with a second processor
		group := fmt.Sprintf("evs-test-%d-%d", os.Getpid(), i+1)
		enter := limited(t, group, part)
		enter(spawn(t, l, node, cmd))
		spawn(t, l, node, exec.Command("evs", "realserver", "agent", "--listen", fmt.Sprintf(":%d", agentPort), "--from", "cpu", "--cgroup", group))
	}
}

const burnFile = `services:
- name: web
  tcp: 203.0.113.10:80
  scheduler: wrr
  method: masq
%s  destinations:
  - server: 192.0.2.2:9090
  - server: 192.0.2.3:9090
  - server: 192.0.2.4:9090
`

// following is what the file says in the second part: the weights follow the agents.
func following(interval, smoothing time.Duration) string {
	return fmt.Sprintf("  weightSource: {kind: agent, value: load, interval: %v, timeout: 400ms, smoothing: %v}\n", interval, smoothing)
}

// part is the weight of the third server as a part of what the two others have on the
// mean.
func part(t *testing.T, l *lab.Lab) float64 {
	t.Helper()
	var w [4]float64
	for i := 1; i <= 3; i++ {
		is, ok := destination(t, l, netip.AddrPortFrom(lab.ServerAddr(i, ipvs.IPv4), burnPort))
		if !ok {
			t.Fatalf("server %d is not in the table", i)
		}
		w[i] = float64(is.Weight)
	}
	return 2 * w[3] / (w[1] + w[2])
}

// The bar of the loop by agents, in one run: a minute (make agent). In make test it ends
// when the weight has come down to 0.65.
func TestAServerWithHalfTheProcessorGetsHalfTheWork(t *testing.T) {
	fixed, settle, measured, interval, smoothing := time.Duration(0), 20*time.Second, time.Duration(0), 200*time.Millisecond, 400*time.Millisecond
	whole := os.Getenv("EVS_AGENT") != ""
	if whole {
		fixed, settle, measured, interval, smoothing = 12*time.Second, 30*time.Second, 12*time.Second, 500*time.Millisecond, 1200*time.Millisecond
	}
	l := cluster.Up(t, lab.Spec{Name: "t-agent", Servers: 3})
	burning(t, l)
	d := newDaemon(t, l)
	d.write(fmt.Sprintf(burnFile, ""))
	d.start()
	clients := newStream(l, vip(80), 12500*time.Microsecond)
	defer clients.end()
	time.Sleep(fixed)
	before := clients.latest(fixed / 2)
	from := len(d.said())
	d.write(fmt.Sprintf(burnFile, following(interval, smoothing)))
	d.await(from, "acts on the file")
	began, settled := time.Now(), time.Duration(-1)
	var seen []string // there: within a tenth of half, and to stay
	for time.Since(began) < settle+measured {
		now := part(t, l)
		if now < 0.45 || now > 0.55 {
			settled = -1
		} else if settled < 0 {
			settled = time.Since(began)
		}
		if n := int(time.Since(began) / (2 * time.Second)); n >= len(seen) {
			seen = append(seen, fmt.Sprintf("%.2f", now))
		}
		if !whole && now < 0.65 {
			settled = time.Since(began)
			break // where it goes and whether it stays there is for the whole run
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("the weight of the server with half the processor, each two seconds: %s; there after %v", strings.Join(seen, " "), settled.Round(time.Second/10))
	if settled < 0 || settled > settle {
		t.Errorf("it is not there in %v", settle)
	}
	if !whole {
		return
	}
	after := clients.latest(measured)
	t.Logf("p50 and p99 of requests: %v and %v with fixed weights, %v and %v with weights that follow", percentile(before, 50), percentile(before, 99), percentile(after, 50), percentile(after, 99))
	if percentile(after, 99) > percentile(before, 99)/2 {
		t.Errorf("the p99 of requests does not fall to half: %v, then %v", percentile(before, 99), percentile(after, 99))
	}
}

func percentile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)*percent/100, len(all)-1)].Round(time.Millisecond)
}
