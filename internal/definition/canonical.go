package definition

// This file writes JSON in one way, so that equal things have equal bytes.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// Canonical is the JSON of a value with its keys sorted and its numbers as they
// were written. Nothing is escaped that JSON does not ask for.
func Canonical(value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write as JSON: %w", err)
	}
	tree, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return encode(tree)
}

// decode reads JSON into maps, whose keys encoding/json writes sorted.
func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	// A float64 would spoil integers beyond 2^53.
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	return tree, nil
}

func encode(tree any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return nil, fmt.Errorf("write as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Digest is a short hash of bytes, in lower-case hex.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// PolicyHash is the value of the annotation that marks a podFailurePolicy in a
// Stream's spec as the default: the digest of its Canonical.
func PolicyHash(p *batchv1.PodFailurePolicy) string {
	b, err := encode(sortedPolicy(p))
	if err != nil {
		// A policy is strings and numbers: it can always be written.
		panic(err)
	}
	return Digest(b)
}

// These are Kubernetes' types with their fields in the order of their names, so
// that a policy is written as Canonical would without being read back: admission
// and every reconcile ask for its hash. A test holds the two together.
type (
	policyFields struct {
		Rules []ruleFields `json:"rules"`
	}
	ruleFields struct {
		Action          batchv1.PodFailurePolicyAction `json:"action"`
		OnExitCodes     *exitCodeFields                `json:"onExitCodes,omitempty"`
		OnPodConditions []conditionFields              `json:"onPodConditions,omitempty"`
	}
	exitCodeFields struct {
		ContainerName *string                                     `json:"containerName,omitempty"`
		Operator      batchv1.PodFailurePolicyOnExitCodesOperator `json:"operator"`
		Values        []int32                                     `json:"values"`
	}
	conditionFields struct {
		Status corev1.ConditionStatus  `json:"status"`
		Type   corev1.PodConditionType `json:"type"`
	}
)

func sortedPolicy(p *batchv1.PodFailurePolicy) *policyFields {
	if p == nil {
		return nil
	}
	sorted := &policyFields{}
	if p.Rules != nil {
		sorted.Rules = make([]ruleFields, len(p.Rules))
	}
	for i := range p.Rules {
		rule, to := &p.Rules[i], &sorted.Rules[i]
		to.Action = rule.Action
		if on := rule.OnExitCodes; on != nil {
			to.OnExitCodes = &exitCodeFields{on.ContainerName, on.Operator, on.Values}
		}
		for _, on := range rule.OnPodConditions {
			to.OnPodConditions = append(to.OnPodConditions, conditionFields{on.Status, on.Type})
		}
	}
	return sorted
}

// Essence is Canonical less what says nothing: nulls, and the empty objects that
// Go's encoder writes or leaves out as the version of a library has it.
func Essence(value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write as JSON: %w", err)
	}
	tree, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return encode(essence(tree))
}

func essence(tree any) any {
	switch t := tree.(type) {
	case map[string]any:
		for key, child := range t {
			t[key] = essence(child)
			if t[key] == nil || saysNothing(key, t[key]) {
				delete(t, key)
			}
		}
	case []any:
		for i := range t {
			t[i] = essence(t[i])
		}
	}
	return tree
}

// saysNothing names the few fields whose empty object means the same as their
// absence; elsewhere, as in emptyDir, it does not.
func saysNothing(key string, value any) bool {
	object, ok := value.(map[string]any)
	if !ok || len(object) > 0 {
		return false
	}
	switch key {
	case "metadata", "labels", "annotations", "resources", "status":
		return true
	default:
		return false
	}
}
