package director

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/evs-project/evs/ipvs"
)

// steps bring about changes, each all of its kinds as one.
var steps = []struct {
	of  []What
	act func(*ipvs.Table, Running, Wanted) error
}{
	{[]What{Setting}, func(t *ipvs.Table, _ Running, w Wanted) error { return t.SetSysctls(w.Settings) }},
	{[]What{Timeout}, func(t *ipvs.Table, _ Running, w Wanted) error { return t.SetTimeouts(w.Timeouts) }},
	// Services come before the marks of their packets.
	{[]What{Service, Destination}, func(t *ipvs.Table, _ Running, w Wanted) error {
		_, err := t.Set(w.Services)
		return err
	}},
	{[]What{Mark}, func(t *ipvs.Table, _ Running, w Wanted) error { return t.SetMarks(w.Marks) }},
	{[]What{Interface}, attach},
}

// Apply makes the table what is wanted, and returns what it changed, which is
// nothing if it was so already. Each step of the plan is atomic as ipvs.Table has
// it; if one fails, those before it are taken back.
func Apply(t *ipvs.Table, want Wanted) ([]Change, error) {
	have, plan, err := prepare(t, want)
	if err != nil {
		return nil, err
	}
	return carryOut(t, have, want, plan)
}

// prepare makes the plan, if the table would take it.
func prepare(t *ipvs.Table, want Wanted) (have Running, plan []Change, err error) {
	if err := Check(t, want); err != nil {
		return have, nil, fmt.Errorf("nothing was changed: %w", err)
	}
	have, err = Read(t)
	return have, Plan(have, want), err
}

func carryOut(t *ipvs.Table, have Running, want Wanted, plan []Change) ([]Change, error) {
	if err := act(t, have, want, plan); err != nil {
		return nil, errors.Join(err, takeBack(t, have.Kept()))
	}
	return plan, nil
}

func act(t *ipvs.Table, have Running, want Wanted, plan []Change) error {
	for _, step := range steps {
		if !slices.ContainsFunc(plan, func(c Change) bool { return slices.Contains(step.of, c.What) }) {
			continue
		}
		if err := step.act(t, have, want); err != nil {
			return fmt.Errorf("%s: %w", step.of[0], err)
		}
	}
	return nil
}

// takeBack makes the table what it was before a step failed.
func takeBack(t *ipvs.Table, before Wanted) error {
	now, err := Read(t)
	if err == nil {
		err = act(t, now, before, Plan(now, before))
	}
	if err != nil {
		return fmt.Errorf("taking back what was changed before: %w", err)
	}
	return nil
}

// attach sets the modes of interfaces. A mode for all ends those of single ones.
func attach(t *ipvs.Table, have Running, want Wanted) error {
	if have.Mode != want.Mode {
		if err := t.Attach(want.Mode); err != nil {
			return err
		}
	}
	now := Running{}
	var err error
	if now.Mode, now.Attachments, err = t.Attachments(); err != nil {
		return err
	}
	names := map[ipvs.AttachMode][]string{}
	for _, a := range now.Attachments {
		if mode := want.modeOf(a.Interface); mode != a.Mode {
			names[mode] = append(names[mode], a.Interface)
		}
	}
	for _, name := range sortedKeys(want.Interfaces) { // also where the table is not there yet
		mode := want.Interfaces[name]
		if now.modeOf(name) != mode && !slices.Contains(names[mode], name) {
			names[mode] = append(names[mode], name)
		}
	}
	for _, mode := range slices.Sorted(maps.Keys(names)) {
		if err := t.Attach(mode, names[mode]...); err != nil {
			return err
		}
	}
	return nil
}
