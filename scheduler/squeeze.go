package scheduler

import (
	"encoding/binary"
	"slices"

	"github.com/klauspost/compress/s2"
)

// squeezer makes one short text of the values of a task, by what is alike in all of them: a differ first, then S2 with a
// dictionary. A task with three records, 3.1 KB, takes 10 µs and becomes 600 bytes when each record has its own session,
// output and usage. Zstandard with a dictionary comes to the same without the differ, in three times the time: a million
// tasks are packed when a standby starts. S2 alone leaves 770. It serves one goroutine at a time.
type squeezer struct {
	dictionary                *s2.Dict
	text, value, plain, short []byte // room for the next
}

func newSqueezer() *squeezer {
	var d differ
	short, _ := d.condense(nil, []byte(dictionary))
	return &squeezer{dictionary: s2.MakeDict(short, nil)}
}

// asItIs is added to the kind of a part whose value is not condensed.
const asItIs = 0x80

// squeeze is the short text of parts, behind a number that modIn finds.
func (s *squeezer) squeeze(mod int64, parts []part) string {
	var d differ
	size := 0
	for _, p := range parts {
		size += len(p.run) + len(`""`) + len(p.value)
	}
	plain := binary.AppendUvarint(s.plain[:0], uint64(size))
	for _, p := range parts {
		kind := byte(slices.Index(packedKinds, p.kind))
		create := p.at.create - d.number
		d.number = p.at.create
		s.text = s.text[:0]
		if p.run != "" {
			s.text = append(append(append(s.text, '"'), p.run...), '"')
		}
		s.text = append(s.text, p.value...)
		var ok bool
		if s.value, ok = d.condense(s.value[:0], s.text); !ok {
			kind |= asItIs
			s.value = append(s.value, s.text...)
		}
		plain = binary.AppendUvarint(binary.AppendVarint(append(plain, kind), create), uint64(p.at.mod-p.at.create))
		plain = binary.AppendUvarint(binary.AppendUvarint(plain, uint64(len(p.run))), uint64(len(s.value)))
		plain = append(plain, s.value...)
	}
	s.plain = plain
	front := binary.AppendUvarint(s.short[:0], uint64(mod))
	if need := len(front) + s2.MaxEncodedLen(len(plain)); cap(front) < need {
		front = slices.Grow(front, need)
	}
	s.short = front
	short := s.dictionary.Encode(front[len(front):cap(front)], plain) // it fits
	return string(front[:len(front)+len(short)])
}

// modIn is the number that stands before a short text.
func modIn(text string) (mod int64, short string) {
	n, length := binary.Uvarint([]byte(text[:min(len(text), binary.MaxVarintLen64)]))
	return int64(n), text[length:]
}

// restore unpacks what squeeze packed. The values are the caller's.
func (s *squeezer) restore(text string) []part {
	_, short := modIn(text)
	s.short = append(s.short[:0], short...)
	plain, err := s.dictionary.Decode(s.plain[:cap(s.plain)], s.short)
	if err != nil {
		panic(err) // squeeze made it
	}
	s.plain = plain
	number := func() uint64 {
		x, n := binary.Uvarint(plain)
		plain = plain[n:]
		return x
	}
	var d differ
	values := make([]byte, 0, number()) // of all parts
	parts := make([]part, 0, 8)
	for len(plain) > 0 {
		kind := plain[0]
		create, n := binary.Varint(plain[1:])
		plain = plain[1+n:]
		d.number += create
		p := part{kind: packedKinds[kind&^asItIs], at: revisions{create: d.number, mod: d.number + int64(number())}}
		run, length, from := int(number()), number(), len(values)
		if kind&asItIs != 0 {
			values = append(values, plain[:length]...)
		} else {
			values = d.expand(values, plain[:length])
		}
		plain = plain[length:]
		if run > 0 {
			p.run = string(values[from+1 : from+1+run])
			from += run + len(`""`)
		}
		p.value = values[from:len(values):len(values)]
		parts = append(parts, p)
	}
	return parts
}

// dictionary is what the values of a task's keys look like. It may change at any time: nothing outlives the process.
const dictionary = `"kubernetes":{"image":"busybox:latest","command":["/bin/sh","-c","` +
	`"resources":{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"serviceAccountName":"` +
	`"http":{"method":"POST","url":"https://","headers":{"Content-Type":"application/json"},"body":"` +
	`"process":{"shell":"python3 ","dir":"/","env":{"user":"root","image":"docker.io/library/alpine:3","args":["` +
	`"owner":"","description":"","labels":{"team":"","app":""},"annotations":{"params":{"` +
	`"timeZone":"Asia/Shanghai","timeZone":"Europe/Berlin","timeZone":"America/New_York","every":"30s","at":"afterFinish":"10m",` +
	`"overlap":"queue-one","overlap":"queue-all","overlap":"replace","overlap":"allow","overlap":"skip","catchUp":{"mode":"latest","window":"1h","max":10},` +
	`"startWithin":"5m","timeout":"10m","runTimeout":"1h","retry":{"attempts":3,"backoff":"10s"},"delivery":"at-most-once",` +
	`"runsOn":"zone=","priority":"pool":"jitter":"30s","history":{"succeeded":1,"failed":1,"skipped":10},"maxRuns":` +
	`{"phase":"Suspended","reason":"Suspended","accepted":true,{"phase":"Finished","accepted":true,` +
	`"lostSessions":1,"failures":"attempts":[{"attempt":1,"node":"reason":"ExitCode","message":"exit code 1"` +
	`"phase":"Failed","reason":"NodeLost","message":"node \"` + `"phase":"Canceled","reason":"CancelRequested","message":"` +
	`"phase":"Skipped","reason":"Overlap","message":"` + `"job":{"cluster":"","namespace":"default","name":"","uid":"` +
	`"cancel":{"by":"","reason":"","why":"","time":"` + `"submitted":{"key":"shards":{"count":"shard":{"of":"progress":{"fraction":1,"result":{"log":{"token":"` +
	`{"since":"2026-12-01T00:00:00Z","ranges":[{"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z","count":100,"outcome":"Succeeded"},` +
	`"outcome":"Skipped","reason":"Overlap"}],"outcome":"Missed","reason":"CatchUp"},"outcome":"Failed","reason":"totals":{"succeeded":` +
	`{"key":"default/","revision":1000,"uid":1000,"since":"2026-11-01T10:00:00.123Z","task":{"name":"","namespace":"handler":{"name":"` +
	`"},"process":{"command":["true"]},"schedule":"0 0 * * *","schedule":"*/5 * * * *"}}` +
	`{"ranges":[{"from":"2026-11-01T00:00:00Z","to":"2026-12-01T00:00:00Z","count":100,"outcome":"Succeeded"}]}` + aRecord + `"20261202T000000Z"` + another +
	`{"phase":"Scheduled","accepted":true,"observedRevision":1000,"acceptedRevision":1000,"uid":1000,"cursor":"2026-12-01T10:00:00Z",` +
	`"next":["2026-12-01T10:05:00Z","2026-12-01T10:10:00Z","2026-12-01T10:15:00Z","2026-12-01T10:20:00Z","2026-12-01T10:25:00Z"],` +
	`"earliestTime":"2026-12-01T10:00:00Z","createTime":"2026-12-01T10:00:00Z","updateTime":"2026-12-01T10:00:00Z",` +
	`"counts":{"succeeded":0,"failed":0,"canceled":0,"skipped":0,"missed":0}}` +
	`{"phase":"Scheduled","accepted":true,"observedRevision":1000,"acceptedRevision":1000,"uid":1000,"cursor":"2026-12-02T00:00:00Z",` +
	`"next":["2026-12-03T00:00:00Z","2026-12-04T00:00:00Z","2026-12-05T00:00:00Z","2026-12-06T00:00:00Z","2026-12-07T00:00:00Z"],` +
	`"earliestTime":"2026-11-01T10:00:00Z","submittedRevision":"startedRuns":100,"lastEndTime":"2026-12-02T00:00:00.120Z","lastRun":` + another +
	`,"createTime":"2026-11-01T10:00:00.123Z","updateTime":"2026-12-02T00:00:00.120Z","counts":{"succeeded":100,"failed":0,"canceled":0,"skipped":0,"missed":0},"countedRevision":2000}`

const (
	aRecord = `"20261201T000000Z"{"id":"20261201T000000Z","task":"default/","taskUID":1000,"taskRevision":1000,"phase":"Succeeded","nominalTime":"2026-12-01T00:00:00Z",` +
		`"createTime":"2026-12-01T00:00:00.001Z","startTime":"2026-12-01T00:00:00.010Z","endTime":"2026-12-01T00:00:01.020Z",` +
		`"attemptTime":"2026-12-01T00:00:00.010Z","attempt":1,"node":"node-1","session":"694d` + `","runner":"kubernetes","runner":"http","runner":"handler","handler":"` +
		`"runner":"process","term":1000,"fence":1000,"exitCode":0,"output":"ok\n","usage":{"userSeconds":0.001,"systemSeconds":0.001,"maxRSSBytes":10000}}`
	another = `{"id":"20261202T000000Z","task":"default/","taskUID":1000,"taskRevision":1000,"phase":"Succeeded","nominalTime":"2026-12-02T00:00:00Z",` +
		`"createTime":"2026-12-02T00:00:00Z","startTime":"2026-12-02T00:00:00.100Z","endTime":"2026-12-02T00:00:00.120Z","attempt":1,"node":"node-1","session":"694d` +
		`","runner":"process","term":1000,"fence":2000}`
)
