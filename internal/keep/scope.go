package keep

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/ipvs"
)

// Scope says which destinations an operator means: a real server, of whatever port
// if none is named, in whatever service if none is.
type Scope struct {
	Service Service `json:"service,omitzero" about:"the virtual service, as TCP 203.0.113.10:80, UDP [2001:db8::10]:53, FWM 7 or FWM 7 IPv6; every one if left out"`
	Server  Server  `json:"server" about:"the real server, as 192.0.2.2:8080 or [2001:db8::2]:8080; without a port, whatever its port"`
}

// Covers reports whether a destination is meant.
func (s Scope) Covers(k ipvs.ServiceKey, d netip.AddrPort) bool {
	return (s.Service.IsZero() || s.Service.ServiceKey == k) &&
		s.Server.Addr() == d.Addr() && (s.Server.Port() == 0 || s.Server.Port() == d.Port())
}

// Within reports whether all that s means is meant by outer, too.
func (s Scope) Within(outer Scope) bool {
	return (outer.Service.IsZero() || outer.Service == s.Service) &&
		outer.Server.Addr() == s.Server.Addr() && (outer.Server.Port() == 0 || outer.Server.Port() == s.Server.Port())
}

// String names it in messages.
func (s Scope) String() string {
	if s.Service.IsZero() {
		return s.Server.String()
	}
	return fmt.Sprintf("%s of %s", s.Server, s.Service)
}

// narrowness is the greater, the less is meant.
func (s Scope) narrowness() int {
	n := 0
	if !s.Service.IsZero() {
		n += 2
	}
	if s.Server.Port() != 0 {
		n++
	}
	return n
}

// narrower orders the narrowest first.
func narrower(a, b Scope) int { return cmp.Compare(b.narrowness(), a.narrowness()) }

// Service is a key of a virtual service that is written as a text. The zero value
// is every service.
type Service struct{ ipvs.ServiceKey }

// IsZero reports whether no service is named.
func (s Service) IsZero() bool { return s == Service{} }

// MarshalText writes it as ipvs.ServiceKey.String does.
func (s Service) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes, in whatever case.
func (s *Service) UnmarshalText(text []byte) error {
	key, ok := parseService(strings.Fields(string(text)))
	if !ok {
		return fmt.Errorf("service %q: write it as TCP 203.0.113.10:80, UDP [2001:db8::10]:53, FWM 7 or FWM 7 IPv6", text)
	}
	s.ServiceKey = key
	return nil
}

func parseService(words []string) (k ipvs.ServiceKey, ok bool) {
	if len(words) < 2 || len(words) > 3 {
		return k, false
	}
	if strings.EqualFold(words[0], "FWM") {
		mark, err := strconv.ParseUint(words[1], 10, 32)
		family := ipvs.IPv4
		if len(words) == 3 {
			if !strings.EqualFold(words[2], "IPv6") {
				return k, false
			}
			family = ipvs.IPv6
		}
		return ipvs.ServiceMark(uint32(mark), family), err == nil && mark > 0
	}
	addr, err := netip.ParseAddrPort(words[1])
	for _, p := range []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP} {
		if strings.EqualFold(words[0], p.String()) {
			return ipvs.ServiceAt(p, addr), err == nil && len(words) == 2
		}
	}
	return k, false
}

// Server is the address of a real server; port 0 is any.
type Server struct{ netip.AddrPort }

// String leaves a port out that is any.
func (s Server) String() string {
	if s.IsValid() && s.Port() == 0 {
		return s.Addr().String()
	}
	return s.AddrPort.String()
}

// MarshalText writes it as String does.
func (s Server) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Server) UnmarshalText(text []byte) error {
	addr, err := options.Server(string(text), 0)
	if err != nil {
		return fmt.Errorf("server %q: write it as 192.0.2.2:8080, [2001:db8::2]:8080, or without a port", text)
	}
	s.AddrPort = addr
	return nil
}
