// Package ipvs is the virtual server table of a network namespace: its nouns
// (Service, Destination, Conn, Stats) and Table, which reads and edits it.
//
// The table lives in the kernel as pinned BPF maps with programs attached to
// the interfaces; it needs no process. Any number of programs may open it;
// their edits are serialised by a lock. The package never runs in the
// background and never prints. Its caller is root.
//
// # Whose table
//
// Open gives the table of the calling thread's network namespace. A program
// that goes into another namespace locks its goroutine to the thread first.
//
// # Two ways to edit
//
// Set takes all services with their destinations as they should be, works out
// the difference (see Plan) and applies it as one edit or not at all. What stays
// keeps its connections and counters, and a second Set changes nothing: it is
// what a program wants that has the whole picture.
//
// AddService, EditDestination and their like are the single steps that ipvsadm
// has. They fail where the kernel's IPVS would, with the sentinel errors of this
// package.
//
// When a method returns, packets follow the edit; a packet never sees half of a
// service.
package ipvs
