package kubernetes

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	"github.com/nightwatch-go/nightwatch"
)

var update = flag.Bool("update", false, "write the files that are made from types, instead of comparing them")

// schemaFile is what the root package, which imports nothing of Kubernetes, knows of batch/v1.
const schemaFile = "../../kubernetes_schema.json"

// TestSchema compares the table of the types of a Job template with those of the API that this module is built with.
func TestSchema(t *testing.T) {
	s := table{}
	if root := s.name(t, reflect.TypeFor[batchv1.JobTemplateSpec]()); root != "JobTemplateSpec" {
		t.Fatalf("the root is %s", root)
	}
	made := s.encode(t)
	if *update {
		if err := os.WriteFile(schemaFile, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, committed) {
		t.Errorf("%s is not what the types of k8s.io/api make: make generate", schemaFile)
	}
}

// table has the fields of each object, and the name of the type of each field: a scalar, an object, "[]" and the
// name of a list's items, or "{}" and that of a map's values.
type table map[string]map[string]string

// scalars are the types that are written as something else than their Go type says.
var scalars = map[reflect.Type]string{
	reflect.TypeFor[resource.Quantity]():  "quantity",
	reflect.TypeFor[intstr.IntOrString](): "intOrString",
	reflect.TypeFor[metav1.Time]():        "time",
	reflect.TypeFor[metav1.FieldsV1]():    "any",
	reflect.TypeFor[[]byte]():             "bytes",
}

func (s table) name(t *testing.T, of reflect.Type) string {
	if scalar, ok := scalars[of]; ok {
		return scalar
	}
	if of.Kind() != reflect.Pointer && reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		t.Fatalf("%s reads its JSON itself: say in scalars how it is written", of)
	}
	switch of.Kind() {
	case reflect.Pointer:
		return s.name(t, of.Elem())
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64:
		return of.Kind().String()
	case reflect.Slice:
		return "[]" + s.name(t, of.Elem())
	case reflect.Map:
		if of.Key().Kind() != reflect.String {
			t.Fatalf("%s: keys that are not strings", of)
		}
		return "{}" + s.name(t, of.Elem())
	case reflect.Struct:
		fields := map[string]string{}
		s.fields(t, of, fields)
		if other, known := s[of.Name()]; known && !maps.Equal(other, fields) {
			t.Fatalf("there are two types %s", of.Name())
		}
		s[of.Name()] = fields
		return of.Name()
	}
	t.Fatalf("%s: a kind of type that the table has no word for", of)
	return ""
}

// fields adds those of a struct, and of what is embedded in it.
func (s table) fields(t *testing.T, of reflect.Type, to map[string]string) {
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case name == "" && field.Anonymous:
			s.fields(t, field.Type, to)
		case name == "" || to[name] != "":
			t.Fatalf("%s.%s: name %q is missing or there twice", of, field.Name, name)
		default:
			to[name] = s.name(t, field.Type)
		}
	}
}

// encode writes a type a line, so that a change shows as one.
func (s table) encode(t *testing.T) []byte {
	var out bytes.Buffer
	for i, name := range slices.Sorted(maps.Keys(s)) {
		fields, err := json.Marshal(s[name])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s%q:%s", map[bool]string{true: "{", false: ",\n"}[i == 0], name, fields)
	}
	out.WriteString("}\n")
	return out.Bytes()
}

// Admission takes whatever the types of the API write, whatever its fields; what it says of those besides their types is
// set to what it wants.
func TestAdmissionTakesWhatTheAPIWrites(t *testing.T) {
	fill := randfill.NewWithSeed(1).NilChance(0.3).NumElements(1, 2).MaxDepth(20).Funcs(
		func(s *string, c randfill.Continue) { *s = strings.ToValidUTF8(c.String(8), "") },
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewMilliQuantity(c.Int63n(1e12), resource.DecimalSI)
		},
		func(o *intstr.IntOrString, c randfill.Continue) {
			if *o = intstr.FromInt32(c.Int31()); c.Bool() {
				*o = intstr.FromString(c.String(8))
			}
		},
		func(m *metav1.Time, c randfill.Continue) { *m = metav1.Unix(c.Int63n(1e9), 0) },
		func(m *metav1.ObjectMeta, _ randfill.Continue) {
			*m = metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}
		},
		func(e *corev1.EnvVar, c randfill.Continue) { c.FillNoCustom(e); e.Name = "A" },
	)
	bytes := 0
	for range 100 {
		var job batchv1.JobTemplateSpec
		fill.Fill(&job)
		spec := batchv1.JobSpec{Suspend: job.Spec.Suspend, ManagedBy: job.Spec.ManagedBy, Scheduling: job.Spec.Scheduling, Template: job.Spec.Template}
		job.Spec = spec
		pod := &job.Spec.Template.Spec
		pod.RestartPolicy, pod.EphemeralContainers, pod.ActiveDeadlineSeconds = corev1.RestartPolicyNever, nil, nil
		for i := range pod.InitContainers {
			pod.InitContainers[i].Name, pod.InitContainers[i].Image = fmt.Sprintf("init-%d", i), "b"
		}
		pod.Containers = append(pod.Containers, corev1.Container{})
		for i := range pod.Containers {
			pod.Containers[i].Name, pod.Containers[i].Image = fmt.Sprintf("c-%d", i), "b"
		}
		template, err := json.Marshal(&job)
		if err != nil {
			t.Fatal(err)
		}
		if len(template) > nightwatch.MaxValue-100 {
			continue
		}
		bytes += len(template)
		value := `{"kubernetes":{"template":` + string(template) + `}}`
		task, err := nightwatch.ParseTask("default/hello", []byte(value))
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if _, err := merge(task.Kubernetes); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
	}
	if bytes < 200_000 {
		t.Errorf("only %d bytes of templates were made", bytes)
	}
}

// FuzzTemplate holds admission to its word: a template that it accepts is one to this package.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		`{"image":"a","template":{"spec":{"template":{"spec":{"containers":[{"name":"a","livenessProbe":{"httpGet":{"port":"web"}}}]}}}}}`,
		`{"image":"a","resources":{"limits":{"cpu":"+.5e-9","memory":1e9}},"template":{"metadata":{"creationTimestamp":"2026-12-01T09:00:00.5+08:00"}}}`,
		`{"image":"a","volumes":[{"mountPath":"/a","emptyDir":{"sizeLimit":"1Ki"}}],"env":{"A":{"resourceFieldRef":{"resource":"a","divisor":"0"}}}}`,
		`{"image":"a","tolerations":[{"tolerationSeconds":-9223372036854775808}],"podFailurePolicy":{"rules":[{"action":"Count","onPodConditions":[{}]}]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, kubernetes string) {
		task, err := nightwatch.ParseTask("default/hello", []byte(`{"kubernetes":`+kubernetes+`}`))
		if err != nil || task.Kubernetes == nil {
			return
		}
		if _, err := merge(task.Kubernetes); err != nil {
			t.Fatalf("%s was accepted: %v", kubernetes, err)
		}
	})
}

// FuzzQuantity: what admission takes for a quantity is one.
func FuzzQuantity(f *testing.F) {
	for _, seed := range []string{"0", "1", "-1.5", "+.5Mi", "1.", "100m", "1e3", "1E-99", "1Ei", "9999999999999999999999Ei", "0000", ".", "1e-9999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			return
		}
		_, err = nightwatch.ParseTask("default/hello", []byte(`{"kubernetes":{"image":"a","resources":{"limits":{"cpu":`+string(quoted)+`}}}}`))
		if err != nil {
			return // Kubernetes takes 14 s to read 1e-9999999
		}
		if _, err := resource.ParseQuantity(text); err != nil {
			t.Fatalf("%q was accepted: %v", text, err)
		}
	})
}

// What people write is taken.
func TestQuantities(t *testing.T) {
	for _, text := range []string{`1`, `0.5`, `"500m"`, `"1.5Gi"`, `"2Ki"`, `"1e3"`, `"1E3"`, `"100u"`, `"5n"`, `"3k"`, `"4P"`, `"1E"`, `"1Ei"`, `"-1"`, `"+1"`} {
		if _, err := nightwatch.ParseTask("default/hello", []byte(`{"kubernetes":{"image":"a","resources":{"limits":{"cpu":`+text+`}}}}`)); err != nil {
			t.Error(err)
		}
	}
}
