package strain

import (
	"testing"

	"github.com/evs-project/evs/bench/report"
)

func TestSeveralProcessorsForwardTogether(t *testing.T) {
	table := Table([]Row{{Case: "established", Threads: 2, Cost: report.One(200)}})
	if got, want := table[1][3], "10.0 million"; got != want {
		t.Errorf("two processors at 200 ns a packet: %s a second, want %s", got, want)
	}
}
