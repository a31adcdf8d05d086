package drain

import (
	"testing"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/keep"
)

var start = time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)

// at is a time of a drain of ten minutes, in seconds.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// resting is a look at a server with weight 0.
func resting(conns, templates int) Seen {
	return Seen{Destinations: 1, Resting: 1, Connections: conns, Templates: templates}
}

type look struct {
	at   int // seconds
	seen Seen

	phase keep.Phase
	act   Act
}

func TestADrain(t *testing.T) {
	weighted := Seen{Destinations: 2, Resting: 1, Connections: 3}
	for _, c := range []struct {
		name                    string
		atDeadline, persistence string
		looks                   []look
	}{
		{"is empty as soon as its last connection has ended", keep.Leave, keep.Respect, []look{
			{0, resting(2, 0), keep.Draining, Wait},
			{5, resting(1, 0), keep.Draining, Wait},
			{9, resting(0, 0), keep.Empty, Wait},
		}},
		{"waits for all weights to be 0, and is not empty before", keep.Reset, keep.Ignore, []look{
			{0, weighted, keep.Draining, Wait},
			{1, Seen{Destinations: 2, Resting: 1}, keep.Draining, Wait},
			{700, weighted, keep.Draining, Wait},
			{701, resting(3, 0), keep.Ended, Finish},
		}},
		{"leaves at the deadline what is left, and is empty when that has ended", keep.Leave, keep.Respect, []look{
			{0, resting(2, 0), keep.Draining, Wait},
			{599, resting(2, 0), keep.Draining, Wait},
			{600, resting(2, 0), keep.Late, Wait},
			{601, resting(2, 0), keep.Late, Wait},
			{700, resting(0, 0), keep.Empty, Wait},
		}},
		{"resets at the deadline what is left, once", keep.Reset, keep.Respect, []look{
			{0, resting(2, 0), keep.Draining, Wait},
			{600, resting(2, 0), keep.Ended, Finish},
			{601, resting(2, 0), keep.Ended, Wait},
			{610, resting(0, 0), keep.Ended, Wait},
		}},
		{"resets nothing if nothing is left at the deadline", keep.Reset, keep.Respect, []look{
			{600, resting(0, 0), keep.Empty, Wait},
			{601, resting(0, 0), keep.Empty, Wait},
		}},
		{"that respects persistence is not empty while clients may come back", keep.Reset, keep.Respect, []look{
			{0, resting(1, 1), keep.Draining, Wait},
			{5, resting(0, 1), keep.Draining, Wait},
			{6, resting(2, 1), keep.Draining, Wait},
			{600, resting(0, 1), keep.Ended, Finish},
		}},
		{"that ignores persistence sends clients elsewhere, once, after the weights are 0", keep.Leave, keep.Ignore, []look{
			{0, Seen{Destinations: 1, Connections: 2, Templates: 2}, keep.Draining, Wait},
			{1, resting(2, 2), keep.Draining, Expel},
			{2, resting(2, 2), keep.Draining, Wait},
			{3, resting(0, 1), keep.Empty, Wait},
		}},
		{"that ignores persistence ends no templates where there are none", keep.Leave, keep.Ignore, []look{
			{0, resting(1, 0), keep.Draining, Wait},
			{1, resting(0, 0), keep.Empty, Wait},
		}},
		{"goes on if connections turn up again in its time", keep.Leave, keep.Respect, []look{
			{0, resting(0, 0), keep.Empty, Wait},
			{1, resting(1, 0), keep.Draining, Wait},
			{600, resting(1, 0), keep.Late, Wait},
		}},
		{"of servers that are not in the table is empty", keep.Leave, keep.Respect, []look{
			{0, Seen{}, keep.Empty, Wait},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := New(keep.Scope{}, config.Drain{For: 10 * time.Minute, AtDeadline: c.atDeadline, Persistence: c.persistence}, start)
			for _, l := range c.looks {
				was := d.Phase
				var act Act
				if d, act = Next(d, l.seen, at(l.at)); d.Phase != l.phase || act != l.act {
					t.Errorf("after %d s: %s and %v, want %s and %v", l.at, d.Phase, act, l.phase, l.act)
				}
				if was != d.Phase && !d.PhaseSince.Equal(at(l.at)) {
					t.Errorf("%s since %v, it is %v", d.Phase, d.PhaseSince, at(l.at))
				}
			}
		})
	}
}

func TestTheOldestConnectionIsAsOldAsTheRest(t *testing.T) {
	terms := config.Drain{For: time.Minute, AtDeadline: keep.Leave, Persistence: keep.Respect}
	oldest := func(looks ...look) float64 {
		d := New(keep.Scope{}, terms, start)
		for _, l := range looks {
			d, _ = Next(d, l.seen, at(l.at))
		}
		return d.Progress.Oldest
	}
	for _, c := range []struct {
		name  string
		looks []look
		want  float64
	}{
		{"counted from when the weight was 0", []look{{at: 0, seen: Seen{Destinations: 1, Connections: 1}}, {at: 2, seen: resting(1, 0)}, {at: 7, seen: resting(1, 0)}}, 5},
		{"if there is one", []look{{at: 0, seen: resting(1, 0)}, {at: 7, seen: resting(0, 0)}}, 0},
		{"and cannot be told if clients were kept to the server", []look{{at: 0, seen: resting(1, 1)}, {at: 7, seen: resting(1, 0)}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := oldest(c.looks...); got != c.want {
				t.Errorf("%v s, want %v", got, c.want)
			}
		})
	}
}
