package console

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// LocalOnly refuses, with 421, requests whose Host is not a loopback address or "localhost". A browser sends the name
// that the page was loaded from, so this is what stops a page whose name was made to resolve to 127.0.0.1 (DNS
// rebinding; etcd's CVE-2018-5702). Logs and callbacks are for any Host: they want a token, which no such page has, and
// often come through a proxy that keeps the Host it was asked for.
func LocalOnly(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(logPattern, next)
	mux.Handle(callbackPattern, next)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !LocalHost(r.Host) {
			message := fmt.Sprintf("Host %.80q is refused: this listener is on a loopback address and answers to localhost only.\n", r.Host)
			answer(w, http.StatusMisdirectedRequest, message)
			return
		}
		next.ServeHTTP(w, r)
	})
	return mux
}

// LocalHost tells whether host, with or without a port, names this machine's loopback interface without asking DNS.
func LocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
