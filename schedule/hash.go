package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// resolveHashes replaces each H in the words of the six fields by what it stands for: H and H(a-b) by a value, H/n and
// H(a-b)/n by a range with a step. Nothing behind it knows of H.
func resolveHashes(words []string, key string) error {
	for i, f := range fields {
		if !strings.ContainsAny(words[i], "hH") {
			continue // seldom passed: thu is the only name with an h
		}
		items := strings.Split(words[i], ",")
		for k, item := range items {
			if item == "" || item[0]&^0x20 != 'H' {
				continue
			}
			if key == "" {
				return fmt.Errorf("%s %s spreads by the hash of a key, namespace/task, and none is given: want the key, or a value instead", f.name, cut(item))
			}
			var err error
			if items[k], err = f.resolveHash(item, key); err != nil {
				return err
			}
		}
		words[i] = strings.Join(items, ",")
	}
	return nil
}

// resolveHash returns what an item that begins with H stands for.
func (f field) resolveHash(item, key string) (string, error) {
	low, high := f.min, f.max
	if f.hashHigh > 0 {
		high = f.hashHigh
	}
	span, stepText, stepped := strings.Cut(item, "/")
	if len(span) > 1 {
		var err error
		if low, high, err = f.hashRange(span, item); err != nil {
			return "", err
		}
	}
	count := high - low + 1
	if !stepped {
		return strconv.Itoa(low + f.hash(key, count)), nil
	}
	step, err := f.step(stepText, item)
	if err != nil {
		return "", err
	}
	if step > count {
		return "", fmt.Errorf("%s step %d in %q is over %d, the number of values", f.name, step, cut(item), count)
	}
	return fmt.Sprintf("%d-%d/%d", low+f.hash(key, step), high, step), nil
}

// hashRange reads the bounds of H(a-b).
func (f field) hashRange(span, item string) (low, high int, err error) {
	inner, open := strings.CutPrefix(span[1:], "(")
	inner, closed := strings.CutSuffix(inner, ")")
	lowText, highText, ranged := strings.Cut(inner, "-")
	if !open || !closed || !ranged {
		return 0, 0, fmt.Errorf("%s %q is not known: want H, H(a-b), H/n or H(a-b)/n", f.name, cut(item))
	}
	if low, err = f.value(lowText, item); err != nil {
		return 0, 0, err
	}
	if high, err = f.value(highText, item); err != nil {
		return 0, 0, err
	}
	if low > high {
		return 0, 0, f.backwards(inner, low, high, true)
	}
	if high > f.max && high-low > f.max {
		return 0, 0, errors.New("day of week 0 and 7 in " + cut(item) + " are both Sunday: want 0-6 or 1-7")
	}
	return low, high, nil
}

// hash returns a number from 0 to below n for the field: the first eight bytes of SHA-256 of the key, a line feed and
// the field's name, big-endian, modulo n. It is part of the language: a change would move tasks.
func (f field) hash(key string, n int) int {
	sum := sha256.Sum256([]byte(key + "\n" + f.name))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(n))
}
