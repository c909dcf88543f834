package nightwatch

import (
	"bytes"
	"encoding/json"
)

// Encode is the JSON of a value of ours as it stands in a key, for people to read with etcdctl: unlike json.Marshal it
// leaves "<", ">" and "&" as they are.
func Encode(value any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
