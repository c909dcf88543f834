package scheduler

import (
	"encoding/binary"
	"errors"
)

// squeezer makes short texts that are much alike shorter: what stands in dictionary, or further ahead in the same text,
// becomes a reference to it. A reference is a byte that says how many bytes follow as they are and how many are the same
// as others, those that follow, and how far back the others are, in two bytes. That is less tight than DEFLATE, and ten
// times as fast: a million tasks are packed when a standby starts. It serves one goroutine at a time.
type squeezer struct {
	text  []byte       // dictionary and what is at hand
	fresh [slots]int32 // where four bytes of a hash were last seen in the dictionary, from 1 on; 0: nowhere
	table [slots]int32 // the same of all of text

	plain, short []byte // room for whoever uses it
}

const (
	slotBits = 13
	slots    = 1 << slotBits
	// least is the shortest text that a reference stands for, and furthest how far back it may be.
	least    = 4
	furthest = 1<<16 - 1
	// longer says that a length goes on in further bytes, of which each that is 255 says so again.
	longer = 15
)

var errSqueezed = errors.New("not a squeezed text")

func newSqueezer() *squeezer {
	s := &squeezer{text: []byte(dictionary)}
	for i := range len(s.text) - least + 1 {
		s.fresh[slot(s.text[i:])] = int32(i + 1)
	}
	return s
}

func slot(text []byte) uint32 {
	return binary.LittleEndian.Uint32(text) * 2654435761 >> (32 - slotBits)
}

// squeeze appends the short form of text.
func (s *squeezer) squeeze(to, text []byte) []byte {
	s.table = s.fresh
	s.text = append(s.text[:len(dictionary)], text...)
	all := s.text
	done := len(dictionary)
	for i := done; i+least <= len(all); i++ {
		at := slot(all[i:])
		seen := int(s.table[at]) - 1
		s.table[at] = int32(i + 1)
		if seen < 0 || i-seen > furthest || binary.LittleEndian.Uint32(all[seen:]) != binary.LittleEndian.Uint32(all[i:]) {
			continue
		}
		for i > done && seen > 0 && all[i-1] == all[seen-1] {
			i, seen = i-1, seen-1
		}
		n := least
		for i+n < len(all) && all[i+n] == all[seen+n] {
			n++
		}
		to = refer(to, all[done:i], i-seen, n)
		for end := i + n; i < end; i++ {
			if i+least <= len(all) {
				s.table[slot(all[i:])] = int32(i + 1)
			}
		}
		done = i
		i--
	}
	return refer(to, all[done:], 0, least)
}

// refer appends bytes as they are and, unless it is the end (back is 0), a reference to n bytes.
func refer(to, plain []byte, back, n int) []byte {
	to = append(to, byte(min(len(plain), longer)<<4|min(n-least, longer)))
	to = goOn(to, len(plain))
	to = append(to, plain...)
	if back == 0 {
		return to
	}
	return goOn(binary.LittleEndian.AppendUint16(to, uint16(back)), n-least)
}

func goOn(to []byte, n int) []byte {
	if n < longer {
		return to
	}
	for n -= longer; n >= 255; n -= 255 {
		to = append(to, 255)
	}
	return append(to, byte(n))
}

// restore is the text that squeeze made short. It is valid until the next call.
func (s *squeezer) restore(short string) ([]byte, error) {
	all := s.text[:len(dictionary)]
	length := func(n int) (int, bool) {
		for more := n == longer; more; short = short[1:] {
			if short == "" {
				return 0, false
			}
			n += int(short[0])
			more = short[0] == 255
		}
		return n, true
	}
	for short != "" {
		head := short[0]
		short = short[1:]
		plain, ok := length(int(head >> 4))
		if !ok || plain > len(short) {
			return nil, errSqueezed
		}
		all = append(all, short[:plain]...)
		if short = short[plain:]; short == "" {
			break
		}
		if len(short) < 2 {
			return nil, errSqueezed
		}
		from := len(all) - int(short[0]) - int(short[1])<<8
		short = short[2:]
		n, ok := length(int(head & longer))
		if !ok || from < 0 || from == len(all) {
			return nil, errSqueezed
		}
		for ; n > -least; n-- {
			all = append(all, all[from])
			from++
		}
	}
	s.text = all
	return all[len(dictionary):], nil
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
	`{"key":"default/","revision":1000,"uid":1000,"since":"2026-12-01T10:00:00.123Z","task":{"name":"","namespace":"handler":{"name":"` +
	`"},"process":{"command":["true"]},"schedule":"0 0 * * *","schedule":"*/5 * * * *"}}` +
	`{"id":"20261201T000000Z","task":"default/","taskUID":1000,"taskRevision":1000,"phase":"Succeeded","nominalTime":"2026-12-01T00:00:00Z",` +
	`"createTime":"2026-12-01T00:00:00.001Z","startTime":"2026-12-01T00:00:00.010Z","endTime":"2026-12-01T00:00:01.020Z",` +
	`"attemptTime":"2026-12-01T00:00:00.010Z","attempt":1,"node":"node-1","session":"694d` + `","runner":"kubernetes","runner":"http","runner":"handler","handler":"` +
	`"runner":"process","term":100,"fence":1000,"exitCode":0,"output":"ok\n","usage":{"userSeconds":0.001,"systemSeconds":0.001,"maxRSSBytes":100}}` +
	`{"phase":"Scheduled","accepted":true,"observedRevision":1000,"acceptedRevision":1000,"uid":1000,"cursor":"2026-12-01T10:00:00Z",` +
	`"next":["2026-12-01T10:05:00Z","2026-12-01T10:10:00Z","2026-12-01T10:15:00Z","2026-12-01T10:20:00Z","2026-12-01T10:25:00Z"],` +
	`"earliestTime":"2026-12-01T10:00:00.123Z","submittedRevision":"startedRuns":1,"lastEndTime":"2026-12-01T10:00:00.010Z","lastRun":{"id":"` +
	`,"createTime":"2026-12-01T10:00:00Z","updateTime":"2026-12-01T10:00:00Z","counts":{"succeeded":0,"failed":0,"canceled":0,"skipped":0,"missed":0},"countedRevision":1000}`
