package packet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Mutants at each door, unless EVS_MUTANTS says how many; the batch after which
// counters are compared; and the seed that all of it follows from, unless
// EVS_MUTANTS_SEED says another.
const (
	mutants     = 50_000
	batch       = 500
	mutantsSeed = 4

	tcDoor = "evs_tc"
)

func TestMutatedPacketsAreDroppedPassedOrRight(t *testing.T) {
	total, start := number(t, "EVS_MUTANTS", mutants), number(t, "EVS_MUTANTS_SEED", mutantsSeed)
	for _, d := range doors {
		t.Run(string(d.mode), func(t *testing.T) {
			t.Parallel()
			b := beds.Lend(t, d.mode)
			serve(t, b)
			m := &mutation{T: t, runner: newRunner(t, d, b), seeds: seeds(t), outcomes: map[verdict]int{}}
			for n := 0; n < total; n += batch {
				// each batch follows from its number, so that it can be had again
				m.batch(rand.New(rand.NewPCG(uint64(start), uint64(n))), min(batch, total-n))
				if n <= total/2 && total/2 < n+batch {
					dismiss(t, b)
				}
				if n%1_000_000 < batch && n >= 1_000_000 {
					fmt.Printf("%s: %d of %d million mutants\n", d.mode, n/1_000_000, total/1_000_000)
				}
			}
			t.Logf("%d mutants: %v", total, m.outcomes)
			for _, v := range []verdict{leave, send, drop} {
				if m.outcomes[v] < total/10_000 {
					t.Errorf("%d mutants of %d were %s: they do not reach far", m.outcomes[v], total, v)
				}
			}
		})
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: give a number", name, text)
	}
	return n
}

// mutation runs mutants at one door.
type mutation struct {
	*testing.T
	*runner
	seeds    []seed
	outcomes map[verdict]int
	again    int // how many counted drops may be of fragments that came once more
}

// batch runs n mutants, and sees to it that what was dropped is accounted for.
func (m *mutation) batch(r *rand.Rand, n int) {
	before, kept := m.dropsCounted()
	var unwanted []mutant // dropped, or answered with an error
	for range n {
		mutant := mutate(r, m.seeds)
		mutant.frame = m.runnable(mutant.frame)
		v, out, err := m.run(mutant.frame, mutant.fromServer)
		if err != nil {
			m.report(mutant, nil, err.Error())
		}
		m.outcomes[v]++
		why := ""
		switch v {
		case leave:
			why = unchanged(mutant.frame, out)
		case drop:
			unwanted = append(unwanted, mutant)
		case send:
			var answered bool
			if answered, why = m.sent(mutant.frame, out); answered {
				unwanted = append(unwanted, mutant)
				m.outcomes[refuse]++
			}
		}
		if why != "" {
			m.report(mutant, out, "was "+string(v)+": "+why)
		}
	}
	after, keptAfter := m.dropsCounted()
	counted, surplus := after-before, int(after-before)-len(unwanted)
	// A fragment that was kept may come in once more, by the cable, and be dropped or
	// kept again.
	m.again += int(keptAfter-kept) - surplus
	if surplus < 0 || m.again < 0 {
		m.blame(unwanted, fmt.Sprintf("%d packets were dropped or refused, %d counted", len(unwanted), counted))
	}
}

// runnable is a frame that is long enough for a test run: that of tc takes none
// without all of its IP header.
func (m *mutation) runnable(frame []byte) []byte {
	least := 0
	if m.door.program == tcDoor {
		least = ethLen + 20
		if frame[12] == 0x86 && frame[13] == 0xdd {
			least = ethLen + 40
		}
	}
	return append(frame, make([]byte, max(0, least-len(frame)))...)
}

// dropsCounted is how many packets the reasons for dropping and refusing counted,
// among them fragments that are kept.
func (m *mutation) dropsCounted() (sum, kept uint64) {
	status, err := m.bed.Table().Status()
	if err != nil {
		m.Fatal(err)
	}
	for _, c := range status.Counters {
		if c.Name == "fragment" {
			kept = c.Count
		}
		if c.Name == "fragment" || strings.Contains(c.About, "dropped") || strings.Contains(c.About, "refused") {
			sum += c.Count
		}
	}
	return sum, kept
}

// blame finds the packet whose drop is not counted once, by running them again.
func (m *mutation) blame(unwanted []mutant, why string) {
	for _, one := range unwanted {
		before, _ := m.dropsCounted()
		v, out, err := m.run(one.frame, one.fromServer)
		if after, _ := m.dropsCounted(); err == nil && v == drop && after-before != 1 {
			m.report(one, out, fmt.Sprintf("was dropped, and %d were counted", after-before))
		}
	}
	m.Fatalf("%s, and none of them alone does it again", why)
}

// report ends the test with a packet that went wrong.
func (m *mutation) report(one mutant, out []byte, why string) {
	m.Fatalf("a packet (from the server: %t; changed: %s) %s\n in: %s\nout: %s",
		one.fromServer, strings.Join(one.how, ", "), why, hexOf(one.frame), hexOf(out))
}
