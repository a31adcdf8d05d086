package packet

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/evs-project/evs/test/bed"
)

func TestATableOfDefaultSizeIsSmallAndSleepsWhileItCan(t *testing.T) {
	d := doors[1]
	b := bed.NewSized(t, d.mode, 0)
	commands(t, b, target4.setup+"\n"+target6.setup)
	memory(t, b)
	sleeps(t, b, newRunner(t, d, b))
}

// The most bytes that a connection takes, of what there is more of in a table for more of
// them; and with all other maps, which are there for destinations, where IPv4 and IPv6
// have as many as the table was made for.
const (
	mostGrowing = 96
	mostWithAll = 160
)

// growing are the maps that are larger in a table for more connections.
var growing = []string{"conns4", "conns6", "half_ring"}

// memory asks the kernel what it has charged for each map.
func memory(t *testing.T, b *bed.Bed) {
	t.Helper()
	status, err := b.Table().Status()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := b.Pins()
	if err != nil {
		t.Fatal(err)
	}
	pins, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var grows, all uint64
	for _, pin := range pins {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, pin.Name()), nil)
		if err != nil {
			continue // a program, or the directory of links
		}
		info, err := m.Info()
		m.Close()
		if err != nil {
			t.Fatal(err)
		}
		bytes, _ := info.Memlock()
		all += bytes
		if slices.Contains(growing, pin.Name()) {
			grows += bytes
		}
	}
	// an eighth of the slots stays free, and the overflow is a sixteenth more
	conns := uint64(status.Capacity+status.Capacity6) * 16 / 17 * 7 / 8
	if grows < uint64(status.Bytes) || conns == 0 {
		t.Fatalf("%d bytes are charged for a table of %d, for %d connections", grows, status.Bytes, conns)
	}
	t.Logf("%d connections: %d bytes each, %d with all maps", conns, grows/conns, all/conns)
	if grows/conns > mostGrowing || all/conns > mostWithAll {
		t.Errorf("a connection takes %d bytes, with all maps %d; want %d and %d", grows/conns, all/conns, mostGrowing, mostWithAll)
	}
}

// The sweep need not look at a table without connections, but must as soon as there is
// one: by the timer alone, as nobody else is asked here.
func sleeps(t *testing.T, b *bed.Bed, r *runner) {
	t.Helper()
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
