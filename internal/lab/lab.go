package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/hostnet"
	"github.com/evs-project/evs/internal/realserver"
)

// stateDir holds a directory for each lab: its spec, and a pid file and a log
// for each real server.
const stateDir = "/run/evs/lab"

// tables is where virtual server tables are pinned if there are any. Where it
// is missing, looking for one would mount a BPF file system for nothing.
const tables = "/sys/fs/bpf/evs"

// The errors callers branch on.
var (
	ErrExists = errors.New("exists already")
	ErrNoLab  = errors.New("no such lab")
)

var errNotRoot = errors.New("a lab is made of network namespaces, which needs root: try sudo")

// Lab is a lab that is up. It may be used by many goroutines.
type Lab struct {
	Spec
	// servers waits for the server processes that this process started.
	servers sync.WaitGroup
}

// Up builds the lab and returns when every real server answers. If it fails, or
// ctx ends, nothing of it is left.
func Up(ctx context.Context, spec Spec) (*Lab, error) {
	spec = spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errNotRoot
	}
	if spec.Binary == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("which program to run as real servers: %w", err)
		}
		spec.Binary = self
	}
	l := &Lab{Spec: spec}
	if err := l.claim(); err != nil {
		return nil, err
	}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("lab %s: %w", l.Name, err), l.Down())
	}
	return l, nil
}

// claim takes the name, or says that it is taken.
func (l *Lab) claim() error {
	taken := fmt.Errorf("lab %s %w, whole or in part: `evs lab down --name %s` clears it, or choose another --name", l.Name, ErrExists, l.Name)
	if len(namespacesOf(l.Name)) > 0 {
		return taken
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return err
	}
	err := os.Mkdir(l.dir(), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return taken
	}
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(l.Spec, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.dir(), "lab.json"), append(b, '\n'), 0o644)
}

func (l *Lab) dir() string { return filepath.Join(stateDir, l.Name) }

func (l *Lab) build(ctx context.Context) error {
	plan := l.layout()
	for _, node := range l.Nodes() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := addNamespace(l.Namespace(node)); err != nil {
			return err
		}
		if err := l.Do(node, func() error { return settle(ctx, hostnet.Want{Sysctl: quiet}) }); err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
	}
	if err := l.wire(plan); err != nil {
		return err
	}
	for _, node := range l.Nodes() {
		if err := l.Do(node, func() error { return settle(ctx, plan.config[node]) }); err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
	}
	for _, node := range append(l.routers(), Director) {
		if err := l.Do(node, func() error { return forward(ctx) }); err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
	}
	if err := l.setUpServers(ctx); err != nil {
		return err
	}
	for _, node := range l.Serving() {
		if err := l.startServer(node); err != nil {
			return err
		}
	}
	if err := l.awaitServers(ctx); err != nil {
		return err
	}
	if l.Loss == 0 {
		return nil
	}
	return l.Lose(ctx, l.Loss)
}

// wire makes bridges and cables.
func (l *Lab) wire(plan layout) error {
	err := l.Do(Switch, func() error {
		for _, bridge := range plan.bridges {
			if err := hostnet.AddBridge(bridge); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range plan.cables {
		far, err := netns.GetFromName(l.Namespace(c.b.node))
		if err != nil {
			return fmt.Errorf("%s: %w", c.b.node, err)
		}
		err = l.Do(c.a.node, func() error { return hostnet.AddVeth(c.a.iface, c.b.iface, int(far), c.mtu) })
		if err := errors.Join(err, far.Close()); err != nil {
			return err
		}
		if err := l.plugIn(c); err != nil {
			return err
		}
	}
	return nil
}

// plugIn finishes both ends of a cable.
func (l *Lab) plugIn(c cable) error {
	for _, e := range []end{c.a, c.b} {
		err := l.Do(e.node, func() error {
			if e == c.b && c.bridge != "" {
				if err := hostnet.AddPort(c.bridge, e.iface); err != nil {
					return err
				}
			}
			far := slices.Contains(c.far, e)
			if far {
				if err := hostnet.SetTxChecksum(e.iface, false); err != nil {
					return err
				}
			}
			if l.GRO || far {
				return hostnet.SetGRO(e.iface, true)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", e.node, err)
		}
	}
	return nil
}

// settle brings the calling thread's namespace to what is wanted.
func settle(ctx context.Context, want hostnet.Want) error {
	have, err := hostnet.Read()
	if err != nil {
		return err
	}
	// A kernel without IPv6 has no settings of it.
	want.Sysctl = maps.Clone(want.Sysctl)
	maps.DeleteFunc(want.Sysctl, func(key, _ string) bool { _, ok := have.Sysctl[key]; return !ok })
	_, err = hostnet.Apply(ctx, hostnet.Plan(have, want))
	return err
}

// forward does what `evs director setup` does, without a record: the namespace
// is never given back.
func forward(ctx context.Context) error {
	have, err := hostnet.Read()
	if err != nil {
		return err
	}
	ifaces, err := have.Interfaces(nil)
	if err != nil {
		return err
	}
	_, err = hostnet.Apply(ctx, hostnet.Plan(have, hostnet.Director(have, ifaces, true)))
	return err
}

// setUpServers does what `evs realserver setup` does, where the method needs it.
func (l *Lab) setUpServers(ctx context.Context) error {
	o, needed := l.realServer()
	if !needed {
		return nil
	}
	for i := range l.Servers {
		node := ServerNode(i + 1)
		err := l.Do(node, func() error {
			_, err := realserver.Setup(ctx, o)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
	}
	return nil
}

// Open returns the lab called name, which some process brought up.
func Open(name string) (*Lab, error) {
	b, err := os.ReadFile(filepath.Join(stateDir, name, "lab.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lab %s: %w: bring it up with `evs lab up --name %s`", name, ErrNoLab, name)
	}
	if err != nil {
		return nil, err
	}
	l := &Lab{}
	if err := json.Unmarshal(b, &l.Spec); err != nil {
		return nil, fmt.Errorf("lab %s: its description is damaged: %w; `evs lab down --name %s` clears it", name, err, name)
	}
	return l, nil
}

// Names are the labs there are, whole or half-built.
func Names() ([]string, error) {
	entries, err := os.ReadDir(stateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Down removes the lab: processes in it, namespaces, files. One that someone
// else removed is down already.
func (l *Lab) Down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := Remove(ctx, l.Name)
	l.servers.Wait()
	if errors.Is(err, ErrNoLab) {
		return nil
	}
	return err
}

// Remove removes the lab called name, also one that is half-built or whose
// description is lost. The error is ErrNoLab if there is nothing of that name.
func Remove(ctx context.Context, name string) error {
	if !nameShape.MatchString(name) {
		return Spec{Name: name}.WithDefaults().Validate()
	}
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	namespaces := namespacesOf(name)
	dir := filepath.Join(stateDir, name)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && len(namespaces) == 0 {
		return fmt.Errorf("lab %s: %w", name, ErrNoLab)
	}
	var ids []identity
	for _, ns := range namespaces {
		// A name whose namespace was never mounted identifies a plain
		// file, where no process can live.
		if id, err := identify(filepath.Join(netnsDir, ns)); err == nil {
			ids = append(ids, id)
		}
	}
	errs := []error{endInhabitants(ctx, ids)}
	for _, ns := range namespaces {
		errs = append(errs, sweep(ctx, ns), deleteNamespace(ns))
	}
	errs = append(errs, os.RemoveAll(dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("lab %s: %w", name, err)
	}
	return nil
}

// sweep removes what a namespace has outside of itself and would outlive it: the
// records of setups, and a pinned virtual server table or decapsulator.
func sweep(ctx context.Context, namespace string) error {
	err := inNamespace(namespace, func() error {
		err := hostnet.Forget("")
		if _, absent := os.Stat(tables); absent != nil {
			return err
		}
		_, table := datapath.Unload(ctx)
		_, decap := datapath.RemoveDecap(ctx)
		return errors.Join(err, table, decap)
	})
	if errors.Is(err, unix.EINVAL) {
		// A name that no namespace was ever mounted on cannot be entered.
		return nil
	}
	return err
}

// namespacesOf are the namespaces there are that a lab of that name could have.
func namespacesOf(name string) []string {
	shape := regexp.MustCompile("^" + regexp.QuoteMeta(name) + `-(router2?|director|switch|client\d+|server\d+)$`)
	entries, _ := os.ReadDir(netnsDir)
	var found []string
	for _, e := range entries {
		if shape.MatchString(e.Name()) {
			found = append(found, e.Name())
		}
	}
	return found
}
