//go:build !linux

package source

// This file is for people who build the program elsewhere: there, a dead server is noticed later.

import "syscall"

func noticeSilence(_, _ string, _ syscall.RawConn) error { return nil }
