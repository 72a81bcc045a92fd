package main

import (
	"encoding/json"
	"iter"
	"strings"

	"go.yaml.in/yaml/v3"
)

// listed returns the items of the list that a document has under a key; nil if there is none.
func listed(document *yaml.Node, key string) []*yaml.Node {
	if document.Kind != yaml.DocumentNode {
		return nil
	}
	if list := valueOf(document.Content[0], key); list != nil && list.Kind == yaml.SequenceNode {
		return list.Content
	}
	return nil
}

// valueOf returns what a mapping has under a key; nil if it is no mapping or has no such key.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for k, v := range pairs(n) {
		if k == key {
			return v
		}
	}
	return nil
}

// pairs yields the keys and values of a mapping; none if it is none.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// asJSON writes what is written in YAML as JSON, in the same order.
func asJSON(n *yaml.Node) string {
	var parts []string
	switch {
	case n == nil:
		return "null"
	case n.Kind == yaml.AliasNode:
		return asJSON(n.Alias)
	case n.Kind == yaml.MappingNode:
		for key, value := range pairs(n) {
			parts = append(parts, jsonString(key)+":"+asJSON(value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			parts = append(parts, asJSON(item))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case n.Tag == "!!bool" || n.Tag == "!!int" || n.Tag == "!!null":
		return n.Value
	}
	return jsonString(n.Value)
}

func jsonString(s string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(err) // every string can be encoded
	}
	return strings.TrimSpace(b.String())
}
