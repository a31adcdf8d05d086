package convert

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/health"
)

// fresh is a director's file that says nothing.
func fresh() *config.Desired {
	d := &config.Desired{}
	document.Defaults(d)
	return d
}

// keepalived's own defaults.
const (
	defaultLoop    = 60 * time.Second
	defaultConnect = 5 * time.Second
)

// finish makes the services of a virtual_server that has been read, with what
// keepalived fills in and corrects.
func (v *virtual) finish() {
	v.sift()
	if len(v.real) == 0 {
		v.c.note(v.of, "no real servers are left, and keepalived leaves it out: so it is here")
		return
	}
	method := value(v.method, forwarding{"masq", config.Tunnel{Type: "ipip", Checksum: "none"}})
	s := config.Service{Name: v.name, Family: config.IPv4}
	document.Defaults(&s)
	s.Scheduler, s.SchedulerFlags = "wlc", v.flags
	if v.sched != "" {
		s.Scheduler = config.Scheduler(v.sched)
	}
	s.Method, s.Tunnel = method.method, method.tunnel
	s.QuorumUp, s.QuorumDown = v.quorumUp, v.quorumDown
	s.Persistence = v.persist
	s.Quorum, s.Hysteresis = v.quorum, v.hysteresis
	v.correct(&s)
	v.setSorry(&s, method)
	for _, r := range v.real {
		s.Destinations = append(s.Destinations, r.destination(v, method))
	}
	hoist(&s)
	v.listen(s)
}

// sift leaves out servers as keepalived does: of another family than the service,
// unless they are reached by a tunnel, and those that are named twice.
func (v *virtual) sift() {
	method := value(v.method, forwarding{method: "masq"})
	family := v.inet
	if v.group == nil && v.addressed() {
		family = familyOf(v.addr.Addr())
	}
	var kept []*real
	fits := func(a netip.Addr, f forwarding) bool {
		if f.method == "tunnel" {
			return true
		}
		if family == "" {
			family = familyOf(a)
		}
		return family == familyOf(a)
	}
	for _, r := range v.real {
		switch {
		case !fits(r.addr.Addr(), value(r.method, method)):
			v.c.note(r.of, "it is of another family than the service: keepalived leaves it out, and so it is here")
		case slices.ContainsFunc(kept, func(o *real) bool { return o.addr == r.addr }):
			v.c.note(r.of, "it stands above already: keepalived takes the first, and so it is here")
		default:
			kept = append(kept, r)
		}
	}
	v.real = kept
	if v.sorry.IsValid() && !fits(v.sorry.Addr(), value(v.sorryMethod, method)) {
		v.c.note(v.of, "its sorry_server is of another family: keepalived leaves it out, and so it is here")
		v.sorry = config.Endpoint{}
	}
	if v.group != nil && family != "" && slices.ContainsFunc(v.group.addrs, func(a netip.AddrPort) bool { return familyOf(a.Addr()) != family }) {
		v.c.note(v.of, "its group is of another family than its servers: keepalived leaves it out, and so it is here")
		v.real = nil
	}
}

func familyOf(a netip.Addr) config.Family {
	if a.Is6() {
		return config.IPv6
	}
	return config.IPv4
}

// correct does to a service what keepalived does to one that cannot be.
func (v *virtual) correct(s *config.Service) {
	v.correctQuorum(s)
	v.correctProtocol(s)
	lasts := s.Persistence != nil && s.Persistence.Timeout > 0
	if !lasts && slices.ContainsFunc(v.addrs(), func(a netip.AddrPort) bool { return a.Port() == 0 }) {
		v.c.note(v.of, "port 0 needs persistence: keepalived makes it persistent for 6 minutes, and so it is here")
		v.persistent().Timeout = defaultPersistence
		s.Persistence, lasts = v.persist, true
	}
	if s.Persistence != nil && !lasts {
		v.c.note(v.of, "persistence_engine alone makes no service persistent: left out")
		s.Persistence = nil
	}
}

func (v *virtual) correctQuorum(s *config.Service) {
	total := 0
	for _, r := range v.real {
		total += value(r.or(v.common).weight, 1)
	}
	if total > 0 && s.Quorum > total {
		v.c.note(v.of, fmt.Sprintf("quorum %d is above the weight of all servers, %d: keepalived lowers it to that, and so it is here", s.Quorum, total))
		s.Quorum = total
	}
	if s.Hysteresis >= s.Quorum {
		v.c.note(v.of, fmt.Sprintf("hysteresis %d is not below quorum %d: keepalived makes it %d, and so it is here", s.Hysteresis, s.Quorum, s.Quorum-1))
		s.Hysteresis = s.Quorum - 1
	}
}

func (v *virtual) correctProtocol(s *config.Service) {
	s.OnePacket = v.ops
	switch {
	case !v.addressed() && v.protocol != "":
		v.c.note(v.of, "a firewall mark has no protocol: left out")
	case v.addressed() && v.protocol == "":
		v.c.note(v.of, "no protocol is said: keepalived takes UDP, and so it is here")
		v.protocol = "udp"
	case v.addressed() && v.ops && v.protocol != "udp":
		v.c.note(v.of, "ops is for UDP alone: keepalived leaves it out, and so it is here")
		s.OnePacket = false
	}
}

// addrs are the addresses that the server has.
func (v *virtual) addrs() []netip.AddrPort {
	switch {
	case v.group != nil:
		return v.group.addrs
	case v.mark == 0:
		return []netip.AddrPort{v.addr}
	}
	return nil
}

func (v *virtual) addressed() bool { return len(v.addrs()) > 0 }

func (v *virtual) setSorry(s *config.Service, method forwarding) {
	if !v.sorry.IsValid() {
		return
	}
	f := value(v.sorryMethod, method)
	s.SorryServer = &config.Sorry{Address: v.sorry, Weight: 1, Inhibit: v.sorryInhibit}
	if v.sorryMethod != nil {
		s.SorryServer.Method, s.SorryServer.Tunnel = f.method, &f.tunnel
	}
	s.SorryServer.Address = v.port(v.sorry, f.method, true)
}

// port is the port of a server as keepalived takes it: only NAT has another than
// the service. In a group a port that is left out stays 0, which to IPVS is the
// port that a packet is for.
func (v *virtual) port(e config.Endpoint, m config.Method, sorry bool) config.Endpoint {
	addrs := v.addrs()
	alone := v.group == nil && len(addrs) == 1
	switch {
	case m != "masq", alone && e.Port() == addrs[0].Port():
		e.AddrPort = withPort(e.AddrPort, 0)
	case e.Port() == 0 && len(addrs) > 0:
		e.Any = sorry || !alone
	}
	return e
}

// destination is the real server with what it has of its virtual server.
func (r *real) destination(v *virtual, method forwarding) config.Destination {
	all := r.or(v.common)
	f := value(r.method, method)
	d := config.Destination{}
	document.Defaults(&d)
	d.Address = v.port(r.addr, f.method, false)
	if f.method != "masq" && v.addressed() && r.addr.Port() != 0 && slices.ContainsFunc(v.addrs(), func(a netip.AddrPort) bool { return a.Port() != r.addr.Port() }) {
		r.c.note(r.of, fmt.Sprintf("%s leaves the port as it is: port %d is left out", f.method, r.addr.Port()))
	}
	d.Method, d.Tunnel = f.method, f.tunnel
	d.Weight = int32(value(all.weight, 1))
	d.UpperThreshold, d.LowerThreshold = r.upper, r.lower
	d.Inhibit = value(all.inhibit, false)
	d.NotifyUp, d.NotifyDown = r.up, r.down
	for _, k := range r.checks {
		if k.spec.Port == 0 && slices.Contains(ported, k.spec.Kind) && v.asked(d, r.addr.Port()) {
			k.spec.Port = r.addr.Port()
		}
		if spec, ok := k.finish(all); ok {
			d.Check = append(d.Check, spec)
		}
	}
	return d
}

// ported are the kinds of checks that ask at a port.
var ported = []string{"tcp", "http", "https", "smtp", "dns", "udp"}

// asked reports whether checks have to name the port of a real server, as it is not
// the one that its destination gets.
func (v *virtual) asked(d config.Destination, port uint16) bool {
	if port == 0 || d.Address.Port() == port {
		return false
	}
	return !v.addressed() || v.group != nil && len(v.group.marks) > 0 ||
		slices.ContainsFunc(v.addrs(), func(a netip.AddrPort) bool { return a.Port() != port })
}

// retries and delays of checkers that have others than the rest.
var (
	retries = map[string]int{"dns": 3, "exec": 0}
	delays  = map[string]time.Duration{"http": 3 * time.Second, "https": 3 * time.Second}
)

// finish makes the check, with what it has of its real server. A server is up
// after one success, and down after one failure more than it is retried.
func (k *check) finish(above common) (health.Spec, bool) {
	all := k.or(above)
	s := k.spec
	loop := value(all.delayLoop, defaultLoop)
	s.Interval = health.Duration(loop)
	retry, ok := retries[s.Kind]
	if !ok {
		retry = 1
	}
	delay, ok := delays[s.Kind]
	switch {
	case s.Kind == "dns":
		delay = loop
	case !ok:
		delay = time.Second
	}
	s.Rise, s.Fall = 1, value(all.retry, retry)+1
	if s.Fall > 1 && value(all.delayBeforeRetry, delay) != loop {
		s.RetryInterval = health.Duration(value(all.delayBeforeRetry, delay))
	}
	if all.warmup != nil {
		w := health.Duration(*all.warmup)
		s.Warmup = &w
	}
	timeout := defaultConnect
	if s.Kind == "exec" { // as long as the next run, if misc_timeout does not say
		timeout, all.connectTimeout = loop, k.connectTimeout
	}
	s.Timeout = health.Duration(value(all.connectTimeout, timeout))
	if value(all.alpha, false) {
		s.Start = health.StartDown
	}
	k.particulars(&s, all)
	return s, k.sound(&s)
}

// particulars are what single kinds need.
func (k *check) particulars(s *health.Spec, all common) {
	switch s.Kind {
	case "http", "https":
		k.requests(s, all.host)
	case "exec":
		if s.User == "" {
			s.User = k.c.user
		}
	case "file":
		s.Timeout, s.RetryInterval, s.Fall = 0, 0, 0
		s.Interval, s.Rise = 0, 0
		if s.Dynamic && s.Reverse {
			s.Factor, s.Reverse = -s.Factor, false
		}
		if !s.Dynamic && s.Factor != 0 && s.Factor != 1 {
			k.c.note(k.of, fmt.Sprintf("weight %d changes nothing without dynamic: left out", s.Factor))
		}
		if !s.Dynamic || s.Factor == 1 {
			s.Factor = 0
		}
	}
}

// requests makes one request of each url.
func (k *check) requests(s *health.Spec, host string) {
	if s.TLS != nil {
		s.TLS.Cert, s.TLS.Key = k.c.cert, k.c.key
	}
	var all []health.Request
	for _, u := range k.urls {
		if u.Host == "" {
			u.Host = host
		}
		if u.Path == "" {
			u.Path = "/"
		}
		all = append(all, u.Request)
	}
	if len(all) == 1 {
		headers := s.Headers
		s.Request = all[0]
		s.Headers = headers
		return
	}
	s.Requests = all
}

// sound leaves out what the director would refuse, and says so.
func (k *check) sound(s *health.Spec) bool {
	wrong := s.Validate()
	for _, w := range wrong {
		k.c.note(k.of, "the check is left out: "+w.Error())
	}
	return len(wrong) == 0
}

// hoist moves to the service what all its servers have alike.
func hoist(s *config.Service) {
	same := func(equal func(a, b config.Server) bool) bool {
		return !slices.ContainsFunc(s.Destinations, func(d config.Destination) bool {
			return !equal(d.Server, s.Destinations[0].Server)
		})
	}
	like := s.Destinations[0].Server
	if same(func(a, b config.Server) bool { return reflect.DeepEqual(a.Check, b.Check) }) {
		s.Check = like.Check
	}
	if same(func(a, b config.Server) bool { return a.Inhibit == b.Inhibit }) {
		s.Inhibit = like.Inhibit
	}
	if same(func(a, b config.Server) bool { return a.Method == b.Method && a.Tunnel == b.Tunnel }) && s.SorryServer == nil {
		s.Method, s.Tunnel = like.Method, like.Tunnel
	}
	if same(func(a, b config.Server) bool { return a.Weight == b.Weight }) {
		s.Weight = like.Weight
	}
}

// listen adds the service, once for each of the things it listens on that need
// another family of marks.
func (v *virtual) listen(s config.Service) {
	switch v.protocol {
	case "tcp":
		s.TCP = v.addrs()
	case "udp":
		s.UDP = v.addrs()
	case "sctp":
		s.SCTP = v.addrs()
	}
	marks := []groupMark{{v.mark, v.inet}}
	if v.group != nil {
		marks = v.group.marks
		if s.Name == "" {
			s.Name = v.group.name
		}
	}
	byFamily := map[config.Family][]uint32{}
	for _, m := range marks {
		if m.mark != 0 {
			f := v.markFamily(m.family, s)
			byFamily[f] = append(byFamily[f], m.mark)
		}
	}
	if n := len(byFamily[config.IPv4]); n > 0 {
		s.FWMark = byFamily[config.IPv4]
	}
	if six := byFamily[config.IPv6]; len(six) > 0 && len(s.FWMark) > 0 {
		other := s
		other.Name, other.TCP, other.UDP, other.SCTP = s.Name+"-ipv6", nil, nil, nil
		other.FWMark, other.Family = six, config.IPv6
		defer func() { v.c.desired.Services = append(v.c.desired.Services, other) }()
	} else if len(six) > 0 {
		s.FWMark, s.Family = six, config.IPv6
	}
	if len(s.FWMark) == 0 && !v.addressed() {
		v.c.note(v.of, "its group has neither addresses nor marks: left out")
		return
	}
	s.Name = v.unique(s.Name)
	v.c.desired.Services = append(v.c.desired.Services, s)
}

// unique makes a name that no other service has.
func (v *virtual) unique(name string) string {
	taken := func(n string) bool {
		return slices.ContainsFunc(v.c.desired.Services, func(s config.Service) bool { return n != "" && s.Name == n })
	}
	out := name
	for i := 2; taken(out); i++ {
		out = fmt.Sprintf("%s-%d", name, i)
	}
	return out
}

// markFamily is the family of a firewall mark: what is said, else that of the
// servers, of those without tunnels first.
func (v *virtual) markFamily(said config.Family, s config.Service) config.Family {
	if said != "" {
		return said
	}
	if v.inet != "" {
		return v.inet
	}
	if a := v.addrs(); len(a) > 0 {
		return familyOf(a[0].Addr())
	}
	for _, d := range s.Destinations {
		if d.Method != "tunnel" {
			return familyOf(d.Address.Addr())
		}
	}
	first := familyOf(s.Destinations[0].Address.Addr())
	for _, d := range s.Destinations {
		if familyOf(d.Address.Addr()) != first {
			return config.IPv4
		}
	}
	return first
}
