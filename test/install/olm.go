package install

// This file installs the Operator Lifecycle Manager without a registry: its programs run as pods, from images that hold nothing
// else, and a catalog is served from a folder of this machine.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/image/pack"
)

// OLMNamespace is where OLM and its catalogs are.
const OLMNamespace = "olm"

// CatalogSource is the name of the catalog that Catalog serves.
const CatalogSource = "arcane"

// catalogAddress is the ClusterIP of the catalog's Service: the testbed has no DNS, and OLM wants an address.
const catalogAddress = "10.96.0.51"

// olmParts are OLM's programs and the server of catalogs.
var olmParts = []string{"olm", "catalog", "opm"}

// olmManifest is what OLM's own chart installs, but for its metrics and its server of packages. OLM creates the rights that
// bundles ask for, so it has all of them.
var olmManifest = template.Must(template.New("olm").Parse(`
apiVersion: v1
kind: Namespace
metadata: {name: {{.Namespace}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: olm, namespace: {{.Namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: olm}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: olm, namespace: {{.Namespace}}}]
---
apiVersion: operators.coreos.com/v1
kind: OLMConfig
metadata: {name: cluster}
{{range .Parts}}---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{.Name}}, namespace: {{$.Namespace}}}
spec:
  selector: {matchLabels: {app: {{.Name}}}}
  strategy: {type: Recreate}
  template:
    metadata: {labels: {app: {{.Name}}}}
    spec:
      serviceAccountName: olm
      terminationGracePeriodSeconds: 1
      containers:
        - name: {{.Name}}
          image: {{.Image}}
          imagePullPolicy: Never
          args: [{{.Args}}]
          env:
            - {name: OPERATOR_NAME, value: olm-operator}
            - name: OPERATOR_NAMESPACE
              valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{if .Folder}}- {name: catalog, mountPath: /configs, readOnly: true}{{end}}
      volumes:
        - {name: tmp, emptyDir: {}}
        {{if .Folder}}- {name: catalog, hostPath: {path: {{.Folder}}, type: Directory}}{{end}}
{{end}}`))

// catalogManifest is the Service of the catalog's server, and what tells OLM of it.
var catalogManifest = template.Must(template.New("catalog").Parse(`
apiVersion: v1
kind: Service
metadata: {name: opm, namespace: {{.Namespace}}}
spec:
  clusterIP: {{.Address}}
  selector: {app: opm}
  ports: [{port: 50051}]
---
apiVersion: operators.coreos.com/v1alpha1
kind: CatalogSource
metadata: {name: {{.Name}}, namespace: {{.Namespace}}}
spec:
  sourceType: grpc
  address: {{.Address}}:50051
  displayName: Arcane
`))

// OLM installs OLM and serves the catalog that lies in a folder, as file-based catalogs do.
func OLM(ctx context.Context, cluster *testbed.Cluster, catalog string, progress io.Writer) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	arguments := map[string]string{
		"olm":     "--namespace, " + OLMNamespace + ", --writeStatusName=, --writePackageServerStatusName=",
		"catalog": "--namespace, " + OLMNamespace + ", --interval=10s",
		"opm":     "serve, /configs",
	}
	type part struct{ Name, Image, Args, Folder string }
	var parts []part
	for _, name := range olmParts {
		image, err := olmImage(ctx, cluster, root, name, progress)
		if err != nil {
			return err
		}
		p := part{Name: name, Image: image, Args: arguments[name]}
		if name == "opm" {
			p.Folder = catalog
		}
		parts = append(parts, p)
	}
	where := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/operator-framework/operator-lifecycle-manager")
	where.Dir, where.Stderr = filepath.Join(root, "tools", "olm"), progress
	module, err := where.Output()
	if err != nil {
		return fmt.Errorf("find OLM's own kinds: %w", err)
	}
	if err := kubectl(ctx, cluster, "apply", "--server-side", "-f", filepath.Join(strings.TrimSpace(string(module)), "deploy", "chart", "crds")); err != nil {
		return fmt.Errorf("install OLM's kinds: %w", err)
	}
	if err := kubectl(ctx, cluster, "wait", "crd", "--all", "--for=condition=Established", "--timeout=1m"); err != nil {
		return fmt.Errorf("wait for OLM's kinds: %w", err)
	}
	if err := applyTemplate(ctx, cluster, olmManifest, map[string]any{"Namespace": OLMNamespace, "Parts": parts}); err != nil {
		return fmt.Errorf("install OLM: %w", err)
	}
	if err := applyTemplate(ctx, cluster, catalogManifest, map[string]any{"Namespace": OLMNamespace, "Name": CatalogSource, "Address": catalogAddress}); err != nil {
		return fmt.Errorf("install the catalog: %w", err)
	}
	for _, name := range olmParts {
		if err := kubectl(ctx, cluster, "--namespace", OLMNamespace, "rollout", "status", "deployment/"+name, "--timeout=2m"); err != nil {
			return fmt.Errorf("wait for OLM's %s: %w", name, err)
		}
	}
	return awaitCatalog(ctx, cluster)
}

// RefreshCatalog serves the catalog's folder as it is now, as a registry's new image of a catalog would.
func RefreshCatalog(ctx context.Context, cluster *testbed.Cluster) error {
	if err := kubectl(ctx, cluster, "--namespace", OLMNamespace, "rollout", "restart", "deployment/opm"); err != nil {
		return fmt.Errorf("serve the catalog anew: %w", err)
	}
	if err := kubectl(ctx, cluster, "--namespace", OLMNamespace, "rollout", "status", "deployment/opm", "--timeout=2m"); err != nil {
		return fmt.Errorf("wait for the catalog: %w", err)
	}
	return awaitCatalog(ctx, cluster)
}

func awaitCatalog(ctx context.Context, cluster *testbed.Cluster) error {
	if err := kubectl(ctx, cluster, "--namespace", OLMNamespace, "wait", "catalogsource/"+CatalogSource,
		"--for=jsonpath={.status.connectionState.lastObservedState}=READY", "--timeout=2m"); err != nil {
		return fmt.Errorf("wait until OLM reads the catalog: %w", err)
	}
	return nil
}

// olmImage builds one of OLM's programs, where it is not yet built, and gives the node an image of it.
func olmImage(ctx context.Context, cluster *testbed.Cluster, root, program string, progress io.Writer) (string, error) {
	build := exec.CommandContext(ctx, filepath.Join(root, "tools", "run"), "--path", "olm", program)
	build.Stderr = progress
	path, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("build OLM's %s: %w", program, err)
	}
	name := "localhost/" + program + ":dev"
	output := filepath.Join(cluster.Dir(), program+".tar")
	if _, err := pack.Write(pack.Image{Binary: strings.TrimSpace(string(path)), Name: name, Dirs: []string{"/tmp"}}, output); err != nil {
		return "", fmt.Errorf("pack OLM's %s: %w", program, err)
	}
	return name, errors.Join(cluster.Load(ctx, output), os.Remove(output))
}

func applyTemplate(ctx context.Context, cluster *testbed.Cluster, manifest *template.Template, values map[string]any) error {
	var text bytes.Buffer
	if err := manifest.Execute(&text, values); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	cmd := cluster.Command(ctx, "kubectl", "apply", "--server-side", "-f", "-")
	cmd.Stdin = &text
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w\n%s", err, out)
	}
	return nil
}
