package kubernetes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nightwatch-go/nightwatch"
)

// What a real API server refuses for good fails the attempt at once, in its own words. The other ways in which a create or
// a Job may fare have tests of their own:
//
//	create that timed out but worked    TestAmbiguousCreate, TestCancelAfterCreateWithoutAnswer
//	name taken by a stranger            TestNameTakenByStranger, TestBothNamesTaken, TestHashedNameIsRecordedFirst
//	Job deleted by hand                 TestDeletedByHand, TestDeletedByHandInTheForeground
//	namespace deleted                   TestNamespaceDeleted
//	API server restarted, or away       TestAPIServerRestarts, TestAPIServerAwayAtTheStart, TestAPIServerComesBack, TestTwoClusters
//	watch silent, closed or compacted   watch_test.go
//	429 with Retry-After, 503, 403 of an API server that is starting   TestPassingRefusalsAreRepeated, TestTurns
//	429, 500, no answer for too long    TestStartWithin
//	quota used up by the Job itself     TestQuota, TestQuotaTakenByAnUnansweredCreate
//	admission webhook refuses, or does not answer                      TestWebhookRefuses, TestWebhookAway
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if name, ok := request.Context().Value(whom{}).(string); ok {
			request = request.Clone(request.Context())
			request.Header.Set("Impersonate-User", name)
		}
		return next.RoundTrip(request)
	}))
	p.deny("denied")
	for _, row := range []struct {
		name    string
		prepare func(r *run)
		want    []string
	}{
		{"denied", func(*run) {}, []string{"ValidatingAdmissionPolicy", "no Job of this name is wanted here"}},
		{"nowhere", func(r *run) { r.Record.Job.Namespace = "no-such-place" }, []string{`namespaces "no-such-place" not found`}},
		{"invalid", func(r *run) {
			r.Task.Image, r.Task.Kubernetes = "", &nightwatch.KubernetesSpec{Image: "busybox", ServiceAccountName: "Not A Name"}
		}, []string{"serviceAccountName", "Invalid value"}},
		{"forbidden", func(r *run) { r.ctx = context.WithValue(r.ctx, whom{}, "nobody") }, []string{`User "nobody" cannot create resource "jobs"`}},
		{"quota", func(*run) { p.quota() }, []string{"exceeded quota: none"}}, // the last, as it holds for all
	} {
		t.Run(row.name, func(t *testing.T) {
			r := p.attempt(row.name, nil)
			row.prepare(r)
			out := r.start().outcome()
			expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused)
			for _, want := range row.want {
				if !strings.Contains(out.Message, want) {
					t.Errorf("message %q, want %q", out.Message, want)
				}
			}
			if err := p.absent(row.name); err != nil {
				t.Error(err)
			}
		})
	}
}

// whom is the key of the user as whom requests are made.
type whom struct{}

// quota allows no Jobs in the place's namespace.
func (p *place) quota() {
	p.t.Helper()
	quotas := p.client.CoreV1().ResourceQuotas(p.namespace)
	_, err := quotas.Create(p.t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")}},
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.eventually("the quota is known", func(ctx context.Context) error {
		quota, err := quotas.Get(ctx, "none", metav1.GetOptions{})
		if err == nil && len(quota.Status.Hard) == 0 {
			err = errors.New("it is not")
		}
		return err
	})
}

// deny has admission refuse Jobs of a name in the place's namespace.
func (p *place) deny(name string) {
	p.t.Helper()
	p.policy("object.metadata.name != '"+name+"'", "no Job of this name is wanted here", jobOf(p.t, p.attempt(name, nil).Attempt, p.namespace, name))
}

// policy has admission want something of Jobs in the place's namespace, which this one is not.
func (p *place) policy(want, message string, refused *batchv1.Job) {
	p.t.Helper()
	policies, bindings := p.client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), p.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	id := p.namespace + "-want"
	_, err := policies.Create(p.t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: want, Message: message}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = policies.Delete(context.WithoutCancel(p.t.Context()), id, metav1.DeleteOptions{}) })
	_, err = bindings.Create(p.t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: id, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
				corev1.LabelMetadataName: p.namespace,
			}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = bindings.Delete(context.WithoutCancel(p.t.Context()), id, metav1.DeleteOptions{}) })
	p.eventually("the policy is in force", func(ctx context.Context) error {
		_, err := p.client.BatchV1().Jobs(p.namespace).Create(ctx, refused, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return errors.New("it is not")
		}
		return nil
	})
}

// A create that was not answered counts against a quota before its Job can be seen: what refuses the next one is no reason
// to call the run refused.
func TestQuotaTakenByAnUnansweredCreate(t *testing.T) {
	t.Parallel()
	var posts, gets atomic.Int64
	var late atomic.Pointer[http.Request]
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		switch {
		case creates(request) && posts.Add(1) == 1:
			late.Store(request.Clone(context.WithoutCancel(request.Context())))
			return nil, io.ErrUnexpectedEOF
		case creates(request):
			return answer(request, metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "exceeded quota: jobs"}), nil
		case request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/jobs/hello") && gets.Add(1) == 3:
			made, err := next.RoundTrip(late.Load())
			if err != nil {
				return nil, err
			}
			_ = made.Body.Close()
		}
		return next.RoundTrip(request)
	}))
	r := p.attempt("hello", map[string]string{"run": "100ms"}).start()
	expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
	if len(p.jobs()) != 1 || posts.Load() != 2 {
		t.Errorf("%d creates, Jobs %v", posts.Load(), p.jobs())
	}
}
