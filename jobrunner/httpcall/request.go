package httpcall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// maxParams is how large params may be to go into a header.
const maxParams = 4 << 10

// render is the task's request without its templates, its secrets read.
func render(a *jobrunner.Attempt) (*nightwatch.HTTPSpec, error) {
	if a.Task.HTTP == nil {
		return nil, errors.New("the task has no request to send")
	}
	return a.Task.HTTP.Render(nightwatch.HTTPValues{
		Namespace: a.Run.Namespace, Task: a.Run.Task, Run: a.Run.ID, Attempt: a.Run.Attempt,
		NominalTime: a.Run.NominalTime, Fence: a.Run.Fence, Params: a.Run.Params, Upstream: a.Run.Upstream,
		Shard: a.Run.Shard, Shards: a.Run.Shards, ShardParam: a.Run.ShardParam,
	}, a.Secret)
}

// request is what an attempt sends first.
func request(ctx context.Context, spec *nightwatch.HTTPSpec, run jobrunner.Run) (*http.Request, error) {
	method := spec.Method
	if method == "" {
		method = http.MethodGet
		if spec.Body != "" {
			method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, spec.URL, strings.NewReader(spec.Body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	setHeaders(req, spec, run)
	return req, nil
}

// setHeaders gives a request the headers of the task, and those that say whose it is.
func setHeaders(req *http.Request, spec *nightwatch.HTTPSpec, run jobrunner.Run) {
	req.Header.Set("User-Agent", "nightwatch")
	for name, value := range spec.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value.Text
			continue
		}
		req.Header.Set(name, value.Text)
	}
	for name, value := range identity(run) {
		req.Header.Set(name, value)
	}
}

// identity is what a server is told of the attempt.
func identity(run jobrunner.Run) map[string]string {
	headers := map[string]string{
		"Idempotency-Key":         run.IdempotencyKey,
		"Nightwatch-Namespace":    run.Namespace,
		"Nightwatch-Task":         run.Task,
		"Nightwatch-Run":          run.ID,
		"Nightwatch-Attempt":      strconv.Itoa(run.Attempt),
		"Nightwatch-Nominal-Time": run.NominalTime.UTC().Format(time.RFC3339Nano),
		"Nightwatch-Fence":        strconv.FormatInt(run.Fence, 10),
	}
	if len(run.Params) > 0 {
		if params, err := json.Marshal(run.Params); err == nil {
			if text := ascii(params); len(text) <= maxParams {
				headers["Nightwatch-Params"] = text
			}
		}
	}
	if run.Shards > 0 {
		headers["Nightwatch-Shard"], headers["Nightwatch-Shards"] = strconv.Itoa(run.Shard), strconv.Itoa(run.Shards)
		if text := ascii(run.ShardParam); run.ShardParam != nil && len(text) <= maxParams {
			headers["Nightwatch-Shard-Param"] = text
		}
	}
	return headers
}

// ascii is the same JSON with every other character, and DEL, written as \uXXXX: headers have no agreed encoding.
func ascii(document []byte) string {
	var b strings.Builder
	for _, r := range string(document) {
		if r < 0x7f {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
