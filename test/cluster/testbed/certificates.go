// The cluster's certificates: one authority for everybody, a second one for the
// aggregation layer, and the key that signs the tokens of service accounts.

package testbed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Longer than any testbed lives: nothing here is ever renewed.
const validity = 10 * 365 * 24 * time.Hour

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

type keyPair struct{ cert, key []byte }

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create the authority %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("create the authority %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("create the authority %s: %w", name, err)
	}
	return &authority{cert: cert, key: key, pem: pemBlock("CERTIFICATE", der)}, nil
}

// issue signs a certificate for a client and, where it has names or addresses,
// for a server too. The name becomes the user, the organization the group.
func (a *authority) issue(user, group string, dns []string, ips ...string) (*keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", user, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", user, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: user},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames:     dns,
	}
	if group != "" {
		template.Subject.Organization = []string{group}
	}
	for _, ip := range ips {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	if len(dns)+len(ips) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", user, err)
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &keyPair{cert: pemBlock("CERTIFICATE", der), key: encoded}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pemBlock("EC PRIVATE KEY", der), nil
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// pki is the folder of certificates; files are named as kubeadm names them.
func (c *Cluster) pki(file string) string { return filepath.Join(c.dir, "pki", file) }

// writeCertificates creates everything below pki/ and returns the authority that
// signs the kubeconfigs.
func (c *Cluster) writeCertificates() (*authority, error) {
	ca, err := newAuthority("arcane-testbed")
	if err != nil {
		return nil, err
	}
	front, err := newAuthority("arcane-testbed-front-proxy")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"ca.crt": ca.pem, "front-proxy-ca.crt": front.pem}
	if files["ca.key"], err = encodeKey(ca.key); err != nil {
		return nil, err
	}
	server := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	for _, leaf := range []struct {
		file, user, group string
		by                *authority
		dns, ips          []string
	}{
		{"apiserver", "kube-apiserver", "", ca, server, []string{"127.0.0.1", serviceIP, nodeIP}},
		{"apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters", ca, nil, nil},
		{"front-proxy-client", "front-proxy-client", "", front, nil, nil},
		{"kubelet", "system:node:" + nodeName, "system:nodes", ca, []string{nodeName}, []string{nodeIP}},
	} {
		pair, err := leaf.by.issue(leaf.user, leaf.group, leaf.dns, leaf.ips...)
		if err != nil {
			return nil, err
		}
		files[leaf.file+".crt"], files[leaf.file+".key"] = pair.cert, pair.key
	}
	if err := addTokenKeys(files); err != nil {
		return nil, err
	}
	for name, content := range files {
		if err := os.WriteFile(c.pki(name), content, 0o600); err != nil {
			return nil, fmt.Errorf("write a certificate: %w", err)
		}
	}
	return ca, nil
}

func addTokenKeys(files map[string][]byte) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("create the key of the service accounts: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("create the key of the service accounts: %w", err)
	}
	files["sa.pub"] = pemBlock("PUBLIC KEY", public)
	files["sa.key"], err = encodeKey(key)
	return err
}
