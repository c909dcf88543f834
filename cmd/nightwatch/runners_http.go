package main

import (
	"crypto/x509"
	"net/netip"
	"os"
	"regexp"

	"github.com/spf13/pflag"

	"github.com/nightwatch-go/nightwatch/jobrunner"
	"github.com/nightwatch-go/nightwatch/jobrunner/httpcall"
)

// web is where http tasks may send requests, and whom they trust.
type web struct {
	allow []string
	only  []string
	ca    string
}

func (w *web) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&w.allow, "http-allow", nil, "network, such as 127.0.0.1/32, that http tasks may reach although it is loopback, link-local, multicast or a cloud's metadata service; repeatable")
	flags.StringSliceVar(&w.only, "http-only", nil, "network, such as 10.0.0.0/8, or host name that http tasks may reach, and nothing else; repeatable (default: everything but what --http-allow is for)")
	flags.StringVar(&w.ca, "http-ca", "", "file of PEM certificates of authorities that http tasks trust beside the system's")
}

// build makes the http runner. It reads a file and connects to nothing.
func (w *web) build() (jobrunner.Runner, error) {
	var config httpcall.Config
	for _, text := range w.allow {
		network, ok := parseNetwork(text)
		if !ok {
			return nil, usage("--http-allow: %q: want a network such as 10.0.0.0/8 or 127.0.0.1/32", text)
		}
		config.Allow = append(config.Allow, network)
	}
	for _, text := range w.only {
		if network, ok := parseNetwork(text); ok {
			config.OnlyNetworks = append(config.OnlyNetworks, network)
		} else if hostName.MatchString(text) && !endsInNumber.MatchString(text) {
			config.OnlyHosts = append(config.OnlyHosts, text)
		} else {
			return nil, usage("--http-only: %q: want a network such as 10.0.0.0/8 or 10.0.0.7/32, or a host name such as billing.internal", text)
		}
	}
	if w.ca != "" {
		var err error
		if config.RootCAs, err = authorities(w.ca); err != nil {
			return nil, err
		}
	}
	return httpcall.New(config), nil
}

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
	// endsInNumber is what some resolvers take for an address: no host is named like that.
	endsInNumber = regexp.MustCompile(`(^|\.)([0-9]+|0[xX][0-9A-Fa-f]*)\.?$`)
)

// parseNetwork reads a network. Addresses are compared as IPv4 where they can be: one of IPv4 written as IPv6 would match
// nothing.
func parseNetwork(text string) (netip.Prefix, bool) {
	network, err := netip.ParsePrefix(text)
	return network, err == nil && !network.Addr().Is4In6()
}

// authorities are the system's and those of a file.
func authorities(file string) (*x509.CertPool, error) {
	certificates, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("--http-ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, usage("--http-ca: read the system's authorities: %w", err)
	}
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, usage("--http-ca: %s: want certificates in PEM", file)
	}
	return pool, nil
}
