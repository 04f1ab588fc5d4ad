package main

import (
	"bytes"
	"fmt"
	"net"
	"time"
)

// deliver sends one webhook over a connection of its own, and closes it after the answer.
func deliver(address string, body []byte) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return exchange(conn, address, body)
}

func exchange(conn net.Conn, address string, body []byte) error {
	request := fmt.Appendf(nil, "POST /webhook/%s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		secret, address, len(body))
	if _, err := conn.Write(append(request, body...)); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 20")) {
		return fmt.Errorf("answered %q", answer[:n])
	}
	return nil
}

// deliverWithin is deliver by a deadline.
func deliverWithin(limit time.Duration, address string, body []byte) error {
	conn, err := net.DialTimeout("tcp", address, limit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	return exchange(conn, address, body)
}
