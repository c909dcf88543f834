package nightwatch

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kubernetesSchema has, for each object that a Job template is made of, its fields and the name of the type of each:
// another object, a scalar, "[]" and the type of a list's items, or "{}" and that of a map's values. It is made from the
// types of k8s.io/api, which this package does not import: make generate.
//
//go:embed kubernetes_schema.json
var kubernetesSchema []byte

// kubernetesObjects is read when the first task wants it, and there once.
var kubernetesObjects = sync.OnceValue(func() map[string]map[string]string {
	var objects map[string]map[string]string
	if err := json.Unmarshal(kubernetesSchema, &objects); err != nil {
		panic(err) // a test reads it
	}
	return objects
})

// decodeKubernetes reads a field that holds JSON of the Kubernetes API, of the type named: as it is, or where a
// string may stand in its place.
func decodeKubernetes(path, of string, data []byte, dst reflect.Value) []FieldError {
	if string(data) == "null" {
		return nil
	}
	switch dst := dst.Addr().Interface().(type) {
	case *json.RawMessage:
		*dst = compact(data)
		return checkKubernetes(path, of, data)
	case *StringOrObject:
		return decodeStringOrObject(path, of, data, dst)
	case *map[string]StringOrObject:
		*dst = map[string]StringOrObject{}
		return eachMember(path, data, func(at, name string, raw json.RawMessage) []FieldError {
			var value StringOrObject
			faults := decodeStringOrObject(clip(at), of, raw, &value)
			(*dst)[name] = value
			return faults
		})
	}
	panic("no field of " + dst.Type().String() + " holds JSON of the Kubernetes API")
}

func decodeStringOrObject(path, of string, data []byte, dst *StringOrObject) []FieldError {
	if !bytes.HasPrefix(data, []byte("{")) {
		if string(data) == "null" || json.Unmarshal(data, &dst.String) != nil {
			return []FieldError{{path, fmt.Sprintf("%s: want a string, in quotes, or an object (%s)", clip(string(data)), of)}}
		}
		return nil
	}
	var is struct{ FromFile json.RawMessage }
	if of == "EnvVarSource" && json.Unmarshal(data, &is) == nil && is.FromFile != nil {
		return []FieldError{{path, "fromFile: what a node has read would stand in the Job for all to see; want secretKeyRef: {name, key}, or envFrom"}}
	}
	dst.Object = compact(data)
	return checkKubernetes(path, of, data)
}

// compact is a copy of valid JSON without white space.
func compact(data []byte) json.RawMessage {
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		return bytes.Clone(data)
	}
	return out.Bytes()
}

// checkKubernetes finds where JSON is not what a type of the Kubernetes API is written as. How deep it goes is bounded
// by maxDepth, which holds for the value as a whole.
func checkKubernetes(path, of string, data []byte) []FieldError {
	if item, list := strings.CutPrefix(of, "[]"); list {
		return checkKubernetesList(path, item, data)
	}
	if value, ok := strings.CutPrefix(of, "{}"); ok {
		return eachMember(path, data, func(at, _ string, raw json.RawMessage) []FieldError {
			return checkKubernetesItem(clipPath(at), value, raw)
		})
	}
	fields, object := kubernetesObjects()[of]
	if !object {
		if reason := wrongScalar(of, data); reason != "" {
			return []FieldError{{path, fmt.Sprintf("%s: want %s", clip(string(data)), reason)}}
		}
		return nil
	}
	return eachMember(path, data, func(at, name string, raw json.RawMessage) []FieldError {
		of, known := fields[name]
		if !known {
			return []FieldError{{clipPath(at), "unknown field" + similar(name, fields)}}
		}
		if string(raw) == "null" {
			return nil // as absent, which is how kubectl writes creationTimestamp
		}
		return checkKubernetes(at, of, raw)
	})
}

func checkKubernetesList(path, of string, data []byte) []FieldError {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return []FieldError{{path, clip(string(data)) + ": want a list"}}
	}
	var faults []FieldError
	for i, item := range items {
		faults = append(faults, checkKubernetesItem(fmt.Sprintf("%s[%d]", path, i), of, item)...)
		if len(faults) >= maxFaults {
			break
		}
	}
	return faults
}

// checkKubernetesItem is about a member of a list or map, where null is no way to leave something out.
func checkKubernetesItem(path, of string, data []byte) []FieldError {
	if string(data) == "null" {
		return []FieldError{{path, "null: want a value"}}
	}
	return checkKubernetes(path, of, data)
}

// clipPath shortens a path to a field of the Kubernetes API, which may be long in its own right.
func clipPath(path string) string { return clipTo(path, 200) }

// kubernetesQuantity is narrower than what the Kubernetes API reads: numbers are of a length that nobody needs more of,
// so that none takes long to calculate with. "1e-999999999" would.
var kubernetesQuantity = regexp.MustCompile(`^[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$`)

// wrongScalar is empty if data is JSON of a scalar of the Kubernetes API, else what would be.
func wrongScalar(of string, data []byte) (want string) {
	var text string
	isText := json.Unmarshal(data, &text) == nil
	whole := func(bits int) bool {
		_, err := strconv.ParseInt(string(data), 10, bits)
		return err == nil
	}
	ok := true
	switch of {
	case "string":
		ok, want = isText, "a string, in quotes"
	case "bool":
		ok, want = string(data) == "true" || string(data) == "false", "true or false"
	case "int32":
		ok, want = whole(32), "a whole number of 32 bits"
	case "int64":
		ok, want = whole(64), "a whole number"
	case "intOrString":
		ok, want = isText || whole(32), "a whole number of 32 bits, or a string"
	case "quantity":
		if !isText {
			text = string(data)
		}
		ok, want = kubernetesQuantity.MatchString(text), `a quantity such as "500m", "1.5" or "512Mi"`
	case "time":
		_, err := time.Parse(time.RFC3339, text)
		ok, want = isText && err == nil, `a time such as "2026-12-01T09:00:00Z"`
	case "any":
	default:
		panic("no such type of the Kubernetes API: " + of)
	}
	if ok {
		return ""
	}
	return want
}
