// Package local asks virtual services from where they are: from the director
// itself, and from a real server of theirs.
package local
