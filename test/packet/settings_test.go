package packet

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// A round of estimation takes two seconds, and the first one only begins.
func TestRatesStayAsTheyAreWhileEstimationIsOff(t *testing.T) {
	t.Parallel()
	b := beds.Lend(t, ipvs.AttachTC)
	command(t, b, "-A -u 198.51.100.129:80 -s rr")
	command(t, b, "-a -u 198.51.100.129:80 -r 203.0.113.1:80 -m")
	estimated := func(long time.Duration) bool {
		for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			p := bed.Packet{Proto: "udp", Src: netip.MustParseAddr("192.0.2.1"), Sport: 5000, Dst: netip.MustParseAddr("198.51.100.129"), Dport: 80}
			if err := b.Client.Send(frameOf(t, p, nil)); err != nil {
				t.Fatal(err)
			}
			services, err := b.Table().Services()
			if err != nil {
				t.Fatal(err)
			}
			if services[0].Rates.InPackets > 0 {
				return true
			}
		}
		return false
	}
	if err := b.Table().SetSysctl("run_estimation", "0"); err != nil {
		t.Fatal(err)
	}
	if estimated(6 * time.Second) {
		t.Error("rates were estimated though run_estimation is 0")
	}
	if err := b.Table().SetSysctl("run_estimation", "1"); err != nil {
		t.Fatal(err)
	}
	if !estimated(8 * time.Second) {
		t.Error("no rates in 8 seconds though run_estimation is 1")
	}
}

// A resolver's flow has one client port for long: with the setting it follows
// the table at once.
func TestUDPFlowsLeaveAServerThatIsQuiescentOrGone(t *testing.T) {
	const vip = "-u 198.51.100.129:80"
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, d.mode)
			commands(t, b, "-A "+vip+" -s rr\n-a "+vip+" -r 203.0.113.1:80 -g")
			r := newRunner(t, d, b)
			p := bed.Packet{Proto: "udp", Src: netip.MustParseAddr("192.0.2.1"), Sport: 5000, Dst: netip.MustParseAddr("198.51.100.129"), Dport: 80}
			for _, step := range []struct{ before, server string }{
				{"", "203.0.113.1"},
				{"-a " + vip + " -r 203.0.113.2:80 -g\n-e " + vip + " -r 203.0.113.1:80 -g -w 0", "203.0.113.1"},
				{"expire_udp_on_quiescent", "203.0.113.2"},
				{"-a " + vip + " -r 203.0.113.3:80 -g", "203.0.113.2"},
				{"-d " + vip + " -r 203.0.113.2:80", "203.0.113.3"},
			} {
				if !strings.HasPrefix(step.before, "-") && step.before != "" {
					if err := b.Table().SetSysctl(step.before, "1"); err != nil {
						t.Fatal(err)
					}
				} else {
					commands(t, b, step.before)
				}
				if got := chosen(t, r, p); got != step.server {
					t.Errorf("after %q: server %s, want %s", step.before, got, step.server)
				}
			}
			if got := counters(t, b)["expired"]; got != 2 {
				t.Errorf("%d connections ended for it, want 2", got)
			}
			settle(t, b.Table(), 1)
		})
	}
}
