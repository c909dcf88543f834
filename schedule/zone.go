package schedule

import (
	"strings"
	"time"
)

// maxZoneBytes is well above the longest IANA name (32 bytes).
const maxZoneBytes = 64

const wantZone = "want an IANA name like Europe/Berlin or Asia/Shanghai"

// loadZone returns the zone of an IANA name, UTC for an empty one, or the reason
// why there is none. Names are looked up as file names by the standard library,
// so everything that does not look like a zone stops here.
func loadZone(name string) (loc *time.Location, reason string) {
	if name == "" {
		return time.UTC, ""
	}
	if len(name) > maxZoneBytes || !zoneShaped(name) {
		return nil, "is not a time zone: " + wantZone
	}
	first, _, _ := strings.Cut(name, "/")
	switch strings.ToLower(first) {
	case "local", "localtime", "posixrules":
		return nil, "differs from one machine to the next: " + wantZone
	case "right", "posix":
		return nil, "is a private form of a zone: " + wantZone
	}
	if name == "UTC" {
		return time.UTC, ""
	}
	loc, err := zones.get(name, func() (*time.Location, error) { return time.LoadLocation(name) })
	if err != nil {
		return nil, "no such time zone: " + wantZone
	}
	return loc, ""
}

// zoneShaped reports whether name is made of path elements that begin with a
// letter and consist of letters, digits and "_", "+", "-".
func zoneShaped(name string) bool {
	atStart := true
	for _, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		switch {
		case letter:
			atStart = false
		case atStart:
			return false
		case c == '/':
			atStart = true
		case '0' <= c && c <= '9', c == '_', c == '+', c == '-':
		default:
			return false
		}
	}
	return !atStart
}
