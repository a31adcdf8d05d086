package weight

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/evs-project/evs/internal/config"
)

// A Subject is a simulated server. Its capacity is how many requests it can work
// on in a second, and may change.
type Subject struct {
	Name     string
	Weight   int32
	Capacity float64
	Changes  []Change
}

// A Change is a capacity from a time on.
type Change struct {
	At       time.Duration
	Capacity float64
}

func (s Subject) capacity(at time.Duration) float64 {
	c := s.Capacity
	for _, change := range s.Changes {
		if at >= change.At {
			c = change.Capacity
		}
	}
	return c
}

// A Scenario is a pool and its clients. Of the scheduler it knows that each server
// gets the share of new connections that its weight is of all weights, which is
// what wrr does exactly and wlc on average.
type Scenario struct {
	Subjects []Subject
	// Load is what the clients ask for, as a part of the sum of the first
	// capacities.
	Load float64
	// Lifetime is how long connections live: so long old weights are still felt.
	Lifetime time.Duration
	// Noise is by how much of itself each measured load is wrong, at most.
	Noise  float64
	For    time.Duration
	Source config.WeightSource
	Seed   uint64
}

// Check finds what cannot be simulated.
func (s Scenario) Check() error {
	in := s.Source
	within := func(x, below float64) bool { return x >= 0 && x < below } // false for what is no number
	for _, row := range []struct {
		ok  bool
		why string
	}{
		{len(s.Subjects) >= 2, fmt.Sprintf("%d servers: a pool has two at least", len(s.Subjects))},
		{s.Load > 0 && within(s.Load, math.Inf(1)), fmt.Sprintf("load %v: want a part of the servers' capacity above 0, as 0.7", s.Load)},
		{within(s.Noise, 1), fmt.Sprintf("noise %v: want 0 or more, and less than 1", s.Noise)},
		{in.Interval >= 100*time.Millisecond && s.For >= in.Interval && s.For/in.Interval <= 100_000,
			fmt.Sprintf("%s at an interval of %s: want 1 to 100000 intervals of 100ms or more", s.For, in.Interval)},
		{s.Lifetime >= 0 && in.Smoothing >= 0, fmt.Sprintf("lifetime %s, smoothing %s: want durations from 0s on", s.Lifetime, in.Smoothing)},
		{in.Floor >= 0 && in.Ceiling >= 0, fmt.Sprintf("floor %d, ceiling %d: want weights from 0 on", in.Floor, in.Ceiling)},
	} {
		if !row.ok {
			return errors.New(row.why)
		}
	}
	for _, one := range s.Subjects {
		for _, c := range append([]Change{{0, one.Capacity}}, one.Changes...) {
			if !(c.Capacity > 0) || math.IsInf(c.Capacity, 0) {
				return fmt.Errorf("%s: capacity %v: want a number above 0", one.Name, c.Capacity)
			}
		}
	}
	return nil
}

// A Moment is the pool at a time: of each server the weight and the load, which is
// above 1 where more is asked of it than it can do.
type Moment struct {
	At      time.Duration
	Weights []Weight
	Loads   []float64
}

// A controller gives weights for loads.
type controller func(now time.Time, loads []float64) []Weight

// Simulate plays a scenario with the controller that the director has.
func Simulate(s Scenario) []Moment { return play(s, s.pool()) }

// pool is the real controller, told the loads as a source tells them.
func (s Scenario) pool() controller {
	servers := make([]Server, len(s.Subjects))
	source := s.Source
	source.Value = UnitLoad
	for i, one := range s.Subjects {
		servers[i] = Server{Name: one.Name, Weight: one.Weight, Source: &source}
	}
	var p Pool
	p.Set(servers, "wrr")
	return func(now time.Time, loads []float64) []Weight {
		for i, load := range loads {
			p.Hear(servers[i].Name, Reading{At: now, Value: load, Unit: UnitLoad})
		}
		return p.Step(now)
	}
}

// ticks is into how many pieces an interval is cut.
const ticks = 10

func play(s Scenario, decide controller) []Moment {
	dice := rand.New(rand.NewPCG(s.Seed, 1))
	start := time.Unix(1<<30, 0)
	tick := s.Source.Interval / ticks
	total := 0.0
	for _, one := range s.Subjects {
		total += one.Capacity
	}
	// open is the work that each server has, in requests a second.
	open := make([]float64, len(s.Subjects))
	loads := make([]float64, len(s.Subjects))
	part := 1.0
	if s.Lifetime > 0 {
		part = 1 - math.Exp(-tick.Seconds()/s.Lifetime.Seconds())
	}
	var weights []Weight
	var all []Moment
	for i := 0; time.Duration(i)*tick <= s.For; i++ {
		at := time.Duration(i) * tick
		if weights == nil {
			weights = decide(start, loads)
			share(open, weights, s.Load*total, 1)
		}
		share(open, weights, s.Load*total, part)
		measured := make([]float64, len(open))
		for k, one := range s.Subjects {
			loads[k] = open[k] / one.capacity(at)
			measured[k] = min(loads[k], 1) * (1 + s.Noise*(2*dice.Float64()-1))
		}
		if i%ticks == 0 {
			if i > 0 {
				weights = decide(start.Add(at), measured)
			}
			all = append(all, Moment{at, weights, append([]float64(nil), loads...)})
		}
	}
	return all
}

// share moves the work of each server towards what its weight gives it.
func share(open []float64, weights []Weight, asked, part float64) {
	sum := 0
	for _, w := range weights {
		sum += w.Table
	}
	for i, w := range weights {
		open[i] += part * (asked*float64(w.Table)/float64(max(sum, 1)) - open[i])
	}
}
