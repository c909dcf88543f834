package nightwatch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Limits on names. A Job's pods must fit 63 characters with what is added to the task's name.
const (
	MaxTaskName      = 45
	MaxNamespaceName = 63
)

var (
	dnsLabel  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	runID     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)
	requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,59}$`)
	subdomain = regexp.MustCompile(`^` + dns1123 + `$`)
)

// ParseTaskName splits "<namespace>/<task>" and checks both parts: DNS-1123 labels, a namespace of at most 63
// characters and a task of at most 45.
func ParseTaskName(tail string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(tail, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", FieldError{"key", fmt.Sprintf("%q: want tasks/<namespace>/<task>", clip(tail))}
	}
	if len(namespace) > MaxNamespaceName || !dnsLabel.MatchString(namespace) {
		return "", "", FieldError{"key", fmt.Sprintf("namespace %q: want lower-case letters, digits and '-', at most %d", clip(namespace), MaxNamespaceName)}
	}
	if len(name) > MaxTaskName || !dnsLabel.MatchString(name) {
		return "", "", FieldError{"key", fmt.Sprintf("task %q: want lower-case letters, digits and '-', at most %d", clip(name), MaxTaskName)}
	}
	return namespace, name, nil
}

// ValidRunID tells whether id can name a run.
func ValidRunID(id string) bool { return runID.MatchString(id) }

// CheckRequestID refuses what cannot be the id of a request, which becomes part of a run's id.
func CheckRequestID(id string) error {
	if !requestID.MatchString(id) {
		return FieldError{"key", fmt.Sprintf("request id %q: want letters, digits, '.', '_' and '-', at most 59", clip(id))}
	}
	return nil
}

// validLabel tells whether a name is a DNS-1123 label of at most 63 characters.
func validLabel(name string) bool { return len(name) <= MaxNamespaceName && dnsLabel.MatchString(name) }

// CheckCalendarName refuses what is not a DNS-1123 label.
func CheckCalendarName(name string) error {
	if len(name) > MaxNamespaceName || !dnsLabel.MatchString(name) {
		return FieldError{"key", fmt.Sprintf("calendar %q: want lower-case letters, digits and '-', at most %d", clip(name), MaxNamespaceName)}
	}
	return nil
}

// MaxNodeName is how long a node's name may be.
const MaxNodeName = 63

// CheckNodeName refuses what is not a DNS-1123 subdomain of at most 63 characters, as host names are.
func CheckNodeName(name string) error {
	if len(name) > MaxNodeName || !subdomain.MatchString(name) {
		return FieldError{"name", fmt.Sprintf("%q: want lower-case letters, digits, '-' and '.', at most %d", clip(name), MaxNodeName)}
	}
	return nil
}

// CheckNodeAddress refuses what nobody could reach a node at: want host:port, with a host and a number from 1 to 65535.
func CheckNodeAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || host == "" || number == 0 {
		return fmt.Errorf("%q: want host:port as others reach it, with a host and a port from 1 to 65535", clip(address))
	}
	return nil
}

// clusterName is what the names of a kubeconfig's contexts are made of, those that clouds make included.
var clusterName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:/@-]{0,126}[A-Za-z0-9])?$`)

// CheckClusterName refuses what no node can call a Kubernetes cluster.
func CheckClusterName(name string) error {
	if !clusterName.MatchString(name) {
		return fmt.Errorf("%q: want letters, digits and \"-._:/@\", a letter or digit first and last, at most 128", clip(name))
	}
	return nil
}

// ScheduledRunID names the run of a nominal time: "20261120T141500Z", with milliseconds when it has any.
func ScheduledRunID(nominal time.Time) string {
	nominal = nominal.UTC()
	if nominal.Nanosecond() >= int(time.Millisecond) {
		return nominal.Format("20060102T150405.000Z")
	}
	return nominal.Format("20060102T150405Z")
}

// SubmittedRunID names the run of one put of a task without a schedule.
func SubmittedRunID(modRevision int64) string { return "rev-" + strconv.FormatInt(modRevision, 10) }

// UpstreamRunID names the run of a complete set of upstream runs, by the revision at which the run ended that completed
// it; last is the id that the set before had. Of several sets that are complete at one revision the second is
// "dep-<revision>-2".
func UpstreamRunID(revision int64, last string) string {
	id := "dep-" + strconv.FormatInt(revision, 10)
	switch more, same := strings.CutPrefix(last, id); {
	case same && more == "":
		return id + "-2"
	case same && more[0] == '-':
		if n, err := strconv.Atoi(more[1:]); err == nil {
			return id + "-" + strconv.Itoa(n+1)
		}
	}
	return id
}

// RequestedRunID names the run of a request.
func RequestedRunID(id string) string { return "req-" + id }

// JobName is the name of the Kubernetes Job of a run's attempt, or with hashed set the form that cannot be taken by
// any other run: the first attempt of a task's first put has the task's own name, the first attempt of a whole-second
// occurrence "<task>-<unix seconds>", all else "<task>-<hash>".
func JobName(clusterID, task string, run *Run, hashed bool) string {
	if !hashed && run.Attempt == 1 {
		if run.ID == SubmittedRunID(run.TaskUID) {
			return task
		}
		if run.ID == ScheduledRunID(run.NominalTime) && run.NominalTime.Nanosecond() == 0 {
			return task + "-" + strconv.FormatInt(run.NominalTime.Unix(), 10)
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n%s\n%d", clusterID, run.TaskUID, run.ID, "", run.Attempt))
	return task + "-" + hex.EncodeToString(sum[:4])
}

// IdempotencyKey identifies an attempt to the world outside.
func (r *Run) IdempotencyKey(clusterID string) string {
	return fmt.Sprintf("%s/%s/%d/%s/%d", clusterID, r.Task, r.TaskUID, r.ID, r.Attempt)
}
