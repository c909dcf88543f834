// Package robustness holds the tests that break things: nodes that are killed and stopped at the worst moments, and at
// random ones, while tasks of all kinds run and write down themselves what they do, and package checker finds out what
// that came to.
package robustness
