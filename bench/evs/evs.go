// Package evs is EVS itself as a Target: a table made by its own library, in
// the benchmark's namespace, and the program its XDP door is made of. It knows
// nothing of the table's inside.
package evs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/evs-project/evs/bench/harness"
	"github.com/evs-project/evs/bench/packet"
	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/ipvs"
)

// methods are what each forwarding method is called by EVS.
var methods = map[packet.Method]ipvs.Method{
	packet.Masq:  ipvs.Masquerade,
	packet.Route: ipvs.Route,
}

// Target is EVS in the kernel. There is one table in a namespace, and so one
// Target at a time.
type Target struct {
	name    string
	method  packet.Method
	stage   harness.Stage
	table   *ipvs.Table
	program *ebpf.Program
}

// New returns EVS with a service and no connections.
func New(name string, m packet.Method, s harness.Stage) (harness.Target, error) {
	table, err := ipvs.OpenSized(context.Background(), s.Flows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	t := &Target{name: name, method: m, stage: s, table: table}
	if err := t.Prepare(0); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Name is what the Target is called in reports.
func (t *Target) Name() string { return t.name }

// Program is the program of the XDP door, a new one after each Prepare.
func (t *Target) Program() *ebpf.Program { return t.program }

// Close removes the table from the kernel.
func (t *Target) Close() error {
	var errs []error
	if t.program != nil {
		errs = append(errs, t.program.Close())
		t.program = nil
	}
	_, err := t.table.Unload()
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("%s: unload: %w", t.name, err)
	}
	return nil
}

// Prepare makes the table anew, the surest way to an empty one, and opens the
// connections by packets.
func (t *Target) Prepare(flows int) error {
	if flows > t.stage.Flows {
		return fmt.Errorf("%s: %d flows: made for at most %d", t.name, flows, t.stage.Flows)
	}
	if err := t.Close(); err != nil {
		return err
	}
	if err := t.serve(); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	program, err := datapath.XDPProgram()
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	t.program = program
	if flows == 0 {
		return nil
	}
	if err := t.stage.Harness.Establish(program, t.method, flows); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return t.complete(flows)
}

// serve makes the table with its one service. The data path sends by XDP only
// to interfaces that are attached by XDP, so the stage's is.
func (t *Target) serve() error {
	link, err := netlink.LinkByIndex(t.stage.Link)
	if err != nil {
		return fmt.Errorf("interface %d: %w", t.stage.Link, err)
	}
	service := ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, t.stage.VIP), Scheduler: "rr"}
	server := ipvs.Destination{Addr: t.stage.Server, Method: methods[t.method], Weight: 1}
	if err := t.table.Attach(ipvs.AttachXDP, link.Attrs().Name); err != nil {
		return err
	}
	if err := t.table.AddService(service); err != nil {
		return err
	}
	return t.table.AddDestination(service.ServiceKey, server)
}

// complete makes sure that the table holds the flows and nothing else.
func (t *Target) complete(flows int) error {
	status, err := t.table.Status()
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	if status.Conns != flows {
		return fmt.Errorf("%s has %d connections, want %d: %v", t.name, status.Conns, flows,
			slices.DeleteFunc(status.Counters, func(c ipvs.Counter) bool { return c.Count == 0 }))
	}
	return nil
}
