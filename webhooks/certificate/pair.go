// Package certificate keeps the certificate that the admission webhooks serve: one
// that the operator makes and replaces itself, or one that somebody else lays down
// as files. It also tells whether the API server can trust what is served.
package certificate

// This file makes key pairs, and reads them.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// skew is how far the clock of an API server may be behind ours.
const skew = time.Hour

// pair is a certificate with its key, and the authority that signed it, all as PEM.
type pair struct{ cert, key, authority []byte }

// issue makes a key pair for a server of these names. It is signed by an authority
// that is made for it alone and whose key is thrown away: nobody can sign another
// one by it, and replacing a certificate always replaces the authority too.
func issue(names []string, now time.Time, life time.Duration) (pair, error) {
	from, until := now.Add(-skew), now.Add(life)
	authority := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "arcane-operator"},
		NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	authorityDER, authorityKey, err := sign(authority, nil, nil)
	if err != nil {
		return pair{}, err
	}
	server := &x509.Certificate{
		Subject:   pkix.Name{CommonName: names[0]},
		NotBefore: from, NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, name)
		}
	}
	// What was signed, not what was asked for: its key's fingerprint is in it.
	if authority, err = x509.ParseCertificate(authorityDER); err != nil {
		return pair{}, fmt.Errorf("read the authority that was made: %w", err)
	}
	serverDER, serverKey, err := sign(server, authority, authorityKey)
	if err != nil {
		return pair{}, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return pair{}, fmt.Errorf("write the key of the certificate: %w", err)
	}
	return pair{
		cert:      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: serverDER}),
		key:       pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
		authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorityDER}),
	}, nil
}

// sign makes a key and a certificate for it; without a signer it signs itself.
func sign(template, signer *x509.Certificate, signerKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, fmt.Errorf("choose a serial number: %w", err)
	}
	if signer == nil {
		signer, signerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, key.Public(), signerKey)
	if err != nil {
		return nil, nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, key, nil
}

// read is the key pair with its certificate parsed, or why it cannot be served
// under these names.
func read(cert, key []byte, names []string, now time.Time) (*tls.Certificate, error) {
	served, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the key pair: %w", err)
	}
	if now.After(served.Leaf.NotAfter) || now.Before(served.Leaf.NotBefore) {
		return nil, fmt.Errorf("the certificate is valid from %s to %s", served.Leaf.NotBefore.Format(time.RFC3339), served.Leaf.NotAfter.Format(time.RFC3339))
	}
	for _, name := range names {
		if err := served.Leaf.VerifyHostname(name); err != nil {
			return nil, fmt.Errorf("the certificate is for other names: %w", err)
		}
	}
	return &served, nil
}

// trusts tells why whoever trusts the authorities does not trust the certificate.
func trusts(authorities []byte, served *tls.Certificate, now time.Time) error {
	if len(authorities) == 0 {
		return fmt.Errorf("no authority is named")
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		return fmt.Errorf("the authorities cannot be read as PEM")
	}
	for _, der := range served.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	if _, err := served.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
		return fmt.Errorf("verify the certificate: %w", err)
	}
	return nil
}

// living are those of the authorities that have not run out, each once.
func living(now time.Time, bundles ...[]byte) []byte {
	var kept []byte
	seen := map[string]bool{}
	for _, rest := range bundles {
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil || now.After(c.NotAfter) || seen[string(block.Bytes)] {
				continue
			}
			seen[string(block.Bytes)] = true
			kept = append(kept, pem.EncodeToMemory(block)...)
		}
	}
	return kept
}
