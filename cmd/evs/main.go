// Command evs is the eBPF Virtual Server. Called as ipvsadm, ipvsadm-save or
// ipvsadm-restore it is that command.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/evs-project/evs/internal/datapath"
	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/ipvs"
)

func main() {
	os.Exit(run(os.Args))
}

// openTable opens the virtual server table of this network namespace.
func openTable(ctx context.Context) (ipvsadm.Table, error) {
	return ipvs.Open(ctx)
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	datapath.ProgramVersion = version
	name := filepath.Base(args[0])
	if ipvsadm.Answers(name) {
		return ipvsadm.Main(ctx, name, args[1:],
			ipvsadm.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
			host(ctx))
	}
	if err := root().ExecuteContext(ctx); err != nil {
		var said exitStatus
		if errors.As(err, &said) {
			return int(said)
		}
		fmt.Fprintf(os.Stderr, "evs: %v\n", err)
		return exitCode(err)
	}
	return 0
}

// exitCode is that of the command that evs ran, if one failed, else 1.
func exitCode(err error) int {
	var failed *exec.ExitError
	if errors.As(err, &failed) && failed.ExitCode() > 0 {
		return failed.ExitCode()
	}
	return 1
}
