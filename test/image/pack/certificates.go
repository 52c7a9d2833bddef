// The certificate authorities that a program in the image trusts.

package pack

import (
	"bytes"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// caCertificates are where Linux distributions keep the authorities' certificates;
// Go programs read the first of these paths as well.
const caCertificates = "/etc/ssl/certs/ca-certificates.crt"

// authorities are those of Mozilla, as PEM. They come from a Go module and not from this
// machine: an image would otherwise differ from machine to machine, and trust whatever
// authority the machine has been made to trust.
//
// Authorities that Mozilla trusts for older certificates only are left out, because a file
// of certificates cannot hold such a limit.
func authorities() []byte {
	var file bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			// A buffer in memory takes everything.
			panic(fmt.Sprintf("encode a certificate: %v", err))
		}
	}
	return file.Bytes()
}
