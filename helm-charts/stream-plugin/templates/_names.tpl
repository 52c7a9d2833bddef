{{/*
Names and labels. The name of the StreamPlugin has at most 50 characters, so all of these are valid names.
*/}}

{{/* The StreamPlugin's name. The operator gives it; a plain `helm install` takes the release's. */}}
{{- define "stream-plugin.name" -}}
{{- .Values.name | default .Release.Name -}}
{{- end -}}

{{/* The StreamClass, which belongs to the whole cluster. */}}
{{- define "stream-plugin.className" -}}
{{- .Values.className | default (include "stream-plugin.name" .) -}}
{{- end -}}

{{/*
ServiceAccount, NetworkPolicy, PodMonitor and dashboard. The prefix keeps clear of the names that users choose themselves:
a ServiceAccount or a ConfigMap called postgres may well be there already.
*/}}
{{- define "stream-plugin.ownName" -}}
arcane-plugin-{{ include "stream-plugin.name" . }}
{{- end -}}

{{/* The label by which the plugin's pods are found. It is a part of the templates: changing it restarts streams. */}}
{{- define "stream-plugin.podLabel" -}}
streaming.sneaksanddata.com/plugin
{{- end -}}

{{/*
Labels of the objects. They hold no version of the chart or of the operator: an upgrade of the operator must not change
what is rendered.
*/}}
{{- define "stream-plugin.labels" -}}
app.kubernetes.io/name: arcane-plugin-{{ .Values.preset }}
app.kubernetes.io/instance: {{ include "stream-plugin.name" . | quote }}
app.kubernetes.io/part-of: arcane
{{- end -}}
