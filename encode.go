package nightwatch

import (
	"bytes"
	"encoding/json"
	"sync"
)

// Encode is the JSON of a value of ours as it stands in a key, for people to read with etcdctl: unlike json.Marshal it
// leaves "<", ">" and "&" as they are.
func Encode(value any) ([]byte, error) {
	enc, _ := encoders.Get().(*encoder)
	defer encoders.Put(enc)
	enc.out.Reset()
	if err := enc.json.Encode(value); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(enc.out.Bytes(), []byte("\n"))), nil
}

// encoder is a buffer that was large enough before.
type encoder struct {
	out  bytes.Buffer
	json *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	enc := new(encoder)
	enc.json = json.NewEncoder(&enc.out)
	enc.json.SetEscapeHTML(false)
	return enc
}}
