package convert

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/health"
)

// realLine is host[->host][:port] method [weight] ["request"[, "receive"]], and
// thresholds in quotes.
var (
	realLine  = regexp.MustCompile(`^(\S+)\s+(gate|masq|ipip)\b\s*(\d+)?\s*(.*)$`)
	quoted    = regexp.MustCompile(`"([^"]*)"`)
	threshold = regexp.MustCompile(`^<?([lu]):(\d+)>?$`)
)

func (v *ldVirtual) addReal(l ldLine) {
	m := realLine.FindStringSubmatch(l.value)
	if m == nil {
		v.note(l, "want HOST:PORT gate|masq|ipip [WEIGHT]: left out")
		return
	}
	r := ldReal{of: l, method: ldMethods[m[2]], weight: 1}
	if m[3] != "" {
		n, err := strconv.ParseInt(m[3], 10, 32)
		if err != nil {
			v.note(l, fmt.Sprintf("%s is too great a weight: 1 is taken", m[3]))
			n = 1
		}
		r.weight = int32(n)
	}
	texts := 0
	for _, q := range quoted.FindAllStringSubmatch(m[4], -1) {
		if t := threshold.FindStringSubmatch(q[1]); t != nil {
			n, _ := strconv.ParseUint(t[2], 10, 31)
			if t[1] == "l" {
				r.lower = uint32(n)
			} else {
				r.upper = uint32(n)
			}
			continue
		}
		switch texts++; texts {
		case 1:
			r.request = q[1]
		case 2:
			r.receive = q[1]
		}
	}
	addrs, err := v.realAddresses(m[1])
	if err != nil {
		v.note(l, err.Error()+": left out")
		return
	}
	for _, a := range addrs {
		r.addr = a
		v.real = append(v.real, r)
	}
}

// realAddresses writes out host->host:port.
func (v *ldVirtual) realAddresses(text string) ([]netip.AddrPort, error) {
	from, to, ranged := strings.Cut(text, "->")
	last, err := v.f.endpoint(text, "tcp")
	if ranged {
		last, err = v.f.endpoint(to, "tcp")
	}
	if err != nil || !ranged {
		return []netip.AddrPort{last}, err
	}
	low, err := v.f.endpoint(from, "tcp")
	if err != nil {
		return nil, err
	}
	addrs, err := addressRange(low.Addr().String() + "-" + last.Addr().String())
	var out []netip.AddrPort
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a, last.Port()))
	}
	return out, err
}

// finish makes the service of a section.
func (v *ldVirtual) finish() {
	if v == nil || !v.addr.IsValid() && v.mark == 0 {
		return
	}
	s := config.Service{Name: v.name, Family: config.IPv4}
	document.Defaults(&s)
	v.listen(&s)
	s.Scheduler, s.SchedulerFlags = config.Scheduler(v.sched), v.flags
	if v.persistent > 0 {
		s.Persistence = &config.Persistence{Timeout: v.persistent, Netmask: v.netmask}
	}
	s.OnePacket = v.ops && len(s.TCP) == 0
	s.Inhibit = v.quiescent
	f := v.fallback
	if v.isSix() {
		f = v.fallback6
	}
	if f != nil {
		s.SorryServer = &config.Sorry{Weight: 1, Method: f.method, Inhibit: v.quiescent}
		s.SorryServer.Address.AddrPort = v.port(*f)
	}
	if len(v.fallbackCommand) > 0 {
		s.QuorumDown, s.QuorumUp = v.fallbackHook("start"), v.fallbackHook("stop")
	}
	for i, r := range v.real {
		switch {
		case r.addr.Addr().Is6() != v.isSix() && r.method != "tunnel":
			v.note(r.of, "it is of another family than the service, and needs ipip then: left out")
		case slices.ContainsFunc(v.real[:i], func(o ldReal) bool { return v.port(o) == v.port(r) }):
			v.note(r.of, "it stands above already: left out")
		default:
			s.Destinations = append(s.Destinations, v.destination(r))
		}
	}
	v.noteCheck()
	if len(s.Destinations) > 0 {
		hoist(&s)
	}
	v.f.desired.Services = append(v.f.desired.Services, s)
}

func (v *ldVirtual) listen(s *config.Service) {
	protocol := v.protocol
	if protocol == "" && v.addr.Port() == 53 {
		protocol = "udp"
	}
	switch {
	case v.mark != 0:
		s.FWMark = []uint32{v.mark}
		if v.isSix() {
			s.Family = config.IPv6
		}
	case protocol == "udp":
		s.UDP = []netip.AddrPort{v.addr}
	default:
		s.TCP = []netip.AddrPort{v.addr}
	}
}

func (v *ldVirtual) isSix() bool { return v.six || v.addr.Addr().Is6() }

func (v *ldVirtual) udp() bool { return v.protocol == "udp" || v.protocol == "" && v.addr.Port() == 53 }

// port is the server's address, without a port that is the service's or that the
// method leaves as it is.
func (v *ldVirtual) port(r ldReal) netip.AddrPort {
	if v.mark != 0 || r.method != "masq" || r.addr.Port() == v.addr.Port() {
		return withPort(r.addr, 0)
	}
	return r.addr
}

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

func (v *ldVirtual) fallbackHook(word string) *config.Hook {
	protocol := "tcp"
	if v.udp() {
		protocol = "udp"
	}
	return &config.Hook{Command: append(append([]string{}, v.fallbackCommand...), word, v.addr.String(), protocol), Timeout: 30 * time.Second}
}

func (v *ldVirtual) destination(r ldReal) config.Destination {
	d := config.Destination{}
	document.Defaults(&d)
	d.Address.AddrPort = v.port(r)
	d.Method, d.Weight, d.Inhibit = r.method, r.weight, v.quiescent
	d.LowerThreshold, d.UpperThreshold = r.lower, r.upper
	if v.checkType == "off" {
		d.Weight = 0
	}
	if spec, ok := v.check(r); ok {
		d.Check = []health.Spec{spec}
	}
	return d
}

// negotiates reports whether the server is spoken to in the language of service.
func (v *ldVirtual) negotiates() bool {
	_, err := strconv.Atoi(v.checkType)
	return v.checkType == "" || v.checkType == "negotiate" || err == nil
}

// spoken is the service that is spoken to.
func (v *ldVirtual) spoken() string {
	if v.service != "" {
		return v.service
	}
	if name, ok := ldPorts[v.addr.Port()]; ok {
		return name
	}
	return "none"
}

// noteCheck says once for all servers what a check does not do.
func (v *ldVirtual) noteCheck() {
	switch _, err := strconv.Atoi(v.checkType); {
	case v.checkType == "off":
		v.note(v.checkLine, "checktype off takes no server into use: they have weight 0")
	case v.checkType == "external-perl":
		v.note(v.checkLine, "the program is run as such, once for each check")
	case err == nil:
		v.note(v.checkLine, "every check asks, none only connects")
	}
	row, ok := ldServices[v.spoken()]
	if !ok {
		v.note(v.checkLine, fmt.Sprintf("there is no service %q: left out", v.spoken()))
	}
	if v.negotiates() && row.lost != "" {
		v.note(v.checkLine, "service "+v.spoken()+": "+row.lost)
	}
}

// check is the check of a server. As ldirectord takes servers into use when they
// are found to be well, it starts down.
func (v *ldVirtual) check(r ldReal) (health.Spec, bool) {
	s := health.Spec{Interval: health.Duration(v.interval), Rise: 1, Fall: v.failures, Start: health.StartDown, Port: v.checkPort}
	timeout, other, fallback := v.checkTimeout, v.negotiateTimeout, 5*time.Second
	if v.negotiates() {
		timeout, other, fallback = other, timeout, 30*time.Second
	}
	for _, t := range []time.Duration{timeout, other, fallback} {
		if t > 0 {
			s.Timeout = health.Duration(t)
			break
		}
	}
	switch {
	case v.checkType == "on" || v.checkType == "off":
		return s, false
	case v.checkType == "ping", v.checkType == "connect" && v.udp():
		s.Kind, s.Port = "icmp", 0
	case v.checkType == "connect":
		s.Kind = "tcp"
		if s.Port == 0 {
			s.Port = v.askedPort(r)
		}
	case strings.HasPrefix(v.checkType, "external"):
		s.Kind, s.Port = "exec", 0
		s.Command = append(append([]string{}, v.checkCommand...), v.externalWords(r)...)
		if len(v.checkCommand) == 0 {
			s.Command = []string{"/bin/true"}
		}
	default:
		v.negotiate(&s, r)
	}
	if s.Kind == "" {
		return s, false
	}
	for _, wrong := range s.Validate() {
		v.note(r.of, "its check is left out: "+wrong.Error())
		return s, false
	}
	return s, true
}

// externalWords are what ldirectord hands to a program.
func (v *ldVirtual) externalWords(r ldReal) []string {
	words := []string{strconv.Itoa(int(v.mark)), "0"}
	if v.mark == 0 {
		words = []string{v.addr.Addr().String(), strconv.Itoa(int(v.addr.Port()))}
	}
	return append(words, r.addr.Addr().String(), strconv.Itoa(int(r.addr.Port())))
}

// negotiate asks as the service is asked.
func (v *ldVirtual) negotiate(s *health.Spec, r ldReal) {
	row := ldServices[v.spoken()]
	s.Kind = row.kind
	request, receive := v.request, v.receive
	if r.request != "" {
		request = r.request
	}
	if r.receive != "" {
		receive = r.receive
	}
	switch s.Kind {
	case "http", "https":
		v.page(s, request, receive)
	case "dns":
		s.Name, s.Type, s.Answer = request, "A", receive
		if _, err := netip.ParseAddr(request); err == nil {
			s.Type = "PTR"
		}
		s.Transport = map[bool]string{true: "udp", false: "tcp"}[v.udp()]
	case "tcp":
		s.Expect = row.expect
		if v.spoken() == "simpletcp" {
			s.Send, s.Expect = strings.ReplaceAll(request, `\n`, "\n"), receive
		}
	case "tls":
		s.TLS = &health.TLS{Verify: new(bool)}
	case "icmp":
		s.Port = 0
	}
	if s.Port == 0 && slices.Contains(ported, s.Kind) {
		s.Port = v.askedPort(r)
	}
}

// askedPort is the port of a real server where it is not the one that its
// destination gets, else 0.
func (v *ldVirtual) askedPort(r ldReal) uint16 {
	if p := r.addr.Port(); v.port(r).Port() == 0 && (v.mark != 0 || p != v.addr.Port()) {
		return p
	}
	return 0
}

// page asks for a page; one that is a whole address is asked for there.
func (v *ldVirtual) page(s *health.Spec, request, receive string) {
	s.Method, s.Host, s.Body = v.httpMethod, v.host, receive
	if u, err := url.Parse(request); err == nil && u.Host != "" {
		request = u.RequestURI()
		if s.Host == "" {
			s.Host = u.Host
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil {
			s.Address.Addr = a
		}
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
			s.Port = uint16(n)
		}
	}
	s.Path = "/" + strings.TrimPrefix(request, "/")
	if s.Kind == "https" {
		s.TLS = &health.TLS{Verify: new(bool)}
	}
}
