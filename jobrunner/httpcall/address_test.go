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
