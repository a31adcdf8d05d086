package health

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestAPoolFollowsTheHealthOfItsMembers(t *testing.T) {
	yes, no := true, false
	up := func(w int) Member { return Member{Weight: w, Up: true} }
	down := func(w int) Member { return Member{Weight: w, Why: "down"} }
	in := func(w int) Place { return Place{Listed: true, Weight: w} }
	out := Place{}
	for _, c := range []struct {
		name    string
		rules   Rules
		had     bool
		members []Member
		places  []Place
		sorry   Place
		quorum  bool
		open    bool
	}{
		{"all is well", Rules{}, true, []Member{up(1), up(2)}, []Place{in(1), in(2)}, out, true, false},
		{"one is down and out", Rules{}, true, []Member{up(1), down(2)}, []Place{in(1), out}, out, true, false},
		{"one is down and quiescent", Rules{Inhibit: true}, true, []Member{up(1), down(2)}, []Place{in(1), in(0)}, out, true, false},
		{"one of them says otherwise", Rules{Inhibit: true}, true, []Member{up(1), {Weight: 2, Why: "down", Inhibit: &no}}, []Place{in(1), out}, out, true, false},
		{"one of them alone is quiescent", Rules{}, true, []Member{up(1), {Weight: 2, Why: "down", Inhibit: &yes}}, []Place{in(1), in(0)}, out, true, false},
		{"nothing is up", Rules{}, true, []Member{down(1), down(2)}, []Place{out, out}, out, false, false},
		{"nothing is up and the pool stays", Rules{FailOpen: true}, true, []Member{down(1), down(2)}, []Place{in(1), in(2)}, out, false, true},
		{"what is drained stays drained in an open pool", Rules{FailOpen: true}, true, []Member{down(1), up(0)}, []Place{in(1), in(0)}, out, false, true},
		{"a drained pool does not open", Rules{FailOpen: true}, true, []Member{down(0), up(0)}, []Place{out, in(0)}, out, false, false},
		{"one that is up keeps the pool from opening", Rules{FailOpen: true}, true, []Member{down(1), up(1)}, []Place{out, in(1)}, out, true, false},
		{"the sorry server stands in", Rules{Sorry: true}, true, []Member{down(1)}, []Place{out}, in(1), false, false},
		{"the sorry server goes before an open pool", Rules{Sorry: true, FailOpen: true}, true, []Member{down(1)}, []Place{out}, in(1), false, false},
		{"the sorry server stands in for those that are up, too", Rules{Sorry: true, Quorum: 5}, true, []Member{up(4), down(1)}, []Place{out, out}, in(1), false, false},
		{"and they are quiescent", Rules{Sorry: true, Quorum: 5, Inhibit: true}, true, []Member{up(4), down(1)}, []Place{in(0), in(0)}, in(1), false, false},
		{"without a sorry server they go on below the quorum", Rules{Quorum: 5}, true, []Member{up(4), down(1)}, []Place{in(4), out}, out, false, false},
		{"the sorry server waits with weight 0", Rules{Sorry: true, SorryInhibit: true}, true, []Member{up(1)}, []Place{in(1)}, in(0), true, false},
		{"hysteresis keeps a quorum", Rules{Quorum: 5, Hysteresis: 2}, true, []Member{up(3)}, []Place{in(3)}, out, true, false},
		{"but not one of too little", Rules{Quorum: 5, Hysteresis: 2}, true, []Member{up(2)}, []Place{in(2)}, out, false, false},
		{"hysteresis keeps it lost", Rules{Quorum: 5, Hysteresis: 2}, false, []Member{up(6)}, []Place{in(6)}, out, false, false},
		{"and enough brings it back", Rules{Quorum: 5, Hysteresis: 2}, false, []Member{up(7)}, []Place{in(7)}, out, true, false},
		{"no weight is no quorum", Rules{Quorum: 1, Hysteresis: 1}, true, []Member{up(0)}, []Place{in(0)}, out, false, false},
		{"nobody is there", Rules{FailOpen: true}, true, nil, []Place{}, out, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Decide(c.rules, c.had, c.members)
			sorry := v.Sorry
			places := slices.Clone(v.Places)
			for i, p := range places {
				if p.Why == "" && (!c.members[i].Up || p.Weight != c.members[i].Weight) {
					t.Errorf("member %d has %+v for no reason", i, p)
				}
				places[i].Why = ""
			}
			sorry.Why = ""
			if !reflect.DeepEqual(places, c.places) || sorry != c.sorry || v.Quorum != c.quorum || v.Open != c.open || v.Turned != (c.had != c.quorum) {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestAVerdictKeepsItsPromisesWhateverHappens(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	coin := func() bool { return dice.IntN(2) == 0 }
	for range 20000 {
		rules := Rules{Quorum: dice.IntN(6), Hysteresis: dice.IntN(3), Inhibit: coin(), FailOpen: coin(), Sorry: coin(), SorryInhibit: coin()}
		members := make([]Member, dice.IntN(5))
		any := false
		for i := range members {
			members[i] = Member{Weight: dice.IntN(4), Up: coin(), Why: "x"}
			any = any || members[i].Weight > 0
		}
		had := coin()
		v := Decide(rules, had, members)
		served := v.Sorry.Weight
		for i, p := range v.Places {
			served += p.Weight
			if p.Weight != 0 && (!p.Listed || p.Weight != members[i].Weight) {
				t.Fatalf("%+v %+v: %+v", rules, members, v)
			}
			if p.Weight != 0 && !members[i].Up && !v.Open {
				t.Fatalf("one that is down gets clients: %+v %+v: %+v", rules, members, v)
			}
		}
		if (rules.FailOpen && any || rules.Sorry) && served == 0 {
			t.Fatalf("the pool is empty: %+v %+v: %+v", rules, members, v)
		}
		if again := Decide(rules, v.Quorum, members); again.Turned {
			t.Fatalf("the quorum flaps with nothing changed: %+v %+v", rules, members)
		}
	}
}

func TestADestinationIsUpIfAllItsChecksAre(t *testing.T) {
	w := func(n int) *int { return &n }
	for _, c := range []struct {
		name   string
		weight int
		states []State
		want   Member
	}{
		{"no checks", 3, nil, Member{Weight: 3, Up: true}},
		{"two that are up", 3, []State{{Up: true, Count: 1}, {Up: true, Count: 1}}, Member{Weight: 3, Up: true}},
		{"one that is down", 3, []State{{Up: true, Count: 1}, {Why: "refused", Count: 1}}, Member{Weight: 3, Why: "down: refused"}},
		{"a weight of its own", 3, []State{{Up: true, Weight: w(8)}}, Member{Weight: 8, Up: true}},
		{"two weights add their differences", 3, []State{{Up: true, Weight: w(8)}, {Up: true, Weight: w(1)}}, Member{Weight: 6, Up: true}},
		{"never below nothing", 3, []State{{Up: true, Weight: w(0)}, {Up: true, Weight: w(0)}}, Member{Weight: 0, Up: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Judge(c.weight, c.states); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v", got)
			}
		})
	}
}
