package main

import (
	"slices"
	"strings"
	"testing"
)

// recordings are those of the repository.
const recordings = "../testdata/packet"

func TestAScenarioThatIsRecordedAlreadyIsDerivedAlike(t *testing.T) {
	recorded, err := load(recordings)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, d := range derived(recorded) {
		r, ok := recorded[d.Name]
		if !ok {
			t.Errorf("%s is not recorded", d.Name)
			continue
		}
		if got, want := inputs(d), inputs(r); !slices.Equal(got, want) {
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("%s, step %d\n derived: %s\nrecorded: %s", d.Name, i, got[i], want[i])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %d steps derived, %d recorded", d.Name, len(got), len(want))
			}
		}
		same++
	}
	if same < 50 {
		t.Errorf("%d scenarios compared", same)
	}
}

// inputs are what goes in at each step.
func inputs(s scenario) (all []string) {
	for _, one := range s.Steps {
		all = append(all, strings.Join([]string{one.From, one.In, quote(one.Cmd), quote(one.Sysctl), quote(one.IP), quote(one.Mark)}, " "))
	}
	return all
}
