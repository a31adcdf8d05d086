package weight

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Reply is a line of HAProxy's agent-check protocol. What the agent did not say
// is nil or empty, and leaves things as they were.
type Reply struct {
	Percent *int // of the configured weight
	MaxConn *int
	Admin   string // ready, drain, maint
	Health  string // up, down, fail, stopped
	About   string // what stood behind #
	// Load is what About says as load=0.31, as EVS's own agent does: the protocol
	// has no word for it, and may not be given new ones.
	Load    *float64
	Unknown string // the first word that is none of the protocol's
}

// MaxReply bounds a reply. HAProxy takes as much as its buffer.
const MaxReply = 1024

// LoadPrefix is what the description of a reply begins with that tells a load.
const LoadPrefix = "load="

// agentWords are the words of the protocol, and what they set.
var agentWords = map[string]func(*Reply) *string{
	"up": health, "down": health, "fail": health, "failed": health, "stopped": health,
	"ready": admin, "drain": admin, "maint": admin,
}

func health(r *Reply) *string { return &r.Health }
func admin(r *Reply) *string  { return &r.Admin }

var errEmptyReply = errors.New("the agent's reply is empty: it has to end a line as \"75%\" or \"up ready\"")

// ParseReply reads what an agent sent, up to the first end of a line. Words stand
// in any order, apart by blanks, tabs or commas, in small or capital letters; of
// two of one kind the last counts. Unknown words are passed over, as newer agents
// may say more; a reply of nothing else is an error.
func ParseReply(text string) (Reply, error) {
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		text = text[:i]
	}
	if len(text) > MaxReply {
		return Reply{}, fmt.Errorf("the agent's reply is longer than %d bytes", MaxReply)
	}
	var r Reply
	text, about, _ := strings.Cut(text, "#")
	r.About = Printable(about)
	r.Load = loadIn(r.About)
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' })
	if len(words) == 0 {
		return Reply{}, errEmptyReply
	}
	known := 0
	for _, word := range words {
		ok, err := r.word(strings.ToLower(word))
		if err != nil {
			return Reply{}, err
		}
		switch {
		case ok:
			known++
		case r.Unknown == "":
			r.Unknown = Printable(word)
		}
	}
	if known == 0 {
		return Reply{}, fmt.Errorf("the agent's reply %q has no word of the agent-check protocol, as 75%%, up, down, ready, drain, maint", r.Unknown)
	}
	return r, nil
}

func (r *Reply) word(word string) (known bool, err error) {
	if set, ok := agentWords[word]; ok {
		*set(r) = word
		return true, nil
	}
	if number, ok := strings.CutSuffix(word, "%"); ok {
		r.Percent, err = count(number, word)
		return true, err
	}
	if number, ok := strings.CutPrefix(word, "maxconn:"); ok {
		r.MaxConn, err = count(number, word)
		return true, err
	}
	return false, nil
}

// loadIn is the load that a description begins with.
func loadIn(about string) *float64 {
	text, ok := strings.CutPrefix(about, LoadPrefix)
	if !ok {
		return nil
	}
	text, _, _ = strings.Cut(text, " ")
	load, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return &load
}

// count reads a number that has nothing but digits.
func count(digits, word string) (*int, error) {
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("the agent says %q: want a whole number from 0 on, as 75%% or maxconn:30", Printable(word))
	}
	out := int(n)
	return &out, nil
}

// Printable is a text of strangers that logs and terminals can bear.
func Printable(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\uFFFD' {
			return '?'
		}
		return c
	}, s))
}

// Reading is what the reply says, after another reading of the same agent: what it
// leaves out stays as it was.
func (r Reply) Reading(before Reading, at time.Time) Reading {
	now := before
	now.At = at
	if r.Percent != nil {
		now.Value, now.Unit = float64(*r.Percent), UnitPercent
	}
	if r.Health != "" {
		now.Down = r.Health != "up"
	}
	if r.Admin != "" {
		now.Drain = r.Admin != "ready"
	}
	if r.About != "" || r.Health != "" || r.Admin != "" {
		now.About = r.About
	}
	return now
}
