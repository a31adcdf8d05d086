package conformance_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

func load(t *testing.T, dir string) []conformance.Scenario {
	t.Helper()
	all, err := conformance.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestConnectionsGoToTheServersTheKernelChose(t *testing.T) {
	beds := bed.NewBeds(t)
	for _, s := range load(t, "testdata/sched") {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			r := newReplay(t, beds)
			r.play(s)
			r.final(s)
		})
	}
}

func TestStatesTimeoutsAndCountsAreTheKernels(t *testing.T) {
	beds := bed.NewBeds(t)
	for _, s := range load(t, "testdata/tcpstate") {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			newReplay(t, beds).play(s)
		})
	}
}

// final compares the listings after the last step.
func (r *replay) final(s conformance.Scenario) {
	for command, raw := range s.Final {
		var lines []string
		if err := json.Unmarshal(raw, &lines); err != nil {
			r.Fatalf("listing of %q: %v", command, err)
		}
		got, stderr, exit := r.bed.Ipvsadm(strings.Fields(command)[1:]...)
		if strings.Contains(command, "-Lnc") {
			got = conformance.MaskConns(got)
		}
		if want := strings.Join(lines, "\n") + "\n"; got != want || exit != 0 {
			r.Errorf("%s in the end: exit %d %s\n got:\n%s\nwant:\n%s", command, exit, stderr, got, want)
		}
		r.steps++
	}
}
