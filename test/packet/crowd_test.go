package packet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
)

// crowd is several threads that run packets at once.
type crowd struct {
	*testing.T
	bed  *bed.Bed
	door door
}

const threads = 6

// each runs act in every thread, each with a runner of its own.
func (c *crowd) each(act func(thread int, r *runner) error) {
	c.Helper()
	if err := c.run(act); err != nil {
		c.Fatal(err)
	}
}

// run is each for those who may not end the test.
func (c *crowd) run(act func(thread int, r *runner) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, threads)
	for n := range threads {
		wg.Go(func() {
			if err := c.bed.Enter(); err != nil {
				errs <- err
				return
			}
			p, err := c.bed.Program(c.door.program)
			if err != nil {
				errs <- err
				return
			}
			defer p.Close()
			errs <- act(n, &runner{door: c.door, bed: c.bed, program: p, out: make([]byte, 4096)})
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// flow n of many clients: a packet to the VIP.
func flow(proto, flags string, n int) bed.Packet {
	p := sent(proto, flags).pkt
	p.Src = netip.AddrFrom4([4]byte{192, 0, 2, byte(n % 250)})
	p.Sport = uint16(1024 + n/250)
	return p
}

// pass runs a packet that has to be sent on.
func (r *runner) pass(p bed.Packet) error {
	frame, err := p.Frame()
	if err != nil {
		return err
	}
	v, _, err := r.run(frame, p.FromServer())
	if err == nil && v != send {
		err = fmt.Errorf("%s %s:%d [%s] to %s was %s", p.Proto, p.Src, p.Sport, p.Flags, p.Dst, v)
	}
	return err
}

// balance is what the table says of its connections: once by listing them,
// once by its counts.
type balance struct {
	conns, active, inactive, halfOpen int
	counted                           struct{ active, inactive, halfOpen int }
	twice                             []string
}

// adds reports whether the counts are those of the connections.
func (b *balance) adds() bool {
	return b.active == b.counted.active && b.inactive == b.counted.inactive && b.halfOpen == b.counted.halfOpen
}

// activeStates are the states in which a connection counts as active, halfOpenStates
// those in which one end alone has spoken.
const (
	activeStates   = " ESTABLISHED SYN_SENT SYN_RECV SYNACK "
	halfOpenStates = " NONE SYN_RECV SYNACK INIT1 INIT C-SENT C-REPLIED C-WAIT COOKIE C-ECHOED "
)

func balanceOf(t *testing.T, table *ipvs.Table) (b balance) {
	t.Helper()
	seen := map[string]bool{}
	for c, err := range table.Conns() {
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint(c.Protocol, c.Client, c.Virtual)
		if seen[key] {
			b.twice = append(b.twice, key)
		}
		seen[key] = true
		b.conns++
		if strings.Contains(halfOpenStates, " "+c.State+" ") {
			b.halfOpen++
		}
		if strings.Contains(activeStates, " "+c.State+" ") {
			b.active++
		} else {
			b.inactive++
		}
	}
	services, err := table.Services()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		for _, d := range s.Destinations {
			b.counted.active += int(d.Active)
			b.counted.inactive += int(d.Inactive)
		}
	}
	status, err := table.Status()
	if err != nil {
		t.Fatal(err)
	}
	b.counted.halfOpen = status.HalfOpen
	return b
}

// settle waits until no expired connection is left to be swept, and reports a
// table that does not add up. want is how many connections there have to be, -1 any.
func settle(t *testing.T, table *ipvs.Table, want int) balance {
	t.Helper()
	var b balance
	for deadline := time.Now().Add(8 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b = balanceOf(t, table)
		if b.adds() && (want < 0 || b.conns == want) && len(b.twice) == 0 {
			return b
		}
		if time.Now().After(deadline) {
			t.Fatalf("the table does not add up: %d connections (want %d), %d active, %d inactive, %d half-open; counted %v; twice: %v",
				b.conns, want, b.active, b.inactive, b.halfOpen, b.counted, b.twice)
		}
	}
}

func newCrowd(t *testing.T, d door) *crowd {
	t.Helper()
	b := beds.Lend(t, d.mode)
	commands(t, b, setup)
	return &crowd{T: t, bed: b, door: d}
}

// abreast is how many threads go in lockstep: as many as run at once anywhere.
const abreast = 2

// lockstep makes threads begin each round at the same moment: within the
// hundred nanoseconds between looking for a connection and making it.
type lockstep struct{ arrived atomic.Int64 }

func (l *lockstep) wait(round int) {
	l.arrived.Add(1)
	for l.arrived.Load() < int64(abreast*(round+1)) {
	}
}

// leave lets the others go on without a thread that gave up.
func (l *lockstep) leave() { l.arrived.Add(1 << 32) }

func TestFirstPacketsOfAFlowOnManyCPUsMakeOneConnection(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, d)
			var pace lockstep
			const flows = 1500
			c.each(func(thread int, r *runner) error {
				if thread >= abreast {
					return nil
				}
				defer pace.leave()
				for n := range flows {
					frame, err := flow("tcp", "S", n).Frame()
					if err != nil {
						return err
					}
					pace.wait(n)
					v, _, err := r.run(frame, false)
					if err != nil {
						return err
					}
					if v != send {
						return fmt.Errorf("flow %d was %s", n, v)
					}
				}
				return nil
			})
			settle(t, c.bed.Table(), flows)
			if made := counters(t, c.bed)["new_connection"]; made != flows {
				t.Errorf("%d connections were counted as new, there are %d", made, flows)
			}
		})
	}
}

func TestCountsNeverLeakWhileConnectionsStepExpireAndReopen(t *testing.T) {
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, d)
			command(t, c.bed, "--set 1 1 1")
			const flows = 400
			c.each(func(thread int, r *runner) error {
				random := rand.New(rand.NewPCG(uint64(thread), 7))
				for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); {
					if err := r.any(random, flows); err != nil {
						return err
					}
				}
				return nil
			})
			settle(t, c.bed.Table(), -1)
			// Established connections and UDP end within a second now.
			r := newRunner(t, d, c.bed)
			for n := range flows {
				for _, flags := range []string{"S", "A"} {
					if err := r.pass(flow("tcp", flags, n)); err != nil {
						t.Fatal(err)
					}
				}
			}
			settle(t, c.bed.Table(), 0)
			if got := counters(t, c.bed); got["reopened"] == 0 || got["new_connection"] <= flows {
				t.Errorf("the test was too tame: %v", got)
			}
		})
	}
}

// any runs a packet at random of one of the flows; what becomes of it depends
// on what the others do.
func (r *runner) any(random *rand.Rand, flows int) error {
	n := random.IntN(flows)
	if random.IntN(4) == 0 {
		return r.pass(flow("udp", "", n))
	}
	flags := []string{"S", "A", "FA", "R", "S", "SA"}[random.IntN(6)]
	p := flow("tcp", flags, n)
	if random.IntN(2) == 0 {
		answer := answered("tcp", flags).pkt
		answer.Dst, answer.Dport = p.Src, p.Sport
		p = answer
	}
	frame, err := p.Frame()
	if err != nil {
		return err
	}
	_, _, err = r.run(frame, p.FromServer())
	return err
}
