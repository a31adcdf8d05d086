package lab

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// interrupted starts `evs lab run` with a script, sends a signal once the
// script has written its process number and another's to $MARK, and waits.
func interrupted(t *testing.T, name, script string, signal syscall.Signal) (pids []int) {
	t.Helper()
	needRoot(t)
	mark := filepath.Join(t.TempDir(), "mark")
	cmd := exec.Command(evs, "lab", "run", "--name", name, "--", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "MARK="+mark)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var written string
	for deadline := time.Now().Add(10 * time.Second); !strings.HasSuffix(written, "\n") && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		b, _ := os.ReadFile(mark)
		written = string(b)
	}
	for _, word := range strings.Fields(written) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		t.Error("the command did not start")
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("an interrupted run reports success")
	}
	return pids
}

func TestAnInterruptedRunLeavesNothing(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			pids := interrupted(t, unique("t-int"), `sleep 60 & echo $$ $! > $MARK; wait`, signal)
			nothingLeft(t, unique("t-int"))
			for _, pid := range pids {
				// An orphan that ended may still wait to be collected.
				stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
				if len(stat) > 0 && !strings.Contains(string(stat), ") Z ") {
					t.Errorf("process left: %s", stat)
				}
			}
		})
	}
}

func TestARunLeavesNothingOfACommandThatStaysOnANode(t *testing.T) {
	interrupted(t, unique("t-stay"), `$EVS_BINARY lab exec client1 sh -c 'trap "" TERM; echo $$ > $MARK; while :; do sleep 1; done'`, syscall.SIGINT)
	nothingLeft(t, unique("t-stay"))
}

func TestARunAnswersWithTheCommandsExitCode(t *testing.T) {
	needRoot(t)
	for _, want := range []int{0, 3} {
		cmd := exec.Command(evs, "lab", "run", "--name", unique("t-code"), "--", "sh", "-c", `test "$VIP" = 203.0.113.10 && exit `+strconv.Itoa(want))
		err := cmd.Run()
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("exit code %d, want %d", got, want)
		}
		nothingLeft(t, unique("t-code"))
	}
}
