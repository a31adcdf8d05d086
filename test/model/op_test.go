package model_test

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
	"time"

	"github.com/evs-project/evs/test/model"
)

// op is one thing that is done to the model and to the data path: a command of ipvsadm
// that edits, a packet, a setting, timeouts, or a step of the clock.
type op struct {
	edit     *edit
	packet   *model.Packet
	setting  *setting
	timeouts *[3]time.Duration
	advance  time.Duration
}

type setting struct {
	name  string
	value int
}

// edit is a command of ipvsadm.
type edit struct {
	verb    string // -A -E -D -a -e -d
	service model.ServiceKey
	config  model.Config
	share   model.Share
}

// protocols are their options of ipvsadm.
var protocols = map[string]string{"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}

// argv is the edit as one would type it.
func (e edit) argv() []string {
	argv := []string{e.verb}
	switch k := e.service; {
	case k.Mark == 0:
		argv = append(argv, protocols[k.Proto], k.Addr.String())
	case k.Mark6:
		argv = append(argv, "-f", fmt.Sprint(k.Mark), "-6")
	default:
		argv = append(argv, "-f", fmt.Sprint(k.Mark))
	}
	switch e.verb {
	case "-A", "-E":
		argv = append(argv, e.configured()...)
	case "-a", "-e":
		s := e.share
		argv = append(argv, "-r", s.Addr.String(), string(s.Method), "-w", fmt.Sprint(s.Weight),
			"-x", fmt.Sprint(s.Upper), "-y", fmt.Sprint(s.Lower))
	case "-d":
		argv = append(argv, "-r", e.share.Addr.String())
	}
	return argv
}

// configured is what the edit tells a service to be.
func (e edit) configured() []string {
	c := e.config
	argv := []string{"-s", c.Scheduler}
	var flags []string
	if c.Fallback {
		flags = append(flags, c.Scheduler+"-fallback")
	}
	if c.Port {
		flags = append(flags, c.Scheduler+"-port")
	}
	if len(flags) > 0 {
		argv = append(argv, "-b", strings.Join(flags, ","))
	}
	if c.Persistent > 0 {
		argv = append(argv, "-p", fmt.Sprint(int(c.Persistent.Seconds())), "-M", typedMask(c.Mask))
	}
	if c.Calls {
		argv = append(argv, "--pe", "sip")
	}
	if c.OnePacket {
		argv = append(argv, "-o")
	}
	return argv
}

// typedMask is of IPv6 the length of a prefix.
func typedMask(mask netip.Addr) string {
	if mask.Is4() {
		return mask.String()
	}
	n := 0
	for _, b := range mask.AsSlice() {
		n += bits.OnesCount8(b)
	}
	return fmt.Sprint(n)
}

// argvOf is the command that changes timeouts.
func argvOf(timeouts [3]time.Duration) []string {
	argv := []string{"--set"}
	for _, t := range timeouts {
		argv = append(argv, fmt.Sprint(int(t.Seconds())))
	}
	return argv
}

// String is a line of a test case.
func (o op) String() string {
	switch p := o.packet; {
	case o.edit != nil:
		return "ipvsadm " + strings.Join(o.edit.argv(), " ")
	case o.setting != nil:
		return fmt.Sprintf("%s=%d", o.setting.name, o.setting.value)
	case o.timeouts != nil:
		return "ipvsadm " + strings.Join(argvOf(*o.timeouts), " ")
	case p == nil:
		return fmt.Sprintf("%s pass", o.advance)
	case p.Reply:
		return fmt.Sprintf("%s [%s] from %s to %s", p.Proto, p.Flags, p.Server, p.Client)
	default:
		return fmt.Sprintf("%s [%s%s] from %s to %s", p.Proto, p.Flags, p.Call, p.Client, p.Virtual)
	}
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
		return s != nil && s.Destination(e.share.Addr) == nil
	}
	return s != nil && s.Destination(e.share.Addr) != nil
}

// apply does it to the model.
func (e edit) apply(t *model.Table) {
	switch e.verb {
	case "-A":
		t.AddService(e.service, e.config)
	case "-E":
		t.EditService(e.service, e.config)
	case "-D":
		t.DeleteService(e.service)
	case "-a":
		t.AddDestination(e.service, e.share)
	case "-e":
		t.EditDestination(e.service, e.share)
	case "-d":
		t.DeleteDestination(e.service, e.share.Addr)
	}
}
