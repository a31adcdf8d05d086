// Package datapath is the table in the kernel: it loads the data plane, pins
// it, attaches it, and reads and writes the records of abi.h. It is the only
// room that knows BPF.
//
// A network namespace has one table, pinned in a directory of the BPF file
// system named by the namespace's cookie. Whoever edits holds the flock of that
// directory. Each edit takes effect by one store that the data path sees whole,
// and what is in use follows from the live services; so a writer may be killed
// at any moment, and the next one goes on.
//
// The package knows records, not nouns: what a scheduler is called or which
// edit is allowed is decided above.
package datapath
