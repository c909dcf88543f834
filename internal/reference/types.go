package reference

// ownType is a type that reads its JSON itself.
type ownType struct {
	words  string
	schema members
}

const durationForm, noDuration = `^([0-9]{1,5}d)?([0-9]*\.?[0-9]+(ns|us|µs|μs|ms|s|m|h))*$`, `^0*d?([0.]+(ns|us|µs|μs|ms|s|m|h))*$`

// ownTypes are those of the root package, by name. One that is missing may be written as anything.
var ownTypes = map[string]ownType{
	"Duration":   {"duration", members{{"type", "string"}, {"minLength", 2}, {"pattern", durationForm}, except(noDuration)}},
	"Strings":    {"string, or a list of them", oneOrMore(members{{"type", "string"}, {"minLength", 1}})},
	"TextOrFile": {"string or secret", textOrFile("")},
	"Count":      {"whole number, 1 or more", members{{"type", "integer"}, {"minimum", 1}}},
	"Shards": {"whole number, 1 to 1000, or `per-node`", members{{"anyOf", []any{
		members{{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}}, members{{"const", "per-node"}},
	}}}},
	"ShardParams": {"list of any JSON", members{{"type", "array"}, {"minItems", 1}, {"maxItems", 1000}}},
	"RetryOn": {"word or number, or a list of them", oneOrMore(members{
		{"type", []string{"string", "integer"}}, {"minimum", 1}, {"maximum", 255},
		{"pattern", `^([A-Z][A-Za-z0-9]{0,62}|[0-9]+(-[0-9]+)?)$`},
		{"not", members{{"enum", []string{"CancelRequested", "NodeLost", "Replaced", "TaskDeleted", "TaskReplaced"}}}},
	})},
}

// oneOrMore is an item by itself, or a list that is not empty.
func oneOrMore(item members) members {
	return members{{"anyOf", []any{item, members{{"type", "array"}, {"minItems", 1}, {"items", item}}}}}
}
