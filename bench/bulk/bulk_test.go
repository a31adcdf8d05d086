package bulk

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/evs-project/evs/bench/room"
)

func TestMain(m *testing.M) {
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestBothContendersCarryBothWays(t *testing.T) {
	rows, err := Suite{Rounds: 1, Round: 20 * time.Millisecond, Progress: io.Discard}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(directions) {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		// A tenth of a gigabit is far below what any of them does.
		if r.Yardstick.Median < 0.1 || r.EVS.Median < 0.1 {
			t.Errorf("%s: %+v", r.Direction, r)
		}
	}
}

func TestTheBarIsHeldAgainstTheMedianOfTheRounds(t *testing.T) {
	for _, tt := range []struct {
		evs  []float64
		want bool
	}{{[]float64{5, 9.6, 12}, true}, {[]float64{9, 9.4, 20}, false}} {
		figures := Figures([]Row{row("up", [][]float64{{10, 10, 10}, tt.evs})})
		if f := figures[len(figures)-1]; f.Passed() != tt.want || !f.Barred() {
			t.Errorf("%v: %+v", tt.evs, f)
		}
	}
}
