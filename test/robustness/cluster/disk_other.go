//go:build !linux

package cluster

import (
	"errors"
	"testing"
)

func mountDisk(testing.TB, string) bool { return false }

func fillDisk(string) error { return errors.ErrUnsupported }

func emptyDisk(string) error { return errors.ErrUnsupported }
