package kubetest

import (
	"crypto"
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

// certLifetime is longer than any cluster lives.
const certLifetime = 365 * 24 * time.Hour

// keys are the files of a cluster's certificates and keys, all PEM.
type keys struct {
	caPEM                          []byte
	caCert                         string
	servingCert, servingKey        string
	serviceAccountKey, saPublicKey string
}

// writeKeys makes a CA, a serving certificate of the API server and a pair for service account tokens, in dir.
func writeKeys(dir string, now time.Time) (keys, error) {
	k := keys{
		caCert:            filepath.Join(dir, "ca.crt"),
		servingCert:       filepath.Join(dir, "apiserver.crt"),
		servingKey:        filepath.Join(dir, "apiserver.key"),
		serviceAccountKey: filepath.Join(dir, "sa.key"),
		saPublicKey:       filepath.Join(dir, "sa.pub"),
	}
	var made [3]*ecdsa.PrivateKey
	for i := range made {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return keys{}, fmt.Errorf("make keys: %w", err)
		}
		made[i] = key
	}
	caKey, servingKey, saKey := made[0], made[1], made[2]

	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kubetest"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	serving := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost", "kubernetes.default.svc"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return keys{}, fmt.Errorf("make certificate: %w", err)
	}
	servingDER, err := x509.CreateCertificate(rand.Reader, serving, ca, servingKey.Public(), caKey)
	if err != nil {
		return keys{}, fmt.Errorf("make certificate: %w", err)
	}
	k.caPEM = encodePEM("CERTIFICATE", caDER)

	files := map[string][]byte{k.caCert: k.caPEM, k.servingCert: encodePEM("CERTIFICATE", servingDER)}
	for path, key := range map[string]crypto.PrivateKey{k.servingKey: servingKey, k.serviceAccountKey: saKey} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return keys{}, fmt.Errorf("encode key: %w", err)
		}
		files[path] = encodePEM("PRIVATE KEY", der)
	}
	der, err := x509.MarshalPKIXPublicKey(saKey.Public())
	if err != nil {
		return keys{}, fmt.Errorf("encode key: %w", err)
	}
	files[k.saPublicKey] = encodePEM("PUBLIC KEY", der)
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return keys{}, fmt.Errorf("write keys: %w", err)
		}
	}
	return k, nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
