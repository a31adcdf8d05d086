package datapath

import "testing"

func TestATableHasRoomForTheConnectionsAskedFor(t *testing.T) {
	const huge = 1 << 50
	for _, c := range []struct{ conns, buckets int }{
		{1, minBuckets}, {3 * minBuckets, minBuckets}, {4 * minBuckets, 2 * minBuckets},
		{900_000, 1 << 18}, {1_000_000, 1 << 19}, {1 << 20, 1 << 19}, {1 << 40, maxBuckets},
	} {
		if got := (Sizes{Conns: c.conns}).buckets(huge); got != c.buckets {
			t.Errorf("%d connections: %d buckets, want %d", c.conns, got, c.buckets)
		}
	}
}

func TestWithoutASizeMemoryDecides(t *testing.T) {
	for _, c := range []struct {
		memory  uint64
		buckets int
	}{
		{0, minBuckets}, {32 << 20, minBuckets}, {64 << 20, 2 * minBuckets}, {1 << 30, 1 << 17}, {2 << 30, 1 << 18}, {1 << 40, defaultBuckets},
	} {
		if got := (Sizes{}).buckets(c.memory); got != c.buckets {
			t.Errorf("%d MiB: %d buckets, want %d", c.memory>>20, got, c.buckets)
		}
	}
	for _, c := range []struct {
		memory uint64
		want   int
	}{{0, minDsts}, {1 << 50, 131072}} {
		if got := (Sizes{}).dsts(c.memory, 2, 131072, 4); got != c.want {
			t.Errorf("%d MiB: %d destinations, want %d", c.memory>>20, got, c.want)
		}
	}
	if got := (Sizes{Dsts: 77}).dsts(1<<50, 2, 131072, 4); got != 77 {
		t.Errorf("77 destinations asked for, got %d", got)
	}
	if got := (Sizes{Dsts: 1 << 30}).dsts(1<<50, 2, 131072, 4); got != 131072 {
		t.Errorf("more destinations asked for than there can be, got %d", got)
	}
}

func TestKernelsFromSixOneOnAreSupported(t *testing.T) {
	for release, want := range map[string]bool{
		"6.1.0-18-amd64": true, "6.18.44": true, "6.2": true, "7.0.0-rc1": true, "10.0": true,
		"6.0.19": false, "5.15.0-91-generic": false, "4.19": false,
		"unheard of": true, "": true,
	} {
		if got := releaseSupported(release); got != want {
			t.Errorf("Linux %q: %v, want %v", release, got, want)
		}
	}
}

func TestTheDoorFollowsModeAndDriver(t *testing.T) {
	veth := facts{Name: "d0", Kind: "veth"}
	card := facts{Name: "eth0", Kind: "device", Driver: "ice"}
	member := facts{Name: "eth2", Kind: "device", Driver: "ice", Master: "bond0"}
	old := facts{Name: "eth1", Kind: "device", Driver: "e1000"}
	for _, c := range []struct {
		name string
		f    facts
		mode Mode
		xdp  bool
		none bool
	}{
		{"auto gives a virtual interface tc", veth, ModeAuto, false, false},
		{"auto gives a card with a known driver XDP", card, ModeAuto, true, false},
		{"auto gives a card with another driver tc", old, ModeAuto, false, false},
		{"xdp is given where it is asked for", veth, ModeXDP, true, false},
		{"tc is given where it is asked for", card, ModeTC, false, false},
		{"off gives nothing", card, ModeOff, false, true},
		{"auto gives a member of a bond nothing, as the bond has it", member, ModeAuto, false, true},
		{"a member is given what it is asked for", member, ModeXDP, true, false},
	} {
		got := choose(c.f, c.mode)
		if got.XDP != c.xdp || got.None != c.none || got.Reason == "" {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

func TestEveryModeIsParsedFromItsName(t *testing.T) {
	for _, m := range []Mode{ModeAuto, ModeXDP, ModeTC, ModeOff} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%s: %v (%v)", m, got, err)
		}
	}
	for _, wrong := range []string{"", "XDP", "native"} {
		if _, err := ParseMode(wrong); err == nil {
			t.Errorf("mode %q was taken", wrong)
		}
	}
}
