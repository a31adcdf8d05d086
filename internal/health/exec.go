package health

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dynamicBase is the exit code of a dynamic program that asks for weight 0.
const dynamicBase = 2

// newExec runs a program.
func newExec(s Spec, target Target) (probe, error) {
	program, err := CommandOf(s.Command, environment(target), s.User)
	if err != nil {
		return nil, err
	}
	codes, err := parseSpans(cmp.Or(s.ExitCodes, "0"), 0, 255)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (found, error) {
		code, said, err := program.Run(ctx)
		if err != nil {
			return found{}, err
		}
		return programJudge(code, s.Dynamic, codes, said)
	}, nil
}

// A Command is a program that is to be run, without a shell.
type Command struct {
	line []string // the program by its whole path, and its arguments
	env  []string // what is told it beside a usual PATH
	who  *syscall.Credential
}

// CommandOf is a command that a user runs, as USER or USER:GROUP; "" is whoever runs
// this program.
func CommandOf(line, env []string, user string) (Command, error) {
	who, err := credential(user)
	return Command{line, env, who}, err
}

// Run runs the program in a process group of its own, all of which is killed when its
// time is over, and returns its exit code and the beginning of the first line that it
// said. An error is that it did not exit.
func (c Command) Run(ctx context.Context) (code int, said string, err error) {
	output := &beginning{limit: 200}
	cmd := exec.CommandContext(ctx, c.line[0], c.line[1:]...)
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, c.env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.who}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 100 * time.Millisecond
	err = cmd.Run()
	if ctx.Err() != nil {
		return 0, "", &stepError{none: "no end", err: ctx.Err()}
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, output.line(), nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), output.line(), nil
	case errors.As(err, &exit):
		return 0, "", errors.New(exit.String())
	}
	return 0, "", err
}

// programJudge says what an exit code means.
func programJudge(code int, dynamic bool, codes spans, said string) (found, error) {
	what := fmt.Sprintf("exit code %d", code)
	if said != "" {
		what += ": " + said
	}
	if dynamic && code >= dynamicBase {
		weight := code - dynamicBase
		return found{detail: what, weight: &weight}, nil
	}
	if dynamic && code == 0 || !dynamic && codes.has(code) {
		return found{detail: said}, nil
	}
	return found{}, errors.New(what)
}

// environment tells a program what it is about.
func environment(target Target) []string {
	return []string{
		"EVS_ADDRESS=" + shown(target.Addr.Addr()),
		"EVS_PORT=" + strconv.Itoa(int(target.Addr.Port())),
		"EVS_VIP=" + shown(target.VIP.Addr()),
		"EVS_VPORT=" + strconv.Itoa(int(target.VIP.Port())),
		"EVS_WEIGHT=" + strconv.Itoa(target.Weight),
	}
}

// shown is an address, or nothing where there is none: a service of a firewall mark has
// no address, and what is about a service as a whole no server.
func shown(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// credential looks up "user" or "user:group". Whoever runs as another has no
// groups but the one.
func credential(text string) (*syscall.Credential, error) {
	if text == "" {
		return nil, nil
	}
	name, group, _ := strings.Cut(text, ":")
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	gid := u.Gid
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("user: %w", err)
		}
		gid = g.Gid
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gidNumber, err2 := strconv.ParseUint(gid, 10, 32)
	if uint32(uid) == uint32(os.Getuid()) && uint32(gidNumber) == uint32(os.Getgid()) {
		return nil, errors.Join(err1, err2)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gidNumber)}, errors.Join(err1, err2)
}

// beginning keeps the beginning of what is written to it.
type beginning struct {
	limit int
	kept  bytes.Buffer
}

func (b *beginning) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), b.limit-b.kept.Len())])
	return len(p), nil
}

// line is the first line written.
func (b *beginning) line() string {
	first, _, _ := strings.Cut(strings.TrimSpace(b.kept.String()), "\n")
	return first
}

func validateExec(s Spec) (found []FieldError) {
	if len(s.Command) > 0 && !filepath.IsAbs(s.Command[0]) {
		found = append(found, FieldError{"command", fmt.Sprintf("%q is no whole path", s.Command[0]), "write it from / on, and each argument as an item of its own"})
	}
	checkSpans(&found, "exitCodes", s.ExitCodes, 0, 255, "0 3-5")
	if s.Dynamic && s.ExitCodes != "" {
		found = append(found, FieldError{"exitCodes", "has no say over a dynamic check, where 0 and 2 to 255 are well", "leave out exitCodes or dynamic"})
	}
	if user, group, both := strings.Cut(s.User, ":"); s.User != "" && (user == "" || both && group == "") {
		found = append(found, FieldError{"user", fmt.Sprintf("%q is no user", s.User), "write a name, or a name and a group as nobody:nogroup"})
	}
	return found
}
