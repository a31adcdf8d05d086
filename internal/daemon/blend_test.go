package daemon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/weight"
)

// well is a server of a weight that is up, as its checks and its source see it.
func well(n int) (condition, weight.Weight) {
	keep := true
	return condition{Member: health.Member{Weight: n, Up: true, Inhibit: &keep}},
		weight.Weight{Table: 100 * n, Exact: float64(n), Goal: float64(n), Reason: weight.Configured}
}

// ill is one that is down.
func ill(n int) (condition, weight.Weight) {
	c, w := well(n)
	c.Member.Up, c.Why = false, "down: connection refused"
	w.Table, w.Exact, w.Reason = 0, 0, weight.Down
	return c, w
}

type one func() (condition, weight.Weight)

func of(f func(int) (condition, weight.Weight), n int, changes ...func(*condition, *weight.Weight)) one {
	return func() (condition, weight.Weight) {
		c, w := f(n)
		for _, change := range changes {
			change(&c, &w)
		}
		return c, w
	}
}

func removed(c *condition, _ *weight.Weight) { leave := false; c.Inhibit = &leave }
func drained(c *condition, _ *weight.Weight) { c.Drained = "it is drained" }
func overridden(c *condition, _ *weight.Weight) {
	n := int32(7)
	c.word.Weight, c.Member.Weight = &n, 7
}
func saidUp(c *condition, _ *weight.Weight) {
	up := true
	c.word.Up, c.Member.Up, c.Why = &up, true, ""
}
func sourceDrains(_ *condition, w *weight.Weight) {
	w.Reason, w.Table = weight.Drained, 0
	w.Reading.About = "upgrade"
}
func sourceDown(_ *condition, w *weight.Weight) { w.Reason, w.Table = weight.Down, 0 }
func slowly(_ *condition, w *weight.Weight)     { w.Reason, w.Table = weight.SlowStart, 5 }

func TestAServiceFollowsFromItsServersTheirSourcesAndOperators(t *testing.T) {
	for _, test := range []struct {
		name    string
		rules   health.Rules
		had     bool
		servers []one
		want    string
	}{
		{"those that are up have the controller's weight, of which the table has multiples", health.Rules{}, true,
			[]one{of(well, 1), of(well, 2, slowly)}, "100 5; quorum, live 3"},
		{"one that is down rests, or goes", health.Rules{}, true,
			[]one{of(ill, 1), of(ill, 1, removed), of(well, 1)}, "0 - 100; quorum, live 1"},
		{"the quorum counts weights of the file, not of a slow start", health.Rules{Quorum: 3}, true,
			[]one{of(well, 1), of(well, 2, slowly)}, "100 5; quorum, live 3"},
		{"one that an operator drains rests and counts for nothing", health.Rules{Quorum: 2, Sorry: true}, true,
			[]one{of(well, 1), of(well, 1, drained)}, "0 0; sorry, no quorum, live 1"},
		{"and so does one that its source drains", health.Rules{Quorum: 2}, true,
			[]one{of(well, 1), of(well, 1, sourceDrains)}, "100 0; no quorum, live 1"},
		{"one that its source calls down is down, whatever its checks say", health.Rules{}, true,
			[]one{of(well, 1), of(well, 1, sourceDown, removed)}, "100 -; quorum, live 1"},
		{"but not against an operator", health.Rules{}, true,
			[]one{of(well, 1), of(ill, 2, saidUp)}, "100 200; quorum, live 3"},
		{"an operator's weight goes before slow start and source", health.Rules{Quorum: 7}, true,
			[]one{of(well, 1, slowly, overridden)}, "700; quorum, live 7"},
		{"where nothing is up, fail open keeps all with the weights of the file", health.Rules{FailOpen: true}, true,
			[]one{of(ill, 1), of(ill, 2, removed)}, "100 200; open, no quorum, live 0"},
		{"but those that are drained", health.Rules{FailOpen: true}, true,
			[]one{of(ill, 1), of(ill, 2, drained)}, "100 0; open, no quorum, live 0"},
		{"hysteresis keeps a quorum that was there, and asks for more where it was not", health.Rules{Quorum: 2, Hysteresis: 1}, true,
			[]one{of(well, 1), of(ill, 2)}, "100 0; quorum, live 1"},
		{"that is, for more", health.Rules{Quorum: 2, Hysteresis: 1}, false,
			[]one{of(well, 2), of(ill, 2)}, "200 0; no quorum, live 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var all []condition
			var weights []weight.Weight
			for _, s := range test.servers {
				c, w := s()
				all, weights = append(all, c), append(weights, w)
			}
			if got := text(blend(test.rules, test.had, all, weights, 100)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func text(b blended) string {
	var places []string
	for i, p := range b.Places {
		word := "-"
		if p.Listed {
			word = fmt.Sprint(p.Weight)
		}
		if p.Why == "" || p != b.servers[i].Place {
			word += "?" // each has a reason, and one place
		}
		places = append(places, word)
	}
	out := strings.Join(places, " ") + "; "
	if b.Sorry.Weight > 0 {
		out += "sorry, "
	}
	if b.Open {
		out += "open, "
	}
	if !b.Quorum {
		out += "no "
	}
	return out + fmt.Sprintf("quorum, live %d", b.Live)
}
