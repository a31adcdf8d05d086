// Package realserver tests what `evs realserver` and `evs doctor` make of hosts in
// network namespaces: servers set up and given back, tunnels with real traffic
// through them, and misconfigurations planted one at a time.
package realserver
