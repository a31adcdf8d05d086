// Package ipvs is the virtual server table of a network namespace: its nouns
// (Service, Destination, Conn, Stats) and Table, which reads and edits it.
//
// The table lives in the kernel as pinned BPF maps with programs attached to
// the interfaces; it needs no process. Any number of programs may open it;
// their edits are serialised by a lock. The package never runs in the
// background and never prints.
package ipvs
