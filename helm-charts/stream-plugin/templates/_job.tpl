{{/*
The spec of the Job in a template: the preset's, with what the values say.
*/}}

{{/* A quantity of Kubernetes, such as 512Mi, 1.5G, 500m or 1e9, as a decimal number. The schema of the values has checked its form. */}}
{{- define "stream-plugin.number" -}}
{{- $text := toString . -}}
{{- $digits := regexFind "^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)" $text -}}
{{- $suffix := trimPrefix $digits $text -}}
{{- $factors := dict
      "" 1.0 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
      "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- if hasKey $factors $suffix -}}
{{- printf "%.9f" (mulf (float64 $digits) (get $factors $suffix)) -}}
{{- else -}}
{{- printf "%.9f" (float64 $text) -}}
{{- end -}}
{{- end -}}

{{/*
The resources of a mode, as JSON: requests and limits that the values give replace the preset's as a whole. Empty ones count
as absent, because an empty map does not survive the Go types of a StreamPlugin.
*/}}
{{- define "stream-plugin.resources" -}}
{{- $given := (get .root.Values .mode | default dict).resources | default dict -}}
{{- $resources := (index (get .preset .mode).template.spec.containers 0).resources -}}
{{- range $field := list "requests" "limits" -}}
{{- with get $given $field }}{{ $_ := set $resources $field . }}{{ end -}}
{{- end -}}
{{- toJson $resources -}}
{{- end -}}

{{/*
How much memory the plugin may use, in MiB: the preset's share of the container's memory limit, and nothing where there is
no limit. It is computed rather than written into the preset, because a value that stays above a lowered limit lets the
kernel kill the plugin before Go's collector makes an effort, and one that stays below a raised limit wastes the rest.
*/}}
{{- define "stream-plugin.memory" -}}
{{- $limits := .resources.limits | default dict -}}
{{- if hasKey $limits "memory" -}}
{{- $bytes := include "stream-plugin.number" $limits.memory | float64 -}}
{{- divf (mulf $bytes .share) 1048576.0 | floor | int64 -}}
{{- end -}}
{{- end -}}

{{/* The environment, as JSON: a variable of the values replaces the preset's of the same name, so that each name appears once. */}}
{{- define "stream-plugin.env" -}}
{{- $own := list -}}
{{- range .root.Values.env }}{{ $own = append $own .name }}{{ end -}}
{{- $env := list -}}
{{- with include "stream-plugin.memory" (dict "resources" .resources "share" .preset.memory.share) -}}
{{- $env = append $env (dict "name" $.preset.memory.env "value" (printf "%sMiB" .)) -}}
{{- end -}}
{{- $env = concat $env (.container.env | default list) -}}
{{- $all := list -}}
{{- range $env }}{{ if not (has .name $own) }}{{ $all = append $all . }}{{ end }}{{ end -}}
{{- toJson (concat $all (.root.Values.env | default list)) -}}
{{- end -}}

{{/* Takes a dict of root (the chart's own dot) and mode (streaming or backfill). */}}
{{- define "stream-plugin.job" -}}
{{- $values := .root.Values -}}
{{- $preset := include "stream-plugin.preset" .root | fromYaml -}}
{{- $job := get $preset .mode -}}
{{- $pod := $job.template.spec -}}
{{- $container := index $pod.containers 0 -}}

{{- $_ := set $container "image" $values.image -}}
{{- $_ := set $container "imagePullPolicy" ($values.imagePullPolicy | default "IfNotPresent") -}}
{{- $resources := include "stream-plugin.resources" (dict "root" .root "mode" .mode "preset" $preset) | fromJson -}}
{{- $_ := set $container "resources" $resources -}}
{{- with include "stream-plugin.env" (dict "root" .root "preset" $preset "container" $container "resources" $resources) | fromJsonArray -}}
{{- $_ := set $container "env" . -}}
{{- end -}}
{{- with concat ($container.volumeMounts | default list) ($values.volumeMounts | default list) -}}
{{- $_ := set $container "volumeMounts" . -}}
{{- end -}}

{{- $_ := set $pod "serviceAccountName" (include "stream-plugin.ownName" .root) -}}
{{- with concat ($pod.volumes | default list) ($values.volumes | default list) -}}
{{- $_ := set $pod "volumes" . -}}
{{- end -}}
{{- range $field := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" -}}
{{- with get $values $field }}{{ $_ := set $pod $field . }}{{ end -}}
{{- end -}}

{{- $labels := dict (include "stream-plugin.podLabel" .root) (include "stream-plugin.name" .root) -}}
{{- range $key, $value := $values.podLabels }}{{ $_ := set $labels $key $value }}{{ end -}}
{{- $_ := set $job.template "metadata" (dict "labels" $labels) -}}
{{- toYaml $job -}}
{{- end -}}
