package document

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxSize is the size of the largest file that is read.
const maxSize = 8 << 20

// Read reads a file's text into the structure that the pointer points to, on
// top of what it holds. What is wrong is kept for Problems.
func (r *Reader) Read(file string, text []byte, pointer any) {
	r.read(file, text, pointer, field{})
}

// ReadList reads a file that is a list, each of whose elements begins as the
// prototype.
func (r *Reader) ReadList(file string, text []byte, pointer, prototype any) {
	r.read(file, text, pointer, field{prototype: func(string, map[string]string) any { return prototype }})
}

func (r *Reader) read(file string, text []byte, pointer any, f field) {
	r.files = append(r.files, file)
	if len(text) > maxSize {
		r.Report(Problem{Place{File: file}, "", fmt.Sprintf("the file has %d bytes, more than %d: divide it, see include", len(text), maxSize)})
		return
	}
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		r.Report(syntaxProblem(file, err))
		return
	}
	d := &decoding{Reader: r, file: file, anchors: map[string]ast.Node{}}
	var bodies []ast.Node
	for _, doc := range parsed.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
	case 1:
		ast.Walk(d, bodies[0])
		d.value(reflect.ValueOf(pointer).Elem(), f, bodies[0], "")
	default:
		d.wrong(bodies[1], "", "a second document begins here: put everything into one, without --- between")
	}
}

func syntaxProblem(file string, err error) Problem {
	p := Problem{Place: Place{File: file}, Reason: "this is no YAML: " + firstLine(err.Error())}
	var said yaml.Error
	if errors.As(err, &said) {
		p.Reason = "this is no YAML: " + firstLine(said.GetMessage())
		if t := said.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	return p
}

func firstLine(s string) string { line, _, _ := strings.Cut(s, "\n"); return line }

// decoding is one file being read.
type decoding struct {
	*Reader
	file    string
	anchors map[string]ast.Node
}

// Visit remembers anchors.
func (d *decoding) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		d.anchors[a.Name.String()] = a.Value
	}
	return d
}

func (d *decoding) place(n ast.Node) Place {
	p := Place{File: d.file}
	if n == nil {
		return p
	}
	t := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		t = m.Values[0].Key.GetToken()
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		t = m.Key.GetToken()
	}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

func (d *decoding) wrong(n ast.Node, key, reason string) {
	d.Report(Problem{d.place(n), key, reason})
}

// plainNode follows aliases and takes off anchors and tags.
func (d *decoding) plainNode(n ast.Node) ast.Node {
	for range 16 {
		switch of := n.(type) {
		case *ast.AnchorNode:
			n = of.Value
		case *ast.TagNode:
			n = of.Value
		case *ast.AliasNode:
			n = d.anchors[of.Value.String()]
		default:
			return n
		}
	}
	return nil
}

// value reads one value of any type.
func (d *decoding) value(to reflect.Value, f field, n ast.Node, key string) {
	if d.left--; d.left == 0 {
		d.wrong(n, key, "the file grows beyond all bounds here: use fewer aliases")
	}
	if d.left <= 0 {
		return
	}
	d.note(to.Addr().Interface(), d.place(n), key)
	was := n
	switch n = d.plainNode(n); {
	case n == nil:
		d.wrong(was, key, "this alias leads nowhere: name an anchor, &NAME, that stands in this file")
	case n.Type() == ast.NullType:
		d.wrong(n, key, "it has no value: give it one, or leave the key out")
	case isScalar(to.Type()):
		d.scalar(to, f, n, key)
	case to.Kind() == reflect.Slice:
		d.list(to, f, n, key)
	case to.Kind() == reflect.Map:
		d.dictionary(to, f, n, key)
	case to.Kind() == reflect.Pointer:
		if to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
			if to.Elem().Kind() == reflect.Struct {
				setDefaults(to.Elem())
			}
		} else { // another's, by inheritance: leave that as it is
			own := reflect.New(to.Type().Elem())
			own.Elem().Set(to.Elem())
			to.Set(own)
		}
		d.value(to.Elem(), f, n, key)
	default:
		d.structure(to, n, key)
	}
}

func (d *decoding) scalar(to reflect.Value, f field, n ast.Node, key string) {
	text, ok := scalarText(n)
	if !ok {
		d.wrong(n, key, fmt.Sprintf("%s stands here: write %s", nodeName(n), describe(to.Type())))
		return
	}
	if wrong := setScalar(to, f, text); wrong != "" {
		d.wrong(n, key, wrong)
	}
}

// scalarText is the text of a scalar as it stands in the file.
func scalarText(n ast.Node) (string, bool) {
	switch of := n.(type) {
	case *ast.StringNode:
		return of.Value, true
	case *ast.LiteralNode:
		return of.Value.Value, true
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode, *ast.NullNode, nil:
		return "", false
	}
	if t := n.GetToken(); t != nil {
		return t.Value, true
	}
	return "", false
}

func nodeName(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a plain value"
}

// list reads a list; a single value is a list of one.
func (d *decoding) list(to reflect.Value, f field, n ast.Node, key string) {
	values := []ast.Node{n}
	if s, ok := n.(*ast.SequenceNode); ok {
		values = s.Values
	}
	out := reflect.MakeSlice(to.Type(), len(values), len(values))
	for i, v := range values {
		where := key
		if len(values) > 1 || v != n {
			where = fmt.Sprintf("%s[%d]", key, i)
		}
		d.element(out.Index(i), f, v, where)
	}
	to.Set(out)
}

// element reads an element of a list, beginning from its prototype.
func (d *decoding) element(to reflect.Value, f field, n ast.Node, key string) {
	if to.Kind() == reflect.Struct && !isScalar(to.Type()) {
		setDefaults(to)
		if f.prototype != nil {
			if like := f.prototype(f.name, d.given(n)); like != nil {
				to.Set(reflect.ValueOf(like))
			}
		}
	}
	d.value(to, f, n, key)
}

// given are the plain values of a mapping.
func (d *decoding) given(n ast.Node) map[string]string {
	out := map[string]string{}
	for _, e := range d.entries(d.plainNode(n), 0) {
		text, _ := scalarText(d.plainNode(e.value))
		out[e.key] = text
	}
	return out
}

func (d *decoding) dictionary(to reflect.Value, f field, n ast.Node, key string) {
	if !isMapping(n) {
		d.wrong(n, key, fmt.Sprintf("%s stands here: write a mapping, NAME: VALUE", nodeName(n)))
		return
	}
	out := reflect.MakeMap(to.Type())
	for _, e := range d.entries(n, 0) {
		v := reflect.New(to.Type().Elem()).Elem()
		d.value(v, f, e.value, join(key, e.key))
		d.note(entry{to.Addr().Interface(), e.key}, d.place(e.node), join(key, e.key))
		out.SetMapIndex(reflect.ValueOf(e.key), v)
	}
	to.Set(out)
}

// entry is how the place of an entry of a map is kept.
type entry struct {
	of  any
	key string
}

// Entry stands for an entry of a map where a pointer to its value is asked for.
func Entry(mapPointer any, key string) any { return entry{mapPointer, key} }

func (d *decoding) structure(to reflect.Value, n ast.Node, key string) {
	if !isMapping(n) {
		d.wrong(n, key, fmt.Sprintf("%s stands here: write a mapping with %s", nodeName(n), strings.Join(names(fields(to.Type())), ", ")))
		return
	}
	all := fields(to.Type())
	entries := d.entries(n, 0)
	for _, e := range entries {
		if !slices.ContainsFunc(all, func(f field) bool { return f.name == e.key }) {
			d.wrong(e.node, join(key, e.key), unknownKey(e.key, names(all)))
		}
	}
	for _, f := range all { // in the order of the structure: lists may begin from what stands before them
		for _, e := range entries {
			if e.key == f.name {
				if p, ok := to.Addr().Interface().(Prototyper); ok {
					f.prototype = p.Prototype
				}
				d.value(to.FieldByIndex(f.index), f, e.value, join(key, f.name))
			}
		}
	}
}

func unknownKey(key string, all []string) string {
	if near := didYouMean(key, all); near != "" {
		return "there is no such key" + near
	}
	return "there is no such key here: there are " + strings.Join(all, ", ")
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
