package validation

// This file finds the Secrets that a template's pod names.

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// TemplateSecrets are the names of the Secrets that a template's pod names,
// sorted, each once: its environment, its volumes and its pulling of images.
func TemplateSecrets(t *v1.StreamingJobTemplate) []string {
	pod := &t.Spec.Spec.Template.Spec
	names := containerSecrets(append(slices.Clone(pod.InitContainers), pod.Containers...))
	for _, c := range pod.EphemeralContainers {
		names = append(names, containerSecrets([]corev1.Container{corev1.Container(c.EphemeralContainerCommon)})...)
	}
	for _, ref := range pod.ImagePullSecrets {
		names = append(names, ref.Name)
	}
	for i := range pod.Volumes {
		names = append(names, volumeSecrets(&pod.Volumes[i].VolumeSource)...)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

func containerSecrets(list []corev1.Container) []string {
	var names []string
	for i := range list {
		c := &list[i]
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil {
				names = append(names, from.SecretRef.Name)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				names = append(names, e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
	return names
}

// volumeSecrets are those of all the kinds of volumes that can name one, also of
// drivers that few clusters have.
func volumeSecrets(v *corev1.VolumeSource) []string {
	var names []string
	add := func(ref *corev1.LocalObjectReference) {
		if ref != nil {
			names = append(names, ref.Name)
		}
	}
	if v.Secret != nil {
		names = append(names, v.Secret.SecretName)
	}
	if v.Projected != nil {
		for i := range v.Projected.Sources {
			if s := v.Projected.Sources[i].Secret; s != nil {
				names = append(names, s.Name)
			}
		}
	}
	if v.CSI != nil {
		add(v.CSI.NodePublishSecretRef)
	}
	if v.FlexVolume != nil {
		add(v.FlexVolume.SecretRef)
	}
	if v.AzureFile != nil {
		names = append(names, v.AzureFile.SecretName)
	}
	if v.CephFS != nil {
		add(v.CephFS.SecretRef)
	}
	if v.Cinder != nil {
		add(v.Cinder.SecretRef)
	}
	if v.ISCSI != nil {
		add(v.ISCSI.SecretRef)
	}
	if v.RBD != nil {
		add(v.RBD.SecretRef)
	}
	if v.ScaleIO != nil {
		add(v.ScaleIO.SecretRef)
	}
	if v.StorageOS != nil {
		add(v.StorageOS.SecretRef)
	}
	return names
}
