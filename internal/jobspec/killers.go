package jobspec

// This file tells by what the kubelet may end a container that is at work, leaving no
// trace of it where the container then exits 0.
//
// A pod that goes beyond a limit of its own on local storage is killed without a
// DisruptionTarget condition (pkg/kubelet/eviction/eviction_manager.go,
// localStorageEviction), a container whose probe or postStart hook fails is killed as a
// container (pkg/kubelet/kuberuntime/kuberuntime_manager.go, computePodActions; Kubernetes
// 1.37). The reason and the message that the kubelet then puts into the pod's status are
// those of a phase Failed; where all containers have exited 0 the phase is Succeeded, and
// they are gone (pkg/kubelet/kubelet_pods.go, generateAPIPodStatus).

import (
	corev1 "k8s.io/api/core/v1"
)

// Killers are the parts of a pod's spec by which the kubelet may end the main container,
// each in words. The spec is the admitted pod's: a LimitRange or a policy adds limits and probes.
func Killers(pod *corev1.PodSpec, main string) []string {
	var all []string
	for i := range pod.Containers {
		if c := &pod.Containers[i]; c.Name == main || main == "" {
			all = append(all, killersOf(c)...)
		}
	}
	if pod.Resources != nil && limitsStorage(pod.Resources.Limits) {
		all = append(all, "a limit on ephemeral-storage of the pod")
	}
	for _, list := range [][]corev1.Container{pod.Containers, pod.InitContainers} {
		for i := range list {
			if limitsStorage(list[i].Resources.Limits) {
				all = append(all, "a limit on ephemeral-storage of container "+list[i].Name)
			}
		}
	}
	for i := range pod.Volumes {
		if v := &pod.Volumes[i]; limitsSize(v) {
			all = append(all, "a sizeLimit of the emptyDir "+v.Name)
		}
	}
	return all
}

func killersOf(c *corev1.Container) []string {
	var all []string
	if c.LivenessProbe != nil {
		all = append(all, "a livenessProbe of container "+c.Name)
	}
	if c.StartupProbe != nil {
		all = append(all, "a startupProbe of container "+c.Name)
	}
	if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
		all = append(all, "a postStart hook of container "+c.Name)
	}
	return all
}

func limitsStorage(limits corev1.ResourceList) bool {
	limit, ok := limits[corev1.ResourceEphemeralStorage]
	return ok && !limit.IsZero()
}

// limitsSize tells whether the kubelet watches how full a volume is. One in memory is a
// file system of that size, which the kernel keeps.
func limitsSize(v *corev1.Volume) bool {
	return v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil && v.EmptyDir.SizeLimit.Sign() > 0 && v.EmptyDir.Medium != corev1.StorageMediumMemory
}

// Kept is what a cache keeps of a pod's spec: its node, its restartPolicy, and what Killers reads.
func Kept(pod *corev1.PodSpec) corev1.PodSpec {
	kept := corev1.PodSpec{NodeName: pod.NodeName, RestartPolicy: pod.RestartPolicy}
	if pod.Resources != nil && limitsStorage(pod.Resources.Limits) {
		kept.Resources = &corev1.ResourceRequirements{Limits: storageOf(pod.Resources.Limits)}
	}
	kept.Containers, kept.InitContainers = keptOf(pod.Containers), keptOf(pod.InitContainers)
	for i := range pod.Volumes {
		if v := &pod.Volumes[i]; limitsSize(v) {
			kept.Volumes = append(kept.Volumes, *v)
		}
	}
	return kept
}

// keptOf keeps the containers that have something to keep.
func keptOf(list []corev1.Container) []corev1.Container {
	var kept []corev1.Container
	for i := range list {
		c := &list[i]
		if len(killersOf(c)) == 0 && !limitsStorage(c.Resources.Limits) {
			continue
		}
		is := corev1.Container{Name: c.Name, Resources: corev1.ResourceRequirements{Limits: storageOf(c.Resources.Limits)}}
		if c.LivenessProbe != nil {
			is.LivenessProbe = &corev1.Probe{}
		}
		if c.StartupProbe != nil {
			is.StartupProbe = &corev1.Probe{}
		}
		if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
			is.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}
		}
		kept = append(kept, is)
	}
	return kept
}

func storageOf(limits corev1.ResourceList) corev1.ResourceList {
	if !limitsStorage(limits) {
		return nil
	}
	return corev1.ResourceList{corev1.ResourceEphemeralStorage: limits[corev1.ResourceEphemeralStorage]}
}
