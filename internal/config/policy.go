package config

import (
	"net/netip"
	"time"

	"github.com/evs-project/evs/internal/health"
)

// Drain is how a server is taken out of use while clients still have connections.
type Drain struct {
	For         time.Duration `json:"for" default:"5m" min:"0s" about:"how long its connections may take to end"`
	AtDeadline  string        `json:"atDeadline" default:"leave" one:"leave reset" about:"what becomes of those left: leave, or reset, which tells both ends of TCP and schedules UDP anew"`
	Persistence string        `json:"persistence" default:"respect" one:"respect ignore" about:"whether clients that are kept to it may still open connections: respect, ignore"`
}

// WeightSource is what a server's weight follows. Between what it says and what
// the table gets stands a controller, which the values from Floor on bound.
type WeightSource struct {
	Kind     string        `json:"kind" one:"agent http-json prometheus exec file passive" about:"agent (HAProxy's agent-check), http-json, prometheus, exec, file, passive (what the data path sees of the server)"`
	Port     uint16        `json:"port" default:"8042" about:"agent: the port that the agent listens on"`
	Send     string        `json:"send" about:"agent: text to send before reading"`
	URL      string        `json:"url" about:"http-json: what to get; prometheus: the server to ask. {server} and {port} stand for the destination's"`
	Field    string        `json:"field" about:"http-json: where the number stands, as /load/0 (a JSON Pointer)"`
	Query    string        `json:"query" about:"prometheus: the question; {server} and {port} stand for the destination's"`
	Command  []string      `json:"command" about:"exec: the program that prints the number, and its arguments; {server} and {port} stand for the destination's"`
	User     string        `json:"user" about:"exec: who runs it, as USER or USER:GROUP"`
	File     string        `json:"file" about:"file: what holds the number, which was said when the file was written; {server} and {port} stand for the destination's"`
	Value    string        `json:"value" default:"percent" one:"weight percent load" about:"what the number is: the weight, percent of the configured weight, or a load from 0 to 1, of which more means less weight. An agent says percent, but with load the load that evs realserver agent tells besides; passive is percent"`
	Interval time.Duration `json:"interval" default:"5s" min:"100ms" about:"time between two questions"`
	Timeout  time.Duration `json:"timeout" default:"2s" min:"10ms" about:"an answer that takes longer is none"`

	Floor      int32         `json:"floor" default:"0" min:"0" about:"the least weight that it leads to, unless the source says drain; 0 for a tenth of the configured weight"`
	Ceiling    int32         `json:"ceiling" default:"0" min:"0" about:"the greatest; 0 for ten times the configured weight"`
	MaxChange  Percent       `json:"maxChange" default:"25%" about:"by how much of the configured weight it changes at most in an interval"`
	Smoothing  time.Duration `json:"smoothing" default:"10s" min:"0s" about:"time constant of the average that is taken of what the source says; 0s for none"`
	StaleAfter time.Duration `json:"staleAfter" default:"30s" min:"100ms" about:"without an answer for this time the weight goes back to the configured one"`
}

// Outlier says when a server that fails its clients, as the data path sees it, is left
// out for a while: health.OutlierRules.
type Outlier struct {
	Patience time.Duration `json:"patience" default:"250ms" min:"20ms" max:"10s" about:"the time that a server's answer to a SYN may take, as the director sees it"`
	Window   time.Duration `json:"window" default:"250ms" min:"100ms" max:"1m" about:"of how long connections are looked at together"`
	Least    int           `json:"least" default:"10" min:"2" about:"with fewer connections in a window a server is not judged"`
	Share    Percent       `json:"share" default:"50%" about:"the part of connections that has to fail, and of healthier servers half as many at the most"`
	MostOut  Percent       `json:"mostOut" default:"50%" about:"the part of the servers that may be left out at once; of two or more one at least, and never all"`
	For      time.Duration `json:"for" default:"10s" min:"1s" about:"for how long a server is left out the first time; each time in a row it is twice as long"`
	AtMost   time.Duration `json:"atMost" default:"5m" min:"1s" about:"and this long at the most"`
}

// Rules are what is to be judged by.
func (o Outlier) Rules() health.OutlierRules {
	return health.OutlierRules{
		Patience: o.Patience, Window: o.Window, Least: o.Least, Share: float64(o.Share) / 100,
		MostOut: float64(o.MostOut) / 100, For: o.For, AtMost: max(o.AtMost, o.For),
	}
}

// Discovery is where destinations are found. If it fails, those found last stay.
type Discovery struct {
	Kind     string         `json:"kind" one:"dns file http" about:"dns; file, which is read again when it changes; http, whose answer is such a file"`
	Name     string         `json:"name" about:"dns: the name to look up"`
	Record   string         `json:"record" default:"A+AAAA" one:"A AAAA A+AAAA SRV" about:"dns: what to look up: A, AAAA, A+AAAA, or SRV, which gives ports and weights too"`
	Resolver netip.AddrPort `json:"resolver" about:"dns: the server to ask; the system's if left out"`
	File     string         `json:"file" about:"file: its name. It is a list of destinations as in this file, in YAML or JSON"`
	URL      string         `json:"url" about:"http: what to get"`
	Port     uint16         `json:"port" default:"0" about:"the port of servers that are found without one; 0 for the service's"`
	Interval time.Duration  `json:"interval" default:"30s" min:"100ms" about:"time between two questions, if the answer names no other (the time to live of dns)"`
	Timeout  time.Duration  `json:"timeout" default:"5s" min:"10ms" about:"an answer that takes longer is none"`
	Limit    int            `json:"limit" default:"256" min:"1" max:"65536" about:"an answer with more servers is refused"`
}
