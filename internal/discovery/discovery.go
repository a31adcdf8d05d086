// Package discovery finds the real servers of services: by DNS, in a file that somebody
// else writes, at an address of HTTP. Each kind is a row of Kinds and a file here.
//
// What is found is a list of destinations as in the director's file. The last good one
// is kept, also over a restart, so that a source that fails changes nothing; one that
// has no servers fails. The package never touches the table and logs nothing.
package discovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/poll"
)

// A Kind is a kind of discovery.
type Kind struct {
	// Name is what the director's file calls it, About where it looks, in a line.
	Name, About string

	make func(asking) (asker, error)
}

// Kinds are the kinds of discovery there are.
var Kinds = []Kind{
	{"dns", "the addresses of a name", newDNS},
	{"file", "a file, which is read again when it changes", newFile},
	{"http", "a document", newHTTP},
}

// A found is what an asker brings home: a document, when to ask again (0 after the
// interval), and whether it is the one of the last time, whose text is left out.
type found struct {
	text []byte
	next time.Duration
	same bool
}

// An asker asks once. It remembers what it has to from one time to the next.
type asker func(ctx context.Context) (found, error)

// asking is what an asker is made of.
type asking struct {
	config.Discovery
	service config.Service
	client  *poll.Client
}

// A Task is where to look for the servers of a service.
type Task struct {
	// Key tells tasks apart.
	Key       string
	Service   config.Service
	Discovery config.Discovery
}

// from is what a task is called in messages about its document.
func (t Task) from() string {
	d := t.Discovery
	return d.Kind + " " + d.Name + d.File + d.URL
}

// id is the name under which what was found is kept: it follows from where it was
// found, and for whom.
func (t Task) id() string {
	d := t.Discovery
	d.Interval, d.Timeout, d.Limit = 0, 0, 0
	text, err := json.Marshal(struct {
		Service   string
		Discovery config.Discovery
	}{t.Service.Name, d})
	if err != nil {
		panic(err) // of plain words and numbers there is none
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// A Report is what came of looking. Its value says whether the document was another
// than the last: what is found now is for Last to say.
type Report = poll.Report[bool]

// A Runner looks again and again. Run has to be running for anything to be looked for;
// everything else may be called at any time.
type Runner struct {
	poll   *poll.Runner[bool]
	client *poll.Client
	store  store

	mu    sync.Mutex
	texts map[string][]byte // by id, what was found last
}

// NewRunner makes a runner of which at most limit questions are open at once. It
// keeps what it finds in files of a directory, "" for none. It calls report with each
// answer, for one task never twice at once; dice scatter questions.
func NewRunner(limit int, dice *rand.Rand, directory string, report func(Report)) *Runner {
	return &Runner{poll: poll.New(limit, dice, report), client: poll.NewClient(), store: store(directory), texts: map[string][]byte{}}
}

// Set makes tasks the ones that are looked for. One that is unchanged goes on as it
// was. It is all or nothing: an error names the tasks that cannot be.
func (r *Runner) Set(tasks []Task) error {
	var polls []poll.Task[bool]
	var wrong []error
	for _, t := range tasks {
		ask, err := r.asker(t)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: discovery %s: %w", t.Key, t.Discovery.Kind, err))
			continue
		}
		interval := t.Discovery.Interval
		if t.Discovery.Kind == "file" {
			interval = min(interval, glance)
		}
		l := &look{runner: r, task: t, ask: ask}
		polls = append(polls, poll.Task[bool]{
			Key: t.Key, Identity: t, Interval: interval, Timeout: t.Discovery.Timeout,
			Ask: l.once,
		})
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	r.poll.Set(polls)
	return nil
}

// Run looks until ctx is over. It returns when the last question is done with.
func (r *Runner) Run(ctx context.Context) {
	defer r.client.Close()
	r.poll.Run(ctx)
}

func (r *Runner) asker(t Task) (asker, error) {
	for _, k := range Kinds {
		if k.Name == t.Discovery.Kind {
			return k.make(asking{t.Discovery, t.Service, r.client})
		}
	}
	return nil, errors.New("there is no such kind")
}

// A look is a task, and what to remember of it.
type look struct {
	runner *Runner
	task   Task
	ask    asker
	bad    error // what was wrong with the document, if it is still the same
}

// once asks once, and keeps what was found if it is right.
func (l *look) once(ctx context.Context) (changed bool, next time.Duration, err error) {
	got, err := l.ask(ctx)
	if err != nil {
		return false, 0, errors.New(health.Cause(err, l.task.Discovery.Timeout))
	}
	if got.same {
		return false, got.next, l.bad
	}
	now, err := l.task.Service.Found(l.task.Discovery, l.task.from(), got.text)
	if l.bad = err; err != nil {
		return false, 0, err
	}
	before, err := l.runner.Last(l.task)
	changed = err != nil || !reflect.DeepEqual(before, now)
	return changed, got.next, l.runner.keep(l.task.id(), got.text, changed)
}

// keep remembers what was found, in a file too if it is another.
func (r *Runner) keep(id string, text []byte, changed bool) error {
	r.mu.Lock()
	r.texts[id] = text
	r.mu.Unlock()
	if !changed {
		return nil
	}
	return r.store.put(id, text)
}

// ErrNothing is that nothing was found yet.
var ErrNothing = errors.New("nothing was found yet")

// Last is what was found last, by this runner or by one before it; ErrNothing if that
// is nothing. It is read anew for the service as the task has it.
func (r *Runner) Last(t Task) ([]config.Destination, error) {
	id := t.id()
	r.mu.Lock()
	text, known := r.texts[id]
	r.mu.Unlock()
	if !known {
		var err error
		if text, err = r.store.get(id); err != nil {
			return nil, err
		}
		r.mu.Lock()
		if r.texts[id] == nil {
			r.texts[id] = text
		}
		r.mu.Unlock()
	}
	return t.Service.Found(t.Discovery, t.from()+", as it was found last", text)
}
