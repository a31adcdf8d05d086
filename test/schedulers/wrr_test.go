package schedulers

import (
	"testing"
	"time"
)

// As the kernel's ip_vs_wrr does: its walk ends where it began, at the lowest level.
func TestTheTurnOfWRRIsAtTheLowestLevelWhenAllWereOverloaded(t *testing.T) {
	s, client := newScene(t, "rr", "0", "1", "0"), 0
	weigh := func(weights ...string) {
		for i, w := range weights {
			s.ipvsadm("-e", "-f", "1", "-r", server(i+1), "-g", "-w", w, "-x", "1")
		}
	}
	weigh("0", "1", "0")
	s.expect(&client, 0, 2, "with one that has weight")
	weigh("2", "1", "3")
	s.ipvsadm("-E", "-f", "1", "-s", "wrr")
	s.expect(&client, 0, 3, "at level 3")
	s.expect(&client, 0, 1, "at level 2")
	s.expect(&client, 0, nobody, "all being overloaded")
	s.advance(10 * time.Minute)
	s.expect(&client, 0, 3, "at level 3 again, behind the lowest")
	s.expect(&client, 0, 1, "at level 2")
}
