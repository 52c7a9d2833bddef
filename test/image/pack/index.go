// Images of several platforms under one name, as an OCI archive.

package pack

import (
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations by which programs find an image in an OCI layout: the first is OCI's, which
// holds the tag, the second containerd's and Docker's, which holds the whole name.
const (
	refName       = "org.opencontainers.image.ref.name"
	containerName = "io.containerd.image.name"
)

// WriteLayout writes images that differ in their architecture into an empty folder, as one
// index under their name in an OCI layout, and returns the index's digest. The labels of an
// image are also annotations of its manifest, and those of the first image are the index's.
func WriteLayout(images []Image, folder string) (string, error) {
	tag, err := oneName(images)
	if err != nil {
		return "", err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		built, err := image.manifest()
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        built,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: image.Architecture}},
		})
	}
	index, ok := mutate.Annotations(index, images[0].Labels).(v1.ImageIndex)
	if !ok {
		panic("an index with annotations is no index any more")
	}
	target, err := layout.Write(folder, empty.Index)
	if err != nil {
		return "", fmt.Errorf("make the OCI layout: %w", err)
	}
	err = target.AppendIndex(index, layout.WithAnnotations(map[string]string{refName: tag.TagStr(), containerName: tag.Name()}))
	if err != nil {
		return "", fmt.Errorf("write the OCI layout: %w", err)
	}
	digest, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("compute the index's digest: %w", err)
	}
	return digest.String(), nil
}

// manifest makes the image with the media types of OCI.
func (i Image) manifest() (v1.Image, error) {
	built, err := i.build(types.OCILayer)
	if err != nil {
		return nil, err
	}
	built = mutate.ConfigMediaType(mutate.MediaType(built, types.OCIManifestSchema1), types.OCIConfigJSON)
	annotated, ok := mutate.Annotations(built, i.Labels).(v1.Image)
	if !ok {
		panic("an image with annotations is no image any more")
	}
	return annotated, nil
}

// oneName is the name of all of them.
func oneName(images []Image) (name.Tag, error) {
	if len(images) == 0 {
		return name.Tag{}, errors.New("an index of no images")
	}
	seen := map[string]bool{}
	for _, image := range images {
		if image.Name != images[0].Name {
			return name.Tag{}, fmt.Errorf("an index of %q and %q: one index has one name", images[0].Name, image.Name)
		}
		if seen[image.Architecture] {
			return name.Tag{}, fmt.Errorf("an index of two images for %q", image.Architecture)
		}
		seen[image.Architecture] = true
	}
	return parseName(images[0].Name)
}
