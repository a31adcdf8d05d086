package textbook

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/bench/bpf"
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

func open(t *testing.T, k Kind, s harness.Stage) *Target {
	t.Helper()
	target, err := New(k, s)
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

var kinds = []Kind{
	{"NAT", packet.Masq, false},
	{"NAT, coarse clock", packet.Masq, true},
	{"direct routing", packet.Route, false},
	{"direct routing, coarse clock", packet.Route, true},
}

// life is what a balancer of the method gets to see of a connection.
func life(m packet.Method) []packet.Kind {
	if m == packet.Route {
		return []packet.Kind{packet.SYN, packet.ACK}
	}
	return []packet.Kind{packet.SYN, packet.SYNACK, packet.ACK, packet.ReplyACK}
}

func TestEveryPacketIsDeliveredAsItShouldBe(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.Name+", connections written from outside", func(t *testing.T) {
			s := stage(t, 1000)
			target := open(t, k, s)
			if err := target.Prepare(1000); err != nil {
				t.Fatal(err)
			}
			if err := s.Harness.Verify(target, k.Method, life(k.Method), 1000); err != nil {
				t.Error(err)
			}
		})
		t.Run(k.Name+", connections opened by packets", func(t *testing.T) {
			s := stage(t, 1000)
			target := open(t, k, s)
			if err := s.Harness.Establish(target.Program(), k.Method, 1000); err != nil {
				t.Fatal(err)
			}
			if err := s.Harness.Verify(target, k.Method, life(k.Method)[1:], 1000); err != nil {
				t.Error(err)
			}
		})
	}
}

// The two ways to a connection must lead to the same one.
func TestAConnectionOpenedIsTheOneWritten(t *testing.T) {
	s := stage(t, 10)
	k := kinds[0]
	written, opened := open(t, k, s), open(t, k, s)
	if err := written.Prepare(10); err != nil {
		t.Fatal(err)
	}
	if err := s.Harness.Establish(opened.Program(), k.Method, 10); err != nil {
		t.Fatal(err)
	}
	// The textbook's entries learn of packets in their own direction only:
	// the reply's is established by the first reply after the opening.
	o, err := s.Harness.Run(opened.Program(), harness.Play{Kinds: []packet.Kind{packet.ReplyACK}, Flows: 10, Packets: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Complete(); err != nil {
		t.Fatal(err)
	}
	got, want := entries(t, opened), entries(t, written)
	if len(got) != 20 || len(want) != 20 {
		t.Fatalf("%d entries opened and %d written, want 20 of each", len(got), len(want))
	}
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			t.Errorf("%+v was not opened", key)
			continue
		}
		g.Expires, g.Packets, g.Bytes = w.Expires, w.Packets, w.Bytes
		if g != w {
			t.Errorf("%+v:\nopened  %+v\nwritten %+v", key, g, w)
		}
	}
}

func entries(t *testing.T, target *Target) map[bpf.TextbookFlowKey]bpf.TextbookTranslation {
	t.Helper()
	all := make(map[bpf.TextbookFlowKey]bpf.TextbookTranslation)
	var key bpf.TextbookFlowKey
	var value bpf.TextbookTranslation
	each := target.objects.Translations.Iterate()
	for each.Next(&key, &value) {
		all[key] = value
	}
	if err := each.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestThePlayMeetsEveryFlowAsOftenAsTheNext(t *testing.T) {
	tests := []struct {
		name           string
		kinds          []packet.Kind
		flows, packets int
		forward, reply uint64 // packets that each entry should have counted
	}{
		{"one way", []packet.Kind{packet.ACK}, 100, 300, 3, 0},
		{"the other way", []packet.Kind{packet.ReplyACK}, 100, 300, 0, 3},
		{"in turn, an even number of flows", []packet.Kind{packet.ACK, packet.ReplyACK}, 100, 400, 2, 2},
		{"in turn, an odd number of flows", []packet.Kind{packet.ACK, packet.ReplyACK}, 99, 396, 2, 2},
		{"in turn, a single flow", []packet.Kind{packet.ACK, packet.ReplyACK}, 1, 10, 5, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := stage(t, 100)
			target := open(t, kinds[0], s)
			if err := target.Prepare(tt.flows); err != nil {
				t.Fatal(err)
			}
			o, err := s.Harness.Run(target.Program(), harness.Play{Kinds: tt.kinds, Flows: tt.flows, Packets: tt.packets, Shuffled: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := o.Complete(); err != nil {
				t.Fatal(err)
			}
			for key, entry := range entries(t, target) {
				want := tt.forward
				if entry.Reply == 1 {
					want = tt.reply
				}
				if entry.Packets != want {
					t.Errorf("%+v counted %d packets, want %d", key, entry.Packets, want)
				}
			}
		})
	}
}

func TestEveryNewFlowFindsRoom(t *testing.T) {
	const flows = 5000
	s := stage(t, flows)
	target := open(t, kinds[0], s)
	o, err := s.Harness.Run(target.Program(), harness.Play{Kinds: []packet.Kind{packet.SYN}, Flows: flows, Packets: flows, Shuffled: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Complete(); err != nil {
		t.Error(err)
	}
	if n := len(entries(t, target)); n != 2*flows {
		t.Errorf("%d entries, want %d", n, 2*flows)
	}
}

// idle is a target that forwards nothing.
type idle struct{ empty *ebpf.Program }

func (i idle) Name() string           { return "idle" }
func (i idle) Program() *ebpf.Program { return i.empty }
func (i idle) Prepare(int) error      { return nil }
func (i idle) Close() error           { return nil }

func TestATargetThatForwardsNothingIsRefused(t *testing.T) {
	s := stage(t, 10)
	target := open(t, kinds[0], s)
	empty, err := s.Harness.Empty(target.Program())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		target harness.Target
		want   string
	}{
		{"it leaves the packet alone", idle{empty}, "spoils the ACK of flow 0"},
		{"it knows no connection", target, "does not forward the ACK of flow 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := s.Harness.Verify(tt.target, packet.Masq, []packet.Kind{packet.ACK}, 10)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestATargetWithFragmentsIsMeasuredToo(t *testing.T) {
	const hasFrags = 1 << 5 // BPF_F_XDP_HAS_FRAGS
	s := stage(t, 10)
	target := open(t, kinds[0], s)
	spec, err := bpf.LoadTextbook()
	if err != nil {
		t.Fatal(err)
	}
	spec.Programs["textbook_nat"].Flags |= hasFrags
	replaced := map[string]*ebpf.Map{
		"services": target.objects.Services, "backends": target.objects.Backends,
		"translations": target.objects.Translations,
	}
	spec.Maps["translations"].MaxEntries = target.objects.Translations.MaxEntries()
	var objects struct {
		NAT *ebpf.Program `ebpf:"textbook_nat"`
	}
	if err := spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{MapReplacements: replaced}); err != nil {
		t.Fatal(err)
	}
	defer objects.NAT.Close()
	if err := s.Harness.Establish(objects.NAT, packet.Masq, 10); err != nil {
		t.Error(err)
	}
	if n := len(entries(t, target)); n != 20 {
		t.Errorf("%d entries, want 20", n)
	}
}

func TestTheHarnessRefusesMoreFlowsThanItHasRoomFor(t *testing.T) {
	s := stage(t, 10)
	target := open(t, kinds[0], s)
	if err := target.Prepare(11); err == nil {
		t.Error("Prepare(11) on a stage for 10 flows gave no error")
	}
	_, err := s.Harness.Run(target.Program(), harness.Play{Kinds: []packet.Kind{packet.ACK}, Flows: 11, Packets: 11})
	if err == nil || !strings.Contains(err.Error(), "1 to 10") {
		t.Errorf("Run of 11 flows: got %v, want an error that names 1 to 10", err)
	}
}
