package sched

import "testing"

func TestEverySchedulerIsWhole(t *testing.T) {
	seen := map[string]bool{None: true}
	for _, s := range All {
		if s.Name == "" || len(s.Name) > 15 || s.About == "" {
			t.Errorf("%+v lacks a name of at most 15 bytes or a word about it", s)
		}
		if seen[s.Name] {
			t.Errorf("%s is in the table twice", s.Name)
		}
		seen[s.Name] = true
		if len(s.Flags) > len(GenericFlags) {
			t.Errorf("%s has more flags than there are", s.Name)
		}
	}
	if _, ok := Find(Default); !ok {
		t.Errorf("the default %s is not in the table", Default)
	}
}
