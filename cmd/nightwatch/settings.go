package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// applySettings gives every setting of cmd that has no flag on the command line its value from the environment or the
// config file. An environment variable that is empty counts as absent, as with etcd.
func applySettings(cmd *cobra.Command, configFile string) error {
	if configFile == "" {
		configFile = os.Getenv(environmentName("config"))
	}
	var file map[string]*yaml.Node
	if configFile != "" {
		var err error
		if file, err = readSettings(configFile, knownSettings(cmd.Root())); err != nil {
			return usageError{err}
		}
	}
	var faults []error
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || !setting(flag) {
			return
		}
		if value := os.Getenv(environmentName(flag.Name)); value != "" {
			if err := cmd.Flags().Set(flag.Name, value); err != nil {
				faults = append(faults, fmt.Errorf("%s: %s", environmentName(flag.Name), setFault(flag, value, err)))
			}
			fromElsewhere(cmd.Flags(), flag.Name)
			return
		}
		if value, ok := file[flag.Name]; ok {
			if err := setFromYAML(cmd.Flags(), flag, value); err != nil {
				faults = append(faults, fmt.Errorf("%s: line %d: %s: %w", configFile, value.Line, flag.Name, err))
			}
			fromElsewhere(cmd.Flags(), flag.Name)
		}
	})
	if len(faults) > 0 {
		return usageError{errors.Join(faults...)}
	}
	return nil
}

const elsewhereAnnotation = "elsewhere"

// fromElsewhere marks a flag whose value is the environment's or the config file's.
func fromElsewhere(flags *pflag.FlagSet, name string) {
	if err := flags.SetAnnotation(name, elsewhereAnnotation, []string{"true"}); err != nil {
		panic(err) // a flag that was just visited
	}
}

// typed is the first of some flags that the command line has, and "" when it has none. Only of those can a command say that
// they are out of place: the environment and the config file may serve several commands.
func typed(flags *pflag.FlagSet, names ...string) string {
	for _, name := range names {
		flag := flags.Lookup(name)
		if _, elsewhere := flag.Annotations[elsewhereAnnotation]; flag.Changed && !elsewhere {
			return name
		}
	}
	return ""
}

// knownSettings are the settings of every command: one file may serve several.
func knownSettings(root *cobra.Command) []string {
	names := map[string]bool{}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if setting(flag) {
				names[flag.Name] = true
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
	known := make([]string, 0, len(names))
	for name := range names {
		known = append(known, name)
	}
	slices.Sort(known)
	return known
}

// readSettings reads a YAML mapping from setting to value. Unknown and duplicate keys are refused.
func readSettings(name string, known []string) (map[string]*yaml.Node, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document", name)
	}
	mapping := document.Content[0]
	if mapping.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: line %d: want settings, such as \"endpoints: [10.0.0.1:2379]\"", name, mapping.Line)
	}
	settings := map[string]*yaml.Node{}
	var faults []error
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		switch {
		case !slices.Contains(known, key.Value):
			faults = append(faults, fmt.Errorf("%s: line %d: %s: unknown setting%s", name, key.Line, key.Value, similar(key.Value, known)))
		case settings[key.Value] != nil:
			faults = append(faults, fmt.Errorf("%s: line %d: %s: is there twice", name, key.Line, key.Value))
		default:
			settings[key.Value] = mapping.Content[i+1]
		}
	}
	return settings, errors.Join(faults...)
}

// similar points out a setting that was probably meant: another case, "_" for "-", or one letter amiss.
func similar(name string, known []string) string {
	plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	for _, candidate := range known {
		if candidate == plain || strings.ReplaceAll(candidate, "-", "") == plain || oneApart(candidate, plain) {
			return fmt.Sprintf("; did you mean %s?", candidate)
		}
	}
	return ""
}

// oneApart tells whether a and b differ by one letter that is other, missing or too many.
func oneApart(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	return a[i:] == b[i:] || i < len(a) && (a[i+1:] == b[i:] || i < len(b) && a[i+1:] == b[i+1:])
}

func setFromYAML(flags *pflag.FlagSet, flag *pflag.Flag, node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.ShortTag() == "!!null" {
			return errors.New("has no value")
		}
		if err := flags.Set(flag.Name, node.Value); err != nil {
			return errors.New(setFault(flag, node.Value, err))
		}
		return nil
	case yaml.SequenceNode:
		list, ok := flag.Value.(pflag.SliceValue)
		if !ok {
			return errors.New("takes one value, not a list")
		}
		items := make([]string, len(node.Content))
		for i, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return errors.New("want a list of plain values")
			}
			items[i] = item.Value
		}
		flag.Changed = true
		return list.Replace(items)
	case yaml.MappingNode:
		if kind := flag.Value.Type(); kind != "stringToString" && kind != "stringToInt" {
			return errors.New("takes one value, not a mapping")
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			if value.Kind != yaml.ScalarNode {
				return fmt.Errorf("%s: want a plain value", key.Value)
			}
			pair := key.Value + "=" + value.Value
			if strings.Count(pair, "=") > 1 { // then pflag reads CSV, else the pair as it is
				pair = `"` + strings.ReplaceAll(pair, `"`, `""`) + `"`
			}
			if err := flags.Set(flag.Name, pair); err != nil {
				return errors.New(setFault(flag, pair, err))
			}
		}
		return nil
	}
	return errors.New("want a plain value, a list or a mapping; aliases are not supported")
}

// setFault is what is wrong with a value, without the flag's name that pflag adds, nor the value of a secret.
func setFault(flag *pflag.Flag, value string, err error) string {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return fmt.Sprintf("%q: want %s", value, wanted(flag))
	}
	return err.Error()
}

func wanted(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "duration":
		return "a duration such as 5s or 1m30s"
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	case "float32", "float64":
		return "a number"
	case "stringToString":
		return "key=value pairs with commas between them"
	case "stringToInt":
		return "key=number pairs with commas between them"
	}
	return "a " + flag.Value.Type()
}
