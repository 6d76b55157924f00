package proc

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePorts finds ports on the loopback interface that nobody listens on. They lie below those that systems give to outgoing
// connections: a server that is killed must find its port free when it is started again.
func FreePorts(n int) ([]int, error) {
	const lowest, count = 16384, 16384
	var ports []int
	for range 100 * n {
		port := lowest + rand.N(count)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		// Closed on return, so that no port is found twice.
		defer l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("found only %d free ports of %d", len(ports), n)
}
