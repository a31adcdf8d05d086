package model_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/model"
)

// length is how many steps a sequence has before all is begun anew.
const length = 250

// steps is how many are tried: EVS_MODEL_STEPS, else what fits into a run of all
// tests.
func steps(t *testing.T) int {
	text := os.Getenv("EVS_MODEL_STEPS")
	if text == "" {
		return 50_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("EVS_MODEL_STEPS=%s: want a number of steps", text)
	}
	return n
}

// doors are tried side by side, each with steps of its own.
var doors = []ipvs.AttachMode{ipvs.AttachXDP, ipvs.AttachTC}

func TestTheDataPathDoesAsTheModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("EVS_MODEL_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("EVS_MODEL_SEED=%s: want a number", text)
		}
	}
	t.Logf("EVS_MODEL_SEED=%d repeats this", seed)
	total := steps(t)
	share := total / len(doors)
	for i, door := range doors {
		t.Run(string(door), func(t *testing.T) {
			t.Parallel()
			k := newKernel(t, door)
			for n, done := i, 0; done < share; n += len(doors) {
				ops, err := sequence(k, roll(seed, uint64(n)))
				if err != nil {
					report(t, k, ops, fmt.Errorf("sequence %d: %w", n, err))
				}
				if done += len(ops); done/50_000 > (done-len(ops))/50_000 {
					t.Logf("%d of %d steps agree", done, share)
				}
			}
		})
	}
}

func TestAnswersAreTranslatedForAServerThatComesBackWithItsService(t *testing.T) {
	k := newKernel(t, ipvs.AttachXDP)
	web, to := virtuals[0].ServiceKey, server(0, false, 8080)
	open := model.Packet{Flow: model.Flow{Proto: "tcp", Client: client(0, false, 4000), Virtual: web.Addr}, Flags: "S"}
	answer := open
	answer.Reply, answer.Server, answer.Flags = true, to, "SA"
	again := []op{
		{edit: &edit{verb: "-A", service: web, config: model.Config{Scheduler: "rr"}}},
		{edit: &edit{verb: "-a", service: web, share: model.Share{Addr: to, Method: model.Masquerade, Weight: 1}}},
		{packet: &open}, {packet: &answer},
		{edit: &edit{verb: "-D", service: web}},
		{advance: time.Hour}, // longer than the address filter keeps what nothing needs
	}
	if err := replay(k, append(again, again...)); err != nil {
		t.Fatal(err)
	}
}

// newModel is an empty table that marks packets as the data path is told to.
func newModel() *model.Table {
	m := model.New()
	m.Marks = map[netip.Addr]uint32{}
	for _, prefix := range marks {
		p := netip.MustParsePrefix(prefix)
		for a := p.Addr(); p.Contains(a); a = a.Next() {
			m.Marks[a] = mark
		}
	}
	return m
}

// sequence draws and plays steps from an empty table, until the two differ.
func sequence(k *kernel, d dice) (ops []op, err error) {
	if err := k.reset(); err != nil {
		return nil, err
	}
	m := newModel()
	for len(ops) < length {
		o := d.step(m, len(ops) == 0 && d.IntN(2) == 0)
		ops = append(ops, o)
		if err := both(k, m, o, len(ops)%10 == 0); err != nil {
			return ops, err
		}
		if m.Twins() {
			break
		}
	}
	return ops, nil
}

// replay plays given steps, without those that make no sense any more.
func replay(k *kernel, ops []op) error {
	if err := k.reset(); err != nil {
		return err
	}
	m := newModel()
	for _, o := range ops {
		if o.edit != nil && !o.edit.possible(m) {
			continue
		}
		if o.advance > 0 && m.Delicate(o.advance) {
			continue
		}
		if err := both(k, m, o, true); err != nil || m.Twins() {
			return err
		}
	}
	return nil
}

// report shows the shortest sequence found that fails still.
func report(t *testing.T, k *kernel, ops []op, err error) {
	for size := len(ops) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(ops); {
			shorter := slices.Delete(slices.Clone(ops), at, at+size)
			if e := replay(k, shorter); e != nil {
				ops, err = shorter, e
			} else {
				at += size
			}
		}
	}
	lines := make([]string, len(ops))
	for i, o := range ops {
		lines[i] = o.String()
	}
	t.Fatalf("the data path and the model differ:\n  %s\n%v", strings.Join(lines, "\n  "), err)
}
