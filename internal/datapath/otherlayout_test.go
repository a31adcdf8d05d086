package datapath_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
)

// reversed are the records whose fields another layout has in the reverse order; the
// fields that a record has to begin with stay where they are.
var reversed = map[string]int{"service": 0, "version": 0, "entry": 0, "dst": 0, "dst_conf": 0, "estimator": 0, "settings": 1}

// otherLayout compiles the data path of this tree with another layout of its records.
func otherLayout(t *testing.T) []func() (*ebpf.CollectionSpec, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../bpf")); err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"abi.h", "abi_conn.h"} {
		path := filepath.Join(dir, header)
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(rearranged(t, string(source))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var collections []func() (*ebpf.CollectionSpec, error)
	var compiling sync.WaitGroup
	for _, name := range []string{"control", "director_tc", "director_xdp"} {
		object := filepath.Join(dir, name+".o")
		compiling.Go(func() {
			compile := exec.Command("clang-19", "-target", "bpfel", "-O2", "-g", "-mcpu=v3", "-I/usr/include/"+machine(),
				"-D_Static_assert(...)=", "-c", filepath.Join(dir, name+".c"), "-o", object)
			if out, err := compile.CombinedOutput(); err != nil {
				t.Errorf("compile %s: %v (is clang there? `make deps-generate` installs it)\n%s", name, err, out)
			}
		})
		collections = append(collections, func() (*ebpf.CollectionSpec, error) { return ebpf.LoadCollectionSpec(object) })
	}
	if compiling.Wait(); t.Failed() {
		t.FailNow()
	}
	return collections
}

func machine() string {
	return map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
}

var (
	comment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	layout  = regexp.MustCompile(`ABI_VERSION = (\d+)`)
	keyed   = regexp.MustCompile(`(?s)(struct conn \{.*?)(__u32 caddr;\s*__u16 cport;\s*__u16 vport;)\s*(__u32 vaddr;\s*__u32 dst;)`)
)

// rearranged is a header with the fields of its records in other places: the key of a
// connection lies behind what lay behind it.
func rearranged(t *testing.T, source string) string {
	t.Helper()
	source = comment.ReplaceAllString(source, "")
	source = layout.ReplaceAllString(source, "ABI_VERSION = 1000 + $1")
	source = keyed.ReplaceAllString(source, "$1 $3 $2")
	for name, stay := range reversed {
		body := regexp.MustCompile(`(?s)struct ` + name + ` \{(.*?)\n\};`)
		source = body.ReplaceAllStringFunc(source, func(whole string) string {
			fields := strings.Split(strings.TrimSpace(body.FindStringSubmatch(whole)[1]), ";")
			fields = fields[:len(fields)-1]
			slices.Reverse(fields[stay:])
			return "struct " + name + " {" + strings.Join(fields, ";") + ";\n};"
		})
	}
	return source
}
