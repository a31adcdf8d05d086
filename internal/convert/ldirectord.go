package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/sched"
)

// ldLine is a line of ldirectord.cf.
type ldLine struct {
	number      int
	indented    bool
	name, value string
}

// begins reports whether a section begins.
func (l ldLine) begins() bool { return l.name == "virtual" || l.name == "virtual6" }

// ldFile is ldirectord.cf while it is read.
type ldFile struct {
	name    string
	o       Options
	notes   []Note
	desired *config.Desired
}

// ldVirtual is a virtual section, or what all have in common.
type ldVirtual struct {
	f    *ldFile
	of   ldLine
	addr netip.AddrPort
	mark uint32
	six  bool

	checkTimeout, negotiateTimeout, interval, persistent time.Duration
	failures                                             int
	fallback, fallback6                                  *ldReal
	fallbackCommand                                      []string
	quiescent                                            bool
	checkType, service, request, receive                 string
	checkLine                                            ldLine
	checkCommand                                         []string
	checkPort                                            uint16
	httpMethod, host, sched, netmask, protocol, name     string
	flags                                                []string
	ops                                                  bool
	real                                                 []ldReal
}

// ldReal is a real server, or the fallback.
type ldReal struct {
	of               ldLine
	addr             netip.AddrPort
	method           config.Method
	weight           int32
	request, receive string
	lower, upper     uint32
}

func fromLdirectord(name, text string, o Options) (*config.Desired, []Note, error) {
	f := &ldFile{name: name, o: o, desired: fresh()}
	globals := &ldVirtual{f: f, quiescent: true, failures: 1, interval: 10 * time.Second, sched: "wrr"}
	lines := f.lines(text)
	for _, l := range lines { // what holds for all, wherever it stands
		if row := ldirectord[l.name]; !l.indented && row.globals && row.convert != nil && !l.begins() {
			row.convert(globals, l)
		}
	}
	var v *ldVirtual
	for _, l := range lines {
		row, ok := ldirectord[l.name]
		switch {
		case !ok:
			f.note(l, "ldirectord(8) knows no such directive")
		case row.convert == nil:
			f.note(l, row.reason)
		case l.begins():
			v.finish()
			of := *globals
			v = &of
			v.of, v.checkLine = l, l
			v.virtual(l)
		case !l.indented && row.globals: // read above
		case v == nil:
			f.note(l, "it stands before any virtual: left out")
		default:
			row.convert(v, l)
		}
	}
	v.finish()
	return f.desired, f.notes, nil
}

func (f *ldFile) note(l ldLine, reason string) {
	f.notes = append(f.notes, Note{f.name, l.number, l.name, reason})
}

// lines cuts a file into directives; comments begin with #.
func (f *ldFile) lines(text string) []ldLine {
	var out []ldLine
	for i, raw := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(raw)
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		l := ldLine{number: i + 1, indented: raw[0] == ' ' || raw[0] == '\t'}
		name, value, _ := strings.Cut(trimmed, "=")
		l.name, l.value = strings.ToLower(strings.TrimSpace(name)), unquote(strings.TrimSpace(value))
		out = append(out, l)
	}
	return out
}

// unquote takes off quotes that enclose the whole.
func unquote(value string) string {
	if len(value) > 1 && value[0] == '"' && strings.IndexByte(value[1:], '"') == len(value)-2 {
		return value[1 : len(value)-1]
	}
	return value
}

func (v *ldVirtual) note(l ldLine, reason string) { v.f.note(l, reason) }

func (v *ldVirtual) virtual(l ldLine) {
	v.six = strings.HasSuffix(l.name, "6") || strings.HasPrefix(l.value, "[")
	if n, err := strconv.ParseUint(l.value, 10, 32); err == nil && n > 0 {
		v.mark = uint32(n)
		return
	}
	addr, err := v.f.endpoint(l.value, "tcp")
	if err != nil {
		v.note(l, err.Error())
		return
	}
	v.addr = addr
}

// endpoint reads HOST:PORT, where both may be names and the port left out.
func (f *ldFile) endpoint(text, protocol string) (netip.AddrPort, error) {
	host, port := text, ""
	if rest, ok := strings.CutPrefix(text, "["); ok {
		host, port, _ = strings.Cut(rest, "]")
		port = strings.TrimPrefix(port, ":")
	} else if i := strings.LastIndexByte(text, ':'); i >= 0 && strings.Count(text, ":") == 1 {
		host, port = text[:i], text[i+1:]
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		named, ok := f.o.Names.HostAddr(host)
		if !ok {
			return netip.AddrPort{}, fmt.Errorf("%q is no address, and no host that is known", host)
		}
		a = named
	}
	if port == "" {
		return netip.AddrPortFrom(a, 0), nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		named, ok := f.o.Names.ServicePort(port, protocol)
		if !ok {
			return netip.AddrPort{}, fmt.Errorf("%q is no port, and no service that is known", port)
		}
		n = uint64(named)
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

func (v *ldVirtual) seconds(l ldLine, to *time.Duration) {
	n, err := strconv.ParseUint(l.value, 10, 31)
	if err != nil || n == 0 {
		v.note(l, fmt.Sprintf("%q is no number of seconds: left out", l.value))
		return
	}
	*to = time.Duration(n) * time.Second
}

func (v *ldVirtual) checkCount(l ldLine) {
	if l.value != "1" {
		v.note(l, "a check asks once: failurecount says how many failures bring a server down")
	}
}

func (v *ldVirtual) failureCount(l ldLine) {
	n, err := strconv.Atoi(l.value)
	if err != nil || n < 1 {
		v.note(l, fmt.Sprintf("%q is no number above 0: left out", l.value))
		return
	}
	v.failures = n
}

func (v *ldVirtual) setCheckPort(l ldLine) {
	n, err := strconv.ParseUint(l.value, 10, 16)
	if err != nil || n == 0 {
		v.note(l, fmt.Sprintf("%q is no port: left out", l.value))
		return
	}
	v.checkPort = uint16(n)
}

func (v *ldVirtual) setScheduler(l ldLine) {
	if !slices.Contains(sched.Names(), l.value) {
		v.note(l, fmt.Sprintf("there is no scheduler %q: left out", l.value))
		return
	}
	v.sched = l.value
}

func (v *ldVirtual) setFlags(l ldLine) { v.flags = strings.Split(l.value, ",") }

func (v *ldVirtual) setNetmask(l ldLine) {
	v.netmask = l.value
	if !strings.Contains(l.value, ".") {
		v.netmask = "/" + l.value
	}
}

func (v *ldVirtual) setProtocol(l ldLine) {
	if !slices.Contains([]string{"tcp", "udp", "fwm"}, l.value) {
		v.note(l, fmt.Sprintf("%q is none of tcp, udp, fwm: left out", l.value))
		return
	}
	v.protocol = l.value
}

var ldMethods = map[string]config.Method{"gate": "route", "masq": "masq", "ipip": "tunnel"}

func (v *ldVirtual) setFallback(l ldLine) {
	words := strings.Fields(l.value)
	if len(words) == 0 {
		v.note(l, "it names no server")
		return
	}
	addr, err := v.f.endpoint(words[0], "tcp")
	if err != nil {
		v.note(l, err.Error()+": left out")
		return
	}
	r := ldReal{of: l, addr: addr, method: "route", weight: 1}
	if len(words) > 1 {
		if r.method = ldMethods[words[1]]; r.method == "" {
			v.note(l, fmt.Sprintf("%q is none of gate, masq, ipip: gate is taken", words[1]))
			r.method = "route"
		}
	}
	if strings.HasSuffix(l.name, "6") || addr.Addr().Is6() {
		v.fallback6 = &r
	} else {
		v.fallback = &r
	}
}
