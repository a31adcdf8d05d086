package upgrades

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// asked returns how often the environment wants something, or so often.
func asked(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%s: want a number, as in %s=100", variable, text, variable)
	}
	return n
}

// balanced brings up a lab whose director balances by masquerading, at a door.
func balanced(t *testing.T, door ipvs.AttachMode) *lab.Lab {
	t.Helper()
	l := cluster.Up(t, lab.Spec{Name: "t-upgrade", XDP: true})
	cluster.On(t, l, lab.Director, fmt.Sprintf("evs attach --mode %s", door))
	for _, protocol := range []string{"-t", "-u"} {
		cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -A %s %s:%d -s rr", protocol, lab.VIP(4), port))
		for i := range l.Servers {
			cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -a %s %s:%d -r %s:%d -m", protocol, lab.VIP(4), port, lab.ServerAddr(i+1, 4), port))
		}
	}
	return l
}

// ways are how the data path is replaced: onto the same table, and onto other ones.
var ways = []string{"evs upgrade", "evs resize --conns 200000", "evs resize --conns 50000"}

func TestUpgradesLoseNothing(t *testing.T) {
	l := balanced(t, ipvs.AttachTC)
	b := startBackground(t, l, asked(t, "EVS_RATE", 0))
	x := start(t, l, asked(t, "EVS_LONG", 50), 2)
	for i := range asked(t, "EVS_UPGRADES", len(ways)) {
		cluster.On(t, l, lab.Director, ways[i%len(ways)])
	}
	b.end()
	x.end()
	counted(t, l)
}

// counted fails unless the counts of each destination are those of the connections.
func counted(t *testing.T, l *lab.Lab) {
	t.Helper()
	if err := l.Do(lab.Director, func() error {
		table, err := ipvs.Open(t.Context())
		if err != nil {
			return err
		}
		defer table.Close()
		lines := misfits(t, table)
		for tries := 0; len(lines) > 0 && tries < 20; tries++ { // some may end between
			time.Sleep(50 * time.Millisecond)
			lines = misfits(t, table)
		}
		for _, line := range lines {
			t.Error(line)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// misfits compares the counts of destinations with the connections listed.
func misfits(t *testing.T, table *ipvs.Table) (wrong []string) {
	t.Helper()
	listed, all := map[string]int{}, 0
	for c, err := range table.Conns() {
		if err != nil {
			t.Fatal(err)
		}
		listed[fmt.Sprint(c.Protocol, c.Destination)]++
		all++
	}
	services, err := table.Services()
	if err != nil {
		t.Fatal(err)
	}
	counts := 0
	for _, s := range services {
		for _, d := range s.Destinations {
			n := int(d.Active + d.Inactive)
			counts += n
			if want := listed[fmt.Sprint(s.Protocol, d.Addr)]; n != want {
				wrong = append(wrong, fmt.Sprintf("%v %v: %d connections are counted, and %d listed", s.Protocol, d.Addr, n, want))
			}
		}
	}
	if counts != all || all == 0 {
		wrong = append(wrong, fmt.Sprintf("%d connections are counted, and %d listed", counts, all))
	}
	return wrong
}

// moving is the mark of connections on the move to another table.
func moving(t *testing.T, l *lab.Lab) (path string) {
	t.Helper()
	if err := l.Do(lab.Director, func() error {
		cookie, err := hostnet.Cookie()
		path = fmt.Sprintf("/sys/fs/bpf/evs/%x/building/moving", cookie)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestAnUpgradeKilledAtAnyMomentLosesNothingAndTheNextEditGoesOn(t *testing.T) {
	l := balanced(t, ipvs.AttachXDP)
	b := startBackground(t, l, asked(t, "EVS_RATE", 0))
	x := start(t, l, asked(t, "EVS_LONG", 50), 2)
	mark := moving(t, l)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	killed, underway := 0, 0
	for i := range asked(t, "EVS_KILLS", 3) {
		var command *exec.Cmd
		if err := l.Do(lab.Director, func() error {
			command = exec.CommandContext(t.Context(), "evs", strings.Fields(ways[1+i%(len(ways)-1)])[1:]...)
			return command.Start()
		}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		// the moment of its death: mostly when connections move, or else whenever
		whenever := time.After(time.Duration(random.Int64N(int64(3 * time.Second))))
		if i%4 > 0 {
			whenever = nil
		}
		for waiting := true; waiting; {
			select {
			case <-whenever:
				waiting = false
			case err := <-ended:
				ended <- err
				waiting = false
			case <-time.After(100 * time.Microsecond):
				waiting = !exists(mark)
			}
		}
		time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
		_ = command.Process.Kill() // it may have ended
		if err := <-ended; err != nil {
			killed++
		}
		if exists(mark) {
			underway++
		}
		time.Sleep(200 * time.Millisecond) // both serve
		if i%2 > 0 {
			cluster.On(t, l, lab.Director, "evs upgrade")
		} else {
			cluster.On(t, l, lab.Director, fmt.Sprintf("ipvsadm -e -t %s:%d -r %s:%d -m -w %d", lab.VIP(4), port, lab.ServerAddr(1, 4), port, 1+i))
		}
		if exists(mark) {
			t.Fatal("an edit has left connections on the move")
		}
	}
	t.Logf("%d killed, %d of them while connections moved", killed, underway)
	if killed == 0 {
		t.Error("none was killed before it was done")
	}
	b.end()
	x.end()
	counted(t, l)
}

// edits are what is done to a table meanwhile, none of which concerns a connection that
// there is.
var edits = []struct {
	name string
	do   func(t *ipvs.Table, n int) error
}{
	{"weights change", func(t *ipvs.Table, n int) error {
		return t.EditDestination(served(ipvs.TCP), server(1+n%2, int32(1+n%5)))
	}},
	{"a server comes, to rest", func(t *ipvs.Table, _ int) error { return t.AddDestination(served(ipvs.TCP), server(9, 0)) }},
	{"and goes", func(t *ipvs.Table, _ int) error { return t.DeleteDestination(served(ipvs.TCP), server(9, 0).Addr) }},
	{"another scheduler", func(t *ipvs.Table, n int) error {
		return t.EditService(ipvs.Service{ServiceKey: served(ipvs.UDP), Scheduler: []string{"wlc", "rr", "mh", "sh"}[n%4]})
	}},
	{"another service comes", func(t *ipvs.Table, n int) error {
		return t.AddService(ipvs.Service{ServiceKey: other(n), Scheduler: "wrr"})
	}},
	{"with a server", func(t *ipvs.Table, n int) error { return t.AddDestination(other(n), server(1, 3)) }},
	{"and another", func(t *ipvs.Table, n int) error { return t.AddDestination(other(n), server(2, 1)) }},
	{"one of them goes", func(t *ipvs.Table, n int) error { return t.DeleteDestination(other(n), server(1, 0).Addr) }},
	{"the service goes", func(t *ipvs.Table, n int) error { return t.DeleteService(other(n)) }},
	{"the interfaces are attached by the other door", func(t *ipvs.Table, n int) error {
		return t.Attach([]ipvs.AttachMode{ipvs.AttachXDP, ipvs.AttachTC}[n%2])
	}},
}

func served(p ipvs.Protocol) ipvs.ServiceKey {
	return ipvs.ServiceKey{Protocol: p, Addr: netip.AddrPortFrom(lab.VIP(4), port)}
}

func other(n int) ipvs.ServiceKey {
	return ipvs.ServiceKey{Protocol: ipvs.TCP, Addr: netip.AddrPortFrom(lab.VIP(4), uint16(20_000+n%1_000))}
}

func server(n int, weight int32) ipvs.Destination {
	return ipvs.Destination{Addr: netip.AddrPortFrom(lab.ServerAddr(n, 4), port), Method: ipvs.Masquerade, Weight: weight}
}

func TestEditsLoseNothing(t *testing.T) {
	l := balanced(t, ipvs.AttachTC)
	b := startBackground(t, l, asked(t, "EVS_RATE", 0))
	x := start(t, l, asked(t, "EVS_LONG", 50), 2)
	if err := l.Do(lab.Director, func() error {
		table, err := ipvs.Open(t.Context())
		if err != nil {
			return err
		}
		defer table.Close()
		for i := range asked(t, "EVS_EDITS", 10*len(edits)) {
			edit := edits[i%len(edits)]
			if err := edit.do(table, i/len(edits)); err != nil {
				return fmt.Errorf("edit %d, %s: %w", i, edit.name, err)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	b.end()
	x.end()
	counted(t, l)
}
