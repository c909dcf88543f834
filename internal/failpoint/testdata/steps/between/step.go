// Package between has a crash point.
package between

// Step has it.
func Step() {
	// gofail: var step struct{}
}
