// Package hostnet is the network configuration of the box: links, addresses,
// routes and kernel settings, and the preparation of a director on top of
// them.
//
// It is declarative. Read takes a picture (Facts), Plan compares it with what
// is wanted (Want) and decides purely on a list of Changes, each of which can
// be printed as the command a person would type; Apply is the one place that
// acts. Setup and Teardown do so for a director and keep a record of the values
// they replaced, so that the box can be given back as it was found.
//
// Everything works on the network namespace of the calling OS thread. The
// package never starts a process that outlives a call, never edits firewall
// rules (it reads them and warns), and never touches a setting it was not asked
// about.
package hostnet
