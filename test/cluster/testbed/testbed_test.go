// The testbed's parts that need no cluster: names, folders, configuration, versions.

package testbed

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/mod/modfile"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// isolate gives a test folders of its own.
func isolate(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("KUBEBUILDER_ASSETS", "")
	t.Setenv("CLUSTER", "")
}

func TestTheModuleBuildsTheVersionThatTheFoldersName(t *testing.T) {
	g := NewWithT(t)
	raw, err := os.ReadFile("../kube/go.mod")
	g.Expect(err).NotTo(HaveOccurred())
	mod, err := modfile.Parse("go.mod", raw, nil)
	g.Expect(err).NotTo(HaveOccurred())
	versions := map[string]string{}
	for _, r := range mod.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	g.Expect(versions).To(HaveKeyWithValue("k8s.io/kubernetes", "v"+KubernetesVersion))
	staging := "v0." + strings.SplitN(KubernetesVersion, ".", 2)[1]
	for _, r := range mod.Replace {
		g.Expect(r.New.Version).To(Equal(staging), r.Old.Path)
	}
	g.Expect(mod.Replace).NotTo(BeEmpty())
	tools := map[string]bool{}
	for _, tool := range mod.Tool {
		tools[filepath.Base(tool.Path)] = true
	}
	for _, name := range append(controlPlaneBinaries(), nodeBinaries()...) {
		g.Expect(tools).To(HaveKey(filepath.Base(packageOf(name))))
	}
}

func TestNames(t *testing.T) {
	g := NewWithT(t)
	for _, good := range []string{"a", "arcane", "e2e-1", strings.Repeat("x", 24)} {
		g.Expect(validName(good)).To(Succeed(), good)
	}
	for _, bad := range []string{"", "-a", "a-", "A", "a_b", "a/b", "..", strings.Repeat("x", 25)} {
		g.Expect(validName(bad)).NotTo(Succeed(), bad)
	}
}

func TestTheSameNameInTwoFoldersIsTwoClusters(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	one, err := locate("arcane")
	g.Expect(err).NotTo(HaveOccurred())
	again, err := locate("arcane")
	g.Expect(err).NotTo(HaveOccurred())
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	other, err := locate("arcane")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.id).To(Equal(one.id))
	g.Expect(other.id).NotTo(Equal(one.id))
	// Kubelet takes the id as the name of a control group and refuses underscores.
	g.Expect(one.id).To(MatchRegexp(`^arcane-arcane-[0-9a-f]{6}$`))
}

func TestAFolderThatTheNodeCoversIsRefused(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	for _, covered := range []string{"/run", "/run/user/0", "/var/log/x", "/var/lib/kubelet"} {
		t.Setenv("XDG_STATE_HOME", covered)
		_, err := locate("arcane")
		g.Expect(err).To(MatchError(ContainSubstring("XDG_STATE_HOME")), covered)
	}
	t.Setenv("XDG_STATE_HOME", "/running/x")
	_, err := locate("arcane")
	g.Expect(err).NotTo(HaveOccurred())
}

func TestAnExistingClusterIsUsedOnlyWhenAskedFor(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	kubeconfig := kubeconfigOf(t, server.URL)
	t.Setenv("KUBECONFIG", kubeconfig)
	_, err := Find("arcane")
	g.Expect(err).To(MatchError(ErrNotRunning), "KUBECONFIG alone")

	t.Setenv("CLUSTER", "existing")
	c, err := Up(t.Context(), Options{Node: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.Existing()).To(BeTrue())
	g.Expect(c.Kubeconfig()).To(Equal(kubeconfig))
	g.Expect(c.AuditLog()).To(BeEmpty())
	g.Expect(c.Down(t.Context())).To(Succeed())
	g.Expect(kubeconfig).To(BeAnExistingFile())

	server.Close()
	_, err = Up(t.Context(), Options{})
	g.Expect(err).To(MatchError(And(ContainSubstring(kubeconfig), ContainSubstring("connection refused"))))

	t.Setenv("KUBECONFIG", "")
	_, err = Up(t.Context(), Options{})
	g.Expect(err).To(MatchError(ContainSubstring("KUBECONFIG")))

	t.Setenv("CLUSTER", "exisiting")
	_, err = Up(t.Context(), Options{})
	g.Expect(err).To(MatchError(ContainSubstring("CLUSTER=exisiting")))
	_, err = Find("arcane")
	g.Expect(err).To(MatchError(ContainSubstring("only CLUSTER=existing")))
}

// kubeconfigOf writes a kubeconfig that leads to a server.
func kubeconfigOf(t *testing.T, server string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["mine"] = &clientcmdapi.Cluster{Server: server}
	config.Contexts["mine"] = &clientcmdapi.Context{Cluster: "mine"}
	config.CurrentContext = "mine"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestACacheThatCannotBeWrittenIsNamed(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	inTheWay := filepath.Join(t.TempDir(), "file")
	g.Expect(os.WriteFile(inTheWay, nil, 0o600)).To(Succeed())
	t.Setenv("XDG_CACHE_HOME", inTheWay)
	_, err := Up(t.Context(), Options{})
	g.Expect(err).To(MatchError(And(ContainSubstring(filepath.Join(inTheWay, "arcane")), ContainSubstring("XDG_CACHE_HOME"))))
}

// rendered is a cluster whose files are written and of which nothing runs.
func rendered(t *testing.T, node bool) *Cluster {
	t.Helper()
	isolate(t)
	g := NewWithT(t)
	c, err := locate("rendered")
	g.Expect(err).NotTo(HaveOccurred())
	for _, dir := range []string{"pki", "config"} {
		g.Expect(os.MkdirAll(filepath.Join(c.dir, dir), 0o755)).To(Succeed())
	}
	c.state = state{Name: "rendered", Node: node, BootID: bootID()}
	g.Expect(c.pickPorts(t.Context())).To(Succeed())
	ca, err := c.writeCertificates()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.writeKubeconfigs(ca)).To(Succeed())
	return c
}

func TestTheServersCertificateIsGoodForEveryAddress(t *testing.T) {
	g := NewWithT(t)
	c := rendered(t, true)
	authority := x509.NewCertPool()
	g.Expect(authority.AppendCertsFromPEM(read(t, c.pki("ca.crt")))).To(BeTrue())
	block, _ := pem.Decode(read(t, c.pki("apiserver.crt")))
	cert, err := x509.ParseCertificate(block.Bytes)
	g.Expect(err).NotTo(HaveOccurred())
	for _, address := range []string{"127.0.0.1", "localhost", "10.96.0.1", c.NodeIP(), "kubernetes.default.svc"} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: authority, DNSName: address})
		g.Expect(err).NotTo(HaveOccurred(), address)
	}
	info, err := os.Stat(c.pki("ca.key"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(BeEquivalentTo(0o600))
}

func TestTheKubeconfigIsUsable(t *testing.T) {
	g := NewWithT(t)
	c := rendered(t, true)
	cfg, err := c.RESTConfig()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cfg.QPS).To(BeEquivalentTo(-1))
	g.Expect(cfg.Host).To(HavePrefix("https://127.0.0.1:"))
	for _, name := range []string{kubelet, kubeProxy, scheduler, controllerManager} {
		_, err := clientcmd.LoadFromFile(c.partKubeconfig(name))
		g.Expect(err).NotTo(HaveOccurred(), name)
	}
}

func TestTheConfigurationFilesParse(t *testing.T) {
	g := NewWithT(t)
	c := rendered(t, true)
	for name, content := range map[string]string{
		"KubeletConfiguration":       c.kubeletConfig(),
		"KubeProxyConfiguration":     c.kubeProxyConfig(),
		"KubeSchedulerConfiguration": c.schedulerConfig(),
		"Policy":                     auditPolicy,
	} {
		var object map[string]any
		g.Expect(yaml.UnmarshalStrict([]byte(content), &object)).To(Succeed(), name)
		g.Expect(object).To(HaveKeyWithValue("kind", name))
	}
	var kubeletConfig map[string]any
	g.Expect(yaml.Unmarshal([]byte(c.kubeletConfig()), &kubeletConfig)).To(Succeed())
	g.Expect(kubeletConfig).To(HaveKeyWithValue("cgroupRoot", "/"+c.id))
	g.Expect(json.Valid([]byte(networkConfig))).To(BeTrue())
}

func TestClustersGetPortsOfTheirOwn(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	seen := map[int]string{}
	var reserved []*Cluster
	for _, name := range []string{"one", "two", "three", "four"} {
		// The cluster's own folder may be anywhere.
		t.Setenv("XDG_STATE_HOME", t.TempDir())
		c, err := locate(name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(os.MkdirAll(c.dir, 0o755)).To(Succeed())
		g.Expect(c.pickPorts(t.Context())).To(Succeed())
		others := reservedPorts(c.reservation())
		for port := range seen {
			g.Expect(others).To(HaveKey(port))
		}
		g.Expect(others).NotTo(HaveKey(c.state.APIPort))
		for _, port := range []int{c.state.APIPort, c.state.EtcdPort, c.state.EtcdPeer} {
			g.Expect(seen).NotTo(HaveKey(port))
			g.Expect(port).To(And(BeNumerically(">=", firstPort), BeNumerically("<=", lastPort)))
			seen[port] = name
			reserved = append(reserved, c)
		}
	}
	for _, c := range reserved {
		g.Expect(c.Down(t.Context())).To(Succeed())
	}
	g.Expect(os.ReadDir(reservations())).To(BeEmpty())
}

func TestHierarchies(t *testing.T) {
	g := NewWithT(t)
	g.Expect(hierarchies("31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 none rw,nsdelegate\n")).To(Equal([]hierarchy{
		{path: "/sys/fs/cgroup", unified: true, options: []string{"rw", "nsdelegate"}},
	}))
	hybrid := `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs none rw,mode=755
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup none rw,cpuset
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:7 - cgroup none rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 none rw
42 27 0:39 / /elsewhere/cgroup rw,relatime - cgroup2 none rw
`
	found := hierarchies(hybrid)
	g.Expect(found).To(HaveLen(3))
	c := &Cluster{id: "arcane-x"}
	g.Expect(c.processCgroup(found)).To(Equal("/sys/fs/cgroup/pids/arcane-x/testbed"))
	g.Expect(c.processCgroup(found[2:])).To(Equal("/sys/fs/cgroup/unified/arcane-x/testbed"))
}

func TestImportedNames(t *testing.T) {
	g := NewWithT(t)
	g.Expect(importedNames("unpacking localhost/pause:dev (sha256:1f)...done\n")).To(Equal([]string{"localhost/pause:dev"}))
	g.Expect(importedNames("something else\n")).To(BeEmpty())
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
