package packet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/ipvs"
)

// signalsOf are those of the one destination of a service at the VIP.
func signalsOf(t *testing.T, r *reset) ipvs.Signals {
	t.Helper()
	info, err := r.bed.Table().Service(ipvs.ServiceAt(ipvs.TCP, r.vip))
	if err != nil || len(info.Destinations) != 1 {
		t.Fatalf("%+v, %v", info, err)
	}
	return info.Destinations[0].Signals
}

func TestWhatClientsPacketsTellOfAServerIsCounted(t *testing.T) {
	eachWay(t, doors[:1], func(t *testing.T, d door, family int, options string, _ int) {
		r := resetting(t, d, family, options, datapath.EndSilently)
		before := signalsOf(t, r)
		if want := (ipvs.Signals{Conns: 1, Answered: 1, InPackets: 2}); before != want {
			t.Fatalf("a connection that was opened is %+v, want %+v", before, want)
		}
		refused := uint64(0)
		if options == "-m" {
			refused = 1
		}
		for _, c := range []struct {
			name  string
			flags []byte // of segments, a second apart, of one client
			want  ipvs.Signals
		}{
			{"one that ends", []byte{flagACK | flagFIN, flagACK}, ipvs.Signals{InPackets: 2}},
			{"another, answered at once", []byte{flagSYN, flagACK, flagACK}, ipvs.Signals{Conns: 1, Answered: 1, InPackets: 3}},
			{"one that nobody answers", []byte{flagSYN}, ipvs.Signals{Conns: 1, InPackets: 1}},
			{"one that is answered late", []byte{flagSYN, flagSYN, flagSYN, flagACK}, ipvs.Signals{Conns: 1, Retried: 2, Answered: 1, InPackets: 4}},
			{"one that its client gives up", []byte{flagSYN, flagRST}, ipvs.Signals{Conns: 1, InPackets: 2}},
			{"one that the server refuses", []byte{flagSYN, 0xff}, ipvs.Signals{Conns: 1, Refused: refused, InPackets: 1}},
			{"a SYN within an established one", []byte{flagSYN, flagACK, flagSYN}, ipvs.Signals{Conns: 1, Answered: 1, InPackets: 3}},
		} {
			if c.name != "one that ends" {
				r.client = netip.AddrPortFrom(r.client.Addr(), r.client.Port()+1)
			}
			before := signalsOf(t, r)
			for i, flags := range c.flags {
				s := r.fromClient(flags, uint32(i+1), 1, 0)
				if flags == 0xff {
					s = segment{r.server, r.client, flagRST | flagACK, 0, 2, 0}
				}
				if _, _, err := r.run(s.frame(t, 0), flags == 0xff); err != nil {
					t.Fatal(err)
				}
				if err := r.bed.Advance(time.Second); err != nil {
					t.Fatal(err)
				}
			}
			now := signalsOf(t, r)
			got := ipvs.Signals{Conns: now.Conns - before.Conns, Answered: now.Answered - before.Answered, Retried: now.Retried - before.Retried,
				Refused: now.Refused - before.Refused, InPackets: now.InPackets - before.InPackets}
			if got != c.want {
				t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
			}
		}
	})
}
