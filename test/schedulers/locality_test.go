package schedulers

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// expect sends the next datagram to an address and says if it goes elsewhere.
func (s *scene) expect(client *int, address, want int, when string) {
	s.Helper()
	*client++
	if got := s.datagram(*client, address); got != want {
		s.Errorf("%s, address %d is given server %d, want %d", when, address, got, want)
	}
}

func TestLocalitiesLapseAtTheHalfHourlyCheckAfterTheirTime(t *testing.T) {
	for _, scheduler := range []string{"lblc", "lblcr"} {
		t.Run(scheduler, func(t *testing.T) {
			s, client := newScene(t, scheduler, "1", "1"), 0
			const a, b = 0, 1
			s.expect(&client, b, 2, "the first") // the newest server, at the head of the list
			s.expect(&client, a, 1, "as the other is busier")
			s.advance(20 * time.Minute) // connections are forgotten, localities are not
			s.expect(&client, a, 1, "20 minutes later")
			if err := s.bed.Sysctl("net.ipv4.vs." + scheduler + "_expiration=60"); err != nil {
				t.Fatal(err)
			}
			s.advance(8 * time.Minute)
			s.expect(&client, a, 1, "unused for 8 minutes, but not checked")
			s.advance(3 * time.Minute)
			s.expect(&client, b, 2, "whatever it was, lapsed")
			s.advance(6 * time.Minute)
			s.expect(&client, a, 2, "lapsed at the check of the half hour")
		})
	}
}

func TestLocalitiesEndWithTheirSchedulerAndOutliveTheirServer(t *testing.T) {
	for _, scheduler := range []string{"lblc", "lblcr"} {
		t.Run(scheduler, func(t *testing.T) {
			s, client := newScene(t, scheduler, "1", "1"), 0
			const a, b = 0, 1
			s.expect(&client, b, 2, "the first")
			s.expect(&client, a, 1, "as the other is busier")
			s.ipvsadm("-d", "-f", "1", "-r", server(1))
			s.expect(&client, b, 2, "with one server")
			s.ipvsadm("-a", "-f", "1", "-r", server(1), "-g", "-w", "1")
			s.advance(10 * time.Minute)
			s.expect(&client, a, 1, "its server having come back")
			s.ipvsadm("-E", "-f", "1", "-s", "rr")
			s.ipvsadm("-E", "-f", "1", "-s", scheduler)
			s.advance(10 * time.Minute)
			s.expect(&client, b, 1, "the scheduler being new, the head of the list")
		})
	}
}

func TestASetGrowsInARushAndLosesItsBusiestWhenItIsOver(t *testing.T) {
	s := newScene(t, "lblcr", "1", "1")
	if err := s.bed.Sysctl("net.ipv4.vs.lblcr_expiration=60"); err != nil {
		t.Fatal(err)
	}
	client := 0
	open := func(want int, when string) {
		t.Helper()
		client++
		if got := s.open(client, 0); got != want {
			t.Errorf("%s: server %d, want %d", when, got, want)
		}
	}
	open(2, "the first")
	open(2, "as busy as its weight")
	open(1, "busier than its weight, and the other is idle")
	open(1, "the less busy of the set")
	s.advance(2 * time.Minute)
	open(1, "of two as busy the newer one, and the busiest goes: the newer one")
	open(2, "only the older one is left")
	open(2, "as busy as the other")
	open(2, "busier than the other, which is not in the set")
}

func TestMemoryOfLocalitiesIsGivenBack(t *testing.T) {
	s, client := newScene(t, "lblc", "1", "1"), 0
	for address := range 100 {
		client++
		s.datagram(client, address)
	}
	if err := s.bed.Sysctl("net.ipv4.vs.lblc_expiration=60"); err != nil {
		t.Fatal(err)
	}
	if n := s.localities(); n != 100 {
		t.Errorf("%d localities of a hundred addresses", n)
	}
	s.advance(40 * time.Minute)
	for until := time.Now().Add(5 * time.Second); s.localities() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d localities are kept", s.localities())
		}
	}
}

// localities counts what lblc remembers.
func (s *scene) localities() (n int) {
	s.Helper()
	dir, err := s.bed.Pins()
	if err != nil {
		s.Fatal(err)
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, "localities"), nil)
	if err != nil {
		s.Fatal(err)
	}
	defer m.Close()
	var key [24]byte
	var value [8]byte
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		n++
	}
	if err := entries.Err(); err != nil {
		s.Fatal(err)
	}
	return n
}
