package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/evs-project/evs/internal/config"
)

// childSocket names the environment variable by which this program is a client with the
// credentials that it was started with.
const childSocket = "EVS_API_CHILD"

func TestMain(m *testing.M) {
	if socket := os.Getenv(childSocket); socket != "" {
		fmt.Print(child(socket))
		return
	}
	os.Exit(m.Run())
}

// child reads and writes, and says how it is answered.
func child(socket string) string {
	c := Dial(socket)
	var said []string
	for _, r := range []route{routeOf("status"), routeOf("reload")} {
		req, err := http.NewRequestWithContext(context.Background(), r.method, "http://localhost"+Version+r.path, nil)
		if err != nil {
			return err.Error()
		}
		answer, err := c.http.Do(req)
		if err != nil {
			return c.noAnswer(err).Error()
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		said = append(said, fmt.Sprint(answer.StatusCode))
	}
	return strings.Join(said, " ")
}

// program is this program where everybody may run it.
func program(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "child")
	if err := os.WriteFile(name, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRootMayWriteAndTheGroupMayRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("needs root, to be other users")
	}
	const group, gid, other, user = "adm", 4, 65533, 65534
	h := serving(t, func(cfg *config.API) { cfg.Group = group })
	self := program(t, h.dir)
	many := []uint32{}
	for g := range uint32(100) {
		many = append(many, 70000+g)
	}
	for _, c := range []struct {
		name   string
		cred   syscall.Credential
		closed string // while the mode of the socket holds
		open   string // if everybody can connect
	}{
		{"root", syscall.Credential{}, "200 200", "200 200"},
		{"a user whose first group it is", syscall.Credential{Uid: user, Gid: gid}, "200 403", "200 403"},
		{"a user with it among others", syscall.Credential{Uid: user, Gid: other, Groups: []uint32{7, gid, 8}}, "200 403", "200 403"},
		{"a user with it behind a hundred", syscall.Credential{Uid: user, Gid: other, Groups: append(many, gid)}, "200 403", "200 403"},
		{"a user of other groups", syscall.Credential{Uid: user, Gid: other, Groups: []uint32{7}}, "permission denied", "403 403"},
		{"a user of root's group", syscall.Credential{Uid: user, Gid: 0}, "permission denied", "403 403"},
	} {
		for mode, want := range map[os.FileMode]string{0o660: c.closed, 0o666: c.open} {
			t.Run(fmt.Sprintf("%s, the socket being %o", c.name, mode), func(t *testing.T) {
				if err := os.Chmod(h.cfg.Socket, mode); err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), self)
				cmd.Env = []string{childSocket + "=" + h.cfg.Socket}
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &c.cred}
				got, err := cmd.Output()
				if err != nil || !strings.Contains(string(got), want) {
					t.Errorf("%s, %v; want %s", got, err, want)
				}
			})
		}
	}
}

func TestTheSocketIsForItsGroupAlone(t *testing.T) {
	h := serving(t, nil)
	mode := func() (os.FileMode, uint32) {
		t.Helper()
		info, err := os.Stat(h.cfg.Socket)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm(), info.Sys().(*syscall.Stat_t).Gid
	}
	if m, _ := mode(); m != 0o600 {
		t.Errorf("without a group it is %o", m)
	}
	h.cfg.Group = "adm"
	if err := h.server.Set(h.cfg); err != nil {
		t.Fatal(err)
	}
	if m, g := mode(); m != 0o660 || g != 4 {
		t.Errorf("with one it is %o of group %d", m, g)
	}
	h.cfg.Group = ""
	if err := h.server.Set(h.cfg); err != nil {
		t.Fatal(err)
	}
	if m, g := mode(); m != 0o600 || g != 0 {
		t.Errorf("without one again it is %o of group %d", m, g)
	}
}

func TestWhatCannotBeListenedAtChangesNothing(t *testing.T) {
	h := serving(t, nil)
	occupied := filepath.Join(h.dir, "file")
	if err := os.WriteFile(occupied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := serving(t, nil)
	for name, c := range map[string]struct {
		change func(*config.API)
		says   string
	}{
		"a group that there is not":          {func(c *config.API) { c.Group = "nobody-has-this" }, "api.group"},
		"a file that is no socket":           {func(c *config.API) { c.Socket = occupied }, "is no socket"},
		"a socket of another director":       {func(c *config.API) { c.Socket = other.cfg.Socket }, "another director listens"},
		"a socket below a file":              {func(c *config.API) { c.Socket = occupied + "/socket" }, "api.socket"},
		"certificates that there are not":    {func(c *config.API) { c.Listen = loopback(t) }, "api.tls"},
		"an address that is not this host's": {func(c *config.API) { *c = withTLS(t, *c, newAuthority(t, "x")); c.Listen = foreign }, "api.listen"},
		"a new socket and an address that is not": {func(c *config.API) {
			*c = withTLS(t, *c, newAuthority(t, "x"))
			c.Listen, c.Socket = foreign, filepath.Join(h.dir, "new.sock")
		}, "api.listen"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := h.cfg
			c.change(&cfg)
			if err := h.server.Set(cfg); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %s", err, c.says)
			}
			if _, err := h.client(t).Status(t.Context()); err != nil {
				t.Errorf("the old socket does not answer any more: %v", err)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(h.dir, "new.sock")); err == nil {
		t.Error("a socket was left")
	}
}

func TestTheSocketMovesWithTheFile(t *testing.T) {
	h := serving(t, nil)
	old := h.cfg.Socket
	h.cfg.Socket = filepath.Join(h.dir, "new", "director.sock")
	if err := h.server.Set(h.cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := h.client(t).Status(t.Context()); err != nil {
		t.Error(err)
	}
	h.server.Close()
	for _, path := range []string{old, h.cfg.Socket} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

func TestASocketThatADeadDirectorLeftIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "director.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	h := serving(t, func(cfg *config.API) { cfg.Socket = path })
	if _, err := h.client(t).Status(t.Context()); err != nil {
		t.Error(err)
	}
}
