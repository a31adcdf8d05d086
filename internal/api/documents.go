package api

import (
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/document"
	"github.com/evs-project/evs/internal/keep"
)

// Header begins each document; the server fills it in.
type Header struct {
	APIVersion string `json:"apiVersion" about:"evs/v1: within it fields are added, never renamed, removed or given another meaning"`
	Kind       string `json:"kind" about:"the name of the document"`
}

// Status is how the director itself fares.
type Status struct {
	Header  `json:",inline"`
	Version string `json:"version" about:"of the program"`
	PID     int    `json:"pid" about:"of its process"`
	// Namespace is hostnet.Cookie's, in hexadecimal digits: clients tell by it whether
	// this is the director of their own network namespace.
	Namespace string    `json:"namespace" about:"the cookie of its network namespace, in hexadecimal digits"`
	Started   time.Time `json:"started" about:"when it was started"`
	Uptime    float64   `json:"uptimeSeconds" about:"for how long it has run"`
	File      string    `json:"file" about:"the file that it acts on"`
	Files     []string  `json:"files" about:"that file, and those that it includes"`
	Reload    Reload    `json:"reload" about:"how the file was read last"`
	// Faults are what it tries again and again: empty if all is well.
	Faults []Fault `json:"faults" about:"what fails and is tried again; empty if all is well"`
	Checks Checks  `json:"checks" about:"how the checks keep to their times"`
}

// Reload is how the file was read last.
type Reload struct {
	// Good is when it was last read and acted on.
	Good  time.Time `json:"good,omitzero" about:"when it was last read and acted on"`
	Count int       `json:"count" about:"how often it was read anew and acted on since the start"`
	// Tried and Error are set if it was tried again since, and failed.
	Tried time.Time `json:"tried,omitzero" about:"when it was tried last, if that failed; what was there before stays in force"`
	Error string    `json:"error,omitempty" about:"all that was wrong then"`
}

// Fault is something that fails and is tried again.
type Fault struct {
	What  string    `json:"what" about:"what fails: a weight source, a discovery, an interface, the table"`
	Error string    `json:"error" about:"how it failed last"`
	Since time.Time `json:"since" about:"when it failed first"`
	Count int       `json:"count" about:"how often it has failed in a row"`
	Next  time.Time `json:"next,omitzero" about:"when it is tried again"`
}

// Checks is how the checks keep to their times, as health.Load.
type Checks struct {
	Tasks   int     `json:"tasks" about:"how many there are"`
	Active  int     `json:"active" about:"how many run now"`
	Started uint64  `json:"started" about:"how many were begun"`
	Late    uint64  `json:"late" about:"those begun later than they were due by more than a tenth of their interval"`
	Worst   float64 `json:"worstSeconds" about:"the longest such time"`
}

// Services is the list of services.
type Services struct {
	Header   `json:",inline"`
	Services []Service `json:"services" about:"in the order of the file"`
}

// Service is an entry of the file: one virtual service, or several that share their
// servers.
type Service struct {
	Name      string         `json:"name" about:"as the file calls it, or its first address"`
	Addresses []keep.Service `json:"addresses" about:"the virtual services: TCP 203.0.113.10:80"`
	Scheduler string         `json:"scheduler" about:"how servers are chosen"`
	Up        bool           `json:"up" about:"it has its quorum"`
	Since     time.Time      `json:"since" about:"since when"`
	Quorum    int            `json:"quorum" about:"the weight that it needs"`
	Weight    int            `json:"weight" about:"the weight that is up, in units of the file"`
	// FailOpen and Sorry say what the pool has come to.
	FailOpen     bool          `json:"failOpen,omitempty" about:"no server is up, and all are in use"`
	Sorry        bool          `json:"sorry,omitempty" about:"the sorry server has taken the place of the others"`
	Destinations []Destination `json:"destinations" about:"the servers"`
}

// Destination is a server of a service.
type Destination struct {
	Address    keep.Server `json:"address" about:"of the server, with its port"`
	Discovered bool        `json:"discovered,omitempty" about:"it was found, and is not written in the file"`
	SorryOne   bool        `json:"sorryServer,omitempty" about:"it is the sorry server"`
	State      keep.State  `json:"state" one:"up down" about:"what its checks, or an override, take it for"`
	Since      time.Time   `json:"since" about:"since when"`
	Why        string      `json:"why,omitempty" about:"what brought the state about"`
	Listed     bool        `json:"listed" about:"it is in the table"`
	Checks     []Check     `json:"checks" about:"what is asked of it"`
	Weight     Weight      `json:"weight" about:"its weight, and why"`
	// Connections are those of all addresses of the service.
	Connections Connections `json:"connections" about:"how many it has, of all addresses of the service"`
	Terms       Terms       `json:"drainTerms" about:"how it is drained if nothing else is said"`
	// Drain and Override are as keep.Said has them; the server fills them in.
	Drain    *keep.Drain    `json:"drain,omitempty" about:"if it is drained"`
	Override *keep.Override `json:"override,omitempty" about:"if an operator has overridden something"`
}

// Terms are how a destination is drained, as in the file.
type Terms struct {
	For         Duration `json:"for" about:"how long its connections may take to end"`
	AtDeadline  string   `json:"atDeadline" one:"leave reset" about:"what becomes of those left: leave, or reset, which tells both ends of TCP and schedules UDP anew"`
	Persistence string   `json:"persistence" one:"respect ignore" about:"whether clients that are kept to it may still open connections"`
}

// TermsOf are those of the file.
func TermsOf(d config.Drain) Terms { return Terms{Duration(d.For), d.AtDeadline, d.Persistence} }

// file are the terms as the file has them, with what a file that says nothing leads to
// if there are none.
func (t Terms) file() config.Drain {
	if t == (Terms{}) {
		return StandardDrain()
	}
	return config.Drain{For: time.Duration(t.For), AtDeadline: t.AtDeadline, Persistence: t.Persistence}
}

// StandardDrain is how a file that says nothing of it has servers drained.
func StandardDrain() (d config.Drain) {
	document.Defaults(&d)
	return d
}

// Connections are counts of the table.
type Connections struct {
	Active     uint32 `json:"active" about:"established"`
	Inactive   uint32 `json:"inactive" about:"in other states"`
	Persistent uint32 `json:"persistent" about:"clients that are kept to it"`
}

// Check is what one check of a destination found.
type Check struct {
	Kind   string    `json:"kind" about:"tcp, http, …"`
	Up     bool      `json:"up" about:"what is thought, after as many results in a row as rise and fall say"`
	Since  time.Time `json:"since" about:"since when"`
	Proved bool      `json:"proved" about:"false until results have confirmed or overthrown what was thought at the start"`
	// The last result.
	At      time.Time `json:"at,omitzero" about:"when the last result came; left out if none has"`
	Good    bool      `json:"good" about:"whether that was good"`
	Detail  string    `json:"detail,omitempty" about:"its cause: connection refused"`
	Latency float64   `json:"latencySeconds,omitempty" about:"how long it took"`
	Against int       `json:"against" about:"latest results in a row that contradict what is thought"`
	Count   uint64    `json:"count" about:"how many results there were"`
}

// Weight is what a server gets, and why.
type Weight struct {
	Configured int32 `json:"configured" about:"that of the file, or of the discovery"`
	// Now is in units of the file, Table what the table has: they differ by Scale.
	Now   float64 `json:"now" about:"what it has, in units of the file"`
	Table int32   `json:"table" about:"what the table has: in services whose weights move, weights are multiplied by one factor"`
	Goal  float64 `json:"goal" about:"what it would be without bounds, in units of the file"`
	// Reason is of weight.Reasons, or "drain" or "override", which go before them.
	Reason  string   `json:"reason" about:"why it is so, in a word: those of docs/weights.md, drain, override"`
	About   string   `json:"about" about:"the same in a sentence"`
	Source  string   `json:"source,omitempty" about:"the kind of its weight source, if it has one"`
	Reading *Reading `json:"reading,omitempty" about:"what that said last, if it has said anything"`
}

// Reading is what a weight source said.
type Reading struct {
	At    time.Time `json:"at" about:"when"`
	Value float64   `json:"value" about:"the number"`
	Unit  string    `json:"unit,omitempty" about:"weight, percent, load; left out if it said no number"`
	Drain bool      `json:"drain,omitempty" about:"it wants no new connections"`
	Down  bool      `json:"down,omitempty" about:"it says that the server is down"`
	About string    `json:"about,omitempty" about:"its remark"`
}
