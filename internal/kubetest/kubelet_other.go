//go:build !linux

package kubetest

import "errors"

var errLinuxOnly = errors.New("a real kubelet runs on Linux only")

func makeCgroups(string) error            { return errLinuxOnly }
func removeCgroups(string) error          { return nil }
func linkBridge() error                   { return errLinuxOnly }
func unlinkBridge() error                 { return nil }
func writeImages(string, ...string) error { return errLinuxOnly }
