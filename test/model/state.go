package model

import (
	"slices"
	"strings"
	"time"
)

// machine is a protocol's states, and where packets lead: by direction and by what a
// packet says a row, with the next state under the present one. Rows name states by
// two letters.
type machine struct {
	states, short []string
	rows          map[string]map[string]string
	active        []string // states that load a server
}

// The directions: from the client of a masqueraded connection, from its server, and
// from the client of another.
const (
	request = "request"
	reply   = "reply"
	oneWay  = "one way"
)

var machines = map[string]machine{"tcp": tcp, "tcp strict": tcpStrict, "sctp": sctp}

// next is the state after a packet that says something.
func (m machine) next(direction, event, state string) string {
	row := strings.Fields(m.rows[direction][event])
	return m.states[slices.Index(m.short, row[slices.Index(m.states, state)])]
}

var (
	tcpStates = []string{
		"NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT", "CLOSE",
		"CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK",
	}
	tcpShort  = []string{"NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA"}
	tcpActive = []string{"ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"}
)

var tcp = machine{tcpStates, tcpShort, map[string]map[string]string{
	request: {
		"S": "SR ES ES SR SR SR SR SR SR SR SR",
		"F": "CL CW SS TW TW TW CL CW LA LI TW",
		"A": "ES ES SS ES FW TW CL CW CL LI ES",
		"R": "CL CL CL SR CL CL CL CL LA LI SR",
	},
	reply: {
		"S": "SS ES SS SR SS SS SS SS SS LI SR",
		"F": "TW FW SS TW FW TW CL TW LA LI TW",
		"A": "ES ES SS ES FW TW CL CW LA ES ES",
		"R": "CL CL SS CL CL TW CL CL CL CL CL",
	},
	oneWay: {
		"S": "SR ES ES SR SR SR SR SR SR SR SR",
		"F": "CL FW SS TW FW TW CL CW LA LI TW",
		"A": "ES ES SS ES FW TW CL CW CL LI ES",
		"R": "CL CL CL SR CL CL CL CL LA LI CL",
	},
}, tcpActive}

// tcpStrict believes a client less that has not been answered.
var tcpStrict = machine{tcpStates, tcpShort, map[string]map[string]string{
	request: {
		"S": "SR ES ES SR SR SR SR SR SR SR SA",
		"F": "CL CW SS TW TW TW CL CW LA LI SA",
		"A": "ES ES SS SR FW TW CL CW CL LI SA",
		"R": "CL CL CL SR CL CL CL CL LA LI CL",
	},
	reply: {
		"S": "SS ES SS SA SS SS SS SS SS LI SA",
		"F": "TW FW SS TW FW TW CL TW LA LI TW",
		"A": "ES ES SS ES FW TW CL CW LA ES ES",
		"R": "CL CL SS CL CL TW CL CL CL CL CL",
	},
	oneWay: {
		"S": "SA ES ES SR SA SA SA SA SA SA SA",
		"F": "CL FW SS TW FW TW CL CW LA LI TW",
		"A": "ES ES SS ES FW TW CL CW CL LI ES",
		"R": "CL CL CL SR CL CL CL CL LA LI CL",
	},
}, tcpActive}

// timeouts by state.
func timeouts() map[string]time.Duration {
	all := map[string]time.Duration{
		"ESTABLISHED": 900, "SYN_SENT": 120, "SYN_RECV": 60, "FIN_WAIT": 120, "TIME_WAIT": 120,
		"CLOSE": 10, "CLOSE_WAIT": 60, "LAST_ACK": 30, "LISTEN": 120, "SYNACK": 120, "UDP": 300,
	}
	for state, seconds := range sctpTimeouts {
		all["sctp "+state] = seconds
	}
	for state := range all {
		all[state] *= time.Second
	}
	return all
}

// tcpEvent is the flag of a packet that counts.
func tcpEvent(flags string) string {
	for _, f := range "RSFA" { // the first there is
		if strings.ContainsRune(flags, f) {
			return string(f)
		}
	}
	return ""
}

// after is the state after a packet of a direction.
func (t *Table) after(state, direction string, p Packet) string {
	switch p.Proto {
	case "udp":
		return "UDP"
	case "sctp":
		return sctp.next(direction, sctpEvent(p.Flags), state)
	}
	m := tcp
	if t.Settings["secure_tcp"] == 3 {
		m = tcpStrict
	}
	if event := tcpEvent(p.Flags); event != "" {
		return m.next(direction, event, state)
	}
	return "CLOSE"
}

// step follows a packet.
func (t *Table) step(c *Conn, p Packet) {
	direction := oneWay
	switch {
	case p.Reply:
		direction = reply
	case c.Method == Masquerade || c.answered:
		direction = request
	}
	c.count(-1)
	c.State = t.after(c.State, direction, p)
	c.active = slices.Contains(machines[p.Proto].active, c.State)
	c.count(1)
	if c.template != nil && (c.State == "ESTABLISHED" || c.State == "UDP" && p.Reply) {
		c.template.Assured = true
	}
	c.Expires = t.Now + t.Timeouts[timeoutOf(p.Proto, c.State)]
}

// timeoutOf names the timeout of a state: those of SCTP are its own.
func timeoutOf(proto, state string) string {
	if proto == "sctp" {
		return "sctp " + state
	}
	return state
}
