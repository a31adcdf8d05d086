package model_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/evs-project/evs/test/model"
)

// op is one thing that is done to the model and to the data path: an edit, a packet,
// or a step of the clock.
type op struct {
	edit    *edit
	packet  *model.Packet
	advance time.Duration
}

// edit is a command of ipvsadm.
type edit struct {
	verb      string // -A -E -D -a -e -d
	service   model.ServiceKey
	scheduler string
	server    netip.AddrPort
	method    model.Method
	weight    int
}

// protocols are their options of ipvsadm.
var protocols = map[string]string{"tcp": "-t", "udp": "-u"}

// argv is the edit as one would type it.
func (e edit) argv() []string {
	argv := []string{e.verb, protocols[e.service.Proto], e.service.Addr.String()}
	switch e.verb {
	case "-A", "-E":
		argv = append(argv, "-s", e.scheduler)
	case "-a", "-e":
		argv = append(argv, "-r", e.server.String(), string(e.method), "-w", fmt.Sprint(e.weight))
	case "-d":
		argv = append(argv, "-r", e.server.String())
	}
	return argv
}

// String is a line of a test case.
func (o op) String() string {
	switch {
	case o.edit != nil:
		return "ipvsadm " + strings.Join(o.edit.argv(), " ")
	case o.packet == nil:
		return fmt.Sprintf("%s pass", o.advance)
	case o.packet.Reply:
		return fmt.Sprintf("%s [%s] from %s to %s", o.packet.Proto, o.packet.Flags, o.packet.Server, o.packet.Client)
	}
	return fmt.Sprintf("%s [%s] from %s to %s", o.packet.Proto, o.packet.Flags, o.packet.Client, o.packet.Virtual)
}

// possible reports whether the edit would succeed: what it names is there, or is not.
func (e edit) possible(t *model.Table) bool {
	s := t.Find(e.service)
	switch e.verb {
	case "-A":
		return s == nil
	case "-E", "-D":
		return s != nil
	case "-a":
		return s != nil && s.Destination(e.server) == nil
	}
	return s != nil && s.Destination(e.server) != nil
}

// apply does it to the model.
func (e edit) apply(t *model.Table) {
	switch e.verb {
	case "-A":
		t.AddService(e.service, e.scheduler)
	case "-E":
		t.EditService(e.service, e.scheduler)
	case "-D":
		t.DeleteService(e.service)
	case "-a":
		t.AddDestination(e.service, e.server, e.method, e.weight)
	case "-e":
		t.EditDestination(e.service, e.server, e.method, e.weight)
	case "-d":
		t.DeleteDestination(e.service, e.server)
	}
}
