package hostnet

import (
	"fmt"
	"strings"
)

// Kind is the sort of thing a Change changes.
type Kind string

// The kinds of change. What Name, Old and New hold is said of each.
const (
	Sysctl    Kind = "sysctl"  // Name is the setting; Old and New its values
	LinkState Kind = "link"    // Name is the interface; "up" or "down"
	Address   Kind = "address" // Name is the interface; a prefix and perhaps "preferred_lft 0", or "" for none
	RouteTo   Kind = "route"   // Name is the destination prefix; "via A dev I", or "" for none
	Device    Kind = "device"  // Name is the interface; "type T local A", or "" for none
	FouPort   Kind = "fou"     // Name is the UDP port; "gue", "-6 gue", or "" for none
)

// Change is one step: what is changed, from what, to what.
type Change struct {
	Kind Kind
	Name string
	Old  string
	New  string
	// Note says why, where the change alone does not.
	Note string
}

// Command is the change as a person would type it.
func (c Change) Command() string {
	switch c.Kind {
	case Sysctl:
		return "sysctl -w " + shellQuote(c.Name+"="+c.New)
	case LinkState:
		return fmt.Sprintf("ip link set %s %s", shellQuote(c.Name), c.New)
	case Address:
		if c.New == "" {
			prefix, _, _ := strings.Cut(c.Old, " ")
			return fmt.Sprintf("ip address del %s dev %s", prefix, shellQuote(c.Name))
		}
		prefix, lifetime, _ := strings.Cut(c.New, " ")
		return strings.TrimSpace(fmt.Sprintf("ip address add %s dev %s %s", prefix, shellQuote(c.Name), lifetime))
	case RouteTo:
		if c.New == "" {
			return fmt.Sprintf("ip route del %s %s", c.Name, c.Old)
		}
		return fmt.Sprintf("ip route replace %s %s", c.Name, c.New)
	case Device:
		if c.New == "" {
			return "ip link del " + shellQuote(c.Name)
		}
		return fmt.Sprintf("ip link add %s %s", shellQuote(c.Name), c.New)
	case FouPort:
		if c.New == "" {
			return fouCommand("del", c.Name, c.Old)
		}
		return fouCommand("add", c.Name, c.New)
	}
	return fmt.Sprintf("# %s %s: %s to %s", c.Kind, c.Name, c.Old, c.New)
}

// fouCommand is `ip fou`, which has the family before its verb.
func fouCommand(verb, port, value string) string {
	words := strings.Fields(value)
	kind := words[len(words)-1]
	if verb == "del" {
		kind = ""
	}
	family := ""
	if len(words) > 1 {
		family = words[0] + " "
	}
	return strings.TrimSpace(fmt.Sprintf("ip %sfou %s port %s %s", family, verb, port, kind))
}

// inverse is the change that undoes this one.
func (c Change) inverse() Change {
	return Change{Kind: c.Kind, Name: c.Name, Old: c.New, New: c.Old}
}

// String is the command with a comment: the value before, and the note.
func (c Change) String() string {
	var said []string
	if c.Kind == Sysctl && c.Old != "" {
		said = append(said, "was "+c.Old)
	}
	if c.Note != "" {
		said = append(said, c.Note)
	}
	if len(said) == 0 {
		return c.Command()
	}
	return c.Command() + "  # " + strings.Join(said, "; ")
}

// shellQuote quotes s if a shell would read it as anything but itself.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/=:@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
