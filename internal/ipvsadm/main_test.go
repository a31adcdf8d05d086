package ipvsadm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evs-project/evs/ipvs"
)

// refusing is a table that answers every addition of a service with err, and
// notes that it was closed.
type refusing struct {
	*memory
	err    error
	closed bool
}

func (r *refusing) AddService(ipvs.Service) error { return r.err }

func (r *refusing) Close() error {
	r.closed = true
	return nil
}

func runMain(open Opener, uid int, args ...string) (stdout, stderr string, exit int) {
	var out, errs strings.Builder
	exit = Main(context.Background(), "ipvsadm", args,
		Streams{In: strings.NewReader(""), Out: &out, Err: &errs},
		Host{Open: open, Names: testNames, UID: uid})
	return out.String(), errs.String(), exit
}

func TestHelpNeedsNoTable(t *testing.T) {
	broken := func(context.Context) (Table, error) { return nil, errors.New("no table here") }
	for _, arg := range []string{"-h", "--version"} {
		if stdout, stderr, exit := runMain(broken, 0, arg); exit != 0 || stderr != "" || stdout == "" {
			t.Errorf("%s: %d %q %q", arg, exit, stdout, stderr)
		}
	}
}

func TestATableThatCannotBeOpenedIsReported(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"any reason is told", errors.New("no bpffs: mount it on /sys/fs/bpf"), "ipvsadm: no bpffs: mount it on /sys/fs/bpf\n"},
		{"missing rights have a form of their own", fmt.Errorf("loading: %w", ipvs.ErrPermission), notRoot + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func(context.Context) (Table, error) { return nil, c.err }
			if _, stderr, exit := runMain(open, 0, "-L"); stderr != c.want || exit != 2 {
				t.Errorf("%d %q, want 2 %q", exit, stderr, c.want)
			}
		})
	}
}

func TestOnlyRootIsServed(t *testing.T) {
	open := func(context.Context) (Table, error) {
		t.Error("the table was opened")
		return newMemory(), nil
	}
	if _, stderr, exit := runMain(open, 1000, "-h"); stderr != notRoot+"\n" || exit != 2 {
		t.Errorf("%d %q", exit, stderr)
	}
}

func TestARefusalIsSaidInTheWordsOfTheCommand(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{ipvs.ErrServiceExists, "Service already exists\n"},
		{ipvs.ErrNoScheduler, "Scheduler or persistence engine not found\n"},
		{ipvs.ErrRange, "Numerical result out of range\n"},
		{ipvs.ErrBusy, "ipvsadm: adding TCP 198.51.100.129:80: table is being changed by another process\n"},
	} {
		table := &refusing{memory: newMemory(), err: fmt.Errorf("adding TCP 198.51.100.129:80: %w", c.err)}
		open := func(context.Context) (Table, error) { return table, nil }
		_, stderr, exit := runMain(open, 0, "-A", "-t", "198.51.100.129:80")
		if stderr != c.want || exit != 255 {
			t.Errorf("%d %q, want 255 %q", exit, stderr, c.want)
		}
		if !table.closed {
			t.Error("the table was not closed")
		}
	}
}

func TestServicesAreReadAsTheLibraryReadsThem(t *testing.T) {
	services := ReadServices(strings.NewReader("# no line\nshort\nweb 80x/tcp\nhttp 80/tcp www # the web\nother 80/tcp\nhttp 80/udp"))
	if port, ok := services.ServicePort("www", "tcp"); !ok || port != 80 {
		t.Errorf("the alias www is port %d", port)
	}
	if _, ok := services.ServicePort("www", "udp"); ok {
		t.Error("an alias holds for its own protocol only")
	}
	if name, _ := services.ServiceName(80, "tcp"); name != "http" {
		t.Errorf("port 80 is called %q, want the first name", name)
	}
}
