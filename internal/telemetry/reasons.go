package telemetry

// This file keeps the reasons of stalled streams a closed set.

import (
	"slices"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// podReasons are those that pods give for not running: the kubelet's, the
// scheduler's. A pod's reason is a text that anybody may write, so others are not passed on.
var podReasons = []string{
	"ContainerCreating", "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull",
	"ImageInspectError", "ImagePullBackOff", "InvalidImageName", "PodInitializing", "PostStartHookError", "RegistryUnavailable",
	"RunContainerError", "SchedulerError", "SchedulingGated", "SignatureValidationFailed", "Unschedulable",
}

// stalledReasons are all reasons of the label reason, sorted: ours and pods' own.
func stalledReasons() []string {
	list := append([]string{string(v1.ReasonJobFailed)}, podReasons...)
	for _, chapter := range v1.Chapters() {
		for _, e := range chapter.Reasons {
			if slices.ContainsFunc(e.Places, func(p v1.Place) bool { return p.Kind == v1.KindStream && p.In == v1.ConditionStalled }) {
				list = append(list, string(e.Reason))
			}
		}
	}
	slices.Sort(list)
	return list
}

// closed is the reason as the label's value.
func closed(known []string, reason string) string {
	if _, ok := slices.BinarySearch(known, reason); ok {
		return reason
	}
	return string(v1.ReasonPodNotRunning)
}
