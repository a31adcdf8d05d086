package weight

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// source is one that asks each second and takes answers as they are.
func source(value string) *config.WeightSource {
	return &config.WeightSource{Kind: "file", Value: value, Interval: time.Second, MaxChange: 1000, StaleAfter: 10 * time.Second}
}

func poolOf(servers ...Server) *Pool {
	var p Pool
	p.Set(servers, "wlc")
	return &p
}

func TestAWeightIsWhatItIsForAReason(t *testing.T) {
	narrow := source(UnitPercent)
	narrow.Floor, narrow.Ceiling = 4, 15
	slow := source(UnitPercent)
	slow.MaxChange = 20
	agent := source(UnitPercent)
	agent.Kind = "agent"
	percent := func(x float64) *Reading { return &Reading{At: at(0.5), Value: x, Unit: UnitPercent} }
	for _, c := range []struct {
		name   string
		server Server
		heard  *Reading
		after  float64 // seconds to the second step
		table  int
		why    Reason
	}{
		{"a server without a source has its configured weight", Server{Weight: 10}, nil, 1, 10, Configured},
		{"a weight of 0 stays", Server{Weight: 0, Source: source(UnitPercent)}, percent(100), 1, 0, Off},
		{"a source that has said nothing yet", Server{Weight: 10, Source: source(UnitPercent)}, nil, 1, 100, Waiting},
		{"the weight that a former director left stays till then", Server{Weight: 10, Source: source(UnitPercent), InTable: 55}, nil, 1, 55, Waiting},
		{"a source that never speaks", Server{Weight: 10, Source: source(UnitPercent), InTable: 55}, nil, 11, 100, Stale},
		{"a percentage", Server{Weight: 10, Source: source(UnitPercent)}, percent(75), 1, 75, Told},
		{"a weight", Server{Weight: 10, Source: source(UnitWeight)}, &Reading{At: at(0.5), Value: 30, Unit: UnitWeight}, 1, 300, Told},
		{"a reply without a number", Server{Weight: 10, Source: agent}, &Reading{At: at(0.5)}, 1, 100, Configured},
		{"less than the floor", Server{Weight: 10, Source: narrow}, percent(1), 1, 40, AtFloor},
		{"more than the ceiling", Server{Weight: 10, Source: narrow}, percent(900), 1, 150, AtCeiling},
		{"without a floor a tenth of the weight", Server{Weight: 10, Source: source(UnitPercent)}, percent(0), 1, 10, AtFloor},
		{"without a ceiling ten times the weight", Server{Weight: 10, Source: source(UnitPercent)}, percent(5000), 1, 1000, AtCeiling},
		{"a long way is gone in steps", Server{Weight: 10, Source: slow}, percent(10), 1, 80, Rate},
		{"a shorter time allows a smaller step", Server{Weight: 10, Source: slow}, percent(10), 0.5, 90, Rate},
		{"a drain goes at once", Server{Weight: 10, Source: slow}, &Reading{At: at(0.5), Drain: true}, 1, 0, Drained},
		{"so does a server that is down", Server{Weight: 10, Source: slow}, &Reading{At: at(0.5), Down: true}, 1, 0, Down},
		{"an agent's 0% drains", Server{Weight: 10, Source: agent}, percent(0), 1, 0, Drained},
		{"failed checks", Server{Weight: 10, Down: true}, nil, 1, 0, Down},
		{"a load with none to compare", Server{Weight: 10, Source: source(UnitLoad)}, &Reading{At: at(0.5), Value: 0.9, Unit: UnitLoad}, 1, 100, Alone},
		{"a server that came up half of its slow start ago", Server{Weight: 10, Since: at(-9), SlowStart: 20 * time.Second}, nil, 1, 50, SlowStart},
		{"one that has just come up gets a little", Server{Weight: 10, Since: at(1), SlowStart: 20 * time.Second}, nil, 1, 1, SlowStart},
		{"one that was up before anyone looked", Server{Weight: 10, SlowStart: 20 * time.Second}, nil, 1, 100, Configured},
		{"a clock that went back moves nothing", Server{Weight: 10, Source: slow}, percent(10), -100, 100, Rate},
		{"a clock that leapt ahead makes two steps at most", Server{Weight: 10, Source: func() *config.WeightSource { s := *slow; s.StaleAfter = time.Hour; return &s }()}, percent(10), 1000, 60, Rate},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.Name = "a"
			p := poolOf(c.server)
			p.Step(at(0))
			if c.heard != nil {
				p.Hear("a", *c.heard)
			}
			got := p.Step(at(c.after))[0]
			if got.Table != c.table || got.Reason != c.why {
				t.Errorf("weight %d (%s), want %d (%s)", got.Table, got.Reason, c.table, c.why)
			}
		})
	}
}

func TestASilentSourceGivesTheConfiguredWeightBackGently(t *testing.T) {
	s := source(UnitPercent)
	s.MaxChange = 10
	p := poolOf(Server{Name: "a", Weight: 10, Source: s})
	p.Step(at(0))
	var seen []int
	for i := 1; i <= 20; i++ {
		if i <= 5 {
			p.Hear("a", Reading{At: at(float64(i)), Value: 50, Unit: UnitPercent})
		}
		w := p.Step(at(float64(i)))[0]
		seen = append(seen, w.Table)
		if (i > 15) != (w.Reason == Stale) {
			t.Errorf("second %d: %s", i, w.Reason)
		}
	}
	want := []int{90, 80, 70, 60, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 60, 70, 80, 90, 100}
	if !slices.Equal(seen, want) {
		t.Errorf("weights %v, want %v", seen, want)
	}
}

func TestAServerThatIsNoLongerDrainedRisesGently(t *testing.T) {
	s := source(UnitPercent)
	s.MaxChange = 25
	p := poolOf(Server{Name: "a", Weight: 10, Source: s})
	p.Step(at(0))
	p.Hear("a", Reading{At: at(1), Drain: true})
	p.Step(at(1))
	var seen []int
	for i := 2; i < 7; i++ {
		p.Hear("a", Reading{At: at(float64(i)), Value: 100, Unit: UnitPercent})
		seen = append(seen, p.Step(at(float64(i)))[0].Table)
	}
	if want := []int{35, 60, 85, 100, 100}; !slices.Equal(seen, want) {
		t.Errorf("weights %v, want %v", seen, want)
	}
}

// agentsLoop is a server of many whose agent says how idle it is: the less weight,
// the idler, the more weight.
func agentsLoop(p *Pool, pressure float64) (swing float64) {
	least, most := math.Inf(1), 0.0
	w := p.Step(at(0))[0]
	for i := 1; i <= 400; i++ {
		load := min(pressure*w.Exact/10, 1)
		p.Hear("a", Reading{At: at(float64(i)), Value: math.Round(100 * (1 - load)), Unit: UnitPercent})
		w = p.Step(at(float64(i)))[0]
		if i > 300 {
			least, most = min(least, w.Exact), max(most, w.Exact)
		}
	}
	return (most - least) / 10
}

func TestAnAgentThatClosesALoopOfItsOwnIsCalmedDown(t *testing.T) {
	for _, pressure := range []float64{0.3, 0.8, 1.5, 3, 6, 9} {
		s := source(UnitPercent)
		s.Smoothing = 2 * time.Second
		if swing := agentsLoop(poolOf(Server{Name: "a", Weight: 10, Source: s}), pressure); swing > 0.05 {
			t.Errorf("under pressure %v the weight swings by %.0f%% of the configured one", pressure, 100*swing)
		}
	}
}

func TestAnIdlePoolStaysAsItIsConfigured(t *testing.T) {
	p := poolOf(Server{Name: "a", Weight: 10, Source: source(UnitLoad)}, Server{Name: "b", Weight: 10, Source: source(UnitLoad)})
	p.Step(at(0))
	for i := 1; i < 200; i++ {
		p.Hear("a", Reading{At: at(float64(i)), Value: 0.001, Unit: UnitLoad})
		p.Hear("b", Reading{At: at(float64(i)), Value: 0.003, Unit: UnitLoad})
		p.Step(at(float64(i)))
	}
	for _, w := range p.Step(at(200)) {
		if w.Table < 90 || w.Table > 110 {
			t.Errorf("%s has weight %d: loads of 0.1%% and 0.3%% mean nothing", w.Name, w.Table)
		}
	}
}

func TestWhileAServerIsDownOrStartsSlowlyNothingIsLearnedOfIt(t *testing.T) {
	servers := []Server{{Name: "a", Weight: 10, Source: source(UnitLoad)}, {Name: "b", Weight: 10, Source: source(UnitLoad)}, {Name: "c", Weight: 10, Source: source(UnitLoad)}}
	p := poolOf(servers...)
	second := 0
	run := func(until int, loads ...float64) (last []Weight) {
		for ; second < until; second++ {
			for i, load := range loads {
				p.Hear(servers[i].Name, Reading{At: at(float64(second)), Value: load, Unit: UnitLoad})
			}
			last = p.Step(at(float64(second)))
		}
		return last
	}
	learned := run(10, 0.9, 0.6, 0.6)[0].Exact
	if learned >= 10 {
		t.Fatalf("the busiest server has weight %v", learned)
	}
	servers[0].Down = true
	p.Set(servers, "wlc")
	if down := run(100, 0, 0.9, 0.9); down[0].Table != 0 || down[0].Reason != Down || math.Abs(down[1].Exact-down[2].Exact) > 0.01 {
		t.Errorf("while it is down: %+v", down)
	}
	servers[0].Down, servers[0].Since, servers[0].SlowStart = false, at(100), 40*time.Second
	p.Set(servers, "wlc")
	if half := run(121, 0.1, 0.7, 0.7)[0]; half.Reason != SlowStart || math.Abs(half.Exact-learned/2) > 0.01 {
		t.Errorf("half way of its slow start it has %v (%s), want half of %v", half.Exact, half.Reason, learned)
	}
	if back := run(141, 0.3, 0.7, 0.7)[0]; back.Reason != ByLoad || back.Exact < learned {
		t.Errorf("after its slow start it has %v (%s), and had %v", back.Exact, back.Reason, learned)
	}
}

func TestAnAnswerIsUsedOnce(t *testing.T) {
	p := poolOf(Server{Name: "a", Weight: 10, Source: source(UnitLoad)}, Server{Name: "b", Weight: 10, Source: source(UnitLoad)})
	p.Step(at(0))
	p.Hear("a", Reading{At: at(1), Value: 0.9, Unit: UnitLoad})
	p.Hear("b", Reading{At: at(1), Value: 0.3, Unit: UnitLoad})
	first := p.Step(at(1))[0].Exact
	if first >= 10 {
		t.Fatalf("the busier server has weight %v", first)
	}
	p.Hear("a", Reading{At: at(1), Value: 0.9, Unit: UnitLoad})
	if again := p.Step(at(2))[0].Exact; again != first {
		t.Errorf("without a new answer the weight went from %v to %v", first, again)
	}
}

func TestWeightsAreScaledSoThatTheyCanMove(t *testing.T) {
	moving := source(UnitLoad)
	tight := source(UnitLoad)
	tight.Ceiling = 60000
	for _, c := range []struct {
		name      string
		servers   []Server
		scheduler string
		scale     int
	}{
		{"nothing moves", []Server{{Weight: 1}, {Weight: 2}}, "wlc", 1},
		{"small weights", []Server{{Weight: 1, Source: moving}, {Weight: 2}}, "wlc", 100},
		{"slow start moves too", []Server{{Weight: 4, SlowStart: time.Second}}, "wrr", 25},
		{"a server that takes nothing does not count", []Server{{Weight: 0}, {Weight: 50, Source: moving}}, "wlc", 2},
		{"weights that have room", []Server{{Weight: 100, Source: moving}}, "wlc", 1},
		{"a ceiling that leaves no more room", []Server{{Weight: 1, Source: tight}}, "wlc", 1},
		{"no weight comes out above 65535", []Server{{Weight: 1, Source: moving}, {Weight: 1000, Source: moving}}, "wlc", 6},
		{"sh counts weights in places", []Server{{Weight: 1, Source: moving}}, "sh", 1},
	} {
		if got := Scale(c.servers, c.scheduler); got != c.scale {
			t.Errorf("%s: scale %d, want %d", c.name, got, c.scale)
		}
	}
}

func TestASourceThatSaysNoNumberIsRefused(t *testing.T) {
	for _, x := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := NumberOf(*source(UnitLoad), x, noon); err == nil {
			t.Errorf("%v is taken", x)
		}
	}
	if r, err := NumberOf(*source(UnitLoad), 0.5, noon); err != nil || r != (Reading{At: noon, Value: 0.5, Unit: UnitLoad}) {
		t.Errorf("0.5 is %+v, %v", r, err)
	}
}

func TestServersThatStayAreRemembered(t *testing.T) {
	a := Server{Name: "a", Weight: 10, Source: source(UnitPercent)}
	p := poolOf(a)
	p.Step(at(0))
	p.Hear("a", Reading{At: at(1), Value: 50, Unit: UnitPercent})
	p.Step(at(1))
	p.Set([]Server{{Name: "b", Weight: 10}, a}, "wlc")
	if w := p.Step(at(2)); w[0].Table != 100 || w[1].Table != 50 {
		t.Errorf("weights %d and %d, want 100 and 50", w[0].Table, w[1].Table)
	}
}

func TestEveryReasonHasASentence(t *testing.T) {
	for _, row := range Reasons {
		if row.Reason.About() != row.About || row.About == "" {
			t.Errorf("%s: %q", row.Reason, row.Reason.About())
		}
	}
}
