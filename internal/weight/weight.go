package weight

import (
	"fmt"
	"math"
	"time"

	"github.com/evs-project/evs/internal/config"
)

// A Reason is why a weight is what it is.
type Reason string

// The reasons there are; Reasons explains them.
const (
	Configured Reason = "configured"
	Off        Reason = "off"
	Waiting    Reason = "waiting"
	Told       Reason = "told"
	ByLoad     Reason = "load"
	Alone      Reason = "alone"
	AtFloor    Reason = "floor"
	AtCeiling  Reason = "ceiling"
	Rate       Reason = "rate"
	Stale      Reason = "stale"
	SlowStart  Reason = "slow start"
	Drained    Reason = "drained"
	Down       Reason = "down"
)

// Reasons has a sentence for each.
var Reasons = []struct {
	Reason Reason
	About  string
}{
	{Configured, "it is the configured weight, for it has no source, or the source leaves it there"},
	{Off, "the configured weight is 0, which takes no new connections"},
	{Waiting, "its source has not said anything yet: the configured weight, or what the table has"},
	{Told, "it is what its source says"},
	{ByLoad, "it follows the load, so that all servers of the service become equally loaded"},
	{Alone, "no other server of the service tells its load, so there is nothing to compare with: the configured weight"},
	{AtFloor, "its source would have less, but this is the floor"},
	{AtCeiling, "its source would have more, but this is the ceiling"},
	{Rate, "it is on its way to what its source says, as fast as maxChange allows"},
	{Stale, "its source has been silent for longer than staleAfter: the configured weight, or on its way there"},
	{SlowStart, "the server came up lately and gets its weight little by little"},
	{Drained, "its source drains it: no new connections"},
	{Down, "its checks or its source say that it is down: no new connections"},
}

// About is the sentence of a reason.
func (r Reason) About() string {
	for _, row := range Reasons {
		if row.Reason == r {
			return row.About
		}
	}
	return string(r)
}

// Units of what a source says, as weightSource.value has them.
const (
	UnitWeight  = "weight"
	UnitPercent = "percent"
	UnitLoad    = "load"
)

// A Reading is what a source said last, and when.
type Reading struct {
	At time.Time
	// Value is in Unit; without a unit the source said no number, and the
	// configured weight stands.
	Value float64
	Unit  string
	// Drain and Down say that the source wants no new connections, and About
	// why.
	Drain, Down bool
	About       string
}

// NumberOf is the reading of a source that says a number.
func NumberOf(source config.WeightSource, value float64, at time.Time) (Reading, error) {
	if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
		return Reading{}, fmt.Errorf("the source says %v, want a number from 0 on (%s)", value, source.Value)
	}
	return Reading{At: at, Value: value, Unit: source.Value}, nil
}

// A Server is what a Pool has to know of a destination.
type Server struct {
	Name   string
	Weight int32 // as configured
	Source *config.WeightSource
	// Down is what its checks say. Meanwhile nothing is learned of it.
	Down bool
	// Since is when it came up, zero if it did before anyone looked: then it has
	// nothing to start slowly.
	Since     time.Time
	SlowStart time.Duration
	// InTable is its weight in the table when it is first seen, 0 if it is not
	// there: a director that starts anew goes on where the last one stopped.
	InTable int
}

// A Weight is what a server gets.
type Weight struct {
	Name   string
	Table  int // for the table: scaled
	Reason Reason
	// Exact and Goal are in units of configured weights: what it is, and what it
	// would be without bounds.
	Exact, Goal float64
	Reading     Reading
}

// limits are the floor and the ceiling of a source, with their defaults: a tenth
// of the configured weight, and ten times it.
func limits(s Server) (floor, ceiling float64) {
	floor, ceiling = float64(s.Source.Floor), float64(s.Source.Ceiling)
	if floor == 0 {
		floor = float64(s.Weight) / 10
	}
	if ceiling == 0 {
		ceiling = 10 * float64(s.Weight)
	}
	return min(floor, float64(s.Weight)), max(ceiling, float64(s.Weight))
}

// resolution is what the smallest configured weight becomes at least, where
// weights move; most is the greatest weight that Scale leads to.
const (
	resolution = 100
	most       = 65535
)

// ScaleOf is Scale of a service of the file, with the servers that are written there.
func ScaleOf(s config.Service) int {
	servers := make([]Server, len(s.Destinations))
	for i, d := range s.Destinations {
		servers[i] = Server{Weight: d.Weight, Source: d.WeightSource, SlowStart: d.SlowStart}
	}
	return Scale(servers, string(s.Scheduler))
}

// Scale is the factor from configured weights to those of the table. It is 1
// where nothing moves, and with sh, whose table of 256 places counts weights in
// places. Otherwise the least weight becomes 100, as far as no ceiling comes out
// above 65535. It follows from the configuration alone, so that it stays while
// that does.
func Scale(servers []Server, scheduler string) int {
	moves, least, greatest := false, int32(0), 1.0
	for _, s := range servers {
		if s.Weight == 0 {
			continue
		}
		if least == 0 || s.Weight < least {
			least = s.Weight
		}
		greatest = max(greatest, float64(s.Weight))
		moves = moves || s.Source != nil || s.SlowStart > 0
		if s.Source != nil {
			_, ceiling := limits(s)
			greatest = max(greatest, ceiling)
		}
	}
	if !moves || scheduler == "sh" {
		return 1
	}
	needed := math.Ceil(resolution / float64(least))
	return int(max(1, min(needed, math.Floor(most/greatest))))
}
