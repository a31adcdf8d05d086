package document

import (
	"reflect"
	"strings"
	"sync"
)

// field is one key of a structure.
type field struct {
	name, about, fallback string
	inherits              string
	min, max              string
	one                   []string
	index                 []int
	kind                  reflect.Type
	prototype             func(field string, given map[string]string) any // of the structure it is in
}

// known are the fields of structures that were looked at.
var known sync.Map

// fields are the keys of a structure in the order of its declaration, those of
// inlined structures in their place.
func fields(t reflect.Type) []field {
	if all, ok := known.Load(t); ok {
		return all.([]field)
	}
	all := readFields(t)
	known.Store(t, all)
	return all
}

func readFields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inline := options == "inline"
		switch {
		case inline:
			for _, inner := range fields(f.Type) {
				inner.index = append([]int{i}, inner.index...) // a copy
				out = append(out, inner)
			}
		case name != "" && name != "-":
			tag := f.Tag.Get
			out = append(out, field{
				name: name, about: tag("about"), fallback: tag("default"), inherits: tag("inherits"),
				min: tag("min"), max: tag("max"), one: strings.Fields(tag("one")),
				index: []int{i}, kind: f.Type,
			})
		}
	}
	return out
}

// names are the keys of a structure.
func names(fs []field) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.name
	}
	return out
}

// Defaults gives the structure that the pointer points to, and those in it, the
// values of their default tags. A tag that cannot be read is a slip of the
// programmer: it panics, and a test that ranges over the structures finds it.
func Defaults(pointer any) { setDefaults(reflect.ValueOf(pointer).Elem()) }

func setDefaults(v reflect.Value) {
	for _, f := range fields(v.Type()) {
		to := v.FieldByIndex(f.index)
		switch {
		case f.fallback != "":
			if wrong := setScalar(to, f, f.fallback); wrong != "" {
				panic("document: default of " + v.Type().String() + "." + f.name + ": " + wrong)
			}
		case to.Kind() == reflect.Struct && !isScalar(f.kind):
			setDefaults(to)
		}
	}
}

// Prototyper is a structure whose lists begin from other values than their
// defaults: it returns what an element of the field is before it is read, as a
// value of the element's type, or nil. The names are the element's keys in the
// file with their texts, where they are plain.
type Prototyper interface {
	Prototype(field string, given map[string]string) any
}
