package harness

import (
	"fmt"
	"slices"

	"github.com/evs-project/evs/bench/packet"
)

// The XDP verdicts that matter here.
const (
	verdictTX       = 3
	verdictRedirect = 4
)

func verdictName(v uint32) string {
	names := []string{"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"}
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%d, which is none", v)
}

// Verify sends a packet of each kind for several of the flows and checks every
// byte that a balancer must have changed. A program that drops packets is fast;
// nobody should measure it.
func (h *Harness) Verify(t Target, m packet.Method, kinds []packet.Kind, flows int) error {
	for _, flow := range sample(flows) {
		for _, k := range kinds {
			o, err := h.One(t.Program(), k, flow)
			if err != nil {
				return fmt.Errorf("%s: flow %d, %s: %w", t.Name(), flow, k.Name, err)
			}
			if o.Verdict != verdictTX && o.Verdict != verdictRedirect {
				return fmt.Errorf("%s does not forward the %s of flow %d (%s): verdict %s; mend the target before measuring it",
					t.Name(), k.Name, flow, packet.Client(flow), verdictName(o.Verdict))
			}
			if err := h.scene.Expect(m, k, flow).Check(o.Frame); err != nil {
				return fmt.Errorf("%s spoils the %s of flow %d (%s): %w; mend the target before measuring it",
					t.Name(), k.Name, flow, packet.Client(flow), err)
			}
		}
	}
	return nil
}

// sample picks the flows to verify: the ends, and some between.
func sample(flows int) []int {
	var some []int
	for i := range 8 {
		some = append(some, i*(flows-1)/7)
	}
	return slices.Compact(some)
}
