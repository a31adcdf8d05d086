package evs

import (
	"fmt"
	"os"
	"testing"

	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/bench/room"
)

// link is the director's interface, once the room is furnished.
var link int

func TestMain(m *testing.M) {
	if code, done := room.Enter(); done {
		os.Exit(code)
	}
	var err error
	if link, err = room.Wire(packet.Documentation); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func stage(t *testing.T, flows int) harness.Stage {
	t.Helper()
	h, err := harness.New(packet.Documentation, link, flows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return harness.Stage{Scene: packet.Documentation, Link: link, Flows: flows, Harness: h}
}

func open(t *testing.T, s harness.Stage) *Target {
	t.Helper()
	return openBy(t, s, packet.Masq)
}

func openBy(t *testing.T, s harness.Stage, m packet.Method) *Target {
	t.Helper()
	target, err := New("EVS", m, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	})
	return target.(*Target)
}

func conns(t *testing.T, target *Target) int {
	t.Helper()
	status, err := target.table.Status()
	if err != nil {
		t.Fatal(err)
	}
	return status.Conns
}

func TestPacketsOfBothDirectionsAreDeliveredAsTheyShouldBe(t *testing.T) {
	s := stage(t, 1000)
	target := open(t, s)
	if err := target.Prepare(1000); err != nil {
		t.Fatal(err)
	}
	kinds := []packet.Kind{packet.ACK, packet.ReplyACK, packet.SYNACK}
	if err := s.Harness.Verify(target, packet.Masq, kinds, 1000); err != nil {
		t.Error(err)
	}
}

func TestANewConnectionIsDeliveredAsItShouldBe(t *testing.T) {
	s := stage(t, 100)
	target := open(t, s)
	if err := s.Harness.Verify(target, packet.Masq, []packet.Kind{packet.SYN}, 100); err != nil {
		t.Error(err)
	}
}

func TestPreparingLeavesTheFlowsAndNothingElse(t *testing.T) {
	target := open(t, stage(t, 1000))
	for _, flows := range []int{1000, 10, 0} {
		if err := target.Prepare(flows); err != nil {
			t.Fatal(err)
		}
		if got := conns(t, target); got != flows {
			t.Errorf("Prepare(%d) leaves %d connections", flows, got)
		}
	}
}

// The fullest that a table of its size gets: one flow more, and it is given a
// table twice as large.
func TestATableHoldsAsManyConnectionsAsItWasMadeFor(t *testing.T) {
	const flows = 114_000 // of 131,072 slots
	target := open(t, stage(t, flows))
	if err := target.Prepare(flows); err != nil {
		t.Error(err)
	}
}

func TestDirectRoutingSendsTheFrameToTheServerAsItIs(t *testing.T) {
	s := stage(t, 1000)
	target := openBy(t, s, packet.Route)
	if err := target.Prepare(1000); err != nil {
		t.Fatal(err)
	}
	if err := s.Harness.Verify(target, packet.Route, []packet.Kind{packet.ACK}, 1000); err != nil {
		t.Error(err)
	}
}
