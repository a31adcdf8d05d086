package bulk

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// nftables translates with the kernel's connection tracking.
func nftables(ctx context.Context) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`table ip bulk {
	chain in {
		type nat hook prerouting priority dstnat
		ip daddr %s tcp dport %d dnat to %s
	}
}
`, vip.Addr(), vip.Port(), server))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nft: %w: %s", err, out)
	}
	return func() error { return nil }, nil // the rules go with the namespace
}

// virtualServer is EVS with the doors it chooses itself.
func virtualServer(ctx context.Context) (stop func() error, err error) {
	table, err := ipvs.Open(ctx)
	if err != nil {
		return nil, err
	}
	stop = func() error {
		_, err := table.Unload()
		return err
	}
	service := ipvs.Service{ServiceKey: ipvs.ServiceAt(ipvs.TCP, vip), Scheduler: "rr"}
	err = errors.Join(
		table.AddService(service),
		table.AddDestination(service.ServiceKey, ipvs.Destination{Addr: server, Method: ipvs.Masquerade, Weight: 1}),
	)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}
