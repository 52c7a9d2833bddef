// The control groups of a node cluster: they limit the pods and, more important
// here, they tell which processes are the cluster's, even those of pods.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchy is one mounted cgroup file system. Version 1 has one per controller,
// version 2 has one for all of them.
type hierarchy struct {
	path    string
	unified bool
	options []string
}

// hierarchies reads the list of mounts in the form of /proc/self/mountinfo.
func hierarchies(mountinfo string) []hierarchy {
	var found []hierarchy
	for _, line := range strings.Split(mountinfo, "\n") {
		mount, source, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(mount), strings.Fields(source)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		path := fields[4]
		if kind[0] != "cgroup" && kind[0] != "cgroup2" {
			continue
		}
		if rel, err := filepath.Rel(cgroupRoot, path); err != nil || !filepath.IsLocal(rel) {
			continue
		}
		found = append(found, hierarchy{path: path, unified: kind[0] == "cgroup2", options: strings.Split(kind[2], ",")})
	}
	return found
}

func mountedHierarchies() ([]hierarchy, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find the control groups: %w", err)
	}
	return hierarchies(string(raw)), nil
}

// createCgroups makes the folder that kubelet is given as its root, because kubelet
// refuses to start where it is missing.
func (c *Cluster) createCgroups() error {
	all, err := mountedHierarchies()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("a node needs control groups, and none are mounted below %s", cgroupRoot)
	}
	for _, h := range all {
		if err := h.delegate(c.id); err != nil {
			return fmt.Errorf("create the cluster's control groups: %w", err)
		}
	}
	return os.MkdirAll(c.processCgroup(all), 0o755)
}

// delegate creates the cluster's folder with all controllers that the hierarchy has.
func (h hierarchy) delegate(id string) error {
	dir := filepath.Join(h.path, id)
	if h.unified {
		if err := h.enableControllers(h.path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if h.unified {
		return h.enableControllers(dir)
	}
	if !slices.Contains(h.options, "cpuset") {
		return nil
	}
	// A new cpuset of version 1 is empty, and nothing may run in it before it has these.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		parent, err := os.ReadFile(filepath.Join(h.path, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), parent, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// enableControllers hands a folder's controllers down to its children. A
// controller that refuses, as the real-time one may, is left out.
func (h hierarchy) enableControllers(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(raw)) {
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		if err != nil && (controller == "memory" || controller == "pids") {
			return fmt.Errorf("enable the controller %s: %w", controller, err)
		}
	}
	return nil
}

// processCgroup is where the cluster's own processes are put. One hierarchy is
// enough to find them again.
func (c *Cluster) processCgroup(all []hierarchy) string {
	chosen := all[0]
	for _, h := range all {
		if slices.Contains(h.options, "pids") || (h.unified && len(all) == 1) {
			chosen = h
		}
	}
	return filepath.Join(chosen.path, c.id, "testbed")
}

// cgroupEntry is a command line that joins the cluster's group before it becomes
// the command after it, so that no moment is left in which the process is nobody's.
func (c *Cluster) cgroupEntry() ([]string, error) {
	all, err := mountedHierarchies()
	if err != nil {
		return nil, err
	}
	script := `echo $$ >"$0/cgroup.procs" && exec "$@"`
	return []string{"sh", "-c", script, c.processCgroup(all)}, nil
}

// killCgroups ends every process in the cluster's groups below one of the given
// folders (all of them where none is given) and waits until they are gone.
func (c *Cluster) killCgroups(ctx context.Context, folders ...string) error {
	if len(folders) == 0 {
		folders = []string{""}
	}
	return poll(ctx, 20*time.Second, func() error {
		left := 0
		for _, folder := range folders {
			pids, err := cgroupProcesses(filepath.Join(c.id, folder))
			if err != nil {
				return stop{err}
			}
			left += len(pids)
			for _, pid := range pids {
				if err := killIf(pid, func() bool { return inCgroup(pid, c.id) }); err != nil {
					return stop{err}
				}
			}
		}
		if left > 0 {
			return fmt.Errorf("%d processes of cluster %q do not end", left, c.name)
		}
		return nil
	})
}

// cgroupProcesses lists the living processes in and below a group, over all hierarchies.
func cgroupProcesses(group string) ([]int, error) {
	all, err := mountedHierarchies()
	if err != nil {
		return nil, err
	}
	found := map[int]bool{}
	for _, h := range all {
		for _, dir := range foldersBelow(filepath.Join(h.path, group)) {
			raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil {
				continue
			}
			for _, field := range strings.Fields(string(raw)) {
				pid, err := strconv.Atoi(field)
				if err != nil {
					continue
				}
				if _, ok := lookUp(pid); ok {
					found[pid] = true
				}
			}
		}
	}
	var pids []int
	for pid := range found {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// foldersBelow lists a folder and all in it, the deepest last. What vanishes
// meanwhile is left out.
func foldersBelow(root string) []string {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}

func inCgroup(pid int, group string) bool {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	return err == nil && strings.Contains(string(raw), "/"+group+"/")
}

// removeCgroups removes the cluster's folders from every hierarchy. The kernel may
// need a moment to let go of a group after its last process.
func (c *Cluster) removeCgroups(ctx context.Context) error {
	all, err := mountedHierarchies()
	if err != nil {
		return err
	}
	return poll(ctx, 10*time.Second, func() error {
		var failed error
		for _, h := range all {
			dirs := foldersBelow(filepath.Join(h.path, c.id))
			slices.Reverse(dirs)
			for _, dir := range dirs {
				if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					failed = errors.Join(failed, fmt.Errorf("remove a control group: %w", err))
				}
			}
		}
		return failed
	})
}
