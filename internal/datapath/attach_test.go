package datapath

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
)

// inNamespace runs the rest of the test in a network namespace of its own,
// with a veth pair v0, v1.
func inNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test needs root: it makes network namespaces and loads BPF programs")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	room, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := Unload(context.Background()); err != nil {
			t.Error(err)
		}
		room.Close()
		if err := netns.Set(home); err != nil {
			t.Fatal(err) // the thread must not be used again
		}
		home.Close()
		runtime.UnlockOSThread()
	})
	run(t, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

func attachments(t *testing.T, e *Editor) map[string]string {
	t.Helper()
	doors := map[string]string{}
	if err := e.View(func(table *Table) error {
		all, err := table.Attachments()
		for _, a := range all {
			doors[a.Interface] = strings.Join(a.Doors, "+")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return doors
}

func none(*Table) error { return nil }

func TestAKernelWithoutTcxGetsAClsactFilterThatUnloadRemoves(t *testing.T) {
	withoutTCX = true
	t.Cleanup(func() { withoutTCX = false })
	inNamespace(t)
	run(t, "tc", "qdisc", "add", "dev", "v1", "clsact") // somebody else's
	var e Editor
	if err := e.Edit(context.Background(), none); err != nil {
		t.Fatal(err)
	}
	if got := attachments(t, &e); got["v0"] != "tc" || got["v1"] != "tc" {
		t.Errorf("attached: %v, want tc on both", got)
	}
	if filters := run(t, "tc", "filter", "show", "dev", "v0", "ingress"); !strings.Contains(filters, tcProgEvsTc) {
		t.Errorf("no filter on v0:\n%s", filters)
	}
	if _, err := Unload(context.Background()); err != nil {
		t.Fatal(err)
	}
	if qdiscs := run(t, "tc", "qdisc", "show", "dev", "v0"); strings.Contains(qdiscs, "clsact") {
		t.Errorf("our queueing discipline is still there:\n%s", qdiscs)
	}
	if qdiscs := run(t, "tc", "qdisc", "show", "dev", "v1"); !strings.Contains(qdiscs, "clsact") {
		t.Errorf("somebody else's queueing discipline is gone:\n%s", qdiscs)
	}
	if filters := run(t, "tc", "filter", "show", "dev", "v1", "ingress"); strings.Contains(filters, tcProgEvsTc) {
		t.Errorf("the filter is still there:\n%s", filters)
	}
}

func TestDetachedInterfacesStayDetachedUntilTheyAreAttachedAgain(t *testing.T) {
	for _, without := range []bool{false, true} {
		t.Run(map[bool]string{false: "with tcx", true: "with clsact"}[without], func(t *testing.T) {
			withoutTCX = without
			t.Cleanup(func() { withoutTCX = false })
			inNamespace(t)
			var e Editor
			steps := []struct {
				mode   Mode
				names  []string
				v0, v1 string
			}{
				{ModeAuto, nil, "tc", "tc"},
				{ModeOff, []string{"v0"}, "", "tc"},
				{ModeTC, []string{"v0"}, "tc", "tc"},
				{ModeOff, nil, "", ""},
				{ModeXDP, nil, "tc+xdp", "tc+xdp"},
				{ModeTC, []string{"v1"}, "tc+xdp", "tc"},
				{ModeAuto, nil, "tc", "tc"},
			}
			for _, s := range steps {
				attach := func(table *Table) error { return table.Attach(s.mode, s.names) }
				if err := e.Edit(context.Background(), attach); err != nil {
					t.Fatal(err)
				}
				var later Editor // another command
				if err := later.Edit(context.Background(), none); err != nil {
					t.Fatal(err)
				}
				later.Close()
				if got := attachments(t, &e); got["v0"] != s.v0 || got["v1"] != s.v1 {
					t.Errorf("after %v %v: %v, want v0 %q, v1 %q", s.mode, s.names, got, s.v0, s.v1)
				}
			}
		})
	}
}

func TestAnInterfaceThatCannotTakeXDPIsNamedAndNothingChanges(t *testing.T) {
	inNamespace(t)
	run(t, "ip", "link", "add", "br0", "type", "bridge")
	var e Editor
	if err := e.Edit(context.Background(), none); err != nil {
		t.Fatal(err)
	}
	before := attachments(t, &e)
	err := e.Edit(context.Background(), func(table *Table) error { return table.Attach(ModeXDP, nil) })
	if err == nil || !strings.Contains(err.Error(), "br0") || !strings.Contains(err.Error(), "--mode tc") {
		t.Errorf("error %v: want one that names br0 and the remedy", err)
	}
	after := attachments(t, &e)
	for name, doors := range before {
		if after[name] != doors {
			t.Errorf("%s had %q, now has %q", name, doors, after[name])
		}
	}
}
