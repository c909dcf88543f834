package httpcall

import (
	"fmt"
	"net/netip"
	"slices"
)

// deniedError is the refusal of an address.
type deniedError struct{ address, why string }

func (e *deniedError) Error() string {
	return fmt.Sprintf("requests to %s are refused (%s): the node does not allow its network", e.address, e.why)
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
		return &deniedError{address: addr.String(), why: why}
	}
	for _, e := range embedding {
		if !e.network.Contains(addr) {
			continue
		}
		bytes := addr.As16()
		if inner, ok := netip.AddrFromSlice(bytes[e.at : e.at+4]); ok && check(inner, allow) != nil {
			return &deniedError{address: addr.String(), why: "stands for " + inner.String()}
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
