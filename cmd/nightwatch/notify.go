package main

import (
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"

	"github.com/nightwatch-go/nightwatch/node"
)

// notifier tells systemd how the service is; without systemd it does nothing.
type notifier struct {
	logger hclog.Logger
	status string
	failed bool
}

// statusEvery is how often the state of the checks is looked at for systemd.
const statusEvery = 2 * time.Second

// interval is how often beat is to be called: half of the watchdog's time, if there is one, at most.
func (n *notifier) interval() time.Duration {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.logger.Warn("systemd watchdog: ignored", "error", err)
	}
	if err == nil && watchdog > 0 {
		return min(statusEvery, watchdog/2)
	}
	return statusEvery
}

func (n *notifier) ready()    { n.send(daemon.SdNotifyReady) }
func (n *notifier) stopping() { n.send(daemon.SdNotifyStopping + "\nSTATUS=stopping") }

// beat says that the main loop goes round, and what the checks say if that has changed.
func (n *notifier) beat(checks []node.Check) {
	n.send(daemon.SdNotifyWatchdog)
	if status := summary(checks); status != n.status {
		n.status = status
		n.send("STATUS=" + status)
	}
}

func (n *notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil && !n.failed {
		n.failed = true // once is enough
		n.logger.Warn("systemd cannot be told how the service is", "error", err)
	}
}

// summary is the checks on one line.
func summary(checks []node.Check) string {
	var failing []string
	for _, check := range checks {
		if check.Err != nil {
			failing = append(failing, check.Name+": "+strings.Join(strings.Fields(check.Err.Error()), " "))
		}
	}
	if len(failing) == 0 {
		return "ready"
	}
	return "not ready: " + strings.Join(failing, "; ")
}
