package packet

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/test/bed"
)

// The sweep need not look at a table without connections, but must as soon as there is
// one: by the timer alone, as nobody else is asked here.
func TestTheSweepSleepsWhereAFamilyHasNoConnections(t *testing.T) {
	d := doors[1]
	b := bed.New(t, d.mode)
	commands(t, b, target4.setup+"\n"+target6.setup)
	r := newRunner(t, d, b)
	floods, sweeps := mapOf(t, r.program, "floods"), mapOf(t, r.program, "sweep_map")
	asleep := func(family uint32) bool { return wordAt(t, floods, family, 8) == 2 }
	expired := func() uint32 { return wordAt(t, sweeps, 0, 0) }

	if ok, err := r.connect(target4, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for round := range 2 {
		within(t, "the table of IPv6 is empty, and swept all the same", func() bool { return asleep(1) })
		if asleep(0) {
			t.Fatal("the table of IPv4 is not swept, and has a connection")
		}
		command(t, b, "--set 1 1 1")
		if ok, err := r.connect(target6, round); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if asleep(1) {
			t.Fatal("the table of IPv6 has a connection, and is not swept")
		}
		want := uint32(round + 1)
		within(t, "the connection over IPv6 did not end", func() bool { return expired() == want })
	}
	if asleep(0) {
		t.Error("the table of IPv4 is not swept any more, and has a connection")
	}
}

// within waits until something is so, as a pass over the tables takes a second.
func within(t *testing.T, complaint string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
	}
}

// wordAt reads a word of a map's value.
func wordAt(t *testing.T, m *ebpf.Map, key uint32, at int) uint32 {
	t.Helper()
	value, err := m.LookupBytes(key)
	if err != nil || value == nil {
		t.Fatalf("map %v: %v", m, err)
	}
	return binary.NativeEndian.Uint32(value[at:])
}
