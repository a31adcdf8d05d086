package convert

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evs-project/evs/internal/config"
)

// keepalived is keepalived.conf while it is read.
type keepalived struct {
	notes   []Note
	desired *config.Desired
	servers []*virtual
	groups  map[string]*group
	files   map[string]trackFile
	user    string // of programs that name none
	cert    string
	key     string
}

// trackFile is a file that FILE_CHECK reads.
type trackFile struct {
	path    string
	factor  int
	reverse bool
}

func fromKeepalived(name, text string, o Options) (*config.Desired, []Note, error) {
	lines, notes := readKeepalived(name, text, o)
	tree, more := parseStatements(lines)
	c := &keepalived{desired: fresh(), notes: append(notes, more...), groups: map[string]*group{}, files: map[string]trackFile{}}
	// What others refer to is read first, wherever it stands.
	early := []string{"global_defs", "virtual_server_group", "SSL", "track_file", "vrrp_track_file"}
	for _, first := range []bool{true, false} {
		for _, s := range tree {
			if slices.Contains(early, s.name()) == first {
				run(c, rootDirectives, c, "this place", []statement{s})
			}
		}
	}
	for _, v := range c.servers {
		v.finish()
	}
	return c.desired, c.notes, nil
}

func (c *keepalived) note(s statement, reason string) {
	c.notes = append(c.notes, Note{s.file, s.line, s.name(), reason})
}

// globals reads global_defs. What is not in the table is about keepalived itself
// or VRRP.
func (c *keepalived) globals(s statement) {
	for _, of := range s.block {
		row, ok := globalDirectives[of.name()]
		switch {
		case ok && row.convert != nil:
			row.convert(c, of)
		case ok:
			c.note(of, row.reason)
		case strings.HasPrefix(of.name(), "vrrp") || strings.HasPrefix(of.name(), "garp") || strings.Contains(of.name(), "_vrrp"):
			c.note(of, vrrpPart)
		case strings.HasPrefix(of.name(), "bfd"):
			c.note(of, bfdPart)
		case strings.Contains(of.name(), "snmp"):
			c.note(of, snmp)
		default:
			c.note(of, ownProcess)
		}
	}
}

func (c *keepalived) timeouts(s statement) {
	places := map[string]*time.Duration{"tcp": &c.desired.Timeouts.TCP, "tcpfin": &c.desired.Timeouts.TCPFin, "udp": &c.desired.Timeouts.UDP}
	for i := 1; i+1 < len(s.words); i += 2 {
		to, ok := places[s.words[i]]
		n, err := strconv.Atoi(s.words[i+1])
		if !ok || err != nil || n < 0 {
			c.note(s, fmt.Sprintf("%s %s is no timeout", s.words[i], s.words[i+1]))
			continue
		}
		*to = time.Duration(n) * time.Second
	}
}

func (c *keepalived) scriptUser(s statement) { c.user = user(s.words[1:]) }

func (c *keepalived) ssl(s statement) {
	for _, of := range s.block {
		switch of.name() {
		case "certificate":
			c.cert = of.arg(0)
		case "key":
			c.key = of.arg(0)
		case "ca":
			c.note(of, "keepalived loads it and then looks at no certificate: neither does the check, unless you write tls with ca and without verify: false")
		case "password":
			c.note(of, "keys are read from files without a password")
		default:
			c.note(of, "keepalived.conf(5) knows no such directive in SSL")
		}
	}
}

func (c *keepalived) trackFile(s statement) {
	f := trackFile{factor: 1}
	for _, of := range s.block {
		switch of.name() {
		case "file":
			f.path = of.arg(0)
		case "weight":
			n, err := strconv.Atoi(of.arg(0))
			if err != nil {
				c.note(of, strconv.Quote(of.arg(0))+" is no number")
			}
			f.factor, f.reverse = n, of.arg(1) == "reverse"
		case "init_file":
			c.note(of, "the director writes no files that it reads: create it beforehand")
		default:
			c.note(of, "keepalived.conf(5) knows no such directive in track_file")
		}
	}
	c.files[s.arg(0)] = f
}

// number reads a number that is not below the least into what the pointer points
// to: a number, or a pointer to one.
func (c *keepalived) number(s statement, least int64, pointer any) {
	n, err := strconv.ParseInt(s.arg(0), 10, 64)
	where := reflect.ValueOf(pointer).Elem()
	to := where
	if where.Kind() == reflect.Pointer {
		to = reflect.New(where.Type().Elem()).Elem()
	}
	most := int64(math.MaxInt32)
	if to.Kind() == reflect.Uint16 {
		most = math.MaxUint16
	}
	switch {
	case err != nil:
		c.note(s, fmt.Sprintf("%q is no number: left out", s.arg(0)))
		return
	case n < least || n > most:
		c.note(s, fmt.Sprintf("%d is not from %d to %d: left out", n, least, most))
		return
	case to.CanUint():
		to.SetUint(uint64(n))
	default:
		to.SetInt(n)
	}
	if where.Kind() == reflect.Pointer {
		where.Set(to.Addr())
	}
}

// timer reads seconds, which may have a fraction.
func (c *keepalived) timer(s statement, to **time.Duration) {
	x, err := strconv.ParseFloat(s.arg(0), 64)
	if err != nil || !(x >= 0 && x < math.MaxInt32) {
		c.note(s, fmt.Sprintf("%q is no time in seconds: left out", s.arg(0)))
		return
	}
	d := time.Duration(math.Round(x*1e6)) * time.Microsecond
	*to = &d
}

// flag reads a switch; alone it is on.
func (c *keepalived) flag(s statement, to **bool) {
	value := true
	switch s.arg(0) {
	case "", "on", "true", "yes":
	case "off", "false", "no":
		value = false
	default:
		c.note(s, fmt.Sprintf("%q is neither on nor off: left out", s.arg(0)))
		return
	}
	*to = &value
}

func (c *keepalived) address(s statement, to *netip.Addr) {
	a, err := netip.ParseAddr(s.arg(0))
	if err != nil {
		c.note(s, fmt.Sprintf("%q is no address: left out", s.arg(0)))
		return
	}
	*to = a
}

// hook reads a program and who runs it.
func (c *keepalived) hook(s statement) *config.Hook {
	h := &config.Hook{Command: command(s.words[1:min(2, len(s.words))]), User: c.user, Timeout: 30 * time.Second}
	if len(h.Command) == 0 {
		c.note(s, "it names no program")
		return nil
	}
	if len(s.words) > 2 {
		h.User = user(s.words[2:])
	}
	return h
}

// command cuts a program's words, among which quotes keep blanks together.
func command(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, kaWords(w)...)
	}
	return out
}

// user is USER or USER:GROUP of one or two words.
func user(words []string) string { return strings.Join(words[:min(2, len(words))], ":") }

// forwarding is a method with its tunnel.
type forwarding struct {
	method config.Method
	tunnel config.Tunnel
}

var methods = map[string]config.Method{"NAT": "masq", "DR": "route", "TUN": "tunnel"}

// method reads a forwarding method: NAT, DR, or TUN with its options.
func (c *keepalived) method(s statement, to **forwarding) {
	f := forwarding{methods[strings.ToUpper(s.arg(0))], config.Tunnel{Type: "ipip", Checksum: "none"}}
	if f.method == "" {
		c.note(s, fmt.Sprintf("%q is none of NAT, DR, TUN: left out", s.arg(0)))
		return
	}
	for i := 1; i < len(s.words)-1; i++ {
		switch word := s.arg(i); word {
		case "type", "nocsum":
		case "ipip", "gue", "gre":
			f.tunnel.Type = word
		case "csum", "remcsum":
			f.tunnel.Checksum = word
		case "port":
			i++
			n, err := strconv.ParseUint(s.arg(i), 10, 16)
			if err != nil {
				c.note(s, fmt.Sprintf("%q is no port: left out", s.arg(i)))
			}
			f.tunnel.Port = uint16(n)
		default:
			c.note(s, fmt.Sprintf("%q is no option of a tunnel: left out", word))
		}
	}
	*to = &f
}
