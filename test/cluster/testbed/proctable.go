// The process table, as far as it tells who lives and who is about to end.

package testbed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// process is what /proc says about a process that still holds something: memory,
// files or threads.
type process struct {
	command string
	session int
	// exiting processes have been ended, but may still hold sockets.
	exiting bool
	// environmentComing is false only where the environment is known to be empty.
	environmentComing bool
}

// The kernel's flags for a task that is on its way out, and for one of its own.
const (
	flagExiting = 0x4
	flagKernel  = 0x200000
)

// environment reads a process's environment. That of a zombie is empty, and so is
// that of somebody else's process to a user who is not root.
func environment(pid int) string {
	path := filepath.Join("/proc", strconv.Itoa(pid), "environ")
	for deadline := time.Now().Add(time.Second); ; {
		raw, err := readAtOnce(path)
		if err != nil || len(raw) > 0 {
			return string(raw)
		}
		// For an instant, while a process becomes another program, it has none.
		if p, ok := lookUp(pid); !ok || !p.environmentComing || time.Now().After(deadline) {
			return ""
		}
	}
}

// readAtOnce takes the file in one piece: between two reads the process may become
// another program, and the second one would find nothing. The limit is far above
// what the cluster's own processes carry.
func readAtOnce(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	buffer := make([]byte, 64<<10)
	n, err := f.Read(buffer)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return buffer[:n], err
}

// lookUp returns false for a process that is gone. A zombie is gone too, unless it is
// only the first thread of a program whose other threads are still ending.
func lookUp(pid int) (process, bool) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return process{}, false
	}
	return parseStat(string(raw))
}

func parseStat(stat string) (process, bool) {
	// The command is in parentheses and may itself hold spaces and parentheses.
	open, end := strings.Index(stat, "("), strings.LastIndex(stat, ") ")
	if open < 0 || end < open {
		return process{}, false
	}
	fields := strings.Fields(stat[end+2:])
	if len(fields) < 49 {
		return process{}, false
	}
	state := fields[0]
	session, _ := strconv.Atoi(fields[3])
	flags, _ := strconv.ParseUint(fields[6], 10, 64)
	threads, _ := strconv.Atoi(fields[17])
	dead := state == "X" || (state == "Z" && threads <= 1)
	p := process{
		command: stat[open+1 : end],
		session: session,
		exiting: state == "Z" || flags&flagExiting != 0,
	}
	// The end of the program's code is set after its environment, and is zero before.
	codeEnd, envStart, envEnd := fields[24], fields[47], fields[48]
	p.environmentComing = !p.exiting && flags&flagKernel == 0 && (codeEnd == "0" || envStart != envEnd)
	return p, !dead
}

// commandName is a program's name as the kernel keeps it.
func commandName(path string) string {
	name := filepath.Base(path)
	return name[:min(15, len(name))]
}

// exiting lists the processes of these names that have been ended but are not gone.
func exiting(commands map[string]bool) ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := lookUp(pid); ok && p.exiting && commands[p.command] {
			found = append(found, fmt.Sprintf("%s (%d)", p.command, pid))
		}
	}
	slices.Sort(found)
	return found, nil
}
