package ipvsadm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/evs-project/evs/ipvs"
)

// command is one run of the program.
type command struct {
	ctx  context.Context
	host Host
	in   io.Reader
	out  *bufio.Writer
	err  io.Writer

	table     Table // open from the first operation that needs it
	restoring bool  // the command lines come from standard input
}

func (c *command) close() {
	c.out.Flush()
	if c.table != nil {
		c.table.Close()
	}
}

// run obeys one command line. last tells -R to read no further.
func (c *command) run(args []string) (code int, last bool) {
	if c.host.UID != 0 {
		c.say(notRoot)
		return exitUsage, true
	}
	op, err := Parse(args, c.host.Names)
	if err == nil && op.Command == Restore && c.restoring {
		err = tryHelp
	}
	var complaint *Complaint
	if errors.As(err, &complaint) {
		c.say(complaint.Text)
		return complaint.Exit, !complaint.Mild
	}
	switch op.Command {
	case Help:
		fmt.Fprintf(c.out, "%s\n%s", version, usage)
		return 0, true
	case Version:
		fmt.Fprintln(c.out, version)
		return 0, true
	case Restore:
		return c.restore(), true
	}
	if err := c.open(); err != nil {
		c.say(openText(err))
		return exitUsage, true
	}
	if err := c.apply(op); err != nil {
		c.say(failureText(op.Command, err))
		return failureExit(op.Command), op.Command == List
	}
	return 0, false
}

// open opens the table once. It is left alone by what only prints help.
func (c *command) open() (err error) {
	if c.table == nil {
		c.table, err = c.host.Open(c.ctx)
	}
	return err
}

func openText(err error) string {
	if errors.Is(err, ipvs.ErrPermission) {
		return notRoot
	}
	return fmt.Sprintf("ipvsadm: %v", err)
}

// restore obeys standard input line by line. Its code is that of the last line.
func (c *command) restore() int {
	c.restoring = true
	code := 0
	lines := bufio.NewReader(c.in)
	for {
		text, err := lines.ReadString('\n')
		if args := ruleArgs(text); len(args) > 0 {
			var last bool
			if code, last = c.run(args); last {
				return code
			}
		}
		if err == io.EOF {
			return code
		}
		if err != nil {
			c.say(fmt.Sprintf("ipvsadm: reading the rules: %v", err))
			return exitFailure
		}
	}
}

// ruleArgs splits a rule into arguments. There is no quoting; the name of the
// command is left out wherever it stands, and an argument ends at a zero byte.
func ruleArgs(text string) []string {
	var args []string
	for arg := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }) {
		arg, _, _ = strings.Cut(arg, "\x00")
		if arg != "" && arg != "ipvsadm" {
			args = append(args, arg)
		}
	}
	return args
}

// apply does to the table what was asked.
func (c *command) apply(op Operation) error {
	key := op.Service.ServiceKey
	switch op.Command {
	case AddService:
		return c.table.AddService(op.Service.WithDefaults())
	case EditService:
		return c.table.EditService(op.Service.WithDefaults())
	case DeleteService:
		return c.table.DeleteService(key)
	case Clear:
		return c.table.Clear()
	case AddServer:
		return c.table.AddDestination(key, op.Destination)
	case EditServer:
		return c.table.EditDestination(key, op.Destination)
	case DeleteServer:
		return c.table.DeleteDestination(key, op.Destination.Addr)
	case Zero:
		if op.Selected {
			return c.table.ZeroService(key)
		}
		return c.table.Zero()
	case SetTimeouts:
		return c.table.SetTimeouts(op.Timeouts)
	case StartDaemon:
		return c.table.StartDaemon(op.Daemon)
	case StopDaemon:
		return c.table.StopDaemon(op.Daemon.Role, op.Daemon.SyncID)
	case Save:
		services, err := c.table.Services()
		if err == nil {
			c.printer(op).Rules(services)
		}
		return err
	}
	return c.list(op)
}

func (c *command) printer(op Operation) *Printer {
	return &Printer{Out: c.out, Names: c.host.Names, Format: op.Format}
}

// list prints what the options of List select.
func (c *command) list(op Operation) error {
	switch op.Show {
	case ShowConnections:
		return c.printer(op).Conns(c.table.Conns())
	case ShowTimeouts:
		t, err := c.table.Timeouts()
		if err == nil {
			fmt.Fprintf(c.out, "Timeout (tcp tcpfin udp): %d %d %d\n",
				int64(t.TCP.Seconds()), int64(t.TCPFin.Seconds()), int64(t.UDP.Seconds()))
		}
		return err
	case ShowDaemons:
		daemons, err := c.table.Daemons()
		for _, d := range daemons {
			fmt.Fprintf(c.out, "%s sync daemon (mcast=%s, syncid=%d, maxlen=%d, group=%s, port=%d, ttl=%d)\n",
				d.Role, d.Interface, d.SyncID, d.MaxLen, d.Group, d.Port, d.TTL)
		}
		return err
	}
	return c.listServices(op)
}

func (c *command) listServices(op Operation) error {
	if op.Selected {
		s, err := c.table.Service(op.Service.ServiceKey)
		if err == nil {
			c.printer(op).Services([]ipvs.ServiceInfo{s})
		}
		return err
	}
	info, err := c.table.Info()
	if err != nil {
		return err
	}
	services, err := c.table.Services()
	if err == nil {
		c.printer(op).Table(info, services)
	}
	return err
}
