package matrix

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/evs-project/evs/internal/lab"
	"github.com/evs-project/evs/test/cluster"
)

// layouts are labs other than the plain one, which every method can do with.
var layouts = []struct {
	name string
	spec lab.Spec
}{
	{"one arm", lab.Spec{Arms: 1}},
	{"two gateways", lab.Spec{Gateways: 2}},
	{"large frames", lab.Spec{MTU: 9000}},
	{"a narrow link to the servers", lab.Spec{InsideMTU: 1400}},
}

func TestEveryMethodCarriesInEveryLayout(t *testing.T) {
	for i, layout := range layouts {
		for _, method := range lab.Methods {
			t.Run(layout.name+", "+string(method), func(t *testing.T) {
				t.Parallel()
				spec := layout.spec
				spec.Name, spec.Method, spec.Families = fmt.Sprintf("lay-%d-%s", i, method), method, lab.Both
				l := cluster.Up(t, spec)
				for i, r := range rows(method) {
					t.Run(r.name, func(t *testing.T) {
						r.prepare(t, l)
						c := &client{lab: l, to: netip.AddrPortFrom(lab.VIP(r.vip), lab.EchoPort)}
						c.port.Store(uint32(10_000 + i*1000))
						send(t, c, r, layout.name)
					})
				}
			})
		}
	}
}
