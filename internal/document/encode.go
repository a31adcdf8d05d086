package document

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Encode returns what a file would have to say to lead to the value, keys in the
// order of the structure. What is empty and has no default is left out.
func Encode(value any) any { return encode(reflect.ValueOf(value)) }

func encode(v reflect.Value) any {
	if v.Type() == durationType {
		return durationText(time.Duration(v.Int()))
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() != reflect.Pointer {
		text, err := m.MarshalText()
		if err != nil {
			return err.Error()
		}
		return trimDuration(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return encode(v.Elem())
	case reflect.Struct:
		return encodeStruct(v)
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = encode(v.Index(i))
		}
		return out
	case reflect.Map:
		var out yaml.MapSlice
		for _, k := range v.MapKeys() {
			out = append(out, yaml.MapItem{Key: k.String(), Value: encode(v.MapIndex(k))})
		}
		slices.SortFunc(out, func(a, b yaml.MapItem) int { return strings.Compare(a.Key.(string), b.Key.(string)) })
		return out
	case reflect.String:
		return v.String()
	}
	return v.Interface()
}

// EncodeBeyond is Encode without what is as in the base, a value of the same
// structure: what is inherited, or the defaults.
func EncodeBeyond(value, base any) yaml.MapSlice {
	return encodeBeyond(reflect.ValueOf(value), reflect.ValueOf(base))
}

func encodeBeyond(v, base reflect.Value) yaml.MapSlice {
	out := yaml.MapSlice{}
	for _, f := range fields(v.Type()) {
		of, like := v.FieldByIndex(f.index), base.FieldByIndex(f.index)
		if reflect.DeepEqual(of.Interface(), like.Interface()) {
			continue
		}
		out = append(out, yaml.MapItem{Key: f.name, Value: beyond(of, like)})
	}
	return out
}

// beyond encodes structures by what they have beyond the base, or where there is
// none beyond their defaults.
func beyond(v, base reflect.Value) any {
	switch {
	case isScalar(v.Type()):
	case v.Kind() == reflect.Struct:
		return encodeBeyond(v, base)
	case v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Struct:
		if base.IsNil() {
			base = reflect.New(v.Type().Elem())
			setDefaults(base.Elem())
		}
		return encodeBeyond(v.Elem(), base.Elem())
	case v.Kind() == reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			like := reflect.New(v.Type().Elem())
			if like.Elem().Kind() == reflect.Struct && !isScalar(like.Elem().Type()) {
				setDefaults(like.Elem())
			}
			out[i] = beyond(v.Index(i), like.Elem())
		}
		if len(out) == 1 {
			return out[0]
		}
		return out
	}
	return encode(v)
}

func encodeStruct(v reflect.Value) yaml.MapSlice {
	var out yaml.MapSlice
	for _, f := range fields(v.Type()) {
		of := v.FieldByIndex(f.index)
		if of.IsZero() && f.fallback == "" || of.Kind() == reflect.Slice && of.Len() == 0 {
			continue
		}
		value := encode(of)
		if inner, ok := value.(yaml.MapSlice); ok && len(inner) == 0 && of.Kind() == reflect.Struct {
			continue
		}
		out = append(out, yaml.MapItem{Key: f.name, Value: value})
	}
	return out
}

// durationText is a duration without the units that count nothing.
func durationText(d time.Duration) string { return trimDuration(d.String()) }

func trimDuration(text string) string {
	if d, err := time.ParseDuration(text); err != nil || d.String() != text {
		return text
	}
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
