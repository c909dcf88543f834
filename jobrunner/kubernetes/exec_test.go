package kubernetes

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"
)

// A credential plugin that hangs must hold up neither a node that starts nor one that stops. client-go itself does not
// look at a request's context while the plugin runs.
func TestCredentialPluginHangs(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	dir := t.TempDir()
	plugin, called := filepath.Join(dir, "plugin"), filepath.Join(dir, "called")
	// It ends when the test does, so that no goroutine of client-go's is left waiting for it.
	script := "#!/bin/sh\ntouch " + called + "\nwhile [ -e " + called + " ]; do sleep 0.05; done\nexit 1\n"
	if err := os.WriteFile(plugin, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{RequestTimeout: 500 * time.Millisecond, Clusters: []Cluster{{REST: &rest.Config{Host: server.URL, ExecProvider: &api.ExecConfig{
		Command: plugin, APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: api.NeverExecInteractiveMode,
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := r.clusters[0].call(t.Context(), func(ctx context.Context) error {
			_, err := r.clusters[0].identify(ctx)
			return err
		})
		if err == nil || reached(r) != 0 {
			t.Errorf("clusters %v, error %v", r.Clusters(), err)
		}
	}()
	late := time.After(patience)
	for asked := false; !asked; {
		select {
		case <-time.After(5 * time.Millisecond):
			_, err := os.Stat(called)
			asked = err == nil
		case <-late:
			t.Fatal("the plugin is not asked")
		}
	}
	select {
	case <-done:
	case <-late:
		t.Error("a request waits for the plugin")
	}
	if err := os.Remove(called); err != nil {
		t.Error(err)
	}
	<-done
}
