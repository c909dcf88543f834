package kubernetes

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionreview "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/nightwatch-go/nightwatch"
)

// webhook has the API server ask a program whether Jobs of the place's namespace may be: one that wants none of a name. The
// function that is returned starts the program; until then nobody answers, and the API server lets nothing in.
func (p *place) webhook(unwanted string) (listen func()) {
	p.t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var review admissionreview.AdmissionReview
		if err := json.NewDecoder(request.Body).Decode(&review); err != nil {
			p.t.Error(err)
			return
		}
		review.Response = &admissionreview.AdmissionResponse{UID: review.Request.UID, Allowed: review.Request.Name != unwanted}
		if !review.Response.Allowed {
			review.Response.Result = &metav1.Status{Message: "Jobs of this name wait for Monday"}
		}
		review.Request = nil
		if err := json.NewEncoder(w).Encode(review); err != nil {
			p.t.Error(err)
		}
	}))
	address := server.Listener.Addr().String()
	_ = server.Listener.Close()
	// Its certificate is that of all servers of this package of Go's.
	known := httptest.NewTLSServer(nil)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: known.Certificate().Raw})
	known.Close()

	webhooks, id := p.client.AdmissionregistrationV1().ValidatingWebhookConfigurations(), p.namespace+"-ask"
	_, err := webhooks.Create(p.t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name:                    "jobs.example.com",
			ClientConfig:            admissionv1.WebhookClientConfig{URL: ptr.To("https://" + address + "/jobs"), CABundle: ca},
			FailurePolicy:           ptr.To(admissionv1.Fail),
			SideEffects:             ptr.To(admissionv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: p.namespace}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = webhooks.Delete(context.WithoutCancel(p.t.Context()), id, metav1.DeleteOptions{}) })
	job := jobOf(p.t, p.attempt("probe", nil).Attempt, p.namespace, "probe")
	p.eventually("the webhook is asked", func(ctx context.Context) error {
		_, err := p.client.BatchV1().Jobs(p.namespace).Create(ctx, job, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return errors.New("it is not")
		}
		return nil
	})
	return func() {
		p.t.Helper()
		p.eventually("the webhook listens", func(ctx context.Context) (err error) {
			server.Listener, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
			return err
		})
		server.StartTLS()
		p.t.Cleanup(server.Close)
	}
}

// A webhook's refusal is for good, and its words are the message.
func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.webhook("hello")()
	out := p.attempt("hello", nil).start().outcome()
	expect(t, out, nightwatch.PhaseFailed, nightwatch.ReasonStartRefused)
	if want := `admission webhook "jobs.example.com" denied the request: Jobs of this name wait for Monday`; !strings.Contains(out.Message, want) {
		t.Errorf("message %q, want %q", out.Message, want)
	}
	if err := p.absent("hello"); err != nil {
		t.Error(err)
	}
	expect(t, p.attempt("other", map[string]string{"run": "100ms"}).start().outcome(), nightwatch.PhaseSucceeded, "")
}

// One that does not answer may do so later: until startWithin is over. The API server says that it has made nothing, so
// that is the end of it.
func TestWebhookAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	listen := p.webhook("nobody")
	late := p.attempt("late", nil)
	late.Task.StartWithin, late.StartBy = nightwatch.Duration(2*time.Second), time.Now().Add(2*time.Second)
	out := late.start().outcome()
	expect(t, out, nightwatch.PhaseMissed, nightwatch.ReasonStartWithin)
	for _, want := range []string{"could not be started within 2s: ", `failed calling webhook "jobs.example.com"`, "connection refused"} {
		if !strings.Contains(out.Message, want) {
			t.Errorf("message %q, want %q", out.Message, want)
		}
	}

	waits := p.attempt("waits", map[string]string{"run": "100ms"}).start()
	listen()
	expect(t, waits.outcome(), nightwatch.PhaseSucceeded, "")
	if err := p.absent("late"); err != nil {
		t.Error(err)
	}
}
