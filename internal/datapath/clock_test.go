package datapath

import (
	"errors"
	"testing"
	"time"
)

// clockAt is the clock of a machine up for so long, with ticks of hz.
func clockAt(hz uint32, up time.Duration) reading {
	const headStart = 300 * time.Second
	ticks := int64((up - headStart).Seconds() * float64(hz))
	return reading{Jiffies: uint64(1<<32 + ticks), Nanoseconds: uint64(up.Nanoseconds())}
}

func TestTheTickRateFollowsFromOneReading(t *testing.T) {
	for _, hz := range []uint32{100, 250, 300, 1000} {
		for _, up := range []time.Duration{time.Second, time.Minute, 4 * time.Minute, 6 * time.Minute, 24 * time.Hour, 1000 * 24 * time.Hour} {
			readings := 0
			got, err := tickRate(func() (reading, error) { readings++; return clockAt(hz, up), nil })
			if err != nil || got != hz || readings != 1 {
				t.Errorf("%d Hz, up for %v: got %d from %d readings (%v)", hz, up, got, readings, err)
			}
		}
	}
}

func TestAroundTheOverflowOfJiffiesTwoReadingsTellTheTickRate(t *testing.T) {
	for hz, up := range map[uint32]time.Duration{100: 271 * time.Second, 250: 300 * time.Second, 1000: 329 * time.Second} {
		at := up
		got, err := tickRate(func() (reading, error) {
			r := clockAt(hz, at)
			at += time.Second
			return r, nil
		})
		if err != nil || got != hz {
			t.Errorf("%d Hz, up for %v: got %d (%v)", hz, up, got, err)
		}
	}
}

func TestAMachineWhoseJiffiesBeganElsewhereIsMeasured(t *testing.T) {
	at := time.Hour
	got, err := tickRate(func() (reading, error) {
		r := reading{Jiffies: uint64(at.Seconds() * 250), Nanoseconds: uint64(at.Nanoseconds())}
		at += time.Second
		return r, nil
	})
	if err != nil || got != 250 {
		t.Errorf("got %d (%v), want 250", got, err)
	}
}

func TestAClockThatFailsIsAnError(t *testing.T) {
	broken := errors.New("broken")
	if _, err := tickRate(func() (reading, error) { return reading{}, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
