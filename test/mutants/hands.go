package main

// This file lets several hands work on a list at a time.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// hands is how many bugs or rules are tried at a time, each in processes of its own.
const hands = 2

// sideBySide does n things.
func sideBySide(n int, do func(i int)) {
	var all sync.WaitGroup
	next := make(chan int)
	for range hands {
		all.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

// inOrder does n things, and prints what each of them prints when those before it have ended.
func inOrder(n int, out io.Writer, do func(i int, out io.Writer) error) error {
	printed, errs, ended := make([]bytes.Buffer, n), make([]error, n), make([]chan struct{}, n)
	for i := range ended {
		ended[i] = make(chan struct{})
	}
	go sideBySide(n, func(i int) {
		defer close(ended[i])
		errs[i] = do(i, &printed[i])
	})
	for i := range n {
		<-ended[i]
		fmt.Fprint(out, printed[i].String())
	}
	return errors.Join(errs...)
}
