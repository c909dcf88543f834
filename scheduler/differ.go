package scheduler

import (
	"encoding/binary"
	"strconv"
	"time"
)

// differ writes the times and the long numbers in JSON as what they differ by from others before: a time from the last one, a
// number from the last one of a name that ends alike. What is left looks much the same in all values: a task that is due every
// day is so by the same difference each time, and the records of its runs repeat its revision. expand gives back the very
// bytes. Either goes on from text to text, and from the zero differ at the first.
type differ struct {
	time    int64 // milliseconds since 1970
	number  int64
	numbers [32]int64 // by the last letter of their name
}

// What stands for a time or a number, before the difference. JSON has no such bytes.
const (
	aTime    = 1 + iota // "2026-12-01T10:00:00.123Z"
	aCompact            // "20261201T100000Z"
	aNumber             // 12345, after a name
	marks
)

const (
	compactTime = `"20060102T150405Z"`
	quotedTime  = `"2006-01-02T15:04:05.999Z"`
	leastTime   = len(`"2006-01-02T15:04:05Z"`)
	// How many digits a number has: shorter ones are as short as they are.
	leastNumber, mostNumber = 4, 18
)

// condense appends the short form of text. It is false, and nothing has happened, for a text that has none.
func (d *differ) condense(to, text []byte) ([]byte, bool) {
	before, start, done := *d, len(to), 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			at, compact, n := timeIn(text[i:])
			if n == 0 {
				continue
			}
			mark := byte(aTime)
			if compact {
				mark = aCompact
			}
			to = binary.AppendVarint(append(append(to, text[done:i]...), mark), at-d.time)
			d.time = at
			done = i + n
			i = done - 1
		case c == ':' && i >= 2:
			n := i + 1
			for n < len(text) && text[n] >= '0' && text[n] <= '9' {
				n++
			}
			if digits := n - i - 1; digits < leastNumber || digits > mostNumber || text[i+1] == '0' {
				continue
			}
			number, _ := strconv.ParseInt(string(text[i+1:n]), 10, 64)
			to = binary.AppendVarint(append(append(to, text[done:i+1]...), aNumber), number-*d.last(text[i-2]))
			d.note(text[i-2], number)
			done = n
			i = n - 1
		case c > 0 && c < marks:
			*d = before
			return to[:start], false
		}
	}
	return append(to, text[done:]...), true
}

// last is what a number of a name that ends so is told from.
func (d *differ) last(letter byte) *int64 {
	if last := &d.numbers[letter%32]; *last != 0 {
		return last
	}
	return &d.number
}

func (d *differ) note(letter byte, number int64) { d.numbers[letter%32], d.number = number, number }

// expand appends the text that condense made short.
func (d *differ) expand(to, short []byte) []byte {
	for i := 0; i < len(short); {
		mark := short[i]
		if mark == 0 || mark >= marks {
			to = append(to, mark)
			i++
			continue
		}
		by, n := binary.Varint(short[i+1:])
		i += 1 + n
		if mark == aNumber {
			letter := to[len(to)-3]
			number := *d.last(letter) + by
			d.note(letter, number)
			to = strconv.AppendInt(to, number, 10)
			continue
		}
		d.time += by
		layout := quotedTime
		if mark == aCompact {
			layout = compactTime
		}
		to = time.UnixMilli(d.time).UTC().AppendFormat(to, layout)
	}
	return to
}

// timeIn is the time, in milliseconds since 1970, that a text begins with in quotes, if time.Time.Format would write it in the
// same way, and how long it is there; 0: there is none.
func timeIn(text []byte) (at int64, compact bool, n int) {
	ok := true
	number := func(from, digits int) (n int) {
		for _, c := range text[from : from+digits] {
			ok = ok && c >= '0' && c <= '9'
			n = n*10 + int(c-'0')
		}
		return n
	}
	var year, month, day, hour, minute, second, milli int
	switch {
	case len(text) >= leastTime && text[5] == '-' && text[8] == '-' && text[11] == 'T' && text[14] == ':' && text[17] == ':':
		year, month, day = number(1, 4), number(6, 2), number(9, 2)
		hour, minute, second = number(12, 2), number(15, 2), number(18, 2)
		n = 20
		if text[n] == '.' {
			for n++; n < len(text) && n < 24 && text[n] != 'Z'; n++ {
			}
			digits := n - 21
			milli = number(21, digits)
			ok = ok && digits > 0 && text[n-1] != '0'
			for ; digits < 3; digits++ {
				milli *= 10
			}
		}
		ok = ok && n+1 < len(text) && text[n] == 'Z' && text[n+1] == '"'
		n += 2
	case len(text) >= len(compactTime) && text[9] == 'T' && text[16] == 'Z' && text[17] == '"':
		year, month, day = number(1, 4), number(5, 2), number(7, 2)
		hour, minute, second = number(10, 2), number(12, 2), number(14, 2)
		compact, n = true, len(compactTime)
	default:
		return 0, false, 0
	}
	if !ok || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return 0, false, 0
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, milli*1e6, time.UTC)
	if t.Day() != day {
		return 0, false, 0
	}
	return t.UnixMilli(), compact, n
}
