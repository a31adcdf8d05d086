// Package health asks real servers whether they are well, and decides what
// follows for the pool.
//
// It has three parts. A Spec is what is to be asked, as the director's file says
// it; the table Kinds has a row for each kind of check, and each kind has a file
// of its own that makes a Checker of a Spec and a Target. A State turns results
// into up or down (rise, fall) and Decide turns states into weights (quorum,
// hysteresis, sorry server, fail open); both are pure. A Runner asks thousands
// of targets at their times.
//
// The package never touches the table of virtual services: it says what it found,
// and the director acts.
package health
