// Package pack makes a container image of one static binary, without a container
// engine and without a base image.
package pack

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// NonRoot is the user of distroless images named "nonroot".
const NonRoot = "65532:65532"

// Every file is as old as this, so that the same binary gives the same image.
var timestamp = time.Unix(0, 0).UTC()

// Image says what is packed.
type Image struct {
	// Binary is the path of a static binary on this machine. It becomes the file
	// /<base name> of the image.
	Binary string
	// Name is the image's reference, for example localhost/arcane-operator:dev.
	Name string
	// User is UID:GID, numeric, as runAsNonRoot asks for. Default: NonRoot.
	User string
	// Entrypoint replaces the binary alone as the command.
	Entrypoint []string
	// Dirs are empty folders in the image that the user may write to, for example /tmp.
	Dirs []string
	// Architecture of the binary. Default: this machine's.
	Architecture string
	// Labels of the image.
	Labels map[string]string
	// Created is the time that the image says it was made at. Default: the same as of its files.
	Created time.Time
}

// Write packs the image into a tar file that containerd, Docker and Podman import,
// and returns the image's digest.
func Write(image Image, output string) (string, error) {
	built, err := Build(image)
	if err != nil {
		return "", err
	}
	tag, err := parseName(image.Name)
	if err != nil {
		return "", err
	}
	next := output + ".next"
	if err := tarball.WriteToFile(next, tag, built); err != nil {
		return "", fmt.Errorf("write the image: %w", err)
	}
	if err := os.Rename(next, output); err != nil {
		return "", fmt.Errorf("write the image: %w", err)
	}
	digest, err := built.Digest()
	if err != nil {
		return "", fmt.Errorf("compute the image's digest: %w", err)
	}
	return digest.String(), nil
}

// parseName wants a tag: without one the name would mean "latest", which Kubernetes
// always pulls.
func parseName(reference string) (name.Tag, error) {
	tag, err := name.NewTag(reference, name.WeakValidation)
	if err != nil {
		return tag, fmt.Errorf("image name %q: %w", reference, err)
	}
	if !strings.HasSuffix(reference, ":"+tag.TagStr()) {
		return tag, fmt.Errorf("image name %q: want a tag, as in localhost/name:dev", reference)
	}
	return tag, nil
}

// Build makes the image in memory. The same input gives the same digest, on any
// machine and at any time.
func Build(image Image) (v1.Image, error) { return image.build(types.DockerLayer) }

// build makes the image with a layer of that media type.
func (i Image) build(media types.MediaType) (v1.Image, error) {
	image, err := i.withDefaults()
	if err != nil {
		return nil, err
	}
	content, err := image.layer()
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(media))
	if err != nil {
		return nil, fmt.Errorf("make the image's layer: %w", err)
	}
	built, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: image.Created}, CreatedBy: "make image"},
	})
	if err != nil {
		return nil, fmt.Errorf("add the image's layer: %w", err)
	}
	built, err = mutate.ConfigFile(built, image.config(built))
	if err != nil {
		return nil, fmt.Errorf("write the image's configuration: %w", err)
	}
	return built, nil
}

func (i Image) withDefaults() (Image, error) {
	if i.User == "" {
		i.User = NonRoot
	}
	if len(i.Entrypoint) == 0 {
		i.Entrypoint = []string{"/" + path.Base(i.Binary)}
	}
	if i.Architecture == "" {
		i.Architecture = runtime.GOARCH
	}
	if i.Created.IsZero() {
		i.Created = timestamp
	}
	if _, _, err := i.owner(); err != nil {
		return i, err
	}
	for _, dir := range i.Dirs {
		if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" {
			return i, fmt.Errorf("folder %q: want an absolute, clean path below /", dir)
		}
	}
	return i, nil
}

func (i Image) owner() (uid, gid int, err error) {
	user, group, ok := strings.Cut(i.User, ":")
	uid, errUser := strconv.Atoi(user)
	gid, errGroup := strconv.Atoi(group)
	if !ok || errUser != nil || errGroup != nil || uid < 0 || gid < 0 {
		return 0, 0, fmt.Errorf("user %q: want UID:GID in digits", i.User)
	}
	return uid, gid, nil
}

func (i Image) config(built v1.Image) *v1.ConfigFile {
	cfg, err := built.ConfigFile()
	if err != nil {
		// An image made in memory a moment ago has its configuration in memory too.
		panic(fmt.Sprintf("read the configuration of a new image: %v", err))
	}
	cfg = cfg.DeepCopy()
	cfg.Architecture, cfg.OS = i.Architecture, "linux"
	cfg.Created = v1.Time{Time: i.Created}
	cfg.Config.Labels = i.Labels
	cfg.Config.User = i.User
	cfg.Config.Entrypoint = i.Entrypoint
	cfg.Config.WorkingDir = "/"
	cfg.Config.Env = []string{"PATH=/", "SSL_CERT_FILE=" + caCertificates}
	return cfg
}

// layer writes the tar archive: folders first, everything in a fixed order.
func (i Image) layer() ([]byte, error) {
	binary, err := os.ReadFile(i.Binary)
	if err != nil {
		return nil, fmt.Errorf("read the binary: %w", err)
	}
	if err := static(i.Binary, binary); err != nil {
		return nil, err
	}
	uid, gid, err := i.owner()
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	a := archive{w: tar.NewWriter(&buffer), seen: map[string]bool{}}
	for _, dir := range slices.Sorted(slices.Values(i.Dirs)) {
		a.folders(path.Dir(dir))
		a.folder(dir, 0o1777, uid, gid)
	}
	a.file(caCertificates, authorities(), 0o644)
	a.file("/etc/passwd", fmt.Appendf(nil, "nonroot:x:%d:%d:nonroot:/:/sbin/nologin\n", uid, gid), 0o644)
	a.file("/"+path.Base(i.Binary), binary, 0o755)
	if a.err == nil {
		a.err = a.w.Close()
	}
	if a.err != nil {
		return nil, fmt.Errorf("write the image's layer: %w", a.err)
	}
	return buffer.Bytes(), nil
}

// archive writes tar entries and remembers the first failure.
type archive struct {
	w    *tar.Writer
	seen map[string]bool
	err  error
}

// folders writes a folder and those it lies in, each once.
func (a *archive) folders(dir string) {
	if dir == "/" || dir == "." || a.seen[dir] {
		return
	}
	a.folders(path.Dir(dir))
	a.folder(dir, 0o755, 0, 0)
}

func (a *archive) folder(dir string, mode int64, uid, gid int) {
	if a.err != nil || a.seen[dir] {
		return
	}
	a.seen[dir] = true
	a.err = a.w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/",
		Mode: mode, Uid: uid, Gid: gid, ModTime: timestamp, Format: tar.FormatPAX,
	})
}

func (a *archive) file(name string, content []byte, mode int64) {
	a.folders(path.Dir(name))
	if a.err != nil {
		return
	}
	a.err = a.w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"),
		Size: int64(len(content)), Mode: mode, ModTime: timestamp, Format: tar.FormatPAX,
	})
	if a.err == nil {
		_, a.err = a.w.Write(content)
	}
}
