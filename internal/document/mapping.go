package document

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// pair is a key of a mapping and its value.
type pair struct {
	key   string
	node  ast.Node // the key's
	value ast.Node
}

func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// maxMerges is how deep mappings may be merged into one another.
const maxMerges = 8

// entries are the keys of a mapping with those that << merges into it, which
// give way to its own.
func (d *decoding) entries(n ast.Node, depth int) []pair {
	var values []*ast.MappingValueNode
	switch of := n.(type) {
	case *ast.MappingNode:
		values = of.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{of}
	}
	var own, merged []pair
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			merged = append(merged, d.merged(v.Value, depth)...)
			continue
		}
		text, ok := scalarText(v.Key)
		if !ok {
			d.wrong(v.Key, "", "a key is a plain word: write NAME: VALUE")
			continue
		}
		own = append(own, pair{text, v.Key, v.Value})
	}
	for _, m := range merged {
		if !slices.ContainsFunc(own, func(p pair) bool { return p.key == m.key }) {
			own = append(own, m)
		}
	}
	return own
}

func (d *decoding) merged(n ast.Node, depth int) []pair {
	if depth == maxMerges {
		d.wrong(n, "", fmt.Sprintf("more than %d mappings are merged into one another: write them out", maxMerges))
		return nil
	}
	of := d.plainNode(n)
	if list, ok := of.(*ast.SequenceNode); ok {
		var out []pair
		for _, v := range list.Values {
			out = append(out, d.entries(d.plainNode(v), depth+1)...)
		}
		return out
	}
	if of == nil || !isMapping(of) {
		d.wrong(n, "", "<< wants a mapping, as *NAME of an anchor &NAME")
		return nil
	}
	return d.entries(of, depth+1)
}

// describe says what a value of the type is.
func describe(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a length of time, as 5s"
	case form(t) != "":
		return "a value as " + form(t)
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String || isText(t):
		return "a text"
	}
	return "a number"
}
