package plugin

import (
	_ "github.com/operator-framework/helm-operator-plugins/pkg/client"
	_ "github.com/operator-framework/helm-operator-plugins/pkg/watches"
	_ "helm.sh/helm/v3/pkg/action"
	_ "helm.sh/helm/v3/pkg/engine"
)
