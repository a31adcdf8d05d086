package contention

import (
	"io"
	"os"
	"testing"

	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
)

func TestMain(m *testing.M) {
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// The measurement itself makes sure that every packet was forwarded.
func TestEveryTrialIsMeasuredWithOneProcessorAndWithTwo(t *testing.T) {
	link, err := room.Wire(packet.Documentation)
	if err != nil {
		t.Fatal(err)
	}
	const threads = 2
	rows, err := Suite{Scene: packet.Documentation, Link: link, Rounds: 1, Threads: threads, Flows: 1000, Progress: io.Discard}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(trials)*threads {
		t.Errorf("%d rows for %d trials", len(rows), len(trials))
	}
	if c := Chart(rows); len(c.Series) != len(trials) || len(c.Series[0].X) != threads {
		t.Errorf("%+v", c)
	}
}

func TestTwoProcessorsThatDisturbEachOtherNotCarryTwiceAsMuch(t *testing.T) {
	rows := []Row{{"x", 1, report.One(50)}, {"x", 2, report.One(50)}, {"y", 1, report.One(50)}, {"y", 2, report.One(100)}}
	for i, want := range []string{"1.00", "2.00", "1.00", "1.00"} {
		if got := Table(rows)[i+1][3]; got != want {
			t.Errorf("row %d: got %s, want %s", i, got, want)
		}
	}
}
