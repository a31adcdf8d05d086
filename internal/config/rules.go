// Package config reads files of desired state: a file becomes the services that
// it wants, or a list of what is wrong with it, line by line. It never opens a
// table and changes nothing.
package config

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/evs-project/evs/internal/ipvsadm"
	"github.com/evs-project/evs/ipvs"
)

// LineError is what is wrong with a line of a file.
type LineError struct {
	Line int // the first is 1; 0 stands for the file as a whole
	Text string
	Err  error
}

// Error quotes the line.
func (e *LineError) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %v: %s", e.Line, e.Err, e.Text)
}

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// Rules are the services that a file of ipvsadm's rules wants.
type Rules struct {
	Services []ipvs.ServiceSpec
	lines    map[subject]line
}

// subject is a service, or a destination of one.
type subject struct {
	service     ipvs.ServiceKey
	destination netip.AddrPort
}

type line struct {
	number int
	text   string
}

// ReadRules reads what `ipvsadm -S` writes: a command line on each line, with
// or without the name of the program in front, of which only those that edit
// services and destinations make sense. Blank lines and those that start with #
// are left out. What the lines together lead to, beginning with an empty table,
// is what the file wants. Every line that fails is reported.
func ReadRules(from io.Reader, names ipvsadm.Names) (Rules, []*LineError) {
	r := &reader{names: names, rules: Rules{lines: map[subject]line{}}, at: map[ipvs.ServiceKey]int{}}
	var errs []*LineError
	lines := bufio.NewReader(from)
	for number := 1; ; number++ {
		text, failed := lines.ReadString('\n')
		l := line{number, strings.TrimSpace(text)}
		if err := r.read(l); err != nil {
			errs = append(errs, l.wrong(err))
		}
		if failed == io.EOF {
			return r.result(), errs
		}
		if failed != nil {
			return Rules{}, append(errs, &LineError{Err: fmt.Errorf("reading the rules: %w", failed)})
		}
	}
}

func (l line) wrong(err error) *LineError {
	return &LineError{Line: l.number, Text: l.text, Err: err}
}

// Locate returns the lines that ask for what Table.Set refused, none if it
// failed for another reason.
func (r Rules) Locate(err error) []*LineError {
	var wrong []*LineError
	for _, refused := range ipvs.SpecErrors(err) {
		l := r.lines[subject{refused.Service, refused.Destination}]
		wrong = append(wrong, l.wrong(refused.Err))
	}
	return wrong
}

// reader obeys rules on a table on paper.
type reader struct {
	names ipvsadm.Names
	rules Rules
	at    map[ipvs.ServiceKey]int // places in rules.Services
	gone  int                     // services that were deleted again
}

func (r *reader) read(l line) error {
	if l.text == "" || strings.HasPrefix(l.text, "#") {
		return nil
	}
	if word, rest, ok := strings.Cut(l.text, " "); ok && path.Base(word) == "ipvsadm" {
		l.text = rest
	}
	op, ok, err := ipvsadm.ParseRule(l.text, r.names)
	if err != nil {
		return fmt.Errorf("%s", strings.TrimSpace(err.Error()))
	}
	if !ok {
		return nil
	}
	return r.obey(op, l)
}

// obey does one operation, or says why it cannot be.
func (r *reader) obey(op ipvsadm.Operation, l line) error {
	s := op.Service.WithDefaults()
	i, exists := r.at[s.ServiceKey]
	switch op.Command {
	case ipvsadm.Clear:
		r.rules.Services, r.at, r.gone = nil, map[ipvs.ServiceKey]int{}, 0
		return nil
	case ipvsadm.AddService:
		if exists {
			return fmt.Errorf("%w: line %d adds it", ipvs.ErrServiceExists, r.rules.lines[subject{service: s.ServiceKey}].number)
		}
		return r.addService(s, l)
	case ipvsadm.EditService, ipvsadm.DeleteService, ipvsadm.AddServer, ipvsadm.EditServer, ipvsadm.DeleteServer:
		if !exists {
			return fmt.Errorf("%w: no line above adds it", ipvs.ErrNoService)
		}
		return r.change(op, &r.rules.Services[i], s, l)
	}
	return fmt.Errorf("a rule adds, edits or deletes services and servers: -A -E -D -C -a -e -d")
}

func (r *reader) addService(s ipvs.Service, l line) error {
	if err := s.Validate(); err != nil {
		return err
	}
	r.at[s.ServiceKey] = len(r.rules.Services)
	r.rules.Services = append(r.rules.Services, ipvs.ServiceSpec{Service: s})
	r.rules.lines[subject{service: s.ServiceKey}] = l
	return nil
}

// change obeys what concerns a service that is there.
func (r *reader) change(op ipvsadm.Operation, w *ipvs.ServiceSpec, s ipvs.Service, l line) error {
	switch op.Command {
	case ipvsadm.EditService:
		if err := s.Validate(); err != nil {
			return err
		}
		w.Service = s
		r.rules.lines[subject{service: s.ServiceKey}] = l
		return nil
	case ipvsadm.DeleteService:
		delete(r.at, s.ServiceKey)
		*w = ipvs.ServiceSpec{} // its place is closed at the end
		r.gone++
		return nil
	}
	return r.changeServer(op, w, l)
}

func (r *reader) changeServer(op ipvsadm.Operation, w *ipvs.ServiceSpec, l line) error {
	d := op.Destination
	about := subject{w.ServiceKey, d.Addr}
	known, seen := r.rules.lines[about]
	i := -1
	if seen {
		i = slices.IndexFunc(w.Destinations, func(o ipvs.Destination) bool { return o.Addr == d.Addr })
	}
	switch {
	case op.Command == ipvsadm.AddServer && i >= 0:
		return fmt.Errorf("%w: line %d adds it", ipvs.ErrDestinationExists, known.number)
	case op.Command != ipvsadm.AddServer && i < 0:
		return fmt.Errorf("%w: no line above adds it", ipvs.ErrNoDestination)
	case op.Command == ipvsadm.DeleteServer:
		w.Destinations = slices.Delete(w.Destinations, i, i+1)
		return nil
	}
	if err := d.Validate(w.Service); err != nil {
		return err
	}
	if err := d.CheckAddr(); err != nil {
		return err
	}
	r.rules.lines[about] = l
	if i >= 0 {
		w.Destinations[i] = d
	} else {
		w.Destinations = append(w.Destinations, d)
	}
	return nil
}

func (r *reader) result() Rules {
	if r.gone > 0 {
		r.rules.Services = slices.DeleteFunc(r.rules.Services, func(w ipvs.ServiceSpec) bool { return w.Scheduler == "" })
	}
	return r.rules
}
