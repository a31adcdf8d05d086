package health

import "fmt"

// Rules are what a service wants done with destinations that are not well.
type Rules struct {
	// Quorum is the least sum of weights of the destinations that are up with
	// which the service is itself. Default: 1.
	Quorum int
	// Hysteresis keeps the quorum from flapping: it is lost only below Quorum
	// less Hysteresis and gained from Quorum and Hysteresis on.
	Hysteresis int
	// Inhibit leaves a destination that is down in its place with weight 0, so
	// that its connections go on; else it is taken out.
	Inhibit bool
	// FailOpen never empties the pool: where nothing is up, all is treated as
	// up. A failing check is then taken for a failing checker.
	FailOpen bool
	// Sorry says that there is a server to send everybody to while the quorum is
	// lost. It goes before FailOpen.
	Sorry bool
	// SorryInhibit leaves the sorry server in its place with weight 0 while it is
	// not needed.
	SorryInhibit bool
}

// A Member is a destination as its checks see it.
type Member struct {
	// Weight is the weight it is to have when it is up.
	Weight int
	Up     bool
	// Why is the cause where it is down.
	Why string
	// Inhibit goes before that of the rules.
	Inhibit *bool
}

// Judge makes a member of a destination's configured weight and the states of
// its checks: it is up if all of them are, and each of them that asks for a weight
// adds its difference from the configured one. A destination without checks is
// up.
func Judge(weight int, states []State) Member {
	m := Member{Weight: weight, Up: true}
	for _, st := range states {
		if st.Weight != nil {
			m.Weight += *st.Weight - weight
		}
		if !st.Up && m.Up {
			m.Up, m.Why = false, st.String()
		}
	}
	m.Weight = max(m.Weight, 0)
	return m
}

// A Place is what becomes of a destination in the table.
type Place struct {
	// Listed says whether it is in the table at all.
	Listed bool
	Weight int
	// Why says why it is so, where it is not simply up.
	Why string
}

// A Verdict is what follows for a service from the health of its destinations.
type Verdict struct {
	// Places are those of the members, in their order; Sorry that of the sorry
	// server.
	Places []Place
	Sorry  Place
	// Quorum says whether the service has its quorum, Turned that this is new:
	// time for quorum_up or quorum_down.
	Quorum, Turned bool
	// Live is the sum of weights of the members that are up.
	Live int
	// Open says that the pool is kept as it is because nothing is up.
	Open bool
}

// Decide says what follows for a service under the rules, where had says whether
// it had its quorum before.
func Decide(rules Rules, had bool, members []Member) Verdict {
	v := Verdict{Places: make([]Place, len(members))}
	for _, m := range members {
		if m.Up {
			v.Live += m.Weight
		}
	}
	v.Quorum = rules.quorum(had, v.Live)
	v.Turned = v.Quorum != had
	v.Sorry = Place{Listed: rules.Sorry && rules.SorryInhibit}
	if rules.Sorry && !v.Quorum {
		v.Sorry = Place{Listed: true, Weight: 1, Why: fmt.Sprintf("the quorum is lost: weight %d is up", v.Live)}
	}
	v.Open = rules.FailOpen && !rules.Sorry && v.Live == 0 && anyWeight(members)
	for i, m := range members {
		v.Places[i] = rules.place(m, v)
	}
	return v
}

// quorum says whether there is a quorum with so much weight alive.
func (r Rules) quorum(had bool, live int) bool {
	quorum := r.Quorum
	if quorum == 0 {
		quorum = 1
	}
	if had {
		return live > 0 && live >= quorum-r.Hysteresis
	}
	return live >= quorum+r.Hysteresis
}

// place says what becomes of m under the verdict so far.
func (r Rules) place(m Member, v Verdict) Place {
	inhibit := r.Inhibit
	if m.Inhibit != nil {
		inhibit = *m.Inhibit
	}
	switch {
	case m.Up && r.Sorry && !v.Quorum:
		return Place{Listed: inhibit, Why: "up, but the sorry server stands in: " + v.Sorry.Why}
	case m.Up:
		return Place{Listed: true, Weight: m.Weight}
	case v.Open:
		return Place{Listed: true, Weight: m.Weight, Why: "kept, as nothing is up: " + m.Why}
	}
	return Place{Listed: inhibit, Why: m.Why}
}

func anyWeight(members []Member) bool {
	for _, m := range members {
		if m.Weight > 0 {
			return true
		}
	}
	return false
}
