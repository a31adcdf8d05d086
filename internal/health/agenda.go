package health

import (
	"container/heap"
	"time"
)

// A job is a task as the runner knows it.
type job struct {
	task    Task
	checker Checker
	state   State
	// due is when it is asked next: grid, and jitter. Checks follow a grid so that
	// what delays one does not move the others.
	due, grid time.Time
	// place is the job's in the agenda, -1 while it runs; stop ends the check that
	// runs. gone says that the task is no more.
	place int
	stop  func()
	gone  bool
}

// An agenda holds jobs by when they are due, the earliest first.
type agenda []*job

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due.Before(a[j].due) }
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

// Push and Pop are for container/heap.
func (a *agenda) Push(x any) {
	j := x.(*job)
	j.place = len(*a)
	*a = append(*a, j)
}

// Pop is for container/heap.
func (a *agenda) Pop() any {
	old := *a
	j := old[len(old)-1]
	old[len(old)-1] = nil
	j.place = -1
	*a = old[:len(old)-1]
	return j
}

// first takes the job that is due earliest, if it is by now.
func (a *agenda) first(now time.Time) *job {
	if len(*a) == 0 || (*a)[0].due.After(now) {
		return nil
	}
	return heap.Pop(a).(*job)
}

func (a *agenda) add(j *job) { heap.Push(a, j) }

func (a *agenda) remove(j *job) {
	if j.place >= 0 {
		heap.Remove(a, j.place)
	}
}

// following is the place in the grid that comes after one at grid, which was
// begun at began and is over now: after the interval, or after the shorter retry
// where the state wavers. Places that have passed meanwhile are left out.
func following(s Spec, wavers bool, grid, began, now time.Time) time.Time {
	interval := time.Duration(s.Interval)
	if retry := time.Duration(s.RetryInterval); wavers && retry != interval {
		next := began.Add(retry)
		if next.Before(now) {
			return now
		}
		return next
	}
	next := grid.Add(interval)
	if missed := now.Sub(next); missed > 0 {
		next = next.Add((missed + interval - 1) / interval * interval)
	}
	return next
}
