package bulk

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/bench/report"
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
		ratios []float64
		want   string
	}{{[]float64{0.5, 0.96, 1.2}, "pass"}, {[]float64{0.9, 0.94, 2}, "FAIL"}} {
		text := Text([]Row{{"up", report.Spread{}, report.Spread{}, report.Summarise(tt.ratios)}})
		if !strings.Contains(text, tt.want) {
			t.Errorf("%v: want %s:\n%s", tt.ratios, tt.want, text)
		}
	}
}
