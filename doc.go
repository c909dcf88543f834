// Package nightwatch holds the words of the system: tasks, runs, their status, nodes, requests, and how a value that
// a user wrote is parsed and checked. It does no I/O and keeps no state.
package nightwatch
