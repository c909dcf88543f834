// Package kubernetes runs attempts as Kubernetes Jobs: one Job an attempt, at most one at a time, whatever dies. It is
// the only package that imports client-go.
//
// # Parties
//
// The node that holds the claim on an attempt is its owner: it creates the Job, follows it and reports how it ended.
// The run's record in etcd is the truth about who that is, and each change of it (Attempt.Save) fails for any other. The
// API server is the truth about the Job. Everything else (the watch of Jobs, the clock) only says when to look again.
//
// # From the claim to the end
//
//	claim      the record has the Job's namespace and name, without uid       (the transaction of the claim)
//	create     the Job exists                                                 (one request, never repeated blindly)
//	save       the record has the Job's cluster and uid                       (frees the task's mutex)
//	follow     until the Job is Complete or Failed, or is confirmed to be gone
//	outcome    what the Job and its pods say; the caller writes the end
//
// The name is fixed before the create, and it is all that makes the create idempotent. Whoever dies between claim and
// save leaves a name on record, and whoever comes next creates the same name: it either makes the Job or finds the one
// that was made and knows it by its labels and annotations. If the name belongs to something else, the hashed name is
// put on record first and then created; a process that wakes up after that finds its record changed and stops.
//
// A Job is created only while the record has no uid. With one on record its absence, confirmed by a direct GET, is
// the end of the attempt (JobGone), never a reason to create another one. Absence in the watch means nothing.
//
// Local time is used for one thing: a create is not sent after Attempt.Deadline, and its context ends there.
//
// # Clusters
//
// A runner has one or more clusters, and a client, a watch and a sweep for each. The scheduler chooses one of those that
// the node announces (run.cluster, by name); the claim puts its uid, that of the kube-system namespace, on record, and
// from then on only the uid counts. A cluster that does not answer is not announced, so that other nodes get its runs;
// what this node has of it already waits, and nothing else does.
//
// Requests to a cluster take turns by its QPS and burst, and so many are under way at most; the wait for a turn does not use
// up a request's time. An answer with Retry-After has all of them wait.
//
// # Pods
//
// What a run ended with stands in the status of its pods: exit code, last words, and why Kubernetes ended it. A second
// watch brings those of Jobs under way here, and of these only pods that have ended; it lists nothing and keeps nothing
// else. What it has not brought a second after its Job ended is asked for. So a run costs two requests: the create, and
// the delete that goes with its record.
//
// A Job whose pods are not ready for some seconds is asked why, by one list, ever more seldom and of all Jobs of a cluster
// two a second at most. What its pods wait for (ImagePullBackOff, Unschedulable, FailedCreate of the pods themselves)
// stands in the record while it lasts.
//
// # Ends that are asked for
//
// The first owner of an attempt deletes its Job in the foreground under the uid and the version that it saw unfinished,
// and reports Canceled when a GET says that the Job is gone, with its pods.
//
// An owner that adopted the attempt deletes nothing: its predecessor may be frozen in front of its create, and would
// make the Job anew after a deletion. It occupies the name with a Job that is suspended (a tombstone), or suspends
// the one that is there and waits until that has no pods. The tombstone is kept for an hour. The same is done by a
// first owner that does not know what became of a create that it sent, even if another one was answered since.
//
// # Failures
//
//   - The API server is away, slow, or refuses for now (timeouts, 5xx, 429, 401): the request is repeated with backoff
//     while the session lives. After a create whose answer is unknown, and where a predecessor may have made the Job, comes a
//     GET by name before anything else, which is repeated for as long as it says neither that the Job is there nor that it is not.
//   - It refuses a create for good while an earlier one is unanswered: that may be what a quota is used up by, and cannot be
//     seen yet. The refusal is doubted for the minute that an API server may take.
//   - A credential plugin (exec) of the kubeconfig hangs: the same, as requests end with their time all the same.
//   - The API server refuses for good (403, missing namespace, invalid, admission): Failed, StartRefused. One that has just
//     started may know no roles and refuse everybody: want of rights is doubted for some seconds.
//   - While it refuses for now the run's startWithin passes: what is known not to have been created never is, and the
//     run is Missed. Where that is not known the name is occupied by a tombstone first, as after a handover. A Job that a
//     predecessor made in time is adopted, however late it is by then.
//   - The session is lost or the node stops: the Job is left alone, the next owner adopts it. One that is being ended when the
//     node is told to stop is seen to until its drain's time is up.
//   - The watch is silent, closed or compacted: it is listed and watched anew, and in any case every few minutes. An
//     attempt whose Job is not in the watch polls with GET.
//
// # The Job
//
// A task's template with its short form laid over it (merge), what neither says (withDefaults), and what the system says:
// name, namespace, labels and annotations under Prefix, and variables of every container. Templates are read strictly, and
// the API server is asked to be strict too: a field that this node or the cluster is too old for ends the attempt as
// StartRefused, and is never left out silently. A tombstone is the same Job, so that policies and quotas treat it as they
// would the attempt's own, but suspended, without finalizers, and with a parallelism of 0: resumed, it has no pods. Where the task
// is gone it has the metadata and no more than a Job must.
//
// # What is left over
//
// Every runner sweeps: a Job of this cluster whose run has no record any more, or that lives although its attempt is
// over, is deleted under its uid, after a linearizable read of the record that was made after the Job was seen. A Job that was
// claimed at a revision which etcd has yet to reach stays: etcd was restored from a backup, and its records say nothing of it.
//
// A Job that has ended and has a ttlSecondsAfterFinished is left to Kubernetes.
//
// # Rights
//
// In the API group batch: jobs get, list, watch, create, patch, delete. In the core group: pods list, watch; pods/log get; events list;
// namespaces get. All of them in every namespace, as the watches are for all (examples/kubernetes/rbac.yaml). Without the rights to pods the outcome is
// what the Job says, without those to pods and events a live run does not say what it waits for, and without those to
// pods/log there are no logs to read.
//
// # Not promised
//
// Kubernetes itself may start the program of one pod twice in rare cases, and pods that were evicted are replaced: the
// program is told its fence, and has to hand it on to whatever must not be written twice. A Job that somebody else
// creates under our labels and annotations is taken for ours.
package kubernetes
