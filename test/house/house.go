// Package house holds the rules of this source tree and checks them: which way
// imports point, how long a file may be, what every file has to carry. A rule
// is a pure function over a description of the tree. It never judges what code
// does, only where it stands and how it is dressed.
package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A file is one file of the tree.
type file struct {
	path string // from the root, with slashes
	text string // empty for a binary file
	// source is nil unless this is a Go file that is compiled.
	source *goSource
}

// A goSource is what the rules want to know of a Go file.
type goSource struct {
	imports   []string
	comment   string // the package comment
	generated bool
}

// dir is the package a Go file belongs to, and the place of any other.
func (f file) dir() string { return path.Dir(f.path) }

// isTest reports whether only go test compiles the file.
func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// isBPF reports whether the file is C of the data plane.
func (f file) isBPF() bool {
	return strings.HasPrefix(f.path, "bpf/") && (strings.HasSuffix(f.path, ".c") || strings.HasSuffix(f.path, ".h"))
}

// lines counts the lines of the file.
func (f file) lines() int {
	n := strings.Count(f.text, "\n")
	if f.text != "" && !strings.HasSuffix(f.text, "\n") {
		n++
	}
	return n
}

// unread are the directories that hold no source: the repository's own, and
// what is built.
var unread = []string{".git", "bin", "dist", "bench/out"}

// read describes the tree below fsys.
func read(fsys fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(unread, name):
			return fs.SkipDir
		case !entry.Type().IsRegular() || name == ".git":
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		f := file{path: name}
		if bytes.IndexByte(data, 0) < 0 {
			f.text = string(data)
		}
		if strings.HasSuffix(name, ".go") && !strings.Contains(name, "testdata/") {
			if f.source, err = parse(name, data); err != nil {
				return err
			}
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

func parse(name string, data []byte) (*goSource, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	src := &goSource{comment: tree.Doc.Text(), generated: ast.IsGenerated(tree)}
	for _, spec := range tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		src.imports = append(src.imports, imported)
	}
	return src, nil
}
