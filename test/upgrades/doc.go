// Package upgrades asks whether what serves a table can be replaced, resized and
// edited while packets flow: no packet lost, no connection ended, old or new. What was
// sent is compared with what came, at both ends.
package upgrades
