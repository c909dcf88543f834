package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nightwatch-go/nightwatch"
	"github.com/nightwatch-go/nightwatch/internal/etcdtest"
	"github.com/nightwatch-go/nightwatch/store"
)

// move is a transaction on a few keys, as a model knows it: values that must be there ("" for absent), and what is done
// if they are.
type move struct {
	ifs   map[string]string
	below string // a prefix below which there must be nothing; "" for none
	puts  map[string]string
	del   string
	get   string
}

// moved is its answer.
type moved struct {
	unknown bool
	refused bool
	got     string
}

// one is what etcd says of transactions that come one at a time.
var one = porcupine.Model{
	Init: func() any { return map[string]string{} },
	Step: func(state, input, output any) (bool, any) {
		keys, m, out := state.(map[string]string), input.(move), output.(moved)
		holds := true
		for key, want := range m.ifs {
			holds = holds && keys[key] == want
		}
		for key, value := range keys {
			holds = holds && (m.below == "" || value == "" || len(key) < len(m.below) || key[:len(m.below)] != m.below)
		}
		if !holds {
			return out.unknown || out.refused, keys
		}
		next := maps.Clone(keys)
		maps.Copy(next, m.puts)
		delete(next, m.del)
		return out.unknown || !out.refused && out.got == next[m.get], next
	},
	Equal: func(a, b any) bool { return maps.Equal(a.(map[string]string), b.(map[string]string)) },
}

// TestCommitIsAsOneAtATime has many callers do random transactions on few keys, over a network that loses requests and
// answers, and looks for an order in which etcd would have given the same outcomes one at a time.
func TestCommitIsAsOneAtATime(t *testing.T) {
	server := etcdtest.Start(t)
	for broken, rounds := range map[bool]int{false: 8, true: 3} {
		t.Run(fmt.Sprintf("broken network %v", broken), func(t *testing.T) {
			for round := range rounds {
				proxy := server.Proxy(t)
				s := store.New(etcdtest.NewClient(t, proxy.Endpoint()), "")
				history := play(t, s, proxy, fmt.Sprintf("%v%d/", broken, round), broken)
				result, info := porcupine.CheckOperationsVerbose(one, history, time.Minute)
				if result == porcupine.Illegal {
					file := t.TempDir() + "/history.html"
					_ = porcupine.VisualizePath(one, info, file)
					t.Fatalf("round %d: no order explains these outcomes", round)
				}
			}
		})
	}
}

// play has callers do random moves at the same time and returns what they saw. A move whose outcome is unknown may have
// happened at any time after it began.
func play(t *testing.T, s *store.Store, proxy *etcdtest.Proxy, prefix string, broken bool) []porcupine.Operation {
	const callers, each = 10, 12
	began := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var group sync.WaitGroup
	for caller := range callers {
		random := rand.New(rand.NewPCG(uint64(caller), uint64(len(prefix)+int(prefix[len(prefix)-2]))))
		known := map[string]string{} // values as they were read last
		group.Go(func() {
			for i := range each {
				m := randomMove(random, prefix, fmt.Sprintf("%d-%d", caller, i), known)
				if broken && caller == 0 && i%4 == 2 {
					proxy.Cut()
				}
				call := time.Since(began).Nanoseconds()
				out := perform(t, s, m)
				returned := time.Since(began).Nanoseconds()
				known[m.get] = out.got
				if out.unknown {
					returned = 1 << 60
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: caller, Input: m, Call: call, Output: out, Return: returned})
				mu.Unlock()
			}
		})
	}
	group.Wait()
	// A caller with an unknown move goes on with others: each unknown one is a client of its own.
	for i := range history {
		if history[i].Return == 1<<60 {
			history[i].ClientId = callers + i
		}
	}
	return history
}

func randomMove(random *rand.Rand, prefix, value string, known map[string]string) move {
	key := func() string { return fmt.Sprint(prefix, string("abc"[random.IntN(3)]), "/", random.IntN(2)) }
	m := move{ifs: map[string]string{}, puts: map[string]string{}, get: key()}
	switch random.IntN(4) {
	case 0:
		m.ifs[key()] = ""
	case 1:
		m.ifs[key()] = ""
		m.ifs[key()] = ""
	case 2:
		m.below = prefix + string("abc"[random.IntN(3)]) + "/"
	default:
		if seen := key(); known[seen] != "" {
			m.ifs[seen] = known[seen]
		}
	}
	m.puts[key()] = value
	if random.IntN(2) == 0 {
		if del := key(); m.puts[del] == "" {
			m.del = del
		}
	}
	return m
}

func perform(t *testing.T, s *store.Store, m move) moved {
	var txn store.Txn
	for key, want := range m.ifs {
		if want == "" {
			txn.Seen(key, 0)
		} else {
			txn.If(clientv3.Compare(clientv3.Value(key), "=", want))
		}
	}
	if m.below != "" {
		txn.NoneBelow(m.below)
	}
	for key, value := range m.puts {
		txn.Put(key, []byte(value))
	}
	if m.del != "" {
		txn.Delete(m.del)
		txn.Lazy(make(chan struct{}))
	}
	txn.Get(m.get)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := s.Commit(ctx, &txn)
	switch {
	case errors.Is(err, nightwatch.ErrRefused):
		return moved{refused: true}
	case err != nil:
		return moved{unknown: true}
	}
	var got string
	if kvs := response.Responses[len(response.Responses)-1].GetResponseRange().Kvs; len(kvs) > 0 {
		got = string(kvs[0].Value)
	}
	return moved{got: got}
}
