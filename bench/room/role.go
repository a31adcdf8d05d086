package room

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Ready is what a role says on its standard output when it is ready.
const Ready = "ready\n"

// StartRole starts this program again, with an environment variable that tells it its
// role, in the namespace of the calling thread, and waits until it is ready. It ends with
// its input, and so with this process at the latest.
func StartRole(ctx context.Context, variable, value string) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), variable+"="+value)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	if said, err := bufio.NewReader(out).ReadString('\n'); said != Ready {
		return nil, errors.Join(fmt.Errorf("%s=%s did not come up: %w", variable, value, err), stop())
	}
	return stop, nil
}

// PlayRole says that the role is ready, and returns when it is over.
func PlayRole() {
	fmt.Print(Ready)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
