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

// newExec runs a program in a process group of its own, all of which is killed
// when its time is over.
func newExec(s Spec, target Target) (probe, error) {
	who, err := credential(s.User)
	if err != nil {
		return nil, err
	}
	codes, err := parseSpans(cmp.Or(s.ExitCodes, "0"), 0, 255)
	if err != nil {
		return nil, err
	}
	env := environment(target)
	return func(ctx context.Context) (found, error) {
		output := &beginning{limit: 200}
		cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
		cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, "/", output, output
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: who}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = 100 * time.Millisecond
		err := cmd.Run()
		if ctx.Err() != nil {
			return found{}, &stepError{none: "no end", err: ctx.Err()}
		}
		var exit *exec.ExitError
		switch {
		case err == nil, errors.Is(err, exec.ErrWaitDelay):
			return programJudge(0, s.Dynamic, codes, output.line())
		case errors.As(err, &exit) && exit.Exited():
			return programJudge(exit.ExitCode(), s.Dynamic, codes, output.line())
		case errors.As(err, &exit):
			return found{}, errors.New(exit.String())
		}
		return found{}, err
	}, nil
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
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
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
