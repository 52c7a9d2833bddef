package v1

// This file registers the kinds of the group with a scheme.

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "streaming.sneaksanddata.com", Version: "v1"}

var schemeBuilder = runtime.NewSchemeBuilder(func(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Stream{}, &StreamList{},
		&BackfillRequest{}, &BackfillRequestList{},
		&StreamClass{}, &StreamClassList{},
		&StreamingJobTemplate{}, &StreamingJobTemplateList{},
		&StreamPlugin{}, &StreamPluginList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
})

// AddToScheme adds the kinds of this group to a scheme.
var AddToScheme = schemeBuilder.AddToScheme

// The kinds' names, as they stand in manifests and in owner references.
const (
	KindStream               = "Stream"
	KindBackfillRequest      = "BackfillRequest"
	KindStreamClass          = "StreamClass"
	KindStreamingJobTemplate = "StreamingJobTemplate"
	KindStreamPlugin         = "StreamPlugin"
)
