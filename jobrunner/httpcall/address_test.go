package httpcall

import (
	"net/netip"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		address string
		refused bool
	}{
		{"127.0.0.1", true}, {"127.9.9.9", true}, {"::1", true}, {"::ffff:127.0.0.1", true}, {"0.0.0.0", true}, {"0.1.2.3", true}, {"::", true},
		{"169.254.1.1", true}, {"169.254.169.254", true}, {"fe80::1", true}, {"fe80::1%eth0", true}, {"::ffff:169.254.169.254", true},
		{"224.0.0.1", true}, {"239.1.2.3", true}, {"ff02::1", true}, {"255.255.255.255", true},
		{"100.100.100.200", true}, {"168.63.129.16", true}, {"192.0.0.192", true}, {"fd00:ec2::254", true}, {"fd00:ec2::23", true}, {"fd20:ce::254", true},
		{"64:ff9b::7f00:1", true}, {"64:ff9b::a9fe:a9fe", true}, {"64:ff9b:1::7f00:1", true}, {"64:ff9b:1:fffe::7f00:1", true}, {"2002:7f00:1::", true}, {"::7f00:1", true}, {"::ffff:0:7f00:1", true},
		{"10.0.0.1", false}, {"172.16.0.1", false}, {"192.168.1.1", false}, {"fd00::1", false}, {"100.64.0.1", false},
		{"93.184.216.34", false}, {"2606:2800:220:1::1", false}, {"64:ff9b::5db8:d822", false}, {"::ffff:10.0.0.1", false},
	} {
		err := check(netip.MustParseAddr(tt.address), nil)
		if (err != nil) != tt.refused {
			t.Errorf("%s: %v: want refused %t", tt.address, err, tt.refused)
		}
		everything := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		if err := check(netip.MustParseAddr(tt.address), everything); err != nil {
			t.Errorf("%s with everything allowed: %v", tt.address, err)
		}
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if check(netip.MustParseAddr("::ffff:127.0.0.1"), loopback) != nil || check(netip.MustParseAddr("64:ff9b::7f00:1"), loopback) != nil {
		t.Error("an allowed address is refused in another form")
	}
	if check(netip.MustParseAddr("::1"), loopback) == nil || check(netip.MustParseAddr("169.254.169.254"), loopback) == nil {
		t.Error("an address that is not in an allowed network is allowed")
	}
}

// TestRules narrows a node: what it is narrowed to opens nothing that is refused by default.
func TestRules(t *testing.T) {
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	networks := Config{OnlyNetworks: prefixes("10.0.0.0/8", "fd00:1::/32")}
	hosts := Config{OnlyHosts: []string{"Billing.internal", "localhost."}}
	both := Config{OnlyNetworks: networks.OnlyNetworks, OnlyHosts: hosts.OnlyHosts}
	opened := Config{OnlyNetworks: prefixes("127.0.0.1/32"), Allow: prefixes("127.0.0.0/8")}
	for _, tt := range []struct {
		name    string
		config  Config
		host    string
		address string
		unasked bool // refused before the host is looked up
		refused bool
	}{
		{name: "not narrowed", host: "a.example", address: "192.168.1.1"},
		{name: "in a network", config: networks, host: "a.example", address: "10.1.2.3"},
		{name: "in a network of IPv6", config: networks, host: "a.example", address: "fd00:1:2::3"},
		{name: "in a network, written as IPv6", config: networks, host: "a.example", address: "::ffff:10.1.2.3"},
		{name: "beside a network", config: networks, host: "a.example", address: "11.1.2.3", refused: true},
		{name: "in a network by a gateway elsewhere", config: networks, host: "a.example", address: "64:ff9b::a01:203", refused: true},
		{name: "an address in a network", config: networks, host: "10.1.2.3", address: "10.1.2.3"},
		{name: "an address beside a network", config: networks, host: "11.1.2.3", address: "11.1.2.3", refused: true},
		{name: "a host", config: hosts, host: "billing.internal", address: "192.168.1.1"},
		{name: "a host written otherwise", config: hosts, host: "BILLING.internal.", address: "192.168.1.1"},
		{name: "another host", config: hosts, host: "a.billing.internal", unasked: true},
		{name: "a host whose name ends alike", config: hosts, host: "notbilling.internal", unasked: true},
		{name: "an address when there are only hosts", config: hosts, host: "192.168.1.1", address: "192.168.1.1", refused: true},
		{name: "a host that is this machine", config: hosts, host: "localhost", address: "127.0.0.1", refused: true},
		{name: "a host that became a metadata service", config: hosts, host: "billing.internal", address: "169.254.169.254", refused: true},
		{name: "a host beside networks", config: both, host: "billing.internal", address: "192.168.1.1"},
		{name: "another host in a network", config: both, host: "a.example", address: "10.1.2.3"},
		{name: "another host beside networks", config: both, host: "a.example", address: "192.168.1.1", refused: true},
		{name: "a network that is allowed as well", config: opened, host: "localhost", address: "127.0.0.1"},
		{name: "allowed, but narrowed away", config: opened, host: "localhost", address: "127.0.0.2", refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRules(tt.config)
			named, err := r.host(tt.host)
			if (err != nil) != tt.unasked {
				t.Fatalf("host %s: %v: want refused %t", tt.host, err, tt.unasked)
			}
			if tt.unasked {
				return
			}
			if err := r.address(netip.MustParseAddr(tt.address), named); (err != nil) != tt.refused {
				t.Errorf("%s at %s: %v: want refused %t", tt.host, tt.address, err, tt.refused)
			}
		})
	}
}
