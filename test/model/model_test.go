package model_test

import (
	"fmt"
	"math/rand/v2"
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

func TestTheDataPathDoesAsTheModel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces and loads eBPF programs, and needs root: run it with sudo")
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("EVS_MODEL_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("EVS_MODEL_SEED=%s: want a number", text)
		}
	}
	t.Logf("EVS_MODEL_SEED=%d repeats this", seed)
	k, total := newKernel(t), steps(t)
	for done, n := 0, uint64(0); done < total; done, n = done+length, n+1 {
		ops, err := sequence(k, dice{rand.New(rand.NewPCG(seed, n))})
		if err != nil {
			report(t, k, ops, err)
		}
		if n%400 == 399 {
			t.Logf("%d of %d steps agree", done+length, total)
		}
	}
}

func TestAnswersAreTranslatedForAServerThatComesBackWithItsService(t *testing.T) {
	k := newKernel(t)
	web, to := services[0], server(0, false, 8080)
	open := model.Packet{Flow: model.Flow{Proto: "tcp", Client: client(0, false), Virtual: web.Addr}, Flags: "S"}
	answer := open
	answer.Reply, answer.Server, answer.Flags = true, to, "SA"
	again := []op{
		{edit: &edit{verb: "-A", service: web, scheduler: "rr"}},
		{edit: &edit{verb: "-a", service: web, server: to, method: model.Masquerade, weight: 1}},
		{packet: &open}, {packet: &answer},
		{edit: &edit{verb: "-D", service: web}},
		{advance: time.Hour}, // longer than the address filter keeps what nothing needs
	}
	if err := replay(k, append(again, again...)); err != nil {
		t.Fatal(err)
	}
}

// sequence draws and plays steps from an empty table, until the two differ.
func sequence(k *kernel, d dice) (ops []op, err error) {
	if err := k.reset(); err != nil {
		return nil, err
	}
	m := model.New()
	for len(ops) < length {
		o := d.step(m)
		ops = append(ops, o)
		if err := both(k, m, o, len(ops)%10 == 0); err != nil {
			return ops, err
		}
	}
	return ops, nil
}

// replay plays given steps, without those that make no sense any more.
func replay(k *kernel, ops []op) error {
	if err := k.reset(); err != nil {
		return err
	}
	m := model.New()
	for _, o := range ops {
		if o.edit != nil && !o.edit.possible(m) {
			continue
		}
		if err := both(k, m, o, true); err != nil {
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

// both does one step to both and says in what they differ; all: also in which states
// connections are.
func both(k *kernel, m *model.Table, o op, all bool) error {
	switch {
	case o.edit != nil:
		o.edit.apply(m)
		if err := k.edit(*o.edit); err != nil {
			return err
		}
	case o.packet != nil:
		wantFate, want := m.Packet(*o.packet)
		fate, got, err := k.packet(*o.packet)
		if err != nil {
			return err
		}
		if fate != wantFate || got != want {
			return fmt.Errorf("%s: the packet is %s %s, the model's %s %s", o, fate, got, wantFate, want)
		}
	default:
		m.Advance(o.advance)
		if err := k.advance(o.advance); err != nil {
			return err
		}
	}
	if err := counts(k, m); err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	if all {
		if err := conns(k, m); err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	return nil
}

// counts compares what every destination has.
func counts(k *kernel, m *model.Table) error {
	for _, s := range m.Services {
		have, err := k.bed.Table().Service(key(s.ServiceKey))
		if err != nil {
			return err
		}
		if len(have.Destinations) != len(s.Destinations) {
			return fmt.Errorf("%s has %d destinations, the model's %d", have.ServiceKey, len(have.Destinations), len(s.Destinations))
		}
		for i, d := range have.Destinations {
			want := s.Destinations[i]
			if d.Addr != want.Addr || int(d.Active) != want.Active || int(d.Inactive) != want.Inactive {
				return fmt.Errorf("%s has %d active and %d inactive connections, the model's %s %d and %d",
					d.Addr, d.Active, d.Inactive, want.Addr, want.Active, want.Inactive)
			}
		}
	}
	return nil
}

// key is the identity of a service in the library.
func key(k model.ServiceKey) ipvs.ServiceKey {
	return ipvs.ServiceAt(map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP}[k.Proto], k.Addr)
}

// conns compares all connections.
func conns(k *kernel, m *model.Table) error {
	seen := 0
	for c, err := range k.bed.Table().Conns() {
		if err != nil {
			return err
		}
		f := model.Flow{Proto: strings.ToLower(c.Protocol.String()), Client: c.Client, Virtual: c.Virtual}
		want := m.Conns[f]
		if want == nil {
			return fmt.Errorf("there is a connection %v in %s that the model has not", f, c.State)
		}
		seen++
		off := c.Expires - (want.Expires - m.Now)
		if c.State != want.State || c.Destination != want.Destination.Addr || off.Abs() > 3*time.Second {
			return fmt.Errorf("connection %v to %s is in %s for %s, the model's to %s in %s for %s",
				f, c.Destination, c.State, c.Expires, want.Destination.Addr, want.State, want.Expires-m.Now)
		}
	}
	if seen != len(m.Conns) {
		return fmt.Errorf("%d connections, the model has %d", seen, len(m.Conns))
	}
	return nil
}
