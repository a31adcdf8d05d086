package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/bed"
	"github.com/evs-project/evs/test/conformance"
)

// patience is how long a frame may take on a busy machine, quiet how long
// nothing has to come for there to be nothing; what comes later is found by the
// next step.
const (
	patience = 2 * time.Second
	quiet    = 2 * time.Millisecond
)

// replay plays one recording on packets of a director of its own.
type replay struct {
	*testing.T
	bed   *bed.Bed
	steps int // compared
}

// newReplay starts with an empty table.
func newReplay(t *testing.T, beds *bed.Beds) *replay {
	return &replay{T: t, bed: beds.Lend(t, ipvs.AttachTC)}
}

func (r *replay) play(s conformance.Scenario) {
	for i, step := range s.Steps {
		if err := r.step(step); err != nil {
			r.Errorf("step %d: %s\n%v", i, step, err)
		}
		if r.Failed() {
			r.FailNow() // what follows a difference differs
		}
	}
	r.Logf("%d steps agree", r.steps)
}

func (r *replay) step(step conformance.Step) error {
	if step.IsCommand() {
		r.steps++
		return r.bed.Play(step)
	}
	set, err := conformance.Read[conformance.Setting](step)
	if err != nil {
		return err
	}
	if set.Sysctl != nil {
		return r.bed.Sysctl(set.Sysctl[0] + "=" + set.Sysctl[1])
	}
	if set.Mark != nil {
		return r.bed.Mark(*set.Mark)
	}
	if set.Sleep > 0 {
		if err := r.bed.Advance(time.Duration(set.Sleep * float64(time.Second))); err != nil {
			return err
		}
		return r.after(step, nil, 2)
	}
	p, err := conformance.Read[conformance.Packet](step)
	if err != nil {
		return err
	}
	if p.Pkt == nil {
		return errors.New("a step of an unknown kind")
	}
	return r.packet(step, p)
}

func (r *replay) packet(step conformance.Step, recorded conformance.Packet) error {
	var p bed.Packet
	if err := json.Unmarshal(recorded.Pkt, &p); err != nil {
		return err
	}
	frame, err := p.Frame()
	if err != nil {
		return err
	}
	if p.FromServer() {
		err = r.fromServer(frame, recorded)
	} else {
		err = r.fromClient(frame, recorded)
	}
	if err != nil {
		return err
	}
	r.steps++
	return r.after(step, &p, 1)
}

func (r *replay) fromServer(frame []byte, recorded conformance.Packet) error {
	if err := r.bed.Server.Send(frame); err != nil {
		return err
	}
	var got []string
	for range recorded.ToClient {
		seen, err := next(r.bed.Client, patience)
		if err != nil {
			return err
		}
		got = append(got, seen.String())
	}
	if !slices.Equal(got, recorded.ToClient) {
		return fmt.Errorf("left towards the client: %q, recorded was %q", got, recorded.ToClient)
	}
	return r.nothingMore(len(got) == 0)
}

func (r *replay) fromClient(frame []byte, recorded conformance.Packet) error {
	if err := r.bed.Client.Send(frame); err != nil {
		return err
	}
	if *recorded.To != "" {
		seen, err := next(r.bed.Server, patience)
		if err != nil {
			return err
		}
		if seen.To.String() != *recorded.To || recorded.ToPort != 0 && seen.Dst.Port() != recorded.ToPort {
			return fmt.Errorf("left for %s with %s, recorded was %s:%d", seen.To, seen.Dst, *recorded.To, recorded.ToPort)
		}
		return r.nothingMore(false)
	}
	if recorded.Reply == "" {
		return r.nothingMore(true)
	}
	seen, err := next(r.bed.Client, patience)
	if err != nil {
		return err
	}
	name := "icmp"
	if seen.Src.Addr().Is6() {
		name = "icmp6"
	}
	got := fmt.Sprintf("%s %d/%d", name, seen.Src.Port()>>8, seen.Src.Port()&255)
	if seen.IsTCP() {
		got = fmt.Sprintf("tcp %s from %s:%d", seen.Flags, seen.Src.Addr(), seen.Src.Port())
	}
	if got != recorded.Reply {
		return fmt.Errorf("answer %q, recorded was %q", got, recorded.Reply)
	}
	return r.nothingMore(false)
}

// next is the next packet that came out of the director.
func next(port *bed.Port, wait time.Duration) (bed.Seen, error) {
	frame, err := port.Receive(wait)
	if err != nil {
		return bed.Seen{}, err
	}
	if frame == nil {
		return bed.Seen{}, errors.New("no packet left")
	}
	return bed.Parse(frame)
}

// nothingMore fails if a packet is there, or comes while it waits.
func (r *replay) nothingMore(wait bool) error {
	patience := time.Duration(0)
	if wait {
		patience = quiet
	}
	for _, port := range []*bed.Port{r.bed.Server, r.bed.Client} {
		frame, err := port.Receive(patience)
		if err != nil {
			return err
		}
		if frame != nil {
			seen, err := bed.Parse(frame)
			return errors.Join(fmt.Errorf("a packet left that was not recorded: %s", seen), err)
		}
	}
	return nil
}

// after compares the table with what the step says of it: the connection of
// packet, all connections if it is nil.
func (r *replay) after(step conformance.Step, packet *bed.Packet, tolerance int) error {
	want, err := conformance.Read[conformance.After](step)
	if err != nil || want.After == nil {
		return err
	}
	var wants, gots []string
	expire := map[string]int{}
	for _, c := range want.After.Conns {
		key := fmt.Sprint(c.Proto, " ", c.State, " ", c.Source, " ", c.Virtual, " ", c.Destination)
		wants, expire[key] = append(wants, key), c.Expire
	}
	for c, err := range r.bed.Table().Conns() {
		if err != nil {
			return err
		}
		if packet != nil && !concerns(packet, c) {
			continue
		}
		key := fmt.Sprint(c.Protocol, " ", c.State, " ", c.Client, " ", c.Virtual, " ", c.Destination)
		gots = append(gots, key)
		if off := int(c.Expires.Seconds()) - expire[key]; off < -tolerance || off > tolerance {
			return fmt.Errorf("%s expires in %v, recorded were %d s", key, c.Expires, expire[key])
		}
	}
	slices.Sort(wants)
	slices.Sort(gots)
	if !slices.Equal(gots, wants) {
		return fmt.Errorf("connections\n got: %q\nwant: %q", gots, wants)
	}
	for _, d := range want.After.Dests {
		if err := r.counts(d.Service, d.Dest, d.Active, d.Inactive); err != nil {
			return err
		}
	}
	return nil
}

// concerns reports whether the connection is the packet's own, of an ICMP error that
// which it is about, or a template.
func concerns(p *bed.Packet, c ipvs.Conn) bool {
	if c.Template {
		return true
	}
	client := netip.AddrPortFrom(p.Src, p.Sport)
	if p.FromServer() {
		client = netip.AddrPortFrom(p.Dst, p.Dport)
	}
	return c.Client == client && (p.Proto == "icmp" || strings.EqualFold(c.Protocol.String(), p.Proto))
}

func (r *replay) counts(service, dest string, active, inactive uint32) error {
	all, err := r.bed.Table().Services()
	if err != nil {
		return err
	}
	for _, s := range all {
		for _, d := range s.Destinations {
			if s.String() != service || d.Addr.String() != dest {
				continue
			}
			if d.Active != active || d.Inactive != inactive {
				return fmt.Errorf("%s, %s: %d active, %d inactive, recorded were %d and %d", service, dest, d.Active, d.Inactive, active, inactive)
			}
			return nil
		}
	}
	return fmt.Errorf("%s has no destination %s", service, dest)
}
