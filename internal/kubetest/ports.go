package kubetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range that systems give out by themselves (from 32768 on Linux, 49152 elsewhere). While
// the API server is down no other program is given its port, and no client that keeps dialling it connects to itself.
const (
	firstPort = 15000
	lastPort  = 29999
)

// freePorts returns n ports of 127.0.0.1 on which nothing listens. Another process may take one before it is used.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 100 * n {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are found, or one could be found twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("find free port: none between " + fmt.Sprint(firstPort) + " and " + fmt.Sprint(lastPort))
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
