package reference

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// prose is what a comment says, in Markdown.
type prose struct {
	meaning   string
	byDefault string
	// values are those that a string may have; nil: any.
	values []string
	// least and most bound a number; nil: by nothing.
	least, most *float64
}

var (
	word = regexp.MustCompile(`(?:\bschedule\.|\b[A-Z][A-Za-z0-9]*\.)?\b[A-Z][A-Za-z0-9]*\b`)
	// code is a key of etcd with its variable parts, a piece of YAML, or what is quoted.
	code = regexp.MustCompile(`[a-z]+/[a-z/]*<[a-z<>/-]+>|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|"[^" ][^"]*"`)

	defaultSentence = regexp.MustCompile(`(?:^|\. )Default:? ((?:[^.]|\.\S)+)(?:\.( |$))`)
	defaultClause   = regexp.MustCompile(`[;,] default ((?:[^.;]|\.\S)+)`)
	defaultValue    = regexp.MustCompile("(?:`([^`]+)`|\\b([0-9]+)) \\(default[^)]*\\)")

	fromTo  = regexp.MustCompile(`([-−]?[0-9][0-9,]*)(?: \(default\))? to ([0-9][0-9,]*)`)
	atMost  = regexp.MustCompile(`\bat most ([0-9][0-9,]*)`)
	atLeast = regexp.MustCompile(`\bat least ([0-9][0-9,]*)|([0-9][0-9,]*) or more`)
)

// prose reads the comment of a field. known says what the fields that it may speak of are called.
func (s *source) prose(comment, called string, known map[string]string, of reflect.Type) prose {
	text := strings.Join(strings.Fields(comment), " ")
	var p prose
	text, p.values = s.names(text, known)
	if kindOf(of) != reflect.String || readsItself(of) {
		p.values = nil
	}
	if m := defaultSentence.FindStringSubmatch(text); m != nil {
		p.byDefault = m[1]
		text = strings.Replace(text, m[0], map[bool]string{true: ". ", false: "."}[m[2] != ""], 1)
		text = strings.TrimPrefix(text, ". ")
	} else if m := defaultClause.FindStringSubmatch(text); m != nil {
		p.byDefault = m[1]
		text = strings.Replace(text, m[0], "", 1)
	} else if m := defaultValue.FindStringSubmatch(text); m != nil {
		if p.byDefault = m[2]; m[1] != "" {
			p.byDefault = "`" + m[1] + "`"
		}
	}
	p.meaning = strings.TrimSuffix(strings.TrimSpace(text), ".")
	// What stands beside the name of a field needs no subject.
	if verb, ok := strings.CutPrefix(p.meaning, "`"+called+"` "); ok && !strings.HasPrefix(verb, "and ") {
		p.meaning = strings.TrimPrefix(strings.TrimPrefix(verb, "is "), "are ")
	}
	switch kindOf(of) {
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		if !readsItself(of) || of.Name() == "Count" {
			p.bounds(p.meaning)
		}
	}
	return p
}

// names writes the names of fields and the constants in a text as users know them.
func (s *source) names(text string, known map[string]string) (string, []string) {
	var values []string
	var out strings.Builder
	end := 0
	quoted := code.FindAllStringIndex(text, -1)
	for _, at := range word.FindAllStringIndex(text, -1) {
		if slices.ContainsFunc(quoted, func(q []int) bool { return q[0] <= at[0] && at[1] <= q[1] }) {
			continue
		}
		name := text[at[0]:at[1]]
		called, isField := known[name[strings.LastIndex(name, ".")+1:]]
		value, isValue := s.constants[name]
		number, isNumber := s.numbers[name]
		out.WriteString(code.ReplaceAllString(text[end:at[0]], "`$0`"))
		end = at[1]
		switch {
		case isValue:
			if !slices.Contains(values, value) {
				values = append(values, value)
			}
			out.WriteString("`" + value + "`")
		case isNumber:
			out.WriteString(number)
		case isField && (at[0] == 0 || strings.HasSuffix(out.String(), "`, ") || !isWord(name, text[:at[0]], text[at[1]:])):
			out.WriteString("`" + called + "`")
		default:
			out.WriteString(name)
		}
	}
	out.WriteString(code.ReplaceAllString(text[end:], "`$0`"))
	return out.String(), values
}

// isWord tells a word with a capital letter from the name of a field.
func isWord(name, before, after string) bool {
	compound := strings.ContainsFunc(name[1:], unicode.IsUpper) && strings.ContainsFunc(name, unicode.IsLower)
	before = strings.TrimRight(before, " ")
	begins := before == "" || strings.HasSuffix(before, ".") || strings.HasSuffix(before, ":")
	return strings.ToUpper(name) == name || name == "Kubernetes" || begins && !compound || strings.HasPrefix(after, "-")
}

// bounds reads those of a number.
func (p *prose) bounds(text string) {
	number := func(text string) *float64 {
		n, err := strconv.ParseFloat(strings.NewReplacer(",", "", "−", "-").Replace(text), 64)
		if err != nil {
			return nil
		}
		return &n
	}
	if m := fromTo.FindStringSubmatch(text); m != nil {
		p.least, p.most = number(m[1]), number(m[2])
	}
	if m := atMost.FindStringSubmatch(text); m != nil {
		p.most = number(m[1])
	}
	if m := atLeast.FindStringSubmatch(text); m != nil {
		p.least = number(m[1] + m[2])
	}
}

// kindOf is that of a type, or of what it points to.
func kindOf(of reflect.Type) reflect.Kind {
	if of.Kind() == reflect.Pointer {
		return of.Elem().Kind()
	}
	return of.Kind()
}
