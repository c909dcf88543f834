package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/kubetest"
	"github.com/nightwatch-go/nightwatch/jobrunner"
)

// second starts another control plane, with the place's namespace in it.
func (p *place) second() (*kubetest.Cluster, *kubernetes.Clientset) {
	p.t.Helper()
	cluster, err := kubetest.Start(p.t.Context(), kubetest.Options{Log: os.Stderr})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(cluster.Stop)
	config := rest.CopyConfig(cluster.Config)
	client := kubernetes.NewForConfigOrDie(config)
	if _, err := client.CoreV1().Namespaces().Create(p.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.namespace}}, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	p.eventually("the service account is there", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(p.namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return cluster, client
}

// on is an attempt that was given to a cluster, by its name.
func (p *place) on(cluster, name string, pod map[string]string) *run {
	p.t.Helper()
	r := p.attempt(name, pod)
	r.Record.Cluster, r.Record.Job = cluster, nil
	p.runner.Prepare(&r.Record, p.clusterID)
	p.records.set(r.Record)
	return p.claim(r.Task, r.Record)
}

// link is a connection that a test can cut, what is under way included.
type link struct {
	mu   sync.Mutex
	over chan struct{} // closed while it is cut; nil while it is not
	down bool
}

func (l *link) state() (over chan struct{}, down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over == nil {
		l.over = make(chan struct{})
	}
	return l.over, l.down
}

func (l *link) cut() {
	over, _ := l.state()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	close(over)
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over, l.down = nil, false
}

func (l *link) roundTrip(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	over, down := l.state()
	if down {
		return nil, errors.New("no route to host")
	}
	ctx, cancel := context.WithCancel(request.Context())
	response, err := next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	}()
	response.Body = closing{response.Body, cancel}
	return response, nil
}

// closing is a body whose end ends its request.
type closing struct {
	io.ReadCloser
	end context.CancelFunc
}

func (c closing) Close() error {
	defer c.end()
	return c.ReadCloser.Close()
}

func TestTwoClusters(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	other, client := p.second()
	var cut link // to the first cluster
	p.runner = p.newRunner(func(c *Config) { c.Clusters = append(c.Clusters, reach("other", other)...) },
		often, intercept(cut.roundTrip))
	uids := map[string]string{}
	for _, c := range p.runner.Clusters() {
		uids[c.Name] = c.UID
	}
	if uids["test"] == uids["other"] || uids["test"] == "" || uids["other"] == "" {
		t.Fatalf("clusters %v", uids)
	}
	there := func(name string) error {
		_, err := client.BatchV1().Jobs(p.namespace).Get(t.Context(), name, metav1.GetOptions{})
		return err
	}

	// Each run is in the cluster that it was given to, and only there.
	quick := map[string]string{"run": "100ms"}
	first, second := p.on("test", "first", quick).start(), p.on("other", "second", quick).start()
	plain := p.on("", "plain", quick).start()
	for _, r := range []*run{first, second, plain} {
		expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
	}
	if jobs := p.jobs(); len(jobs) != 2 || jobs["first"].Name == "" || jobs["plain"].Name == "" {
		t.Errorf("Jobs in the first cluster: %d", len(jobs))
	}
	if err := there("second"); err != nil || second.job().Cluster != uids["other"] || first.job().Cluster != uids["test"] {
		t.Errorf("%v; records %+v, %+v", err, first.job(), second.job())
	}

	// What the record says decides, whatever the cluster is called here.
	slow := p.on("other", "slow", forever).start()
	p.eventually("its Job is there", func(context.Context) error { return there("slow") })
	p.eventually("its uid is on record", func(context.Context) error {
		if slow.job().UID == "" {
			return errors.New("it is not")
		}
		return nil
	})
	slow.end(jobrunner.ErrSessionLost)
	slow.outcome()
	renamed := slow.next()
	renamed.Record.Cluster = "a name that another node gives it"
	renamed.start()

	// One that is out of reach harms nothing but itself.
	cut.cut()
	p.eventually("the first cluster is not announced any more", func(context.Context) error {
		for _, c := range p.runner.Clusters() {
			if reached := c.UID != ""; reached != (c.Name == "other") {
				return fmt.Errorf("clusters %+v", p.runner.Clusters())
			}
		}
		return nil
	})
	waiting := p.on("test", "waiting", quick).start()
	for i := range 3 {
		expect(t, p.on("other", fmt.Sprintf("more-%d", i), quick).start().outcome(), nightwatch.PhaseSucceeded, "")
	}
	checks := p.runner.Checks()
	if checks[0].Name != "test" || checks[0].Err == nil || checks[1].Name != "other" || checks[1].Err != nil {
		t.Errorf("checks %v", checks)
	}
	p.records.delete(renamed.Record)
	p.eventually("a Job without a record is swept from the other cluster", func(context.Context) error {
		if there("slow") == nil {
			return errors.New("it is there")
		}
		return nil
	})
	expect(t, renamed.outcome(), nightwatch.PhaseFailed, nightwatch.ReasonJobGone)

	cut.mend()
	expect(t, waiting.outcome(), nightwatch.PhaseSucceeded, "")
	p.eventually("both are announced", func(context.Context) error {
		if reached(p.runner) != 2 {
			return fmt.Errorf("clusters %+v", p.runner.Clusters())
		}
		return nil
	})
}

func TestSuits(t *testing.T) {
	r, err := New(Config{Clusters: []Cluster{
		{Name: "main", REST: &rest.Config{}, Labels: map[string]string{"region": "eu"}},
		{Name: "other", REST: &rest.Config{}, Labels: map[string]string{"region": "us"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		given, spec string
		want        bool
	}{
		{"", "", true},
		{"main", "", true},
		{"other", "", false},
		{"other", `,"cluster":"other"`, true},
		{"main", `,"cluster":"other"`, false},
		{"other", `,"clusterSelector":"region=us"`, true},
		{"other", `,"clusterSelector":"region=eu"`, false},
		{"main", `,"clusterSelector":"region"`, true},
	} {
		task, err := nightwatch.ParseTask("default/hello", []byte(`{"kubernetes":{"image":"a"`+row.spec+`}}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Suits(&nightwatch.Run{Cluster: row.given}, task); got != row.want {
			t.Errorf("%q and %q: %v", row.given, row.spec, got)
		}
	}
}

// What a request waits for its turn is not part of the time that it may take, and a wish to cancel ends the wait.
func TestTurns(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	slow := p.newRunner(func(c *Config) { c.QPS, c.Burst, c.RequestTimeout = 4, 1, 2*time.Second })
	var runs []*run
	for i := range 16 { // the last waits for more than a request may take
		runs = append(runs, p.attempt(fmt.Sprintf("hello-%d", i), map[string]string{"run": "100ms"}).startOn(slow))
	}
	for _, r := range runs {
		expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
	}
	if got := len(p.jobs()); got != len(runs) {
		t.Errorf("%d Jobs", got)
	}

	// The API server asks to be left alone; all requests obey, and a run that is canceled meanwhile needs none.
	slow.clusters[0].pace.heard(answer(&http.Request{}, metav1.Status{Code: 503}, "Retry-After", "3600"))
	if left := time.Until(slow.clusters[0].pace.until); left > maxRetryAfter || left < maxRetryAfter/2 {
		t.Errorf("it is left alone for %s", left)
	}
	r := p.attempt("never", forever).startOn(slow)
	r.end(jobrunner.ErrCancel)
	expect(t, r.outcome(), nightwatch.PhaseCanceled, nightwatch.ReasonCancelRequested)
}

// However many runs begin at once, no more requests than maxFlying are under way.
func TestRequestsUnderWay(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	flying, most := 0, 0
	full := make(chan struct{}) // closed once as many creates are under way as may be
	p := newPlace(t, intercept(func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		if request.Method != http.MethodPost {
			return next.RoundTrip(request)
		}
		mu.Lock()
		if flying++; flying > most {
			if most = flying; most == maxFlying {
				close(full)
			}
		}
		mu.Unlock()
		<-full
		defer func() {
			mu.Lock()
			flying--
			mu.Unlock()
		}()
		return next.RoundTrip(request)
	}))
	var runs []*run
	for i := range maxFlying + 16 {
		runs = append(runs, p.attempt(fmt.Sprintf("hello-%d", i), map[string]string{"run": "100ms"}).start())
	}
	for _, r := range runs {
		expect(t, r.outcome(), nightwatch.PhaseSucceeded, "")
	}
	if most != maxFlying {
		t.Errorf("%d creates at once, want %d", most, maxFlying)
	}
}
