package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"
)

// A Task is a check that is to be run again and again.
type Task struct {
	// Key tells tasks apart; a task of the same key is the same task, changed.
	Key    string
	Spec   Spec
	Target Target
}

// nap is the shortest sleep between two looks at the agenda: what is due within
// it starts together. It is a tenth of the shortest interval that is allowed.
const nap = shortest / 10

// A Runner asks targets at their times. Only a check that runs has a goroutine; an
// idle one is an entry in a heap. Run has to be running for anything to be asked;
// everything else may be called at any time.
type Runner struct {
	limit  int
	report func(key string, was, is State)
	build  func(Spec, Target) (Checker, error)
	wake   chan struct{}

	mu     sync.Mutex
	dice   *rand.Rand
	jobs   map[string]*job
	agenda agenda
	active int
	load   Load

	checks sync.WaitGroup
}

// Load is how a Runner is doing.
type Load struct {
	Tasks, Active int
	// Started counts checks, Late those that were begun later than they were due
	// by more than a tenth of their interval; Worst is the longest such time.
	Started, Late uint64
	Worst         time.Duration
}

// NewRunner makes a runner of which at most limit checks run at once. It calls
// report after each result, with the states before and after it, for one task
// never twice at once. dice scatter checks.
func NewRunner(limit int, dice *rand.Rand, report func(key string, was, is State)) *Runner {
	return &Runner{limit: limit, dice: dice, report: report, build: Spec.New, wake: make(chan struct{}, 1), jobs: map[string]*job{}}
}

// Set makes tasks the ones that are run. What is thought of a task that was there
// before stays, and its place in time where it is unchanged; files that specs name
// are read anew. It is all or nothing: an error names the tasks that cannot be.
func (r *Runner) Set(tasks []Task) error {
	wanted, err := r.jobsOf(tasks)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, j := range r.jobs {
		if wanted[key] == nil {
			r.drop(j)
		}
	}
	now := time.Now()
	for key, w := range wanted {
		if j := r.jobs[key]; j != nil {
			r.change(j, w, now)
		} else {
			w.state = StateOf(w.task.Spec, now)
			w.grid = now.Add(r.upTo(*w.task.Spec.Warmup))
			r.plan(w)
			r.jobs[key] = w
		}
	}
	r.stir()
	return nil
}

// jobsOf makes jobs of tasks, or says which cannot be made.
func (r *Runner) jobsOf(tasks []Task) (map[string]*job, error) {
	jobs := make(map[string]*job, len(tasks))
	var wrong []error
	for _, t := range tasks {
		t.Spec = t.Spec.WithDefaults()
		checker, err := r.build(t.Spec, t.Target)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s: %w", t.Key, err))
		case jobs[t.Key] != nil:
			wrong = append(wrong, fmt.Errorf("%s: there are two tasks of this key", t.Key))
		}
		jobs[t.Key] = &job{task: t, checker: checker, place: -1}
	}
	return jobs, errors.Join(wrong...)
}

func (r *Runner) drop(j *job) {
	delete(r.jobs, j.task.Key)
	r.agenda.remove(j)
	j.gone = true
	if j.stop != nil {
		j.stop()
	}
}

// change makes j what w is. What was thought of it stays thought until results
// say otherwise.
func (r *Runner) change(j, w *job, now time.Time) {
	same := reflect.DeepEqual(j.task, w.task)
	j.task, j.checker = w.task, w.checker
	if same {
		return
	}
	j.state.Against, j.state.Proved = 0, false
	if soonest := now.Add(r.upTo(j.task.Spec.Interval)); j.place >= 0 && soonest.Before(j.due) {
		r.agenda.remove(j)
		j.grid = soonest
		r.plan(j)
	}
}

// plan enters j in the agenda, its jitter after its place in the grid.
func (r *Runner) plan(j *job) {
	j.due = j.grid.Add(r.upTo(j.task.Spec.Jitter))
	r.agenda.add(j)
}

// upTo is a random time below d.
func (r *Runner) upTo(d Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r.dice.Int64N(int64(d)))
}

// stir has Run look at the agenda.
func (r *Runner) stir() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run asks until ctx is over. It returns when the last check has.
func (r *Runner) Run(ctx context.Context) {
	defer r.checks.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		timer.Reset(r.round(ctx))
	}
}

// round starts what is due and returns how long to sleep.
func (r *Runner) round(ctx context.Context) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for r.active < r.limit {
		j := r.agenda.first(now)
		if j == nil {
			break
		}
		r.start(ctx, j, now)
	}
	if len(r.agenda) == 0 || r.active >= r.limit {
		return time.Hour // until it is stirred
	}
	return max(r.agenda[0].due.Sub(now), nap)
}

func (r *Runner) start(ctx context.Context, j *job, now time.Time) {
	late := now.Sub(j.due)
	r.load.Started++
	r.load.Worst = max(r.load.Worst, late)
	if late > time.Duration(j.task.Spec.Interval)/10 {
		r.load.Late++
	}
	r.active++
	running, stop := context.WithCancel(ctx)
	j.stop = stop
	checker := j.checker
	r.checks.Go(func() {
		defer stop()
		result := checker.Check(running)
		if running.Err() == nil {
			r.note(j, result)
		}
		r.finish(j, now)
	})
}

// note takes down a result.
func (r *Runner) note(j *job, result Result) {
	r.mu.Lock()
	if j.gone {
		r.mu.Unlock()
		return
	}
	was, key := j.state, j.task.Key
	j.state = was.Next(j.task.Spec, result, time.Now())
	is := j.state
	r.mu.Unlock()
	r.report(key, was, is)
}

// finish plans the next check of j, whose last was begun at began.
func (r *Runner) finish(j *job, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active--
	j.stop = nil
	if !j.gone {
		j.grid = following(j.task.Spec, j.state.Wavers(), j.grid, began, time.Now())
		r.plan(j)
	}
	if j.place == 0 || r.active == r.limit-1 {
		r.stir()
	}
}

// States are what is thought of each task now.
func (r *Runner) States() map[string]State {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := make(map[string]State, len(r.jobs))
	for key, j := range r.jobs {
		states[key] = j.state
	}
	return states
}

// Load tells how the runner is doing.
func (r *Runner) Load() Load {
	r.mu.Lock()
	defer r.mu.Unlock()
	load := r.load
	load.Tasks, load.Active = len(r.jobs), r.active
	return load
}
