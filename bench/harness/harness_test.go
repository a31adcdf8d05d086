package harness

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/bench/bpf"
	"github.com/evs-project/evs/bench/packet"
)

func TestTheWalkMeetsEveryFlowOnce(t *testing.T) {
	for _, shuffled := range []bool{false, true} {
		order := Order(10_000, shuffled)
		slices.Sort(order)
		for i, flow := range order {
			if flow != i {
				t.Fatalf("shuffled %t: place %d of the sorted walk is flow %d", shuffled, i, flow)
			}
		}
	}
}

func TestTheShuffledWalkIsTheSameEveryTime(t *testing.T) {
	if !slices.Equal(Order(1000, true), Order(1000, true)) {
		t.Error("two walks over 1000 flows differ: targets would not meet the same packets")
	}
}

func TestTheShuffledWalkLeavesNoNeighbours(t *testing.T) {
	order := Order(100_000, true)
	var near int
	for i := 1; i < len(order); i++ {
		if d := order[i] - order[i-1]; -8 <= d && d <= 8 {
			near++
		}
	}
	// By chance 16 in 100,000.
	if near > 100 {
		t.Errorf("%d of 100000 steps lead to a near neighbour", near)
	}
}

func TestAnEntryIsTheClientInTheOrderOfTheWire(t *testing.T) {
	// Flow 1 is 198.51.100.2:1024.
	if got, want := Entry(1), uint64(0x0004_02_64_33_c6); got != want {
		t.Errorf("Entry(1) = %#x, want %#x", got, want)
	}
}

func TestABlankTellsTheHarnessWhereTheClientGoes(t *testing.T) {
	tests := []struct {
		name       string
		kind       packet.Kind
		addr, port uint32
	}{
		{"a request has the client as its source", packet.ACK, 0, 0},
		{"a reply has the client as its destination", packet.ReplyACK, 32, 16},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var plan bpf.HarnessRunPlan
			blank(packet.Documentation.Blank(tt.kind), &plan, 1)
			if f := plan.Frames[1]; f.AddrShift != tt.addr || f.PortShift != tt.port {
				t.Errorf("shifts %d and %d, want %d and %d", f.AddrShift, f.PortShift, tt.addr, tt.port)
			}
		})
	}
}

func TestTheSampleHasBothEnds(t *testing.T) {
	for _, flows := range []int{1, 2, 8, 1_000_000} {
		some := sample(flows)
		if some[0] != 0 || some[len(some)-1] != flows-1 {
			t.Errorf("sample(%d) = %v, want the first and the last flow in it", flows, some)
		}
	}
}

func TestAnOutcomeIsCompleteWhenPacketsWentOn(t *testing.T) {
	tests := []struct {
		name    string
		outcome Outcome
		want    string // empty: complete
	}{
		{"all but the last, which is not counted", Outcome{Packets: 100, Forwarded: 99, Verdict: verdictTX}, ""},
		{"redirected", Outcome{Packets: 100, Forwarded: 99, Verdict: verdictRedirect}, ""},
		{"the last was passed up", Outcome{Packets: 100, Forwarded: 99, Verdict: 2}, "XDP_PASS"},
		{"half were dropped", Outcome{Packets: 100, Forwarded: 50, Verdict: verdictTX}, "only 50 of 100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.outcome.Complete()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTheCostOfAPacketIsAMean(t *testing.T) {
	if got := (Outcome{Packets: 4, CPU: 10 * time.Nanosecond}).PerPacket(); got != 2.5 {
		t.Errorf("got %g ns, want 2.5", got)
	}
}
