package kubernetes

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// TestRightsOfTheExample sees runs to their ends as an account that has the role of examples/kubernetes/rbac.yaml and nothing
// else: it is refused nothing, and it uses all of it.
func TestRightsOfTheExample(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	used, refused := map[string]bool{}, map[string]bool{}
	const account = "system:serviceaccount:nightwatch:nightwatch"
	granted := grantRights(t, newPlace(t))
	p := newPlace(t,
		func(c *Config) { c.Clusters[0].REST.Impersonate = rest.ImpersonationConfig{UserName: account} },
		intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			mu.Lock()
			defer mu.Unlock()
			used[rightOf(request)] = true
			if err == nil && response.StatusCode == http.StatusForbidden {
				refused[rightOf(request)] = true
			}
			return response, err
		}))

	good := p.attempt("good", map[string]string{"run": "100ms"})
	expect(t, good.start().outcome(), nightwatch.PhaseSucceeded, "")
	bad := p.attempt("bad", map[string]string{"run": "100ms", "exit": "3", "message": "disk full"}).start().outcome()
	if expect(t, bad, nightwatch.PhaseFailed, nightwatch.ReasonExitCode); bad.Output != "disk full" {
		t.Errorf("outcome %+v", bad)
	}
	_, _ = good.log(jobrunner.LogOptions{Tail: jobrunner.All, Shard: jobrunner.All}) // pods that are played have no logs
	nobody := p.attempt("nobody", nil)
	nobody.Task.Kubernetes, nobody.Task.Image = &nightwatch.KubernetesSpec{Image: "busybox", ServiceAccountName: "nobody"}, ""
	nobody.start().saying("FailedCreate")
	nobody.end(jobrunner.ErrCancel)
	expect(t, nobody.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
	first := p.attempt("handed", forever).start()
	first.running()
	first.end(jobrunner.ErrSessionLost)
	first.outcome()
	second := first.next().start()
	second.running()
	second.end(jobrunner.ErrCancel)
	expect(t, second.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)

	mu.Lock()
	defer mu.Unlock()
	if len(refused) > 0 {
		t.Errorf("refused: %v", slices.Sorted(maps.Keys(refused)))
	}
	if !maps.Equal(used, granted) {
		t.Errorf("used %v, granted %v", slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(granted)))
	}
}

// grantRights makes what the example has, and returns the rights in it: "get pods/log".
func grantRights(t *testing.T, p *place) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../examples/kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	granted := map[string]bool{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(document), nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		ctx, options := t.Context(), metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
		switch o := object.(type) {
		case *corev1.Namespace:
			_, err = p.client.CoreV1().Namespaces().Create(ctx, o, options)
		case *corev1.ServiceAccount:
			_, err = p.client.CoreV1().ServiceAccounts(o.Namespace).Create(ctx, o, options)
		case *rbacv1.ClusterRoleBinding:
			_, err = p.client.RbacV1().ClusterRoleBindings().Create(ctx, o, options)
		case *rbacv1.ClusterRole:
			_, err = p.client.RbacV1().ClusterRoles().Create(ctx, o, options)
			for _, rule := range o.Rules {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						granted[verb+" "+resource] = true
					}
				}
			}
		default:
			t.Fatalf("%T", object)
		}
		if err != nil && !apierrors.IsAlreadyExists(err) { // from an earlier round of this test
			t.Fatal(err)
		}
	}
	if len(granted) == 0 {
		t.Fatal("the example grants nothing")
	}
	return granted
}

// rightOf is what a request takes: /api/v1/namespaces/NAMESPACE/pods/NAME/log is "get pods/log".
func rightOf(request *http.Request) string {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	if parts[0] == "apis" {
		parts = parts[1:]
	}
	parts = parts[min(2, len(parts)):] // group or "api", and version
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) == 0 {
		return request.Method + " " + request.URL.Path
	}
	resource := parts[0]
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodDelete: "delete", http.MethodPatch: "patch", http.MethodPut: "update"}[request.Method]
	switch {
	case verb != "":
	case request.URL.Query().Get("watch") != "":
		verb = "watch"
	case len(parts) > 1:
		verb = "get"
	default:
		verb = "list"
	}
	return fmt.Sprintf("%s %s", verb, resource)
}
