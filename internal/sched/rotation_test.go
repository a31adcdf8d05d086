package sched

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// service is a list of members with a scheduler's memory: what the data path
// does with it (pick) and what the table does (edit).
type service struct {
	rotate   Rotate
	rotation Rotation
	members  []Member
}

func (s *service) edit(fresh bool, now []Member) {
	s.rotation = s.rotate(s.rotation.Memory, fresh, s.members, now)
	s.members = now
}

// pickRR is rr.h.
func (s *service) pickRR() int {
	position, _ := unpackMemory(s.rotation.Memory)
	for range s.members {
		if int(position) >= len(s.members) {
			position = 0
		}
		position++
		if s.members[position-1].Weight > 0 {
			s.rotation.Memory = packMemory(position, 0)
			return int(s.members[position-1].ID)
		}
	}
	return none
}

// pickWRR is wrr.h.
func (s *service) pickWRR() int {
	if s.rotation.Top == 0 {
		return none
	}
	position, level := unpackMemory(s.rotation.Memory)
	for falls := 0; ; {
		if int(position) >= len(s.members) {
			position = 0
			if level > s.rotation.Step {
				level -= s.rotation.Step
			} else {
				level = s.rotation.Top
				falls++
			}
			if falls > 1 {
				return none
			}
		}
		position++
		if s.members[position-1].Weight >= level {
			s.rotation.Memory = packMemory(position, level)
			return int(s.members[position-1].ID)
		}
	}
}

const none = -1

// kernel is the round robins as the kernel has them: a list, a pointer into it
// and for wrr the weights that go with it.
type kernel struct {
	members []Member
	last    int // ID, none for the head of the list
	current int
	top     int
	step    int
}

// next calls use for each member after the pointer until it says yes.
func (k *kernel) next(usable func(Member) bool) (Member, bool) {
	from := slices.IndexFunc(k.members, func(m Member) bool { return int(m.ID) == k.last }) + 1
	for _, m := range k.members[from:] {
		if usable(m) {
			k.last = int(m.ID)
			return m, true
		}
	}
	return Member{}, false
}

func (k *kernel) pickRR() int {
	start := k.last
	for range 2 {
		if m, ok := k.next(func(m Member) bool { return m.Weight > 0 }); ok {
			return int(m.ID)
		}
		k.last = none
	}
	k.last = start
	return none
}

// removeRR is ip_vs_rr_del_dest.
func (k *kernel) removeRR(i int) {
	if k.last == int(k.members[i].ID) {
		k.last = none
		if i > 0 {
			k.last = int(k.members[i-1].ID)
		}
	}
}

func (k *kernel) pickWRR() int {
	if k.top == 0 {
		return none
	}
	for {
		if m, ok := k.next(func(m Member) bool { return int(m.Weight) >= k.current }); ok {
			return int(m.ID)
		}
		k.last = none
		if k.current -= k.step; k.current <= 0 {
			k.current = k.top
		}
	}
}

// changedWRR is ip_vs_wrr_dest_changed.
func (k *kernel) changedWRR() {
	greatest, divisor := 0, 0
	for _, m := range k.members {
		if w := int(m.Weight); w > 0 {
			greatest = max(greatest, w)
			divisor = int(gcd(uint32(divisor), m.Weight))
		}
	}
	k.step = max(1, divisor)
	k.top = greatest - (k.step - 1)
	k.last = none
	if k.current > k.top || k.current == 0 {
		k.current = k.top
	} else if k.step > 1 {
		k.current = k.current/k.step*k.step + 1
	}
}

// weights are drawn with zeros, equals and common divisors among them.
var weights = []uint32{0, 0, 1, 1, 2, 3, 4, 6, 8, 12, 100}

// editOnce adds, changes or removes one member, of both alike.
func editOnce(random *rand.Rand, members []Member, fresh *uint32) (now []Member, removed int) {
	now = slices.Clone(members)
	weight := weights[random.IntN(len(weights))]
	switch kind := random.IntN(3); {
	case kind == 0 || len(now) == 0:
		*fresh++
		return append([]Member{{ID: *fresh, Weight: weight}}, now...), none
	case kind == 1:
		now[random.IntN(len(now))].Weight = weight
		return now, none
	}
	removed = random.IntN(len(now))
	return slices.Delete(now, removed, removed+1), removed
}

func TestRoundRobinsTurnAsTheKernelsDoAcrossRandomEdits(t *testing.T) {
	for _, scheduler := range []string{"rr", "wrr"} {
		t.Run(scheduler, func(t *testing.T) {
			for seed := range uint64(300) {
				compare(t, scheduler, rand.New(rand.NewPCG(seed, 1)))
			}
		})
	}
}

func compare(t *testing.T, scheduler string, random *rand.Rand) {
	t.Helper()
	found, _ := Find(scheduler)
	s := &service{rotate: found.Rotate}
	s.edit(true, nil)
	k := &kernel{last: none}
	var ids uint32
	for range 60 {
		now, removed := editOnce(random, s.members, &ids)
		if removed >= 0 && scheduler == "rr" {
			k.removeRR(removed)
		}
		s.edit(false, now)
		k.members = now
		if scheduler == "wrr" {
			k.changedWRR()
		}
		for range random.IntN(25) {
			got, want := s.pickRR, k.pickRR
			if scheduler == "wrr" {
				got, want = s.pickWRR, k.pickWRR
			}
			if g, w := got(), want(); g != w {
				t.Fatalf("member %d was chosen, the kernel chooses %d, of %v", g, w, s.members)
			}
		}
	}
}

func TestWeightedRoundRobinGivesEachItsShare(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var members []Member
		total, divisor := uint32(0), uint32(0)
		for id := range uint32(1 + random.IntN(8)) {
			w := weights[random.IntN(len(weights))]
			members = append(members, Member{ID: id, Weight: w})
			total += w
			divisor = gcd(divisor, w)
		}
		s := &service{rotate: rotateWRR}
		s.edit(true, members)
		if total == 0 {
			if got := s.pickWRR(); got != none {
				t.Fatalf("member %d of no weight was chosen of %v", got, members)
			}
			continue
		}
		turns := make([]uint32, len(members))
		for range 3 * total / divisor {
			turns[s.pickWRR()]++
		}
		for i, m := range members {
			if turns[i] != 3*m.Weight/divisor {
				t.Fatalf("weights %v had %v turns in three rounds", members, turns)
			}
		}
	}
}

func TestATurnStaysWhereItWasWhenOthersComeAndGo(t *testing.T) {
	at := func(position uint32) uint64 { return packMemory(position, 0) }
	weigh := func(id uint32) Member { return Member{ID: id, Weight: 1} }
	abc := []Member{weigh(1), weigh(2), weigh(3)}
	for name, c := range map[string]struct {
		memory uint64
		fresh  bool
		now    []Member
		want   uint64
	}{
		"one is added before it":              {at(2), false, []Member{weigh(9), weigh(1), weigh(2), weigh(3)}, at(3)},
		"one is removed before it":            {at(2), false, []Member{weigh(2), weigh(3)}, at(1)},
		"one is removed behind it":            {at(2), false, []Member{weigh(1), weigh(2)}, at(2)},
		"it is removed itself":                {at(2), false, []Member{weigh(1), weigh(3)}, at(1)},
		"it is removed and was the first":     {at(1), false, []Member{weigh(2), weigh(3)}, at(0)},
		"all are removed":                     {at(3), false, nil, at(0)},
		"nobody had a turn yet":               {at(0), false, []Member{weigh(9), weigh(1)}, at(0)},
		"the scheduler is new to the service": {at(2), true, abc, at(0)},
		"the memory is another scheduler's":   {packMemory(77, 3), false, abc, at(0)},
	} {
		if got := rotateRR(c.memory, c.fresh, abc, c.now).Memory; got != c.want {
			t.Errorf("when %s: %x, want %x", name, got, c.want)
		}
	}
}

func TestEverySchedulerIsFoundByItsNameAndExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All {
		found, ok := Find(s.Name)
		if !ok || found.Name != s.Name || seen[s.Name] || s.About == "" {
			t.Errorf("scheduler %q: found %v, twice %v, about %q", s.Name, ok, seen[s.Name], s.About)
		}
		if len(s.Name) > 8 {
			t.Errorf("scheduler %q: the record has room for 8 bytes", s.Name)
		}
		seen[s.Name] = true
	}
	if _, ok := Find(Default); !ok {
		t.Errorf("the default scheduler %q is not there", Default)
	}
	if _, ok := Find(None); ok {
		t.Errorf("%q is no scheduler", None)
	}
	if len(Names()) != len(All) {
		t.Errorf("%d names of %d schedulers", len(Names()), len(All))
	}
}
