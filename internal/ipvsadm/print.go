package ipvsadm

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// Format says how services are printed. Of the kinds of columns the first that
// is set counts.
type Format struct {
	Stats          bool
	Rate           bool
	Thresholds     bool
	PersistentConn bool
	TunInfo        bool

	Numeric bool // addresses and ports as numbers
	Exact   bool // large numbers in full
	NoSort  bool // in the table's own order
}

// layout is one kind of columns: the lines above them, and how a destination
// fills them.
type layout struct {
	title, subtitle string
	destination     func(ipvs.DestinationInfo) string
	// counters returns the five figures of a layout that has nothing else,
	// and has them for services too.
	counters func(ipvs.Stats, ipvs.Rates) [5]uint64
}

const plainTitle = "Prot LocalAddress:Port Scheduler Flags"

// The layouts of listings.
var (
	plainLayout = layout{
		title:    plainTitle,
		subtitle: "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
		destination: func(d ipvs.DestinationInfo) string {
			return fmt.Sprintf("%-7s %-6d %-10d %-10d", d.Method, d.Weight, d.Active, d.Inactive)
		},
	}
	tunnelLayout = layout{
		title:    plainTitle,
		subtitle: "  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn",
		destination: func(d ipvs.DestinationInfo) string {
			return fmt.Sprintf("%-7s %-13s %-6d %-10d %-10d",
				d.Method, tunnelInfo(d.Destination), d.Weight, d.Active, d.Inactive)
		},
	}
	thresholdsLayout = layout{
		title:    "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn ",
		subtitle: "  -> RemoteAddress:Port",
		destination: func(d ipvs.DestinationInfo) string {
			return fmt.Sprintf("%-10d %-10d %-10d %-10d", d.Upper, d.Lower, d.Active, d.Inactive)
		},
	}
	persistentLayout = layout{
		title:    "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn ",
		subtitle: "  -> RemoteAddress:Port",
		destination: func(d ipvs.DestinationInfo) string {
			return fmt.Sprintf("%-9d %-11d %-10d %-10d", d.Weight, d.Persistent, d.Active, d.Inactive)
		},
	}
	statsLayout = layout{
		title:    "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes",
		subtitle: "  -> RemoteAddress:Port",
		counters: func(s ipvs.Stats, _ ipvs.Rates) [5]uint64 {
			return [5]uint64{s.Connections, s.InPackets, s.OutPackets, s.InBytes, s.OutBytes}
		},
	}
	rateLayout = layout{
		title:    "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS",
		subtitle: "  -> RemoteAddress:Port",
		counters: func(_ ipvs.Stats, r ipvs.Rates) [5]uint64 {
			return [5]uint64{r.Connections, r.InPackets, r.OutPackets, r.InBytes, r.OutBytes}
		},
	}
)

func (f Format) layout() layout {
	switch {
	case f.Stats:
		return statsLayout
	case f.Rate:
		return rateLayout
	case f.Thresholds:
		return thresholdsLayout
	case f.PersistentConn:
		return persistentLayout
	case f.TunInfo:
		return tunnelLayout
	}
	return plainLayout
}

// Printer writes listings. It only formats: what it prints was read before.
type Printer struct {
	Out    io.Writer
	Names  Names // not asked when Format.Numeric
	Format Format
}

// Table lists all services under the header of the table.
func (p *Printer) Table(info ipvs.Info, services []ipvs.ServiceInfo) {
	fmt.Fprintf(p.Out, "IP Virtual Server version %s (size=%d)\n", info.Version, info.ConnTableSize)
	p.Services(services)
}

// Services lists services with their destinations.
func (p *Printer) Services(services []ipvs.ServiceInfo) {
	l := p.Format.layout()
	fmt.Fprintf(p.Out, "%s\n%s\n", l.title, l.subtitle)
	if !p.Format.NoSort {
		services = sorted(services)
	}
	for _, s := range services {
		p.service(l, s)
		for _, d := range s.Destinations {
			p.destination(l, s.ServiceKey, d)
		}
	}
}

func (p *Printer) service(l layout, s ipvs.ServiceInfo) {
	name := p.listedKey(s.ServiceKey)
	if l.counters != nil {
		fmt.Fprintf(p.Out, "%-33s%s\n", name, p.figures(l.counters(s.Stats, s.Rates)))
		return
	}
	fmt.Fprintf(p.Out, "%s %s", name, s.Scheduler)
	if s.SchedFlags != 0 {
		fmt.Fprintf(p.Out, " (%s)", schedFlagNames(s.Service))
	}
	if s.Persistent {
		fmt.Fprintf(p.Out, " persistent %d", s.Timeout)
		if mask, narrow := maskText(s.Service); narrow {
			fmt.Fprintf(p.Out, " mask %s", mask)
		}
		if s.Engine != "" {
			fmt.Fprintf(p.Out, " pe %s", s.Engine)
		}
	}
	if s.OnePacket {
		fmt.Fprint(p.Out, " ops")
	}
	fmt.Fprintln(p.Out)
}

func (p *Printer) destination(l layout, k ipvs.ServiceKey, d ipvs.DestinationInfo) {
	columns := ""
	if l.counters != nil {
		columns = p.figures(l.counters(d.Stats, d.Rates))
	} else {
		columns = " " + l.destination(d)
	}
	fmt.Fprintf(p.Out, "  -> %-28s%s\n", p.addrPort(d.Addr, k.Protocol), columns)
}

// listedKey is how listings call a service.
func (p *Printer) listedKey(k ipvs.ServiceKey) string {
	switch {
	case k.FWMark == 0:
		return fmt.Sprintf("%-4s %s", k.Protocol, p.addrPort(k.Addr, k.Protocol))
	case k.Family == ipvs.IPv6:
		return fmt.Sprintf("FWM  %d IPv6", int32(k.FWMark))
	}
	// The real command prints the mark as a signed number.
	return fmt.Sprintf("FWM  %d", int32(k.FWMark))
}

// figures are counters in columns.
func (p *Printer) figures(counters [5]uint64) string {
	var b strings.Builder
	for _, n := range counters {
		b.WriteString(figure(n, p.Format.Exact))
	}
	return b.String()
}

// units are the units of large counters, each up to the next.
var units = []struct {
	below, size uint64
	suffix      string
}{
	{below: 1e8, size: 1},
	{below: 1e9, size: 1e3, suffix: "K"},
	{below: 1e11, size: 1e6, suffix: "M"},
	{below: 1e14, size: 1e9, suffix: "G"},
	{below: math.MaxUint64, size: 1e12, suffix: "T"},
}

// figure is one counter in a column of nine. Large ones are in units of a
// thousand, a million, … unless exact; then the column grows.
func figure(n uint64, exact bool) string {
	if exact {
		return fmt.Sprintf(" %8d", n)
	}
	i := 0
	for n >= units[i].below && i < len(units)-1 {
		i++
	}
	return fmt.Sprintf("%*d%s", 9-len(units[i].suffix), n/units[i].size, units[i].suffix)
}

// maskText is the persistence mask, and whether it is narrower than a whole
// address.
func maskText(s ipvs.Service) (text string, narrow bool) {
	if !s.Mask.IsValid() {
		return "", false
	}
	bits := ipvs.MaskLen(s.Mask)
	if s.Mask.Is4() {
		return s.Mask.String(), bits != 32
	}
	return fmt.Sprint(bits), bits != 128
}

// schedFlagNames are the flags by the scheduler's names for them. A flag
// without a name is left out where the scheduler has names of its own.
func schedFlagNames(s ipvs.Service) string {
	names := sched.GenericFlags
	if own, ok := sched.Find(s.Scheduler); ok && own.Flags != nil {
		names = own.Flags
	}
	var set []string
	for i, name := range names {
		if s.SchedFlags&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}

// tunnelInfo says in a word how a destination encapsulates.
func tunnelInfo(d ipvs.Destination) string {
	if d.Method != ipvs.Tunnel {
		return "n/a"
	}
	checksum := ":-c"
	switch {
	case d.Tunnel.Flags&ipvs.TunnelChecksum != 0:
		checksum = ":+c"
	case d.Tunnel.Flags&ipvs.TunnelRemoteChecksum != 0:
		checksum = ":r+c"
	}
	switch d.Tunnel.Type {
	case ipvs.GUE:
		return fmt.Sprintf("gue:%d%s", d.Tunnel.Port, checksum)
	case ipvs.GRE:
		return "gre" + checksum
	}
	return d.Tunnel.Type.String()
}
