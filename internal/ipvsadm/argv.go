package ipvsadm

import "strings"

// argv walks the arguments of a command line the way popt does: short options
// in clusters, arguments glued or apart or after "=", words that are no options
// anywhere.
type argv struct {
	args    []string
	next    int
	cluster string   // the rest of a cluster of short options
	words   []string // arguments that are no options
	only    bool     // after "--": everything is a word
}

// The complaints of popt about the argument it stopped at.
const (
	unknownOption   = "unknown option"
	missingArgument = "missing argument"
	unwantedArg     = "option does not take an argument"
)

// at is the argument that was read last; messages quote it whole, also when
// only one letter of a cluster is meant.
func (a *argv) at() string { return a.args[a.next-1] }

// option reads up to and including the next option. It returns nil at the end,
// and a reason if what stands there is no option or badly written. given tells
// an empty argument from none.
func (a *argv) option() (o *option, arg string, given bool, reason string) {
	value, hasValue := "", false
	if a.cluster == "" {
		word, ok := a.optionWord()
		if !ok {
			return nil, "", false, ""
		}
		if long, isLong := strings.CutPrefix(word, "--"); isLong {
			long, value, hasValue = strings.Cut(long, "=")
			o = findLong(long)
			if o == nil {
				return nil, "", false, unknownOption
			}
		} else {
			a.cluster = word[1:]
		}
	}
	if o == nil {
		o = findShort(a.cluster[0])
		if o == nil {
			return nil, "", false, unknownOption
		}
		a.cluster = a.cluster[1:]
		if o.arg != bare || strings.HasPrefix(a.cluster, "=") {
			value, hasValue = strings.CutPrefix(a.cluster, "=")
			hasValue = hasValue || value != ""
			a.cluster = ""
		}
	}
	arg, given, reason = a.argument(o, value, hasValue)
	return o, arg, given, reason
}

// optionWord skips to the next argument that starts an option.
func (a *argv) optionWord() (string, bool) {
	for a.next < len(a.args) {
		word := a.args[a.next]
		a.next++
		switch {
		case a.only || len(word) < 2 || word[0] != '-':
			a.words = append(a.words, word)
		case word == "--":
			a.only = true
		default:
			return word, true
		}
	}
	return "", false
}

// argument finds the argument of o: the value written with it, or the next one.
func (a *argv) argument(o *option, value string, hasValue bool) (arg string, given bool, reason string) {
	switch {
	case o.arg == bare && hasValue:
		return "", false, unwantedArg
	case o.arg == bare || hasValue:
		return value, hasValue, ""
	case a.next == len(a.args):
		if o.arg == needs {
			return "", false, missingArgument
		}
		return "", false, ""
	case o.arg == perhaps && strings.HasPrefix(a.args[a.next], "-"):
		return "", false, ""
	}
	a.next++
	return a.at(), true, ""
}

// word takes the next argument that is no option.
func (a *argv) word() (string, bool) {
	if len(a.words) == 0 {
		return "", false
	}
	word := a.words[0]
	a.words = a.words[1:]
	return word, true
}

func findLong(name string) *option {
	for i := range options {
		if name != "" && options[i].long == name {
			return &options[i]
		}
	}
	return nil
}

func findShort(c byte) *option {
	for i := range options {
		if options[i].short == c && c != 0 {
			return &options[i]
		}
	}
	return nil
}
