// Package peers is what stands in a director's place: EVS, and what does the same
// without it. Each serves in the namespace of the calling thread, and is ended by
// the function it returns, or by the end of that namespace.
package peers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// Service is who is asked and who answers.
type Service struct {
	VIP, Server netip.AddrPort
}

// Stop ends a peer.
type Stop func() error

// Router does nothing but what the kernel does anyhow.
func Router(context.Context, Service) (Stop, error) { return func() error { return nil }, nil }

// Nftables translates with the kernel's connection tracking.
func Nftables(ctx context.Context, s Service) (Stop, error) {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`table ip bench {
	chain in {
		type nat hook prerouting priority dstnat
		ip daddr %s tcp dport %d dnat to %s
	}
}
`, s.VIP.Addr(), s.VIP.Port(), s.Server))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nft: %w: %s", err, out)
	}
	return func() error { return nil }, nil // the rules go with the namespace
}

// EVS is a virtual server whose one destination is reached as Forwarding says, in a
// table for Conns connections (0: as many as EVS chooses), by the door that Mode says.
type EVS struct {
	Forwarding ipvs.Destination // its method and tunnel
	Mode       ipvs.AttachMode
	Conns      int
}

// Serve makes the table.
func (e EVS) Serve(ctx context.Context, s Service) (Stop, error) {
	table, err := ipvs.OpenSized(ctx, e.Conns)
	if err != nil {
		return nil, err
	}
	stop := func() error {
		_, err := table.Unload()
		return err
	}
	if err := e.fill(table, s); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

func (e EVS) fill(table *ipvs.Table, s Service) error {
	if e.Mode != "" {
		if err := table.Attach(e.Mode); err != nil {
			return err
		}
	}
	service := ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, s.VIP), Scheduler: "rr"}
	if err := table.AddService(service); err != nil {
		return err
	}
	d := e.Forwarding
	d.Addr, d.Weight = s.Server, 1
	return table.AddDestination(service.ServiceKey, d)
}
