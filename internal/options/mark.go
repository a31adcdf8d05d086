package options

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// MarkMatch are the options that say which packets a rule of marks is about.
var MarkMatch = []Option[ipvs.MarkRule]{
	{Name: "destination", Short: "d", Value: "PREFIX", About: "packets to this address or prefix; 0.0.0.0/0 or ::/0 for all",
		Set:  func(r *ipvs.MarkRule, arg string) (err error) { r.Destination, err = prefix(arg); return err },
		Show: func(r ipvs.MarkRule) (string, bool) { return Prefix(r.Destination), true }},
	{Name: "source", Short: "s", Value: "PREFIX", About: "packets from this address or prefix alone",
		Set:  func(r *ipvs.MarkRule, arg string) (err error) { r.Source, err = prefix(arg); return err },
		Show: func(r ipvs.MarkRule) (string, bool) { return Prefix(r.Source), r.Source.IsValid() }},
	{Name: "protocol", Short: "p", Value: "NAME", About: "packets of this protocol alone: tcp, udp, sctp, or a number (default all)",
		Set: setProtocol, Show: func(r ipvs.MarkRule) (string, bool) { return ProtocolName(r.Protocol), r.Protocol != 0 }},
	{Name: "dport", Value: "PORTS", About: "packets to these ports alone: 80,443,8000-8080",
		Set: setPorts, Show: func(r ipvs.MarkRule) (string, bool) {
			return strings.Join(PortRanges(r.Ports), ","), len(r.Ports) > 0
		}},
}

// Mark are the options of a rule of marks.
var Mark = append(MarkMatch[:len(MarkMatch):len(MarkMatch)], Option[ipvs.MarkRule]{
	Name: "set-mark", Value: "MARK", About: "the firewall mark that they get, as the service's --fwmark",
	Set:  setMarkOf,
	Show: func(r ipvs.MarkRule) (string, bool) { return strconv.FormatUint(uint64(r.Mark), 10), true },
})

func setMarkOf(r *ipvs.MarkRule, arg string) (err error) {
	r.Mark, err = mark(arg)
	return err
}

// prefix reads an address or a prefix. Bits behind the prefix are a slip.
func prefix(arg string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(arg); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(arg)
	if err != nil {
		return p, errors.New("write an address, or a prefix as 203.0.113.0/24 or 2001:db8::/64")
	}
	if p != p.Masked() {
		return p, fmt.Errorf("it has bits behind its prefix: write %s", p.Masked())
	}
	return p, nil
}

// Prefix is a prefix as prefix reads it, an address if it is one.
func Prefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// protocols are those that have names.
var protocols = []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP}

// ProtocolNames are the names of protocols with ports.
func ProtocolNames() []string {
	var names []string
	for _, p := range protocols {
		names = append(names, ProtocolName(p))
	}
	return names
}

// ProtocolName is a protocol's name, or its number.
func ProtocolName(p ipvs.Protocol) string {
	for _, known := range protocols {
		if known == p {
			return strings.ToLower(p.String())
		}
	}
	return strconv.Itoa(int(p))
}

func setProtocol(r *ipvs.MarkRule, arg string) error {
	for _, p := range protocols {
		if ProtocolName(p) == arg {
			r.Protocol = p
			return nil
		}
	}
	if arg == "all" {
		r.Protocol = 0
		return nil
	}
	n, err := strconv.ParseUint(arg, 10, 8)
	if err != nil {
		return errors.New("choose tcp, udp, sctp, all or a number up to 255")
	}
	r.Protocol = ipvs.Protocol(n)
	return nil
}

func setPorts(r *ipvs.MarkRule, arg string) error {
	r.Ports = nil
	for word := range strings.SplitSeq(arg, ",") {
		first, last, ok := strings.Cut(strings.Replace(word, ":", "-", 1), "-")
		if !ok {
			last = first
		}
		low, errLow := strconv.ParseUint(first, 10, 16)
		high, errHigh := strconv.ParseUint(last, 10, 16)
		if errLow != nil || errHigh != nil || low > high {
			return errors.New("write ports and ranges from 0 to 65535 with commas between: 80,443,8000-8080")
		}
		r.Ports = append(r.Ports, ipvs.PortRange{Low: uint16(low), High: uint16(high)})
	}
	return nil
}

// PortRanges are ports and ranges as they are written.
func PortRanges(ports []ipvs.PortRange) []string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = strconv.Itoa(int(p.Low))
		if p.High != p.Low {
			words[i] += "-" + strconv.Itoa(int(p.High))
		}
	}
	return words
}
