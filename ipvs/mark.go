package ipvs

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/evs-project/evs/internal/datapath"
)

// MarkRule gives packets a firewall mark, by which they find a firewall-mark
// service. Of several rules that match, that with the longest destination
// prefix decides, and among equals that which was added first.
type MarkRule struct {
	Destination netip.Prefix
	Source      netip.Prefix // the zero value: from anywhere
	Protocol    Protocol     // 0: any; other numbers than the three named ones are allowed
	Ports       []PortRange  // of the destination; none: any
	Mark        uint32
}

// PortRange are ports from Low to High, both included.
type PortRange struct{ Low, High uint16 }

// MaxMarkPorts is how many ranges of ports a rule has at most.
const MaxMarkPorts = datapath.MaxMarkPorts

// Validate reports, wrapping ErrInvalid, why a rule can never be.
func (r MarkRule) Validate() error {
	switch {
	case !r.Destination.IsValid():
		return fmt.Errorf("%w: the rule has no destination: 0.0.0.0/0 or ::/0 stands for any", ErrInvalid)
	case r.Destination.Addr().Is4In6() || r.Source.IsValid() && r.Source.Addr().Is4In6():
		return fmt.Errorf("%w: write IPv4 addresses as such, not in IPv6", ErrInvalid)
	case r.Source.IsValid() && FamilyOf(r.Source.Addr()) != FamilyOf(r.Destination.Addr()):
		return fmt.Errorf("%w: %s and %s are of different families", ErrInvalid, r.Source, r.Destination)
	case len(r.Ports) > 0 && r.Protocol != TCP && r.Protocol != UDP && r.Protocol != SCTP:
		return fmt.Errorf("%w: ports need a protocol that has them: tcp, udp or sctp", ErrInvalid)
	case len(r.Ports) > MaxMarkPorts:
		return fmt.Errorf("%w: %d ports and ranges, a rule has %d at most", ErrInvalid, len(r.Ports), MaxMarkPorts)
	case r.Mark == 0:
		return fmt.Errorf("%w: mark 0 is no mark", ErrInvalid)
	}
	for _, p := range r.Ports {
		if p.Low > p.High {
			return fmt.Errorf("%w: ports %d:%d: the first is greater than the last", ErrInvalid, p.Low, p.High)
		}
	}
	return nil
}

// SameMatch reports whether two rules match the same packets.
func (r MarkRule) SameMatch(o MarkRule) bool {
	return r.Destination == o.Destination && r.Source == o.Source && r.Protocol == o.Protocol && slices.Equal(r.Ports, o.Ports)
}

// canonical has addresses without bits behind their prefix, and a source that
// says nothing left out.
func (r MarkRule) canonical() MarkRule {
	r.Destination, r.Source = r.Destination.Masked(), r.Source.Masked()
	if r.Source.Bits() == 0 {
		r.Source = netip.Prefix{}
	}
	return r
}

// Marks returns the rules in the order in which they are tried.
func (t *Table) Marks() ([]MarkRule, error) {
	var all []MarkRule
	err := t.view(func(dp *datapath.Table) error {
		records, err := dp.Marks()
		for _, r := range records {
			all = append(all, markOf(r))
		}
		return err
	})
	return all, err
}

// SetMarks makes rules all the rules there are. To a packet it is one change.
func (t *Table) SetMarks(rules []MarkRule) error {
	for _, r := range rules {
		if err := r.Validate(); err != nil {
			return err
		}
	}
	if len(rules) == 0 {
		return t.editExisting(nil, func(dp *datapath.Table) error { return dp.SetMarks(nil) })
	}
	return t.edit(func(dp *datapath.Table) error { return storeMarks(dp, rules) })
}

// OrderMarks returns rules as Marks would after SetMarks: in the order in which they
// are tried.
func OrderMarks(rules []MarkRule) []MarkRule {
	ordered := make([]MarkRule, len(rules))
	for i, r := range rules {
		ordered[i] = r.canonical()
	}
	slices.SortStableFunc(ordered, func(a, b MarkRule) int {
		return cmp.Or(cmp.Compare(FamilyOf(a.Destination.Addr()), FamilyOf(b.Destination.Addr())),
			cmp.Compare(b.Destination.Bits(), a.Destination.Bits()))
	})
	return ordered
}

func storeMarks(dp *datapath.Table, rules []MarkRule) error {
	ordered := OrderMarks(rules)
	records := make([]datapath.MarkRule, len(ordered))
	for i, r := range ordered {
		if slices.ContainsFunc(ordered[:i], r.SameMatch) {
			return fmt.Errorf("%s: %w", r.Destination, ErrMarkExists)
		}
		records[i] = markRecord(r)
	}
	return dp.SetMarks(records)
}

// AddMark adds a rule behind those with a destination prefix as long. It fails
// with ErrMarkExists if one matches the same packets.
func (t *Table) AddMark(r MarkRule) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return t.edit(func(dp *datapath.Table) error {
		records, err := dp.Marks()
		if err != nil {
			return err
		}
		return storeMarks(dp, append(marksOf(records), r))
	})
}

// DeleteMark removes the rule that matches the same packets as r, whatever the
// mark, or fails with ErrNoMark.
func (t *Table) DeleteMark(r MarkRule) error {
	missing := fmt.Errorf("%s: %w", r.Destination, ErrNoMark)
	return t.editExisting(missing, func(dp *datapath.Table) error {
		records, err := dp.Marks()
		if err != nil {
			return err
		}
		rules := marksOf(records)
		i := slices.IndexFunc(rules, r.canonical().SameMatch)
		if i < 0 {
			return missing
		}
		return storeMarks(dp, slices.Delete(rules, i, i+1))
	})
}

// MarkPacket is a packet as rules see it.
type MarkPacket struct {
	Source, Destination netip.Addr
	Protocol            Protocol
	Port                uint16 // of the destination
}

// Packet is the one packet that a rule of single addresses and at most one port
// matches.
func (r MarkRule) Packet() (MarkPacket, error) {
	p := MarkPacket{Source: r.Source.Addr(), Destination: r.Destination.Addr(), Protocol: r.Protocol}
	if !r.Source.IsSingleIP() || !r.Destination.IsSingleIP() || len(r.Ports) > 1 {
		return p, fmt.Errorf("%w: a packet has one source, one destination and one port", ErrInvalid)
	}
	if len(r.Ports) == 1 {
		p.Port = r.Ports[0].Low
	}
	return p, nil
}

// Mark asks the data path which mark the rules give a packet: 0 for none.
func (t *Table) Mark(p MarkPacket) (mark uint32, err error) {
	if !p.Source.IsValid() || !p.Destination.IsValid() || p.Source.Is4() != p.Destination.Is4() {
		return 0, fmt.Errorf("%w: a packet has two addresses of one family", ErrInvalid)
	}
	flow := datapath.Packet{
		Family: familyRecord(FamilyOf(p.Destination)), Proto: uint8(p.Protocol),
		Dport: swap16(p.Port),
	}
	flow.Saddr.B, flow.Daddr.B = addrRecord(p.Source), addrRecord(p.Destination)
	err = t.view(func(dp *datapath.Table) (err error) {
		mark, err = dp.Mark(flow)
		return err
	})
	return mark, err
}

func marksOf(records []datapath.MarkRule) []MarkRule {
	rules := make([]MarkRule, len(records))
	for i, r := range records {
		rules[i] = markOf(r)
	}
	return rules
}

func markRecord(r MarkRule) datapath.MarkRule {
	rec := datapath.MarkRule{
		Mark: r.Mark, Bits: uint8(r.Destination.Bits()), Family: familyRecord(FamilyOf(r.Destination.Addr())),
		Proto: uint8(r.Protocol), Ranges: uint8(len(r.Ports)),
	}
	rec.Destination.B = addrRecord(r.Destination.Addr())
	if r.Source.IsValid() {
		rec.Source.B = addrRecord(r.Source.Addr())
		rec.SourceMask.B = addrRecord(MaskOf(r.Source.Bits(), FamilyOf(r.Source.Addr())))
	}
	for i, p := range r.Ports {
		rec.Port[i].Low, rec.Port[i].High = p.Low, p.High
	}
	return rec
}

func markOf(rec datapath.MarkRule) MarkRule {
	r := MarkRule{
		Destination: netip.PrefixFrom(addrOf(rec.Destination.B, rec.Family), int(rec.Bits)),
		Protocol:    Protocol(rec.Proto), Mark: rec.Mark,
	}
	if n := MaskLen(netip.AddrFrom16(rec.SourceMask.B)); n > 0 {
		r.Source = netip.PrefixFrom(addrOf(rec.Source.B, rec.Family), n)
	}
	for _, p := range rec.Port[:rec.Ranges] {
		r.Ports = append(r.Ports, PortRange{p.Low, p.High})
	}
	return r
}
