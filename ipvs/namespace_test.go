package ipvs_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/evs-project/evs/ipvs"
)

// alone runs do with the table of a network namespace that nobody else has,
// and takes the table away with it. It runs on a thread that ends with do: a
// thread that changed its namespace is not given back.
func alone(do func(*ipvs.Table) error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock
		err := fmt.Errorf("ended half-way")
		defer func() { done <- err }()
		if os.Geteuid() != 0 {
			err = ipvs.ErrPermission
			return
		}
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		t, failed := ipvs.Open(context.Background())
		if failed != nil {
			err = failed
			return
		}
		defer t.Unload()
		if err = furnish(); err == nil {
			err = do(t)
		}
	}()
	return <-done
}

// furnish gives the namespace an interface with an address.
func furnish() error {
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer0"}
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	addr, err := netlink.ParseAddr("192.0.2.1/24")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(pair, addr); err != nil {
		return err
	}
	return netlink.LinkSetUp(pair)
}

// inNamespace is alone for tests.
func inNamespace(t *testing.T, do func(*ipvs.Table) error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes a network namespace and needs root: run it with sudo")
	}
	if err := alone(do); err != nil {
		t.Fatal(err)
	}
}
