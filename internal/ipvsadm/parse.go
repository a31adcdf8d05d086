package ipvsadm

import (
	"fmt"
	"time"

	"github.com/evs-project/evs/internal/sched"
	"github.com/evs-project/evs/ipvs"
)

// Operation is a command line understood and checked as far as that is
// possible without the table.
type Operation struct {
	Command Command
	// Service is the virtual service concerned; Selected tells whether the
	// command line names one.
	Service     ipvs.Service
	Selected    bool
	Destination ipvs.Destination
	Timeouts    ipvs.Timeouts
	Daemon      ipvs.Daemon
	// Show is what List lists.
	Show Subject
	// Format says how List and Save print.
	Format Format
}

// Subject is what a listing is about.
type Subject int

// The subjects: the virtual services and, with an option, other things.
const (
	ShowServices Subject = iota
	ShowConnections
	ShowTimeouts
	ShowDaemons
)

// Complaint is what is wrong with a command line.
type Complaint struct {
	Text string // without the last newline
	Exit int
	// Mild complaints do not keep -R from reading the next line.
	Mild bool
}

// Error returns the text that the command prints.
func (c *Complaint) Error() string { return c.Text }

// The exit codes of the command: a wrong argument, and a command line that
// cannot be read or a table that refuses.
const (
	exitListing = 1
	exitUsage   = 2
	exitFailure = 255
)

// tryHelp is the complaint about a command line that starts with no command.
var tryHelp = &Complaint{Text: "Try `ipvsadm -h' or 'ipvsadm --help' for more information.", Exit: exitFailure}

func complain(format string, args ...any) error {
	return &Complaint{Text: fmt.Sprintf(format, args...), Exit: exitUsage}
}

// line is a command line while it is read.
type line struct {
	Operation
	names Names
	used  groupSet
	flags string // the argument of --sched-flags, read when all else is
}

// Parse reads the arguments of ipvsadm. Every error is a *Complaint.
func Parse(args []string, names Names) (Operation, error) {
	l := &line{names: names}
	l.Destination.Method = ipvs.Route
	l.Destination.Weight = 1
	if len(args) == 0 {
		return l.Operation, nil
	}
	words := &argv{args: args}
	if err := l.readCommand(words); err != nil {
		return Operation{}, err
	}
	if l.Command == Help || l.Command == Version {
		return l.Operation, nil
	}
	if err := l.readOptions(words); err != nil {
		return Operation{}, err
	}
	if err := l.readWords(words); err != nil {
		return Operation{}, err
	}
	if err := l.check(); err != nil {
		return Operation{}, err
	}
	l.summarise()
	return l.Operation, nil
}

// readCommand reads the first option, which must be a command.
func (l *line) readCommand(words *argv) error {
	o, arg, _, reason := words.option()
	if o == nil || reason != "" || !o.isCommand {
		return tryHelp
	}
	l.Command = o.command
	if o.apply != nil {
		return o.apply(l, arg)
	}
	return nil
}

// readOptions reads all further options. Each is checked as it is met, so that
// of two mistakes the first is complained about.
func (l *line) readOptions(words *argv) error {
	for {
		o, arg, given, reason := words.option()
		switch {
		case reason != "":
			return &Complaint{Text: words.at() + ": " + reason, Exit: exitFailure, Mild: true}
		case o == nil:
			return nil
		case o.isCommand:
			return complain("invalid option `%s'", words.at())
		case o.group != none && l.used.has(o.group):
			return complain("multiple '%s' options specified", groupNames[o.group])
		}
		l.used |= of(o.group)
		if o.arg == perhaps && !given {
			arg = defaultPersistence
		}
		if o.apply != nil {
			if err := o.apply(l, arg); err != nil {
				return err
			}
		}
	}
}

// readWords reads the arguments that are no options. Only --set has some.
func (l *line) readWords(words *argv) error {
	if l.Command == SetTimeouts {
		if len(words.words) < 3 {
			return complain("--set option requires 3 timeout values")
		}
		for _, to := range []*time.Duration{&l.Timeouts.TCP, &l.Timeouts.TCPFin, &l.Timeouts.UDP} {
			word, _ := words.word()
			seconds, err := parseTimeout(word, 0)
			if err != nil {
				return err
			}
			*to = time.Duration(seconds) * time.Second
		}
	}
	if word, ok := words.word(); ok {
		return complain("unexpected argument %s", word)
	}
	return nil
}

// summarise turns the options of listings into what the executor asks.
func (l *line) summarise() {
	l.Selected = l.used.has(serviceAddress)
	switch {
	case l.used.has(connection):
		l.Show = ShowConnections
	case l.used.has(timeout):
		l.Show = ShowTimeouts
	case l.used.has(daemon):
		l.Show = ShowDaemons
	}
	l.Format = Format{
		Numeric:        l.used.has(numeric),
		Stats:          l.used.has(stats),
		Rate:           l.used.has(rate),
		Exact:          l.used.has(exact),
		Thresholds:     l.used.has(thresholds),
		PersistentConn: l.used.has(persistentConn),
		TunInfo:        l.used.has(tunInfo),
		NoSort:         l.used.has(nosort),
	}
	if l.Command == AddService || l.Command == EditService {
		if l.Service.Scheduler == "" {
			l.Service.Scheduler = sched.Default
		}
	}
}
