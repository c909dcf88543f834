package registry

import "fmt"

// maxName is how long a node's name may be: it is also a label value in Kubernetes.
const maxName = 63

// checkName says what is wrong with a node's name, which must be a DNS-1123 subdomain of at most 63 characters.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("node name %q has %d characters: want 1 to %d", name, len(name), maxName)
	}
	alphanumeric := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	for i := range len(name) {
		edge := i == 0 || i == len(name)-1 || name[i-1] == '.' || name[i+1] == '.'
		if c := name[i]; !alphanumeric(c) && (edge || c != '-' && c != '.') {
			return fmt.Errorf("node name %q: want lower-case letters, digits, '-' and '.', each part beginning and ending "+
				"with a letter or digit", name)
		}
	}
	return nil
}
