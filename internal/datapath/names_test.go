package datapath

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/evs-project/evs/internal/sched"
)

// enum returns the names of an enum of the data path, by value, without prefix
// and the count at the end.
func enum(t *testing.T, name, prefix string) []string {
	t.Helper()
	spec, err := loadControl()
	if err != nil {
		t.Fatal(err)
	}
	var e *btf.Enum
	if err := spec.Types.TypeByName(name, &e); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, v := range e.Values {
		if v.Value != uint64(i) {
			t.Fatalf("enum %s has a gap before %s", name, v.Name)
		}
		if short := strings.TrimPrefix(v.Name, prefix); short != "COUNT" {
			names = append(names, short)
		}
	}
	return names
}

func TestEveryReasonIsExplainedInTheOrderOfTheEnum(t *testing.T) {
	names, err := ReasonNames()
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != int(controlReasonREASON_COUNT) || len(Reasons) != len(names) {
		t.Fatalf("%d reasons, %d names, %d explained", controlReasonREASON_COUNT, len(names), len(Reasons))
	}
	for i, want := range enum(t, "reason", "REASON_") {
		if names[i] != strings.ToLower(want) || Reasons[i].Name != names[i] {
			t.Errorf("reason %d is %s: named %q, explained as %q", i, want, names[i], Reasons[i].Name)
		}
		if Reasons[i].About == "" {
			t.Errorf("reason %s is not explained", want)
		}
	}
}

func TestEveryStateHasItsNameAndATimeout(t *testing.T) {
	states := enum(t, "conn_state", "STATE_")
	names, timeouts := StateNames[:], defaultTimeouts[:]
	if n := len(states); len(names) != n || len(timeouts) != n {
		t.Fatalf("%d states, %d names, %d timeouts", n, len(names), len(timeouts))
	}
	for i, want := range states {
		// Those of SCTP have the kernel's short names; what is reset is closed to it.
		other := strings.HasPrefix(want, "SCTP_") || strings.HasPrefix(want, "RESET")
		if names[i] != want && (names[i] == "" || !other) {
			t.Errorf("state %d is %s, named %q", i, want, names[i])
		}
		if timeouts[i] == 0 {
			t.Errorf("state %s has no timeout", want)
		}
	}
	if len(DefaultTimeouts()) != len(Settings{}.Timeout) {
		t.Errorf("%d timeouts for %d in a record", len(DefaultTimeouts()), len(Settings{}.Timeout))
	}
}

func TestEverySchedulerOfTheDataPathIsFoundByItsName(t *testing.T) {
	rows := enum(t, "scheduler", "SCHED_")
	if len(Schedulers) != len(rows)-1 {
		t.Errorf("%d schedulers in C, %d in Go", len(rows)-1, len(Schedulers))
	}
	for i, name := range rows[1:] { // the first is none
		if id, ok := Schedulers[strings.ToLower(name)]; !ok || int(id) != i+1 {
			t.Errorf("scheduler %d is %s: Go has %d, %v", i+1, name, id, ok)
		}
	}
}

func TestTablesOfSchedulersAreAsLongAsTheDataPathTakesThemFor(t *testing.T) {
	one := []sched.Member{{Weight: 1, LastWeight: 1, Addr: netip.MustParseAddrPort("192.0.2.1:80")}}
	for _, s := range sched.All {
		want := 0
		if s.Place != nil {
			want = len(s.Place(false, one))
		}
		if got := places[Schedulers[s.Name]]; got != want {
			t.Errorf("%s has a table of %d places, the data path's has %d", s.Name, want, got)
		}
	}
	if sched.NoPlace != int(controlPlacesNO_PLACE) || placesPerUnit != int(controlPlacesPLACES_PER_UNIT) {
		t.Errorf("no place is %d and %d; a unit holds %d places and %d", sched.NoPlace, controlPlacesNO_PLACE, placesPerUnit, controlPlacesPLACES_PER_UNIT)
	}
}

func TestEveryPlaceOfASettingHasOneRow(t *testing.T) {
	names := map[string]bool{}
	owner := map[controlSysctl]string{}
	for _, row := range Sysctls {
		if names[row.Name] || row.About == "" || row.Kind.Text == "" {
			t.Errorf("%s is there twice or not explained", row.Name)
		}
		names[row.Name] = true
		if fixed := row.Effect == Fixed; fixed != (len(row.at) == 0) {
			t.Errorf("%s: fixed %v, with %d places", row.Name, fixed, len(row.at))
		}
		for i, place := range row.at {
			if owner[place] != "" {
				t.Errorf("%s and %s share a place", owner[place], row.Name)
			}
			owner[place] = row.Name
			if d := row.Default[i]; d < row.Kind.Min || d > row.Kind.Max {
				t.Errorf("%s: default %d is out of range", row.Name, d)
			}
		}
	}
	for i, want := range enum(t, "sysctl", "SYSCTL_") {
		if want == "SYNC_PERIOD" {
			want = "SYNC_THRESHOLD" // of which it is the second word
		}
		if got := owner[controlSysctl(i)]; got != strings.ToLower(want) {
			t.Errorf("place %d is of %s, the row says %q", i, want, got)
		}
	}
}

func TestASettingReadsAsItWasWritten(t *testing.T) {
	var s Settings
	for _, row := range Sysctls {
		if row.Effect == Fixed {
			continue
		}
		for _, word := range []int64{row.Kind.Min, row.Kind.Max} {
			words := make([]int64, len(row.at))
			for i := range words {
				words[i] = word
			}
			row.Set(&s, words)
			if got := row.Get(&s); !slices.Equal(got, words) {
				t.Errorf("%s: wrote %d, read %d", row.Name, words, got)
			}
		}
	}
}
