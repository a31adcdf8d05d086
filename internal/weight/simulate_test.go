package weight

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
)

// A pool of a property test settles for settleIn times the smoothing, has its
// capacities changed, and settles again.
const (
	settleIn = 52 // in smoothing times, of which the last quarter has to be settled
	near     = 0.10
	beyond   = 0.10
)

// someScenario is a random pool within what docs/weights.md promises for:
// connections that live no longer than the smoothing, which is no shorter than two
// intervals; configured weights that are wrong by no more than floor and ceiling
// can mend; and no more work than all servers together can do, as there is nothing
// to choose between servers that are all full.
func someScenario(seed uint64) Scenario {
	r := rand.New(rand.NewPCG(seed, 7))
	interval := time.Duration(1+r.IntN(10)) * 500 * time.Millisecond
	smoothing := time.Duration((2 + 3*r.Float64()) * float64(interval))
	s := Scenario{
		Load: 0.2 + 0.6*r.Float64(), Lifetime: time.Duration(r.Float64() * float64(smoothing)), Seed: seed, Noise: 0.05 * r.Float64(),
		For: 2 * settleIn * smoothing, Source: config.WeightSource{
			Interval: interval, Smoothing: smoothing, StaleAfter: 10 * interval,
			MaxChange: config.Percent(5 + 45*r.Float64()), Floor: 0, Ceiling: 0,
		},
	}
	before, after := 0.0, 0.0
	for i := range 2 + r.IntN(9) {
		one := Subject{Name: fmt.Sprint("server", i), Weight: int32(1 + r.IntN(3)), Capacity: 50 + 250*r.Float64()}
		one.Changes = []Change{{settleIn * smoothing, one.Capacity * (0.6 + 0.8*r.Float64())}}
		s.Subjects = append(s.Subjects, one)
		before += one.Capacity
		after += one.Changes[0].Capacity
	}
	s.Load = min(s.Load, 0.9*after/before)
	return s
}

// unfit says what is wrong with a run: loads that are not equal in time, a pair of
// servers that change places by more than a little, and weights that go on moving.
func unfit(s Scenario, run []Moment) string {
	change := s.Subjects[0].Changes[0].At
	for from := range 2 {
		var part []Moment
		for _, m := range run {
			if m.At > 0 && (m.At >= change) == (from == 1) {
				part = append(part, m)
			}
		}
		if why := unfitPart(s, part); why != "" {
			return fmt.Sprintf("part %d: %s", from+1, why)
		}
	}
	return ""
}

func unfitPart(s Scenario, part []Moment) string {
	last := part[len(part)*3/4:]
	for i := range s.Subjects {
		for k := range i {
			// What the weights lead to, as a relation of the two loads.
			relation := func(m Moment) float64 {
				a := m.Weights[i].Exact / s.Subjects[i].capacity(m.At)
				b := m.Weights[k].Exact / s.Subjects[k].capacity(m.At)
				return math.Log(a / b)
			}
			for _, m := range last {
				if off := math.Abs(math.Log(m.Loads[i] / m.Loads[k])); off > near {
					return fmt.Sprintf("servers %d and %d: loads %.2f and %.2f at %s", i, k, m.Loads[i], m.Loads[k], m.At)
				}
			}
			sign := math.Copysign(1, relation(part[0]))
			for _, m := range part {
				if over := -sign * relation(m); over > beyond && math.Abs(relation(part[0])) > 0.02 {
					return fmt.Sprintf("servers %d and %d: overshoot by %.0f%% at %s", i, k, 100*over, m.At)
				}
			}
		}
		if turns := turnings(part, i); turns > 2 {
			return fmt.Sprintf("the weight of server %d turned round %d times", i, turns)
		}
	}
	return ""
}

// turnings counts how often a weight turned round by more than 5 % of itself.
func turnings(part []Moment, server int) (n int) {
	way, extreme := 0.0, part[0].Weights[server].Exact
	for _, m := range part {
		w := m.Weights[server].Exact
		switch {
		case (w-extreme)*way > 0 || way == 0 && math.Abs(w-extreme) > 0.05*extreme:
			way, extreme = math.Copysign(1, w-extreme), w
		case way != 0 && math.Abs(w-extreme) > 0.05*extreme:
			n++
			way, extreme = -way, w
		}
	}
	return n
}

const pools = 300

func TestEveryPoolSettlesAndNeverOscillates(t *testing.T) {
	for seed := range uint64(pools) {
		s := someScenario(seed)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if why := unfit(s, Simulate(s)); why != "" {
			t.Errorf("pool %d of %d servers, interval %s, smoothing %s, lifetime %s, load %.2f, maxChange %.0f%%: %s", seed, len(s.Subjects),
				s.Source.Interval, s.Source.Smoothing, s.Lifetime, s.Load, float64(s.Source.MaxChange), why)
		}
	}
}

// naive gives each server the weight that would be right if its load were all
// there is to know: no smoothing, no small steps.
func naive(s Scenario) controller {
	weights := make([]Weight, len(s.Subjects))
	for i, one := range s.Subjects {
		weights[i].Exact = float64(one.Weight)
		weights[i].Table = 100 * int(one.Weight)
	}
	return func(_ time.Time, loads []float64) []Weight {
		mean := 0.0
		for _, load := range loads {
			mean += load / float64(len(loads))
		}
		next := append([]Weight(nil), weights...)
		for i, load := range loads {
			if load > 0 {
				next[i].Exact *= mean / load
				next[i].Table = max(1, int(100*next[i].Exact))
			}
		}
		weights = next
		return next
	}
}

func TestAControllerWithoutDampingDoesOscillate(t *testing.T) {
	failed := 0
	for seed := range uint64(pools) {
		s := someScenario(seed)
		if unfit(s, play(s, naive(s))) != "" {
			failed++
		}
	}
	t.Logf("%d of %d pools swing", failed, pools)
	if failed < pools/2 {
		t.Errorf("the property of settling pools holds for %d of %d without damping: it tells nothing", pools-failed, pools)
	}
}
