// A listener of Go's package net.
package main

import (
	"log"
	"net"
)

func main() {
	listener, err := net.Listen("tcp", ":3459")
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
	}
}
