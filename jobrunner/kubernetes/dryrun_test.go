package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
)

// asking makes a Runner that nobody serves.
func asking(t *testing.T, change func(*rest.Config)) *Runner {
	t.Helper()
	config := rest.CopyConfig(kubetest.Shared(t).Config)
	if change != nil {
		change(config)
	}
	r, err := New(Config{Clusters: []Cluster{{Name: "eu", REST: config, Labels: map[string]string{"region": "eu"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func taskIn(t *testing.T, namespace, value string) (string, *nightwatch.Task) {
	t.Helper()
	key := namespace + "/hello"
	task, err := nightwatch.ParseTask(key, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return key, task
}

// The API server says what only it knows, in its own words, and has no Job afterwards.
func TestDryRun(t *testing.T) {
	p := newPlace(t)
	r := asking(t, nil)
	pod := func(fields string) string {
		return `{"kubernetes":{"image":"a","template":{"spec":{"template":{"spec":{` + fields + `}}}}}}`
	}
	for _, test := range []struct{ name, namespace, value, fault, warning string }{
		{name: "good", value: `{"image":"a"}`},
		{name: "shards", value: `{"image":"a","shards":3}`},
		{name: "value", value: pod(`"dnsPolicy":"Nearest"`), fault: `spec.template.spec.dnsPolicy: Unsupported value: "Nearest"`},
		{name: "field of a later version", value: pod(`"evictionResponders":[{"name":"example.com/a"}]`), fault: `unknown field "spec.template.spec.evictionResponders"`},
		{name: "namespace", namespace: "nowhere", value: `{"image":"a"}`, fault: `namespaces "nowhere" not found`},
		{name: "warning", value: pod(`"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]`), warning: "null labelSelector"},
	} {
		if test.namespace == "" {
			test.namespace = p.namespace
		}
		key, task := taskIn(t, test.namespace, test.value)
		opinion, err := r.DryRun(t.Context(), key, task)
		faults, warnings := strings.Join(opinion.Faults, "\n"), strings.Join(opinion.Warnings, "\n")
		if err != nil || opinion.Cluster != "eu" || opinion.Namespace != test.namespace ||
			(faults != "") != (test.fault != "") || !strings.Contains(faults, test.fault) || !strings.Contains(warnings, test.warning) {
			t.Errorf("%s: %+v, %v", test.name, opinion, err)
		}
	}
	if jobs := p.jobs(); len(jobs) > 0 {
		t.Errorf("there are Jobs: %v", jobs)
	}
}

func TestDryRunRefusedToAUserAndByAQuota(t *testing.T) {
	p := newPlace(t)
	key, task := taskIn(t, p.namespace, `{"image":"a"}`)
	nobody := asking(t, func(c *rest.Config) { c.Impersonate.UserName = "nobody" })
	opinion, err := nobody.DryRun(t.Context(), key, task)
	if err != nil || len(opinion.Faults) != 1 || !strings.Contains(opinion.Faults[0], `User "nobody" cannot create resource "jobs"`) {
		t.Errorf("user: %+v, %v", opinion, err)
	}

	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")},
	}}
	if _, err := p.client.CoreV1().ResourceQuotas(p.namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	admin := asking(t, nil)
	p.eventually("the quota is kept", func(ctx context.Context) error {
		opinion, err := admin.DryRun(ctx, key, task)
		if err != nil || len(opinion.Faults) != 1 || !strings.Contains(opinion.Faults[0], "exceeded quota: none") {
			return fmt.Errorf("%+v: %w", opinion, err)
		}
		return nil
	})
}

// What is no answer about the Job is an error.
func TestDryRunErrors(t *testing.T) {
	key, task := taskIn(t, "default", `{"image":"a"}`)
	stranger := asking(t, func(c *rest.Config) { c.BearerToken = "wrong" })
	if _, err := stranger.DryRun(t.Context(), key, task); !apierrors.IsUnauthorized(err) {
		t.Errorf("wrong token: %v", err)
	}
	away := asking(t, func(c *rest.Config) { c.Host = "https://127.0.0.1:1" })
	if _, err := away.DryRun(t.Context(), key, task); !errors.Is(err, ErrNotReached) {
		t.Errorf("no server: %v", err)
	}
	for value, there := range map[string]bool{
		`{"kubernetes":{"image":"a","cluster":"eu"}}`: true, `{"kubernetes":{"image":"a","cluster":"us"}}`: false,
		`{"kubernetes":{"image":"a","clusterSelector":"region=eu"}}`: true, `{"kubernetes":{"image":"a","clusterSelector":"!region"}}`: false,
	} {
		key, task := taskIn(t, "default", value)
		if _, err := asking(t, nil).DryRun(t.Context(), key, task); errors.Is(err, ErrNoCluster) == there {
			t.Errorf("%s: %v", value, err)
		}
	}
}
