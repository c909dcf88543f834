package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/nightwatch-go/nightwatch"
)

// split is an attempt of a run of count shards.
func (p *place) split(name string, count int) *run {
	p.t.Helper()
	r := p.attempt(name, forever)
	r.Record.Shards = &nightwatch.RunShards{Count: count}
	p.records.set(r.Record)
	r = p.claim(r.Task, r.Record)
	r.Run.Shards, r.Run.Shard = count, -1
	return r
}

// podOf waits for the running pod of an index.
func (p *place) podOf(job string, index int) (found corev1.Pod) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("a pod of index %d of %s runs", index, job), func(context.Context) error {
		for _, pod := range p.pods() {
			if pod.Labels[batchv1.JobNameLabel] == job && pod.Annotations[batchv1.JobCompletionIndexAnnotation] == fmt.Sprint(index) &&
				pod.Status.Phase == corev1.PodRunning {
				found = pod
				return nil
			}
		}
		return fmt.Errorf("none")
	})
	return found
}

func TestShardsAreIndexes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.split("hello", 4)
	r.Task.ShardParams = nightwatch.ShardParams{json.RawMessage(`"eu"`), json.RawMessage(`"$us"`), json.RawMessage(`3`), json.RawMessage(`{}`)}
	r.start()
	for i := range 4 {
		p.podOf("hello", i)
	}
	job := p.jobs()["hello"]
	if s := job.Spec; *s.CompletionMode != batchv1.IndexedCompletion || *s.Completions != 4 || *s.Parallelism != 4 || *s.BackoffLimitPerIndex != 0 {
		t.Errorf("spec %+v", s)
	}
	env := map[string]corev1.EnvVar{}
	for _, v := range job.Spec.Template.Spec.Containers[0].Env {
		env[v.Name] = v
	}
	if env["NIGHTWATCH_SHARDS"].Value != "4" || env["NIGHTWATCH_SHARD_PARAMS"].Value != `["eu","$$us",3,{}]` ||
		env["NIGHTWATCH_SHARD"].ValueFrom.FieldRef.FieldPath != "metadata.annotations['batch.kubernetes.io/job-completion-index']" {
		t.Errorf("environment %+v", env)
	}
	said := func(want nightwatch.RunShards) {
		t.Helper()
		p.eventually(fmt.Sprintf("the record says %+v", want), func(ctx context.Context) error {
			record, err := p.records.lookup(ctx, r.Record.Task, r.Record.ID)
			if err != nil {
				return err
			}
			if got := record.Shards; got.Count != 4 || got.Succeeded != want.Succeeded || got.Failed != want.Failed || got.Active != want.Active {
				return fmt.Errorf("it says %+v", *got)
			}
			return nil
		})
	}
	said(nightwatch.RunShards{Active: "0-3"})
	p.play(p.podOf("hello", 1).Name, map[string]any{"phase": corev1.PodFailed, "containerStatuses": endedWith(3, "no such region")})
	p.play(p.podOf("hello", 0).Name, map[string]any{"phase": corev1.PodSucceeded, "containerStatuses": endedWith(0, "")})
	said(nightwatch.RunShards{Succeeded: "0", Failed: "1", Active: "2-3"})
	for i := 2; i < 4; i++ {
		p.play(p.podOf("hello", i).Name, map[string]any{"phase": corev1.PodSucceeded, "containerStatuses": endedWith(0, "")})
	}
	out := r.outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonShardFailed)
	if out.Message != "1 of 4 shards failed: 1; the last: exit code 3" || *out.ExitCode != 3 || out.Output != "no such region" || !out.Hint.Permanent() {
		t.Errorf("outcome %+v", out)
	}
	said(nightwatch.RunShards{Succeeded: "0,2-3", Failed: "1"})
}

// A shard that fails is tried again alone, as the task's retry says.
func TestShardIsRetriedAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	r := p.split("hello", 2)
	r.Task.Retry.Attempts = 2
	r.start()
	p.play(p.podOf("hello", 0).Name, map[string]any{"phase": corev1.PodSucceeded, "containerStatuses": endedWith(0, "")})
	first := p.podOf("hello", 1)
	p.play(first.Name, map[string]any{"phase": corev1.PodFailed, "containerStatuses": endedWith(1, "")})
	var second corev1.Pod
	p.eventually("another pod of index 1 runs", func(context.Context) error {
		if second = p.podOf("hello", 1); second.Name == first.Name {
			return fmt.Errorf("it is the first")
		}
		return nil
	})
	p.play(second.Name, map[string]any{"phase": corev1.PodSucceeded, "containerStatuses": endedWith(0, "")})
	expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
	record, err := p.records.lookup(t.Context(), r.Record.Task, r.Record.ID)
	if err != nil || record.Shards.Succeeded != "0-1" || record.Shards.Active != "" || record.Shards.Failed != "" {
		t.Errorf("record %+v, %v", record.Shards, err)
	}
}
