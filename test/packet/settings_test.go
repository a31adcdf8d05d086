package packet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// A round of estimation takes two seconds, and the first one only begins.
func TestRatesStayAsTheyAreWhileEstimationIsOff(t *testing.T) {
	t.Parallel()
	b := bed.New(t, ipvs.AttachTC)
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
