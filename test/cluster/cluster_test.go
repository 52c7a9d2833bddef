//go:build cluster

// The testbed's own test: real clusters come up, heal, stand side by side and leave
// nothing behind. It needs root: go test -tags cluster ./test/cluster/

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/image/pack"
)

const probeImage = "localhost/probe:dev"

func TestANodeRunsPods(t *testing.T) {
	bed := newBed(t)
	c := bed.up("node", true)
	before, err := c.Running()
	bed.Expect(err).NotTo(HaveOccurred())
	bed.Expect(before).To(HaveLen(len(c.Parts())))

	started := time.Now()
	again := bed.up("node", true)
	bed.Expect(time.Since(started)).To(BeNumerically("<", 3*time.Second), "a second up is quick")
	bed.Expect(again.Running()).To(Equal(before), "a second up starts nothing")

	bed.Expect(c.Load(t.Context(), bed.probe())).To(Succeed())
	bed.runJob(c, "asks-api-server", "version")
	bed.runJob(c, "reaches-host-command", "dial", bed.listenInside(c))
	bed.reachedThroughService(c)
	bed.hostIsUntouched()

	bed.Expect(c.Down(t.Context())).To(Succeed())
	bed.nothingIsLeft(c)
	_, err = testbed.Find("node")
	bed.Expect(err).To(MatchError(testbed.ErrNotRunning))
}

func TestKilledPartsComeBack(t *testing.T) {
	bed := newBed(t)
	c := bed.up("killed", true)
	bed.Expect(c.Load(t.Context(), bed.probe())).To(Succeed())
	bed.runJob(c, "before", "version")
	for _, victims := range [][]string{
		{"kube-apiserver"},
		{"etcd", "kube-scheduler"},
		{"forwarder"},
		{"containerd"},
		{"kubelet", "containerd", "kube-proxy"},
		{"namespaces"},
	} {
		for _, part := range victims {
			bed.kill(c, part)
		}
		bed.Expect(c.Restart(t.Context())).To(Succeed(), "%v", victims)
		bed.jobIsComplete(c, "before")
		bed.runJob(c, "after-"+strings.Join(victims, "-"), "version")
	}
}

func TestAnUncleanEndIsRecoveredFrom(t *testing.T) {
	bed := newBed(t)
	c := bed.up("unclean", true)
	bed.Expect(c.Load(t.Context(), bed.probe())).To(Succeed())
	bed.runJob(c, "before", "version")
	bed.startServer(c)

	bed.killEverything(c)
	bed.Expect(c.Running()).To(BeEmpty())
	c = bed.up("unclean", true)
	bed.jobIsComplete(c, "before")
	bed.runJob(c, "after", "version")

	bed.killEverything(c)
	bed.Expect(testbed.Down(t.Context(), "unclean")).To(Succeed())
	bed.nothingIsLeft(c)
}

func TestAClusterFromBeforeARestartOfTheMachineIsReplaced(t *testing.T) {
	bed := newBed(t)
	c := bed.up("reboot", true)
	bed.Expect(c.Load(t.Context(), bed.probe())).To(Succeed())
	bed.runJob(c, "before", "version")
	bed.killEverything(c)
	bed.pretendRestart(c)

	_, err := testbed.Find("reboot")
	bed.Expect(err).To(MatchError(testbed.ErrNotRunning))
	c = bed.up("reboot", true)
	jobs, err := bed.client(c).BatchV1().Jobs("default").List(t.Context(), metav1.ListOptions{})
	bed.Expect(err).NotTo(HaveOccurred())
	bed.Expect(jobs.Items).To(BeEmpty())
	bed.Expect(c.Load(t.Context(), bed.probe())).To(Succeed())
	bed.runJob(c, "after", "version")
}

func TestAnInterruptedStartIsFinishedByTheNext(t *testing.T) {
	bed := newBed(t)
	for _, when := range []string{"namespaces", "forwarder", "containerd", "kube-apiserver", "kubelet"} {
		ctx, cancel := context.WithCancel(t.Context())
		progress := &tripwire{word: "starting " + when, trip: cancel}
		c, err := testbed.Up(ctx, testbed.Options{Name: "halted", Node: true, Progress: progress})
		bed.Expect(err).To(MatchError(context.Canceled), when)
		bed.Expect(c).To(BeNil())
		c = bed.up("halted", true)
		bed.Expect(c.Load(t.Context(), bed.probe())).To(Succeed())
		bed.runJob(c, "after-"+when, "version")
		bed.Expect(c.Down(t.Context())).To(Succeed())
		bed.nothingIsLeft(c)
	}
}

func TestClustersDoNotMeet(t *testing.T) {
	bed := newBed(t)
	left, right, plain := bed.up("left", true), bed.up("right", true), bed.up("plain", false)
	for _, c := range []*testbed.Cluster{left, right} {
		bed.Expect(c.Load(t.Context(), bed.probe())).To(Succeed())
		bed.runJob(c, "in-"+c.Name(), "version")
		bed.listenInside(c)
	}
	bed.Expect(bed.jobNames(left)).To(ConsistOf("in-left"))
	bed.Expect(bed.jobNames(right)).To(ConsistOf("in-right"))
	bed.Expect(bed.jobNames(plain)).To(BeEmpty())

	bed.Expect(left.Down(t.Context())).To(Succeed())
	bed.runJob(right, "right-goes-on", "version")
	bed.Expect(bed.jobNames(plain)).To(BeEmpty())
	bed.Expect(right.Down(t.Context())).To(Succeed())
	bed.Expect(plain.Down(t.Context())).To(Succeed())
	for _, c := range []*testbed.Cluster{left, right, plain} {
		bed.nothingIsLeft(c)
	}
}

func TestAControlPlaneAlone(t *testing.T) {
	bed := newBed(t)
	c := bed.up("plain", false)
	bed.Expect(c.HasNode()).To(BeFalse())
	bed.Expect(c.NodeIP()).To(Equal("127.0.0.1"))
	out, err := c.Command(t.Context(), "kubectl", "create", "namespace", "made-by-command").CombinedOutput()
	bed.Expect(err).NotTo(HaveOccurred(), string(out))
	audit, err := os.ReadFile(c.AuditLog())
	bed.Expect(err).NotTo(HaveOccurred())
	bed.Expect(string(audit)).To(ContainSubstring(`"name":"made-by-command"`))
	bed.Expect(c.Load(t.Context(), bed.probe())).NotTo(Succeed())
	_, err = testbed.Up(t.Context(), testbed.Options{Name: "plain", Node: true})
	bed.Expect(err).To(MatchError(ContainSubstring("runs without a node")))

	bed.kill(c, "kube-apiserver")
	bed.Expect(c.Restart(t.Context())).To(Succeed())
	_, err = bed.client(c).CoreV1().Namespaces().Get(t.Context(), "made-by-command", metav1.GetOptions{})
	bed.Expect(err).NotTo(HaveOccurred())
	bed.Expect(c.Down(t.Context())).To(Succeed())
	bed.nothingIsLeft(c)
}

func TestAPartThatCannotStartIsNamedWithItsLog(t *testing.T) {
	bed := newBed(t)
	c := bed.up("blocked", false)
	cfg, err := c.RESTConfig()
	bed.Expect(err).NotTo(HaveOccurred())
	bed.kill(c, "kube-apiserver")
	var squatter net.Listener
	bed.Eventually(func() error {
		squatter, err = net.Listen("tcp", strings.TrimPrefix(cfg.Host, "https://"))
		return err
	}).WithTimeout(10 * time.Second).Should(Succeed())
	started := time.Now()
	err = c.Restart(t.Context())
	bed.Expect(err).To(MatchError(And(
		ContainSubstring("kube-apiserver ended"), ContainSubstring("address already in use"), ContainSubstring(c.LogFile("kube-apiserver")))))
	bed.Expect(time.Since(started)).To(BeNumerically("<", 30*time.Second), "not only when the time is up")
	bed.Expect(squatter.Close()).To(Succeed())
	bed.Expect(c.Restart(t.Context())).To(Succeed())
}

// bed is one test with a folder of its own for its clusters.
type bed struct {
	*WithT
	t *testing.T
}

func newBed(t *testing.T) bed {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	return bed{WithT: NewWithT(t), t: t}
}

func (b bed) up(name string, node bool) *testbed.Cluster {
	b.t.Helper()
	c, err := testbed.Up(b.t.Context(), testbed.Options{Name: name, Node: node, Progress: logWriter{b.t}})
	b.Expect(err).NotTo(HaveOccurred())
	// The test's own context has ended by then.
	b.t.Cleanup(func() { b.Expect(c.Down(context.Background())).To(Succeed()) })
	return c
}

// probe builds the image that the pods of these tests run, and names it as somebody
// at a terminal would: seen from where they are.
func (b bed) probe() string {
	b.t.Helper()
	dir := b.t.TempDir()
	binary := filepath.Join(dir, "probe")
	cmd := exec.Command("go", "build", "-o", binary, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	b.Expect(err).NotTo(HaveOccurred(), string(out))
	_, err = pack.Write(pack.Image{Binary: binary, Name: probeImage}, binary+".tar")
	b.Expect(err).NotTo(HaveOccurred())
	here, err := os.Getwd()
	b.Expect(err).NotTo(HaveOccurred())
	tar, err := filepath.Rel(here, binary+".tar")
	b.Expect(err).NotTo(HaveOccurred())
	return tar
}

func (b bed) client(c *testbed.Cluster) *kubernetes.Clientset {
	b.t.Helper()
	cfg, err := c.RESTConfig()
	b.Expect(err).NotTo(HaveOccurred())
	return kubernetes.NewForConfigOrDie(cfg)
}

func probeContainer(args ...string) corev1.Container {
	yes, no := true, false
	return corev1.Container{
		Name: "probe", Image: probeImage, ImagePullPolicy: corev1.PullNever, Args: args,
		SecurityContext: &corev1.SecurityContext{
			RunAsNonRoot: &yes, ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no,
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

func (b bed) runJob(c *testbed.Cluster, name string, args ...string) {
	b.t.Helper()
	var once int32
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: batchv1.JobSpec{BackoffLimit: &once, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{probeContainer(args...)},
		}}},
	}
	_, err := b.client(c).BatchV1().Jobs("default").Create(b.t.Context(), job, metav1.CreateOptions{})
	b.Expect(err).NotTo(HaveOccurred())
	b.jobIsComplete(c, name)
}

func (b bed) jobIsComplete(c *testbed.Cluster, name string) {
	b.t.Helper()
	client := b.client(c)
	b.Eventually(func(g Gomega) {
		job, err := client.BatchV1().Jobs("default").Get(b.t.Context(), name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		for _, condition := range job.Status.Conditions {
			if condition.Type == batchv1.JobFailed {
				StopTrying("the job failed: " + condition.Message).Now()
			}
		}
		g.Expect(job.Status.Succeeded).To(BeEquivalentTo(1), "%+v", job.Status)
	}).WithTimeout(time.Minute).WithPolling(100 * time.Millisecond).Should(Succeed())
}

func (b bed) jobNames(c *testbed.Cluster) []string {
	b.t.Helper()
	jobs, err := b.client(c).BatchV1().Jobs("default").List(b.t.Context(), metav1.ListOptions{})
	b.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, job := range jobs.Items {
		names = append(names, job.Name)
	}
	return names
}

// listenInside runs the probe as a host command in the cluster's network, as a
// test's PostgreSQL would run, and returns the address at which pods reach it.
func (b bed) listenInside(c *testbed.Cluster) string {
	b.t.Helper()
	address := net.JoinHostPort(c.NodeIP(), "5432")
	binary := strings.TrimSuffix(b.probe(), ".tar")
	cmd := c.Command(b.t.Context(), binary, "serve", address)
	b.Expect(cmd.Start()).To(Succeed())
	b.t.Cleanup(func() { _ = cmd.Wait() })
	b.Eventually(func() error {
		out, err := c.Command(b.t.Context(), binary, "dial", address).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}).WithTimeout(10 * time.Second).Should(Succeed())
	return address
}

func (b bed) startServer(c *testbed.Cluster) {
	b.t.Helper()
	client := b.client(c)
	labels := map[string]string{"app": "server"}
	_, err := client.CoreV1().Pods("default").Create(b.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "server", Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{probeContainer("serve", ":8080")}},
	}, metav1.CreateOptions{})
	b.Expect(err).NotTo(HaveOccurred())
	_, err = client.CoreV1().Services("default").Create(b.t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: corev1.ServiceSpec{
			Selector: labels,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	b.Expect(err).NotTo(HaveOccurred())
}

// reachedThroughService is the way by which the API server calls a webhook.
func (b bed) reachedThroughService(c *testbed.Cluster) {
	b.t.Helper()
	b.startServer(c)
	b.Eventually(func() (string, error) {
		raw, err := b.client(c).CoreV1().Services("default").ProxyGet("http", "server", "80", "/", nil).DoRaw(b.t.Context())
		return string(raw), err
	}).WithTimeout(time.Minute).Should(Equal("served\n"))
	ip, err := b.client(c).CoreV1().Services("default").Get(b.t.Context(), "server", metav1.GetOptions{})
	b.Expect(err).NotTo(HaveOccurred())
	b.runJob(c, "reaches-cluster-ip", "dial", net.JoinHostPort(ip.Spec.ClusterIP, "80"))
}

func (b bed) kill(c *testbed.Cluster, part string) {
	b.t.Helper()
	pid, err := c.PID(part)
	b.Expect(err).NotTo(HaveOccurred())
	b.Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed())
	b.Eventually(c.Running).WithTimeout(10 * time.Second).ShouldNot(HaveKey(part))
}

// killEverything ends all processes of the cluster at once, shims and pods included,
// as a crash of the machine would.
func (b bed) killEverything(c *testbed.Cluster) {
	b.t.Helper()
	b.Eventually(func() int {
		pids := cgroupPIDs(c)
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(pids)
	}).WithTimeout(20 * time.Second).Should(BeZero())
}

func cgroupPIDs(c *testbed.Cluster) []int {
	var pids []int
	for _, root := range cgroupFolders(c) {
		// What vanishes while the tree is walked is what this waits for.
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "cgroup.procs" {
				pids = append(pids, numbersIn(path)...)
			}
			return nil
		})
	}
	return pids
}

func numbersIn(path string) []int {
	raw, _ := os.ReadFile(path)
	var numbers []int
	for _, field := range strings.Fields(string(raw)) {
		if n, err := strconv.Atoi(field); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

func cgroupFolders(c *testbed.Cluster) []string {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/arcane-" + c.Name() + "-*")
	v2, _ := filepath.Glob("/sys/fs/cgroup/arcane-" + c.Name() + "-*")
	return append(v1, v2...)
}

// pretendRestart makes the run folder look as if the machine had been restarted.
func (b bed) pretendRestart(c *testbed.Cluster) {
	b.t.Helper()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	b.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(c.Dir(), "cluster.json")
	raw, err := os.ReadFile(file)
	b.Expect(err).NotTo(HaveOccurred())
	raw = bytes.ReplaceAll(raw, bytes.TrimSpace(boot), []byte("00000000-0000-0000-0000-000000000000"))
	b.Expect(os.WriteFile(file, raw, 0o644)).To(Succeed())
}

// hostIsUntouched looks at the host while a node runs.
func (b bed) hostIsUntouched() {
	b.t.Helper()
	links, err := net.Interfaces()
	b.Expect(err).NotTo(HaveOccurred())
	for _, link := range links {
		b.Expect(link.Name).NotTo(Or(HavePrefix("cni"), HavePrefix("veth"), HavePrefix("node")))
	}
	rules, err := exec.Command("iptables-save").Output()
	b.Expect(err).NotTo(HaveOccurred())
	b.Expect(string(rules)).NotTo(ContainSubstring("KUBE-"))
	mounts, err := os.ReadFile("/proc/self/mounts")
	b.Expect(err).NotTo(HaveOccurred())
	b.Expect(string(mounts)).NotTo(ContainSubstring("arcane"))
}

func (b bed) nothingIsLeft(c *testbed.Cluster) {
	b.t.Helper()
	b.Expect(c.Running()).To(BeEmpty())
	b.Expect(cgroupFolders(c)).To(BeEmpty())
	b.Expect(c.Dir()).NotTo(BeADirectory())
	b.hostIsUntouched()
	for _, dir := range []string{"/var/lib/cni", "/var/lib/kubelet"} {
		_, err := os.Stat(dir)
		if !errors.Is(err, fs.ErrNotExist) && !somebodyElseHasANode() {
			b.t.Errorf("%s is left", dir)
		}
	}
}

// somebodyElseHasANode: the mount points are shared with every other cluster of the
// machine, which this test must not disturb.
func somebodyElseHasANode() bool {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/arcane-*")
	v2, _ := filepath.Glob("/sys/fs/cgroup/arcane-*")
	return len(v1)+len(v2) > 0
}

// logWriter shows the testbed's progress in the test's own output.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(line), "\n"))
	return len(line), nil
}

// tripwire acts when the testbed reports a certain step.
type tripwire struct {
	word string
	trip func()
}

func (w *tripwire) Write(line []byte) (int, error) {
	if strings.HasPrefix(string(line), w.word) {
		w.trip()
	}
	return len(line), nil
}
