//go:build linux

package cluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// Ports are taken from below those that Linux gives to outgoing connections (32768 and up): a server that is down keeps its
// port then, however often others try to connect to it.
const (
	firstPort = 10_240
	endPort   = 32_768
)

// FreeAddress returns an address on the loopback at which nobody listens.
func FreeAddress() (string, error) {
	for range 1000 {
		address := loopback(firstPort + rand.IntN(endPort-firstPort))
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("there is no free port on 127.0.0.1")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// portOf returns the port of an address that FreeAddress has returned.
func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// onFreeAddress starts something on a free address, and again on another one if somebody else was quicker to take it.
func onFreeAddress(start func(address string) error) error {
	for attempt := 1; ; attempt++ {
		address, err := FreeAddress()
		if err != nil {
			return err
		}
		err = start(address)
		if err == nil || attempt == 5 || !strings.Contains(err.Error(), "ddress already in use") {
			return err
		}
	}
}
