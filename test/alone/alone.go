// Package alone has tests run in a network namespace of their own, where lo has
// addresses of the documentation. It leaves the machine's network alone.
package alone

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// inside is set in the environment of the tests that run there.
const inside = "EVS_TEST_INSIDE"

// Main is for TestMain: it runs the tests in a new network namespace whose lo has the
// addresses, and ends the program.
func Main(m *testing.M, addresses ...string) {
	if os.Getenv(inside) == "" {
		os.Exit(again())
	}
	if err := prepare(addresses); err != nil {
		fmt.Fprintln(os.Stderr, "addresses for the tests:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// again runs this program in a new network namespace.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no network namespace for the tests:", err)
		return 1
	}
	return 0
}

func prepare(addresses []string) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	for _, text := range addresses {
		a, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		a.Flags = syscall.IFA_F_NODAD
		// A worker of fuzzing finds them there.
		if err := netlink.AddrAdd(lo, a); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
	}
	return nil
}
