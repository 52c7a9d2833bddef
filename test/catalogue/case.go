// Package catalogue reads the manifests of test/integration/admission, each with
// what is said of it, and asks the pure core what it says. The suite of that folder
// applies the same manifests to a real API server.
package catalogue

// This file says what a case is.

// Layer is who refuses a manifest.
type Layer string

// The layers, in the order in which a manifest meets them.
const (
	// Decoding: the API server knows no such field.
	Decoding Layer = "decoding"
	// Schema of the kind's CustomResourceDefinition.
	Schema Layer = "schema"
	// CEL is a rule in that schema.
	CEL Layer = "CEL"
	// Webhook: internal/validation, asked by the validating webhook.
	Webhook Layer = "webhook"
	// DryRun: Kubernetes itself, of the Job that would come of it, asked by the webhook.
	DryRun Layer = "dry run"
)

// Object is one as it is written.
type Object = map[string]any

// Case is one manifest and what is said of it: wrong with Refused, right with Stored.
type Case struct {
	// Name tells the case from all others. What is in braces in a case's texts,
	// {name}, is a name that is made of it, for its objects that have none.
	Name string `json:"case"`
	// Given are objects beside the world's; one with the manifest's kind and name is what it is applied over.
	Given []Object `json:"given,omitempty"`
	// Until are phases that must have been reached, by Kind/name. {job} is the Job of the Stream in it.
	Until map[string]string `json:"until,omitempty"`
	// Manifest that is applied. Its apiVersion, its name and the namespace sales are
	// filled in where they are missing; likewise those of Given and Stored.
	Manifest Object `json:"manifest"`

	// By is the layer that refuses it, with Refused: the field, its value, what is wrong, and the way out.
	By      Layer  `json:"by,omitempty"`
	Refused string `json:"refused,omitempty"`
	// Again is what the webhook would say, where an earlier layer comes before it.
	Again string `json:"again,omitempty"`
	// Warnings in their order, of a right manifest as of a wrong one.
	Warnings []string `json:"warnings,omitempty"`
	// Stored is the whole object, less what the API server itself gives it and less its status.
	Stored Object `json:"stored,omitempty"`

	// File that holds it.
	File string `json:"-"`
}

// Wrong tells whether the manifest is to be refused.
func (c *Case) Wrong() bool { return c.Stored == nil }

// Catalogue is all cases and the world that they share.
type Catalogue struct {
	World []Object
	Cases []*Case
}

// Wrong are the cases that are to be refused.
func (k *Catalogue) Wrong() []*Case { return k.of(true) }

// Right are the cases that are to be stored.
func (k *Catalogue) Right() []*Case { return k.of(false) }

func (k *Catalogue) of(wrong bool) []*Case {
	var all []*Case
	for _, c := range k.Cases {
		if c.Wrong() == wrong {
			all = append(all, c)
		}
	}
	return all
}

// Foreign are parts of the kinds that are not ours: the operator writes the status, and pods and what they consist of are
// Kubernetes' own types.
var Foreign = map[string]bool{
	"status": true, "spec.spec.template": true, "spec.spec.scheduling": true,
	"spec.env[]": true, "spec.volumes[]": true, "spec.volumeMounts[]": true,
	"spec.affinity": true, "spec.tolerations[]": true, "spec.topologySpreadConstraints[]": true,
}
