package sched

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
)

// pool are members of the weights, 192.0.2.1 on; a negative weight is 0, and was
// that much.
func pool(weights ...int) []Member {
	var all []Member
	for i, w := range weights {
		last := uint32(max(w, -w))
		all = append(all, Member{
			ID: uint32(i), Weight: uint32(max(w, 0)), LastWeight: last,
			Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:80", i+1)),
		})
	}
	return all
}

func TestTheShareOfClientsThatMoveIsThatOfTheirPlaces(t *testing.T) {
	four := pool(1, 1, 1, 1)
	for _, test := range []struct {
		name          string
		scheduler     string
		before, after Hashed
		from, to      float64
	}{
		{"nothing changes", "sh", Hashed{Members: four}, Hashed{Members: four}, 0, 0},
		{"the last of four under sh goes: nearly all move", "sh", Hashed{Members: four}, Hashed{Members: four[:3]}, 0.7, 0.8},
		{"the last of four under dh goes: as with sh", "dh", Hashed{Members: four}, Hashed{Members: four[:3]}, 0.7, 0.8},
		{"the last of four under mh goes: little more than its own", "mh", Hashed{Members: four}, Hashed{Members: four[:3]}, 0.25, 0.3},
		{"one of sh's rests: its own are refused", "sh", Hashed{Members: four}, Hashed{Members: pool(1, -1, 1, 1)}, 0.25, 0.25},
		{"one of sh's rests, and its own are hashed again", "sh", Hashed{Members: four, Fallback: true}, Hashed{Members: pool(1, -1, 1, 1), Fallback: true}, 0.25, 0.25},
		{"one of mh's rests: its own alone move", "mh", Hashed{Members: four}, Hashed{Members: pool(1, -1, 1, 1)}, 0.249, 0.251},
		{"one of mh's rests, and its own are hashed again", "mh", Hashed{Members: four, Fallback: true}, Hashed{Members: pool(1, -1, 1, 1), Fallback: true}, 0.24, 0.26},
		{"a resting one of mh goes: who was not its own hardly moves", "mh", Hashed{Members: pool(1, 1, 1, -1)}, Hashed{Members: four[:3]}, 0, 0.05},
		{"all go", "mh", Hashed{Members: four}, Hashed{}, 1, 1},
		{"all rest", "mh", Hashed{Members: four, Fallback: true}, Hashed{Members: pool(-1, -1, -1, -1), Fallback: true}, 1, 1},
		{"the first come", "sh", Hashed{}, Hashed{Members: four}, 0, 0},
		{"nobody comes to nobody", "sh", Hashed{}, Hashed{}, 0, 0},
		{"a weight of sh grows: runs shift", "sh", Hashed{Members: four}, Hashed{Members: pool(2, 1, 1, 1)}, 0.7, 0.9},
		{"all other servers", "mh", Hashed{Members: four[:2]}, Hashed{Members: four[2:]}, 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			share, ok := Moved(test.scheduler, test.before, test.after)
			if !ok || math.IsNaN(share) || share < test.from || share > test.to {
				t.Errorf("%v, %v: want %v to %v", share, ok, test.from, test.to)
			}
		})
	}
	if _, ok := Moved("wlc", Hashed{Members: four}, Hashed{Members: four}); ok {
		t.Error("wlc does not hash, and clients have no servers of their own")
	}
}

// With fallback sh is exact, too: a client's second place follows from its first.
func TestClientsHashedAgainBySHGoWhereTheDataPathSendsThem(t *testing.T) {
	l := newLedger(mustFind(t, "sh"), Hashed{Members: pool(1, -1), Fallback: true})
	for _, p := range probes("sh", true, SHPlaces) {
		if got := l.server(p); got != l.members[0].Addr {
			t.Errorf("place %d leads to %v", p(0), got)
		}
	}
}

func mustFind(t *testing.T, name string) Scheduler {
	t.Helper()
	s, ok := Find(name)
	if !ok {
		t.Fatalf("no scheduler %s", name)
	}
	return s
}
