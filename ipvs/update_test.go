package ipvs_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

// with is specs in which those of others take the place of their namesakes, or are
// added.
func with(specs, others []ipvs.ServiceSpec) []ipvs.ServiceSpec {
	out := append([]ipvs.ServiceSpec{}, specs...)
next:
	for _, o := range others {
		for i := range out {
			if out[i].ServiceKey == o.ServiceKey {
				out[i] = o
				continue next
			}
		}
		out = append(out, o)
	}
	return out
}

func TestUpdateMakesTheNamedServicesWhatIsWantedAndLeavesTheOthersAlone(t *testing.T) {
	inNamespace(t, func(table *ipvs.Table) error {
		for seed := range uint64(200) {
			dice := rand.New(rand.NewPCG(seed, 3))
			before, some := random(dice), random(dice)
			if _, err := table.Set(before); err != nil {
				return fmt.Errorf("seed %d: %w", seed, err)
			}
			edits, err := table.Edits()
			if err != nil {
				return err
			}
			done, err := table.Update(some)
			if err != nil {
				return fmt.Errorf("seed %d: %w", seed, err)
			}
			if err := expect(table, with(before, some)...); err != nil {
				return fmt.Errorf("seed %d: %w", seed, err)
			}
			now, err := table.Edits()
			if err != nil {
				return err
			}
			if (now != edits) != (len(done) > 0) {
				return fmt.Errorf("seed %d: after %v the number of edits is %d, before %d", seed, done, now, edits)
			}
			again, err := table.Update(some)
			if err != nil {
				return fmt.Errorf("seed %d: a second Update: %w", seed, err)
			}
			if len(again) > 0 {
				return fmt.Errorf("seed %d: a second Update changed %v", seed, again)
			}
		}
		return nil
	})
}
