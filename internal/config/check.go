package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// checking finds what is wrong beyond single values.
type checking struct {
	*document.Reader
	parts []*Desired
	part  *Desired // being checked
	names map[string]*Service
	keys  map[ipvs.ServiceKey]any // who has it, as a pointer with a place
	marks []*Mark
}

func (c *checking) check() {
	c.names, c.keys = map[string]*Service{}, map[ipvs.ServiceKey]any{}
	for i, part := range c.parts {
		c.part = part
		if i > 0 {
			c.onceOnly()
		}
		c.settings()
		c.api()
		for j := range part.Marks {
			c.mark(&part.Marks[j])
		}
		for j := range part.Services {
			c.service(&part.Services[j])
		}
	}
}

// onceOnly finds what a file that is included may not say, as another does.
func (c *checking) onceOnly() {
	main, part := c.parts[0], c.part
	for _, only := range []any{&part.API, &part.Timeouts} {
		if c.Given(only) {
			c.Wrong("only the file that includes the others says this: move it there", only)
		}
	}
	for name := range part.Settings {
		if _, twice := main.Settings[name]; twice {
			c.Wrong("the file that includes this one says it too: leave it out here or there", document.Entry(&part.Settings, name))
		}
	}
	for name := range part.Interfaces {
		if _, twice := main.Interfaces[name]; twice {
			c.Wrong("the file that includes this one says it too: leave it out here or there", document.Entry(&part.Interfaces, name))
		}
	}
}

func (c *checking) settings() {
	for name, value := range c.part.Settings {
		if err := (ipvs.SysctlValue{Name: name, Value: value}).Validate(); err != nil {
			c.Wrong(fmt.Sprintf("%v: `evs sysctl -v` lists settings, ranges and meaning", err), document.Entry(&c.part.Settings, name))
		}
	}
}

func (c *checking) api() {
	a := &c.part.API
	tls := a.TLS.Certificate != "" || a.TLS.Key != "" || a.TLS.ClientCA != "" || len(a.TLS.Writers) > 0
	switch {
	case a.Listen.IsValid() && (a.TLS.Certificate == "" || a.TLS.Key == "" || a.TLS.ClientCA == ""):
		c.Wrong("a listener needs certificates: write tls with certificate, key and clientCA, or leave listen out", &a.Listen)
	case tls && !a.Listen.IsValid():
		c.Wrong("certificates without a listener: write listen, or leave tls out", &a.TLS)
	}
}

// mark reads a rule by the table that evs mark reads it by.
func (c *checking) mark(m *Mark) {
	given := map[string]string{"destination": m.Destination, "set-mark": m.Mark}
	for flag, value := range map[string]string{"source": m.Source, "protocol": m.Protocol, "dport": strings.Join(m.Ports, ",")} {
		if value != "" {
			given[flag] = value
		}
	}
	places := map[string]any{"destination": &m.Destination, "source": &m.Source, "protocol": &m.Protocol, "dport": &m.Ports, "set-mark": &m.Mark}
	for _, o := range options.Mark {
		arg, ok := given[o.Name]
		if !ok {
			continue
		}
		if err := o.Set(&m.Rule, arg); err != nil {
			c.Wrong(fmt.Sprintf("%q: %v", arg, err), places[o.Name], m)
			return
		}
	}
	if err := m.Rule.Validate(); err != nil {
		c.Wrong(err.Error(), m)
		return
	}
	if slices.ContainsFunc(c.marks, func(o *Mark) bool { return o.Rule.SameMatch(m.Rule) }) {
		c.Wrong("another rule matches the same packets: leave one of them out", m)
	}
	c.marks = append(c.marks, m)
}

func (c *checking) service(s *Service) {
	def := &c.part.Defaults
	keys := s.keys()
	if len(keys) == 0 {
		c.Wrong("it has no address: write tcp, udp or sctp with ADDRESS:PORT, or fwmark", s)
		return
	}
	if s.Name == "" {
		s.Name = keys[0].key.String()
	}
	if c.names[s.Name] != nil {
		c.Wrong(fmt.Sprintf("another service is called %q: choose another name", s.Name), &s.Name, s)
	}
	c.names[s.Name] = s
	if c.Given(&s.Family) && len(s.FWMark) == 0 {
		c.Wrong("it goes with fwmark alone: other services have the family of their address", &s.Family)
	}
	if s.OnePacket && (len(s.TCP) > 0 || len(s.SCTP) > 0) {
		c.Wrong("only UDP and firewall marks can have it: leave it out, or make two services", &s.OnePacket, &def.OnePacket, s)
	}
	for _, k := range keys {
		if k.key.FWMark == 0 && k.key.Addr.Addr().Zone() != "" {
			c.Wrong("a virtual service has no zone: leave out what follows the percent sign", k.at)
			continue
		}
		if c.keys[k.key] != nil {
			c.Wrong(fmt.Sprintf("%s is another service already, at %s: leave one of them out", k.key, c.At(c.keys[k.key])), k.at)
			continue
		}
		c.keys[k.key] = k.at
		c.one(s, k)
	}
	c.pool(s, keys)
	for i := range s.Discovery {
		c.discovery(&s.Discovery[i])
	}
	c.outlier(s)
}

func (c *checking) outlier(s *Service) {
	o := s.Outlier
	if o == nil {
		return
	}
	if len(s.UDP)+len(s.SCTP) > 0 && c.Given(&s.Outlier) {
		c.Wrong("only of TCP the data path sees whether a server answers: leave it out, or make two services", &s.Outlier)
	}
	for _, p := range []*Percent{&o.Share, &o.MostOut} {
		if *p > 100 {
			c.Wrong("it is more than all: write 100% at most", p, o)
		}
	}
	if o.AtMost < o.For {
		c.Wrong(fmt.Sprintf("it is shorter than for, %s: write a longer time", o.For), &o.AtMost, o)
	}
}

// one checks the service of one address.
func (c *checking) one(s *Service, k keyAt) {
	def := &c.part.Defaults
	spec, wrong := s.service(k.key)
	if wrong.err != nil {
		c.Wrong(wrong.err.Error(), append(wrong.places(s, def), s)...)
		return
	}
	if err := spec.Validate(); err != nil {
		c.Wrong(err.Error()+": write persistence, or a port", k.at, s)
	}
}

// dropPatterns takes away checks that are only what defaults say of all checks:
// without a kind they ask nothing.
func (c *checking) dropPatterns(s *Service) {
	pattern := func(checks []health.Spec) bool { return len(checks) == 1 && checks[0].Kind == "" }
	if c.Given(&s.Check) {
		return
	}
	if pattern(s.Check) {
		s.Check = nil
	}
	for i := range s.Destinations {
		if d := &s.Destinations[i]; pattern(d.Check) && !c.Given(&d.Check) {
			d.Check = nil
		}
	}
}

// pool checks the servers of a service.
func (c *checking) pool(s *Service, keys []keyAt) {
	c.dropPatterns(s)
	def := &c.part.Defaults
	seen := map[netip.AddrPort]bool{}
	for i := range s.Destinations {
		d := &s.Destinations[i]
		if seen[d.Address.AddrPort] {
			c.Wrong(fmt.Sprintf("%s is a destination of this service already: leave one of them out", d.Address), &d.Address, d)
		}
		seen[d.Address.AddrPort] = true
		c.destination(s, d, keys)
		c.server(&d.Server, &s.Server, &def.Server, d)
	}
	if len(s.Destinations) == 0 {
		c.server(&s.Server, &s.Server, &def.Server, s)
	}
	for _, h := range []*Hook{s.QuorumUp, s.QuorumDown} {
		c.hook(h)
	}
	if sorry := s.SorryServer; sorry != nil {
		d := Destination{Address: sorry.Address, Server: s.sorryServer()}
		c.forwarding(d, keys, []any{&sorry.Address, sorry}, []any{&sorry.Method, sorry}, []any{sorry.Tunnel, sorry})
		if seen[sorry.Address.AddrPort] {
			c.Wrong("the sorry server is a destination of the service too: leave it out there", &sorry.Address, sorry)
		}
	}
}

func (c *checking) destination(s *Service, d *Destination, keys []keyAt) {
	def := &c.part.Defaults
	if d.LowerThreshold > d.UpperThreshold {
		c.Wrong(fmt.Sprintf("it is above upperThreshold %d: make it smaller", d.UpperThreshold), &d.LowerThreshold, &s.LowerThreshold, &def.LowerThreshold, d)
		return
	}
	c.forwarding(*d, keys, []any{&d.Address, d}, []any{&d.Method, &d.Address, d}, []any{&d.Tunnel, &s.Tunnel, &def.Tunnel, d})
}

// forwarding checks how packets would reach a destination.
func (c *checking) forwarding(d Destination, keys []keyAt, address, method, tunnel []any) {
	if !d.Address.IsValid() {
		c.Wrong("it has no address: write server: ADDRESS:PORT", address...)
		return
	}
	if d.Method == "tunnel" {
		if wrong := d.Tunnel.wrong(); wrong != "" {
			c.Wrong(wrong, tunnel...)
			return
		}
	}
	for _, k := range keys {
		dest := d.at(k.key)
		switch {
		case d.Method != "masq" && k.key.FWMark == 0 && dest.Addr.Port() != k.key.Addr.Port():
			c.Wrong(fmt.Sprintf("method %s leaves the port as it is: leave out the port, or write method: masq", d.Method), address...)
			return
		case ipvs.FamilyOf(d.Address.Addr()) != k.key.Family && d.Method != "tunnel":
			c.Wrong(fmt.Sprintf("%s is of another family than the service's %s: that needs method: tunnel", d.Address, k.key), method...)
			return
		}
		if err := firstOf(dest.Validate(ipvs.Service{ServiceKey: k.key}), dest.CheckAddr()); err != nil {
			c.Wrong(err.Error()+": write that of a server", address...)
			return
		}
	}
}

// wrong says what an encapsulation cannot be, "" for nothing.
func (t Tunnel) wrong() string {
	switch {
	case t.Type == "gue" && t.Port == 0:
		return "a gue tunnel needs a port: write port, often 6080"
	case t.Type != "gue" && t.Port != 0:
		return fmt.Sprintf("a tunnel of type %s has no port: leave port out, or write type: gue", t.Type)
	case t.Type == "ipip" && t.Checksum != "none", t.Type == "gre" && t.Checksum == "remcsum":
		return fmt.Sprintf("a tunnel of type %s cannot have checksum %s: leave it out", t.Type, t.Checksum)
	}
	return ""
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// server checks what a server has beside its address.
func (c *checking) server(s, service, def *Server, owner any) {
	s.Places = make([]document.Place, len(s.Check))
	for i := range s.Check {
		s.Places[i] = c.At(&s.Check[i], &service.Check, &def.Check, owner)
		for _, wrong := range s.Check[i].Validate() {
			c.WrongIn(wrong.Field, wrong.Problem+": "+wrong.Remedy, &s.Check[i], &service.Check, &def.Check, owner)
		}
	}
	c.hook(s.NotifyUp)
	c.hook(s.NotifyDown)
	if s.WeightSource != nil {
		c.source(s.WeightSource, s.Weight)
	}
}

func (c *checking) hook(h *Hook) {
	if h != nil && (len(h.Command) == 0 || h.Command[0] == "") {
		c.Wrong("it names no program: write command: [/path/to/program, argument]", h)
	}
}
