// Package director runs the director daemon in laboratories: servers that die and come
// back, files that change, hands that interfere, a daemon that is killed.
package director
