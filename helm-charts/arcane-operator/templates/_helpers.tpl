{{- /* The labels of every object. commonLabels cannot replace one of them. */ -}}
{{- define "arcane.labels" -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/name" "arcane-operator"
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/part-of" "arcane"
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- toYaml (omit (merge $labels .Values.commonLabels) "app.kubernetes.io/component") }}
{{- end }}

{{- /* The labels that select the operator's pods. They are those of config/default, because a Deployment's selector is
immutable: an installation can move from kustomize to Helm without a new Deployment. */ -}}
{{- define "arcane.selector" -}}
app.kubernetes.io/name: arcane-operator
app.kubernetes.io/component: operator
{{- end }}

{{- define "arcane.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* The port of the traces' collector, for the NetworkPolicy. */ -}}
{{- define "arcane.otlpPort" -}}
{{- $url := urlParse .Values.otlpEndpoint }}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end }}

{{- /* Whether Helm talks to a cluster. helm template does not, and so it cannot know which kinds the cluster has. */ -}}
{{- define "arcane.live" -}}
{{- if lookup "v1" "Service" "default" "kubernetes" }}true{{ end }}
{{- end }}
