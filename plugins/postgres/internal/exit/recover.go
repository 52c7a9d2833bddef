package exit

// This file turns panics into errors, because a Go program that panics exits with 2, which is the code of a transient failure.

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic that was caught, with the stack where it happened.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Guard runs f and returns its error, or its panic as an error. Every goroutine
// of this program runs under it.
func Guard(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}
