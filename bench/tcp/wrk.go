package tcp

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// wrk has connections made as fast as they are answered, and returns how many a second
// were. Each carries one request.
func wrk(ctx context.Context, url string, threads, connections int, long time.Duration) (perSecond float64, err error) {
	cmd := exec.CommandContext(ctx, "wrk",
		"-t", strconv.Itoa(threads), "-c", strconv.Itoa(connections), "-d", fmt.Sprintf("%.0fs", long.Seconds()),
		"-H", "Connection: close", url)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return 0, fmt.Errorf("%w: scripts/deps.sh bench installs it", err)
	}
	if err != nil {
		return 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return read(string(out))
}

var (
	rateLine  = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	badStatus = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: (\d+)`)
	badSocket = regexp.MustCompile(`(?m)^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// read takes the rate from what wrk says, unless it also says that connections failed.
func read(said string) (perSecond float64, err error) {
	m := rateLine.FindStringSubmatch(said)
	if m == nil {
		return 0, fmt.Errorf("wrk says no rate: %s", said)
	}
	if badStatus.MatchString(said) {
		return 0, fmt.Errorf("not all was answered: %s", said)
	}
	if bad := badSocket.FindStringSubmatch(said); bad != nil {
		return 0, fmt.Errorf("not all connections were served: %s", bad[0])
	}
	return strconv.ParseFloat(m[1], 64)
}
