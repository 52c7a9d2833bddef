package v1

// This file defines StreamPlugin: the installation of a plugin in a namespace.

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// StreamPlugin installs a plugin: a StreamClass, and in the plugin's own namespace the
// StreamingJobTemplates, the ServiceAccount, the NetworkPolicy, the PodMonitor and the
// dashboard that its streams need. The operator renders them with the Helm chart
// stream-plugin and keeps them as rendered.
//
// Deleting a StreamPlugin removes what it installed. The operator waits with that until no
// Stream of the class is left, unless the namespace itself is being deleted.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=splug,categories=arcane
// +kubebuilder:printcolumn:name="Preset",type=string,JSONPath=`.spec.preset`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.status.className`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 50",message="metadata.name must be at most 50 characters long: the names of the installed objects derive from it"
type StreamPlugin struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec describes the plugin to install.
	Spec StreamPluginSpec `json:"spec"`
	// Status reports what is installed.
	// +optional
	Status StreamPluginStatus `json:"status,omitempty"`
}

// PluginPreset names a plugin that this project ships.
// +kubebuilder:validation:Enum=postgres
type PluginPreset string

// PresetPostgres carries tables of PostgreSQL into files.
const PresetPostgres PluginPreset = "postgres"

// StreamPluginSpec describes the plugin to install. It is the values of the Helm chart
// stream-plugin.
//
// +kubebuilder:validation:XValidation:rule="has(self.className) == has(oldSelf.className)",message="className cannot be added or removed; delete the StreamPlugin and create another one"
type StreamPluginSpec struct {
	// Preset is the plugin to install: postgres. It brings the schema of its Streams, the
	// meaning of the plugin's exit codes, the fields that name Secrets, the ports and the
	// security context. Required, immutable.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="preset is immutable; create another StreamPlugin"
	Preset PluginPreset `json:"preset"`

	// Version of the preset, such as v1. Default: the newest one that the operator has when
	// the StreamPlugin is created; the operator writes it here then. An upgrade of the
	// operator never changes it and restarts no stream. Setting another version changes the
	// templates, which restarts the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^v[1-9][0-9]*$`
	Version string `json:"version,omitempty"`

	// Image of the plugin, with a tag or a digest, such as
	// registry.example.com/arcane-plugin-postgres:v0.1.0. Required. Changing it restarts the
	// class's streaming jobs.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[^\s]+$`
	Image string `json:"image"`
	// ImagePullPolicy of the plugin's container. Default: IfNotPresent. Changing it restarts
	// the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
	// ImagePullSecrets are Secrets of this namespace to pull the image with. Default: none.
	// Changing it restarts the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	ImagePullSecrets []ImagePullSecret `json:"imagePullSecrets,omitempty"`

	// ClassName is the name of the StreamClass. Default: the StreamPlugin's own name.
	// StreamClasses belong to the whole cluster: two StreamPlugins need two names. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="className is immutable; delete the StreamPlugin and create another one"
	ClassName string `json:"className,omitempty"`

	// Streaming adjusts the streaming jobs. Changing it restarts them.
	// +optional
	Streaming *PluginMode `json:"streaming,omitempty"`
	// Backfill adjusts the backfill jobs. Changing it matters for the next backfill; a
	// running one is treated as its Stream's backfill.onSpecChange says.
	// +optional
	Backfill *PluginMode `json:"backfill,omitempty"`

	// Env are additional environment variables of the plugin's container. Take anything
	// secret by valueFrom: plain values stand in the StreamPlugin, in the templates and in
	// the release for everybody who may read these. Names that begin with STREAMCONTEXT__ are
	// refused. Default: none. Changing it restarts the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	Env []corev1.EnvVar `json:"env,omitempty"`
	// Volumes are additional volumes of the plugin's pods, such as the claim that a sink of
	// files is on. Default: none. Changing it restarts the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	Volumes []corev1.Volume `json:"volumes,omitempty"`
	// VolumeMounts are where the plugin's container mounts the volumes. Default: none.
	// Changing it restarts the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=mountPath
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts,omitempty"`

	// ServiceAccount adjusts the ServiceAccount that the plugin's pods run as. A change counts for
	// pods that start afterwards.
	// +optional
	ServiceAccount *PluginServiceAccount `json:"serviceAccount,omitempty"`
	// PodLabels are additional labels of the plugin's pods, such as the one by which a cloud's
	// workload identity finds them. Default: none. Changing it restarts the class's streaming
	// jobs.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	PodLabels map[string]string `json:"podLabels,omitempty"`

	// NodeSelector that a node must match to run the plugin's pods. Default: none. Changing
	// it restarts the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Tolerations of the plugin's pods. Default: none. Changing it restarts the class's
	// streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// Affinity of the plugin's pods. Default: none. Changing it restarts the class's
	// streaming jobs.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// TopologySpreadConstraints of the plugin's pods. Default: none. Changing it restarts the
	// class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// PriorityClassName of the plugin's pods. Default: the cluster's default. Changing it
	// restarts the class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// Schema adds to the preset's schema of {source, sink}: fields of your own and required
	// ones. What the preset itself says of a field stays. Default: nothing is added.
	// Changing it restarts nothing; a Stream that no longer fits is not accepted until it
	// does, and its jobs are left running.
	// +optional
	Schema *PluginSchema `json:"schema,omitempty"`
	// MaxConcurrent is how many backfills of the class may run at once. Default: no limit.
	// Changing it stops nothing.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxConcurrent *int32 `json:"maxConcurrent,omitempty"`
}

// ImagePullSecret names a Secret to pull an image with.
type ImagePullSecret struct {
	// Name of the Secret. Required.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// PluginMode adjusts the jobs of one mode.
type PluginMode struct {
	// Resources of the plugin's container. Default: the preset's. What is given here
	// replaces the preset's requests, and the preset's limits, as a whole.
	// +optional
	Resources *PluginResources `json:"resources,omitempty"`
}

// PluginResources are the compute resources of a container.
type PluginResources struct {
	// Requests: the least that the container needs, such as cpu and memory. Default: the preset's.
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty"`
	// Limits: the most that the container may use. Default: the preset's.
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty"`
}

// PluginServiceAccount adjusts the ServiceAccount of the plugin's pods.
type PluginServiceAccount struct {
	// Annotations of the ServiceAccount, such as the ones by which a cloud's workload
	// identity gives the plugin a role. Default: none. A change counts for pods that start
	// afterwards.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PluginSchema adds to the preset's schema.
type PluginSchema struct {
	// OpenAPIV3Schema of an object with the properties source and sink, as in
	// StreamClass spec.schema. Required.
	// +kubebuilder:pruning:PreserveUnknownFields
	OpenAPIV3Schema *runtime.RawExtension `json:"openAPIV3Schema"`
}

// StreamPluginStatus reports what is installed.
type StreamPluginStatus struct {
	// ObservedGeneration is the generation of the spec that the conditions are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Reconciling, Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ClassName is the StreamClass that Streams name to use the plugin.
	// +optional
	ClassName string `json:"className,omitempty"`
	// Version of the preset that is installed.
	// +optional
	Version string `json:"version,omitempty"`
	// Release is the Helm release that holds what was rendered last.
	// +optional
	Release *PluginRelease `json:"release,omitempty"`
	// Objects are those that the operator installed for this StreamPlugin.
	// +optional
	// +listType=atomic
	Objects []PluginObject `json:"objects,omitempty"`
}

// PluginRelease is a Helm release.
type PluginRelease struct {
	// Name of the release; it derives from the StreamPlugin's UID.
	Name string `json:"name"`
	// Revision counts installs, upgrades and rollbacks.
	Revision int32 `json:"revision"`
}

// PluginObject is an object that the operator installed.
type PluginObject struct {
	// APIVersion of the object.
	APIVersion string `json:"apiVersion"`
	// Kind of the object.
	Kind string `json:"kind"`
	// Name of the object. It lies in the StreamPlugin's namespace, unless its kind has none.
	Name string `json:"name"`
	// UID of the object: another object of the same name is somebody else's.
	UID types.UID `json:"uid"`
}

// StreamPluginList is a list of StreamPlugins.
// +kubebuilder:object:root=true
type StreamPluginList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []StreamPlugin `json:"items"`
}
