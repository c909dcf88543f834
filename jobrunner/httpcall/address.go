package httpcall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// deniedError is the refusal of an address, or of a host before it has one.
type deniedError struct{ target, why string }

func (e *deniedError) Error() string {
	return fmt.Sprintf("requests to %s are refused (%s): the node does not allow its network", e.target, e.why)
}

// rules say where requests may go.
type rules struct {
	// allow are networks that are reached although they are refused by default.
	allow []netip.Prefix
	// only and hosts, unless both are empty, are all that is reached.
	only  []netip.Prefix
	hosts []string
}

func newRules(cfg Config) rules {
	r := rules{allow: slices.Clone(cfg.Allow), only: slices.Clone(cfg.OnlyNetworks)}
	for _, host := range cfg.OnlyHosts {
		r.hosts = append(r.hosts, bareHost(host))
	}
	return r
}

// bareHost is a host's name in the form in which two of them are compared.
func bareHost(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

const narrowed = "not among those the node is narrowed to"

// host says whether addresses of a host are refused before any is known, so that not even its name is looked up, and
// whether they are taken because of its name.
func (r rules) host(name string) (named bool, err error) {
	named = slices.Contains(r.hosts, bareHost(name))
	_, notAddress := netip.ParseAddr(name)
	if !named && notAddress != nil && len(r.hosts) > 0 && len(r.only) == 0 {
		return false, &deniedError{target: name, why: narrowed}
	}
	return named, nil
}

// address refuses an address of a host. That a host is named does not open what is refused by default.
func (r rules) address(addr netip.Addr, named bool) error {
	addr = addr.Unmap().WithZone("")
	if err := check(addr, r.allow); err != nil {
		return err
	}
	narrow := len(r.only)+len(r.hosts) > 0
	if narrow && !named && !slices.ContainsFunc(r.only, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return &deniedError{target: addr.String(), why: narrowed}
	}
	return nil
}

// metadata are the services of clouds that hand out credentials by address and are not link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure, the platform's own services
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
	netip.MustParseAddr("fd00:ec2::254"),   // Amazon EC2
	netip.MustParseAddr("fd00:ec2::23"),    // Amazon EKS, identities of pods
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

// Networks whose addresses have an IPv4 address inside, and the byte it begins at.
var embedding = []struct {
	network netip.Prefix
	at      int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},  // NAT64 of a local network, RFC 8215, which takes any /96 of it
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // IPv4-translated, RFC 2765
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4, RFC 3056
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible, RFC 4291
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	broadcast   = netip.MustParseAddr("255.255.255.255")
)

// check refuses an address that requests may not go to unless a network in allow has it.
func check(addr netip.Addr, allow []netip.Prefix) error {
	addr = addr.Unmap().WithZone("")
	if slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return nil
	}
	if why := forbidden(addr); why != "" {
		return &deniedError{target: addr.String(), why: why}
	}
	for _, e := range embedding {
		if !e.network.Contains(addr) {
			continue
		}
		bytes := addr.As16()
		if inner, ok := netip.AddrFromSlice(bytes[e.at : e.at+4]); ok && check(inner, allow) != nil {
			return &deniedError{target: addr.String(), why: "stands for " + inner.String()}
		}
	}
	return nil
}

func forbidden(addr netip.Addr) string {
	switch {
	case addr.IsLoopback():
		return "loopback"
	case slices.Contains(metadata, addr) || addr == netip.AddrFrom4([4]byte{169, 254, 169, 254}):
		return "a cloud's metadata service"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsMulticast(), addr == broadcast:
		return "multicast"
	case addr.IsUnspecified(), thisNetwork.Contains(addr):
		return "unspecified"
	}
	return ""
}
