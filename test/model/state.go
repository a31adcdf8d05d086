package model

import (
	"slices"
	"strings"
	"time"
)

// The states of TCP, in the order of the rows below.
var tcpStates = []string{
	"NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT", "CLOSE",
	"CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK",
}

// short are their names in the rows.
var short = []string{"NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA"}

// The next state by direction and by the flag that counts: from the client of a
// masqueraded connection, from its server, and from the client of another.
var tcpRows = map[string]map[byte]string{
	"request": {
		'S': "SR ES ES SR SR SR SR SR SR SR SR",
		'F': "CL CW SS TW TW TW CL CW LA LI TW",
		'A': "ES ES SS ES FW TW CL CW CL LI ES",
		'R': "CL CL CL SR CL CL CL CL LA LI SR",
	},
	"reply": {
		'S': "SS ES SS SR SS SS SS SS SS LI SR",
		'F': "TW FW SS TW FW TW CL TW LA LI TW",
		'A': "ES ES SS ES FW TW CL CW LA ES ES",
		'R': "CL CL SS CL CL TW CL CL CL CL CL",
	},
	"one way": {
		'S': "SR ES ES SR SR SR SR SR SR SR SR",
		'F': "CL FW SS TW FW TW CL CW LA LI TW",
		'A': "ES ES SS ES FW TW CL CW CL LI ES",
		'R': "CL CL CL SR CL CL CL CL LA LI CL",
	},
}

// Timeouts by state, in seconds.
var timeouts = map[string]time.Duration{
	"ESTABLISHED": 900, "SYN_SENT": 120, "SYN_RECV": 60, "FIN_WAIT": 120, "TIME_WAIT": 120,
	"CLOSE": 10, "CLOSE_WAIT": 60, "LAST_ACK": 30, "LISTEN": 120, "SYNACK": 120, "UDP": 300,
}

// tcpNext is the state after a packet with these flags.
func tcpNext(direction, state, flags string) string {
	for _, f := range []byte("RSFA") { // the first there is decides
		if strings.IndexByte(flags, f) >= 0 {
			row := strings.Fields(tcpRows[direction][f])
			return tcpStates[slices.Index(short, row[slices.Index(tcpStates, state)])]
		}
	}
	return "CLOSE"
}

// step follows a packet.
func (c *Conn) step(p Packet, now time.Duration) {
	direction := "one way"
	switch {
	case p.Reply:
		direction = "reply"
	case c.Method == Masquerade:
		direction = "request"
	}
	c.count(-1)
	if p.Proto == "udp" {
		c.State = "UDP"
	} else {
		c.State = tcpNext(direction, c.State, p.Flags)
	}
	c.active = slices.Contains([]string{"ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"}, c.State)
	c.count(1)
	c.Expires = now + timeouts[c.State]*time.Second
}
