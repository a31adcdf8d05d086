package schedule

import (
	"io"
	"os"
	"testing"

	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/report"
	"github.com/evs-project/evs/bench/room"
	"github.com/evs-project/evs/internal/sched"
)

func TestMain(m *testing.M) {
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// Whoever drops packets or chooses nobody is not measured: the round makes sure of it.
func TestEverySchedulerIsMeasuredAmongEveryNumberOfDestinations(t *testing.T) {
	link, err := room.Wire(packet.Documentation)
	if err != nil {
		t.Fatal(err)
	}
	costs, err := Suite{Scene: packet.Documentation, Link: link, Rounds: 1, Progress: io.Discard}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(costs) != len(sched.All) {
		t.Errorf("%d schedulers were measured, there are %d", len(costs), len(sched.All))
	}
	if rows, lines := Table(costs), Chart(costs).Series; len(rows) != 1+len(costs) || len(lines) != len(costs) {
		t.Errorf("a table of %d rows and a chart of %d lines for %d schedulers", len(rows), len(lines), len(costs))
	}
	for _, c := range costs {
		for i, s := range c.Among {
			if s.Median <= 0 || len(c.Among) != len(numbers) {
				t.Errorf("%s among %d costs %v", c.Scheduler, numbers[i], s)
			}
		}
	}
}

func TestTheBarsAreThoseOfWhoLooksAtAllAndOfWhoHashes(t *testing.T) {
	spread := func(ns float64) report.Spread { return report.Spread{Median: ns} }
	costs := []Cost{
		{"rr", []report.Spread{spread(1), spread(1), spread(9)}},
		{"wlc", []report.Spread{spread(200), spread(300), spread(2001)}},
		{"mh", []report.Spread{spread(200), spread(250), spread(300)}},
		{"sh", []report.Spread{spread(200), spread(250), spread(301)}},
	}
	want := []bool{false, true, false}
	rows := Bars(costs)
	if len(rows) != len(want) {
		t.Fatalf("%d bars, want %d", len(rows), len(want))
	}
	for i, r := range rows {
		if r.Passed() != want[i] {
			t.Errorf("%s at %v: passed %t", r.Name, r.Value.Median, r.Passed())
		}
	}
}
