package pps

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

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

// What is forwarded wrongly, or to nobody, ends the run: nothing is measured then.
// Making a table takes seconds, so one of EVS stands for all.
func TestWhatIsSentIsForwardedAndNothingIsLost(t *testing.T) {
	const flows, tables = 500, 1
	field := contenders(flows)
	some := field[:slices.IndexFunc(field, func(c contender) bool { return strings.HasPrefix(c.name, "EVS") })+tables]
	rows, err := Suite{Scene: packet.Documentation, Flows: flows, Rounds: 1, Round: 10 * time.Millisecond, Progress: io.Discard}.race(t.Context(), some)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Rate.Median < 10_000 || r.Lost > 0.01 || r.Ratio.Median <= 0 {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
	if n := len(Figures(rows)); n != tables {
		t.Errorf("%d bars are held, want %d", n, tables)
	}
}

func TestEveryBarIsAboutAContender(t *testing.T) {
	for name := range bars {
		if !slices.ContainsFunc(contenders(1), func(c contender) bool { return c.name == name }) {
			t.Errorf("nobody is called %q", name)
		}
	}
}

func TestATunnelsPacketIsLookedAtWithoutItsOuterHeaders(t *testing.T) {
	frame := packet.Documentation.Frame(packet.ACK, 3)[:54]
	outer := append(append(append([]byte{}, frame[:header]...), make([]byte, 20)...), frame[header:]...)
	got, err := unwrap(outer, 20)
	if err != nil || string(got) != string(packet.Documentation.Frame(packet.ACK, 3)) {
		t.Errorf("got %x, %v", got, err)
	}
	if _, err := unwrap(frame[:20], 20); err == nil {
		t.Error("a frame without room for the outer headers: no error")
	}
}

func TestTheRowsAreShownByTheYardstick(t *testing.T) {
	rows := []Row{{Name: "EVS XDP NAT", Rate: report.One(4e6), Ratio: report.One(3.9)}}
	if got := Table(rows)[1]; got[1] != "4 (4 to 4)" || got[2] != "250" {
		t.Errorf("%v", got)
	}
	if f := Figures(rows)[0]; f.Passed() {
		t.Errorf("%+v passes", f)
	}
	if c := Chart(rows); len(c.Names) != 1 || c.Series[0].Y[0] != 4e6 {
		t.Errorf("%+v", c)
	}
}

// Who spoils a packet of a conversation is not answered, and nor is who forgets it.
func TestConversationsAreOpenedAnsweredAndClosed(t *testing.T) {
	field := talkers(remembered)
	at := slices.IndexFunc(field, func(c contender) bool { return c.name == nftablesName })
	rows, err := Talks{Scene: packet.Documentation, Rounds: 2, Round: 20 * time.Millisecond, Progress: io.Discard}.race(t.Context(), field[at:at+1])
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[0]; r.Rate.Median < 1000 || r.Unanswered > 0.01 {
		t.Errorf("%+v", r)
	}
}

func TestEveryBarOfConversationsIsHeld(t *testing.T) {
	var rows []TalkRow
	for _, c := range talkers(1) {
		rate := 100.0
		if c.name == haproxyName {
			rate = 10
		}
		rows = append(rows, TalkRow{Name: c.name, rates: []float64{rate}})
	}
	var passed []bool
	for _, f := range TalkFigures(rows) {
		passed = append(passed, f.Passed())
	}
	if want := []bool{true, false, true, false}; !slices.Equal(passed, want) {
		t.Errorf("as fast as nftables, ten times as fast as HAProxy: passed %v, want %v", passed, want)
	}
}
