// Package options is how evs writes services and destinations: one table of
// flags for each, by which they are read and printed. It never touches a
// command line or a virtual server table itself.
package options

import (
	"fmt"
	"slices"
	"strings"
)

// Option is one flag of a T.
type Option[T any] struct {
	Name  string // without the dashes
	Short string // one letter, "" for none
	// Value stands for the argument in help; "" marks a switch.
	Value string
	About string
	// Set reads the argument; of a switch it is "true" or "false".
	Set func(to *T, arg string) error
	// Show returns the argument that Set would read, and whether it needs to
	// be given at all.
	Show func(of T) (arg string, given bool)
}

// Print returns the words that make value of nothing.
func Print[T any](table []Option[T], value T) []string {
	var words []string
	for _, o := range table {
		arg, given := o.Show(value)
		switch {
		case !given:
		case o.Value == "":
			words = append(words, "--"+o.Name)
		default:
			words = append(words, "--"+o.Name, arg)
		}
	}
	return words
}

// Apply sets what given names, in the order of the table, so that a flag may
// rely on those before it. An error names the flag and the argument.
func Apply[T any](table []Option[T], to *T, given map[string]string) error {
	for _, o := range table {
		arg, ok := given[o.Name]
		if !ok {
			continue
		}
		if err := o.Set(to, arg); err != nil {
			return fmt.Errorf("--%s %s: %w", o.Name, strings.TrimSpace(arg), err)
		}
	}
	return nil
}

// Read makes given of words, as Print writes them and people do: --name VALUE,
// --name=VALUE, -n VALUE.
func Read[T any](table []Option[T], words []string) (given map[string]string, err error) {
	given = map[string]string{}
	for i := 0; i < len(words); i++ {
		name, arg, joined := strings.Cut(words[i], "=")
		o := slices.IndexFunc(table, func(o Option[T]) bool { return name == "--"+o.Name || o.Short != "" && name == "-"+o.Short })
		switch {
		case o < 0:
			return nil, fmt.Errorf("%s: no such option", words[i])
		case joined:
		case table[o].Value == "":
			arg = "true"
		case i+1 == len(words):
			return nil, fmt.Errorf("%s: a value is missing", words[i])
		default:
			i++
			arg = words[i]
		}
		if _, twice := given[table[o].Name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		given[table[o].Name] = arg
	}
	return given, nil
}

// oneOf says what an argument may be.
func oneOf(names []string) error {
	return fmt.Errorf("choose one of %s", strings.Join(names, ", "))
}
