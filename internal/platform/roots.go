package platform

import (
	"crypto/x509"
	"os"
)

// bundles are where distributions keep the certificates of authorities in one
// file; the list is that of crypto/x509.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

// roots reads the authorities that servers are verified against: the file that
// SSL_CERT_FILE names, else the system's bundle. Nil leaves it to crypto/x509,
// which reads a folder of single files beside the bundle as well: on Debian the
// same certificates once more, which takes longer than all the rest of a fire.
func roots(certFile, certDir string) *x509.CertPool {
	if certDir != "" {
		return nil
	}
	files := bundles
	if certFile != "" {
		files = []string{certFile}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pool := x509.NewCertPool()
		if pool.AppendCertsFromPEM(data) {
			return pool
		}
	}
	return nil
}
