// The postgres plugin on a testbed cluster: its image, its manifests, a sink.

package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

const (
	// PostgresClass is the StreamClass of the postgres plugin, and the name of the StreamPlugin that installs it.
	PostgresClass = "postgres"
	// sinkClaim is the PersistentVolumeClaim that the plugin's pods mount.
	sinkClaim = "arcane-sink"
	// credentialsSecret holds the environment by which the plugin logs in.
	credentialsSecret = "postgres-credentials" //nolint:gosec // the Secret's name, which is none

	// pluginUser is whom the plugin's pods run as.
	pluginUser = 65532
)

// Plugin is the postgres plugin in one namespace of a cluster, with a sink that is
// a folder of this machine.
type Plugin struct {
	cluster   *testbed.Cluster
	database  *Database
	root      string
	namespace string
	class     string
}

// PostgresPlugin loads the plugin's image and applies the StreamPlugin that installs it, the database's credentials and a
// volume for the sink; then it waits until the operator has installed the plugin. The namespace must exist, and the
// operator must serve StreamPlugins. A class belongs to the whole cluster, so that each namespace needs a name of its own
// for it. What is there already is brought up to date.
func PostgresPlugin(ctx context.Context, cluster *testbed.Cluster, database *Database, namespace, class string) (*Plugin, error) {
	p, err := FindPostgresPlugin(cluster, database, namespace, class)
	if err != nil {
		return nil, err
	}
	image, err := loadImage(ctx, cluster, filepath.Join(p.root, "bin", "plugin-postgres.tar"))
	if err != nil {
		return nil, err
	}
	if err := p.makeSink(); err != nil {
		return nil, fmt.Errorf("make the sink's folder: %w", err)
	}
	if err := p.applyOwn(ctx, p.object(image)); err != nil {
		return nil, err
	}
	return p, p.awaitInstalled(ctx)
}

// FindPostgresPlugin is the plugin that was installed before.
func FindPostgresPlugin(cluster *testbed.Cluster, database *Database, namespace, class string) (*Plugin, error) {
	root, err := checkout()
	if err != nil {
		return nil, err
	}
	return &Plugin{cluster: cluster, database: database, root: root, namespace: namespace, class: class}, nil
}

// SinkFolder is where the files of this namespace's streams are, on this machine.
func (p *Plugin) SinkFolder() string { return filepath.Join(p.cluster.Dir(), "sink", p.namespace) }

// StreamFolder is where the files of one stream are, on this machine.
func (p *Plugin) StreamFolder(s *streamingv1.Stream) string {
	return filepath.Join(p.SinkFolder(), s.Namespace, s.Name+"-"+string(s.UID))
}

// Slot is the name of the stream's replication slot, and of its publication.
func Slot(s *streamingv1.Stream) string {
	return "arcane_" + strings.ReplaceAll(string(s.UID), "-", "_")
}

// Stream builds a stream of one of the database's tables. Files of changes are
// written each second rather than each ten, because somebody is watching.
func (p *Plugin) Stream(name, table string) (*streamingv1.Stream, error) {
	source, err := json.Marshal(map[string]any{
		"host": p.database.Host(), "port": DatabasePort, "database": databaseName, "table": table, "sslMode": "disable",
		"credentials": map[string]any{"name": credentialsSecret},
	})
	if err != nil {
		return nil, fmt.Errorf("build a stream: %w", err)
	}
	sink, err := json.Marshal(map[string]any{
		"bucket": "file:///sink", "format": "jsonl", "batch": map[string]any{"maxAge": "1s"},
	})
	if err != nil {
		return nil, fmt.Errorf("build a stream: %w", err)
	}
	return &streamingv1.Stream{
		TypeMeta:   metav1.TypeMeta{APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindStream},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name},
		Spec: streamingv1.StreamSpec{
			StreamClass: p.class,
			Source:      &runtime.RawExtension{Raw: source},
			Sink:        &runtime.RawExtension{Raw: sink},
		},
	}, nil
}

// ErrDiffer is returned by Verify where a row of the source and of the sink differ.
var ErrDiffer = errors.New("source and sink differ")

// Verify compares every row of the stream's table with its backfill plus the changes
// after it, at one LSN, by the plugin's own command. What that says goes to out.
func (p *Plugin) Verify(ctx context.Context, s *streamingv1.Stream, out io.Writer) error {
	var said bytes.Buffer
	err := p.run(ctx, s, io.MultiWriter(out, &said), "verify")
	if err != nil && strings.Contains(said.String(), "differ at LSN") {
		return ErrDiffer
	}
	return err
}

// Cleanup drops the stream's replication slot and publication. It is for when the
// stream has been deleted; s is as it was then.
func (p *Plugin) Cleanup(ctx context.Context, s *streamingv1.Stream) error {
	return p.run(ctx, s, io.Discard, "cleanup")
}

// run runs the plugin's program on this machine, inside the cluster's network.
func (p *Plugin) run(ctx context.Context, s *streamingv1.Stream, out io.Writer, command string) error {
	object, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the stream as JSON: %w", err)
	}
	program := filepath.Join(p.root, "bin", "plugin-postgres")
	if err := packed(program); err != nil {
		return err
	}
	cmd := p.database.Command(ctx, program, command, "--stream=-", "--bucket=file://"+p.SinkFolder())
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(object), out, &complaints
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("plugin-postgres %s: %w\n%s", command, err, complaints.String())
	}
	return nil
}

// makeSink makes a folder that the plugin's pods may write to.
func (p *Plugin) makeSink() error {
	if err := os.MkdirAll(p.SinkFolder(), 0o755); err != nil {
		return err
	}
	return os.Chown(p.SinkFolder(), pluginUser, pluginUser)
}

// object is the StreamPlugin: an image, and the volume that the sink is on.
func (p *Plugin) object(image string) *streamingv1.StreamPlugin {
	claim := corev1.PersistentVolumeClaimVolumeSource{ClaimName: sinkClaim}
	return &streamingv1.StreamPlugin{
		TypeMeta:   metav1.TypeMeta{APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindStreamPlugin},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: PostgresClass},
		Spec: streamingv1.StreamPluginSpec{
			Preset: streamingv1.PresetPostgres, Image: image, ClassName: p.class,
			Volumes:      []corev1.Volume{{Name: "sink", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &claim}}},
			VolumeMounts: []corev1.VolumeMount{{Name: "sink", MountPath: "/sink"}},
		},
	}
}

// awaitInstalled waits until the operator has installed the plugin, and says what kept it from that.
func (p *Plugin) awaitInstalled(ctx context.Context) error {
	err := kubectl(ctx, p.cluster, "--namespace", p.namespace, "wait", "--for=condition=Ready", "--timeout=60s", "streamplugin/"+PostgresClass)
	if err == nil {
		return nil
	}
	said, _ := p.cluster.Command(ctx, "kubectl", "--namespace", p.namespace, "get", "streamplugin", PostgresClass,
		"--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].message}").Output()
	return fmt.Errorf("wait until the plugin is installed: %w\n%s", err, said)
}

// applyOwn applies the StreamPlugin, and what belongs to this one installation: credentials and volume.
func (p *Plugin) applyOwn(ctx context.Context, plugin *streamingv1.StreamPlugin) error {
	// A typed object has an empty status, which the API server ignores.
	list := map[string]any{"apiVersion": "v1", "kind": "List", "items": []any{p.credentials(), p.volume(), p.claim(), plugin}}
	objects, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("write the plugin's objects as JSON: %w", err)
	}
	cmd := p.cluster.Command(ctx, "kubectl", "--namespace", p.namespace, "apply", "--server-side", "--force-conflicts", "--filename=-")
	cmd.Stdin = bytes.NewReader(objects)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apply the plugin's manifests: %w\n%s", err, out)
	}
	return nil
}

func (p *Plugin) credentials() *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: credentialsSecret},
		StringData: map[string]string{"PGUSER": databaseUser, "PGPASSWORD": p.database.Password()},
	}
}

func (p *Plugin) volumeName() string { return "arcane-sink-" + p.namespace }

// volume is the sink's folder as a volume of the one node.
func (p *Plugin) volume() *corev1.PersistentVolume {
	anyNode := corev1.NodeSelectorRequirement{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpExists}
	return &corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: metav1.ObjectMeta{Name: p.volumeName()},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: p.namespace, Name: sinkClaim},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: p.SinkFolder()}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{anyNode}}},
			}},
		},
	}
}

func (p *Plugin) claim() *corev1.PersistentVolumeClaim {
	var none string
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: sinkClaim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &none,
			VolumeName:       p.volumeName(),
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")}},
		},
	}
}

// modulePath names the root of the checkout.
const modulePath = "module github.com/arcane-streaming/arcane-operator\n"

// checkout is the root of the repository that this program is run in.
func checkout() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		if raw, err := os.ReadFile(filepath.Join(folder, "go.mod")); err == nil && strings.Contains(string(raw), modulePath) {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("find the checkout: run this inside a clone of the repository")
		}
		folder = filepath.Dir(folder)
	}
}
