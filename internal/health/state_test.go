package health

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// after runs the results, written as + and -, through a state.
func after(s Spec, results string) State {
	start := time.Unix(1000, 0)
	st := StateOf(s, start)
	for i, c := range results {
		st = st.Next(s, Result{Up: c == '+', Detail: fmt.Sprint(i)}, start.Add(time.Duration(i+1)*time.Second))
	}
	return st
}

func TestAStateTurnsAfterAsManyContradictionsInARowAsItIsTold(t *testing.T) {
	for _, c := range []struct {
		name       string
		spec       Spec
		results    string
		up, proved bool
		against    int
		since      int64
	}{
		{"nothing is known, up", Spec{}, "", true, false, 0, 1000},
		{"nothing is known, down", Spec{Start: StartDown}, "", false, false, 0, 1000},
		{"it starts up and one failure is not enough", Spec{Fall: 2}, "-", true, false, 1, 1000},
		{"it starts up and falls", Spec{Fall: 2}, "--", false, true, 0, 1002},
		{"a success between starts the count anew", Spec{Fall: 2}, "-+-", true, true, 1, 1000},
		{"it falls at once", Spec{Fall: 1}, "+-", false, true, 0, 1002},
		{"it starts down and rises", Spec{Rise: 2, Start: StartDown}, "++", true, true, 0, 1002},
		{"it starts down and one success is not enough", Spec{Rise: 2, Start: StartDown}, "+", false, false, 1, 1000},
		{"it falls and rises", Spec{Rise: 3, Fall: 1}, "-+++", true, true, 0, 1004},
		{"a failure between starts the rise anew", Spec{Rise: 2, Fall: 1}, "-+-+", false, true, 1, 1001},
		{"the defaults are a rise of 2 and a fall of 3", Spec{}, "---+", false, true, 1, 1003},
		{"and so it is up again", Spec{}, "---++", true, true, 0, 1005},
		{"more of the same changes nothing", Spec{Fall: 1}, "----", false, true, 0, 1001},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := after(c.spec, c.results)
			if st.Up != c.up || st.Proved != c.proved || st.Against != c.against || st.Since.Unix() != c.since || st.Count != uint64(len(c.results)) {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestAStateTurnsExactlyWhereTheLatestResultsAllContradictIt(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := Spec{Rise: 1 + dice.IntN(4), Fall: 1 + dice.IntN(4), Start: []string{StartUp, StartDown}[dice.IntN(2)]}
		st := StateOf(s, time.Unix(0, 0))
		var run []bool
		for i := range 60 {
			r := Result{Up: dice.IntN(2) == 0, Detail: fmt.Sprint(i)}
			run = append(run, r.Up)
			needed := s.Fall
			if !st.Up {
				needed = s.Rise
			}
			turns := len(run) >= needed
			for _, up := range run[max(len(run)-needed, 0):] {
				turns = turns && up != st.Up
			}
			next := st.Next(s, r, time.Unix(int64(i), 0))
			if (next.Up != st.Up) != turns {
				t.Fatalf("%+v after %v: turned %v, want %v", s, run, next.Up != st.Up, turns)
			}
			if turns {
				run = nil
			}
			if turns && (next.Why != r.Detail || next.Since.Unix() != int64(i)) {
				t.Fatalf("turned for %q at %v, want %d", next.Why, next.Since, i)
			}
			st = next
		}
	}
}

func TestAStateRemembersTheLatestResultsAndLeavesOldStatesAlone(t *testing.T) {
	old := after(Spec{}, "+++++++++++++")
	before := fmt.Sprint(old.History)
	next := old.Next(Spec{}, Result{Detail: "new"}, time.Unix(5000, 0))
	other := old.Next(Spec{}, Result{Detail: "other"}, time.Unix(5000, 0))
	if len(old.History) != remembered || len(next.History) != remembered || next.History[0].Detail != "new" || other.History[0].Detail != "other" {
		t.Errorf("%v\n%v\n%v", old.History, next.History, other.History)
	}
	if fmt.Sprint(old.History) != before {
		t.Error("the old state changed")
	}
	if last, is := next.Last(); !is || last.Detail != "new" {
		t.Error(last, is)
	}
}

func TestAStateTellsWhy(t *testing.T) {
	for results, want := range map[string]string{"": "up, not asked yet", "+": "up", "-": "up, but 1 of", "---": "down: 2", "---+": "down, but 1 of"} {
		if got := after(Spec{}, results).String(); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q", results, got)
		}
	}
}

func TestTheWeightIsThatOfTheLatestGoodResult(t *testing.T) {
	w := 7
	st := StateOf(Spec{}, time.Time{}).Next(Spec{}, Result{Up: true, Weight: &w}, time.Time{}).Next(Spec{}, Result{}, time.Time{})
	if st.Weight == nil || *st.Weight != 7 {
		t.Error(st.Weight)
	}
	if st = st.Next(Spec{}, Result{Up: true}, time.Time{}); st.Weight != nil {
		t.Error(*st.Weight)
	}
}
