package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// A kernel is where its files are.
type kernel struct{ root string }

var errMissing = errors.New("the kernel does not tell it")

func (k kernel) read(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(k.root, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("/%s: %w", name, errMissing)
	}
	return string(text), err
}

// line are the words behind the one that a line of a file begins with.
func (k kernel) line(file, first string) ([]string, error) {
	text, err := k.read(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == first {
			return words[1:], nil
		}
	}
	return nil, fmt.Errorf("/%s has no %s: %w", file, first, errMissing)
}

// field is the number behind a name.
func (k kernel) field(file, name string) (float64, error) {
	words, err := k.line(file, name)
	if err != nil {
		return 0, err
	}
	return number(words[0])
}

// whole is a file that is one number.
func (k kernel) whole(file string) (float64, error) {
	text, err := k.read(file)
	if err != nil {
		return 0, err
	}
	return number(strings.TrimSpace(text))
}

func number(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return n, nil
}

// A group is a control group: where its files of a controller are, by the version.
type group struct {
	kernel
	version           int
	cpu, cpuacct, mem string // directories; "" where there is none
}

const cgroups = "sys/fs/cgroup"

// groups are a control group and those above it, the nearest first; none if the kernel
// has no control groups. "" is the group of this process.
func (k kernel) groups(name string) ([]group, error) {
	second := k.has(path.Join(cgroups, "cgroup.controllers"))
	first := k.has(path.Join(cgroups, "cpu")) || k.has(path.Join(cgroups, "memory"))
	if !first && !second {
		if name != "" {
			return nil, fmt.Errorf("cgroup %s: this machine has no control groups at /%s", name, cgroups)
		}
		return nil, nil
	}
	at := func(string) string { return path.Join("/", name) }
	if name == "" {
		own, err := k.own()
		if err != nil {
			return nil, err
		}
		at = func(controller string) string { return own[controller] }
	}
	if second {
		return k.above(name, func(up int) group { dir := rise(cgroups, at(""), up); return group{k, 2, dir, dir, dir} })
	}
	return k.above(name, func(up int) group {
		dir := func(controller string) string { return rise(path.Join(cgroups, controller), at(controller), up) }
		return group{k, 1, dir("cpu"), dir("cpuacct"), dir("memory")}
	})
}

// rise is the directory of a group, or so many above it; "" beyond the root.
func rise(base, name string, up int) string {
	if name == "" {
		return ""
	}
	for ; up > 0; up-- {
		if name == "/" {
			return ""
		}
		name = path.Dir(name)
	}
	return path.Join(base, name)
}

// above collects groups until the root.
func (k kernel) above(name string, of func(up int) group) (all []group, err error) {
	for up := 0; ; up++ {
		g := of(up)
		if g.cpu == "" && g.mem == "" {
			return all, nil
		}
		if up == 0 && name != "" && !k.has(g.cpu) && !k.has(g.mem) {
			return nil, fmt.Errorf("cgroup %s: there is no such group: /%s", name, g.cpu)
		}
		all = append(all, g)
	}
}

func (k kernel) has(name string) bool {
	_, err := os.Stat(filepath.Join(k.root, name))
	return err == nil
}

// own are the groups of this process by controller, "" for version 2.
func (k kernel) own() (map[string]string, error) {
	text, err := k.read("proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			own[controller] = path.Clean(parts[2])
		}
	}
	return own, nil
}

// absent is err, unless it is that a file is not there, as in a root group.
func absent(err error) error {
	if errors.Is(err, errMissing) {
		return nil
	}
	return err
}

// A quota is how much of processors a group may use.
type quota struct {
	limited bool
	most    float64 // processors
	period  float64 // seconds, in which that is counted
}

func (g group) quota() (q quota, err error) {
	if g.cpu == "" {
		return q, nil
	}
	var most, period float64
	if g.version == 1 {
		most, err = g.whole(path.Join(g.cpu, "cpu.cfs_quota_us"))
		if err == nil && most > 0 {
			period, err = g.whole(path.Join(g.cpu, "cpu.cfs_period_us"))
		}
	} else {
		var text string
		text, err = g.read(path.Join(g.cpu, "cpu.max"))
		if words := strings.Fields(text); err == nil && len(words) == 2 && words[0] != "max" {
			most, err = number(words[0])
			if err == nil {
				period, err = number(words[1])
			}
		}
	}
	if err != nil || most <= 0 || period <= 0 {
		return q, absent(err)
	}
	return quota{true, most / period, period / 1e6}, nil
}

// throttled is in how many periods the group has used up its quota and wanted more.
func (g group) throttled() (float64, error) {
	n, err := g.field(path.Join(g.cpu, "cpu.stat"), "nr_throttled")
	return n, absent(err)
}

// used is how many seconds of processors the group has used.
func (g group) used() (float64, error) {
	if g.version == 1 {
		n, err := g.whole(path.Join(g.cpuacct, "cpuacct.usage"))
		return n / 1e9, err
	}
	n, err := g.field(path.Join(g.cpu, "cpu.stat"), "usage_usec")
	return n / 1e6, err
}

// memory is what the group has in use that is not given back on demand, and its limit,
// 0 for none.
func (g group) memory() (used, limit float64, err error) {
	if g.mem == "" {
		return 0, 0, nil
	}
	names := struct{ used, limit, idle string }{"memory.current", "memory.max", "inactive_file"}
	if g.version == 1 {
		names = struct{ used, limit, idle string }{"memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"}
	}
	text, err := g.read(path.Join(g.mem, names.limit))
	if text = strings.TrimSpace(text); err != nil || text == "max" {
		return 0, 0, absent(err)
	}
	if limit, err = number(text); err != nil || limit > 1<<60 {
		return 0, 0, err // version 1 writes a very great number for none
	}
	if used, err = g.whole(path.Join(g.mem, names.used)); err != nil {
		return 0, 0, err
	}
	idle, err := g.field(path.Join(g.mem, "memory.stat"), names.idle)
	return max(used-idle, 0), limit, err
}
