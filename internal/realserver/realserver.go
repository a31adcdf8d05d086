// Package realserver makes a host a real server for direct routing or tunnels,
// and gives it back as it was: kernel settings, VIPs and tunnel devices by
// internal/hostnet, EVS's own decapsulator by internal/datapath where the kernel
// has no device.
//
// It works on the network namespace of the calling OS thread, keeps no process,
// and judges nothing: that is internal/doctor's.
package realserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/hostnet"
)

// Who takes packets out of tunnels.
const (
	Auto   = "auto" // the kernel if it can
	Kernel = "kernel"
	EVS    = "evs"
)

// DefaultPort is where GUE is expected unless told.
const DefaultPort = 6080

// Options say what Setup is to make.
type Options struct {
	hostnet.RealServerSpec
	Decap string        // Auto, Kernel or EVS
	Mode  datapath.Mode // the door of EVS's decapsulator
	// MTU is what the way from the director takes; 0 takes it from the interfaces.
	MTU int
	// KeepMSS leaves alone what the host's SYNs announce, which otherwise is
	// lowered to what a tunnel has room for.
	KeepMSS bool
	DryRun  bool
}

// Report says what was done, or in a dry run what would be.
type Report struct {
	hostnet.Report
	// Decap is what EVS's decapsulator takes out, nil if it is not used.
	Decap *datapath.DecapConfig
	// Attachments say where it is attached; empty in a dry run.
	Attachments []datapath.Attachment
}

// Setup makes the host a real server. Run again it adds VIPs to those of before.
// If it fails, nothing is changed.
func Setup(ctx context.Context, o Options) (Report, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := o.complete(); err != nil {
		return Report{}, err
	}
	var r Report
	r.Decap = o.decap()
	last := func() error {
		if r.Decap != nil {
			return datapath.SetDecap(ctx, *r.Decap, o.Interfaces)
		}
		return dropDecap(ctx)
	}
	var err error
	r.Report, err = hostnet.SetupRealServer(ctx, hostnet.Options{DryRun: o.DryRun}, o.RealServerSpec, last)
	if err != nil || r.Decap == nil || o.DryRun {
		return r, err
	}
	d, err := datapath.ReadDecap()
	r.Attachments = d.Attachments
	return r, err
}

// decap is what EVS's own programs are to do here, nil if nothing.
func (o *Options) decap() *datapath.DecapConfig {
	if o.Method != "tunnel" || o.Kernel && o.KeepMSS {
		return nil
	}
	c := datapath.DecapConfig{VIPs: o.VIPs, Mode: datapath.ModeTC}
	if !o.Kernel {
		c.Kinds, c.Port, c.Locals, c.Mode = []string{o.Tunnel}, o.Port, o.Locals, o.Mode
	}
	if !o.KeepMSS {
		c.MSS4, c.MSS6 = o.segments()
	}
	return &c
}

// complete fills in what was left to be chosen.
func (o *Options) complete() error {
	before, _, err := hostnet.Remembered(hostnet.Options{})
	if err != nil {
		return err
	}
	for _, vip := range append(slices.Clone(o.VIPs), before.VIPs...) {
		if !slices.Contains(o.VIPs, vip) {
			o.VIPs = append(o.VIPs, vip)
		}
	}
	slices.SortFunc(o.VIPs, netip.Addr.Compare)
	o.VIPs = slices.Compact(o.VIPs)
	if o.Method != "tunnel" {
		o.Tunnel, o.Port, o.Csum, o.Locals = "", 0, false, nil
		return nil
	}
	if o.Tunnel != "gue" {
		o.Port = 0
	}
	have, err := hostnet.Read()
	if err != nil {
		return err
	}
	if err := o.chooseLocals(have); err != nil {
		return err
	}
	if err := o.chooseMTU(have); err != nil {
		return err
	}
	return o.chooseDecap()
}

func (o *Options) chooseLocals(have hostnet.Facts) error {
	there := have.Locals(o.VIPs)
	if len(o.Locals) == 0 {
		o.Locals = there
	}
	for _, a := range o.Locals {
		if !slices.Contains(there, a) {
			return fmt.Errorf("local address %s: this host does not have it; it has %v", a, there)
		}
	}
	return nil
}

func (o *Options) chooseDecap() error {
	var missing []string
	for _, m := range o.Modules() {
		if !hostnet.KernelHas(m) {
			missing = append(missing, m)
		}
	}
	switch o.Decap {
	case Auto:
		o.Kernel = len(missing) == 0
	case Kernel:
		o.Kernel = true
		if len(missing) > 0 {
			return fmt.Errorf("this kernel has no tunnel device of that type (module %s): use --decap evs", strings.Join(missing, ", "))
		}
	case EVS:
		o.Kernel = false
	default:
		return fmt.Errorf("decap %q: want auto, kernel or evs", o.Decap)
	}
	return nil
}

func dropDecap(ctx context.Context) error {
	_, err := datapath.ReadDecap()
	if errors.Is(err, datapath.ErrNoDecap) {
		return nil
	}
	_, err = datapath.RemoveDecap(ctx)
	return err
}

// Teardown gives the host back as Setup found it. What others changed since is
// left alone and reported.
func Teardown(ctx context.Context, dryRun bool) (Report, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var r Report
	had, err := datapath.ReadDecap()
	if err == nil {
		r.Decap = &had.DecapConfig
	}
	if errors.Is(err, datapath.ErrNoDecap) || dryRun {
		err = nil
	}
	if err != nil && !errors.Is(err, datapath.ErrLayout) {
		return r, err
	}
	r.Report, err = hostnet.TeardownRealServer(ctx, hostnet.Options{DryRun: dryRun})
	if err != nil || dryRun {
		return r, err
	}
	// Last: a packet taken out when the VIP is gone is the kernel's to refuse.
	return r, dropDecap(ctx)
}
