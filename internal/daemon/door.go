package daemon

import "time"

// theAPI is the fault of a socket or a listener that cannot be had.
const theAPI = "API"

// open has the API listen as the file in force says, with the certificates that there
// are now. Where that cannot be, it stays as it was, and is tried again: an address may
// still come, and clients of services do not wait for it.
func (d *Daemon) open(now time.Time) {
	d.faults.note(theAPI, d.server.Set(d.desired.API), now)
}

// reopen tries again what failed.
func (d *Daemon) reopen(now time.Time) {
	if next := d.faults.next(theAPI); !next.IsZero() && !now.Before(next) {
		d.open(now)
	}
}
