// Kubeconfigs, one for each identity.

package testbed

import (
	"fmt"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// writeKubeconfigs creates the administrator's kubeconfig and one for each part.
// All name the same address: inside the namespace the API server listens on the
// very port on which the host's forwarder does.
func (c *Cluster) writeKubeconfigs(ca *authority) error {
	for _, who := range []struct{ path, user, group string }{
		{c.Kubeconfig(), "arcane-testbed-admin", "system:masters"},
		{c.partKubeconfig(controllerManager), "system:kube-controller-manager", ""},
		{c.partKubeconfig(scheduler), "system:kube-scheduler", ""},
		{c.partKubeconfig(kubelet), "system:node:" + nodeName, "system:nodes"},
		{c.partKubeconfig(kubeProxy), "system:kube-proxy", ""},
	} {
		pair, err := ca.issue(who.user, who.group, nil)
		if err != nil {
			return err
		}
		if err := clientcmd.WriteToFile(c.kubeconfigOf(ca, pair), who.path); err != nil {
			return fmt.Errorf("write the kubeconfig of %s: %w", who.user, err)
		}
	}
	return nil
}

func (c *Cluster) partKubeconfig(part string) string {
	return filepath.Join(c.dir, "config", part+".kubeconfig")
}

func (c *Cluster) kubeconfigOf(ca *authority, pair *keyPair) clientcmdapi.Config {
	// The name shows in kubectl's context, so the user sees which cluster answers.
	name := "testbed-" + c.name
	cfg := *clientcmdapi.NewConfig()
	cfg.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   fmt.Sprintf("https://127.0.0.1:%d", c.state.APIPort),
		CertificateAuthorityData: ca.pem,
	}
	cfg.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key}
	cfg.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	cfg.CurrentContext = name
	return cfg
}
