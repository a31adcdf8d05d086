package connections

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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

func TestConnectionsOfWhatStaysLiveThroughApplyAndItsUndoing(t *testing.T) {
	l := cluster.Up(t, lab.Spec{Name: "t-apply", Method: lab.NAT, Families: lab.Both})
	at := netip.AddrPortFrom(lab.VIP(ipvs.IPv4), lab.EchoPort)
	one := directorsFile(t, "one.yaml", "")
	two := directorsFile(t, "two.yaml", fmt.Sprintf("  - {server: %s, weight: 3}\nsettings: {conn_reuse_mode: \"0\"}\n", lab.ServerAddr(2, ipvs.IPv4)))
	cluster.On(t, l, lab.Director, "evs apply "+one)
	live := dial(t, l, lab.ClientNode(1), "tcp", at)
	alive := func(when string) {
		t.Helper()
		if err := echo(live); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
	}
	alive("before")
	cluster.On(t, l, lab.Director, "evs apply "+two)
	alive("after a server came")
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
	if got := list(t, l, "--tcp "+at.String()); len(got) != 1 || got[0].State != "ESTABLISHED" {
		t.Errorf("connections are %v", got)
	}
}
