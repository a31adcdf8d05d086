package health

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A FieldError is what is wrong with one field of a Spec, and what to do about
// it.
type FieldError struct {
	// Field is its path within the check: "interval", "requests[1].status".
	Field string
	// Problem says what is wrong, Remedy what would be right.
	Problem, Remedy string
}

func (e FieldError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Field, e.Problem, e.Remedy)
}

// shortest is the shortest interval or timeout that is allowed: shorter ones are
// more likely a missing letter than a wish.
const shortest = 10 * time.Millisecond

// Validate returns all that is wrong with s, and nothing for a spec that can be
// used. It looks at no file and at no network.
func (s Spec) Validate() []FieldError {
	k, ok := KindOf(s.Kind)
	if !ok {
		return []FieldError{unknownKind(s.Kind)}
	}
	found := slices.Concat(s.foreign(k), s.times(), s.counts(), s.words(k))
	if s.TLS != nil {
		found = append(found, s.TLS.validate()...)
	}
	if k.validate != nil {
		found = append(found, k.validate(s)...)
	}
	return found
}

func unknownKind(name string) FieldError {
	names := make([]string, len(Kinds))
	for i, k := range Kinds {
		names[i] = k.Name
	}
	e := FieldError{Field: "kind", Problem: "is missing", Remedy: "write one of " + strings.Join(names, ", ")}
	if name != "" {
		e.Problem = fmt.Sprintf("there is no kind %q", name)
	}
	return e
}

// common are the fields that every kind has; network those of kinds that speak to
// the server.
var (
	common  = []string{"kind", "interval", "retryInterval", "jitter", "warmup", "timeout", "rise", "fall", "start"}
	network = []string{"connectTimeout", "address", "port", "source", "sourcePort", "interface", "fwmark", "via"}
)

// FieldNames are the names of the fields that a check of kind k may have.
func (k Kind) FieldNames() []string {
	names := slices.Concat(common, k.Fields)
	if k.Network {
		names = append(names, network...)
	}
	return names
}

// foreign finds fields that the kind does not know, and misses those it needs.
func (s Spec) foreign(k Kind) (found []FieldError) {
	known := k.FieldNames()
	for name, set := range fields(reflect.ValueOf(s)) {
		switch {
		case set && !slices.Contains(known, name):
			found = append(found, FieldError{name, fmt.Sprintf("means nothing to a check of kind %s", k.Name),
				"leave it out, or choose a kind that has it: " + kindsWith(name)})
		case !set && slices.Contains(k.Needs, name):
			found = append(found, FieldError{name, "is missing", fmt.Sprintf("a check of kind %s needs it", k.Name)})
		}
	}
	slices.SortFunc(found, func(a, b FieldError) int { return strings.Compare(a.Field, b.Field) })
	return found
}

// fields tells of each field of a Spec, by its name in the file, whether it is set.
func fields(v reflect.Value) map[string]bool {
	set := map[string]bool{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			for name, is := range fields(v.Field(i)) {
				set[name] = is
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		set[name] = !v.Field(i).IsZero()
	}
	return set
}

func kindsWith(field string) string {
	var names []string
	for _, k := range Kinds {
		if slices.Contains(k.FieldNames(), field) {
			names = append(names, k.Name)
		}
	}
	return strings.Join(names, ", ")
}

func (s Spec) times() (found []FieldError) {
	bad := func(field, problem, remedy string) {
		found = append(found, FieldError{field, problem, remedy})
	}
	for _, f := range []struct {
		name string
		d    Duration
	}{{"interval", s.Interval}, {"retryInterval", s.RetryInterval}, {"timeout", s.Timeout}, {"connectTimeout", s.ConnectTimeout}} {
		if f.d != 0 && time.Duration(f.d) < shortest {
			bad(f.name, f.d.String()+" is too short", "write "+shortest.String()+" or more")
		}
	}
	d := s.WithDefaults()
	if d.ConnectTimeout > d.Timeout {
		bad("connectTimeout", fmt.Sprintf("%v is longer than the whole timeout of %v", d.ConnectTimeout, d.Timeout), "shorten it, or lengthen timeout")
	}
	if s.Jitter < 0 || d.Jitter > d.Interval {
		bad("jitter", fmt.Sprintf("%v is not within the interval of %v", s.Jitter, d.Interval), "write a part of the interval")
	}
	if *d.Warmup < 0 {
		bad("warmup", "is negative", "write 0s for none")
	}
	return found
}

func (s Spec) counts() (found []FieldError) {
	for _, f := range []struct {
		name     string
		n, limit int
	}{{"rise", s.Rise, 1000}, {"fall", s.Fall, 1000}, {"minReply", s.MinReply, math.MaxUint16}, {"maxReply", s.MaxReply, math.MaxUint16}} {
		if f.n < 0 || f.n > f.limit {
			found = append(found, FieldError{f.name, fmt.Sprintf("%d is out of range", f.n), fmt.Sprintf("write a number up to %d", f.limit)})
		}
	}
	return found
}

func (s Spec) words(k Kind) (found []FieldError) {
	oneOf(&found, "start", s.Start, StartUp, StartDown)
	oneOf(&found, "via", s.Via, ViaReal, ViaVIP)
	if s.Via == ViaVIP && k.Network {
		found = append(found, s.viaVIP()...)
	}
	if s.Source.IsValid() && s.Address.IsValid() && s.Source.Is4() != s.Address.Is4() {
		found = append(found, FieldError{"source", "is of another family than address", "write two addresses of one family"})
	}
	if s.SourcePort != 0 && !s.Source.IsValid() {
		found = append(found, FieldError{"sourcePort", "stands without source", "write the address too"})
	}
	if len(s.Interface) > 15 {
		found = append(found, FieldError{"interface", fmt.Sprintf("%q is longer than 15 bytes", s.Interface), "write the name of an interface"})
	}
	return found
}

// viaVIP finds what does not go with a check by the way of the clients.
func (s Spec) viaVIP() (found []FieldError) {
	if s.FWMark != 0 {
		found = append(found, FieldError{"fwmark", "does not go with via: vip, whose packets have a mark of their own", "leave one of them out"})
	}
	if s.Kind == "icmp" {
		found = append(found, FieldError{"via", "echo requests are not forwarded, the director itself answers them", "leave it out, or choose another kind"})
	}
	return found
}

// oneOf adds an error unless value is empty or one of those allowed.
func oneOf(found *[]FieldError, field, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		*found = append(*found, FieldError{field, fmt.Sprintf("%q is not known", value), "write " + strings.Join(allowed, " or ")})
	}
}
