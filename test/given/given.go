// Package given builds the objects that stories begin with: complete ones, of
// which a story says only what it is about.
package given

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// raw is a free object of a spec. What cannot be written as JSON is a mistake in
// the test itself, hence the panic.
func raw(value any) *runtime.RawExtension {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("given: not JSON: %v", err))
	}
	return &runtime.RawExtension{Raw: text}
}
