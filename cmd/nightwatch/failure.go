package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nightwatch-go/nightwatch"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// usageError says that the command line, the environment or the config file is wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// failure is an error of a command that was understood.
type failure struct {
	code int
	error
}

func (f failure) Unwrap() error { return f.error }

// exitCode is for errors of cobra's Execute. Those that are not a command's own come from reading the command line.
func exitCode(err error) int {
	var wrong usageError
	var failed failure
	switch {
	case errors.As(err, &wrong):
		return exitUsage
	case errors.As(err, &failed):
		return failed.code
	default:
		return exitUsage
	}
}

// failed makes what a command returns of err: a failure, unless the usage was wrong.
func failed(err error) error {
	var wrong usageError
	var already failure
	if err == nil || errors.As(err, &wrong) || errors.As(err, &already) {
		return err
	}
	return failure{exitFailed, err}
}

// failed is the function of that name for commands that talk to etcd.
func (c *connection) failed(err error) error {
	var already failure
	if err == nil || errors.As(err, &already) || !unreachable(err) {
		return failed(err)
	}
	text := fmt.Sprintf("cluster not reachable at %s within %s", strings.Join(c.endpoints, ", "), c.timeout)
	var answer rpctypes.EtcdError
	if why := c.probe(); why != "" && !errors.As(err, &answer) {
		text += ": " + why
	}
	if more := err.Error(); more != context.DeadlineExceeded.Error() {
		text += " (" + more + ")"
	}
	if errors.Is(err, nightwatch.ErrOutcomeUnknown) {
		text += "; the change may or may not have been made"
	}
	return failure{exitUnreachable, errors.New(text)}
}

// unreachable tells whether err means that no etcd member answered, or none that has a leader.
func unreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var answer rpctypes.EtcdError
	if errors.As(err, &answer) {
		return answer.Code() == codes.Unavailable || answer.Code() == codes.DeadlineExceeded
	}
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// probe finds out more: the etcd client does not tell why it could not connect.
func (c *connection) probe() string {
	for _, endpoint := range c.endpoints {
		address := endpoint
		if _, rest, ok := strings.Cut(endpoint, "://"); ok {
			address = rest
		}
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return endpoint + " accepts connections but does not answer as etcd; look at --cacert, --cert, --key and etcd's own health"
		}
		if len(c.endpoints) == 1 {
			return err.Error()
		}
	}
	return ""
}
