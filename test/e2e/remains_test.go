package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/evs-project/evs/internal/hostnet"
)

// pinned is what a table has in the kernel: other people's tables may come and
// go meanwhile, so things are told by their numbers, which are not used again.
type pinned struct {
	dir   string
	maps  map[ebpf.MapID]bool
	progs map[ebpf.ProgramID]bool
	links map[link.ID]bool
}

// pinsDir is where the table of a namespace is pinned.
func pinsDir(t *testing.T, ns string) string {
	t.Helper()
	var cookie uint64
	inside(t, ns, func() (err error) {
		cookie, err = hostnet.Cookie()
		return err
	})
	return fmt.Sprintf("/sys/fs/bpf/evs/%x", cookie)
}

// pins finds out what a namespace has in the kernel.
func pins(t *testing.T, ns string) pinned {
	t.Helper()
	p := pinned{dir: pinsDir(t, ns), maps: map[ebpf.MapID]bool{}, progs: map[ebpf.ProgramID]bool{}, links: map[link.ID]bool{}}
	err := filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return p.add(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.maps) == 0 || len(p.progs) == 0 {
		t.Fatalf("no table in %s", p.dir)
	}
	return p
}

func (p pinned) add(path string) error {
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		defer l.Close()
		info, err := l.Info()
		if err != nil {
			return err
		}
		p.links[info.ID] = true
		return nil
	}
	if prog, err := ebpf.LoadPinnedProgram(path, nil); err == nil {
		defer prog.Close()
		return p.addProgram(prog)
	}
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return err
	}
	id, _ := info.ID()
	p.maps[id] = true
	return nil
}

// addProgram adds the maps of a program too, some of which are not pinned.
func (p pinned) addProgram(prog *ebpf.Program) error {
	info, err := prog.Info()
	if err != nil {
		return err
	}
	id, _ := info.ID()
	p.progs[id] = true
	maps, _ := info.MapIDs()
	for _, id := range maps {
		p.maps[id] = true
	}
	return nil
}

// left are the things that still are there.
func (p pinned) left() (all []string) {
	if _, err := os.Stat(p.dir); err == nil {
		all = append(all, p.dir)
	}
	for id := range p.links {
		l, err := link.NewFromID(id)
		if err == nil {
			l.Close()
		}
		if !errors.Is(err, os.ErrNotExist) {
			all = append(all, fmt.Sprint("link ", id))
		}
	}
	for id := range p.progs {
		if exists(id, ebpf.ProgramGetNextID) {
			all = append(all, fmt.Sprint("program ", id))
		}
	}
	for id := range p.maps {
		if exists(id, ebpf.MapGetNextID) {
			all = append(all, fmt.Sprint("map ", id))
		}
	}
	return all
}

// exists asks for the first id from this one on. It does not open what has the id: a
// program array that is opened and closed while the kernel is about to free it is
// cleared twice, and if the first clearing still waits for its turn, the kernel loses
// count and keeps the array for ever.
func exists[ID ~uint32](id ID, next func(ID) (ID, error)) bool {
	found, err := next(id - 1)
	return err == nil && found == id
}

// nothingLeft waits until the kernel has freed what it frees in the background, which
// takes milliseconds, and longer where other work keeps its workers waiting.
func nothingLeft(t *testing.T, all []pinned) {
	t.Helper()
	until(t, time.Minute, "nothing is left", func() (string, bool) {
		var left []string
		for _, p := range all {
			left = append(left, p.left()...)
		}
		return strings.Join(left, "\n"), len(left) == 0
	})
}

// withTable makes a namespace with an interface and a table.
func withTable(t *testing.T, name string) pinned {
	t.Helper()
	run(t, "", "ip netns add "+name)
	run(t, name, `
		ip link set lo up
		ip link add v0 type veth peer name v1
		ipvsadm -A -t 203.0.113.10:80 -s rr`)
	p := pins(t, name)
	if len(p.links) != 5 {
		t.Errorf("%s has %d links, want two of each interface and one of lo", name, len(p.links))
	}
	return p
}

func remainsName(i int) string { return fmt.Sprintf("e2e-%d-r%d", os.Getpid(), i) }

// dropNamespaces is for the end of a test that failed half-way.
func dropNamespaces(t *testing.T, n int) {
	t.Cleanup(func() {
		for i := range n {
			if _, err := os.Stat("/run/netns/" + remainsName(i)); err == nil {
				host(t, "ip netns del "+remainsName(i))
			}
		}
	})
}

func TestAHundredNamespacesThatUnloadedLeaveNothing(t *testing.T) {
	const n = 100
	dropNamespaces(t, n)
	var all []pinned
	for i := range n {
		all = append(all, withTable(t, remainsName(i)))
		run(t, remainsName(i), "evs unload")
		run(t, "", "ip netns del "+remainsName(i))
	}
	nothingLeft(t, all)
}

func TestWhatNamespacesLeaveThatDiedWithTheirTablesIsClearedByTheNextCommand(t *testing.T) {
	const n = 20
	dropNamespaces(t, n)
	var all []pinned
	for i := range n {
		all = append(all, withTable(t, remainsName(i)))
	}
	for i := range n {
		run(t, "", "ip netns del "+remainsName(i))
	}
	elsewhere := namespace(t)
	// A namespace dies in its own time, so the first command may be too early.
	until(t, 20*time.Second, "the remains are cleared", func() (string, bool) {
		run(t, elsewhere, "ipvsadm -C")
		var left []string
		for _, p := range all {
			if _, err := os.Stat(p.dir); err == nil {
				left = append(left, p.dir)
			}
		}
		return strings.Join(left, "\n"), len(left) == 0
	})
	nothingLeft(t, all)
}

func TestANamespaceThatReusesANameNeverSeesAStrangersTable(t *testing.T) {
	dropNamespaces(t, 1)
	name, inodes := remainsName(0), map[string]int{}
	for range 20 {
		run(t, "", "ip netns add "+name)
		inodes[run(t, name, "readlink /proc/self/ns/net")]++
		if services := strings.Count(run(t, name, "ipvsadm -Ln"), "TCP"); services != 0 {
			t.Fatalf("a new namespace has %d services", services)
		}
		run(t, name, "ipvsadm -A -t 203.0.113.10:80 -s rr")
		run(t, "", "ip netns del "+name)
	}
	t.Logf("20 namespaces had %d inode numbers", len(inodes))
}
