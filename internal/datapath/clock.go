package datapath

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
)

// reading is both of the kernel's clocks at one moment.
type reading = controlClock

// readClock runs the clock program.
func readClock(program *ebpf.Program, clocks *ebpf.Map) (reading, error) {
	var r reading
	packet := make([]byte, 64) // TEST_RUN wants at least a header
	if code, _, err := program.Test(packet); err != nil || code != 0 {
		return r, fmt.Errorf("clock program: code %d: %w", code, err)
	}
	if err := clocks.Lookup(uint32(0), &r); err != nil {
		return r, fmt.Errorf("clock program's answer: %w", err)
	}
	return r, nil
}

// Era is by what the localities of a scheduler are known that comes to its service now
// (bpf/locality.h): a number drawn at random, and jiffies. 0 where the clock cannot be
// read: the era then begins with the first choice.
func (t *Table) Era() uint64 {
	program, err := ebpf.LoadPinnedProgram(filepath.Join(t.place.table(), controlProgEvsClock), nil)
	if err != nil {
		return 0
	}
	defer program.Close()
	clocks, err := ebpf.LoadPinnedMap(filepath.Join(t.place.table(), controlMapClocks), nil)
	if err != nil {
		return 0
	}
	defer clocks.Close()
	now, err := readClock(program, clocks)
	if err != nil {
		return 0
	}
	return uint64(rand.Uint32()|1)<<32 | uint64(uint32(now.Jiffies)+t.Settings().Clock)
}

// tickRates are the values CONFIG_HZ can have.
var tickRates = []float64{24, 48, 100, 128, 200, 250, 256, 300, 500, 512, 1000, 1024, 1200}

// tickRate returns HZ. The kernel tells it to nobody, but jiffies began five
// minutes before they overflow 32 bits, so one reading gives it away; within
// the first minutes around that overflow two readings do.
func tickRate(read func() (reading, error)) (uint32, error) {
	first, err := read()
	if err != nil {
		return 0, err
	}
	if hz := rateSinceBoot(first); hz != 0 {
		return hz, nil
	}
	time.Sleep(200 * time.Millisecond)
	second, err := read()
	if err != nil {
		return 0, err
	}
	ticks := float64(second.Jiffies - first.Jiffies)
	return nearestRate(ticks / (float64(second.Nanoseconds-first.Nanoseconds) / 1e9)), nil
}

// rateSinceBoot returns 0 where one reading is no safe evidence.
func rateSinceBoot(r reading) uint32 {
	const headStart = 300 // seconds until jiffies pass 2^32
	seconds := float64(r.Nanoseconds)/1e9 - headStart
	if math.Abs(seconds) < 30 {
		return 0
	}
	rate := (float64(r.Jiffies) - (1 << 32)) / seconds
	hz := nearestRate(rate)
	if math.Abs(rate-float64(hz)) > float64(hz)/100 {
		return 0
	}
	return hz
}

func nearestRate(rate float64) uint32 {
	best := tickRates[0]
	for _, r := range tickRates {
		if math.Abs(r-rate) < math.Abs(best-rate) {
			best = r
		}
	}
	return uint32(best)
}
