// Package daemon is the director that stays: it joins the file, the checks, the
// sources of weights and the words of operators, and keeps the table as they want it.
//
// One loop owns everything that is decided. Whatever happens elsewhere, a check that
// turned, a weight, a file that was read, a question over the socket, comes to it as an
// event; it blends what is known into what the table should be, which is pure, and
// writes what differs. Checks, readers of files and hooks have goroutines of their
// own, and touch nothing but the loop's inbox.
//
// The package never carries a packet: killed at any moment it leaves the table as it
// is, and begins from that table when it is started again.
package daemon
