// Package source asks what weights follow: agents, documents, programs, files, and
// what the data path sees of servers. Each kind is a row of Kinds and a file here.
//
// What a source says is a weight.Reading, or an error: then nothing has been said,
// and what follows from silence is for weight.Pool to know. The package decides no
// weight and logs nothing.
package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/evs-project/evs/internal/config"
	"github.com/evs-project/evs/internal/health"
	"github.com/evs-project/evs/internal/poll"
	"github.com/evs-project/evs/internal/weight"
)

// A Kind is a kind of source.
type Kind struct {
	// Name is what the director's file calls it, About what it is, in a line.
	Name, About string

	make func(asking) (asker, error)
}

// Kinds are the kinds of sources there are.
var Kinds = []Kind{
	{"agent", "a program on the server that speaks HAProxy's agent-check protocol", newAgent},
	{"http-json", "a number in a JSON document", newJSON},
	{"prometheus", "the answer of a Prometheus server to a query", newPrometheus},
	{"exec", "the number that a program prints", newExec},
	{"file", "the number in a file", newFile},
	{"passive", "the share of connections that the server answers, as the data path sees it", newPassive},
}

// An asker asks once. It remembers what it has to from one time to the next.
type asker func(ctx context.Context) (weight.Reading, error)

// asking is what an asker is made of.
type asking struct {
	config.WeightSource
	server netip.AddrPort
	client *poll.Client
	counts func() (health.Counts, bool)
}

// A Task is a server whose source is to be asked.
type Task struct {
	// Key tells tasks apart.
	Key string
	// Server is the destination, with its port.
	Server netip.AddrPort
	Source config.WeightSource
}

// identity is what makes a task another one.
type identity struct {
	server netip.AddrPort
	source config.WeightSource
}

// A Report is what a source said, or why it did not.
type Report = poll.Report[weight.Reading]

// A Runner asks the sources of many servers, each at its interval. Run has to be
// running for anything to be asked; everything else may be called at any time.
type Runner struct {
	poll   *poll.Runner[weight.Reading]
	client *poll.Client
	counts func(key string) (health.Counts, bool)
}

// NewRunner makes a runner of which at most limit questions are open at once. It
// calls report with each answer, for one task never twice at once. dice scatter
// questions; counts are what the data path has counted of the server of a task, false
// where it knows none: passive sources ask them.
func NewRunner(limit int, dice *rand.Rand, counts func(key string) (health.Counts, bool), report func(Report)) *Runner {
	return &Runner{poll: poll.New(limit, dice, report), client: poll.NewClient(), counts: counts}
}

// Set makes tasks the ones that are asked. One that is unchanged goes on as it was.
// It is all or nothing: an error names the tasks that cannot be.
func (r *Runner) Set(tasks []Task) error {
	var polls []poll.Task[weight.Reading]
	var wrong []error
	for _, t := range tasks {
		ask, err := r.asker(t)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: weight source %s: %w", t.Key, t.Source.Kind, err))
			continue
		}
		polls = append(polls, poll.Task[weight.Reading]{
			Key: t.Key, Identity: identity{t.Server, t.Source},
			Interval: t.Source.Interval, Timeout: t.Source.Timeout, Warmup: t.Source.Interval,
			Ask: func(ctx context.Context) (weight.Reading, time.Duration, error) {
				reading, err := ask(ctx)
				if err != nil {
					err = errors.New(health.Cause(err, t.Source.Timeout))
				}
				return reading, 0, err
			},
		})
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	r.poll.Set(polls)
	return nil
}

// Run asks until ctx is over. It returns when the last question is done with.
func (r *Runner) Run(ctx context.Context) {
	defer r.client.Close()
	r.poll.Run(ctx)
}

func (r *Runner) asker(t Task) (asker, error) {
	for _, k := range Kinds {
		if k.Name == t.Source.Kind {
			return k.make(asking{t.Source, t.Server, r.client, func() (health.Counts, bool) { return r.counts(t.Key) }})
		}
	}
	return nil, errors.New("there is no such kind")
}
