// The binaries of Kubernetes and etcd: built once from their modules, then reused.

package testbed

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// KubernetesVersion is the version that is built. test/cluster/kube/go.mod names
// the same one, and a test compares them.
const KubernetesVersion = "1.37.2"

const etcdPackage = "go.etcd.io/etcd/server/v3"

// BuildAll builds every binary that a cluster may need and that is not there yet,
// so that a later Up does not have to.
func BuildAll(ctx context.Context, progress io.Writer) error {
	return build(ctx, progress, append(controlPlaneBinaries(), nodeBinaries()...))
}

// Built tells whether all of that is there.
func Built() bool {
	return len(missingBinaries(append(controlPlaneBinaries(), nodeBinaries()...))) == 0
}

func controlPlaneBinaries() []string {
	return []string{"etcd", apiServer, controllerManager, scheduler, "kubectl"}
}

func nodeBinaries() []string { return []string{kubelet, kubeProxy} }

// binFolder is where the binaries of this version are kept.
func binFolder() string { return filepath.Join(cacheFolder(), "kube-"+KubernetesVersion) }

// binary prefers what KUBEBUILDER_ASSETS holds. That folder usually lacks the
// controller manager and what a node needs; these come from the own build.
func binary(name string) string {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		if path := filepath.Join(assets, name); isExecutable(path) {
			return path
		}
	}
	return filepath.Join(binFolder(), name)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func missingBinaries(names []string) []string {
	var missing []string
	for _, name := range names {
		if !isExecutable(binary(name)) {
			missing = append(missing, name)
		}
	}
	return missing
}

// build makes the missing ones of the named binaries, one after the other, each
// of them moved into its place when complete: an interrupted build goes on where
// it was.
func build(ctx context.Context, progress io.Writer, names []string) error {
	if len(missingBinaries(names)) == 0 {
		return nil
	}
	unlock, err := lockFile(ctx, filepath.Join(binFolder(), ".lock"), func() {
		fmt.Fprintln(progress, "waiting for another build of Kubernetes")
	})
	if err != nil {
		return err
	}
	defer unlock()
	missing := missingBinaries(names)
	if len(missing) == 0 {
		return nil
	}
	module, err := sourceFolder("kube")
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "building %s of Kubernetes %s from source, once, into %s\n", strings.Join(missing, ", "), KubernetesVersion, binFolder())
	fmt.Fprintf(progress, "a first build takes 10 to 20 minutes on two cores and can be interrupted; later ones take seconds\n")
	started := time.Now()
	for i, name := range missing {
		label := fmt.Sprintf("[%d/%d] %s", i+1, len(missing), name)
		if err := buildOne(ctx, progress, label, module, name); err != nil {
			return err
		}
	}
	fmt.Fprintf(progress, "built Kubernetes %s in %s\n", KubernetesVersion, time.Since(started).Round(time.Second))
	return nil
}

func buildOne(ctx context.Context, progress io.Writer, label, module, name string) error {
	next := filepath.Join(binFolder(), "."+name+".next")
	// -v names each package as it is compiled: that is what shows that it goes on.
	args := []string{"build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", linkerFlags(), "-o", next, packageOf(name)}
	if err := goBuild(ctx, progress, label, module, args); err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	if err := os.Rename(next, filepath.Join(binFolder(), name)); err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	return nil
}

func packageOf(binary string) string {
	if binary == "etcd" {
		return etcdPackage
	}
	return "k8s.io/kubernetes/cmd/" + binary
}

// linkerFlags set the version that the binaries report and that clients compare.
func linkerFlags() string {
	parts := strings.Split(KubernetesVersion, ".")
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", pkg+".gitVersion=v"+KubernetesVersion,
			"-X", pkg+".gitMajor="+parts[0],
			"-X", pkg+".gitMinor="+parts[1],
			"-X", pkg+".gitTreeState=archive",
			"-X", pkg+".buildDate=2026-01-01T00:00:00Z",
		)
	}
	return strings.Join(flags, " ")
}

// goBuild runs the Go tool and reports every ten seconds how far it is.
func goBuild(ctx context.Context, progress io.Writer, label, dir string, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run the Go tool: %w", err)
	}
	var compiled atomic.Int64
	started := time.Now()
	stopReports := every(10*time.Second, func() {
		fmt.Fprintf(progress, "%s: %d packages compiled, %s\n", label, compiled.Load(), time.Since(started).Round(time.Second))
	})
	complaints := readBuildOutput(output, &compiled)
	err = cmd.Wait()
	stopReports()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(complaints, "\n"))
	}
	fmt.Fprintf(progress, "%s: done, %s\n", label, time.Since(started).Round(time.Second))
	return nil
}

// readBuildOutput counts the package names and keeps the last of everything, which
// is where an error is.
func readBuildOutput(output io.Reader, compiled *atomic.Int64) []string {
	var last []string
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line != "" && !strings.ContainsAny(line, " :#") {
			compiled.Add(1)
			continue
		}
		if last = append(last, line); len(last) > 20 {
			last = last[1:]
		}
	}
	return last
}

func every(interval time.Duration, do func()) (stop func()) {
	ticker := time.NewTicker(interval)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				do()
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}

// sourceFolder finds a folder beside this package, from which binaries are built.
func sourceFolder(name string) (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if dir := filepath.Join(filepath.Dir(file), "..", name); ok && filepath.IsAbs(file) && isFolder(dir) {
		return filepath.Clean(dir), nil
	}
	// A program built with -trimpath does not know where its source was.
	const self = "github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	raw, err := exec.Command("go", "list", "-f", "{{.Dir}}", self).Output()
	if err != nil {
		return "", fmt.Errorf("find the source of the testbed (run this inside the checkout): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(raw)), "..", name), nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
