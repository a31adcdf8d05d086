// Package packages tests what `make packages` builds, on machines that are this
// one and yet are not: an overlay over its files, with namespaces of their own
// for mounts, network and processes, and a BPF file system of their own. What
// happens there never reaches this machine, and all of it ends with the test.
package packages
