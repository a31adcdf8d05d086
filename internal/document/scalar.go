package document

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Chooser is a text that is one of some words.
type Chooser interface{ Choices() []string }

// Wanter is a text of a form of its own: Want completes "write it as …".
type Wanter interface {
	encoding.TextUnmarshaler
	Want() string
}

// forms are the texts of types that are not ours.
var forms = map[reflect.Type]string{
	reflect.TypeFor[netip.Addr]():     "192.0.2.2 or 2001:db8::2",
	reflect.TypeFor[netip.AddrPort](): "203.0.113.10:80 or [2001:db8::10]:80",
	reflect.TypeFor[netip.Prefix]():   "192.0.2.0/24 or 2001:db8::/64",
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	chooserType  = reflect.TypeFor[Chooser]()
	wanterType   = reflect.TypeFor[Wanter]()
)

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// isScalar reports whether values of the type are one word.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return isText(t)
}

// form completes "write it as …" for a text of the type, "" if any will do.
func form(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(wanterType) {
		return reflect.New(t).Interface().(Wanter).Want()
	}
	if t.Kind() == reflect.Struct && t.NumField() == 1 && t.Field(0).Anonymous { // one of those, with more methods
		return form(t.Field(0).Type)
	}
	return forms[t]
}

// choices are the words that a value may be, nil if others are possible too.
func choices(f field) []string {
	if len(f.one) > 0 {
		return f.one
	}
	if reflect.PointerTo(f.kind).Implements(chooserType) {
		return reflect.New(f.kind).Interface().(Chooser).Choices()
	}
	return nil
}

// setScalar reads a word, and returns what is wrong with it and the remedy.
func setScalar(to reflect.Value, f field, text string) (wrong string) {
	f.kind = to.Type()
	if all := choices(f); all != nil && !slices.Contains(all, text) {
		return fmt.Sprintf("%q is none of its values%s: choose one of %s", text, didYouMean(text, all), strings.Join(all, ", "))
	}
	switch {
	case to.Type() == durationType:
		return setDuration(to, f, text)
	case isText(to.Type()):
		return setText(to, text)
	}
	switch to.Kind() {
	case reflect.String:
		to.SetString(text)
		return ""
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Sprintf("%q is neither true nor false: write one of them", text)
		}
		to.SetBool(text == "true")
		return ""
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !inRange(x, f) {
			return fmt.Sprintf("%q is no such number: write one%s", text, rangeText(f))
		}
		to.SetFloat(x)
		return ""
	}
	return setNumber(to, f, text)
}

func setDuration(to reflect.Value, f field, text string) string {
	d, err := time.ParseDuration(text)
	if err != nil {
		if _, plain := strconv.ParseFloat(text, 64); plain == nil {
			return fmt.Sprintf("%s has no unit: write %ss for seconds, or another unit: ms, m, h", text, text)
		}
		return fmt.Sprintf("%q is no length of time: write it as 500ms, 5s, 1m30s", text)
	}
	low, _ := time.ParseDuration(f.min)
	high, bounded := time.ParseDuration(f.max)
	if d < low || bounded == nil && d > high {
		return fmt.Sprintf("%s is out of range: write a length of time%s", text, rangeText(f))
	}
	to.SetInt(int64(d))
	return ""
}

func setText(to reflect.Value, text string) string {
	err := to.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	switch want := form(to.Type()); {
	case err == nil:
		return ""
	case want == "":
		return err.Error()
	case to.Addr().Type().Implements(wanterType):
		return fmt.Sprintf("%v: write it as %s", err, want)
	default:
		return fmt.Sprintf("%q is not of the right form: write it as %s", text, want)
	}
}

func setNumber(to reflect.Value, f field, text string) string {
	n, err := strconv.ParseInt(text, 0, 64)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is no whole number: write one%s", text, rangeText(f))
	case !inRange(float64(n), f) || to.CanUint() && (n < 0 || to.OverflowUint(uint64(n))) || to.CanInt() && to.OverflowInt(n):
		return fmt.Sprintf("%s is out of range: write a number%s", text, rangeText(f))
	}
	if to.CanUint() {
		to.SetUint(uint64(n))
	} else {
		to.SetInt(n)
	}
	return ""
}

func inRange(x float64, f field) bool {
	low, errLow := strconv.ParseFloat(f.min, 64)
	high, errHigh := strconv.ParseFloat(f.max, 64)
	return (errLow != nil || x >= low) && (errHigh != nil || x <= high)
}

// rangeText is " from 1 to 9", as far as there are bounds.
func rangeText(f field) string {
	low, high := f.min, f.max
	if low == "" && f.kind != nil && f.kind.Kind() >= reflect.Uint && f.kind.Kind() <= reflect.Uint64 {
		low = "0"
	}
	if high == "" && f.kind != nil && f.kind.Kind() >= reflect.Uint8 && f.kind.Kind() <= reflect.Uint32 {
		high = strconv.FormatUint(1<<f.kind.Bits()-1, 10)
	}
	switch {
	case low != "" && high != "":
		return " from " + low + " to " + high
	case low != "":
		return " of " + low + " at least"
	case high != "":
		return " of " + high + " at most"
	}
	return ""
}
