package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// A run that is split is one Indexed Job, whose indexes are the shards. One that fails is tried again by itself, by
// Kubernetes, as often as the task's retry says, and ends no other; so the run's own next attempt, which would do all of
// them again, is only for a Job that ended for another reason.

// indexed tells whether an attempt is all shards of its run.
func indexed(a *jobrunner.Attempt) bool {
	return a.Record.Shards != nil && a.Record.Shard == nil && a.Record.Shards.Count > 0
}

// index makes a Job one of count indexes.
func index(spec *batchv1.JobSpec, count int, retry nightwatch.Retry) {
	spec.CompletionMode = ptr.To(batchv1.IndexedCompletion)
	spec.Completions, spec.Parallelism = ptr.To(int32(count)), ptr.To(int32(count))
	if spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return // Kubernetes has no limit for each index then
	}
	limit := max(ptr.Deref(spec.BackoffLimit, 0), int32(retry.Attempts)-1)
	spec.BackoffLimit, spec.BackoffLimitPerIndex = nil, &limit
}

// shardVariables tell a pod which shard it is: its own number, and the params of all.
func shardVariables(params nightwatch.ShardParams) []corev1.EnvVar {
	told := []corev1.EnvVar{{Name: "NIGHTWATCH_SHARD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
		FieldPath: "metadata.annotations['" + batchv1.JobCompletionIndexAnnotation + "']",
	}}}}
	return append(told, paramsOfAll(params)...)
}

func paramsOfAll(params nightwatch.ShardParams) []corev1.EnvVar {
	if len(params) == 0 {
		return nil
	}
	list, _ := json.Marshal(params) // they were read from JSON
	return []corev1.EnvVar{{Name: "NIGHTWATCH_SHARD_PARAMS", Value: strings.ReplaceAll(string(list), "$", "$$")}}
}

// alone are what the only pod of a shard's second chance is told beside its number, which stands in the environment of
// every shard: what it would find as one of an Indexed Job, with the param that it had then.
func alone(shard *nightwatch.RunShard, params nightwatch.ShardParams) []corev1.EnvVar {
	if shard == nil {
		return nil
	}
	if shard.Index < len(params) && shard.Param != nil {
		params = slices.Clone(params)
		params[shard.Index] = shard.Param
	}
	return append([]corev1.EnvVar{{Name: "JOB_COMPLETION_INDEX", Value: strconv.Itoa(shard.Index)}}, paramsOfAll(params)...)
}

// shardsEvery bounds how often a record is written because its shards have gone on.
const shardsEvery = 5 * time.Second

// shards keeps true what the record of a run says of its shards.
type shards struct {
	at   *attempt
	said nightwatch.RunShards
	next time.Time
}

// tell writes what a Job says of its indexes, if that is news and the last such write was some time ago, or this is the
// end. It returns how long to wait before there may be more to write.
func (s *shards) tell(job *batchv1.Job, end bool) (time.Duration, error) {
	if !indexed(s.at.Attempt) {
		return lookLast, nil
	}
	all := nightwatch.AllIndexes(s.at.Record.Shards.Count)
	var now nightwatch.RunShards
	var err, err2 error
	now.Succeeded, err = nightwatch.ParseIndexes(job.Status.CompletedIndexes)
	now.Failed, err2 = nightwatch.ParseIndexes(ptr.Deref(job.Status.FailedIndexes, ""))
	if err := errors.Join(err, err2); err != nil {
		return lookLast, fmt.Errorf("indexes of Job %s/%s: %w", job.Namespace, job.Name, err)
	}
	if now.Active = all.Minus(now.Succeeded).Minus(now.Failed); end {
		now.Failed, now.Active = now.Failed.Union(now.Active), ""
	}
	if now.Succeeded == s.said.Succeeded && now.Failed == s.said.Failed && now.Active == s.said.Active {
		return lookLast, nil
	}
	if rest := time.Until(s.next); rest > 0 && !end {
		return rest, nil
	}
	err = s.at.Save(s.at.firm, func(run *nightwatch.Run) {
		shards := *s.at.Record.Shards
		shards.Succeeded, shards.Failed, shards.Active = now.Succeeded, now.Failed, now.Active
		run.Shards = &shards
	})
	if err != nil {
		s.at.log.Debug("record not changed", "error", err)
		return 0, errInterrupted
	}
	s.said, s.next = now, time.Now().Add(shardsEvery)
	return lookLast, nil
}

// shardsFailed is the outcome of a Job that failed because of some of its indexes.
func shardsFailed(out jobrunner.Outcome, failed nightwatch.Indexes, count int) jobrunner.Outcome {
	last := out.Message
	out.Reason = nightwatch.ReasonShardFailed
	out.Message = fmt.Sprintf("%d of %d shards failed: %s", failed.Len(), count, failed)
	if last != "" {
		out.Message += "; the last: " + last
	}
	// Each has been tried as often as it may be.
	out.Hint = nightwatch.HintOf(nightwatch.Permanent(errors.New(out.Reason)))
	return out
}
