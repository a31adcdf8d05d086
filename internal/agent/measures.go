package agent

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"
)

// A Measure is something that a load can be made of.
type Measure struct {
	// Name is what the flag calls it, About what a load of 1 is.
	Name, About string

	make func(k kernel, o Options) ([]gauge, error)
}

// Measures are those there are, beside Script.
var Measures = []Measure{
	{"cpu", "every processor busy, or the quota of the control group used up", cpu},
	{"runqueue", "as many tasks that run or want to as there are processors, or as --full says", runqueue},
	{"pressure", "some task waits for a processor all the time (PSI), of the machine or of the control group", pressure},
	{"memory", "all memory in use that is not given back on demand, or that of the control group", memory},
	{"connections", "as many TCP sockets as --full says", connections},
}

// Names are those of the measures, and Script.
func Names() (all []string) {
	for _, m := range Measures {
		all = append(all, m.Name)
	}
	return append(all, Script)
}

func measureOf(name string) (Measure, bool) {
	for _, m := range Measures {
		if m.Name == name {
			return m, true
		}
	}
	return Measure{}, false
}

// cpu measures the quotas that hold for the control group, or the machine if there are
// none.
func cpu(k kernel, o Options) ([]gauge, error) {
	groups, err := k.groups(o.Cgroup)
	if err != nil {
		return nil, err
	}
	var all []gauge
	for _, g := range groups {
		if q, err := g.quota(); err != nil {
			return nil, err
		} else if q.limited {
			all = append(all, using(g), throttling(g))
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	return []gauge{{sums: func(time.Time) (float64, float64, error) { return k.busy() }}}, nil
}

// using measures how much of the quota of a group is used up.
func using(g group) gauge {
	return rated(g.used, func() (float64, error) {
		q, err := g.quota()
		if !q.limited {
			q.most = float64(runtime.NumCPU())
		}
		return q.most, err
	})
}

// throttling measures in what part of its periods a group was full, if it is in nearly
// all of them. It may be so before all of the quota is used: some lies with processors
// on which the group has nothing to do. In fewer periods it is what bursts of work are,
// of which the quota that is used says more.
func throttling(g group) gauge {
	full := rated(g.throttled, func() (float64, error) {
		q, err := g.quota()
		if !q.limited {
			return 1, err
		}
		return 1 / q.period, err
	})
	full.least = 0.9
	return full
}

// rated makes a gauge of a sum, and of by how much it can grow in a second.
func rated(sum, most func() (float64, error)) gauge {
	var whole float64
	var before time.Time
	return gauge{sums: func(now time.Time) (float64, float64, error) {
		used, err := sum()
		if err != nil {
			return 0, 0, err
		}
		rate, err := most()
		if err != nil {
			return 0, 0, err
		}
		if !before.IsZero() {
			whole += rate * now.Sub(before).Seconds()
		}
		before = now
		return used, whole, nil
	}}
}

func runqueue(k kernel, o Options) ([]gauge, error) {
	full := o.Full
	if full == 0 {
		full = float64(runtime.NumCPU())
	}
	return []gauge{level(func() (float64, float64, error) {
		running, err := k.field("proc/stat", "procs_running")
		return max(running-1, 0), full, err // less the one that reads this
	})}, nil
}

// pressure measures for how long tasks waited.
func pressure(k kernel, o Options) ([]gauge, error) {
	file := "proc/pressure/cpu"
	groups, err := k.groups(o.Cgroup)
	if err != nil {
		return nil, err
	}
	if len(groups) > 0 && groups[0].version == 2 && k.has(path.Join(groups[0].cpu, "cpu.pressure")) {
		file = path.Join(groups[0].cpu, "cpu.pressure")
	} else if o.Cgroup != "" {
		return nil, fmt.Errorf("cgroup %s: this kernel does not tell the pressure of a group: leave out --cgroup", o.Cgroup)
	}
	began := time.Now()
	return []gauge{{sums: func(now time.Time) (float64, float64, error) {
		words, err := k.line(file, "some")
		if err != nil {
			return 0, 0, err
		}
		total, err := number(strings.TrimPrefix(words[len(words)-1], "total="))
		return total / 1e6, now.Sub(began).Seconds(), err
	}}}, nil
}

func memory(k kernel, o Options) ([]gauge, error) {
	groups, err := k.groups(o.Cgroup)
	if err != nil {
		return nil, err
	}
	var all []gauge
	for _, g := range groups {
		if _, limit, err := g.memory(); err != nil {
			return nil, err
		} else if limit > 0 {
			all = append(all, level(g.memory))
		}
	}
	return append(all, level(k.memory)), nil
}

func connections(k kernel, o Options) ([]gauge, error) {
	if o.Full <= 0 {
		return nil, errors.New("how many are a full load? Write --full NUMBER")
	}
	return []gauge{level(func() (float64, float64, error) {
		n, err := k.sockets()
		return n, o.Full, err
	})}, nil
}

// busy is how long processors have been busy, and how long they have been there.
func (k kernel) busy() (used, whole float64, err error) {
	words, err := k.line("proc/stat", "cpu")
	if err != nil {
		return 0, 0, err
	}
	const idle, iowait, guest = 3, 4, 8 // guests' time is in the others already
	for i, word := range words[:min(len(words), guest)] {
		n, err := number(word)
		if err != nil {
			return 0, 0, err
		}
		whole += n
		if i != idle && i != iowait {
			used += n
		}
	}
	return used, whole, nil
}

// memory is what of the machine's memory is in use, and how much there is.
func (k kernel) memory() (used, whole float64, err error) {
	whole, err = k.field("proc/meminfo", "MemTotal:")
	if err != nil {
		return 0, 0, err
	}
	free, err := k.field("proc/meminfo", "MemAvailable:")
	return whole - free, whole, err
}

// sockets is how many TCP sockets are in use.
func (k kernel) sockets() (n float64, err error) {
	for _, row := range []struct{ file, name string }{{"proc/net/sockstat", "TCP:"}, {"proc/net/sockstat6", "TCP6:"}} {
		words, err := k.line(row.file, row.name)
		if errors.Is(err, errMissing) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return 0, err
		}
		more, err := after(words, "inuse")
		if err != nil {
			return 0, fmt.Errorf("/%s: %w", row.file, err)
		}
		n += more
	}
	return n, nil
}

// after is the number behind a word.
func after(words []string, name string) (float64, error) {
	for i := range words[:max(len(words)-1, 0)] {
		if words[i] == name {
			return number(words[i+1])
		}
	}
	return 0, fmt.Errorf("there is no %s in %q", name, strings.Join(words, " "))
}
