package datapath

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
)

// MarkRule is a rule that gives packets a firewall mark.
type MarkRule = controlMarkRule

// Packet is a packet as the data path sees it, parsed. Rules of marks look at its
// addresses, family, protocol and destination port.
type Packet = controlPkt

// MaxMarkPorts is how many ranges of ports a rule has at most.
const MaxMarkPorts = len(MarkRule{}.Port)

// marks are the maps of the rules. Each array has a half for either generation.
type marks struct {
	rules  array[MarkRule]
	places array[uint64]
	trie   *ebpf.Map
}

func (t *Table) marks() (m marks, err error) {
	dir := t.place.table()
	if m.rules, err = mapArray[MarkRule](dir, controlMapMarkRules); err != nil {
		return m, err
	}
	if m.places, err = mapArray[uint64](dir, controlMapMarkPlaces); err != nil {
		m.close()
		return m, err
	}
	if m.trie, err = ebpf.LoadPinnedMap(filepath.Join(dir, controlMapMarkTrie), nil); err != nil {
		m.close()
		return m, fmt.Errorf("rules of marks: %w", err)
	}
	return m, nil
}

func (m *marks) close() {
	m.rules.close()
	m.places.close()
	if m.trie != nil {
		m.trie.Close()
	}
}

// halves returns the part of both arrays that a generation writes, and where
// they begin.
func (m *marks) halves(generation uint32) (rules []MarkRule, places []uint64, rule, place int) {
	rule, place = len(m.rules.elems)/2, len(m.places.elems)/2
	if generation&1 == 0 {
		return m.rules.elems[:rule], m.places.elems[:place], 0, 0
	}
	return m.rules.elems[rule:], m.places.elems[place:], rule, place
}

// markWord takes Settings.Marks apart.
func markWord(word uint64) (generation uint32, count int) {
	return uint32(word >> 32), int(uint32(word))
}

// Marks returns the rules of marks in the order in which they are tried.
func (t *Table) Marks() ([]MarkRule, error) {
	m, err := t.marks()
	if err != nil {
		return nil, err
	}
	defer m.close()
	for { // an edit that came between has left what was read to the next one
		word := atomic.LoadUint64(&t.Settings().Marks)
		generation, count := markWord(word)
		rules, _, _, _ := m.halves(generation)
		got := slices.Clone(rules[:count])
		if atomic.LoadUint64(&t.Settings().Marks) == word {
			return got, nil
		}
	}
}

// SetMarks puts other rules in force, all at once to a packet. They are in the
// order in which they shall be tried, for each family the longest destination
// prefix first.
func (t *Table) SetMarks(want []MarkRule) error {
	m, err := t.marks()
	if err != nil {
		return err
	}
	defer m.close()
	present, _ := markWord(t.Settings().Marks)
	if err := m.sweep(present); err != nil { // of a writer that was killed
		return err
	}
	next := present + 1
	rules, places, rule, place := m.halves(next)
	if len(want) > len(rules) {
		return fmt.Errorf("%w: %d rules of marks, and there is room for %d", ErrFull, len(want), len(rules))
	}
	runs, order := markRuns(want)
	if len(order) > len(places) {
		return fmt.Errorf("%w: the destination prefixes of rules of marks lie too often one in the other", ErrFull)
	}
	copy(rules, want)
	for i, n := range order {
		places[i] = uint64(rule + n)
	}
	for key, run := range runs {
		key.Generation = next
		run.First += uint32(place)
		if err := m.trie.Put(key, run); err != nil {
			return errors.Join(fmt.Errorf("rules of marks: %w", err), m.sweep(present))
		}
	}
	atomic.StoreUint64(&t.Settings().Marks, uint64(next)<<32|uint64(len(want)))
	return m.sweep(next)
}

// markRuns returns for each destination prefix which rules can match beneath it,
// as a run of order, which holds places in rules.
func markRuns(rules []MarkRule) (runs map[controlMarkKey]controlMarkRun, order []int) {
	runs = map[controlMarkKey]controlMarkRun{}
	for i := range rules {
		key := markKey(&rules[i])
		if _, done := runs[key]; done {
			continue
		}
		run := controlMarkRun{First: uint32(len(order))}
		for n := range rules {
			if r := &rules[n]; r.Family == rules[i].Family && r.Bits <= rules[i].Bits && covers(r, key.Addr) {
				order = append(order, n)
			}
		}
		run.Count = uint32(len(order)) - run.First
		runs[key] = run
	}
	return runs, order
}

func markKey(r *MarkRule) controlMarkKey {
	return controlMarkKey{Bits: markKeyBits + uint32(r.Bits), Family: uint32(r.Family), Addr: r.Destination.B}
}

// covers reports whether an address is in a rule's destination prefix.
func covers(r *MarkRule, addr [16]byte) bool {
	whole, rest := int(r.Bits)/8, r.Bits%8
	if string(r.Destination.B[:whole]) != string(addr[:whole]) {
		return false
	}
	return rest == 0 || (r.Destination.B[whole]^addr[whole])>>(8-rest) == 0
}

// sweep takes out of the trie what is not of a generation.
func (m *marks) sweep(generation uint32) error {
	var key controlMarkKey
	var run controlMarkRun
	var dead []controlMarkKey
	it := m.trie.Iterate()
	for it.Next(&key, &run) {
		if key.Generation != generation {
			dead = append(dead, key)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("rules of marks: %w", err)
	}
	for _, key := range dead {
		if err := m.trie.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("rules of marks: %w", err)
		}
	}
	return nil
}

// Mark asks the data path which mark the rules would give a packet.
func (t *Table) Mark(p Packet) (uint32, error) {
	ask, err := ebpf.LoadPinnedProgram(filepath.Join(t.place.table(), controlProgEvsMark), nil)
	if err != nil {
		return 0, fmt.Errorf("mark program: %w", err)
	}
	defer ask.Close()
	question := append(make([]byte, ethernetHeader), unsafe.Slice((*byte)(unsafe.Pointer(&p)), unsafe.Sizeof(p))...)
	mark, _, err := ask.Test(question)
	if err != nil {
		return 0, fmt.Errorf("mark program: %w", err)
	}
	return mark, nil
}

const (
	ethernetHeader = 14
	// markKeyBits are those of the trie's key before the address.
	markKeyBits = uint32(8 * (unsafe.Offsetof(controlMarkKey{}.Addr) - unsafe.Offsetof(controlMarkKey{}.Generation)))
)
