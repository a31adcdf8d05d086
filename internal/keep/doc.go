// Package keep holds what operators have said by hand, drains and overrides, and
// keeps it in a file, so that a director which starts anew goes on where the last
// one stopped. It never touches the table, and draws no conclusions: what becomes of
// a weight is for the director to say, and how a drain goes on for package drain.
package keep

import (
	"time"
)

// Origin says who began a drain.
type Origin string

// The origins.
const (
	ByOperator Origin = "operator" // by hand: it ends by hand
	ByFile     Origin = "file"     // the director's file gives the server weight 0
)

// Phase is how far a drain has come.
type Phase string

// The phases. Drains stay in the last three, and their servers without new
// connections, until they are ended by hand.
const (
	Draining Phase = "draining" // connections are left, and time
	Empty    Phase = "empty"    // none is left
	Late     Phase = "late"     // the time is over, and some are left
	Ended    Phase = "ended"    // the time was over, and those left were reset or scheduled anew
)

// What becomes of connections that are left at the deadline, and of clients that
// persistence keeps to the server: as in package config.
const (
	Leave   = "leave"
	Reset   = "reset"
	Respect = "respect"
	Ignore  = "ignore"
)

// Drain takes servers out of use while clients still have connections to them.
type Drain struct {
	ID          string `json:"id" about:"its name, by which it is ended"`
	Scope       `json:",inline"`
	Origin      Origin    `json:"origin" one:"operator file" about:"operator: it was begun by hand, and ends by hand; file: the director's file gives the server weight 0"`
	Since       time.Time `json:"since" about:"when it began"`
	Deadline    time.Time `json:"deadline" about:"until when its connections may end by themselves"`
	AtDeadline  string    `json:"atDeadline" one:"leave reset" about:"what becomes of those left: leave, or reset, which tells both ends of TCP and schedules UDP anew"`
	Persistence string    `json:"persistence" one:"respect ignore" about:"whether clients that are kept to the server may still open connections"`
	// Expelled says that the templates of persistence have been ended, if they are
	// to be ignored.
	Expelled bool `json:"expelled,omitempty" about:"the clients that were kept to the server are not any more"`
	// Rested is when all weights had become 0, Kept says that templates were seen since.
	Rested time.Time `json:"rested,omitzero" about:"when its servers had weight 0; left out before"`
	Kept   bool      `json:"kept,omitempty" about:"clients were kept to the server since, and may have opened connections"`
	Phase  Phase     `json:"phase" one:"draining empty late ended" about:"draining: connections are left, and time; empty: none is left; late: the time is over, and some are left; ended: those left at the deadline were reset or scheduled anew"`
	// PhaseSince is when it came to that.
	PhaseSince time.Time `json:"phaseSince" about:"when it came to that"`
	Progress   Progress  `json:"progress" about:"what was seen last"`
}

// Progress is what was seen of a drain last.
type Progress struct {
	At           time.Time `json:"at,omitzero" about:"when it was looked at; left out if it has not been yet"`
	Destinations int       `json:"destinations" about:"how many destinations of the table are meant"`
	// Resting are those of them with weight 0.
	Resting     int `json:"resting" about:"how many of them have weight 0"`
	Connections int `json:"connections" about:"live connections, active and inactive"`
	Templates   int `json:"templates" about:"clients that are kept to the server, as far as that is looked at: if persistence is respected"`
	// Oldest is 0 where it cannot be told: the data path keeps no times of birth. As long
	// as no client can have opened a connection since the drain began, all are older than
	// that.
	Oldest  float64 `json:"oldestAtLeastSeconds,omitempty" about:"the oldest connection is no younger than this; left out where that cannot be told, as clients were kept to the server: the data path keeps no times of birth"`
	Longest float64 `json:"expireWithinSeconds,omitempty" about:"if no further packets come, the last connection ends within this time"`
	Reset   int     `json:"reset,omitempty" about:"connections that were reset at the deadline"`
	Anew    int     `json:"endedSilently,omitempty" about:"connections that were ended at the deadline without a reset: those of UDP and SCTP, and the half-open"`
}

// State is what a server is taken for, whatever its checks say.
type State string

// The states.
const (
	Up   State = "up"
	Down State = "down"
)

// Override is what an operator wants in place of what the director finds.
type Override struct {
	ID    string `json:"id" about:"its name, by which it is ended"`
	Scope `json:",inline"`
	// Weight is in the units of the file; nil leaves it to the director.
	Weight *int32 `json:"weight,omitempty" min:"0" about:"the weight, in place of that of the file, of slow start and of the weight source; left to the director if left out"`
	// State is empty if it is left to the checks.
	State State     `json:"state,omitempty" one:"up down" about:"what the server is taken for whatever its checks say; left to them if left out"`
	Why   string    `json:"why,omitempty" about:"a remark for people"`
	Since time.Time `json:"since" about:"when it began"`
	// Until is zero if it ends by hand.
	Until time.Time `json:"until,omitzero" about:"when it ends by itself; if left out, by hand alone"`
}
