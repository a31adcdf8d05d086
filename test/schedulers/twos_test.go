package schedulers

import "testing"

// The bounds hold whatever is drawn: they are beyond six standard deviations.

func TestTwosGivesTheFullestOfFourOneInSixteen(t *testing.T) {
	s := newScene(t, "twos", "100", "100", "100", "100")
	var load [5]int
	asked, fullest := 0, 0
	for i := range 2000 {
		to := s.datagram(i, i%100)
		most, alone := 1, true
		for n := 2; n < len(load); n++ {
			if load[n] == load[most] {
				alone = false
			} else if load[n] > load[most] {
				most, alone = n, true
			}
		}
		if alone {
			asked++
			if to == most {
				fullest++
			}
		}
		load[to]++
	}
	// One draw would give it a quarter, least connection nothing.
	if fullest*100 < asked || fullest*100 > asked*14 || asked < 300 {
		t.Errorf("the fullest got %d connections of %d", fullest, asked)
	}
	for n, got := range load[1:] {
		if got < 470 || got > 530 {
			t.Errorf("server %d got %d connections of 2000", n+1, got)
		}
	}
}

func TestTwosGoesByWeightAndPassesOverWhoHasNone(t *testing.T) {
	s := newScene(t, "twos", "0", "100", "300")
	var load [4]int
	for i := range 1000 {
		load[s.datagram(i, i%100)]++
	}
	if load[0] != 0 || load[1] != 0 || load[2] < 200 || load[2] > 300 {
		t.Errorf("of 1000 connections: refused %d, weights 0, 100, 300 got %v", load[0], load[1:])
	}
	s.ipvsadm("-e", "-f", "1", "-r", server(2), "-g", "-w", "0")
	s.ipvsadm("-e", "-f", "1", "-r", server(3), "-g", "-w", "0")
	if got := s.datagram(5000, 0); got != nobody {
		t.Errorf("server %d of weight 0 got a connection", got)
	}
}
