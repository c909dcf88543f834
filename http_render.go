package nightwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Render is the request that the spec describes for one attempt: a copy of which no text is a template any more, and no
// header a secret, each of which read has read. The error is a FieldError.
func (h *HTTPSpec) Render(values HTTPValues, read func(secret string) (string, error)) (*HTTPSpec, error) {
	params, err := plain("params.", values.Params)
	if err != nil {
		return nil, err
	}
	var shardParam map[string]any
	if values.ShardParam != nil {
		if shardParam, err = plain("", map[string]json.RawMessage{"shardParam": values.ShardParam}); err != nil {
			return nil, err
		}
	}
	r := &rendering{data: templateData{
		Namespace: values.Namespace, Task: values.Task, Run: values.Run, Attempt: values.Attempt,
		NominalTime: moment{values.NominalTime.UTC()}, Fence: values.Fence, Params: params,
		Shard: values.Shard, Shards: values.Shards, ShardParam: shardParam["shardParam"],
	}}
	for i := range values.Upstream {
		upstream, err := plainUpstream(&values.Upstream[i])
		if err != nil {
			return nil, err
		}
		r.data.Upstream = append(r.data.Upstream, upstream)
	}
	made := *h
	if made.URL, err = r.text("http.url", h.URL, escapeURL); err != nil {
		return nil, err
	}
	if templated(h.URL) && leadsUp(made.URL) {
		return nil, FieldError{"http.url", dotsInURL}
	}
	made.Headers = maps.Clone(h.Headers)
	for name, value := range h.Headers {
		field := "http.headers." + clip(name)
		text := ""
		if value.FromFile == "" {
			text, err = r.text(field, value.Text, nil)
		} else if text, err = read(value.FromFile); err != nil {
			err = FieldError{field, err.Error()}
		}
		if err != nil {
			return nil, err
		}
		if hasControl(text) {
			return nil, FieldError{field, controlInHeader}
		}
		made.Headers[name] = Text(text)
	}
	if made.Body, err = r.text("http.body", h.Body, nil); err != nil {
		return nil, err
	}
	return &made, nil
}

// text is what becomes of one text of the request.
func (r *rendering) text(field, text string, escape func(string) string) (string, error) {
	if !templated(text) {
		return text, nil
	}
	t, err := parseHTTPTemplate(text)
	if err == nil {
		text, err = r.execute(t, escape)
	}
	if err != nil {
		return "", FieldError{field, err.Error()}
	}
	return text, nil
}

// escapeURL makes a text one piece of a path, or one value of a query: nothing in it has a meaning of its own.
func escapeURL(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// rendering is the execution of a request's templates.
type rendering struct {
	data templateData
	made int
}

// templateData is HTTPValues as templates see them.
type templateData struct {
	Namespace, Task, Run string
	Attempt              int
	NominalTime          moment
	Fence                int64
	Params               map[string]any
	Upstream             []map[string]any
	Shard, Shards        int
	ShardParam           any
}

var errTooMuch = errors.New("makes too much text")

func (r *rendering) count(text string) (string, error) {
	if r.made += len(text); r.made > maxWork {
		return "", errTooMuch
	}
	return text, nil
}

// functions are those that are not text/template's own. What a template writes goes through escape.
func (r *rendering) functions(escape func(string) string) template.FuncMap {
	return template.FuncMap{
		"json": r.json,
		writeFunction: func(value any) (string, error) {
			text, err := r.written(value)
			if err != nil || escape == nil {
				return text, err
			}
			return r.count(escape(text))
		},
	}
}

func (r *rendering) json(value any) (string, error) {
	text, err := Encode(value)
	if err != nil {
		return "", err
	}
	return r.count(string(text))
}

// written is a value as it is written: a string as it is, all else as JSON.
func (r *rendering) written(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", errors.New("there is no value")
	case string:
		return r.count(v)
	case moment:
		return v.String(), nil
	default:
		return r.json(value)
	}
}

// execute makes the text of a template.
func (r *rendering) execute(t *httpTemplate, escape func(string) string) (string, error) {
	var out limited
	if err := t.template.Funcs(r.functions(escape)).Execute(&out, r.data); err != nil {
		return "", plainly(err)
	}
	return out.String(), nil
}

// limited is a text of at most maxRendered bytes.
type limited struct{ strings.Builder }

func (l *limited) Write(data []byte) (int, error) {
	if l.Len()+len(data) > maxRendered {
		return 0, fmt.Errorf("makes a text of more than %d bytes", maxRendered)
	}
	return l.Builder.Write(data)
}

// moment is a time as templates see it. Its methods bound what time.Time's own do not.
type moment struct{ at time.Time }

// String is RFC 3339.
func (m moment) String() string { return m.at.Format(time.RFC3339Nano) }

// MarshalText has json write it as String does.
func (m moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Add is the time that much later: "-24h".
func (m moment) Add(length string) (moment, error) {
	d, err := time.ParseDuration(length)
	if err != nil {
		return moment{}, fmt.Errorf("%q: want a duration such as 90s or -24h", clip(length))
	}
	return moment{m.at.Add(d)}, nil
}

// Format is the time in a layout of package time.
func (m moment) Format(layout string) (string, error) {
	if len(layout) > maxLayout {
		return "", fmt.Errorf("a layout of %d bytes: want at most %d", len(layout), maxLayout)
	}
	return m.at.Format(layout), nil
}

// In is the time as the clock of an IANA zone shows it.
func (m moment) In(zone string) (moment, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return moment{}, fmt.Errorf("%q: no such time zone", clip(zone))
	}
	return moment{m.at.In(location)}, nil
}

// Unix is the seconds since 1970.
func (m moment) Unix() int64 { return m.at.Unix() }

// plain are params as templates see them: numbers that are whole as such, others as they were written. The error is a
// FieldError, of a field with that prefix.
func plain(prefix string, params map[string]json.RawMessage) (map[string]any, error) {
	values := make(map[string]any, len(params))
	for name, raw := range params {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, FieldError{prefix + clip(name), err.Error()}
		}
		values[name] = whole(value)
	}
	return values, nil
}

// plainUpstream is a run of an upstream as templates see it: by the names of its JSON, with times as moments.
func plainUpstream(run *UpstreamRun) (map[string]any, error) {
	encoded, err := Encode(run)
	if err != nil {
		return nil, FieldError{"upstream", err.Error()}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, FieldError{"upstream", err.Error()}
	}
	values, err := plain("upstream.", fields)
	if err != nil {
		return nil, err
	}
	values["nominalTime"], values["endTime"] = moment{run.NominalTime.UTC()}, moment{run.EndTime.UTC()}
	return values, nil
}

func whole(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil && strconv.FormatInt(n, 10) == v.String() {
			return n
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = whole(v[name])
		}
	}
	return value
}
