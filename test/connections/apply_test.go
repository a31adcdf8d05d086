package connections

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/cluster"
)

// directorsFile is a file of one service, of the first server and what more says.
func directorsFile(t *testing.T, name, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	text := fmt.Sprintf("services:\n- tcp: %s:%d\n  scheduler: rr\n  method: masq\n  destinations:\n  - server: %s\n%s",
		lab.VIP(ipvs.IPv4), lab.EchoPort, lab.ServerAddr(1, ipvs.IPv4), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// modes are how the director's interfaces are attached.
func modes(t *testing.T, l *lab.Lab) string {
	t.Helper()
	_, after, _ := strings.Cut(cluster.On(t, l, lab.Director, "evs status"), "\nmode")
	all, _, _ := strings.Cut(after, "COUNTER")
	return all
}

func TestConnectionsOfWhatStaysLiveThroughApplyAndItsUndoing(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "t-apply", Method: lab.NAT, Families: lab.Both})
	at := netip.AddrPortFrom(lab.VIP(ipvs.IPv4), lab.EchoPort)
	one := directorsFile(t, "one.yaml", "")
	two := directorsFile(t, "two.yaml", fmt.Sprintf("  - {server: %s, weight: 3}\nsettings: {conn_reuse_mode: \"0\"}\ninterfaces: {%s: tc}\n", lab.ServerAddr(2, ipvs.IPv4), lab.DirectorInsideIface))
	cluster.On(t, l, lab.Director, "evs apply "+one)
	live := dial(t, l, lab.ClientNode(1), "tcp", at)
	alive := func(when string) {
		t.Helper()
		if err := echo(live); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	alive("before")
	before := modes(t, l)
	cluster.On(t, l, lab.Director, "evs apply "+two)
	alive("after a server came")
	if modes(t, l) == before {
		t.Errorf("modes of interfaces are as before:\n%s", before)
	}
	cluster.On(t, l, lab.Director, "evs apply "+one)
	alive("after it went")
	done := make(chan error, 1)
	go func() {
		_, err := l.Exec(t.Context(), lab.Director, "evs", "apply", "--confirm", "1s", two)
		done <- err
	}()
	for waiting := true; waiting; {
		alive("on trial")
		select {
		case err := <-done:
			if err == nil {
				t.Error("what nobody confirmed is called a success")
			}
			waiting = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	alive("after it was taken back")
	if got := modes(t, l); got != before {
		t.Errorf("modes of interfaces are\n%snot\n%s", got, before)
	}
	if got := list(t, l, "--tcp "+at.String()); len(got) != 1 || got[0].State != "ESTABLISHED" {
		t.Errorf("connections are %v", got)
	}
}
