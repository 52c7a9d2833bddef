// What the processes of a run have seen, put together: what holds of the run as a whole
// holds of no part of it.

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/law"
)

// account is what one process has seen, or all of them.
type account struct {
	// Asked are the requests of the operator's service account.
	Asked []law.Request `json:"asked"`
	// Read counts what was searched for values of Secrets, by where.
	Read map[string]int `json:"read"`
	// Found counts what showed one.
	Found map[string]int `json:"found"`
}

// layDown leaves a process's account for whoever gathers them.
func layDown(a account) {
	GinkgoHelper()
	text, err := json.Marshal(a)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(accountOf(GinkgoParallelProcess()), text, 0o600)).To(Succeed())
}

func accountOf(process int) string { return filepath.Join(accounts, fmt.Sprint(process)) }

// gather puts the accounts of all processes together. One that has left none is an error.
func gather() account {
	GinkgoHelper()
	suite, _ := GinkgoConfiguration()
	all := account{Read: map[string]int{}, Found: map[string]int{}}
	for process := 1; process <= suite.ParallelTotal; process++ {
		text, err := os.ReadFile(accountOf(process))
		Expect(err).NotTo(HaveOccurred())
		var one account
		Expect(json.Unmarshal(text, &one)).To(Succeed())
		all.Asked = append(all.Asked, one.Asked...)
		for where, count := range one.Read {
			all.Read[where] += count
		}
		for where, count := range one.Found {
			all.Found[where] += count
		}
	}
	return all
}
