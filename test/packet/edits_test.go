package packet

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evs-project/evs/test/bed"
)

// visitors are destinations that come and go beside one that stays.
const visitors = 6

func visitor(verb string, n int, more string) string {
	return fmt.Sprintf("-%s -u 198.51.100.129:80 -r 203.0.113.%d:8080 %s", verb, 10+n, more)
}

func TestEditsAreAtomicToPackets(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, d)
			command(t, c.bed, "-E -u 198.51.100.129:80 -s wrr")
			var stop atomic.Bool
			var lost atomic.Int64
			done := make(chan error)
			go func() {
				done <- c.run(func(thread int, r *runner) error { return r.open(thread, &stop, &lost) })
			}()
			rounds := editsFor(t, c.bed, 1500*time.Millisecond)
			stop.Store(true)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			got := counters(t, c.bed)
			if got["no_destination"] != 0 || got["new_connection"] < 100 || rounds < 5 {
				t.Errorf("%d rounds of edits: %v", rounds, got)
			}
			// Who was chosen in the moment it was removed is no destination any more.
			if n := lost.Load(); uint64(n) != got["destination_gone"]+got["table_full"] {
				t.Errorf("%d first packets were dropped: %v", n, got)
			}
			for n := range visitors { // removed destinations are not listed with their counts
				command(t, c.bed, visitor("a", n, "-m"))
			}
			settle(t, c.bed.Table(), -1)
		})
	}
}

// editsFor adds, weighs and removes destinations for a while.
func editsFor(t *testing.T, b *bed.Bed, long time.Duration) (rounds int) {
	t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); rounds++ {
		for n := range visitors {
			command(t, b, visitor("a", n, fmt.Sprintf("-m -w %d", 1+(rounds+n)%7)))
		}
		for n := range visitors {
			command(t, b, visitor("e", n, fmt.Sprintf("-m -w %d", (rounds+n)%3)))
		}
		for n := range visitors {
			command(t, b, visitor("d", n, ""))
		}
	}
	return rounds
}

// open makes connection after connection.
func (r *runner) open(thread int, stop *atomic.Bool, lost *atomic.Int64) error {
	const most = 1500 // in each thread: the table shall not fill up
	for n := thread; n < threads*most && !stop.Load(); n += threads {
		frame, err := flow("udp", "", n).Frame()
		if err != nil {
			return err
		}
		v, _, err := r.run(frame, false)
		switch {
		case err != nil:
			return err
		case v == drop:
			lost.Add(1)
		case v == leave:
			return fmt.Errorf("the first packet of flow %d was left to the kernel", n)
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}
