package reference

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/nightwatch-go/nightwatch"
)

// kubernetesTypes are the objects of the Kubernetes API that a Job template is made of: the types of their fields by name,
// as the root package has them.
type kubernetesTypes map[string]map[string]string

func readKubernetes(root string) (kubernetesTypes, error) {
	data, err := os.ReadFile(filepath.Join(root, "kubernetes_schema.json"))
	if err != nil {
		return nil, err
	}
	var types kubernetesTypes
	if err := json.Unmarshal(data, &types); err != nil {
		return nil, fmt.Errorf("kubernetes_schema.json: %w", err)
	}
	// What the system or Kubernetes sets, a template cannot.
	for of, fields := range map[string][]string{
		"ObjectMeta": {
			"name", "generateName", "selfLink", "uid", "resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
		},
		"JobSpec": {"selector", "manualSelector"},
		"PodSpec": {"ephemeralContainers"},
	} {
		for _, field := range fields {
			delete(types[of], field)
		}
	}
	return types, nil
}

// field is the schema of a field of a task that holds JSON of a type of the API, or a string in its place.
func (k kubernetesTypes) field(api string, of reflect.Type) members {
	either := members{{"anyOf", []any{members{{"type", "string"}, {"pattern", noNUL}}, k.value(api)}}}
	switch of {
	case reflect.TypeFor[nightwatch.StringOrObject]():
		return either
	case reflect.TypeFor[map[string]nightwatch.StringOrObject]():
		return members{{"type", "object"}, {"additionalProperties", either}}
	}
	return k.value(api)
}

const quantityForm = `^[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$`

var kubernetesScalars = map[string]members{
	"string":      {{"type", "string"}},
	"bool":        {{"type", "boolean"}},
	"int32":       {{"type", "integer"}, {"minimum", math.MinInt32}, {"maximum", math.MaxInt32}},
	"int64":       {{"type", "integer"}, {"minimum", math.MinInt64}, {"maximum", math.MaxInt64}},
	"quantity":    {{"type", []string{"string", "number"}}, {"pattern", quantityForm}},
	"intOrString": {{"type", []string{"integer", "string"}}},
	// kubectl writes creationTimestamp: null.
	"time": {{"type", []string{"string", "null"}}, {"format", "date-time"}},
	"any":  {},
}

func (k kubernetesTypes) value(of string) members {
	if item, ok := strings.CutPrefix(of, "[]"); ok {
		return members{{"type", "array"}, {"items", k.value(item)}}
	}
	if value, ok := strings.CutPrefix(of, "{}"); ok {
		return members{{"type", "object"}, {"additionalProperties", k.value(value)}}
	}
	if scalar, ok := kubernetesScalars[of]; ok {
		return scalar
	}
	return members{{"$ref", "#/definitions/" + of}}
}

// definitions are the schemas of the objects that a Job template reaches.
func (k kubernetesTypes) definitions() members {
	reached := map[string]bool{}
	k.reach("JobTemplateSpec", reached)
	var all members
	for _, of := range slices.Sorted(maps.Keys(reached)) {
		var properties members
		for _, name := range slices.Sorted(maps.Keys(k[of])) {
			schema := k.value(k[of][name]).with(kubernetesForms[of+"."+name])
			properties = append(properties, member{name, schema})
		}
		all = append(all, member{of, append(members{
			{"type", "object"}, {"additionalProperties", false}, {"properties", properties},
		}, kubernetesRules[of]...)})
	}
	return all
}

func (k kubernetesTypes) reach(of string, reached map[string]bool) {
	of = strings.TrimPrefix(strings.TrimPrefix(of, "[]"), "{}")
	fields, object := k[of]
	if !object || reached[of] {
		return
	}
	reached[of] = true
	for _, field := range fields {
		k.reach(field, reached)
	}
}
