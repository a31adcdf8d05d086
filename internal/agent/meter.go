package agent

import (
	"context"
	"sync"
	"time"
)

// A gauge is a measure as two sums that grow: of what was used, and of what there was
// to be used. The load over some time is how much the one grew by how much the other.
type gauge struct {
	sums func(now time.Time) (used, whole float64, err error)
	// least is the load below which it says nothing.
	least float64
}

// level makes a gauge of what has a size at each moment, which makes the load a mean.
func level(read func() (used, whole float64, err error)) gauge {
	var used, whole float64
	return gauge{sums: func(time.Time) (float64, float64, error) {
		u, w, err := read()
		if err != nil || w <= 0 {
			return used, whole, err
		}
		used, whole = used+u/w, whole+1
		return used, whole, nil
	}}
}

// pieces is how many samples a window has, and minWindow the shortest window: the
// kernel counts time in hundredths of seconds.
const (
	pieces    = 4
	minWindow = 400 * time.Millisecond
)

// sample is what a gauge said.
type sample struct{ used, whole float64 }

// A meter reads gauges and tells the greatest load within its window.
type meter struct {
	gauges []gauge
	step   time.Duration

	mu      sync.Mutex
	samples [][]sample // of each gauge, the oldest first
	err     error
}

func newMeter(gauges []gauge, window time.Duration) (*meter, error) {
	m := &meter{gauges: gauges, step: window / pieces, samples: make([][]sample, len(gauges))}
	m.take(time.Now())
	return m, m.err
}

// begin waits until there is something to tell.
func (m *meter) begin(ctx context.Context) {
	select {
	case <-ctx.Done():
	case now := <-time.After(m.step):
		m.take(now)
	}
}

// run reads the gauges until ctx is over.
func (m *meter) run(ctx context.Context) {
	ticker := time.NewTicker(m.step)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			m.take(now)
		}
	}
}

func (m *meter) take(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = nil
	for i, g := range m.gauges {
		used, whole, err := g.sums(now)
		if err != nil {
			m.err = err
			continue
		}
		m.samples[i] = append(m.samples[i], sample{used, whole})
		if extra := len(m.samples[i]) - pieces - 1; extra > 0 {
			m.samples[i] = m.samples[i][extra:]
		}
	}
}

// load is the greatest of the gauges' loads.
func (m *meter) load() (greatest float64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, all := range m.samples {
		if len(all) == 0 {
			continue
		}
		first, last := all[0], all[len(all)-1]
		whole := last.whole - first.whole
		if load := (last.used - first.used) / whole; whole > 0 && load >= m.gauges[i].least {
			greatest = max(greatest, load)
		}
	}
	return greatest, m.err
}
