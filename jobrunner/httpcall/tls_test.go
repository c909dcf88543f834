package httpcall_test

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
	"github.com/nightwatch-go/nightwatch/jobrunner/runnertest"
)

// serveTLS is a server whose certificate is for example.com, 127.0.0.1 and ::1, and signed by itself.
func serveTLS(t *testing.T, fn http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(fn)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestTLS(t *testing.T) {
	var other *httptest.Server
	var sni string
	server := serveTLS(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/elsewhere" {
			http.Redirect(w, req, other.URL, http.StatusFound)
		}
		sni = req.TLS.ServerName
	})
	other = serveTLS(t, func(_ http.ResponseWriter, req *http.Request) { sni = req.TLS.ServerName })
	// Both servers have the certificate that httptest always has.
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	for _, tt := range []struct {
		name       string
		roots      *x509.CertPool
		serverName string
		path       string
		sni        string
		message    string
	}{
		{name: "trusted", roots: trusted},
		{name: "not trusted", message: "certificate signed by unknown authority"},
		{name: "trusting nobody", roots: x509.NewCertPool(), message: "certificate signed by unknown authority"},
		{name: "by another name", roots: trusted, serverName: "example.com", sni: "example.com"},
		{name: "by a name that it has not", roots: trusted, serverName: "billing.internal", message: "certificate is valid for"},
		{name: "redirect, where the name says nothing", roots: trusted, serverName: "example.com", path: "/elsewhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			task := get(server.URL + tt.path)
			task.HTTP.TLS.ServerName = tt.serverName
			a, _ := runnertest.Attempt(t, task)
			out := httpcall.New(httpcall.Config{Allow: loopback, RootCAs: tt.roots}).Run(t.Context(), a)
			switch {
			case tt.message != "":
				if out.Reason != nightwatch.ReasonHTTPError || !strings.Contains(out.Message, tt.message) {
					t.Errorf("%+v: want HTTPError, %s", out, tt.message)
				}
			case out.Phase != nightwatch.PhaseSucceeded || sni != tt.sni:
				t.Errorf("%+v, server name %q: want Succeeded, %q", out, sni, tt.sni)
			}
		})
	}
}

// TestDowngrade has a server of https send the request to one of http, which is not given what was for the first.
func TestDowngrade(t *testing.T) {
	var got http.Header
	plain := serve(t, func(_ http.ResponseWriter, req *http.Request) { got = req.Header })
	server := serveTLS(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, plain.URL, http.StatusTemporaryRedirect)
	})
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	task := get(server.URL)
	task.HTTP.Headers = texts(map[string]string{"Authorization": "secret"})
	a, _ := runnertest.Attempt(t, task)
	out := httpcall.New(httpcall.Config{Allow: loopback, RootCAs: trusted}).Run(t.Context(), a)
	if out.Phase != nightwatch.PhaseSucceeded || got.Get("Authorization") != "" || got.Get("Nightwatch-Run") == "" {
		t.Errorf("%+v, headers %v", out, got)
	}
}
