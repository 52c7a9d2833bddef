// The process table, as far as it tells who lives and who is about to end.

package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// process is what /proc says about a process that still holds something: memory,
// files or threads.
type process struct {
	command string
	session int
	// exiting processes have been ended, but may still hold sockets.
	exiting bool
}

// The kernel's flag for a task that is on its way out.
const flagExiting = 0x4

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
	if len(fields) < 18 {
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
