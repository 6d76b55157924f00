package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"gopkg.in/yaml.v3"
)

// readFile sets what a settings file in Cortex's shape says. Sections of other modules and settings without effect are
// noted; only names that neither Cortex nor this program knows are errors.
func (o *options) readFile(path string, expand bool) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-config.file: %w", err)
	}
	if expand {
		b = expandEnv(b)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("-config.file %s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	ours, err := settings(&o.Config)
	if err != nil {
		return err
	}
	errs := o.prune(doc.Content[0], "", ours)
	if err := doc.Decode(&o.Config); err != nil {
		errs = append(errs, err)
	}
	for i, err := range errs {
		errs[i] = fmt.Errorf("-config.file %s: %w", path, err)
	}
	return errors.Join(errs...)
}

// settings is the shape of a configuration: its paths, with nil for what is not a section.
func settings(c *Config) (map[string]any, error) {
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("list the settings: %w", err)
	}
	var t map[string]any
	if err := yaml.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("list the settings: %w", err)
	}
	return t, nil
}

// prune takes out of a section what is Cortex's and has no effect here, and returns an error for each name that nobody
// knows. path is the section's, with a dot.
func (o *options) prune(section *yaml.Node, path string, ours map[string]any) (unknown []error) {
	if section.Kind != yaml.MappingNode {
		return nil
	}
	kept := section.Content[:0]
	for i := 0; i+1 < len(section.Content); i += 2 {
		key, value := section.Content[i], section.Content[i+1]
		name := path + key.Value
		have, isOurs := ours[key.Value]
		a, isTheirs := known().byYAML[name]
		switch {
		case isOurs:
			if below, ok := have.(map[string]any); ok {
				unknown = append(unknown, o.prune(value, name+".", below)...)
			} else {
				o.file = append(o.file, name)
				durationOfInt(value, have)
			}
			kept = append(kept, key, value)
		case a != nil:
			o.ignored = append(o.ignored, a)
		case isTheirs && path == "":
			o.sections = append(o.sections, name)
		case isTheirs:
			unknown = append(unknown, o.prune(value, name+".", nil)...)
		default:
			unknown = append(unknown, fmt.Errorf("line %d: neither Cortex nor this program has a setting %s", key.Line, name))
		}
	}
	section.Content = kept
	return unknown
}

// durationOfInt lets a number stand for a duration in nanoseconds, as it does in Cortex, where 0 is often written without a unit.
func durationOfInt(value *yaml.Node, standard any) {
	s, ok := standard.(string)
	if _, err := time.ParseDuration(s); ok && err == nil && value.Tag == "!!int" {
		value.Tag, value.Value = "!!str", value.Value+"ns"
	}
}

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}`)

// expandEnv replaces ${NAME} and ${NAME:default}.
func expandEnv(b []byte) []byte {
	return reference.ReplaceAllFunc(b, func(m []byte) []byte {
		parts := reference.FindSubmatch(m)
		if v, set := os.LookupEnv(string(parts[1])); set && v != "" {
			return []byte(v)
		}
		return parts[2]
	})
}
