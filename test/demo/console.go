// What the demo says: one line for each fact, with the seconds since the start.

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// console writes whole lines, from several goroutines.
type console struct {
	mu      sync.Mutex
	out     io.Writer
	started time.Time
}

func newConsole(out io.Writer) *console { return &console{out: out, started: time.Now()} }

// title begins a chapter.
func (c *console) title(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, "\n%s\n", fmt.Sprintf(format, args...))
}

// say tells one fact about a subject.
func (c *console) say(subject, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, "%6.1f s  %-11s %s\n", time.Since(c.started).Seconds(), subject, fmt.Sprintf(format, args...))
}

// lines is a writer that says each line that is written to it.
func (c *console) lines(subject string) io.Writer { return &lines{console: c, subject: subject} }

type lines struct {
	console *console
	subject string
	rest    []byte
}

// Write keeps the beginning of a line until its end comes.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 {
			return len(p), nil
		}
		l.console.say(l.subject, "%s", strings.TrimRight(string(l.rest[:end]), " \r"))
		l.rest = l.rest[end+1:]
	}
}

// thousands groups a number's digits: 1,234,567.
func thousands(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// size is a number of bytes with the unit that suits it.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}
