// Package poll asks questions again and again, each at its times: what a server's
// load is, which servers there are.
//
// An answer is reported with how often the question has failed before, so that
// whoever logs can do it once. A question that fails is asked again later and later,
// within bounds. The package never judges an answer, and never logs.
package poll

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"
)

// Patience bounds how long a question that fails is left alone, where its interval is
// shorter.
const Patience = 30 * time.Second

// doublings bounds the same in intervals: 2 to its power.
const doublings = 3

// A Task is a question that is to be asked again and again.
type Task[T any] struct {
	// Key tells tasks apart. A task of the same key with the same Identity is the
	// same task: it goes on undisturbed, with the Ask that it has.
	Key      string
	Identity any
	Interval time.Duration
	// Timeout bounds an answer. The first is asked for at a random time within
	// Warmup, so that questions which come together are not asked together.
	Timeout, Warmup time.Duration
	// Ask asks once. It is never called twice at once. The time says after how
	// long to ask again, 0 after the interval.
	Ask func(ctx context.Context) (T, time.Duration, error)
}

// A Report is what came of asking.
type Report[T any] struct {
	Key   string
	Value T
	Err   error
	// Failures counts the latest answers in a row that were none; Before is
	// what it was an answer earlier. So Failures is 1 where one begins to fail,
	// and 0 with Before above it where one is back.
	Failures, Before int
}

// A Runner asks the questions of tasks. Run has to be running for anything to be
// asked; everything else may be called at any time.
type Runner[T any] struct {
	report func(Report[T])
	slots  chan struct{} // one for each question that may be open

	mu    sync.Mutex
	dice  *rand.Rand
	tasks map[string]*running[T]
	start func(*running[T]) // while Run runs
	wait  sync.WaitGroup
}

// running is a task, and how to end it.
type running[T any] struct {
	Task[T]
	stop func()
	gone bool
}

// New makes a runner of which at most limit questions are open at once. It calls
// report with each answer, for one task never twice at once. dice scatter questions.
func New[T any](limit int, dice *rand.Rand, report func(Report[T])) *Runner[T] {
	return &Runner[T]{report: report, slots: make(chan struct{}, limit), dice: dice, tasks: map[string]*running[T]{}}
}

// Set makes tasks the ones that are asked, of which no two may have one key.
func (r *Runner[T]) Set(tasks []Task[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := make(map[string]Task[T], len(tasks))
	for _, t := range tasks {
		wanted[t.Key] = t
	}
	for key, is := range r.tasks {
		if t, ok := wanted[key]; !ok || !reflect.DeepEqual(is.Identity, t.Identity) {
			is.end()
			delete(r.tasks, key)
		}
	}
	for key, t := range wanted {
		if r.tasks[key] != nil {
			continue
		}
		is := &running[T]{Task: t}
		r.tasks[key] = is
		if r.start != nil {
			r.start(is)
		}
	}
}

// end is called with the runner's lock.
func (is *running[T]) end() {
	is.gone = true
	if is.stop != nil {
		is.stop()
	}
}

// Run asks until ctx is over. It returns when the last question is done with.
func (r *Runner[T]) Run(ctx context.Context) {
	r.mu.Lock()
	r.start = func(is *running[T]) {
		own, stop := context.WithCancel(ctx)
		is.stop = stop
		r.wait.Go(func() {
			defer stop()
			r.follow(own, is)
		})
	}
	for _, is := range r.tasks {
		r.start(is)
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.start = nil
	r.mu.Unlock()
	r.wait.Wait()
}

// follow asks the question of one task until it is over.
func (r *Runner[T]) follow(ctx context.Context, is *running[T]) {
	failures := 0
	for wait := r.upTo(is.Warmup); pause(ctx, wait); {
		began := time.Now()
		value, next, err := r.ask(ctx, is.Task)
		if ctx.Err() != nil {
			return
		}
		before := failures
		if failures++; err == nil {
			failures = 0
		}
		if !r.tell(is, Report[T]{is.Key, value, err, failures, before}) {
			return
		}
		if next <= 0 || err != nil {
			next = backoff(is.Interval, failures)
		}
		wait = max(next-time.Since(began), 0)
	}
}

// tell reports, unless the task is gone.
func (r *Runner[T]) tell(is *running[T], report Report[T]) bool {
	r.mu.Lock()
	gone := is.gone
	r.mu.Unlock()
	if !gone {
		r.report(report)
	}
	return !gone
}

// ask waits for a slot and asks within the time of the task.
func (r *Runner[T]) ask(ctx context.Context, t Task[T]) (value T, next time.Duration, err error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return value, 0, ctx.Err()
	}
	defer func() { <-r.slots }()
	within, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	return t.Ask(within)
}

// backoff is how long after so many failures to ask again.
func backoff(interval time.Duration, failures int) time.Duration {
	if failures < 2 {
		return interval
	}
	return max(interval, min(interval<<min(failures-1, doublings), Patience))
}

func (r *Runner[T]) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.dice.Int64N(int64(d)))
}

// pause sleeps, unless ctx is over before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
