package health

import (
	"fmt"
	"time"
)

// remembered is how many results a State keeps.
const remembered = 10

// A State is what is thought of a target after the results so far. It is a value:
// Next returns the state that follows and changes nothing.
type State struct {
	// Up is what is thought, Since when it began, and Why is the result's detail
	// that brought it about; "" where it stands as it started.
	Up    bool
	Since time.Time
	Why   string
	// Proved is false until results have confirmed or overthrown what was thought
	// at the start.
	Proved bool
	// Against counts the latest results in a row that contradict Up.
	Against int
	// Weight is the weight that the latest good result asked for.
	Weight *int
	// History are the latest results, the youngest first; Count of all there
	// were.
	History []Past
	Count   uint64
}

// A Past is a result and when it came.
type Past struct {
	At time.Time
	Result
}

// StateOf is where a target of s stands before anything is known of it.
func StateOf(s Spec, now time.Time) State {
	return State{Up: s.WithDefaults().Start == StartUp, Since: now}
}

// Next is the state after r, which came at now, under the rise and fall of s.
// A state turns when as many results in a row contradict it as s says, and at
// no other time.
func (st State) Next(s Spec, r Result, now time.Time) State {
	s = s.WithDefaults()
	history := append(make([]Past, 0, remembered), Past{now, r})
	st.History = append(history, st.History[:min(len(st.History), remembered-1)]...)
	st.Count++
	if r.Void {
		return st
	}
	if r.Up {
		st.Weight = r.Weight
	}
	if r.Up == st.Up {
		st.Against, st.Proved = 0, true
		return st
	}
	st.Against++
	needed := s.Fall
	if r.Up {
		needed = s.Rise
	}
	if st.Against >= needed {
		st = State{Up: r.Up, Since: now, Why: r.Detail, Proved: true, Weight: st.Weight, History: st.History, Count: st.Count}
	}
	return st
}

// Wavers says that the latest result contradicts the state: it is time to ask
// again soon.
func (st State) Wavers() bool { return st.Against > 0 }

// Last is the youngest result; false if there is none.
func (st State) Last() (Past, bool) {
	if len(st.History) == 0 {
		return Past{}, false
	}
	return st.History[0], true
}

// String tells the state to a person: "up", "down: connection refused", "up,
// not asked yet".
func (st State) String() string {
	word := "down"
	if st.Up {
		word = "up"
	}
	switch {
	case st.Count == 0:
		return word + ", not asked yet"
	case st.Wavers():
		return fmt.Sprintf("%s, but %d of the latest results say otherwise: %s", word, st.Against, st.History[0].Detail)
	case !st.Up && st.Why != "":
		return word + ": " + st.Why
	}
	return word
}
