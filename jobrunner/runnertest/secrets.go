package runnertest

import "errors"

// Secrets are a node's secrets by name, the same for all namespaces, for an attempt's Secrets.
type Secrets map[string]string

// Read is jobrunner.Secrets'.
func (s Secrets) Read(_, name string) (string, error) {
	if text, ok := s[name]; ok {
		return text, nil
	}
	return "", errors.New("there is no such secret")
}
