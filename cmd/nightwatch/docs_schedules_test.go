package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/ledger"
	"github.com/nightwatch-go/nightwatch/schedule"
	"github.com/nightwatch-go/nightwatch/store"
)

// TestSchedulesPage runs docs/schedules.md. Each block of it is an example, and the kind of a block says what of:
//
//   - yaml: the value of a key; a first line "# tasks/default/report" or "# calendars/name" says which, else it is a
//     task. What a task runs may be left out.
//   - ics: a calendar, whose key the "etcdctl put KEY < FILE" of the block before names.
//   - text: what the value before means. "refused: …" and "warning: …" are verdicts. "from T" is followed by the times
//     from then on, "last run ended T" by the time after that. A time may be followed by two spaces and its note, or by
//     "starts T", with the jitter. "no more" ends a list that is complete. A line goes on in the next if that is indented.
//   - sh: commands, whose keys, values and flags are good.
//   - console: commands behind "$ ", and what they print. Line breaks between JSON's words are free.
//
// Of the tables, those with "next times" or "`once`" in their heads are checked as well.
func TestSchedulesPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	page := schedulesPage{calendars: map[string]nightwatch.AcceptedCalendar{}}
	ran := map[string]int{}
	parts := blocks(string(text))
	for i, b := range parts {
		run := map[string]func(*testing.T, string){
			"yaml": page.value, "ics": page.ics, "text": page.meaning, "sh": page.commands, "console": page.console,
			tableBlock: page.table,
		}[b.kind]
		if run == nil {
			t.Errorf("line %d: a block of kind %q, which no test knows", b.line, b.kind)
			continue
		}
		// A value of which nothing says what it means must be good.
		page.alone = b.kind == "yaml" && (i+1 == len(parts) || parts[i+1].kind != "text" && parts[i+1].kind != "console")
		ok := t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) { run(t, b.text) })
		if ok {
			ran[b.kind]++
		}
	}
	if fences := strings.Count("\n"+string(text), "\n```"); fences != 2*(len(parts)-tables(parts)) {
		t.Errorf("%d fences, and %d blocks", fences, len(parts)-tables(parts))
	}
	for kind, least := range map[string]int{"yaml": 20, "ics": 1, "text": 15, "sh": 3, "console": 4, tableBlock: 6} {
		if ran[kind] < least && !t.Failed() {
			t.Errorf("%d blocks of kind %s were run: want %d or more", ran[kind], kind, least)
		}
	}
	if page.expressions < 30 || page.clocks < 10 {
		t.Errorf("%d expressions and %d changes of clocks were checked in tables: want 30 and 10", page.expressions, page.clocks)
	}
}

// schedulesPage is what the examples so far have put.
type schedulesPage struct {
	alone     bool // the next value has no block that says what it means
	key       string
	raw       []byte // as it would be put
	task      *nightwatch.Task
	err       error // why the newest value is refused
	calendars map[string]nightwatch.AcceptedCalendar
	icsKey    string
	request   *nightwatch.Request
	ledger    nightwatch.Ledger

	expressions, clocks int // in tables
}

func (p *schedulesPage) value(t *testing.T, text string) {
	key := "tasks/default/example"
	if first, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(first, "# tasks/") || strings.HasPrefix(first, "# calendars/") {
		key = strings.TrimPrefix(first, "# ")
	}
	p.put(key, text)
	if p.alone && p.err != nil {
		t.Error(p.err)
	}
}

func (p *schedulesPage) ics(t *testing.T, text string) {
	if p.icsKey == "" {
		t.Fatal("nothing says which key this is")
	}
	if p.put(p.icsKey, text); p.err != nil {
		t.Error(p.err)
	}
	p.icsKey = ""
}

func (p *schedulesPage) put(key, text string) {
	p.key, p.raw, p.task, p.err = key, []byte(text), nil, nil
	if name, ok := strings.CutPrefix(key, "calendars/"); ok {
		var calendar *nightwatch.Calendar
		if calendar, p.err = nightwatch.ParseCalendar(name, p.raw); p.err == nil {
			p.calendars[name] = nightwatch.AcceptedCalendar{Calendar: *calendar}
		}
		return
	}
	if !regexp.MustCompile(`(?m)^(image|process|http|handler|kubernetes):`).Match(p.raw) {
		p.raw = append(p.raw, "image: alpine\n"...)
	}
	p.task, p.err = nightwatch.ParseTask(strings.TrimPrefix(key, "tasks/"), p.raw)
}

// account is that of the newest task.
func (p *schedulesPage) account() ledger.Account {
	name := strings.TrimPrefix(p.key, "tasks/")
	return ledger.Account{
		Task: name, Value: p.raw, TaskRevision: 1, Accepted: &nightwatch.Accepted{Key: name, Revision: 1, UID: 1, Task: *p.task},
		Status: &nightwatch.Status{UID: 1, Accepted: true}, Calendars: p.calendars,
	}
}

// times are those of the newest task, and the zone in which it thinks.
func (p *schedulesPage) times(t *testing.T) (*schedule.Schedule, *time.Location) {
	t.Helper()
	if p.err != nil {
		t.Fatal(p.err)
	}
	if p.task == nil {
		t.Fatal("there is no task before this")
	}
	account := p.account()
	times, missing := account.Times()
	if times == nil {
		t.Fatalf("the task has no times, or its calendars %q are not on the page", missing)
	}
	zone, err := taskZone(account.Accepted)
	if err != nil {
		t.Fatal(err)
	}
	return times, zone
}

// faults are why the newest value is refused.
func (p *schedulesPage) faults(t *testing.T) nightwatch.InvalidError {
	t.Helper()
	var faults nightwatch.InvalidError
	if p.err != nil && !errors.As(p.err, &faults) {
		t.Fatal(p.err)
	}
	return faults
}

// meaning compares what a value means with the lines that the code would write.
func (p *schedulesPage) meaning(t *testing.T, text string) {
	text = strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n  ", " ") // a line that is too long goes on in the next
	lines := strings.Split(text, "\n")
	var want []string
	if p.err != nil {
		for _, fault := range p.faults(t) {
			want = append(want, "refused: "+fault.Error())
		}
		compare(t, lines, want)
		return
	}
	times, zone := p.times(t)
	for _, warning := range p.task.Warnings() {
		want = append(want, "warning: "+warning.Error())
	}
	from := max(slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "from ") || strings.HasPrefix(l, "last ") }), 0)
	if ended, ok := strings.CutPrefix(lines[from], "last run ended "); ok {
		next, _ := times.Following(instantOn(t, ended), time.Time{})
		compare(t, lines, append(want, lines[from], next.In(zone).Format(fine)))
		return
	}
	start := instantOn(t, strings.TrimPrefix(lines[from], "from "))
	want = append(want, lines[from])
	list := lines[from+1:]
	for _, next := range occurrences(times, start, len(list)) {
		line := next.Time.In(zone).Format(fine)
		if next.Note != "" {
			line += "  " + next.Note
		}
		if p.task.Jitter > 0 {
			line += "  starts " + times.Due(next.Time).In(zone).Format(fine)
		}
		want = append(want, line)
	}
	if len(want) < len(lines) {
		want = append(want, "no more")
	}
	compare(t, lines, want)
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the page says\n%s\nand the code\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func instantOn(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// commands checks the commands of a block without running them.
func (p *schedulesPage) commands(t *testing.T, text string) {
	for _, line := range commandLines(text) {
		if args := nightwatchArgs(line); args != nil {
			checkCommand(t, args)
			continue
		}
		words := shellWords(line)
		if len(words) < 3 || words[0] != "etcdctl" {
			t.Errorf("%q: what is it?", line)
			continue
		}
		kind, tail := splitKey(t, slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, store.DefaultPrefix) }), words)
		if words[1] != "put" {
			continue
		}
		value := words[len(words)-1]
		var err error
		switch {
		case words[len(words)-2] == "<":
			p.icsKey = kind + "/" + tail
		case kind == string(store.Requests):
			p.request, err = nightwatch.ParseRequest([]byte(value))
		case kind == string(store.Freezes):
			_, err = nightwatch.ParseFreeze([]byte(value))
		default:
			p.put(kind+"/"+tail, value)
			err = p.err
		}
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func splitKey(t *testing.T, i int, words []string) (kind, tail string) {
	t.Helper()
	if i < 0 {
		t.Fatalf("%q names no key below %s", words, store.DefaultPrefix)
	}
	kind, tail, _ = strings.Cut(strings.TrimPrefix(words[i], store.DefaultPrefix), "/")
	return kind, tail
}

// console runs commands and compares what they print.
func (p *schedulesPage) console(t *testing.T, text string) {
	for _, part := range strings.Split("\n"+text, "\n$ ")[1:] {
		command, printed, _ := strings.Cut(part, "\n")
		printed = strings.TrimSuffix(printed, "\n")
		args := nightwatchArgs(command)
		if args == nil {
			p.shows(t, shellWords(command), printed)
			continue
		}
		checkCommand(t, args)
		var got bytes.Buffer
		var err error
		table := output{format: "table"}
		switch args[0] {
		case "next":
			execute(t.Context(), args, strings.NewReader(""), &got, &got)
		case "why":
			account, zone := p.past(t)
			var at moment
			if at, err = parseMoment("at", args[len(args)-1]); err == nil {
				answer := ledger.Why(account, at.last(account.Now, zone))
				fmt.Fprintln(&got, strings.Join(append([]string{answer.Headline}, answer.Details...), "\n"))
			}
		case "audit":
			account, zone := p.past(t)
			report := ledger.Audit(account, time.Time{})
			err = table.print(&got, report, func(out io.Writer) { showReport(out, report, zone) })
		default:
			t.Fatalf("nightwatch %s: no example runs it", args[0])
		}
		if err != nil {
			t.Fatal(err)
		}
		compare(t, strings.Split(printed, "\n"), strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n"))
	}
}

// past is the account of the newest task, a month older than its ledger tells, an hour after the ledger's last time.
func (p *schedulesPage) past(t *testing.T) (ledger.Account, *time.Location) {
	t.Helper()
	_, zone := p.times(t)
	account := p.account()
	account.Ledger = p.ledger
	account.Accepted.Since = p.ledger.Since.AddDate(0, -1, 0)
	account.Status.CreateTime = account.Accepted.Since
	account.Status.Cursor = p.ledger.Ranges[len(p.ledger.Ranges)-1].To
	account.Now = account.Status.Cursor.Add(time.Hour)
	return account, zone
}

// shows compares the value of a key of the system with what the examples before would make of it.
func (p *schedulesPage) shows(t *testing.T, words []string, value string) {
	kind, tail := splitKey(t, len(words)-1, words)
	read := func(into any) {
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	switch store.Kind(kind) {
	case store.Ledgers:
		p.ledger = nightwatch.Ledger{}
		read(&p.ledger)
	case store.Verdicts:
		var verdict nightwatch.Verdict
		read(&verdict)
		times, _ := p.times(t)
		due, _ := times.Between(p.request.From.Add(-1), p.request.To.Add(-1), 10)
		if p.request.Action != nightwatch.ActionBackfill || verdict.Count != int64(len(due)) || !slices.EqualFunc(verdict.Times, due, time.Time.Equal) {
			t.Errorf("the verdict has %d times, %v, and the request means %v", verdict.Count, verdict.Times, due)
		}
	case store.Statuses:
		if name, ok := store.CalendarOf(tail); ok {
			var status nightwatch.CalendarStatus
			read(&status)
			if p.key != "calendars/"+name || status.Accepted != (p.err == nil) || !slices.Equal(status.Errors, p.faults(t)) {
				t.Errorf("errors are %v, and the value of %s has %v", status.Errors, p.key, p.err)
			}
			return
		}
		var status nightwatch.Status
		read(&status)
		times, _ := p.times(t)
		next := occurrences(times, status.Cursor.Add(1), nextShown)
		var notes []nightwatch.Occurrence
		for i, o := range next {
			if i >= len(status.Next) || !status.Next[i].Equal(o.Time) {
				t.Errorf("next are %v, the task has %v", status.Next, next)
				break
			}
			if o.Note != "" {
				notes = append(notes, o)
			}
		}
		if !slices.Equal(status.NextNotes, notes) || !slices.Equal(status.Warnings, p.task.Warnings()) {
			t.Errorf("notes are %v and warnings %v, the task has %v and %v", status.NextNotes, status.Warnings, notes, p.task.Warnings())
		}
	default:
		t.Errorf("%s/%s: nobody knows what it shows", kind, tail)
	}
}
