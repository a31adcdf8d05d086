package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/evs-project/evs/internal/options"
	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// Scheduler is the name of a scheduler.
type Scheduler string

// Choices are the schedulers there are.
func (Scheduler) Choices() []string { return append(sched.Names(), sched.None) }

// Engine is the name of a persistence engine, "" for none.
type Engine string

// Choices are the engines there are.
func (Engine) Choices() []string { return ipvs.Engines }

// Method is the name of a forwarding method.
type Method string

// Choices are the methods that one can choose.
func (Method) Choices() []string { return options.Methods() }

// Family is the address family of a firewall-mark service.
type Family string

// The families.
const (
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
)

// Choices are the families.
func (Family) Choices() []string { return []string{string(IPv4), string(IPv6)} }

// Endpoint is the address of a server. Port 0 is left out and stands for that of
// the service, unless Any says that it is 0 itself: that of the packet.
type Endpoint struct {
	netip.AddrPort
	Any bool
}

// Want is how it is written.
func (*Endpoint) Want() string { return "192.0.2.2:8080, [2001:db8::2]:8080, or without a port" }

// UnmarshalText reads it.
func (e *Endpoint) UnmarshalText(text []byte) error {
	addr, err := options.Server(string(text), 0)
	if err != nil {
		return fmt.Errorf("%q is no address of a server", text)
	}
	e.AddrPort, e.Any = addr, strings.HasSuffix(string(text), ":0") && addr.Port() == 0 && strings.ContainsAny(string(text), ".]")
	return nil
}

// MarshalText writes it as it is read.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// String leaves a port out that is the service's.
func (e Endpoint) String() string {
	if e.IsValid() && e.Port() == 0 && !e.Any {
		return e.Addr().String()
	}
	return e.AddrPort.String()
}

// Percent is a share of a hundred.
type Percent float64

// Want is how it is written.
func (*Percent) Want() string { return "25%" }

// UnmarshalText reads it.
func (p *Percent) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(string(text), "%")
	x, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(x > 0 && x <= 1000) {
		return fmt.Errorf("%q is no percentage above 0%%", text)
	}
	*p = Percent(x)
	return nil
}

// MarshalText writes it as it is read.
func (p Percent) MarshalText() ([]byte, error) {
	return append(strconv.AppendFloat(nil, float64(p), 'g', -1, 64), '%'), nil
}
