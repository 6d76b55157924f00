// Package consul is a module of its own that builds a real Consul, of 1.14: the newest whose modules are all free software.
//
//	go build -o ../../../bin/consul github.com/hashicorp/consul
package consul
