package bench

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const told = `# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
process_resident_memory_bytes 1.048576e+06
process_start_time_seconds 1.7e+09
`

func TestRead(t *testing.T) {
	if u := read(strings.NewReader("go_goroutines 7\n" + told)); u == nil || *u != (used{12.5, 1 << 20, 1.7e9}) {
		t.Errorf("%+v", u)
	}
	for _, text := range []string{
		"", "<html>", strings.Repeat("x", 1<<20),
		strings.ReplaceAll(told, "process_cpu", "other_cpu"), strings.ReplaceAll(told, "process_resident", "other_resident"),
		strings.ReplaceAll(told, "process_start", "other_start"), strings.Replace(told, "12.5", "many", 1),
	} {
		if u := read(strings.NewReader(text)); u != nil {
			t.Errorf("%.80q: %+v", text, u)
		}
	}
}

// TestProcessReport has nothing of those that do not tell, or are others than before.
func TestProcessReport(t *testing.T) {
	sources := []source{{kind: ProcessNode, name: "n1"}, {kind: ProcessEtcd, name: "silent"}, {kind: ProcessEtcd, name: "came"}, {kind: ProcessEtcd, name: "restarted"}}
	before := []*used{{1, 1 << 20, 100}, {1, 1, 1}, nil, {1, 1, 100}}
	after := []*used{{3, 2 << 20, 100}, nil, {1, 1, 1}, {2, 1, 200}}
	want := []Process{{Kind: ProcessNode, Name: "n1", CPUSecondsPerThousand: 4, RSSBytes: 2 << 20}}
	if got := processReport(sources, before, after, 500); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestEtcdTells over TLS or not, as it is reached.
func TestEtcdTells(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			_, _ = io.WriteString(w, told)
		}
	})
	secure, plain := httptest.NewUnstartedServer(handler), httptest.NewServer(handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of those that do not know its certificate
	secure.StartTLS()
	defer secure.Close()
	defer plain.Close()
	known := &tls.Config{RootCAs: x509.NewCertPool()}
	known.RootCAs.AddCert(secure.Certificate())
	strip := func(url string) string { return url[strings.Index(url, "://")+3:] }
	for _, row := range []struct {
		endpoint, name string
		tls            *tls.Config
		tells          bool
	}{
		{plain.URL, strip(plain.URL), nil, true},
		{strip(plain.URL), strip(plain.URL), nil, true},
		{secure.URL, strip(secure.URL), known, true},
		{strip(secure.URL), strip(secure.URL), known, true},
		{secure.URL, strip(secure.URL), &tls.Config{}, false},
		{strip(secure.URL), strip(secure.URL), nil, false},
		{"unix:///nowhere", "/nowhere", nil, false},
	} {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{row.endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{Config: Config{TLS: row.tls}, client: client}
		sources := b.findSources()
		if len(sources) != 1 || sources[0].kind != ProcessEtcd || sources[0].name != row.name {
			t.Errorf("%s: %+v", row.endpoint, sources)
		}
		if u := look(t.Context(), sources); (u[0] != nil) != row.tells {
			t.Errorf("%s: tells %t, want %t", row.endpoint, u[0] != nil, row.tells)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}
