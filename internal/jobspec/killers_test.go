package jobspec

// This file tests what the kubelet may end a container by, and that a cache keeps it.

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
)

func TestKillers(t *testing.T) {
	storage := corev1.ResourceRequirements{Limits: corev1.ResourceList{
		corev1.ResourceEphemeralStorage: resource.MustParse("1Gi"), corev1.ResourceMemory: resource.MustParse("1Gi"),
	}}
	emptyDir := func(limit *resource.Quantity, medium corev1.StorageMedium) []corev1.Volume {
		return []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: limit, Medium: medium}}}}
	}
	for name, c := range map[string]struct {
		change func(*corev1.PodSpec)
		want   []string
	}{
		"nothing":         {func(*corev1.PodSpec) {}, nil},
		"liveness":        {func(p *corev1.PodSpec) { p.Containers[0].LivenessProbe = &corev1.Probe{PeriodSeconds: 1} }, []string{"a livenessProbe of container main"}},
		"startup":         {func(p *corev1.PodSpec) { p.Containers[0].StartupProbe = &corev1.Probe{} }, []string{"a startupProbe of container main"}},
		"readiness":       {func(p *corev1.PodSpec) { p.Containers[0].ReadinessProbe = &corev1.Probe{} }, nil},
		"another's probe": {func(p *corev1.PodSpec) { p.Containers[1].LivenessProbe = &corev1.Probe{} }, nil},
		"postStart": {func(p *corev1.PodSpec) {
			p.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}
		}, []string{"a postStart hook of container main"}},
		"preStop": {func(p *corev1.PodSpec) {
			p.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
		}, nil},
		"storage":   {func(p *corev1.PodSpec) { p.Containers[0].Resources = storage }, []string{"a limit on ephemeral-storage of container main"}},
		"another's": {func(p *corev1.PodSpec) { p.Containers[1].Resources = storage }, []string{"a limit on ephemeral-storage of container beside"}},
		"an init's": {func(p *corev1.PodSpec) { p.InitContainers = []corev1.Container{{Name: "init", Resources: storage}} }, []string{"a limit on ephemeral-storage of container init"}},
		"the pod's": {func(p *corev1.PodSpec) { p.Resources = &storage }, []string{"a limit on ephemeral-storage of the pod"}},
		"memory": {func(p *corev1.PodSpec) {
			p.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
		}, nil},
		"an emptyDir":     {func(p *corev1.PodSpec) { p.Volumes = emptyDir(ptr.To(resource.MustParse("10Mi")), "") }, []string{"a sizeLimit of the emptyDir scratch"}},
		"without a limit": {func(p *corev1.PodSpec) { p.Volumes = emptyDir(nil, "") }, nil},
		"a limit of zero": {func(p *corev1.PodSpec) { p.Volumes = emptyDir(&resource.Quantity{}, "") }, nil},
		"one in memory": {func(p *corev1.PodSpec) {
			p.Volumes = emptyDir(ptr.To(resource.MustParse("10Mi")), corev1.StorageMediumMemory)
		}, nil},
		"another's volume": {func(p *corev1.PodSpec) {
			p.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.PodSpec{NodeName: "node", RestartPolicy: corev1.RestartPolicyAlways, ServiceAccountName: "plugin", Containers: []corev1.Container{{Name: "main", Image: "plugin"}, {Name: "beside"}}}
			c.change(pod)
			if got := Killers(pod, "main"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			kept := Kept(pod)
			if got := Killers(&kept, "main"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("of what is kept: got %q, want %q", got, c.want)
			}
			// Which container is the main one, a cache does not know: it keeps that any has a probe.
			if len(c.want) == 0 && name != "another's probe" && !reflect.DeepEqual(kept, corev1.PodSpec{NodeName: "node", RestartPolicy: corev1.RestartPolicyAlways}) {
				t.Errorf("more is kept than is read: %+v", kept)
			}
		})
	}
}
