// Package exit gives errors the exit code that tells the operator what to do next.
package exit

import (
	"context"
	"errors"
	"fmt"
)

// The exit codes, as the failure classes of the StreamClass name them.
const (
	// OK: the work is finished, or SIGTERM ended a streaming job in good order.
	OK = 0
	// Fatal: an error that nobody foresaw, a panic included.
	Fatal = 1
	// Transient: the same job may succeed a moment later.
	Transient = 2
	// Config: only a user can help; retrying is useless.
	Config = 20
	// Gap: changes are lost for good; only a backfill closes the gap.
	Gap = 30
	// Interrupted: SIGTERM cut a backfill short; it resumes where it stopped.
	Interrupted = 143
)

type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// Transientf returns an error that a later try may not meet.
func Transientf(format string, args ...any) error {
	return &codedError{code: Transient, err: fmt.Errorf(format, args...)}
}

// Configf returns an error that only a user can remove; the text says how.
func Configf(format string, args ...any) error {
	return &codedError{code: Config, err: fmt.Errorf(format, args...)}
}

// Gapf returns an error that says which changes are lost, and why.
func Gapf(format string, args ...any) error {
	return &codedError{code: Gap, err: fmt.Errorf(format, args...)}
}

// ErrInterrupted ends a backfill that was asked to stop before all was written.
var ErrInterrupted error = &codedError{code: Interrupted, err: errors.New("interrupted before all was written; the next run resumes after the last finished part")}

// Coded reports whether somebody has already judged the error.
func Coded(err error) bool {
	var coded *codedError
	return errors.As(err, &coded)
}

// Code returns the exit code of a process that ends with err.
func Code(err error) int {
	if err == nil {
		return OK
	}
	var coded *codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Transient
	}
	return Fatal
}
