package model_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/evs-project/evs/ipvs"
	"github.com/evs-project/evs/test/model"
)

// both does one step to both and says in what they differ; all: also in which
// connections there are.
func both(k *kernel, m *model.Table, o op, all bool) error {
	if err := errors.Join(k.hold(), do(k, m, o)); err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	if err := counts(k, m); err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	if all && !m.Twins() {
		if err := conns(k, m); err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	return nil
}

func do(k *kernel, m *model.Table, o op) error {
	switch {
	case o.edit != nil:
		o.edit.apply(m)
		return k.ipvsadm(o.edit.argv()...)
	case o.setting != nil:
		m.Set(o.setting.name, o.setting.value)
		return k.set(o.setting.name, o.setting.value)
	case o.timeouts != nil:
		m.SetTimeouts(o.timeouts[0], o.timeouts[1], o.timeouts[2])
		return k.ipvsadm(argvOf(*o.timeouts)...)
	case o.packet != nil:
		return pass(k, m, *o.packet)
	}
	for left := o.advance; left > 0; {
		by := m.Next(left)
		m.Advance(by)
		if err := k.advance(by); err != nil {
			return err
		}
		left -= by
	}
	return nil
}

// pass lets a packet through both. What is left to chance the model hears from the
// data path.
func pass(k *kernel, m *model.Table, p model.Packet) error {
	fate, got, err := k.packet(p)
	if err != nil {
		return err
	}
	m.Draw = func(may []*model.Destination) *model.Destination {
		var drawn netip.AddrPort
		if drawn, err = k.counted(); err != nil {
			return may[0]
		}
		return may[max(0, slices.IndexFunc(may, func(d *model.Destination) bool { return d.Addr == drawn }))]
	}
	wantFate, want := m.Packet(p)
	if err != nil {
		return err
	}
	if fate != wantFate || got != want {
		return fmt.Errorf("the packet is %s %s, the model's %s %s", fate, got, wantFate, want)
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
			k.packets[counter{have.ServiceKey, d.Addr}] = d.Stats.InPackets
			if d.Addr != want.Addr || int(d.Active) != want.Active || int(d.Inactive) != want.Inactive || int(d.Persistent) != want.Persistent {
				return fmt.Errorf("%s of %s has %d active and %d inactive connections and %d templates, the model's %s %d, %d and %d",
					d.Addr, have.ServiceKey, d.Active, d.Inactive, d.Persistent, want.Addr, want.Active, want.Inactive, want.Persistent)
			}
		}
	}
	return nil
}

var numbers = map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP, "sctp": ipvs.SCTP}

// key is the identity of a service in the library.
func key(k model.ServiceKey) ipvs.ServiceKey {
	if k.Mark == 0 {
		return ipvs.ServiceAt(numbers[k.Proto], k.Addr)
	}
	if k.Mark6 {
		return ipvs.ServiceMark(k.Mark, ipvs.IPv6)
	}
	return ipvs.ServiceMark(k.Mark, ipvs.IPv4)
}

// entry is a connection or a template as both show it.
type entry struct {
	text string
	left time.Duration
}

func (e entry) String() string { return fmt.Sprintf("%s for %s", e.text, e.left) }

func connEntry(proto string, client, virtual, server netip.AddrPort, state string, left time.Duration) entry {
	return entry{fmt.Sprintf("%s from %s to %s by %s in %s", proto, client, virtual, server, state), left}
}

func templateEntry(k model.TemplateKey, server netip.AddrPort, assured bool, left time.Duration) entry {
	if k.Mark != 0 {
		k.Proto, k.Virtual = "ip", netip.AddrPortFrom(netip.Addr{}, k.Virtual.Port())
	}
	return entry{fmt.Sprintf("template: %s from %s to %s mark %d call %q by %s, assured %t", k.Proto, k.Client, k.Virtual, k.Mark, k.Call, server, assured), left}
}

// modelled are the entries of the model.
func modelled(m *model.Table) (all []entry) {
	for f, c := range m.Conns {
		all = append(all, connEntry(f.Proto, f.Client, f.Virtual, c.Server, c.State, c.Expires-m.Now))
	}
	for _, e := range m.Templates {
		k := e.TemplateKey
		if e.Retired {
			k.Virtual = netip.AddrPortFrom(k.Virtual.Addr(), 0xffff)
		}
		all = append(all, templateEntry(k, e.Server, e.Assured, e.Expires-m.Now))
	}
	return all
}

// listed are the entries of the data path.
func listed(k *kernel) (all []entry, err error) {
	for c, err := range k.bed.Table().Conns() {
		if err != nil {
			return nil, err
		}
		proto := strings.ToLower(c.Protocol.String())
		if c.Template {
			k := model.TemplateKey{Proto: proto, Client: c.Client.Addr(), Virtual: c.Virtual, Mark: c.FWMark, Call: c.EngineData}
			all = append(all, templateEntry(k, c.Destination, c.State == "ASSURED", c.Expires))
			continue
		}
		all = append(all, connEntry(proto, c.Client, c.Virtual, c.Destination, c.State, c.Expires))
	}
	return all, nil
}

// conns compares all connections and templates.
func conns(k *kernel, m *model.Table) error {
	have, err := listed(k)
	if err != nil {
		return err
	}
	want := modelled(m)
	for _, all := range [][]entry{have, want} {
		slices.SortFunc(all, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.text, b.text), cmp.Compare(a.left, b.left))
		})
	}
	for i := range max(len(have), len(want)) {
		switch {
		case i == len(have) || i < len(want) && want[i].text < have[i].text:
			return fmt.Errorf("there is no %s", want[i])
		case i == len(want) || have[i].text < want[i].text:
			return fmt.Errorf("there is a %s that the model has not", have[i])
		case (have[i].left - want[i].left).Abs() > 3*time.Second:
			return fmt.Errorf("there is %s, the model's %s", have[i], want[i])
		}
	}
	return nil
}
